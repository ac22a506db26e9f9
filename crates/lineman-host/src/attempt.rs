//! One attempt of a call: what the plugin says is made safe to show, and what it does not say in
//! time is given up.

use std::path::PathBuf;
use std::time::Duration;

use lineman_model::protocol::{CheckAnswer, CheckRequest, op};
use lineman_model::{Cause, Finding, Redactor};
use tokio::time::{Instant, timeout_at};

use crate::process::{CallEvent, Ending, Worker};

/// How long after a call's deadline its answer may still come: the plugin counts from when it
/// got the call, the host from when it sent it.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// How long a cancelled call has to end before its worker is ended for it.
const CANCELLED: Duration = Duration::from_millis(250);
/// The most of one text of a plugin that is handed on, bytes: more than the SDK lets through.
const LONGEST_TEXT: usize = 4096;

/// An integration, as its plugin knows it.
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) redactor: Redactor,
    /// Where its files lie.
    pub(crate) directory: PathBuf,
}

impl Session {
    /// What a plugin says, on one line.
    fn line(&self, said: &str, longest: usize) -> String {
        let line = lineman_model::clean_line(&self.redactor.scrub(said), usize::MAX);
        self.redactor.shown(&line, longest)
    }
}

/// How one attempt of a call ended.
pub(crate) enum Attempt {
    Answered(CheckAnswer),
    /// The worker ended under it.
    Died {
        ending: Ending,
        stderr: Vec<String>,
        findings: Vec<Finding>,
    },
    /// It never answered.
    Hung {
        findings: Vec<Finding>,
        alone: bool,
    },
    /// No worker could be had.
    NotLaunched(Box<Finding>),
}

/// Runs a call in a worker, to its end or the worker's.
pub(crate) async fn attempt(
    worker: &Worker,
    request: &mut CheckRequest,
    session: &Session,
    deadline: Duration,
    progress: &(dyn Fn(String) + Send + Sync),
) -> Attempt {
    request.deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    let until = Instant::now() + deadline + GRACE;
    let redactor = session.redactor.clone();
    let mut call = match worker.submit(op::CHECK, session.id, request, redactor) {
        Ok(call) => call,
        Err(error) => return Attempt::Answered(bad(&request.check, &error.to_string(), Vec::new())),
    };
    let mut findings = Vec::new();
    let mut until = until;
    // Since when nobody waits for it any more, as whether it was alone in the worker then.
    let mut cancelled = None;
    loop {
        let event = match timeout_at(until, call.events.recv()).await {
            Ok(Some(event)) => event,
            Ok(None) => return Attempt::Died { ending: worker.ended().await, stderr: worker.stderr(), findings },
            Err(_) if cancelled.is_none() => {
                // Asked now: calls that hang together are let go of together.
                cancelled = Some(!worker.serves_others(session.id));
                worker.cancel(call.call);
                until = Instant::now() + CANCELLED;
                continue;
            }
            Err(_) => {
                worker.kill();
                worker.forget(call.call);
                return Attempt::Hung { findings, alone: cancelled.unwrap_or_default() };
            }
        };
        let answer = match event {
            CallEvent::Finding(mut finding) => {
                finding.for_each_text(&mut |text| *text = session.redactor.shown(text, LONGEST_TEXT));
                findings.push(*finding);
                continue;
            }
            CallEvent::Progress(said) => {
                progress(session.line(&said.text, 200));
                continue;
            }
            CallEvent::Result(mut outcome) => {
                // Cut short and with nothing to say: that is no pass.
                if let (Some(alone), true) = (cancelled, findings.is_empty()) {
                    worker.forget(call.call);
                    return Attempt::Hung { findings, alone };
                }
                outcome.for_each_text(&mut |text| *text = session.redactor.shown(text, LONGEST_TEXT));
                CheckAnswer { findings, outcome }
            }
            CallEvent::Failed(failure) => {
                if let Some(alone) = cancelled {
                    worker.forget(call.call);
                    return Attempt::Hung { findings, alone };
                }
                let message = session.line(&failure.message, 500);
                let cause = if failure.cause.is_ours() { failure.cause } else { Cause::PluginBadOutput };
                let code = format!("lineman/{}", cause.as_str().replace('.', "-"));
                findings.push(Finding::new(code, cause, format!("In {}, {message}.", request.check)));
                CheckAnswer { findings, ..CheckAnswer::default() }
            }
            CallEvent::Refused(code) => {
                bad(&request.check, &format!("the plugin refused the call with code {code}"), findings)
            }
            CallEvent::Bad(problem) => {
                // It goes on in there, perhaps for ever, and whoever shares its threads waits: they
                // are better off in a worker of their own.
                worker.kill();
                bad(&request.check, &format!("the plugin sent {}", session.line(&problem, 500)), findings)
            }
        };
        worker.forget(call.call);
        return Attempt::Answered(answer);
    }
}

fn bad(check: &str, problem: &str, mut findings: Vec<Finding>) -> CheckAnswer {
    let message = format!("In {check}, {problem}.");
    findings.push(Finding::new("lineman/plugin-bad-output", Cause::PluginBadOutput, message));
    CheckAnswer { findings, ..CheckAnswer::default() }
}
