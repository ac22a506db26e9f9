//! What is different from the last time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lineman_model::{Cause, Credential, Doc, IntegrationReport, Report, Status, Summary};
use schemars::JsonSchema;
use serde::Serialize;

use crate::fingerprint::is_same;
use crate::known::ENGINES;
use crate::{Given, Known, State};

/// The name and version of the format of `lineman retest`.
pub const RETEST_SCHEMA: &str = "lineman.retest/1";

/// What came of testing again.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Retest {
    /// [`RETEST_SCHEMA`].
    pub schema: String,
    /// How many times it was tried; 0 when there was nothing to test again.
    pub attempts: u32,
    /// How many integrations came to what.
    pub summary: BTreeMap<Change, usize>,
    /// What was tested again, by name.
    pub integrations: Vec<Retested>,
    /// The report of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

impl Retest {
    /// The document of these.
    pub fn new(attempts: u32, integrations: Vec<Retested>, report: Option<Report>) -> Retest {
        let mut summary = BTreeMap::new();
        integrations.iter().for_each(|it| *summary.entry(it.change).or_default() += 1);
        Retest { schema: RETEST_SCHEMA.to_owned(), attempts, summary, integrations, report }
    }
}

/// What is different of a check or an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It did not pass, for the same cause as now.
    StillFailing,
    /// It did not pass, for another cause than now.
    ChangedCause,
    /// It passed, or was not reached, and does not pass now.
    NewlyFailing,
    /// It did not pass and was not reached now.
    NotRun,
    /// It did not pass and does now.
    Fixed,
}

impl Change {
    /// The word, as people read it.
    pub fn words(self) -> &'static str {
        match self {
            Change::StillFailing => "still failing",
            Change::ChangedCause => "changed cause",
            Change::NewlyFailing => "newly failing",
            Change::NotRun => "not run",
            Change::Fixed => "fixed",
        }
    }
}

/// What came of one integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Retested {
    /// Its name.
    pub name: String,
    /// Id of the provider.
    pub provider: String,
    /// What is different.
    pub change: Change,
    /// What the checks that ran come to.
    pub verdict: Status,
    /// The cause before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause_before: Option<Cause>,
    /// The cause now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// How many of its checks ran.
    pub ran: usize,
    /// How many of those passed.
    pub passed: usize,
    /// When the run ended that it is compared with: the last that it did not pass.
    #[serde(skip_serializing_if = "Option::is_none", with = "lineman_model::milliseconds::if_any")]
    #[schemars(with = "Option<String>")]
    pub compared_with: Option<Timestamp>,
    /// The checks that are different, or still do not pass, in the plugin's order.
    pub checks: Vec<Difference>,
    /// Its credentials.
    pub credentials: Vec<CredentialNews>,
    /// When it was first seen to pass, where that was waited for.
    #[serde(skip_serializing_if = "Option::is_none", with = "lineman_model::milliseconds::if_any")]
    #[schemars(with = "Option<String>")]
    pub passed_at: Option<Timestamp>,
    /// How long after the first attempt began that was, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_after_ms: Option<u64>,
    /// How long a change may take to have effect, where the plugin knows it of the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// How long a change takes to have effect at a provider, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Spread {
    /// In one sentence.
    pub says: String,
    /// Where the provider says so.
    pub docs: Doc,
}

/// What is different of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// The check's id.
    pub check: String,
    /// What is different.
    pub change: Change,
    /// What was known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<State>,
    /// What is known now; nothing when it was not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<State>,
}

/// Whether a credential is the one of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// It is.
    Unchanged,
    /// It is another.
    Replaced,
    /// There was none.
    Added,
    /// No fingerprint of before can be compared with this one.
    Unknown,
}

/// What is known of a credential beside whether it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CredentialNews {
    /// Whether it is the one of before.
    pub change: Comparison,
    /// What its provider tells of it.
    #[serde(flatten)]
    pub told: Credential,
}

/// Compares what was known with what a report of the same integrations says. `given` are the
/// fingerprints of now.
pub fn compare(
    known: &BTreeMap<String, Known>,
    integrations: &[IntegrationReport],
    given: &BTreeMap<String, Given>,
    at: Timestamp,
) -> Vec<Retested> {
    let nothing = (Known::default(), Given::default());
    let one = |it: &IntegrationReport| {
        let (before, given) = (known.get(&it.name).unwrap_or(&nothing.0), given.get(&it.name).unwrap_or(&nothing.1));
        retested(it, before, given, at)
    };
    integrations.iter().map(one).collect()
}

fn retested(integration: &IntegrationReport, before: &Known, given: &Given, at: Timestamp) -> Retested {
    let now = Known::of(integration, at);
    let checks = integration.checks.iter().filter_map(|check| difference(&check.id, before, &now));
    // The engine's own say nothing that anyone asked for.
    let ran = || integration.checks.iter().filter(|check| check.skip.is_none() && !check.id.starts_with(ENGINES));
    let (cause_before, cause) = (chief(before), chief(&now));
    let cut_off = before
        .checks
        .iter()
        .any(|(id, state)| !state.is_good() && !now.checks.contains_key(id) && declared(integration, id));
    let change = if now.is_broken() {
        match (before.is_broken(), cause_before == cause) {
            (false, _) => Change::NewlyFailing,
            (true, true) => Change::StillFailing,
            (true, false) => Change::ChangedCause,
        }
    } else if cut_off {
        Change::NotRun
    } else if !before.is_broken() && now.is_warned() {
        // What was tested again is a warning.
        Change::StillFailing
    } else {
        Change::Fixed
    };
    Retested {
        name: integration.name.clone(),
        provider: integration.provider.clone(),
        change,
        verdict: integration.verdict,
        cause_before,
        cause,
        ran: ran().count(),
        passed: ran().filter(|check| check.status.is_good()).count(),
        compared_with: before.at,
        checks: checks.collect(),
        credentials: credentials(integration, before, given),
        passed_at: None,
        passed_after_ms: None,
        spread: None,
    }
}

fn declared(integration: &IntegrationReport, id: &str) -> bool {
    integration.checks.iter().any(|check| check.id == id)
}

fn difference(id: &str, before: &Known, now: &Known) -> Option<Difference> {
    let (before, now) = (before.checks.get(id), now.checks.get(id));
    let was_seen_failing = before.is_some_and(|state| !state.is_good() && state.reason.is_none());
    let change = match (before, now) {
        (None, None) => return None,
        (Some(before), None) if before.is_good() => return None,
        (Some(_), None) => Change::NotRun,
        (before, Some(now)) if now.is_good() => match before {
            Some(before) if !before.is_good() => Change::Fixed,
            Some(before) if before.status == Status::Warn && now.status == Status::Warn => Change::StillFailing,
            Some(before) if before.status == Status::Warn => Change::Fixed,
            _ => return None,
        },
        // Not reached now is no news of a check that was not reached before.
        (Some(before), Some(now)) if now.reason.is_some() && !before.is_good() => match was_seen_failing {
            true => Change::NotRun,
            false => Change::StillFailing,
        },
        (Some(before), Some(now)) if was_seen_failing => match before.cause == now.cause {
            true => Change::StillFailing,
            false => Change::ChangedCause,
        },
        _ => Change::NewlyFailing,
    };
    Some(Difference { check: id.to_owned(), change, before: before.cloned(), now: now.cloned() })
}

/// The cause of the lowest check on the line that is as bad as any; a warning has one too.
fn chief(known: &Known) -> Option<Cause> {
    let worst = Status::worst(known.checks.values().map(|state| state.status))?;
    let mut chiefs: Vec<(&String, &State)> = known.checks.iter().filter(|(_, state)| state.status == worst).collect();
    chiefs.sort_by_key(|(id, state)| (state.level, *id));
    chiefs.first().and_then(|(_, state)| state.cause.clone())
}

fn credentials(integration: &IntegrationReport, before: &Known, given: &Given) -> Vec<CredentialNews> {
    let told = |name: &str| integration.credentials.iter().find(|it| it.secret == name).cloned();
    let given = given.secrets.iter().map(|(name, mark)| {
        let change = match before.secrets.get(name) {
            Some(earlier) => match is_same(earlier, mark) {
                Some(true) => Comparison::Unchanged,
                Some(false) => Comparison::Replaced,
                None => Comparison::Unknown,
            },
            None if before.secrets.is_empty() => Comparison::Unknown,
            None => Comparison::Added,
        };
        let told = told(name).unwrap_or_else(|| Credential { secret: name.clone(), ..Credential::default() });
        CredentialNews { change, told }
    });
    given.collect()
}

/// Whether an integration waits for another credential: its provider has rejected this one, and
/// would count every further attempt. What may change without it, such as permissions or an
/// approval, may be tried again, and so may a cause that `spreads`: the provider says that a change
/// which mends it takes a while to have effect.
pub fn awaits_a_credential(integration: &IntegrationReport, spreads: impl Fn(&Cause) -> bool) -> bool {
    use Cause::*;
    let rejected = |cause: &Cause| {
        matches!(
            cause,
            CredentialMalformed
                | CredentialInvalid
                | CredentialExpired
                | CredentialRevoked
                | CredentialWrongAccount
                | SshKeyRejected
        )
    };
    let mut broken = integration.findings().filter(|finding| !finding.status().is_good());
    broken.any(|finding| rejected(&finding.cause) && !spreads(&finding.cause))
}

/// The reports of several attempts as one: of each integration what the last attempt found that
/// tried it, and of the run what the last attempt says.
pub fn merged(mut attempts: Vec<Report>) -> Option<Report> {
    let mut last = attempts.pop()?;
    while let Some(earlier) = attempts.pop() {
        let missing = |name: &String| !last.integrations.iter().any(|it| it.name == *name);
        let causes: Vec<_> =
            earlier.causes.into_iter().filter(|group| group.integrations.iter().all(missing)).collect();
        let integrations: Vec<_> = earlier.integrations.into_iter().filter(|it| missing(&it.name)).collect();
        last.causes.extend(causes);
        last.integrations.extend(integrations);
        last.run.started_at = earlier.run.started_at;
    }
    last.integrations.sort_by(|a, b| a.name.cmp(&b.name));
    last.verdict = Status::worst(last.integrations.iter().map(|it| it.verdict)).unwrap_or(Status::Unknown);
    last.summary = Summary {
        integrations: last.integrations.iter().map(|it| it.verdict).collect(),
        checks: last.integrations.iter().flat_map(|it| &it.checks).map(|check| check.status).collect(),
    };
    Some(last)
}

/// Whether everything of an integration that ran, or was to, passed.
pub fn passes(integration: &IntegrationReport) -> bool {
    !Known::of(integration, Timestamp::UNIX_EPOCH).is_broken() && integration.verdict.is_good()
}
