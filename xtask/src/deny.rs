use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lineman_tests::{target_dir, workspace};

use crate::say;

/// The version that `deny.toml` is written for.
const VERSION: &str = "0.20.2";

/// Checks what is among the dependencies: bans, licences and sources; advisories where their
/// database can be had.
pub(crate) fn run() -> Result<()> {
    let program = installed()?;
    let check = |what: &[&str]| -> Result<bool> {
        let mut command = Command::new(&program);
        command.current_dir(workspace()).args(["--workspace", "check"]).args(what);
        Ok(command.status().context("cargo-deny cannot be started")?.success())
    };
    ensure!(check(&["bans", "licenses", "sources"])?, "the dependencies are not what deny.toml allows");
    let mut fetch = Command::new(&program);
    if fetch.current_dir(workspace()).args(["--workspace", "fetch", "db"]).output()?.status.success() {
        ensure!(check(&["--disable-fetch", "advisories"])?, "there are advisories against dependencies");
    } else {
        say("advisories were not checked: their database cannot be reached from here");
    }
    Ok(())
}

/// `cargo-deny`, built below the target directory where it is not there yet.
fn installed() -> Result<PathBuf> {
    let root = target_dir().join("tools");
    let program = root.join("bin/cargo-deny");
    if !program.is_file() {
        say(&format!("installing: cargo-deny {VERSION} into {}", root.display()));
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // Without optimisation it is there in half the time, and checks in seconds all the same.
        let what = ["install", "cargo-deny", "--locked", "--debug", "--quiet", "--version", VERSION, "--root"];
        command.args(what).arg(&root);
        command.arg("--target-dir").arg(root.join("build"));
        ensure!(command.status()?.success(), "cargo-deny cannot be built");
        // What it was built from is larger than everything else together.
        std::fs::remove_dir_all(root.join("build"))?;
    }
    Ok(program)
}
