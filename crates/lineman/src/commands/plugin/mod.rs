//! `lineman plugin …`, a file for each.

mod info;
mod list;
mod pack;
mod verify;

use crate::cli::{Common, PluginCommand};
use crate::failure::Done;

pub(crate) fn run(common: &Common, command: &PluginCommand) -> Done {
    match command {
        PluginCommand::List { format } => list::run(common, *format),
        PluginCommand::Info { id, format } => info::run(common, id, *format),
        PluginCommand::Pack { library, out, licence } => pack::run(library, out, licence, common),
        PluginCommand::Verify(args) => verify::run(common, args),
    }
}
