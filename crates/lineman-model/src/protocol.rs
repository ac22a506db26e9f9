//! What host and plugin say to each other.
//!
//! The host submits *calls* (an operation name and a JSON request) and the plugin answers each
//! accepted call with events, of which exactly one is terminal ([`event::RESULT`] or
//! [`event::ERROR`]). New abilities are new operation names; new facts are new fields, ignored
//! by whoever does not know them. The same messages cross the ABI inside a worker and, wrapped
//! in [`ToWorker`] and [`FromWorker`], the pipe between host and worker.
//!
//! A frame on the pipe is a four-byte little-endian length and that many bytes of JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Credential, Expiry, Finding, Integration, NotProved, Phase, ProtocolRange, RequirementStatus, SecretMap, SkipReason,
};

/// The protocol versions that this code speaks.
pub const PROTOCOL: ProtocolRange = ProtocolRange { min: 1, max: 1 };

/// Environment variables with which tests take something away, to see that it was needed:
/// redaction, and the plugins' catalogs. Workers have an empty environment; a debug build of the
/// host hands these on, a release build knows no such thing.
pub const TEST_SWITCHES: [&str; 2] = [crate::UNREDACTED, NO_CATALOG];

/// Empties the catalogs of plugins, in a debug build alone.
pub const NO_CATALOG: &str = "LINEMAN_TEST_NO_CATALOG";

/// The largest frame, in bytes, either way.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;

/// The largest body of one event or of one call to the host, in bytes.
pub const MAX_EVENT: usize = 1024 * 1024;

/// The most findings that one call may have.
pub const MAX_FINDINGS: usize = 100;

/// Names of operations.
pub mod op {
    /// Runs one check; the request is a [`CheckRequest`](super::CheckRequest).
    pub const CHECK: &str = "check";
    /// Ends a session and wipes its secrets; the request is a [`CloseRequest`](super::CloseRequest).
    pub const CLOSE: &str = "close";
}

/// Kinds of events.
pub mod event {
    /// A [`Finding`](crate::Finding).
    pub const FINDING: u32 = 1;
    /// A [`Progress`](super::Progress); the host may refuse it when it is busy.
    pub const PROGRESS: u32 = 2;
    /// Terminal: a [`CheckOutcome`](super::CheckOutcome).
    pub const RESULT: u32 = 3;
    /// Terminal: a [`Failure`](super::Failure).
    pub const ERROR: u32 = 4;
}

/// What a plugin answers to `submit`, at once.
pub mod submit {
    /// The call is taken; events follow.
    pub const ACCEPTED: u32 = 0;
    /// No such operation.
    pub const UNKNOWN_OPERATION: u32 = 1;
    /// The request is not what the operation takes.
    pub const BAD_REQUEST: u32 = 2;
    /// Too many calls at once.
    pub const BUSY: u32 = 3;
    /// The plugin is shutting down.
    pub const SHUTTING_DOWN: u32 = 4;
}

/// What the host answers to `emit`.
pub mod emit {
    /// The event is on its way.
    pub const TAKEN: u32 = 0;
    /// The queue is full; progress may be dropped, findings and terminal events never meet this.
    pub const FULL: u32 = 1;
    /// There is no such call, or it has ended.
    pub const UNKNOWN_CALL: u32 = 2;
}

/// Names of the calls that a plugin may make to its host.
pub mod host_call {
    /// Writes a line to the host's log; the body is text.
    pub const LOG: &str = "log";
    /// Registers a secret that the plugin obtained, so that the host redacts it; the body is a
    /// [`RegisteredSecret`](super::RegisteredSecret).
    pub const SECRET: &str = "secret";
}

/// The request of [`op::CHECK`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckRequest {
    /// The check's id, `<plugin>/<kebab-case>`.
    pub check: String,
    /// Checks with the same number share a session: a token that one obtained serves the next.
    pub session: u64,
    /// Milliseconds from now until the answer must be there.
    pub deadline_ms: u64,
    /// The integration.
    pub integration: Integration,
    /// Its secrets.
    #[serde(default)]
    pub secrets: SecretMap,
    /// Absolute paths of the programs that the plugin declared and the host found.
    #[serde(default)]
    pub programs: BTreeMap<String, String>,
    /// A private directory for this integration's files; the host removes it.
    #[serde(default)]
    pub directory: String,
}

/// The request of [`op::CLOSE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CloseRequest {
    /// The session to end.
    pub session: u64,
}

/// The body of [`event::PROGRESS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done, in a few words.
    pub text: String,
}

/// The body of [`event::RESULT`]. The findings went before it, as events of their own, so that a
/// check that is cut short keeps what it saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckOutcome {
    /// Set when there was nothing to run.
    pub skip: Option<CheckSkip>,
    /// What took how long, in order.
    pub phases: Vec<Phase>,
    /// What is known of the requirements.
    pub requirements: Vec<RequirementStatus>,
    /// Dates that were read.
    pub expires: Vec<Expiry>,
    /// What a pass does not say.
    pub not_proved: Vec<NotProved>,
    /// What the provider tells of the credentials.
    pub credentials: Vec<Credential>,
}

impl CheckOutcome {
    /// Hands every text to `edit`: redaction and cleaning go through here.
    pub fn for_each_text(&mut self, edit: &mut dyn FnMut(&mut String)) {
        let CheckOutcome { skip, phases, requirements, expires, not_proved, credentials } = self;
        skip.iter_mut().for_each(|skip| edit(&mut skip.why));
        phases.iter_mut().for_each(|phase| edit(&mut phase.name));
        requirements.iter_mut().for_each(|requirement| edit(&mut requirement.id));
        expires.iter_mut().for_each(|expiry| edit(&mut expiry.what));
        for NotProved { what, why, needs, .. } in not_proved {
            [what, why].into_iter().chain(needs).for_each(&mut *edit);
        }
        for Credential { secret, fingerprint, id, .. } in credentials {
            [secret].into_iter().chain(fingerprint).chain(id).for_each(&mut *edit);
        }
    }
}

/// Why a check had nothing to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckSkip {
    /// `not-applicable`, `missing-input` or `policy`.
    pub reason: SkipReason,
    /// One sentence: `no role is configured`.
    pub why: String,
}

/// The body of [`event::ERROR`]: the plugin itself failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The `plugin.…` cause.
    pub cause: crate::Cause,
    /// What happened.
    pub message: String,
}

/// The body of [`host_call::SECRET`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegisteredSecret {
    /// What stands in its place.
    pub name: String,
    /// The value.
    #[serde(serialize_with = "crate::Secret::serialize_for_the_wire")]
    pub value: crate::Secret,
}

/// What a check came to, as the host hands it on: the plugin's events gathered, or the `plugin.…`
/// finding that took their place.
#[derive(Clone, Debug, Default)]
pub struct CheckAnswer {
    /// What was found, redacted.
    pub findings: Vec<Finding>,
    /// The terminal event.
    pub outcome: CheckOutcome,
}

/// Host to worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToWorker {
    /// Passes a call to the plugin.
    Submit {
        /// Chosen by the host, never used twice in a worker.
        call: u64,
        /// Operation name.
        op: String,
        /// Its request.
        request: Box<RawValue>,
    },
    /// Passes bytes to the plugin that need be no request at all. Only who probes a plugin does so.
    SubmitBytes {
        /// As in `Submit`.
        call: u64,
        /// Operation name.
        op: String,
        /// Handed over as they are.
        request: Vec<u8>,
    },
    /// Passes on that nobody waits for the call any more.
    Cancel {
        /// The call.
        call: u64,
    },
    /// Ends the worker when the plugin has shut down.
    Shutdown {},
    /// Shuts the plugin down and keeps the worker, to see what the plugin has left.
    ShutdownAndStay {},
    /// Asks for [`FromWorker::Measured`].
    Measure {},
}

/// Worker to host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromWorker {
    /// The plugin is loaded; its description.
    Hello {
        /// A [`Description`](crate::Description), not yet judged.
        description: Box<RawValue>,
    },
    /// The plugin cannot be loaded.
    NotLoaded {
        /// Stable code, such as `no-symbol`.
        code: String,
        /// One line.
        message: String,
    },
    /// The plugin refused a call.
    Refused {
        /// The call.
        call: u64,
        /// One of [`submit`].
        code: u32,
    },
    /// An event of a call.
    Event {
        /// The call.
        call: u64,
        /// One of [`event`].
        kind: u32,
        /// Its body.
        body: Box<RawValue>,
    },
    /// An event whose body was no JSON or too large.
    BadEvent {
        /// The call.
        call: u64,
        /// What was wrong with it.
        problem: String,
    },
    /// An event for a call that has ended or never was. It was dropped; the first few are told,
    /// because who probes a plugin wants to know.
    Stray {
        /// The call that it was for.
        call: u64,
        /// One of [`event`].
        kind: u32,
    },
    /// The plugin has shut down, and the worker stays.
    ShutDown {},
    /// What the worker sees of itself.
    Measured {
        /// Open descriptors.
        descriptors: u64,
    },
    /// A call from the plugin to the host.
    HostCall {
        /// The call in whose course it was made; 0 for none.
        call: u64,
        /// One of [`host_call`].
        op: String,
        /// Its body.
        body: Box<RawValue>,
    },
}
