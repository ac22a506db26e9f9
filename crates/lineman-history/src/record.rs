//! Writing a run down.

use std::collections::BTreeMap;
use std::path::Path;

use lineman_model::{Cause, CheckReport, IntegrationReport, Report, SkipReason, Status, clean_line};
use rusqlite::{Statement, Transaction, params};

use crate::known::{ENGINES, State, states};
use crate::prune::prune;
use crate::row::text_of;
use crate::{Given, History, HistoryError};

/// The longest text that is kept of a finding, bytes.
const LONGEST: usize = 1000;

impl History {
    /// Keeps what a run found, and lets go what is too old or too much. All of it is kept or nothing.
    ///
    /// `configuration` is the canonical path of the main file: runs of two files do not mix.
    /// `given` are the fingerprints of each integration, by its name.
    ///
    /// # Errors
    /// When it cannot be written; what was there before is whole.
    pub fn record(
        &self,
        configuration: &Path,
        report: &Report,
        given: &BTreeMap<String, Given>,
    ) -> Result<(), HistoryError> {
        let configuration = configuration.to_string_lossy();
        let nothing = Given::default();
        self.write(|transaction| {
            let run = insert_run(transaction, &configuration, report)?;
            let mut writer = Writer::new(transaction, &configuration, run, report)?;
            for integration in &report.integrations {
                writer.integration(integration, given.get(&integration.name).unwrap_or(&nothing))?;
            }
            drop(writer);
            prune(transaction, self.limits, report.run.finished_at)
        })
    }
}

fn insert_run(transaction: &Transaction<'_>, configuration: &str, report: &Report) -> rusqlite::Result<i64> {
    let run = &report.run;
    transaction.execute(
        "INSERT INTO run (run, configuration, started_at, finished_at, complete, verdict, lineman_version, vantage, host)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            run.id,
            configuration,
            text_of(run.started_at),
            text_of(run.finished_at),
            run.complete,
            report.verdict.as_str(),
            run.lineman_version,
            run.vantage.name,
            run.vantage.host,
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// Writes the integrations of one run.
struct Writer<'a> {
    transaction: &'a Transaction<'a>,
    configuration: &'a str,
    run: i64,
    report: &'a Report,
    outcome: Statement<'a>,
    result: Statement<'a>,
    finding: Statement<'a>,
    given: Statement<'a>,
    state: Statement<'a>,
    gone: Statement<'a>,
    expiry: Statement<'a>,
    no_dates: Statement<'a>,
}

impl<'a> Writer<'a> {
    fn new(
        transaction: &'a Transaction<'a>,
        configuration: &'a str,
        run: i64,
        report: &'a Report,
    ) -> rusqlite::Result<Writer<'a>> {
        Ok(Writer {
            transaction,
            configuration,
            run,
            report,
            outcome: transaction.prepare(
                "INSERT INTO outcome
                 (run, integration, provider, plugin_version, plugin_sha256, verdict, state, cause, message)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?,
            result: transaction.prepare("INSERT INTO result VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?,
            finding: transaction.prepare("INSERT INTO finding VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?,
            given: transaction.prepare("INSERT INTO given VALUES (?1, ?2, ?3, ?4)")?,
            state: transaction.prepare("REPLACE INTO state VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?,
            gone: transaction
                .prepare("DELETE FROM state WHERE configuration = ?1 AND integration = ?2 AND \"check\" = ?3")?,
            expiry: transaction.prepare("REPLACE INTO expiry VALUES (?1, ?2, ?3, ?4, ?5)")?,
            no_dates: transaction.prepare("DELETE FROM expiry WHERE configuration = ?1 AND integration = ?2")?,
        })
    }

    fn integration(&mut self, integration: &IntegrationReport, given: &Given) -> rusqlite::Result<()> {
        self.states(integration)?;
        let all = states(self.transaction, self.configuration, Some(&integration.name))?;
        let (state, cause, message) = sum(all.into_iter().map(|(_, _, state)| state).collect());
        self.outcome.execute(params![
            self.run,
            integration.name,
            integration.provider,
            integration.plugin.version,
            integration.plugin.sha256,
            integration.verdict.as_str(),
            state.as_str(),
            cause.as_ref().map(Cause::as_str),
            message,
        ])?;
        let outcome = self.transaction.last_insert_rowid();
        for check in &integration.checks {
            self.check(outcome, check)?;
        }
        for (kind, all) in [("secret", &given.secrets), ("setting", &given.settings)] {
            for (name, fingerprint) in all {
                self.given.execute(params![outcome, kind, name, fingerprint])?;
            }
        }
        self.dates(integration)
    }

    /// What is known last of each check. Checks that the plugin has no more are forgotten, unless
    /// the plugin could not be asked which it has.
    fn states(&mut self, integration: &IntegrationReport) -> rusqlite::Result<()> {
        let at = self.report.run.finished_at;
        for check in &integration.checks {
            let Some(state) = State::of(check, at) else { continue };
            self.state.execute(params![
                self.configuration,
                integration.name,
                check.id,
                state.level.as_str(),
                state.required,
                state.status.as_str(),
                state.reason.map(SkipReason::as_str),
                state.cause.as_ref().map(Cause::as_str),
                state.message.as_deref().map(|message| clean_line(message, LONGEST)),
                text_of(at),
            ])?;
        }
        if integration.checks.iter().all(|check| check.id.starts_with(ENGINES)) {
            return Ok(());
        }
        for (_, id, _) in states(self.transaction, self.configuration, Some(&integration.name))? {
            if !integration.checks.iter().any(|check| check.id == id) {
                self.gone.execute(params![self.configuration, integration.name, id])?;
            }
        }
        Ok(())
    }

    fn check(&mut self, outcome: i64, check: &CheckReport) -> rusqlite::Result<()> {
        let skip = check.skip.as_ref();
        if skip.is_some_and(|skip| skip.reason == SkipReason::NotRequested) {
            return Ok(());
        }
        self.result.execute(params![
            outcome,
            check.id,
            check.level.as_str(),
            check.required,
            check.status.as_str(),
            skip.map(|skip| skip.reason.as_str()),
            skip.and_then(|skip| skip.blocked_by.as_deref()),
            i64::try_from(check.duration_ms).unwrap_or(i64::MAX),
        ])?;
        for finding in &check.findings {
            self.finding.execute(params![
                outcome,
                check.id,
                clean_line(&finding.code, LONGEST),
                finding.cause.as_str(),
                finding.confidence.as_str(),
                finding.status().as_str(),
                clean_line(&finding.message, LONGEST),
                finding.fingerprint,
                finding.suppressed.is_some(),
            ])?;
        }
        Ok(())
    }

    /// Dates that a run did not read, because it did not come so far, stay as they were.
    fn dates(&mut self, integration: &IntegrationReport) -> rusqlite::Result<()> {
        let came_through = |check: &CheckReport| match &check.skip {
            Some(skip) => matches!(skip.reason, SkipReason::NotApplicable | SkipReason::MissingInput),
            None => check.status.is_good(),
        };
        if integration.checks.iter().all(came_through) {
            self.no_dates.execute(params![self.configuration, integration.name])?;
        }
        for expiry in &integration.expires {
            let what = clean_line(&expiry.what, LONGEST);
            let (at, seen) = (text_of(expiry.at), text_of(self.report.run.finished_at));
            self.expiry.execute(params![self.configuration, integration.name, what, at, seen])?;
        }
        Ok(())
    }
}

/// What the states of an integration's checks come to: the worst of those that count, and the cause
/// of the lowest on the line that is as bad.
fn sum(mut states: Vec<State>) -> (Status, Option<Cause>, Option<String>) {
    states.retain(|state| state.required && state.reason.is_none());
    states.sort_by_key(|state| state.level);
    let Some(worst) = Status::worst(states.iter().map(|state| state.status)) else {
        return (Status::Unknown, None, None);
    };
    let chief = states.into_iter().find(|state| state.status == worst);
    chief.map_or((worst, None, None), |state| (worst, state.cause, state.message))
}
