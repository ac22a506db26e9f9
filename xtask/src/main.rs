//! Lineman's own chores.

mod bench;
mod demo;
mod narration;
mod release;

use std::process::ExitCode;

use clap::Parser;

/// Lineman's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Show Lineman at work: ten integrations on loopback, seven of them broken, one mended
    Demo(demo::Args),
    /// Measure Lineman beside what people would use in its place, and print the ratios
    Bench,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Demo(args) => demo::run(&args),
        Task::Bench => bench::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            narration::complain(&error);
            ExitCode::FAILURE
        }
    }
}
