//! Puts shipped plugins into place, and takes them away again: whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::discover::Installed;
use crate::guard;
use crate::host::{Host, HostError};
use crate::manifest::{HashedFile, MANIFEST, Manifest, ManifestError, read_limited};
use crate::package::Package;
use crate::signature::{self, TrustedKeys};
use crate::worker::{hex, read_hashed};

/// Name of the note on where a plugin was installed from.
const NOTE: &str = "installed.toml";
const NOTE_LIMIT: u64 = 4096;

/// What Lineman writes beside the files of a plugin that it installs.
#[derive(Serialize, Deserialize)]
struct Note {
    source: String,
}

/// A plugin that was put into place.
#[derive(Debug)]
pub struct Arrival {
    /// It.
    pub installed: Installed,
    /// The version that was there before.
    pub replaced: Option<String>,
    /// The trusted key that signed it.
    pub signed_by: Option<String>,
}

impl Installed {
    /// What it was installed from, as far as that was noted.
    pub fn source(&self) -> String {
        let note = read_limited(&self.directory.join(NOTE), NOTE_LIMIT).ok();
        let note = note.and_then(|bytes| toml::from_str::<Note>(std::str::from_utf8(&bytes).ok()?).ok());
        note.map_or_else(|| "found installed".to_owned(), |note| lineman_model::clean_line(&note.source, 200))
    }

    /// The size of its library, bytes.
    pub fn size(&self) -> Result<u64, ManifestError> {
        let library = self.library()?;
        let seen = fs::metadata(&library);
        Ok(seen.map_err(|error| ManifestError::new(&library, format!("cannot be read: {error}")))?.len())
    }

    /// Takes it away. What is in the way of that leaves it whole or gone, never half.
    pub fn remove(&self) -> Result<(), ManifestError> {
        let fault = |error: io::Error| ManifestError::new(&self.directory, format!("cannot be removed: {error}"));
        let plugins = self.directory.parent().unwrap_or(Path::new("/"));
        let aside = private(".removed-").tempdir_in(plugins).map_err(fault)?;
        fs::rename(&self.directory, aside.path().join(self.id())).map_err(fault)
    }
}

impl Host {
    /// Opens what can be installed: a plugin's directory, a tarball of one, or a library, which is
    /// packed first. Gives what to call it as well.
    pub async fn open(&self, path: &Path) -> Result<(Package, String), HostError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fault = |error: io::Error| ManifestError::new(path, format!("cannot be read: {error}"));
        if path.is_dir() {
            return Ok((Package::open(path)?, format!("directory {name}")));
        }
        if Package::is_tarball(path).map_err(fault)? {
            return Ok((Package::open(path)?, name));
        }
        let directory = private("lineman-package-").tempdir().map_err(fault)?;
        self.pack(path, "", directory.path()).await?;
        Ok((Package::temporary(directory), format!("library {name}")))
    }

    /// Installs the plugin of a directory, such as [`Package`](crate::Package) gives it, below a
    /// directory of plugins.
    ///
    /// What the manifest names is copied and hashed on the way; what it does not name stays
    /// behind. The library is asked, in a worker, whether it describes itself as the package
    /// says; none of its checks is run. An older version gives way in one step.
    pub async fn install(
        &self,
        package: &Path,
        source: &str,
        plugins: &Path,
        keys: &TrustedKeys,
    ) -> Result<Arrival, HostError> {
        let (manifest, bytes) = Manifest::read_with_bytes(package)?;
        let signed_by = keys.verify(package, &bytes)?;
        let own = manifest.library(package)?.file.clone();
        let fault = |error: io::Error| ManifestError::new(plugins, format!("cannot be written to: {error}"));
        DirBuilder::new().recursive(true).mode(0o755).create(plugins).map_err(fault)?;
        guard::plugins(plugins)?;
        let beside = private(".installing-").tempdir_in(plugins).map_err(fault)?;
        let staged = beside.path().join(&manifest.id);
        DirBuilder::new().mode(0o755).create(&staged).map_err(fault)?;

        for file in manifest.target.values().chain([&manifest.description]) {
            let is_needed = file.file == own || *file == manifest.description;
            // A package for one machine need not hold what is for others.
            if is_needed || package.join(&file.file).exists() {
                copy(package, file, &staged)?;
            }
        }
        let signature = package.join(signature::file_name());
        if signature.exists() {
            let bytes = read_limited(&signature, NOTE_LIMIT)?;
            write(&staged.join(signature::file_name()), &bytes).map_err(fault)?;
        }
        let note = toml::to_string(&Note { source: lineman_model::clean_line(source, 200) }).unwrap_or_default();
        write(&staged.join(NOTE), note.as_bytes()).map_err(fault)?;
        write(&staged.join(MANIFEST), &bytes).map_err(fault)?;

        let says = self.described(&staged.join(&own), manifest.door(package)?).await?;
        if hex(&Sha256::digest(says.get().as_bytes())) != manifest.description.sha256 {
            let problem = "does not describe itself as the description of its package says";
            return Err(ManifestError::untrusted(&package.join(&own), problem).into());
        }
        let staged = Installed { directory: staged, manifest };
        staged.description()?;

        let directory = plugins.join(staged.id());
        let replaced = into_place(&staged.directory, &directory)?;
        Ok(Arrival { installed: Installed { directory, ..staged }, replaced, signed_by })
    }
}

/// Copies a file of a package, if it is the one that the manifest names.
fn copy(package: &Path, file: &HashedFile, to: &Path) -> Result<(), ManifestError> {
    let (from, to) = (package.join(&file.file), to.join(&file.file));
    let copied = File::open(&from).and_then(|mut from| {
        let mut to = create(&to)?;
        read_hashed(&mut from, |piece| to.write_all(piece))
    });
    let sha256 = copied.map_err(|error| ManifestError::new(&from, format!("cannot be copied: {error}")))?;
    match sha256 == file.sha256 {
        true => Ok(()),
        false => Err(ManifestError::untrusted(&from, "is not the file that the manifest names")),
    }
}

/// Directories that nobody else may look into, whatever the umask.
pub(crate) fn private(prefix: &str) -> tempfile::Builder<'_, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).permissions(Permissions::from_mode(0o700));
    builder
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path)?.write_all(bytes)
}

/// A new file that nobody else may write, whatever the umask.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)
}

/// Puts a directory where another one may be, which then is where the first one was; gives the
/// version that was there.
fn into_place(staged: &Path, directory: &Path) -> Result<Option<String>, ManifestError> {
    let fault = |error: io::Error| ManifestError::new(directory, format!("cannot be put into place: {error}"));
    if directory.symlink_metadata().is_err() {
        fs::rename(staged, directory).map_err(fault)?;
        return Ok(None);
    }
    if !directory.join(MANIFEST).is_file() {
        return Err(ManifestError::new(directory, "is in the way: it is no plugin; move it away"));
    }
    let version = Manifest::read(directory).map_or_else(|_| "unknown".to_owned(), |manifest| manifest.version);
    let swapped = renameat_with(CWD, staged, CWD, directory, RenameFlags::EXCHANGE);
    if swapped.is_err() {
        // Not every file system can swap. Then it is gone for a moment.
        let aside: PathBuf = staged.with_extension("old");
        fs::rename(directory, &aside).map_err(fault)?;
        if let Err(error) = fs::rename(staged, directory) {
            let _ = fs::rename(&aside, directory);
            return Err(fault(error));
        }
    }
    // A directory that was left open would be refused the next time.
    let _ = fs::set_permissions(directory, Permissions::from_mode(0o755));
    Ok(Some(version))
}
