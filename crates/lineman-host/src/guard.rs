//! Refuses what others may write: whoever can replace a library can read the secrets it is given.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::manifest::ManifestError;

const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const OTHERS_WRITE: u32 = 0o002;
/// In such a directory only the owner of an entry can rename or remove it.
const STICKY: u32 = 0o1000;

/// A file of a plugin: nobody but its owner may write it, and that is the user or root.
pub(crate) fn file(path: &Path) -> Result<(), ManifestError> {
    let seen = look(path)?;
    closed(path, &seen, GROUP_OR_OTHERS_WRITE)?;
    owned(path, &seen)
}

/// The directory of a plugin, and the directories above it, in which it could be replaced.
pub(crate) fn plugin(directory: &Path) -> Result<(), ManifestError> {
    file(directory)?;
    let real = real(directory)?;
    plugins(real.parent().unwrap_or(&real))
}

/// A directory of plugins, and the directories above it.
pub(crate) fn plugins(directory: &Path) -> Result<(), ManifestError> {
    for (height, above) in real(directory)?.ancestors().enumerate() {
        let seen = look(above)?;
        // Groups that may write to what lies higher, a home directory for one, are the system's own.
        let forbidden = if height == 0 { GROUP_OR_OTHERS_WRITE } else { OTHERS_WRITE };
        if seen.mode() & STICKY == 0 {
            closed(above, &seen, forbidden)?;
        }
        if height == 0 {
            owned(above, &seen)?;
        }
    }
    Ok(())
}

fn real(path: &Path) -> Result<PathBuf, ManifestError> {
    path.canonicalize().map_err(|error| ManifestError::new(path, format!("cannot be found: {error}")))
}

/// The configuration, or what is kept beside it: not everybody may write it. A group may, because
/// version control makes such files wherever the umask lets it.
pub fn configuration(path: &Path) -> Result<(), ManifestError> {
    let seen = look(path)?;
    if seen.is_file() { closed(path, &seen, OTHERS_WRITE) } else { Ok(()) }
}

fn look(path: &Path) -> Result<Metadata, ManifestError> {
    std::fs::metadata(path).map_err(|error| ManifestError::new(path, format!("cannot be read: {error}")))
}

fn closed(path: &Path, seen: &Metadata, forbidden: u32) -> Result<(), ManifestError> {
    if seen.mode() & forbidden == 0 {
        return Ok(());
    }
    let remedy = if forbidden == OTHERS_WRITE { "o-w" } else { "go-w" };
    let problem = format!("may be written by others (mode {:04o}); use `chmod {remedy}`", seen.mode() & 0o7777);
    Err(ManifestError::untrusted(path, problem))
}

fn owned(path: &Path, seen: &Metadata) -> Result<(), ManifestError> {
    let me = rustix::process::getuid().as_raw();
    if seen.uid() == 0 || seen.uid() == me {
        return Ok(());
    }
    Err(ManifestError::untrusted(path, format!("belongs to user {}, not to you or root", seen.uid())))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_others_may_write_is_refused_wherever_it_lies() {
        // The modes of a plugin's directory, of the one of all plugins, and of the one above that.
        let check = |modes: [u32; 3], trusted: bool| {
            let place = tempfile::tempdir().unwrap();
            let plugins = place.path().join("above/plugins");
            let plugin_directory = plugins.join("acme");
            fs::create_dir_all(&plugin_directory).unwrap();
            for (path, mode) in [&plugin_directory, &plugins, &place.path().join("above")].into_iter().zip(modes) {
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
            let held = plugin(&plugin_directory);
            assert_eq!(held.is_ok(), trusted, "{modes:?}: {held:?}");
            assert!(held.is_ok() || held.is_err_and(|error| error.untrusted));
        };
        check([0o755, 0o755, 0o755], true);
        check([0o775, 0o755, 0o755], false);
        check([0o757, 0o755, 0o755], false);
        // Sticky or not: what is in the plugin's own directory is the plugin.
        check([0o1777, 0o755, 0o755], false);
        check([0o755, 0o775, 0o755], false);
        check([0o755, 0o757, 0o755], false);
        check([0o755, 0o1777, 0o755], true);
        check([0o755, 0o755, 0o775], true);
        check([0o755, 0o755, 0o777], false);
        check([0o755, 0o755, 0o1777], true);
    }

    #[test]
    fn a_configuration_that_everybody_may_write_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lineman.toml");
        fs::write(&path, "").unwrap();
        for (mode, trusted) in [(0o644, true), (0o664, true), (0o666, false), (0o606, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(configuration(&path).is_ok(), trusted, "{mode:o}");
        }
        assert!(configuration(Path::new("/dev/null")).is_ok());
    }
}
