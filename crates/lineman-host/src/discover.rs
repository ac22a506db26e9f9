//! Finds installed plugins. Reads manifests and descriptions; never loads a library.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lineman_model::{Description, PluginRef};

use crate::Door;
use crate::manifest::{MANIFEST, Manifest, ManifestError};

/// Where plugins are looked for: absolute directories, first match wins.
#[derive(Clone, Debug, Default)]
pub struct SearchPath(Vec<PathBuf>);

impl SearchPath {
    /// `--plugin-dir` and `LINEMAN_PLUGIN_PATH` first, then the user's data directory, the
    /// directory beside the executable, and the system's. Relative paths are left out: what runs
    /// must not depend on where one stands.
    pub fn new(given: &[PathBuf], executable: &Path, var: impl Fn(&str) -> Option<String>) -> SearchPath {
        let mut paths = given.to_vec();
        if let Some(listed) = var("LINEMAN_PLUGIN_PATH") {
            paths.extend(std::env::split_paths(&listed));
        }
        let data = var("XDG_DATA_HOME").map(PathBuf::from);
        let data = data.or_else(|| Some(PathBuf::from(var("HOME")?).join(".local/share")));
        paths.extend(data.map(|data| data.join("lineman/plugins")));
        if let Some(prefix) = executable.parent().and_then(Path::parent) {
            paths.push(prefix.join("lib/lineman/plugins"));
        }
        paths.extend(["/usr/local/lib/lineman/plugins", "/usr/lib/lineman/plugins"].map(PathBuf::from));
        paths.retain(|path| path.is_absolute());
        SearchPath(paths)
    }

    /// The directories.
    pub fn directories(&self) -> &[PathBuf] {
        &self.0
    }
}

/// A plugin that is installed.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Its directory.
    pub directory: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Installed {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.manifest.id
    }

    /// How it is entered.
    pub fn door(&self) -> Result<Door, ManifestError> {
        self.manifest.door(&self.directory)
    }

    /// Its library or program for this target.
    pub fn library(&self) -> Result<PathBuf, ManifestError> {
        Ok(self.directory.join(&self.manifest.library(&self.directory)?.file))
    }

    /// Its description, hash-checked.
    pub fn description(&self) -> Result<Description, ManifestError> {
        guard(&self.directory)?;
        guard(&self.directory.join(MANIFEST))?;
        self.door()?;
        guard(&self.library()?)?;
        self.manifest.description(&self.directory)
    }

    /// How reports name it.
    pub fn plugin_ref(&self) -> PluginRef {
        let sha256 = self.manifest.library(&self.directory).map(|library| library.sha256.clone()).unwrap_or_default();
        PluginRef { id: self.manifest.id.clone(), version: self.manifest.version.clone(), sha256 }
    }
}

/// What was found on the search path.
#[derive(Debug, Default)]
pub struct Found {
    /// Plugins by id.
    pub plugins: BTreeMap<String, Installed>,
    /// Directories that look like a plugin and are none, or that an earlier one hides.
    pub problems: Vec<ManifestError>,
}

/// Looks for plugins.
pub fn discover(path: &SearchPath) -> Found {
    let mut found = Found::default();
    for directory in path.directories() {
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries.into_iter().filter(|entry| entry.join(MANIFEST).is_file()) {
            match Manifest::read(&entry) {
                Ok(manifest) => match found.plugins.get(&manifest.id) {
                    Some(first) => {
                        let problem = format!("`{}` is hidden by {}", manifest.id, first.directory.display());
                        found.problems.push(ManifestError::new(&entry, problem));
                    }
                    None => {
                        found.plugins.insert(manifest.id.clone(), Installed { directory: entry, manifest });
                    }
                },
                Err(error) => found.problems.push(error),
            }
        }
    }
    found
}

/// Refuses what others may write: whoever can replace a library can read the secrets it is given.
fn guard(path: &Path) -> Result<(), ManifestError> {
    let seen = std::fs::metadata(path).map_err(|error| ManifestError::new(path, format!("cannot be read: {error}")))?;
    if seen.mode() & 0o022 != 0 {
        let problem = format!("may be written by others (mode {:04o}); use `chmod go-w`", seen.mode() & 0o7777);
        return Err(ManifestError::untrusted(path, problem));
    }
    let me = rustix::process::getuid().as_raw();
    if seen.uid() != 0 && seen.uid() != me {
        return Err(ManifestError::untrusted(path, format!("belongs to user {}, not to you or root", seen.uid())));
    }
    Ok(())
}
