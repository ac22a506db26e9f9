//! What is kept of a run, where, and under which key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use lineman_config::{Config, Environment, ProcessEnvironment, Resolved};
use lineman_history::{FingerprintKey, Given, History, HistoryError, Limits};
use lineman_model::Report;

use crate::cli::{Common, RunArgs};
use crate::failure::{self, Failure};

const MEGABYTE: u64 = 1024 * 1024;

/// Keeps what a run finds, and knows credentials again.
pub(crate) struct Keeper {
    history: Option<History>,
    configuration: PathBuf,
    key: Option<FingerprintKey>,
    /// Whether other runs have the same key.
    lasting: bool,
    /// Whether other machines may have it, so that a report can show what was made with it.
    shared: bool,
}

impl Keeper {
    /// For a run. What is wrong with the history is told and stops nothing.
    pub(crate) async fn for_run(common: &Common, config: &Config, args: &RunArgs) -> Keeper {
        let history = if args.no_history { None } else { history(config) };
        let tell = |error: HistoryError| failure::warn(&format!("credentials are not known again: {error}"));
        let shared = match &config.history.fingerprint_key {
            Some(reference) => {
                match lineman_config::resolve_reference(reference, &ProcessEnvironment, args.run_timeout).await {
                    Ok(secret) => FingerprintKey::shared(&secret).map_err(tell).ok(),
                    Err(why) => {
                        failure::warn(&format!(
                            "`history.fingerprint_key` cannot be had, so no credential is known again: {why}"
                        ));
                        None
                    }
                }
            }
            None => None,
        };
        let own = match &history {
            Some(history) if config.history.fingerprint_key.is_none() => {
                FingerprintKey::of_this_machine(history.directory()).map_err(tell).ok()
            }
            _ => None,
        };
        let (is_shared, lasting) = (shared.is_some(), shared.is_some() || own.is_some());
        Keeper {
            history,
            configuration: identity(common),
            key: shared.or(own).or_else(|| FingerprintKey::passing().ok()),
            lasting,
            shared: is_shared,
        }
    }

    /// The fingerprints of what an integration is given.
    pub(crate) fn given(&self, resolved: &Resolved) -> Given {
        self.key.as_ref().map(|key| key.given(&resolved.integration, &resolved.secrets)).unwrap_or_default()
    }

    /// Those that a report may show: under a key of this machine alone they would say nothing.
    pub(crate) fn shown(&self, given: Option<&Given>) -> BTreeMap<String, String> {
        given.filter(|_| self.shared).map(|given| given.secrets.clone()).unwrap_or_default()
    }

    /// Keeps what a run found.
    pub(crate) fn keep(&self, report: &Report, given: &BTreeMap<String, Given>) {
        let nothing = BTreeMap::new();
        let given = if self.lasting { given } else { &nothing };
        let Some(history) = &self.history else { return };
        if let Err(error) = history.record(&self.configuration, report, given) {
            failure::warn(&format!("this run is not kept: {error}; with `--no-history` nobody tries"));
        }
    }
}

/// The history that a configuration names, for reading it.
pub(crate) fn kept(config: &Config) -> Result<History, Failure> {
    history(config).ok_or_else(|| {
        let why = match config.history.enabled {
            true => {
                "there is neither `XDG_STATE_HOME` nor `HOME` to keep a history in; name a `directory` in `[history]`"
            }
            false => "the configuration keeps no history (`[history] enabled = false`)",
        };
        Failure::refused(format_args!("{why}; a saved report can be given with `--from`"))
    })
}

/// By what runs of the same configuration are known: the file's one true path.
pub(crate) fn identity(common: &Common) -> PathBuf {
    std::fs::canonicalize(&common.config).unwrap_or_else(|_| common.config.clone())
}

fn history(config: &Config) -> Option<History> {
    let table = &config.history;
    let limits = Limits {
        keep: SignedDuration::from_hours(24 * i64::from(table.keep_days)),
        max_bytes: u64::from(table.max_mb) * MEGABYTE,
    };
    let directory = table.directory.clone().or_else(state_directory)?;
    table.enabled.then(|| History::new(directory, limits, failure::warn))
}

/// `$XDG_STATE_HOME/lineman`, else `~/.local/state/lineman`; paths that are not absolute do not count.
fn state_directory() -> Option<PathBuf> {
    let named = |name: &str| ProcessEnvironment.var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = named("XDG_STATE_HOME").or_else(|| Some(named("HOME")?.join(Path::new(".local/state"))))?;
    Some(base.join("lineman"))
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Failure {
        Failure::refused(format_args!("the history cannot be read: {error}"))
    }
}
