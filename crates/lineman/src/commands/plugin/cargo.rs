//! A plugin's crate, as cargo knows it and builds it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// A crate that makes a plugin.
pub(super) struct Crate {
    /// Its `Cargo.toml`, as cargo spells it.
    manifest: PathBuf,
    /// Its licence, as an SPDX expression; empty when it names none.
    pub(super) licence: String,
    /// What is shipped beside the library: what users read, and the licences.
    pub(super) documents: Vec<PathBuf>,
}

/// What `cargo metadata` says, as far as it matters.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    license: Option<String>,
    license_file: Option<PathBuf>,
    readme: Option<PathBuf>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Target {
    fn is_library(&self) -> bool {
        self.kind.iter().any(|kind| kind == "cdylib")
    }
}

/// A line of `cargo build --message-format json`, as far as it matters.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// What the names of files begin with that are shipped with every copy.
const DOCUMENTS: [&str; 5] = ["licen", "copying", "notice", "changelog", "readme"];

impl Crate {
    /// Asks cargo about the crate of a directory.
    pub(super) fn at(directory: &Path) -> Result<Crate, String> {
        let shown = directory.display();
        let manifest = directory.join("Cargo.toml");
        let manifest = manifest.canonicalize().map_err(|error| {
            format!("{}: {error}; give the directory of a plugin's crate, or a built library", manifest.display())
        })?;
        let mut cargo = cargo("metadata", &manifest);
        cargo.args(["--no-deps", "--format-version", "1"]).stderr(Stdio::inherit());
        let output = cargo.output().map_err(not_started)?;
        if !output.status.success() {
            return Err(format!("cargo cannot read the crate in {shown}"));
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
        let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
        let package =
            package.ok_or_else(|| format!("{shown} is a workspace; give the directory of the plugin's crate in it"))?;
        if !package.targets.iter().any(Target::is_library) {
            let how = "write `crate-type = [\"cdylib\"]` below `[lib]` in its Cargo.toml";
            return Err(format!("the crate `{}` makes no dynamic library: {how}", package.name));
        }
        let named = [package.readme, package.license_file].into_iter().flatten().map(|path| directory.join(path));
        let mut documents: Vec<PathBuf> = documents(directory).chain(named.filter(|path| path.is_file())).collect();
        documents.sort();
        documents.dedup_by(|a, b| a.file_name() == b.file_name());
        Ok(Crate { manifest, licence: package.license.unwrap_or_default(), documents })
    }

    /// Builds it in release mode, with cargo's own words on stderr, and gives the library.
    pub(super) fn build(&self) -> Result<PathBuf, String> {
        let mut cargo = cargo("build", &self.manifest);
        cargo.args(["--release", "--message-format", "json-render-diagnostics"]);
        let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(not_started)?;
        let mut library = None;
        for line in
            child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).lines()).map_while(Result::ok)
        {
            let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
            let Message { reason, manifest_path, target: Some(target), filenames } = message else { continue };
            if reason == "compiler-artifact" && manifest_path == self.manifest && target.is_library() {
                let is_library = |path: &PathBuf| path.to_string_lossy().ends_with(std::env::consts::DLL_SUFFIX);
                library = filenames.into_iter().find(is_library);
            }
        }
        let built = child.wait().map_err(|error| format!("cargo cannot be waited for: {error}"))?;
        if !built.success() {
            return Err("cargo build failed; what it says is above".to_owned());
        }
        library.ok_or_else(|| "cargo built no library".to_owned())
    }
}

fn cargo(command: &str, manifest: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(command).arg("--manifest-path").arg(manifest).stdin(Stdio::null());
    cargo
}

fn not_started(error: std::io::Error) -> String {
    format!("cargo cannot be started ({error}): install Rust, or give a library that is built already")
}

fn documents(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        path.is_file() && DOCUMENTS.iter().any(|start| name.starts_with(start))
    })
}
