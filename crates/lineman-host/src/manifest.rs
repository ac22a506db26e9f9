//! `plugin.toml` beside each library: who it is, through which door it is entered, and what its
//! bytes hash to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lineman_model::protocol::PROTOCOL;
use lineman_model::{Description, ProtocolRange};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::worker::hex;

/// The target that this host runs on, and whose libraries it can load.
pub const TARGET: &str = env!("LINEMAN_TARGET");

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
    /// The door: `rust-1`.
    pub abi: String,
    /// The protocol versions that it speaks.
    pub protocol: ProtocolRange,
    /// The description beside it.
    pub description: HashedFile,
    /// The library for each target.
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

/// The door through which a library of this ABI is entered.
pub const RUST_DOOR: &str = "rust-1";

/// Why a plugin's directory cannot be used.
#[derive(Debug, thiserror::Error)]
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
        let path = directory.join(MANIFEST);
        Manifest::parse(&path, read_limited(&path, MANIFEST_LIMIT)?)
    }

    /// Reads the text of a manifest; `path` is where it stands, for what is said of it.
    pub(crate) fn parse(path: &Path, text: Vec<u8>) -> Result<Manifest, ManifestError> {
        let text = String::from_utf8(text).map_err(|_| ManifestError::new(path, "is not UTF-8"))?;
        let manifest: Manifest =
            toml::from_str(&text).map_err(|error| ManifestError::new(path, error.message().to_owned()))?;
        for file in manifest.target.values().chain([&manifest.description]) {
            // A name, never a way out of the directory.
            if file.file.is_empty() || file.file.starts_with('.') || file.file.contains(['/', '\\']) {
                return Err(ManifestError::new(path, format!("`{}` is not a file name", file.file)));
            }
        }
        Ok(manifest)
    }

    /// The library for this target.
    pub fn library(&self, directory: &Path) -> Result<&HashedFile, ManifestError> {
        self.target.get(TARGET).ok_or_else(|| {
            let has: Vec<&str> = self.target.keys().map(String::as_str).collect();
            let problem = format!("has no library for {TARGET}, only for {}", has.join(", "));
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

fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, ManifestError> {
    let fault = |error: std::io::Error| ManifestError::new(path, format!("cannot be read: {error}"));
    let size = fs::metadata(path).map_err(fault)?.len();
    if size > limit {
        return Err(ManifestError::new(path, format!("is {size} bytes, more than the {limit} allowed")));
    }
    fs::read(path).map_err(fault)
}

/// Writes the shippable directory of a library: the library itself, its description and a
/// manifest. `raw` is what the library says of itself.
pub(crate) fn write(library: &Path, raw: &str, licence: &str, out: &Path) -> Result<Manifest, ManifestError> {
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
    let library = HashedFile { file: name, sha256: hex(&Sha256::digest(&bytes)) };
    let manifest = Manifest {
        id: description.id,
        version: description.version,
        publisher: description.publisher,
        licence: licence.to_owned(),
        abi: RUST_DOOR.to_owned(),
        protocol: description.protocol,
        description: HashedFile { file: DESCRIPTION.to_owned(), sha256: hex(&Sha256::digest(raw.as_bytes())) },
        target: BTreeMap::from([(TARGET.to_owned(), library)]),
    };
    let path = out.join(MANIFEST);
    let text = toml::to_string(&manifest).map_err(|error| ManifestError::new(&path, error.to_string()))?;
    fs::write(&path, text).map_err(at(&path))?;
    Ok(manifest)
}
