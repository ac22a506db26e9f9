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
