//! What is known last of each check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use lineman_model::{Cause, CheckInfo, CheckReport, Finding, IntegrationReport, Level, Report, SkipReason, Status};
use rusqlite::{Transaction, params};
use schemars::JsonSchema;
use serde::Serialize;

use crate::row::{moment, status, word};
use crate::{History, HistoryError};

/// What the last run that decided a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct State {
    /// What it came to.
    pub status: Status,
    /// Why it was not run, when it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<SkipReason>,
    /// Why it is as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What is wrong, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How far up the line.
    pub level: Level,
    /// Whether it counts for the verdict.
    pub required: bool,
    /// When the run ended that found it.
    #[serde(with = "lineman_model::milliseconds")]
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl State {
    /// What a report says of a check; nothing when the check was cut off or not asked for.
    pub fn of(check: &CheckReport, at: Timestamp) -> Option<State> {
        let reason = check.skip.as_ref().map(|skip| skip.reason);
        if matches!(reason, Some(SkipReason::NotRequested | SkipReason::Cancelled)) {
            return None;
        }
        let chief = chief(&check.findings);
        Some(State {
            status: check.status,
            reason,
            cause: chief.map(|finding| finding.cause.clone()),
            message: chief.map(|finding| finding.message.clone()),
            level: check.level,
            required: check.required,
            at,
        })
    }

    /// Whether there is nothing to mend: it passed, perhaps with a warning, or had nothing to do.
    pub fn is_good(&self) -> bool {
        match self.reason {
            Some(reason) => reason != SkipReason::Blocked,
            None => self.status.is_good(),
        }
    }
}

/// The finding that a check's status comes from.
fn chief(findings: &[Finding]) -> Option<&Finding> {
    let counted = || findings.iter().filter(|finding| finding.suppressed.is_none());
    let worst = Status::worst(counted().map(Finding::status)).filter(|worst| *worst != Status::Pass)?;
    counted().find(|finding| finding.status() == worst)
}

/// What is known last of one integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What is known of its checks, by their ids.
    pub checks: BTreeMap<String, State>,
    /// Fingerprints of its secrets in the last run that it did not pass, or else in its last.
    pub secrets: BTreeMap<String, String>,
    /// When that run ended.
    pub at: Option<Timestamp>,
}

impl Known {
    /// What a report knows, by the names of the integrations.
    pub fn of_report(report: &Report) -> BTreeMap<String, Known> {
        report.integrations.iter().map(|it| (it.name.clone(), Known::of(it, report.run.finished_at))).collect()
    }

    pub(crate) fn of(integration: &IntegrationReport, at: Timestamp) -> Known {
        let state = |check: &CheckReport| Some((check.id.clone(), State::of(check, at)?));
        let mark = |it: &lineman_model::Credential| Some((it.secret.clone(), it.fingerprint.clone()?));
        Known {
            checks: integration.checks.iter().filter_map(state).collect(),
            secrets: integration.credentials.iter().filter_map(mark).collect(),
            at: Some(at),
        }
    }

    /// Whether something did not pass.
    pub fn is_broken(&self) -> bool {
        self.checks.values().any(|state| !state.is_good())
    }

    /// Whether something passed with a warning.
    pub fn is_warned(&self) -> bool {
        self.checks.values().any(|state| state.status == Status::Warn)
    }

    /// The checks to run again, of those that the plugin has: what did not pass, or, where `warned`
    /// is to be tested again, passed with a warning; and everything that needs one of those. All of
    /// them, when the plugin could not even be asked.
    pub fn again(&self, checks: &[CheckInfo], warned: bool) -> Vec<String> {
        let open = |state: &State| !state.is_good() || warned && state.status == Status::Warn;
        let mut again: BTreeSet<&str> =
            self.checks.iter().filter(|(_, state)| open(state)).map(|(id, _)| id.as_str()).collect();
        let declared = |id: &str| checks.iter().any(|check| check.id == id);
        if again.iter().any(|id| !declared(id) && id.starts_with(ENGINES)) {
            return checks.iter().filter(|check| !check.explains).map(|check| check.id.clone()).collect();
        }
        loop {
            let before = again.len();
            let needs_one = |check: &&CheckInfo| check.needs.iter().any(|need| again.contains(need.as_str()));
            let more: Vec<&str> = checks.iter().filter(needs_one).map(|check| check.id.as_str()).collect();
            again.extend(more);
            if again.len() == before {
                break;
            }
        }
        again.into_iter().filter(|id| declared(id)).map(str::to_owned).collect()
    }
}

/// Checks of nobody's plugin.
pub(crate) const ENGINES: &str = "lineman/";

impl History {
    /// What is known last of the integrations of a configuration, by their names; nothing where
    /// none of its runs is known.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn known(&self, configuration: &Path) -> Result<BTreeMap<String, Known>, HistoryError> {
        let configuration = configuration.to_string_lossy();
        let known = self.read(|transaction| {
            let mut known: BTreeMap<String, Known> = BTreeMap::new();
            for (integration, check, state) in states(transaction, &configuration, None)? {
                known.entry(integration).or_default().checks.insert(check, state);
            }
            for (integration, known) in &mut known {
                let broken = known.checks.values().any(|state| !state.is_good());
                if let Some((at, secrets)) = secrets(transaction, &configuration, integration, broken)? {
                    (known.at, known.secrets) = (Some(at), secrets);
                }
            }
            Ok(known)
        })?;
        Ok(known.unwrap_or_default())
    }
}

/// The states of the checks of a configuration, or of one of its integrations.
pub(crate) fn states(
    transaction: &Transaction<'_>,
    configuration: &str,
    integration: Option<&str>,
) -> rusqlite::Result<Vec<(String, String, State)>> {
    let mut statement = transaction.prepare(
        "SELECT integration, \"check\", level, required, status, reason, cause, message, at FROM state
         WHERE configuration = ?1 AND (?2 IS NULL OR integration = ?2)",
    )?;
    let rows = statement.query_map(params![configuration, integration], |row| {
        let state = State {
            status: status(row, "status")?,
            reason: row.get::<_, Option<String>>("reason")?.and_then(word),
            cause: row.get::<_, Option<String>>("cause")?.map(|cause| Cause::from(cause.as_str())),
            message: row.get("message")?,
            level: word(row.get("level")?).unwrap_or(Level::Config),
            required: row.get("required")?,
            at: moment(row, "at")?,
        };
        Ok((row.get("integration")?, row.get("check")?, state))
    })?;
    rows.collect()
}

/// The fingerprints of the last run of an integration, of the last that it did not pass where it is
/// broken.
fn secrets(
    transaction: &Transaction<'_>,
    configuration: &str,
    integration: &str,
    broken: bool,
) -> rusqlite::Result<Option<(Timestamp, BTreeMap<String, String>)>> {
    let mut last = transaction.prepare(
        "SELECT outcome.id AS id, finished_at FROM outcome JOIN run ON run.id = outcome.run
         WHERE configuration = ?1 AND integration = ?2 AND (NOT ?3 OR outcome.verdict NOT IN ('pass', 'warn'))
         ORDER BY outcome.id DESC LIMIT 1",
    )?;
    let mut rows = last.query(params![configuration, integration, broken])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (outcome, at): (i64, Timestamp) = (row.get("id")?, moment(row, "finished_at")?);
    let mut given =
        transaction.prepare("SELECT name, fingerprint FROM given WHERE outcome = ?1 AND kind = 'secret'")?;
    let secrets = given.query_map([outcome], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Some((at, secrets.collect::<rusqlite::Result<_>>()?)))
}
