use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lineman_host::{Host, HostOptions, Manifest, Package};
use lineman_report::{next_command, wrap};

use super::cargo::Crate;
use crate::cli::Common;
use crate::failure::{Done, Failure};
use crate::terminal;

pub(super) fn run(common: &Common, what: &Path, out: Option<&Path>, licence: Option<&str>) -> Done {
    let (library, of_crate, documents) = if what.is_dir() {
        let found = Crate::at(what).map_err(Failure::refused)?;
        (found.build().map_err(Failure::refused)?, found.licence, found.documents)
    } else {
        (what.to_owned(), String::new(), Vec::new())
    };
    let licence = licence.unwrap_or(&of_crate);
    let library =
        library.canonicalize().map_err(|error| Failure::refused(format_args!("{}: {error}", library.display())))?;

    // Only the library says what it is called, so it is packed first and put into place after.
    let stage = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Internal(error.to_string()))?;
    let manifest = runtime
        .block_on(async { Host::start(HostOptions::new(String::new()))?.pack(&library, licence, stage.path()).await })
        .map_err(Failure::refused)?;
    let out = out.map_or_else(|| Path::new("dist").join(&manifest.id), Path::to_owned);
    place(&manifest, stage.path(), &documents, &out)
        .map_err(|problem| Failure::refused(format_args!("{}: {problem}", out.display())))?;

    let style = terminal::style(common);
    let mut text = wrap(&format!("Packed {} {} into {}.", manifest.id, manifest.version, out.display()), 0, &style);
    if manifest.licence.is_empty() {
        text += &wrap("It names no licence: give one with `--licence`, or in the crate's Cargo.toml.", 0, &style);
    }
    text += &next_command(&["lineman", "plugin", "verify", &out.display().to_string()], &style);
    terminal::print(text.as_bytes())?;
    Ok(0)
}

/// Puts what was packed and the documents into a directory, or into a tarball of one.
fn place(manifest: &Manifest, stage: &Path, documents: &[PathBuf], out: &Path) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    for document in documents {
        fs::copy(document, stage.join(document.file_name().unwrap_or_default())).map_err(said)?;
    }
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        fs::create_dir_all(out.parent().unwrap_or(out)).map_err(said)?;
        let top = format!("{}-{}", manifest.id, manifest.version);
        return Package::write(stage, &top, out).map_err(|error| error.problem);
    }
    replace(stage, out).map_err(said)
}

/// Copies every file beside its place and renames it: a worker that runs keeps the bytes that it
/// has. Whatever the user's mask, nobody else may write what is loaded.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let beside = to.join(format!(".{}.part", name.to_string_lossy()));
        fs::copy(entry.path(), &beside)?;
        fs::set_permissions(&beside, Permissions::from_mode(0o644))?;
        fs::rename(&beside, to.join(name))?;
    }
    Ok(())
}
