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
    /// Make the directory to ship: library or program, description and manifest
    #[command(after_help = "Example:\n  lineman plugin pack target/release/libacme.so --out dist/acme")]
    Pack {
        /// The plugin's library, or its program or script where it is one
        library: PathBuf,
        /// Where to write it
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// The licence of the plugin, as an SPDX expression
        #[arg(long, value_name = "SPDX", default_value = "")]
        licence: String,
    },
}
