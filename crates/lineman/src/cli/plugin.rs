//! What follows `lineman plugin`.

use std::path::PathBuf;

use clap::Subcommand;

use super::HumanOrJson;

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the installed plugins
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
