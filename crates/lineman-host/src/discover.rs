//! Finds installed plugins. Reads manifests and descriptions; never loads a library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lineman_model::{Description, PluginRef};

use crate::manifest::{MANIFEST, Manifest, ManifestError};
use crate::worker::hash_of;
use crate::{Door, guard};

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
        paths.extend(SearchPath::user(&var));
        if let Some(prefix) = executable.parent().and_then(Path::parent) {
            paths.push(prefix.join("lib/lineman/plugins"));
        }
        paths.extend(["/usr/local/lib/lineman/plugins", "/usr/lib/lineman/plugins"].map(PathBuf::from));
        paths.retain(|path| path.is_absolute());
        SearchPath(paths)
    }

    /// The user's own directory of plugins, into which they are installed.
    pub fn user(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let data = var("XDG_DATA_HOME").map(PathBuf::from).filter(|data| data.is_absolute());
        let data = data.or_else(|| Some(PathBuf::from(var("HOME")?).join(".local/share")));
        data.map(|data| data.join("lineman/plugins")).filter(|plugins| plugins.is_absolute())
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
        guard::plugin(&self.directory)?;
        guard::file(&self.directory.join(MANIFEST))?;
        self.door()?;
        guard::file(&self.library()?)?;
        guard::file(&self.directory.join(&self.manifest.description.file))?;
        self.manifest.description(&self.directory)
    }

    /// Hashes its library: these bytes are the ones that its manifest names.
    ///
    /// The worker that loads it asks again, of the very bytes that it loads.
    pub fn verify_library(&self) -> Result<(), ManifestError> {
        let named = self.manifest.library(&self.directory)?;
        let path = self.directory.join(&named.file);
        match hash_of(&path)? == named.sha256 {
            true => Ok(()),
            false => Err(ManifestError::untrusted(&path, "is not the library that the manifest names")),
        }
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
        // What begins with a dot is being put into place, or was left behind by that.
        let hidden = |entry: &Path| entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        for entry in entries.into_iter().filter(|entry| !hidden(entry) && entry.join(MANIFEST).is_file()) {
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
