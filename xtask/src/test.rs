use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lineman_tests::{not_run, notes_dir, workspace};

use crate::{requirements, say};

/// What `cargo xtask test` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A test that cannot run is a failure; servers that must be built first are built
    #[arg(long)]
    all: bool,
    /// What follows goes to `cargo test`
    #[arg(last = true)]
    cargo: Vec<OsString>,
}

/// Installs what is missing, runs every test, and lists those that could not run.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    requirements::install_missing(arguments.all);
    if let Err(error) = fs::remove_dir_all(notes_dir())
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).context("cannot clear the notes of an earlier run");
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Tests send signals, which whoever starts them may have chosen to ignore.
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(cargo);
    command.current_dir(workspace()).args(["test", "--workspace", "--no-fail-fast"]).args(&arguments.cargo);
    if arguments.all {
        command.env("LINEMAN_TEST_ALL", "1");
    }
    let status = command.status().context("cannot run cargo test")?;
    let not_run = not_run();
    if !not_run.is_empty() {
        say(&format!("\n{} tests could not run:", not_run.len()));
        not_run.iter().for_each(|(test, why)| say(&format!("  {test}: {why}")));
    }
    ensure!(status.success(), "tests failed");
    Ok(())
}
