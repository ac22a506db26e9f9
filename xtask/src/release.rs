//! Builds Lineman as users have it and puts it into place.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use lineman_tests::build_and_install;

use crate::narration::Step;

/// A path as people type it where they are.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

/// Builds Lineman and plugins (all, where none is named) in a profile and installs them under
/// `prefix`: gives back the program.
pub(crate) fn install(prefix: &Path, profile: &str, plugins: &[String]) -> Result<PathBuf> {
    let mut step = Step::new(format!("building Lineman and its plugins in {profile} mode"));
    build_and_install(prefix, profile, plugins, |what| step.at(what))
}

/// Removes the lock files that an earlier run left beside its configurations: what was built since
/// then is not what they accept.
pub(crate) fn forget_accepted(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "lock") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
