//! The file: opening it, waiting for others, and setting it aside when it is damaged.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::HistoryError;
use crate::migrations::{LATEST, migrate, version};

const FILE: &str = "history.db";
/// Held by the process that sets a damaged file aside.
const LOCK: &str = "history.lock";
/// How long a process waits for others.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Runs that are older go.
    pub keep: SignedDuration,
    /// When the file is larger than this many bytes, the oldest runs go; the last one stays.
    pub max_bytes: u64,
}

/// The history of a user on this machine. Nothing is held open between two calls.
#[derive(Debug)]
pub struct History {
    directory: PathBuf,
    pub(crate) limits: Limits,
    warn: fn(&str),
}

/// What went wrong in SQLite, before it is known what that means.
#[derive(Debug)]
pub(crate) enum Trouble {
    Sqlite(rusqlite::Error),
    Newer(i64),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Sqlite(error)
    }
}

impl Trouble {
    /// Whether the file is no database any more, or not the one that was written here.
    fn is_damage(&self) -> bool {
        let Trouble::Sqlite(error) = self else { return false };
        match error {
            rusqlite::Error::SqliteFailure(failure, why) => match failure.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => true,
                // A table that ought to be there.
                _ => why.as_deref().is_some_and(|why| why.starts_with("no such") || why.contains("already exists")),
            },
            rusqlite::Error::SqlInputError { msg, .. } => msg.starts_with("no such") || msg.contains("already exists"),
            rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..) => true,
            _ => false,
        }
    }
}

impl History {
    /// The history in a directory, which is made when something is written. `warn` is told when a
    /// damaged file was set aside.
    pub fn new(directory: impl Into<PathBuf>, limits: Limits, warn: fn(&str)) -> History {
        History { directory: directory.into(), limits, warn }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// Does some work in one transaction that all of it or nothing is kept of.
    pub(crate) fn write<T>(&self, work: impl Fn(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, HistoryError> {
        make_directory(&self.directory)?;
        self.whole(|| {
            let mut connection = self.open()?;
            // Asked for at once, so that nobody waits half way for somebody who waits for them.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            migrate(&transaction)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }

    /// Reads, all of it from one moment; nothing where there is no history.
    pub(crate) fn read<T>(
        &self,
        work: impl Fn(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, HistoryError> {
        match fs::metadata(self.path()) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unusable(error)),
        }
        self.whole(|| {
            let mut connection = self.open()?;
            match version(&connection)? {
                // Made by a process that was ended before it wrote anything.
                0 => return Ok(None),
                LATEST => {}
                _ => {
                    let older = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                    migrate(&older)?;
                    older.commit()?;
                }
            }
            Ok(Some(work(&connection.transaction()?)?))
        })
    }

    /// Tries, and once more with a new file when this one is damaged.
    fn whole<T>(&self, work: impl Fn() -> Result<T, Trouble>) -> Result<T, HistoryError> {
        self.make()?;
        match work() {
            Err(trouble) if trouble.is_damage() => self.anew(work),
            done => done.map_err(|trouble| self.error(trouble)),
        }
    }

    /// Makes the file where there is none, so that it is the user's alone from its first moment.
    fn make(&self) -> Result<(), HistoryError> {
        match OpenOptions::new().create(true).append(true).mode(0o600).open(self.path()) {
            Ok(_) => Ok(()),
            // What cannot be written may still be read.
            Err(error) if error.kind() != ErrorKind::NotFound && self.path().is_file() => Ok(()),
            Err(error) => Err(self.unusable(error)),
        }
    }

    fn open(&self) -> Result<Connection, Trouble> {
        // One thread has it, so SQLite need not guard it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path(), flags)?;
        connection.busy_timeout(PATIENCE)?;
        // What others put into the file must not run, and pages that are cut are no pages.
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        if fs::metadata(self.path()).is_ok_and(|file| file.len() == 0) {
            // Room that is given back can go back to the file system; to be said before the first table.
            connection.pragma_update(None, "auto_vacuum", "incremental")?;
        }
        Ok(connection)
    }

    /// Renames a damaged file, and the journal that belongs to it, which would be taken for that of
    /// a new one; then tries with a new one.
    fn anew<T>(&self, work: impl Fn() -> Result<T, Trouble>) -> Result<T, HistoryError> {
        let path = self.directory.join(LOCK);
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let lock: File = lock.map_err(|error| HistoryError::Unusable { path, error })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HistoryError::Busy { path: self.path() }),
            Err(TryLockError::Error(error)) => return Err(self.unusable(error)),
        }
        match work() {
            Err(trouble) if trouble.is_damage() => {}
            // Another process was quicker, and the file is a new one.
            done => return done.map_err(|trouble| self.error(trouble)),
        }
        let name = format!("{FILE}.damaged-{}", Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ"));
        let aside = self.directory.join(&name);
        fs::rename(self.path(), &aside).map_err(|error| self.unusable(error))?;
        let journal = |of: &str| self.directory.join(format!("{of}-journal"));
        match fs::rename(journal(FILE), journal(&name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(self.unusable(error)),
            _ => {}
        }
        (self.warn)(&format!("the history was damaged and is set aside as {}; a new one begins", aside.display()));
        self.make()?;
        work().map_err(|trouble| self.error(trouble))
    }

    fn unusable(&self, error: std::io::Error) -> HistoryError {
        HistoryError::Unusable { path: self.path(), error }
    }

    fn error(&self, trouble: Trouble) -> HistoryError {
        let path = self.path();
        match trouble {
            Trouble::Newer(found) => HistoryError::Newer { path, found, known: LATEST },
            Trouble::Sqlite(rusqlite::Error::SqliteFailure(failure, why)) => match failure.code {
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => HistoryError::Busy { path },
                _ => HistoryError::Database { path, why: why.unwrap_or_else(|| failure.to_string()) },
            },
            Trouble::Sqlite(error) => HistoryError::Database { path, why: error.to_string() },
        }
    }
}

/// Makes a directory that is the user's alone; one that is there stays as it is.
pub(crate) fn make_directory(directory: &Path) -> Result<(), HistoryError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| HistoryError::Unusable { path: directory.to_owned(), error })
}
