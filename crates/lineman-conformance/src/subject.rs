use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lineman_host::{Door, MANIFEST, Manifest, ManifestError, Package};

/// What every ELF file begins with.
const ELF: [u8; 4] = *b"\x7fELF";

/// What is judged: a plugin as it is shipped, or its bare library.
#[derive(Debug)]
pub struct Subject {
    /// As it was given.
    pub(crate) path: PathBuf,
    /// The library for this target, or why there is none.
    pub(crate) library: Result<PathBuf, String>,
    /// The directory with its manifest; none for a bare library.
    pub(crate) shipped: Option<Shipped>,
    /// What was unpacked goes when this goes.
    _package: Option<Package>,
}

/// A plugin's directory.
#[derive(Debug)]
pub(crate) struct Shipped {
    pub(crate) directory: PathBuf,
    pub(crate) manifest: Result<Manifest, ManifestError>,
}

/// There is nothing to judge.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// The path leads nowhere.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is neither a plugin's directory nor a library nor a tarball of one.
    #[error("{} is no plugin: it has no {MANIFEST}; give a packed plugin, its tarball, or its library", path.display())]
    NoPlugin {
        /// The path.
        path: PathBuf,
    },
    /// It is a file, and neither a library nor a tarball with a plugin in it.
    #[error("neither a library nor a tarball: {0}")]
    NotUnpacked(#[from] ManifestError),
}

impl Subject {
    /// Finds out what a path leads to.
    ///
    /// # Errors
    /// When it leads to nothing that could be a plugin.
    pub fn open(path: &Path) -> Result<Subject, SubjectError> {
        let unreadable = |source| SubjectError::Unreadable { path: path.to_owned(), source };
        let path = path.canonicalize().map_err(unreadable)?;
        if path.is_dir() && !path.join(MANIFEST).is_file() {
            return Err(SubjectError::NoPlugin { path });
        }
        let mut magic = [0; 4];
        if path.is_file() && File::open(&path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == ELF
        {
            return Ok(Subject { library: Ok(path.clone()), path, shipped: None, _package: None });
        }
        let package = Package::open(&path)?;
        let directory = package.directory().to_owned();
        let manifest = Manifest::read(&directory);
        let library = match &manifest {
            Ok(manifest) => manifest
                .library(&directory)
                .map(|library| directory.join(&library.file))
                .map_err(|error| error.problem.clone()),
            Err(error) => Err(error.problem.clone()),
        };
        Ok(Subject { path, library, shipped: Some(Shipped { directory, manifest }), _package: Some(package) })
    }

    /// The door through which it is entered; that of the SDK, where nothing says otherwise.
    pub(crate) fn door(&self) -> Door {
        let library = self.library.as_ref().ok();
        let named =
            self.shipped.as_ref().and_then(|shipped| shipped.manifest.as_ref().ok()?.door(&shipped.directory).ok());
        named.or_else(|| Door::of(library?).ok()).unwrap_or(Door::Rust1)
    }
}
