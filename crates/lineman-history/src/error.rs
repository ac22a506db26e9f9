use std::io;
use std::path::PathBuf;

/// Why the history cannot be written or read. Never a reason for a check to fail.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file or directory cannot be made, read or moved.
    #[error("{} cannot be used: {error}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process holds the file for longer than is waited.
    #[error("{} is in use by another process", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file has a later schema.
    #[error("{} was written by a newer Lineman (schema {found}, this one knows {known})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The latest schema that is known here.
        known: i64,
    },
    /// SQLite cannot do what was asked.
    #[error("{}: {why}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// The machine's key is not private.
    #[error(
        "others may read the key of the fingerprints: `chmod 600 {}`, or remove the file to have a new one made",
        path.display()
    )]
    KeyExposed {
        /// The key's file.
        path: PathBuf,
    },
    /// The machine's key is no key.
    #[error("{} holds no key: remove it to have a new one made", path.display())]
    KeyMalformed {
        /// The key's file.
        path: PathBuf,
    },
    /// The key that the configuration refers to could be guessed.
    #[error(
        "the key of the fingerprints has {length} characters and could be guessed; it takes {least}: `openssl rand -hex 32`"
    )]
    KeyShort {
        /// How long it is.
        length: usize,
        /// How long it must be.
        least: usize,
    },
}
