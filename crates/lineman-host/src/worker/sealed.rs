//! A plugin's bytes in memory, hashed and then never changed: what was checked is what runs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use sha2::{Digest, Sha256};

use super::{NotLoaded, hex};
use crate::manifest::ManifestError;

/// How often a busy file is tried to be sealed; the kernel waits 150 ms or so before it says so.
const SEAL_TRIES: usize = 20;

/// A file in memory that nobody can change any more.
pub(super) struct Sealed(File);

impl Sealed {
    /// Reads a file once, checks its hash, and keeps those very bytes. An empty hash accepts any.
    pub(super) fn verified(path: &Path, sha256: &str) -> Result<Sealed, NotLoaded> {
        let unreadable = |error: io::Error| ("unreadable", format!("the plugin cannot be read: {error}"));
        let (mut file, mut sealed) = (File::open(path).map_err(unreadable)?, File::from(memory().map_err(unreadable)?));
        let hash = read_hashed(&mut file, |piece| sealed.write_all(piece)).map_err(unreadable)?;
        if !sha256.is_empty() && hash != sha256 {
            return Err(("hash-mismatch", "its file is not the one that its manifest names".to_owned()));
        }
        seal(&sealed).map_err(unreadable)?;
        Ok(Sealed(sealed))
    }

    /// The bytes.
    pub(super) fn file(&self) -> &File {
        &self.0
    }

    /// A path by which this process opens them.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// Lets them outlive the program that runs now.
    pub(super) fn keep(&self) -> io::Result<()> {
        Ok(fcntl_setfd(&self.0, FdFlags::empty())?)
    }
}

/// While the kernel itself moves or inspects pages of the file, it answers `EBUSY`, after having
/// waited for a moment (`memfd_wait_for_pins`): it is asked again.
fn seal(file: &File) -> io::Result<()> {
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    let mut answers = std::iter::repeat_with(|| fcntl_add_seals(file, seals)).take(SEAL_TRIES);
    let last = answers.find(|answer| *answer != Err(Errno::BUSY));
    Ok(last.unwrap_or(Err(Errno::BUSY))?)
}

fn memory() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create("plugin", flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 every such file may be executed, and the flag is unknown.
        Err(Errno::INVAL) => Ok(memfd_create("plugin", flags)?),
        made => Ok(made?),
    }
}

/// The hash of a file, for those who do not keep its bytes.
pub(crate) fn hash_of(path: &Path) -> Result<String, ManifestError> {
    let read = File::open(path).and_then(|mut file| read_hashed(&mut file, |_| Ok(())));
    read.map_err(|error| ManifestError::new(path, format!("cannot be read: {error}")))
}

/// Reads a file to its end and hashes what it hands on.
pub(crate) fn read_hashed(file: &mut File, mut with: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<String> {
    let mut hash = Sha256::new();
    // Piece by piece: a copy of the whole in between costs more than the hash.
    let mut piece = vec![0; 128 << 10];
    loop {
        let length = match file.read(&mut piece) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hash.update(&piece[..length]);
        with(&piece[..length])?;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_bytes_that_were_hashed_are_the_bytes_that_are_loaded() {
        let place = tempfile::tempdir().unwrap();
        let library = place.path().join("library.so");
        fs::write(&library, b"what was hashed").unwrap();
        let sha256 = hash_of(&library).unwrap();
        let sealed = Sealed::verified(&library, &sha256).unwrap();
        fs::write(&library, b"what came later").unwrap();
        assert_eq!(fs::read(sealed.path()).unwrap(), b"what was hashed");
        let other_way_in = fs::OpenOptions::new().write(true).open(sealed.path());
        assert!(other_way_in.and_then(|mut file| file.write_all(b"else")).is_err(), "sealed bytes were written");
        assert_eq!(Sealed::verified(&library, &sha256).err().map(|(code, _)| code), Some("hash-mismatch"));
    }
}
