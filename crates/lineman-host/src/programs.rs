//! Finds the programs that plugins declare. Workers have no `PATH`: what runs is decided here.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The absolute paths of the programs that are there; `path` is the host's `PATH`.
pub fn find(names: &[String], path: &str) -> BTreeMap<String, String> {
    let found = |name: &String| {
        // A name, never a path of the plugin's choice.
        let name = Some(name).filter(|name| !name.contains('/'))?;
        std::env::split_paths(path).filter(|directory| directory.is_absolute()).find_map(|directory| {
            let program = directory.join(name);
            is_executable(&program).then(|| program.to_str().map(str::to_owned)).flatten()
        })
    };
    names.iter().filter_map(|name| Some((name.clone(), found(name)?))).collect()
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|seen| seen.is_file() && seen.permissions().mode() & 0o111 != 0)
}
