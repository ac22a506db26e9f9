//! `lineman plugin …`, a file for each.

mod enable;
mod info;
mod install;
mod list;
mod lock;
mod pack;
mod remove;

use crate::cli::{Common, PluginCommand};
use crate::failure::Done;

pub(crate) fn run(common: &Common, command: &PluginCommand) -> Done {
    match command {
        PluginCommand::List { format } => list::run(common, *format),
        PluginCommand::Info { id, format } => info::run(common, id, *format),
        PluginCommand::Install { package, enable } => install::run(common, package, *enable),
        PluginCommand::Remove { id } => remove::run(common, id),
        PluginCommand::Enable { ids } => enable::run(common, ids),
        PluginCommand::Disable { ids } => enable::disable(common, ids),
        PluginCommand::Lock { ids } => lock::run(common, ids),
        PluginCommand::Pack { library, out, licence } => pack::run(library, out, licence, common),
    }
}
