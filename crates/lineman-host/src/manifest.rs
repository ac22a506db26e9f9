//! `plugin.toml` beside each library: who it is, through which door it is entered, and what its
//! bytes hash to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lineman_model::protocol::PROTOCOL;
use lineman_model::{Description, ProtocolRange};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Door;
use crate::door::{SCRIPT, UnknownDoor};
use crate::worker::hex;

/// The target that this host runs on, and whose libraries it can load.
pub const TARGET: &str = env!("LINEMAN_TARGET");
/// The target of a script: any whose interpreter is there.
const ANY_TARGET: &str = "any";

/// File name of the manifest.
pub const MANIFEST: &str = "plugin.toml";
/// File name of the description.
pub const DESCRIPTION: &str = "description.json";

/// A manifest larger than this is none.
const MANIFEST_LIMIT: u64 = 256 * 1024;
/// A description larger than this is none.
const DESCRIPTION_LIMIT: u64 = 8 * 1024 * 1024;

/// The content of `plugin.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The plugin's id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Who ships it.
    #[serde(default)]
    pub publisher: String,
    /// Its licence, as an SPDX expression.
    #[serde(default)]
    pub licence: String,
    /// The door, as [`Door::as_str`] spells it; a newer one is kept, and refused when it is used.
    pub abi: String,
    /// The protocol versions that it speaks.
    pub protocol: ProtocolRange,
    /// The description beside it.
    pub description: HashedFile,
    /// The library or program for each target; `any` is for scripts, which serve every target.
    pub target: BTreeMap<String, HashedFile>,
}

/// A file beside the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedFile {
    /// Its name.
    pub file: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// Why a plugin's directory cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct ManifestError {
    /// The file at fault.
    pub path: PathBuf,
    /// What is wrong with it, as a clause.
    pub problem: String,
    /// Whether it is a matter of trust, not of form.
    pub untrusted: bool,
}

impl ManifestError {
    pub(crate) fn new(path: &Path, problem: impl Into<String>) -> ManifestError {
        ManifestError { path: path.to_owned(), problem: problem.into(), untrusted: false }
    }

    pub(crate) fn untrusted(path: &Path, problem: impl Into<String>) -> ManifestError {
        ManifestError { untrusted: true, ..ManifestError::new(path, problem) }
    }
}

impl Manifest {
    /// Reads the manifest of a plugin's directory.
    pub fn read(directory: &Path) -> Result<Manifest, ManifestError> {
        Ok(Manifest::read_with_bytes(directory)?.0)
    }

    /// Reads it, and gives the bytes that say so: these are hashed and signed.
    pub(crate) fn read_with_bytes(directory: &Path) -> Result<(Manifest, Vec<u8>), ManifestError> {
        let path = directory.join(MANIFEST);
        let bytes = read_limited(&path, MANIFEST_LIMIT)?;
        Ok((Manifest::parse(&path, &bytes)?, bytes))
    }

    /// Reads the text of a manifest; `path` is where it stands, for what is said of it.
    pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Manifest, ManifestError> {
        let text = std::str::from_utf8(text).map_err(|_| ManifestError::new(path, "is not UTF-8"))?;
        let manifest: Manifest =
            toml::from_str(text).map_err(|error| ManifestError::new(path, error.message().to_owned()))?;
        if !is_id(&manifest.id) {
            let problem = format!("`{}` is not an id: lower-case letters, digits and hyphens", manifest.id);
            return Err(ManifestError::new(path, problem));
        }
        for file in manifest.target.values().chain([&manifest.description]) {
            // A name, never a way out of the directory.
            if file.file.is_empty() || file.file.starts_with('.') || file.file.contains(['/', '\\']) {
                return Err(ManifestError::new(path, format!("`{}` is not a file name", file.file)));
            }
        }
        Ok(manifest)
    }

    /// The door by which the plugin is entered.
    pub fn door(&self, directory: &Path) -> Result<Door, ManifestError> {
        self.abi.parse().map_err(|error: UnknownDoor| ManifestError::new(&directory.join(MANIFEST), error.to_string()))
    }

    /// The library or program for this target.
    pub fn library(&self, directory: &Path) -> Result<&HashedFile, ManifestError> {
        let any = || self.target.get(ANY_TARGET).filter(|_| self.abi == Door::Exec1.as_str());
        self.target.get(TARGET).or_else(any).ok_or_else(|| {
            let has: Vec<&str> = self.target.keys().map(String::as_str).collect();
            let what = if self.abi == Door::Exec1.as_str() { "program" } else { "library" };
            let problem = format!("has no {what} for {TARGET}, only for {}", has.join(", "));
            ManifestError::new(&directory.join(MANIFEST), problem)
        })
    }

    /// Reads the description and checks its hash.
    pub fn description(&self, directory: &Path) -> Result<Description, ManifestError> {
        let path = directory.join(&self.description.file);
        let bytes = read_limited(&path, DESCRIPTION_LIMIT)?;
        if hex(&Sha256::digest(&bytes)) != self.description.sha256 {
            return Err(ManifestError::untrusted(&path, "is not the description that the manifest names"));
        }
        let description: Description =
            serde_json::from_slice(&bytes).map_err(|error| ManifestError::new(&path, error.to_string()))?;
        if description.id != self.id {
            return Err(ManifestError::new(&path, format!("describes `{}`, not `{}`", description.id, self.id)));
        }
        if self.protocol.common(PROTOCOL).is_none() {
            let problem = format!(
                "speaks protocol {} to {}, this Lineman speaks {} to {}",
                self.protocol.min, self.protocol.max, PROTOCOL.min, PROTOCOL.max
            );
            return Err(ManifestError::new(&directory.join(MANIFEST), problem));
        }
        Ok(description)
    }
}

/// An id names a directory, and stands in the configuration.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, ManifestError> {
    let fault = |error: std::io::Error| ManifestError::new(path, format!("cannot be read: {error}"));
    let size = fs::metadata(path).map_err(fault)?.len();
    if size > limit {
        return Err(ManifestError::new(path, format!("is {size} bytes, more than the {limit} allowed")));
    }
    fs::read(path).map_err(fault)
}

/// Writes the shippable directory of a library or program: the file itself, its description and a
/// manifest. `raw` is what it says of itself.
pub(crate) fn write(
    library: &Path,
    door: Door,
    raw: &str,
    licence: &str,
    out: &Path,
) -> Result<Manifest, ManifestError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| ManifestError::new(&path, error.to_string())
    };
    let description: Description = serde_json::from_str(raw)
        .map_err(|error| ManifestError::new(library, format!("describes itself wrongly: {error}")))?;
    fs::create_dir_all(out).map_err(at(out))?;
    let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = fs::read(library).map_err(at(library))?;
    let shipped = out.join(&name);
    // Replaced, not overwritten: a running worker keeps the bytes that it has.
    let _ = fs::remove_file(&shipped);
    fs::write(&shipped, &bytes).map_err(at(&shipped))?;
    let path = out.join(DESCRIPTION);
    fs::write(&path, raw).map_err(at(&path))?;
    let target = if bytes.starts_with(SCRIPT) { ANY_TARGET } else { TARGET };
    let library = HashedFile { file: name, sha256: hex(&Sha256::digest(&bytes)) };
    let manifest = Manifest {
        id: description.id,
        version: description.version,
        publisher: description.publisher,
        licence: licence.to_owned(),
        abi: door.to_string(),
        protocol: description.protocol,
        description: HashedFile { file: DESCRIPTION.to_owned(), sha256: hex(&Sha256::digest(raw.as_bytes())) },
        target: BTreeMap::from([(target.to_owned(), library)]),
    };
    let path = out.join(MANIFEST);
    let text = toml::to_string(&manifest).map_err(|error| ManifestError::new(&path, error.to_string()))?;
    fs::write(&path, text).map_err(at(&path))?;
    Ok(manifest)
}
