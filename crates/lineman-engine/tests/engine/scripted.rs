//! A scripted executor: checks are written as lines of text that say what they are and what they
//! will answer, and reports are read back as lines of text.
//!
//! ```text
//! <level> <id> [< <need> …] [optional] [writes] [explains] [= <try> [| <try> …]]
//! try  = [<milliseconds>ms] (pass | hang | skip <reason> | <outcome as JSON> | <finding> [+ <finding> …])
//! finding = <cause>[!<severity>][@<subject kind>:<subject name>][?<also possible cause>]
//! ```
//!
//! Without tries a check passes; the last try is repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lineman_engine::{
    Executor, Limits, PlanError, Progress, RunInfo, Selection, Subject, Unavailable, Writes, plan, run,
};
use lineman_model::protocol::{CheckAnswer, CheckSkip};
use lineman_model::{
    Cause, CheckInfo, Confidence, Description, Event, Finding, Integration, PluginRef, ProtocolRange, Report,
    SecretMap, Severity, SkipReason,
};
use serde_json::{from_str, from_value, json};

/// A plugin in script: what it declares and what it will answer.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) checks: Vec<CheckInfo>,
    tries: BTreeMap<String, Vec<String>>,
}

/// The script's integration, ready to be checked.
pub(crate) fn subject(name: &str, script: &Script) -> Subject {
    let provider = script.checks.first().and_then(|check| check.id.split('/').next()).unwrap_or("p").to_owned();
    Subject {
        integration: Integration { name: name.into(), provider: provider.clone(), ..Integration::default() },
        plugin: PluginRef { id: provider.clone(), ..PluginRef::default() },
        description: Arc::new(description(&provider, script.checks.clone())),
        inputs: Ok(SecretMap::default()),
        policy: Vec::new(),
        writes: Writes::Named(Vec::new()),
        fingerprints: BTreeMap::new(),
    }
}

fn description(id: &str, checks: Vec<CheckInfo>) -> Description {
    let about = json!({ "id": id, "version": "1.0.0", "title": id, "protocol": ProtocolRange { min: 1, max: 1 },
        "operations": ["check", "close"], "checks": checks });
    from_value(about).unwrap()
}

pub(crate) fn script(text: &str) -> Script {
    let mut script = Script { checks: Vec::new(), tries: BTreeMap::new() };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (declared, tries) = line.split_once(" = ").unwrap_or((line, "pass"));
        let mut words = declared.split_whitespace();
        let level = words.next().unwrap();
        let id = words.next().unwrap().to_owned();
        let rest: BTreeSet<&str> = words.collect();
        let needs: Vec<&str> = rest.iter().copied().filter(|word| word.contains('/')).collect();
        let about = json!({ "id": id, "title": format!("{id} holds"), "level": level, "needs": needs,
            "required": !rest.contains("optional"), "writes": rest.contains("writes"),
            "explains": rest.contains("explains") });
        script.checks.push(from_value(about).unwrap());
        script.tries.insert(id, tries.split(" | ").map(|one| one.trim().to_owned()).collect());
    }
    script
}

pub(crate) fn finding(text: &str) -> Finding {
    let (text, also) = text.split_once('?').map_or((text, None), |(text, also)| (text, Some(also)));
    let (text, subject) = text.split_once('@').map_or((text, None), |(text, subject)| (text, Some(subject)));
    let (cause, severity) = text.split_once('!').map_or((text, None), |(cause, severity)| (cause, Some(severity)));
    let cause = Cause::from(cause);
    assert!(Cause::ALL.contains(&cause), "{cause} is no cause");
    let code = format!("p/{}", cause.as_str().replace('.', "-"));
    let mut finding = Finding::new(code, cause.clone(), format!("it is {cause}"));
    finding.severity = severity.map(|word| from_value::<Severity>(json!(word)).unwrap());
    if let Some((kind, name)) = subject.and_then(|subject| subject.split_once(':')) {
        finding = finding.subject(kind, name);
    }
    if let Some(also) = also {
        finding = finding.confidence(Confidence::Likely).or_else(Cause::from(also), Confidence::Possible);
    }
    finding
}

/// Answers as the scripts say, and watches how it is used.
#[derive(Default)]
pub(crate) struct Scripted {
    tries: Mutex<BTreeMap<(String, String), Vec<String>>>,
    /// Spreads the answers over time, differently for each seed.
    pub(crate) seed: Option<u64>,
    pub(crate) running: AtomicUsize,
    pub(crate) most_at_once: AtomicUsize,
    /// Checks as they were asked for, and closings.
    pub(crate) log: Mutex<Vec<String>>,
}

impl Scripted {
    fn learn(&self, integration: &str, script: &Script) {
        let tries = script.tries.iter().map(|(id, tries)| ((integration.to_owned(), id.clone()), tries.clone()));
        self.tries.lock().unwrap().extend(tries);
    }

    fn next(&self, integration: &str, check: &str) -> String {
        let mut all = self.tries.lock().unwrap();
        let tries = all.get_mut(&(integration.to_owned(), check.to_owned())).unwrap();
        if tries.len() > 1 { tries.remove(0) } else { tries[0].clone() }
    }

    fn delay(&self, integration: &str, check: &str) -> Duration {
        let Some(seed) = self.seed else { return Duration::ZERO };
        let hash = integration
            .bytes()
            .chain(check.bytes())
            .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(6_364_136_223_846_793_005).rotate_left(23));
        Duration::from_millis(hash % 1000)
    }
}

/// Counts a check as running while it lives.
struct Busy<'a>(&'a Scripted);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Executor for Scripted {
    fn check<'a>(
        &'a self,
        subject: &'a Arc<Subject>,
        check: &'a CheckInfo,
        deadline: Duration,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, CheckAnswer> {
        async move {
            let name = &subject.integration.name;
            assert!(subject.secrets().is_some(), "{name} was handed over without its secrets");
            self.log.lock().unwrap().push(format!("{name} {}", check.id));
            self.most_at_once.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let _busy = Busy(self);
            progress(format!("asking {name}\u{1b}[31m"));
            let next = self.next(name, &check.id);
            let (time, said) = match next.split_once("ms ") {
                Some((time, said)) => (Duration::from_millis(time.parse().unwrap()), said),
                None => (self.delay(name, &check.id), next.as_str()),
            };
            // As the host does: an answer in time, or the plugin is given up.
            if said != "hang" && time > deadline {
                tokio::time::sleep(deadline).await;
                return answer("plugin.timed-out");
            }
            tokio::time::sleep(time).await;
            if said == "hang" { std::future::pending().await } else { answer(said) }
        }
        .boxed()
    }

    fn close<'a>(&'a self, subject: &'a Arc<Subject>) -> BoxFuture<'a, ()> {
        self.log.lock().unwrap().push(format!("{} closed", subject.integration.name));
        std::future::ready(()).boxed()
    }
}

fn answer(said: &str) -> CheckAnswer {
    let mut answer = CheckAnswer::default();
    if let Some(reason) = said.strip_prefix("skip ") {
        let reason: SkipReason = from_value(json!(reason)).unwrap();
        answer.outcome.skip = Some(CheckSkip { reason, why: "the script says so".into() });
    } else if said.starts_with('{') {
        answer.outcome = from_str(said).unwrap();
    } else if said != "pass" {
        answer.findings = said.split(" + ").map(finding).collect();
    }
    answer
}

/// Everything that one run is made of.
pub(crate) struct Stage {
    pub(crate) subjects: Vec<Result<Subject, Box<Unavailable>>>,
    pub(crate) selection: Selection,
    pub(crate) limits: Limits,
    pub(crate) info: RunInfo,
    pub(crate) executor: Arc<Scripted>,
    /// Interrupts the run after so long.
    pub(crate) cancel_after: Option<Duration>,
}

impl Stage {
    /// Integrations and their scripts.
    pub(crate) fn new<'a>(integrations: impl IntoIterator<Item = (&'a str, &'a str)>) -> Stage {
        Stage::seeded(None, integrations)
    }

    pub(crate) fn seeded<'a>(seed: Option<u64>, integrations: impl IntoIterator<Item = (&'a str, &'a str)>) -> Stage {
        let executor = Arc::new(Scripted { seed, ..Scripted::default() });
        let mut subjects = Vec::new();
        for (name, text) in integrations {
            let script = script(text);
            executor.learn(name, &script);
            subjects.push(Ok(subject(name, &script)));
        }
        Stage {
            subjects,
            selection: Selection::default(),
            limits: Limits::default(),
            info: RunInfo::default(),
            executor,
            cancel_after: None,
        }
    }

    /// The first integration, to be changed.
    pub(crate) fn first(&mut self) -> &mut Subject {
        self.subjects[0].as_mut().unwrap()
    }

    pub(crate) async fn run(self) -> Result<(Report, Vec<Event>), PlanError> {
        let plan = plan(self.subjects, &self.selection)?;
        let events = Mutex::new(Vec::new());
        let cancel = async {
            match self.cancel_after {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let note = |event| events.lock().unwrap().push(event);
        let report = sendable(run(plan, self.executor, self.limits, self.info, note, cancel)).await;
        Ok((report, events.into_inner().unwrap()))
    }

    pub(crate) async fn report(self) -> Report {
        self.run().await.unwrap().0
    }
}

/// A run may be spawned: this does not compile if it may not.
fn sendable<T: Send>(future: T) -> T {
    future
}

/// A report in a few lines: what depends on anything but the clock.
pub(crate) fn tell(report: &Report) -> String {
    let mut out = String::new();
    for integration in &report.integrations {
        let proved = integration.proved.map_or("nothing", |level| level.as_str());
        writeln!(out, "{}: {}, proved {proved}", integration.name, integration.verdict).unwrap();
        for check in &integration.checks {
            write!(out, "{} {}", check.id, check.status).unwrap();
            if let Some(skip) = &check.skip {
                write!(out, " {}", skip.reason).unwrap();
                skip.blocked_by.iter().for_each(|root| write!(out, " {root}").unwrap());
            }
            check.findings.iter().for_each(|finding| {
                write!(out, " {}{}", finding.cause, if finding.suppressed.is_some() { " (suppressed)" } else { "" })
                    .unwrap();
            });
            check.attempts.iter().for_each(|it| write!(out, " after {} {}", it.status, it.cause).unwrap());
            out.push('\n');
        }
    }
    out
}

/// Compares texts line by line, whatever their indentation.
#[track_caller]
pub(crate) fn assert_lines(seen: &str, expected: &str, input: &str) {
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    };
    assert_eq!(lines(seen), lines(expected), "{input}");
}
