//! What follows `lineman plugin`.

use std::path::PathBuf;

use clap::Subcommand;

use super::HumanOrJson;

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
        format: HumanOrJson,
    },
    /// Install a plugin for yourself: a library, a packed directory or a tarball of one
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
    /// Build a plugin and make what is shipped: library, description, manifest and documents
    #[command(after_help = "\
Examples:
  lineman plugin pack
  lineman plugin pack ~/src/lineman-plugin-acme --out acme-1.0.0.tar.gz
  lineman plugin pack target/release/libacme.so --licence MIT --out dist/acme")]
    Pack {
        /// The directory of the plugin's crate, which is built, or a library that is built already
        #[arg(value_name = "CRATE|LIBRARY", default_value = ".")]
        what: PathBuf,
        /// A directory, or a tarball (`.tar.gz`, `.tgz`); `dist/ID` unless given
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
        /// The licence, as an SPDX expression; that of the crate unless given
        #[arg(long, value_name = "SPDX")]
        licence: Option<String>,
    },
}
