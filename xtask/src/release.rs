//! Builds Lineman as users have it and installs it below cargo's target directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use lineman_tests::{target_dir, workspace};
use serde::Deserialize;

use crate::narration::Step;

/// A path as people type it where they are.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

/// Builds Lineman and these plugins in release mode and installs them under `prefix`: gives back
/// the program.
pub(crate) fn install(prefix: &Path, plugins: &[&str]) -> Result<PathBuf> {
    let built = build(plugins)?;
    let program = prefix.join("bin/lineman");
    fs::create_dir_all(prefix.join("bin"))?;
    let of = |target: &str| built.iter().find(|file| file.target == target).map(|file| &file.path);
    copy(of("lineman").context("cargo built no lineman")?, &program)?;
    for id in plugins {
        let mut step = Step::new("packing plugins");
        step.at(id);
        let name = format!("lineman_plugin_{}", id.replace('-', "_"));
        let library = of(&name).with_context(|| format!("cargo built no library of the plugin {id}"))?;
        let output = Command::new(&program)
            .args(["plugin", "pack"])
            .arg(library)
            .arg("--out")
            .arg(prefix.join("lib/lineman/plugins").join(id))
            .output()?;
        ensure!(output.status.success(), "{id} cannot be packed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(program)
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

/// What cargo made of a target.
struct Built {
    target: String,
    path: PathBuf,
}

/// A line of `cargo build --message-format json`, as far as it matters.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn build(plugins: &[&str]) -> Result<Vec<Built>> {
    let mut step = Step::new("building Lineman and its plugins in release mode");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace());
    command.args(["build", "--release", "--quiet", "--message-format", "json-render-diagnostics"]);
    command.args(["--package", "lineman"]);
    for id in plugins {
        command.args(["--package", &format!("lineman-plugin-{id}")]);
    }
    command.arg("--target-dir").arg(target_dir());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cargo cannot be started")?;
    let mut built = Vec::new();
    let mut compiled = 0;
    for line in BufReader::new(child.stdout.take().context("cargo has no output")?).lines() {
        let Ok(message) = serde_json::from_str::<Message>(&line?) else { continue };
        let Message { reason, target: Some(Target { name }), filenames } = message else { continue };
        if reason == "compiler-artifact" {
            compiled += 1;
            step.at(&format!("{compiled} compiled, {name}"));
            built.extend(filenames.into_iter().map(|path| Built { target: name.clone(), path }));
        }
    }
    ensure!(child.wait()?.success(), "cargo build failed");
    Ok(built)
}

/// Copies a file beside its place and renames it: a program that runs keeps its own.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let beside = to.with_extension("new");
    fs::copy(from, &beside).with_context(|| format!("{} cannot be copied", from.display()))?;
    Ok(fs::rename(beside, to)?)
}
