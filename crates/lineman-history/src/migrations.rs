//! The tables, as they came to be. A migration that has left this house is never changed.

use rusqlite::Transaction;

use crate::file::Trouble;

/// From an empty file to the tables of today; the schema's number is how many were made.
pub(crate) const MIGRATIONS: [&str; 2] = [RUNS, DATES];

/// Runs and what they found, and what is known last of each check. Times are RFC 3339 in UTC, so
/// that they sort, and read well in `sqlite3`.
const RUNS: &str = "
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    configuration TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT NOT NULL,
    complete INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    lineman_version TEXT NOT NULL,
    vantage TEXT,
    host TEXT NOT NULL
) STRICT;
CREATE INDEX run_configuration ON run (configuration, id);

-- One integration in one run: `verdict` is of what ran, `state` of all that is known then.
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    integration TEXT NOT NULL,
    provider TEXT NOT NULL,
    plugin_version TEXT NOT NULL,
    plugin_sha256 TEXT NOT NULL,
    verdict TEXT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT,
    message TEXT
) STRICT;
CREATE INDEX outcome_run ON outcome (run);
CREATE INDEX outcome_integration ON outcome (integration, id);

CREATE TABLE result (
    outcome INTEGER NOT NULL REFERENCES outcome (id) ON DELETE CASCADE,
    \"check\" TEXT NOT NULL,
    level TEXT NOT NULL,
    required INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    blocked_by TEXT,
    duration_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX result_outcome ON result (outcome);

CREATE TABLE finding (
    outcome INTEGER NOT NULL REFERENCES outcome (id) ON DELETE CASCADE,
    \"check\" TEXT NOT NULL,
    code TEXT NOT NULL,
    cause TEXT NOT NULL,
    confidence TEXT NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    suppressed INTEGER NOT NULL
) STRICT;
CREATE INDEX finding_outcome ON finding (outcome);

-- What an integration was given: fingerprints under a key that is not in this file.
CREATE TABLE given (
    outcome INTEGER NOT NULL REFERENCES outcome (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('secret', 'setting')),
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL
) STRICT;
CREATE INDEX given_outcome ON given (outcome);

-- What the last run that decided a check found.
CREATE TABLE state (
    configuration TEXT NOT NULL,
    integration TEXT NOT NULL,
    \"check\" TEXT NOT NULL,
    level TEXT NOT NULL,
    required INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    cause TEXT,
    message TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (configuration, integration, \"check\")
) STRICT, WITHOUT ROWID;
";

/// What expires when, as it was read last.
const DATES: &str = "
CREATE TABLE expiry (
    configuration TEXT NOT NULL,
    integration TEXT NOT NULL,
    what TEXT NOT NULL,
    at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    PRIMARY KEY (configuration, integration, what)
) STRICT, WITHOUT ROWID;
";

/// The schema of today.
pub(crate) const LATEST: i64 = MIGRATIONS.len() as i64;

/// Brings a file to the schema of today, in its transaction.
pub(crate) fn migrate(transaction: &Transaction<'_>) -> Result<(), Trouble> {
    let found = version(transaction)?;
    if found > LATEST {
        return Err(Trouble::Newer(found));
    }
    let done = usize::try_from(found).unwrap_or_default();
    for migration in &MIGRATIONS[done..] {
        transaction.execute_batch(migration)?;
    }
    if done < MIGRATIONS.len() {
        transaction.pragma_update(None, "user_version", LATEST)?;
    }
    Ok(())
}

pub(crate) fn version(connection: &rusqlite::Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
