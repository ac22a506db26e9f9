//! `lineman plugin …`, a file for each.

mod cargo;
mod enable;
mod info;
mod install;
mod list;
mod lock;
mod new;
mod pack;
mod remove;
mod verify;

use crate::cli::{Common, PluginCommand};
use crate::failure::Done;

pub(crate) fn run(common: &Common, command: &PluginCommand) -> Done {
    match command {
        PluginCommand::List { format } => list::run(common, *format),
        PluginCommand::Info { id, format } => info::run(common, id, *format),
        PluginCommand::New { name, dir, sdk_path } => new::run(common, name, dir.as_deref(), sdk_path.as_deref()),
        PluginCommand::Pack { what, out, licence } => pack::run(common, what, out.as_deref(), licence.as_deref()),
        PluginCommand::Install { package, enable } => install::run(common, package, *enable),
        PluginCommand::Remove { id } => remove::run(common, id),
        PluginCommand::Enable { ids } => enable::run(common, ids),
        PluginCommand::Disable { ids } => enable::disable(common, ids),
        PluginCommand::Lock { ids } => lock::run(common, ids),
        PluginCommand::Verify(args) => verify::run(common, args),
    }
}
