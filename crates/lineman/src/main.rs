//! `lineman`: finds out why a platform's integrations fail.

mod cli;
mod commands;
mod executor;
mod failure;
mod grants;
mod keeper;
mod running;
mod setup;
mod terminal;
mod trust;

use std::process::ExitCode;

fn main() -> ExitCode {
    if lineman_host::is_worker() { lineman_host::worker_main() } else { cli::run(std::env::args_os()) }
}
