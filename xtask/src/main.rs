//! Lineman's own chores, run as `cargo xtask`.
//!
//! It knows how the project is built, tested and laid out, and nothing of what Lineman does.

mod abi_plugin;
mod bench;
mod demo;
mod deny;
mod fuzz;
mod header;
mod narration;
mod pages;
mod release;
mod requirements;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Lineman's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Show Lineman at work: ten integrations on loopback, seven of them broken, one mended
    Demo(demo::Arguments),
    /// Test everything the project promises, the end-to-end tests on real servers included
    Test(test::Arguments),
    /// Build and put program and plugins into place
    Install {
        /// The directory that gets `bin` and `lib`
        #[arg(long, value_name = "DIR")]
        prefix: PathBuf,
        /// The cargo profile to build
        #[arg(long, default_value = "release")]
        profile: String,
        /// A plugin to build; may be given again (all, unless one is)
        #[arg(long = "plugin", value_name = "ID")]
        plugins: Vec<String>,
    },
    /// Check bans, licences and sources of the dependencies, and advisories where they can be had
    Deny,
    /// Write the C header of the C door from its definition in Rust
    Header,
    /// Write the pages of the providers from their plugins
    Pages,
    /// Check what the compiler does not: arrows between crates, dependencies, names, lengths
    Tidy,
    /// Build the plugin of ABI 1.0 again, and compare it with the binary that is kept
    AbiPlugin,
    /// Run the fuzz targets, two at a time, and tell what they found
    Fuzz(fuzz::Arguments),
    /// Measure Lineman beside what people would use in its place, and print the ratios
    Bench,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Demo(arguments) => demo::run(&arguments),
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Install { prefix, profile, plugins } => release::install(&prefix, &profile, &plugins).map(drop),
        Chore::Deny => deny::run(),
        Chore::Header => header::write(),
        Chore::Pages => pages::write(),
        Chore::Tidy => tidy::run(),
        Chore::AbiPlugin => abi_plugin::run(),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Bench => bench::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the reader something. Everything goes to standard error: a chore has no output to pipe.
#[expect(clippy::print_stderr, reason = "this is the one place that speaks")]
fn say(text: &str) {
    eprintln!("{text}");
}
