//! Private directories of a run: made 0700, removed at its end, and swept at the next start when
//! a run could not remove its own.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// How often a run makes its directory before it gives up.
const TRIES: usize = 16;

/// The directory of one run. A lock on a file in it says that the run lives.
pub(crate) struct Scratch {
    root: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes a directory below `base`, and removes those of runs that have ended.
    pub(crate) fn new(base: &Path) -> io::Result<Scratch> {
        let uid = rustix::process::getuid().as_raw();
        let home = base.join(format!("lineman-{uid}"));
        match DirBuilder::new().mode(0o700).create(&home) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let seen = std::fs::symlink_metadata(&home)?;
        if !seen.is_dir() || seen.uid() != uid || seen.mode() & 0o077 != 0 {
            let problem = format!("{} belongs to somebody else or is open to others", home.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
        }
        sweep(&home);
        for _ in 0..TRIES {
            let root = tempfile::Builder::new()
                .prefix("run-")
                .permissions(std::fs::Permissions::from_mode(0o700))
                .tempdir_in(&home)?
                .keep();
            let lock = File::create(root.join("lock"))?;
            // Another run may be sweeping, and take this one, not locked yet, for dead.
            flock(&lock, FlockOperation::LockExclusive)?;
            if root.join("lock").exists() {
                return Ok(Scratch { root, _lock: lock });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// The directory that holds all files of one plugin: what it may write, and nobody else read.
    pub(crate) fn of_plugin(&self, id: &str) -> PathBuf {
        self.path("plugins").join(id)
    }

    /// A path in the directory of the run.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// A directory of the run, made when it is not there yet.
    pub(crate) fn directory(&self, path: PathBuf) -> io::Result<PathBuf> {
        DirBuilder::new().mode(0o700).recursive(true).create(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next start.
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn sweep(home: &Path) {
    let Ok(entries) = std::fs::read_dir(home) else { return };
    for run in entries.flatten().map(|entry| entry.path()) {
        // Held until the run is gone: who is just making it waits, and then sees that it is.
        let _held = match File::open(run.join("lock")) {
            Ok(lock) if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() => continue,
            Ok(lock) => Some(lock),
            // A run that is just being made has no lock yet.
            Err(_) if is_young(&run) => continue,
            Err(_) => None,
        };
        let _ = std::fs::remove_dir_all(&run);
    }
}

fn is_young(path: &Path) -> bool {
    let age = std::fs::metadata(path).and_then(|seen| seen.modified()).map(|made| made.elapsed());
    matches!(age, Ok(Ok(age)) if age.as_secs() < 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_killed_is_swept_and_one_that_lives_is_not() {
        let base = tempfile::tempdir().unwrap();
        let living = Scratch::new(base.path()).unwrap();
        let dead = Scratch::new(base.path()).unwrap();
        let left_over = dead.root.clone();
        let Scratch { _lock, .. } = &dead;
        flock(_lock, FlockOperation::Unlock).unwrap();
        let next = Scratch::new(base.path()).unwrap();
        assert!(living.root.exists() && next.root.exists() && !left_over.exists());
        let ended = next.root.clone();
        drop(next);
        assert!(!ended.exists());
    }

    #[test]
    fn runs_that_begin_together_do_not_sweep_each_other() {
        let base = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let run = Scratch::new(base.path()).unwrap();
                        assert!(run.root.join("lock").exists());
                    }
                });
            }
        });
    }

    #[test]
    fn a_directory_that_others_may_read_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let home = base.path().join(format!("lineman-{}", rustix::process::getuid().as_raw()));
        std::fs::create_dir(&home).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Scratch::new(base.path()).is_err());
    }
}
