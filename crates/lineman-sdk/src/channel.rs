use std::sync::Mutex;

use lineman_abi::{HostV1, RStr};
use lineman_model::protocol::{CheckOutcome, Failure, Progress, RegisteredSecret, event, host_call};
use lineman_model::{Cause, Finding, Secret};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::cx::Sink;
use crate::shim::lock;

/// One call's way to the host: any number of events, then exactly one terminal event, then
/// nothing, whichever threads they come from.
pub(crate) struct Channel {
    id: u64,
    host: &'static HostV1,
    ended: Mutex<bool>,
}

impl Channel {
    pub(crate) fn new(id: u64, host: &'static HostV1) -> Channel {
        Channel { id, host, ended: Mutex::new(false) }
    }

    /// Sends the terminal event, unless it was sent before.
    pub(crate) fn end(&self, ended: &Result<CheckOutcome, Failure>) {
        let (kind, body) = match ended {
            Ok(outcome) => (event::RESULT, serde_json::to_vec(outcome)),
            Err(failure) => (event::ERROR, serde_json::to_vec(failure)),
        };
        match body {
            Ok(body) => self.send(kind, &body, true),
            Err(_) => self.unspeakable(),
        }
    }

    fn say(&self, kind: u32, body: &impl Serialize) {
        match serde_json::to_vec(body) {
            Ok(body) => self.send(kind, &body, false),
            Err(_) => self.unspeakable(),
        }
    }

    /// Something that is no JSON was to be said: silence would make a pass of it.
    fn unspeakable(&self) {
        self.send(event::ERROR, br#"{"cause":"plugin.bad-output","message":"an event is not JSON"}"#, true);
    }

    fn send(&self, kind: u32, body: &[u8], last: bool) {
        // Held while the host takes the event, which never waits, so that nothing comes after the last.
        let mut ended = lock(&self.ended);
        if *ended {
            return;
        }
        *ended = last;
        (self.host.emit)(self.host.ctx, self.id, kind, body.into());
    }
}

impl Sink for Channel {
    fn finding(&self, finding: &Finding) {
        self.say(event::FINDING, finding);
    }

    fn progress(&self, progress: &Progress) {
        self.say(event::PROGRESS, progress);
    }

    fn secret(&self, name: &str, secret: &Secret) {
        // Even after the end: the host must redact it in whatever other calls say.
        let registered = RegisteredSecret { name: name.to_owned(), value: secret.clone() };
        if let Ok(body) = serde_json::to_vec(&registered).map(Zeroizing::new) {
            let _ = (self.host.host_call)(self.host.ctx, self.id, RStr::from_str(host_call::SECRET), body[..].into());
        }
    }
}

/// What becomes of a call that nobody waits for any more.
pub(crate) fn cut_off(why: &str) -> Failure {
    Failure { cause: Cause::PluginTimedOut, message: why.to_owned() }
}
