use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::InputError;

/// A file that grows: whoever reads it to its end asks again later.
///
/// When another file has taken its name (rotation), what is left of the old one is read and then
/// the new one from its beginning; when it was cut short, it is read from its beginning.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    file: File,
    read: u64,
}

impl Follow {
    /// Follows a file from its beginning.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Follow, InputError> {
        let file = File::open(path)
            .map_err(|problem| InputError { name: path.display().to_string(), problem: problem.to_string() })?;
        Ok(Follow { path: path.to_owned(), file, read: 0 })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next bytes; none where there are none yet.
    ///
    /// # Errors
    /// When the file that is open cannot be read.
    pub fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.file.read(out)?;
            self.read += read as u64;
            if read > 0 || out.is_empty() || !self.begins_again()? {
                return Ok(read);
            }
        }
    }

    /// At the end: whether another file, or this one from its beginning, is to be read.
    fn begins_again(&mut self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        // Between the old file's leaving and the new one's coming there is none.
        if let Ok(theirs) = fs::metadata(&self.path)
            && (theirs.dev(), theirs.ino()) != (ours.dev(), ours.ino())
        {
            // What was written to the old one since it was last read comes first.
            if ours.len() > self.read {
                return Ok(true);
            }
            let Ok(file) = File::open(&self.path) else { return Ok(false) };
            (self.file, self.read) = (file, 0);
            return Ok(true);
        }
        if ours.len() < self.read {
            self.file.rewind()?;
            self.read = 0;
            return Ok(true);
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    #[test]
    fn a_file_is_followed_through_rotation_and_truncation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "one ").unwrap();
        let mut follow = Follow::open(&path).unwrap();
        let mut check = |expect: &str| {
            let mut out = [0; 100];
            let read = follow.read(&mut out).unwrap();
            assert_eq!(std::str::from_utf8(&out[..read]).unwrap(), expect);
        };
        let append = |path: &Path, text: &str| {
            OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
        };
        check("one ");
        check("");
        append(&path, "two ");
        check("two ");
        let old = directory.path().join("log.1");
        fs::rename(&path, &old).unwrap();
        check("");
        append(&old, "late ");
        fs::write(&path, "new ").unwrap();
        check("late ");
        check("new ");
        fs::write(&path, "cut").unwrap();
        check("cut");
    }
}
