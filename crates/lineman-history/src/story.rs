//! When an integration last passed, when it broke, and what changed between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use lineman_model::{Cause, Status};
use rusqlite::{Transaction, params};
use schemars::JsonSchema;
use serde::Serialize;

use crate::fingerprint::is_same;
use crate::row::{moment, status};
use crate::{Given, History, HistoryError};

/// The name and version of the format of `lineman history`.
pub const HISTORY_SCHEMA: &str = "lineman.history/1";

/// What is known of some integrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stories {
    /// [`HISTORY_SCHEMA`].
    pub schema: String,
    /// By name.
    pub integrations: Vec<Story>,
}

impl Stories {
    /// The document of these.
    pub fn new(integrations: Vec<Story>) -> Stories {
        Stories { schema: HISTORY_SCHEMA.to_owned(), integrations }
    }
}

/// What is known of one integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Story {
    /// Its name.
    pub name: String,
    /// Id of the provider.
    pub provider: String,
    /// What all that is known of it comes to.
    pub state: Status,
    /// Since when, as far as runs are kept: the end of the first run that found it so.
    #[serde(with = "lineman_model::milliseconds")]
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// In one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The last run after which it passed.
    #[serde(skip_serializing_if = "Option::is_none", with = "lineman_model::milliseconds::if_any")]
    #[schemars(with = "Option<String>")]
    pub last_passed: Option<Timestamp>,
    /// The first run after that which it did not pass; nothing while it passes.
    #[serde(skip_serializing_if = "Option::is_none", with = "lineman_model::milliseconds::if_any")]
    #[schemars(with = "Option<String>")]
    pub broke: Option<Timestamp>,
    /// What changed between those two runs; nothing where none of them is known.
    pub changed: Vec<Changed>,
    /// How many runs are kept.
    pub runs: usize,
    /// When the last run ended.
    #[serde(with = "lineman_model::milliseconds")]
    #[schemars(with = "String")]
    pub last_run: Timestamp,
    /// Every run after which something was different, the latest first; the first run is one.
    pub turns: Vec<Turn>,
}

/// A run that changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Turn {
    /// When it ended.
    #[serde(with = "lineman_model::milliseconds")]
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Its id.
    pub run: String,
    /// What all that was known then came to.
    pub state: Status,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What was different from the run before.
    pub changed: Vec<Changed>,
}

/// Something that is different from an earlier run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Changed {
    /// A secret has another value, came or went.
    Credential {
        /// Its name in the configuration.
        name: String,
    },
    /// The plugin has another version, or another library under the same version.
    Plugin {
        /// The version before.
        from: String,
        /// The version after.
        to: String,
    },
    /// A setting has another value, came or went: `settings.region`, `connection.proxies`.
    Setting {
        /// Its name.
        name: String,
    },
    /// The cause is another.
    Cause {
        /// The cause before; nothing when it passed.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<Cause>,
        /// The cause after; nothing when it passes.
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<Cause>,
    },
}

/// One run of an integration.
struct Row {
    at: Timestamp,
    run: String,
    provider: String,
    version: String,
    sha256: String,
    state: Status,
    cause: Option<Cause>,
    message: Option<String>,
    given: Given,
}

impl History {
    /// What is known of one integration of a configuration; nothing where none of its runs is.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn story(&self, configuration: &Path, integration: &str) -> Result<Option<Story>, HistoryError> {
        let configuration = configuration.to_string_lossy();
        let rows = self.read(|transaction| rows(transaction, &configuration, integration))?;
        Ok(rows.and_then(|rows| tell(integration, rows)))
    }
}

fn rows(transaction: &Transaction<'_>, configuration: &str, integration: &str) -> rusqlite::Result<Vec<Row>> {
    let mut outcomes = transaction.prepare(
        "SELECT outcome.id AS id, finished_at, run.run AS run, provider, plugin_version, plugin_sha256, state, cause,
                message
         FROM outcome JOIN run ON run.id = outcome.run
         WHERE configuration = ?1 AND integration = ?2 ORDER BY outcome.id",
    )?;
    let mut given = transaction.prepare("SELECT kind, name, fingerprint FROM given WHERE outcome = ?1")?;
    let mut rows = outcomes.query(params![configuration, integration])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let mut fingerprints = given.query([row.get::<_, i64>("id")?])?;
        let mut given = Given::default();
        while let Some(row) = fingerprints.next()? {
            let kind: String = row.get("kind")?;
            let of = if kind == "secret" { &mut given.secrets } else { &mut given.settings };
            of.insert(row.get("name")?, row.get("fingerprint")?);
        }
        all.push(Row {
            at: moment(row, "finished_at")?,
            run: row.get("run")?,
            provider: row.get("provider")?,
            version: row.get("plugin_version")?,
            sha256: row.get("plugin_sha256")?,
            state: status(row, "state")?,
            cause: row.get::<_, Option<String>>("cause")?.map(|cause| Cause::from(cause.as_str())),
            message: row.get("message")?,
            given,
        });
    }
    Ok(all)
}

fn tell(name: &str, rows: Vec<Row>) -> Option<Story> {
    let last = rows.last()?;
    let same = |row: &&Row| row.state == last.state;
    let since = rows.iter().rev().take_while(same).last()?.at;
    let passed = rows.iter().rposition(|row| row.state.is_good());
    let broke = match passed {
        Some(passed) => rows.get(passed + 1),
        None => rows.first(),
    };
    let between = passed.and_then(|passed| Some((&rows[passed], broke?)));
    let first = Turn { changed: Vec::new(), ..turn(rows.first()?, Vec::new()) };
    let turns = rows.windows(2).filter_map(|pair| {
        let changed = changes(&pair[0], &pair[1]);
        (pair[0].state != pair[1].state || !changed.is_empty()).then(|| turn(&pair[1], changed))
    });
    let mut turns: Vec<Turn> = std::iter::once(first).chain(turns).collect();
    turns.reverse();
    Some(Story {
        name: name.to_owned(),
        provider: last.provider.clone(),
        state: last.state,
        since,
        cause: last.cause.clone(),
        message: last.message.clone(),
        last_passed: passed.map(|passed| rows[passed].at),
        broke: broke.filter(|_| !last.state.is_good()).map(|row| row.at),
        changed: between.map(|(before, after)| changes(before, after)).unwrap_or_default(),
        runs: rows.len(),
        last_run: last.at,
        turns,
    })
}

fn turn(row: &Row, changed: Vec<Changed>) -> Turn {
    Turn { at: row.at, run: row.run.clone(), state: row.state, cause: row.cause.clone(), changed }
}

fn changes(before: &Row, after: &Row) -> Vec<Changed> {
    let mut changed: Vec<Changed> = Vec::new();
    let secrets = differing(&before.given.secrets, &after.given.secrets);
    changed.extend(secrets.into_iter().map(|name| Changed::Credential { name }));
    if (&before.version, &before.sha256) != (&after.version, &after.sha256) {
        changed.push(Changed::Plugin { from: before.version.clone(), to: after.version.clone() });
    }
    let settings = differing(&before.given.settings, &after.given.settings);
    changed.extend(settings.into_iter().map(|name| Changed::Setting { name }));
    if before.cause != after.cause {
        changed.push(Changed::Cause { from: before.cause.clone(), to: after.cause.clone() });
    }
    changed
}

/// Names whose fingerprints differ. A run that had none at all, or had them under another key, says
/// nothing of what changed.
fn differing(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> BTreeSet<String> {
    let comparable = before.values().zip(after.values()).all(|(one, other)| is_same(one, other).is_some());
    if before.is_empty() || after.is_empty() || !comparable {
        return BTreeSet::new();
    }
    let names = before.keys().chain(after.keys());
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}
