//! One worker on the bench: calls go in, and what comes out is kept and sorted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lineman_host::Door;
use lineman_host::probe::{Ground, Heard, Probe};
use lineman_model::protocol::{CheckOutcome, CheckRequest, CloseRequest, Failure, FromWorker, event, host_call, op};
use lineman_model::{CheckInfo, Finding, Integration, Level, SecretMap, Severity, Status};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::kit::{Fault, Kit};
use crate::{Case, endpoint};

/// The deadline of a call that has no reason to wait.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);
/// How much later than its deadline an answer may come: the host gives less, and this machine may
/// be busy.
pub(crate) const LEEWAY: Duration = Duration::from_secs(2);
/// How long a plugin may be silent before it is taken to have said everything.
pub(crate) const QUIET: Duration = Duration::from_millis(300);
/// How long a shutdown may take.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(5);

/// A plugin in a worker, and everything that came out of it.
pub(crate) struct Bench<'a> {
    pub(crate) kit: &'a Kit<'a>,
    pub(crate) probe: Probe,
    pub(crate) calls: BTreeMap<u64, Call>,
    /// Events for calls that had ended or never were, with their kinds.
    pub(crate) strays: Vec<(u64, u32)>,
    /// Events that were not what their kind says.
    pub(crate) malformed: Vec<String>,
    /// Whether the plugin has shut down, as often as it was told.
    pub(crate) shutdowns: usize,
    pub(crate) descriptors: Option<u64>,
    next_session: u64,
}

/// One call and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// What was called, for people.
    pub(crate) what: String,
    /// The check, where it was one.
    pub(crate) check: Option<CheckInfo>,
    pub(crate) session: u64,
    pub(crate) findings: Vec<Finding>,
    /// Everything that was said in it, as it was said.
    pub(crate) said: Vec<String>,
    /// Whether something of it could not be read, so that what was found is not known.
    pub(crate) garbled: bool,
    pub(crate) end: Option<End>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum End {
    Result(CheckOutcome),
    Error(Failure),
    Refused(u32),
    /// Something that is no answer.
    Bad,
}

impl Call {
    /// The status that the host would give the check; none for one that did not run.
    pub(crate) fn status(&self) -> Option<Status> {
        match self.end.as_ref()? {
            _ if self.garbled => Some(Status::Error),
            End::Result(outcome) if outcome.skip.is_some() && self.findings.is_empty() => None,
            End::Result(_) => Some(Status::of(&self.judged().collect::<Vec<_>>())),
            _ => Some(Status::Error),
        }
    }

    /// What was found, with the severity that the host would give it.
    pub(crate) fn judged(&self) -> impl Iterator<Item = Finding> {
        let level = self.check.as_ref().map_or(Level::Config, |check| check.level);
        self.findings.iter().cloned().map(move |mut finding| {
            finding.severity.get_or_insert(Severity::of(&finding.cause, level));
            finding
        })
    }

    /// Whether it was answered as something that cannot be done.
    pub(crate) fn is_rejected(&self) -> bool {
        matches!(self.end, Some(End::Refused(_) | End::Error(_)))
    }
}

/// Where checks are run.
pub(crate) struct Place<'a> {
    pub(crate) integration: Integration,
    pub(crate) secrets: &'a SecretMap,
}

impl<'a> Bench<'a> {
    pub(crate) async fn new(kit: &'a Kit<'a>) -> Result<Bench<'a>, Fault> {
        Bench::on(kit, Ground::default()).await
    }

    pub(crate) async fn on(kit: &'a Kit<'a>, ground: Ground) -> Result<Bench<'a>, Fault> {
        let probe = kit.probe(ground).await?;
        Ok(Bench {
            kit,
            probe,
            calls: BTreeMap::new(),
            strays: Vec::new(),
            malformed: Vec::new(),
            shutdowns: 0,
            descriptors: None,
            next_session: 1,
        })
    }

    /// The kit's integration, with its provider at an endpoint.
    pub(crate) fn place(&self, endpoint: &endpoint::Endpoint) -> Result<Place<'a>, Fault> {
        let sample = self.kit.sample()?;
        Ok(Place { integration: sample.integration(&endpoint.url), secrets: &sample.secrets })
    }

    /// A session that nobody has used yet.
    pub(crate) fn session(&mut self) -> u64 {
        self.next_session += 1;
        self.next_session
    }

    /// The request of a check.
    pub(crate) fn request(
        &self,
        check: &str,
        session: u64,
        place: &Place<'_>,
        deadline: Duration,
    ) -> Result<CheckRequest, Fault> {
        Ok(CheckRequest {
            check: check.to_owned(),
            session,
            deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
            integration: place.integration.clone(),
            secrets: place.secrets.clone(),
            programs: self.kit.prober.programs(&self.kit.description()?.programs),
            directory: self.kit.prober.directory()?.display().to_string(),
        })
    }

    /// Submits a check.
    pub(crate) fn check(
        &mut self,
        check: &CheckInfo,
        session: u64,
        place: &Place<'_>,
        deadline: Duration,
    ) -> Result<u64, Fault> {
        let request = self.request(&check.id, session, place, deadline)?;
        let call = self.submit(op::CHECK, &check.id, &request)?;
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.check = Some(check.clone());
            entry.session = session;
        }
        Ok(call)
    }

    /// Submits checks, each in a session of its own.
    pub(crate) fn check_each(
        &mut self,
        checks: &[&CheckInfo],
        place: &Place<'_>,
        deadline: Duration,
    ) -> Result<Vec<u64>, Fault> {
        let most = usize::try_from(self.kit.description()?.max_parallel.max(1)).unwrap_or(usize::MAX);
        let each = checks.iter().take(most);
        each.map(|check| {
            let session = self.session();
            self.check(check, session, place, deadline)
        })
        .collect()
    }

    /// Runs checks to their ends. Those that never end are the business of another case.
    pub(crate) async fn run_each(&mut self, checks: &[&CheckInfo], place: &Place<'_>) -> Result<Vec<u64>, Fault> {
        let calls = self.try_each(checks, place).await?;
        self.answered(&calls)?;
        Ok(calls)
    }

    /// Runs checks, each in a session of its own, no more at once than the plugin takes, and
    /// waits for their ends while there is hope.
    pub(crate) async fn try_each(&mut self, checks: &[&CheckInfo], place: &Place<'_>) -> Result<Vec<u64>, Fault> {
        let most = usize::try_from(self.kit.description()?.max_parallel.max(1)).unwrap_or(usize::MAX);
        let mut all = Vec::new();
        for some in checks.chunks(most) {
            let calls = self.check_each(some, place, DEADLINE)?;
            self.settle(&calls, DEADLINE + LEEWAY).await?;
            all.extend(calls);
        }
        Ok(all)
    }

    /// Ends a session.
    pub(crate) fn close(&mut self, session: u64) -> Result<u64, Fault> {
        self.submit(op::CLOSE, &format!("closing session {session}"), &CloseRequest { session })
    }

    /// Submits whatever is a request.
    pub(crate) fn submit(&mut self, op: &str, what: &str, request: &impl Serialize) -> Result<u64, Fault> {
        let call = self.probe.submit(op, request)?;
        self.calls.insert(call, Call { what: what.to_owned(), ..Call::default() });
        Ok(call)
    }

    /// Submits whatever bytes.
    pub(crate) fn submit_bytes(&mut self, op: &str, what: &str, request: &[u8]) -> Result<u64, Fault> {
        self.behind_a_library("bytes that are no JSON do not reach a program: frames are JSON")?;
        let call = self.probe.submit_bytes(op, request)?;
        self.calls.insert(call, Call { what: what.to_owned(), ..Call::default() });
        Ok(call)
    }

    /// Listens until calls have ended, or time is up. A worker that ends is a crash.
    pub(crate) async fn settle(&mut self, calls: &[u64], within: Duration) -> Result<(), Fault> {
        let until = Instant::now() + within;
        let waiting: BTreeSet<u64> = calls.iter().copied().collect();
        self.listen(until, |bench| waiting.iter().all(|call| bench.has_ended(*call))).await
    }

    /// Listens until nothing has been said for a while.
    pub(crate) async fn quiet(&mut self) -> Result<(), Fault> {
        self.listen(Instant::now() + QUIET, |_| false).await
    }

    /// Listens until calls have ended, all but those that wait for the silent server: gives those.
    pub(crate) async fn waiting(&mut self, calls: &[u64], silent: &endpoint::Endpoint) -> Result<Vec<u64>, Fault> {
        let until = Instant::now() + DEADLINE;
        loop {
            self.listen(Instant::now() + QUIET, |_| false).await?;
            let left: Vec<u64> = calls.iter().copied().filter(|call| !self.has_ended(*call)).collect();
            if left.is_empty() || silent.visited(Instant::now()).await || Instant::now() > until {
                return Ok(left);
            }
        }
    }

    /// Tells the plugin to shut down, and says whether it did so in time.
    pub(crate) async fn shut_down(&mut self) -> Result<bool, Fault> {
        self.behind_a_library("a program ends when it shuts down")?;
        let before = self.shutdowns;
        self.probe.shut_down()?;
        self.listen(Instant::now() + SHUTDOWN, |bench| bench.shutdowns > before).await?;
        Ok(self.shutdowns > before)
    }

    /// Some questions are answered by the worker, which for a program is no longer there.
    fn behind_a_library(&self, otherwise: &str) -> Result<(), Fault> {
        match self.kit.subject.door() {
            Door::Exec1 => Err(Fault::Skip(otherwise.to_owned())),
            Door::Rust1 | Door::C1 => Ok(()),
        }
    }

    /// How many descriptors the worker has open.
    pub(crate) async fn descriptors(&mut self) -> Result<u64, Fault> {
        self.behind_a_library("a program is not asked for its descriptors")?;
        self.descriptors = None;
        self.probe.measure()?;
        self.listen(Instant::now() + DEADLINE, |bench| bench.descriptors.is_some()).await?;
        self.descriptors.ok_or_else(|| Fault::Skip("the worker does not answer".to_owned()))
    }

    async fn listen(&mut self, until: Instant, enough: impl Fn(&Bench<'a>) -> bool) -> Result<(), Fault> {
        while !enough(self) {
            match self.probe.hear(until).await {
                Heard::Message(message) => self.sort(message),
                Heard::Silence => return Ok(()),
                Heard::End => {
                    let ending = self.probe.ending().await;
                    let open = self.calls.values().filter(|call| call.end.is_none());
                    let during: Vec<&str> = open.map(|call| call.what.as_str()).take(5).collect();
                    let last = self.probe.written();
                    let last = last.lines().rev().find(|line| !line.trim().is_empty());
                    let last = last.map(|line| format!(", after `{line}`")).unwrap_or_default();
                    return Err(Fault::Crash(format!(
                        "the plugin's worker {ending} during {}{last}",
                        during.join(", ")
                    )));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn has_ended(&self, call: u64) -> bool {
        self.calls.get(&call).is_some_and(|call| call.end.is_some())
    }

    /// Every one of these calls, when all have ended; another case is for those that do not.
    pub(crate) fn answered(&self, calls: &[u64]) -> Result<Vec<&Call>, Fault> {
        let calls: Vec<&Call> = calls.iter().filter_map(|call| self.calls.get(call)).collect();
        match calls.iter().find(|call| call.end.is_none()) {
            Some(open) => Err(Fault::see(&format!("{} was never answered", open.what), Case::OneTerminalEvent)),
            None => Ok(calls),
        }
    }

    /// Everything that was said, with who said it.
    pub(crate) fn said(&self) -> impl Iterator<Item = (&str, &str)> {
        self.calls.values().flat_map(|call| call.said.iter().map(|text| (call.what.as_str(), text.as_str())))
    }

    fn sort(&mut self, message: FromWorker) {
        let (call, kind, body) = match message {
            FromWorker::Event { call, kind, body } => (call, kind, body),
            FromWorker::Refused { call, code } => return self.end(call, End::Refused(code)),
            FromWorker::BadEvent { call, problem } => {
                let what = self.calls.get(&call).map(|call| call.what.clone()).unwrap_or_default();
                self.malformed.push(format!("{what}: {problem}"));
                return self.end(call, End::Bad);
            }
            FromWorker::Stray { call, kind } => return self.strays.push((call, kind)),
            FromWorker::ShutDown {} => return self.shutdowns += 1,
            FromWorker::Measured { descriptors } => return self.descriptors = Some(descriptors),
            FromWorker::HostCall { call, op, body } => {
                // A secret that is registered is meant for the host.
                if op != host_call::SECRET {
                    self.calls.entry(call).or_default().said.push(body.get().to_owned());
                }
                return;
            }
            FromWorker::Hello { .. } | FromWorker::NotLoaded { .. } => return,
        };
        let Some(entry) = self.calls.get_mut(&call) else { return };
        entry.said.push(body.get().to_owned());
        let read = match kind {
            event::FINDING => read(&body).map(|finding| {
                entry.findings.push(finding);
                None
            }),
            event::PROGRESS => read::<lineman_model::protocol::Progress>(&body).map(|_| None),
            event::RESULT => read(&body).map(|outcome| Some(End::Result(outcome))),
            event::ERROR => read(&body).map(|failure| Some(End::Error(failure))),
            _ => return,
        };
        match read {
            Ok(Some(end)) => self.end(call, end),
            Ok(None) => {}
            Err(error) => {
                entry.garbled = true;
                let what = entry.what.clone();
                self.malformed.push(format!("{what}: {} that cannot be read: {error}", kind_name(kind)));
                if matches!(kind, event::RESULT | event::ERROR) {
                    self.end(call, End::Bad);
                }
            }
        }
    }

    fn end(&mut self, call: u64, end: End) {
        if let Some(call) = self.calls.get_mut(&call) {
            call.end = Some(end);
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &RawValue) -> serde_json::Result<T> {
    serde_json::from_str(body.get())
}

/// What a kind of event is called.
pub(crate) fn kind_name(kind: u32) -> String {
    match kind {
        event::FINDING => "a finding".to_owned(),
        event::PROGRESS => "progress".to_owned(),
        event::RESULT => "a result".to_owned(),
        event::ERROR => "an error".to_owned(),
        other => format!("an event of kind {other}"),
    }
}
