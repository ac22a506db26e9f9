//! What must hold of plugins before a worker starts: who may write them, whose signature they
//! bear, that they are the ones that were accepted, and that their libraries are what they name.

use std::io;
use std::path::{Path, PathBuf};

use crate::discover::Installed;
use crate::lock::{Acceptance, LockFile, Locked};
use crate::manifest::ManifestError;
use crate::signature::TrustedKeys;

/// Whom a configuration trusts.
#[derive(Clone, Debug)]
pub struct Trust {
    keys: TrustedKeys,
    lock: PathBuf,
}

/// How plugins stand to the lock file.
#[derive(Debug)]
pub enum Held {
    /// They are the ones that were accepted.
    AsAccepted,
    /// There is no lock file: this one says what they are, and nobody has written it yet.
    First(LockFile),
}

/// Why nothing starts.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The lock file cannot be used.
    #[error(transparent)]
    Lock(#[from] ManifestError),
    /// There is no lock file where there has to be one.
    #[error("there is no {}", lock.display())]
    NoLock {
        /// Where it is missing.
        lock: PathBuf,
    },
    /// The lock file cannot be written.
    #[error("{} cannot be written: {source}", lock.display())]
    NotWritten {
        /// Where it should be.
        lock: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A plugin was never accepted.
    #[error("the plugin `{id}` is not in {}", lock.display())]
    Unknown {
        /// The plugin.
        id: String,
        /// The lock file.
        lock: PathBuf,
    },
    /// A plugin is not the one that was accepted.
    #[error("the plugin `{id}` is not the one in {}: {what}", lock.display())]
    Changed {
        /// The plugin.
        id: String,
        /// The lock file.
        lock: PathBuf,
        /// What differs, as a clause.
        what: String,
    },
    /// A plugin's own files are not as they should be.
    #[error("the plugin `{id}` is not trusted: {error}")]
    Plugin {
        /// The plugin.
        id: String,
        /// What is wrong.
        error: ManifestError,
    },
    /// A plugin is not signed as it has to be.
    #[error("the plugin `{id}` is not trusted: {error}")]
    Unsigned {
        /// The plugin.
        id: String,
        /// What is wrong with its signature.
        error: ManifestError,
    },
}

impl Trust {
    /// These keys, and the lock file beside a configuration.
    pub fn new(keys: TrustedKeys, configuration: &Path) -> Trust {
        Trust { keys, lock: LockFile::beside(configuration) }
    }

    /// The keys whose signatures count.
    pub fn keys(&self) -> &TrustedKeys {
        &self.keys
    }

    /// Where the lock file is, or would be.
    pub fn lock_file(&self) -> &Path {
        &self.lock
    }

    /// Holds plugins against signatures and the lock file. Libraries are not read, and nothing is
    /// written. With `locked`, a lock file must be there.
    pub fn hold(&self, plugins: &[&Installed], locked: bool) -> Result<Held, TrustError> {
        let lock = LockFile::read(&self.lock)?;
        if lock.is_none() && locked {
            return Err(TrustError::NoLock { lock: self.lock.clone() });
        }
        let mut first = LockFile::default();
        for plugin in plugins {
            let seen = self.look(plugin)?;
            match &lock {
                Some(lock) => self.compare(plugin.id(), lock.get(plugin.id()), &seen)?,
                None => _ = first.accept(plugin.id(), seen),
            }
        }
        Ok(if lock.is_some() { Held::AsAccepted } else { Held::First(first) })
    }

    /// Accepts plugins as they are now, down to the bytes of their libraries, and writes the lock
    /// file if that changes it. With `only`, every plugin that it does not name is forgotten.
    pub fn accept(
        &self,
        plugins: &[&Installed],
        only: Option<&[String]>,
    ) -> Result<Vec<(String, Acceptance)>, TrustError> {
        let mut seen = Vec::new();
        for plugin in plugins {
            seen.push((plugin.id(), self.look(plugin)?));
        }
        verify_libraries(plugins)?;
        let (old, mut new) = self.read()?;
        let accepted = seen.into_iter().map(|(id, seen)| (id.to_owned(), new.accept(id, seen))).collect();
        new.retain(|id| only.is_none_or(|only| only.iter().any(|wanted| wanted == id)));
        self.replace(old, &new)?;
        Ok(accepted)
    }

    /// Forgets a plugin.
    pub fn forget(&self, id: &str) -> Result<(), TrustError> {
        let (old, mut new) = self.read()?;
        new.retain(|known| known != id);
        if old.is_none() { Ok(()) } else { self.replace(old, &new) }
    }

    /// Writes the lock file of a first use.
    pub fn write(&self, lock: &LockFile) -> Result<(), TrustError> {
        lock.write(&self.lock).map_err(|source| TrustError::NotWritten { lock: self.lock.clone(), source })
    }

    fn read(&self) -> Result<(Option<LockFile>, LockFile), TrustError> {
        let old = LockFile::read(&self.lock)?;
        let new = old.clone().unwrap_or_default();
        Ok((old, new))
    }

    fn replace(&self, old: Option<LockFile>, new: &LockFile) -> Result<(), TrustError> {
        if old.as_ref() == Some(new) { Ok(()) } else { self.write(new) }
    }

    /// A plugin as it is now, once its files and its signature are in order.
    fn look(&self, plugin: &Installed) -> Result<Locked, TrustError> {
        let id = || plugin.id().to_owned();
        // Every file that is used is looked at, and the description is hashed.
        let look = || plugin.description().and_then(|_| Locked::of(plugin));
        let (seen, manifest) = look().map_err(|error| TrustError::Plugin { id: id(), error })?;
        let signed = self.keys.verify(&plugin.directory, &manifest);
        signed.map_err(|error| TrustError::Unsigned { id: id(), error })?;
        Ok(seen)
    }

    fn compare(&self, id: &str, accepted: Option<&Locked>, seen: &Locked) -> Result<(), TrustError> {
        let (id, lock) = (id.to_owned(), self.lock.clone());
        match accepted.map(|accepted| accepted.difference(seen)) {
            None => Err(TrustError::Unknown { id, lock }),
            Some(Some(what)) => Err(TrustError::Changed { id, lock, what }),
            Some(None) => Ok(()),
        }
    }
}

/// Hashes the libraries of plugins, all at once: each is the one that its manifest names.
pub fn verify_libraries(plugins: &[&Installed]) -> Result<(), TrustError> {
    let verify = |plugin: &Installed| {
        plugin.verify_library().map_err(|error| TrustError::Plugin { id: plugin.id().to_owned(), error })
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = plugins.iter().map(|plugin| scope.spawn(|| verify(plugin))).collect();
        all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
