//! A plugin as it is shipped: its directory, or a tarball of it (tar, compressed with gzip).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::install::private;
use crate::manifest::{MANIFEST, ManifestError};

/// What a tarball may unpack to, bytes: some libraries for several targets, and their documents.
const UNPACKED_LIMIT: u64 = 1024 * 1024 * 1024;
/// How many files a tarball may hold.
const FILES_LIMIT: usize = 10_000;

/// A shipped plugin whose files can be read; what was unpacked goes when this does.
#[derive(Debug)]
pub struct Package {
    directory: PathBuf,
    _unpacked: Option<tempfile::TempDir>,
}

impl Package {
    /// Opens a plugin's directory, or unpacks a tarball into a private directory.
    ///
    /// A tarball is hostile until its hashes were checked: only plain files and directories below
    /// its own top are taken, never links, owners or modes, and only so many.
    pub fn open(path: &Path) -> Result<Package, ManifestError> {
        if path.is_dir() {
            return Ok(Package { directory: path.to_owned(), _unpacked: None });
        }
        let fault = |error: io::Error| ManifestError::new(path, format!("cannot be unpacked: {error}"));
        let unpacked = private("lineman-package-").tempdir().map_err(fault)?;
        unpack(File::open(path).map_err(fault)?, unpacked.path()).map_err(fault)?;
        let directory = top(unpacked.path())
            .ok_or_else(|| ManifestError::new(path, format!("holds no plugin: there is no {MANIFEST} in it")))?;
        Ok(Package { directory, _unpacked: Some(unpacked) })
    }

    /// What was packed into a directory of its own, which goes when this does.
    pub(crate) fn temporary(directory: tempfile::TempDir) -> Package {
        Package { directory: directory.path().to_owned(), _unpacked: Some(directory) }
    }

    /// Whether a file is a tarball by its first bytes, which are those of gzip.
    pub(crate) fn is_tarball(path: &Path) -> io::Result<bool> {
        let mut first = [0; 2];
        Ok(File::open(path)?.read(&mut first)? == 2 && first == [0x1f, 0x8b])
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a plugin's directory as a tarball with one directory, `name`, in it. The same files
    /// give the same bytes.
    pub fn write(directory: &Path, name: &str, tarball: &Path) -> Result<(), ManifestError> {
        let fault = |error: io::Error| ManifestError::new(tarball, format!("cannot be written: {error}"));
        let compressed = GzEncoder::new(File::create(tarball).map_err(fault)?, Compression::best());
        let mut archive = tar::Builder::new(compressed);
        archive.mode(tar::HeaderMode::Deterministic);
        for file in files(directory).map_err(fault)? {
            let inside = file.strip_prefix(directory).unwrap_or(&file);
            archive.append_path_with_name(&file, Path::new(name).join(inside)).map_err(fault)?;
        }
        archive.into_inner().and_then(GzEncoder::finish).and_then(|file| file.sync_all()).map_err(fault)
    }
}

fn unpack(tarball: File, into: &Path) -> io::Result<()> {
    let refused = |problem: String| io::Error::new(io::ErrorKind::InvalidData, problem);
    let limited = GzDecoder::new(tarball).take(UNPACKED_LIMIT);
    let mut archive = tar::Archive::new(limited);
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let shown = lineman_model::clean_line(&path.to_string_lossy(), 200);
        if count == FILES_LIMIT {
            return Err(refused(format!("it holds more than {FILES_LIMIT} files")));
        }
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(refused(format!("`{shown}` leads out of it")));
        }
        let to = into.join(&path);
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(&to)?,
            tar::EntryType::Regular => {
                fs::create_dir_all(to.parent().unwrap_or(into))?;
                io::copy(&mut entry, &mut File::create_new(&to)?)?;
            }
            _ => return Err(refused(format!("`{shown}` is neither a file nor a directory"))),
        }
    }
    Ok(())
}

/// The directory that holds the manifest: the tarball's top, or the one directory there.
fn top(unpacked: &Path) -> Option<PathBuf> {
    let below = fs::read_dir(unpacked).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(unpacked.to_owned()).chain(below).find(|directory| directory.join(MANIFEST).is_file())
}

/// Every plain file below a directory, in the order of their names.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(files(&entry.path())?);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_the_same_files_give_the_same_bytes() {
        let place = tempfile::tempdir().unwrap();
        let plugin = place.path().join("acme");
        fs::create_dir_all(plugin.join("docs")).unwrap();
        fs::write(plugin.join(MANIFEST), "id = 'acme'").unwrap();
        fs::write(plugin.join("docs/README.md"), "# Acme").unwrap();
        let [one, two] = ["one.tar.gz", "two.tar.gz"].map(|name| place.path().join(name));
        for tarball in [&one, &two] {
            Package::write(&plugin, "acme-1.0.0", tarball).unwrap();
        }
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
        let package = Package::open(&one).unwrap();
        assert_eq!(fs::read_to_string(package.directory().join("docs/README.md")).unwrap(), "# Acme");
        let unpacked = package.directory().to_owned();
        drop(package);
        assert!(!unpacked.exists());
    }

    #[test]
    fn a_tarball_that_is_none_or_leads_out_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let tarball = place.path().join("bad.tar.gz");
        let check = |make: &dyn Fn(&mut tar::Builder<GzEncoder<File>>), problem: &str| {
            let mut archive = tar::Builder::new(GzEncoder::new(File::create(&tarball).unwrap(), Compression::fast()));
            make(&mut archive);
            archive.into_inner().unwrap().finish().unwrap();
            let error = Package::open(&tarball).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        };
        let entry = |kind: tar::EntryType, name: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            // `set_path` itself refuses what leads out.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(0);
            header.set_cksum();
            header
        };
        check(&|archive| archive.append(&entry(tar::EntryType::Regular, "../out"), &[][..]).unwrap(), "leads out");
        check(&|archive| archive.append(&entry(tar::EntryType::Symlink, "a/link"), &[][..]).unwrap(), "neither a file");
        check(&|archive| archive.append(&entry(tar::EntryType::Regular, "a/b"), &[][..]).unwrap(), "no plugin.toml");
        fs::write(&tarball, b"no tarball").unwrap();
        assert!(Package::open(&tarball).is_err());
    }
}
