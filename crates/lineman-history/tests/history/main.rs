//! What is kept, and what is made of it. Runs are written as lines of text:
//!
//! ```text
//! <integration>: <check> <outcome> [, …]
//! outcome = pass | warn <cause> | fail <cause> | unknown <cause> | blocked | cancelled | not-requested | not-applicable
//! ```
//!
//! A check is `<level>` alone, and required.

mod compared;
mod damage;
mod kept;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use lineman_history::{Given, History, Limits};
use lineman_model::{
    Cause, CheckInfo, CheckReport, Expiry, Finding, IntegrationReport, Level, PluginRef, Report, Severity, Skip,
    SkipReason, Status,
};
use serde_json::{Value, from_value, json};

/// The configuration whose runs these are.
pub(crate) fn configuration() -> &'static Path {
    Path::new("/etc/lineman.toml")
}

pub(crate) const KEEP: Limits = Limits { keep: SignedDuration::from_hours(24 * 90), max_bytes: 64 << 20 };

/// A history in a directory of its own, which nothing may warn of.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) history: History,
}

impl Place {
    pub(crate) fn new(limits: Limits) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let history = History::new(directory.path().join("state"), limits, |warning| panic!("{warning}"));
        Place { directory, history }
    }

    /// Keeps a run that ended so many hours after the first moment.
    pub(crate) fn run(&self, hour: i64, lines: &str) {
        self.run_given(hour, lines, &BTreeMap::new());
    }

    pub(crate) fn run_given(&self, hour: i64, lines: &str, given: &BTreeMap<String, Given>) {
        self.history.record(configuration(), &report(hour, lines), given).unwrap();
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.history.path()
    }
}

/// So many hours after the first moment.
pub(crate) fn at(hour: i64) -> Timestamp {
    let first: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    first + SignedDuration::from_hours(hour)
}

/// What an integration of a provider was given, under a key that is the same for all.
pub(crate) fn given(name: &str, secrets: &[(&str, &str)], settings: &[(&str, &str)]) -> BTreeMap<String, Given> {
    let marks = |all: &[(&str, &str)]| {
        all.iter().map(|(name, value)| ((*name).to_owned(), format!("key:{value}"))).collect::<BTreeMap<_, _>>()
    };
    BTreeMap::from([(name.to_owned(), Given { secrets: marks(secrets), settings: marks(settings) })])
}

pub(crate) fn report(hour: i64, lines: &str) -> Report {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let integrations: Vec<IntegrationReport> = lines.map(integration).collect();
    let verdict = Status::worst(integrations.iter().map(|it| it.verdict)).unwrap_or(Status::Unknown);
    let cancelled = |check: &CheckReport| check.skip.as_ref().is_some_and(|it| it.reason == SkipReason::Cancelled);
    let complete = !integrations.iter().flat_map(|it| &it.checks).any(cancelled);
    let run = json!({ "id": format!("run-{hour}"), "started_at": at(hour), "finished_at": at(hour), "duration_ms": 0,
        "lineman_version": "0.1.0", "complete": complete, "vantage": {} });
    Report {
        schema: lineman_model::REPORT_SCHEMA.to_owned(),
        run: from_value(run).unwrap(),
        verdict,
        summary: Default::default(),
        causes: Vec::new(),
        integrations,
    }
}

fn integration(line: &str) -> IntegrationReport {
    let (name, checks) = line.split_once(": ").unwrap();
    let (checks, expires) = checks.split_once(" ends ").map_or((checks, None), |(checks, at)| (checks, Some(at)));
    let checks: Vec<CheckReport> = checks.split(", ").map(check).collect();
    let expires = expires.map(|expires| {
        let (what, at) = expires.split_once(" on ").unwrap();
        Expiry { what: what.to_owned(), at: format!("{at}T00:00:00Z").parse().unwrap() }
    });
    IntegrationReport {
        name: name.to_owned(),
        provider: "p".to_owned(),
        labels: BTreeMap::new(),
        owner: None,
        runbook: None,
        plugin: PluginRef { id: "p".to_owned(), version: "1.0.0".to_owned(), sha256: "00".to_owned() },
        verdict: Status::worst(checks.iter().map(|check| check.status)).unwrap_or(Status::Unknown),
        proved: None,
        not_proved: Vec::new(),
        requirements: Vec::new(),
        expires: expires.into_iter().collect(),
        credentials: Vec::new(),
        checks,
    }
}

fn check(text: &str) -> CheckReport {
    let mut words = text.split_whitespace();
    let level: Level = words.next().unwrap().parse().unwrap();
    let (outcome, cause) = (words.next().unwrap(), words.next().map(Cause::from));
    let severity = match outcome {
        "warn" => Some(Severity::Warn),
        "fail" => Some(Severity::Fail),
        "unknown" => Some(Severity::Unknown),
        _ => None,
    };
    let finding = severity.map(|severity| {
        let cause = cause.unwrap_or(Cause::Undetermined);
        Finding::new(format!("p/{}", cause.as_str().replace('.', "-")), cause.clone(), format!("it is {cause}"))
            .severity(severity)
    });
    let findings: Vec<Finding> = finding.into_iter().collect();
    let reason: Option<SkipReason> = from_value(Value::from(outcome)).ok();
    let skip = reason.map(|reason| Skip { reason, blocked_by: None, why: None });
    CheckReport {
        id: format!("p/{level}"),
        title: String::new(),
        level,
        required: true,
        status: if skip.is_some() { Status::Skip } else { Status::of(&findings) },
        duration_ms: 1,
        attempts: Vec::new(),
        phases: Vec::new(),
        skip,
        findings,
    }
}

/// The plugin's checks: each level needs the one below it.
pub(crate) fn declared() -> Vec<CheckInfo> {
    let needs = |at: usize| at.checked_sub(1).map(|below| format!("p/{}", Level::ALL[below]));
    let check = |(at, level): (usize, &Level)| json!({ "id": format!("p/{level}"), "title": "", "level": level, "needs": needs(at).into_iter().collect::<Vec<_>>() });
    Level::ALL.iter().enumerate().map(check).map(|check| from_value(check).unwrap()).collect()
}
