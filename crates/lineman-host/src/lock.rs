//! `lineman.lock`: which plugins, to the byte, a configuration was accepted with.
//!
//! The manifest of a plugin names the hashes of everything else in it, so the manifest's own hash
//! decides. The others stand beside it for people, and so that a message can say what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::discover::Installed;
use crate::guard;
use crate::manifest::{Manifest, ManifestError, TARGET, read_limited};
use crate::worker::hex;

/// The version of the format.
const VERSION: u32 = 1;
/// A lock file larger than this is none.
const LIMIT: u64 = 4 * 1024 * 1024;

const HEAD: &str = "# The plugins that the configuration beside this file was accepted with.\n\
                    # `lineman plugin lock` writes it; keep it in version control.\n";

/// The content of a lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    version: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    plugin: BTreeMap<String, Locked>,
}

/// One plugin that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Its version.
    pub version: String,
    /// What it was installed from; for people alone.
    pub source: String,
    /// SHA-256 of its description.
    pub description: String,
    /// SHA-256 of its manifests: one, unless each target is shipped by itself.
    pub manifests: BTreeSet<String>,
    /// SHA-256 of its library, by target.
    pub targets: BTreeMap<String, String>,
}

/// What accepting a plugin changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It was accepted before, as it is.
    Same,
    /// It was not there.
    New,
    /// It was accepted for other targets.
    Extended,
    /// It was accepted in this version, with other bytes.
    Changed(String),
}

impl Default for LockFile {
    fn default() -> LockFile {
        LockFile { version: VERSION, plugin: BTreeMap::new() }
    }
}

impl LockFile {
    /// Where the lock file of a configuration is: beside it, `lineman.lock` for `lineman.toml`.
    pub fn beside(configuration: &Path) -> PathBuf {
        match configuration.extension().is_some_and(|extension| extension == "toml") {
            true => configuration.with_extension("lock"),
            false => {
                let mut name = configuration.as_os_str().to_owned();
                name.push(".lock");
                name.into()
            }
        }
    }

    /// Reads a lock file; nothing when there is none.
    pub fn read(path: &Path) -> Result<Option<LockFile>, ManifestError> {
        // A link that leads nowhere is not the same as no lock.
        if matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        guard::configuration(path)?;
        LockFile::parse(path, &read_limited(path, LIMIT)?).map(Some)
    }

    /// Reads the text of a lock file; `path` is where it stands, for what is said of it.
    pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<LockFile, ManifestError> {
        let text = std::str::from_utf8(text).map_err(|_| ManifestError::untrusted(path, "is not UTF-8"))?;
        let lock: LockFile = toml::from_str(text).map_err(|error| {
            let line = text[..error.span().map_or(0, |span| span.start)].matches('\n').count() + 1;
            ManifestError::untrusted(path, format!("is wrong in line {line}: {}", error.message()))
        })?;
        if lock.version != VERSION {
            let problem = format!("is of version {}, and this Lineman knows version {VERSION}", lock.version);
            return Err(ManifestError::untrusted(path, problem));
        }
        Ok(lock)
    }

    /// Writes it beside its place and moves it there.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;

        let text = toml::to_string(self).map_err(io::Error::other)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As any file that is made to be shared; the umask still holds.
        let mode = std::fs::Permissions::from_mode(0o644);
        let mut file = tempfile::Builder::new().prefix(".lineman-lock-").permissions(mode).tempfile_in(directory)?;
        file.write_all(HEAD.as_bytes())?;
        file.write_all(b"\n")?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// What was accepted of a plugin.
    pub fn get(&self, id: &str) -> Option<&Locked> {
        self.plugin.get(id)
    }

    /// Accepts a plugin as it is.
    ///
    /// What was accepted of the same version for other targets stays accepted: some publishers
    /// ship one package for each.
    pub fn accept(&mut self, id: &str, seen: Locked) -> Acceptance {
        let Some(old) = self.plugin.get_mut(id) else {
            self.plugin.insert(id.to_owned(), seen);
            return Acceptance::New;
        };
        if old.difference(&seen).is_none() {
            return Acceptance::Same;
        }
        let agrees = |target: &String, sha256: &String| old.targets.get(target).is_none_or(|known| known == sha256);
        let same = old.version == seen.version && old.description == seen.description;
        if same && seen.targets.iter().all(|(target, sha256)| agrees(target, sha256)) {
            old.manifests.extend(seen.manifests);
            old.targets.extend(seen.targets);
            return Acceptance::Extended;
        }
        let version = std::mem::replace(old, seen).version;
        Acceptance::Changed(version)
    }

    /// Forgets every plugin but these.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.plugin.retain(|id, _| wanted(id));
    }
}

impl Locked {
    /// A plugin as it is now; its library is not read. Gives the bytes of the manifest as well.
    pub(crate) fn of(installed: &Installed) -> Result<(Locked, Vec<u8>), ManifestError> {
        let (manifest, bytes) = Manifest::read_with_bytes(&installed.directory)?;
        if manifest != installed.manifest {
            return Err(ManifestError::untrusted(&installed.directory, "changed while it was read"));
        }
        let locked = Locked {
            version: manifest.version,
            source: installed.source(),
            description: manifest.description.sha256,
            manifests: BTreeSet::from([hex(&Sha256::digest(&bytes))]),
            targets: manifest.target.into_iter().map(|(target, file)| (target, file.sha256)).collect(),
        };
        Ok((locked, bytes))
    }

    /// What differs in a plugin from what was accepted, as a clause.
    pub(crate) fn difference(&self, seen: &Locked) -> Option<String> {
        if self.version != seen.version {
            return Some(format!("it is version {}, and {} was accepted", seen.version, self.version));
        }
        match (self.targets.get(TARGET), seen.targets.get(TARGET)) {
            (None, Some(_)) => return Some(format!("it was not accepted for {TARGET}")),
            (Some(accepted), Some(now)) if accepted != now => {
                return Some(format!("its library is not the one that was accepted as version {}", self.version));
            }
            _ => {}
        }
        if self.description != seen.description {
            return Some("its description is not the one that was accepted".to_owned());
        }
        let known = seen.manifests.is_subset(&self.manifests);
        (!known).then(|| "its manifest is not the one that was accepted".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(version: &str, description: &str, manifest: &str, targets: &[(&str, &str)]) -> Locked {
        Locked {
            version: version.to_owned(),
            source: "acme.tar.gz".to_owned(),
            description: description.to_owned(),
            manifests: BTreeSet::from([manifest.to_owned()]),
            targets: targets.iter().map(|(target, hash)| ((*target).to_owned(), (*hash).to_owned())).collect(),
        }
    }

    #[test]
    fn every_change_is_named_and_accepting_it_ends_it() {
        let first = locked("1.0.0", "d", "m", &[(TARGET, "a"), ("other", "b")]);
        let check = |seen: Locked, says: &str, becomes: Acceptance| {
            let mut lock = LockFile::default();
            assert_eq!(lock.accept("acme", first.clone()), Acceptance::New);
            assert_eq!(lock.accept("acme", first.clone()), Acceptance::Same);
            let difference = first.difference(&seen);
            assert!(difference.as_ref().is_some_and(|said| said.contains(says)), "{difference:?}, not `{says}`");
            assert_eq!(lock.accept("acme", seen.clone()), becomes);
            assert_eq!(lock.get("acme").unwrap().difference(&seen), None, "accepted, and still refused");
            lock
        };
        let changed = || Acceptance::Changed("1.0.0".to_owned());
        check(locked("1.1.0", "d", "m2", &[(TARGET, "a")]), "it is version 1.1.0, and 1.0.0", changed());
        check(locked("1.0.0", "d", "m2", &[(TARGET, "c")]), "its library is not the one", changed());
        check(locked("1.0.0", "e", "m2", &[(TARGET, "a")]), "its description is not", changed());
        check(locked("1.0.0", "d", "m2", &[(TARGET, "a"), ("other", "c")]), "its manifest is not", changed());
        let lock = check(locked("1.0.0", "d", "m2", &[(TARGET, "a")]), "its manifest is not", Acceptance::Extended);
        // Both ways to ship it are accepted now.
        assert_eq!(lock.get("acme").unwrap().difference(&first), None);

        let elsewhere = locked("1.0.0", "d", "m1", &[("other", "b")]);
        assert_eq!(elsewhere.difference(&first), Some(format!("it was not accepted for {TARGET}")));
    }

    #[test]
    fn a_lock_file_reads_as_it_was_written_and_nonsense_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lineman.lock");
        assert_eq!(LockFile::read(&path).unwrap(), None);
        let mut lock = LockFile::default();
        lock.accept("acme", locked("1.0.0", "d", "m", &[(TARGET, "a")]));
        lock.write(&path).unwrap();
        assert_eq!(LockFile::read(&path).unwrap().as_ref(), Some(&lock));
        for (text, says) in [
            ("version = 2", "is of version 2"),
            ("version = 1\n[plugin.acme]\nversion = '1'", "is wrong in line 2: missing field"),
            ("version = 1\nplugins = 3", "is wrong in line 2: unknown field"),
            ("not toml", "is wrong in line 1"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = LockFile::read(&path).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn each_configuration_has_a_lock_of_its_own() {
        let check = |configuration: &str, lock: &str| {
            assert_eq!(LockFile::beside(Path::new(configuration)), Path::new(lock));
        };
        check("lineman.toml", "lineman.lock");
        check("/etc/lineman/staging.toml", "/etc/lineman/staging.lock");
        check("lineman.lock", "lineman.lock.lock");
        check("configuration", "configuration.lock");
    }
}
