//! `lineman plugin …`, a file for each.

mod cargo;
mod info;
mod list;
mod new;
mod pack;

use crate::cli::{Common, PluginCommand};
use crate::failure::Done;

pub(crate) fn run(common: &Common, command: &PluginCommand) -> Done {
    match command {
        PluginCommand::List { format } => list::run(common, *format),
        PluginCommand::Info { id, format } => info::run(common, id, *format),
        PluginCommand::New { name, dir, sdk_path } => new::run(common, name, dir.as_deref(), sdk_path.as_deref()),
        PluginCommand::Pack { what, out, licence } => pack::run(common, what, out.as_deref(), licence.as_deref()),
    }
}
