//! What follows `lineman plugin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use lineman_conformance::Case;

use super::{FailOn, HumanOrJson};

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the installed plugins, with what was verified of them
    List {
        /// How to print the list
        #[arg(long, value_name = "FORMAT", default_value = "human")]
        format: HumanOrJson,
    },
    /// Show a plugin's checks, settings, secrets, hosts and the permissions each check needs
    Info {
        /// The plugin's id
        id: String,
        /// How to print it
        #[arg(long, value_name = "FORMAT", default_value = "human")]
        format: InfoFormat,
    },
    /// Install a plugin for yourself: a library or program, a packed directory or a tarball of one
    #[command(after_help = "\
Examples:
  lineman plugin install acme-1.2.0.tar.gz --enable
  lineman plugin install target/release/libacme.so --plugin-dir /opt/lineman/plugins")]
    Install {
        /// What to install; its hashes, and its signature where keys are trusted, are verified
        #[arg(value_name = "PACKAGE")]
        package: PathBuf,
        /// Also enable it in the configuration and accept it in the lock file
        #[arg(long)]
        enable: bool,
    },
    /// Remove a plugin that you installed
    #[command(after_help = "Example:\n  lineman plugin remove acme")]
    Remove {
        /// The plugin's id
        id: String,
    },
    /// Let the configuration use plugins, and accept them in the lock file
    #[command(after_help = "Example:\n  lineman plugin enable acme git")]
    Enable {
        /// Ids of installed plugins
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Let the configuration use plugins no longer
    #[command(after_help = "Example:\n  lineman plugin disable acme")]
    Disable {
        /// Ids of enabled plugins
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Accept enabled plugins as they are now: write their hashes into the lock file
    #[command(after_help = "\
The lock file is beside the configuration (lineman.lock for lineman.toml). While it is there, a
plugin that is not the one in it stops every run before anything starts.

Example:
  lineman plugin lock acme")]
    Lock {
        /// Ids of enabled plugins; all of them when none is given
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
    /// Write a new plugin: a crate that builds, passes its tests and can be packed
    #[command(after_help = "Example:\n  lineman plugin new acme --sdk-path ~/src/lineman")]
    New {
        /// The plugin's id, which is also the provider's: `acme`, `acme-cloud`
        name: String,
        /// Where to write it; `lineman-plugin-NAME` unless given
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Build with the SDK of this source tree of Lineman, not with that of crates.io
        #[arg(long, value_name = "DIR")]
        sdk_path: Option<PathBuf>,
    },
    /// Build a plugin and make what is shipped: library or program, description, manifest and documents
    #[command(after_help = "\
Examples:
  lineman plugin pack
  lineman plugin pack ~/src/lineman-plugin-acme --out acme-1.0.0.tar.gz
  lineman plugin pack target/release/libacme.so --licence MIT --out dist/acme")]
    Pack {
        /// The directory of the plugin's crate, which is built, or a library, program or script
        #[arg(value_name = "CRATE|LIBRARY", default_value = ".")]
        what: PathBuf,
        /// A directory, or a tarball (`.tar.gz`, `.tgz`); `dist/ID` unless given
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
        /// The licence, as an SPDX expression; that of the crate unless given
        #[arg(long, value_name = "SPDX")]
        licence: Option<String>,
    },
    /// Judge a plugin: every promise that a plugin makes by being one, as a case of its own
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
}

const VERIFY_HELP: &str = "\
The plugin's checks are run, but for those that write, with made-up secrets and against servers
on this machine: the provider is not asked. See docs/conformance.md for the cases.

Exit codes: 0 every case passed or was skipped with a reason · 1 a case failed or crashed ·
2 there is no such plugin or case, nothing ran · 4 Lineman failed

Examples:
  lineman plugin verify dist/acme
  lineman plugin verify target/release/libacme.so --case secrets --case deadline
  lineman plugin verify dist/acme --against v1.2/description.json --format junit";

#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The directory that `plugin pack` made, a tarball of it, or a bare library
    pub(crate) path: PathBuf,

    /// How to print what was found
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: VerifyFormat,

    /// Only this case (repeatable)
    #[arg(long, value_name = "ID")]
    pub(crate) case: Vec<Case>,

    /// The description of an older version: what was configured for it must still work
    #[arg(long, value_name = "description.json")]
    pub(crate) against: Option<PathBuf>,

    /// What to configure the plugin with, where its schemas do not suggest it: TOML with
    /// `[settings]`, `[secrets]` and `[[requires]]`; `{endpoint}` stands for a server on this
    /// machine, `{host}` and `{port}` for its parts
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,

    /// What makes the exit code 1
    #[arg(long, value_name = "STATUS", default_value = "fail")]
    pub(crate) fail_on: FailOn,

    /// Cases at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,

    /// Calls of a long run, over which memory and descriptors must be steady
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InfoFormat {
    Human,
    Json,
    /// A page for a site's documentation, with every failure that the plugin knows
    Markdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyFormat {
    Human,
    Json,
    Junit,
}
