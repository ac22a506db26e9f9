use lineman_report::{next_command, wrap};

use crate::cli::Common;
use crate::failure::{Done, Failure};
use crate::setup::Plugins;
use crate::{terminal, trust};

pub(super) fn run(common: &Common, id: &str) -> Done {
    let destination = trust::destination(common)?;
    let plugins = Plugins::find(common);
    let Some(installed) = plugins.installed(id) else {
        return Err(Failure::refused(format_args!("no plugin is called `{id}`; see `lineman plugin list`")));
    };
    if installed.directory.parent() != Some(destination.as_path()) {
        return Err(Failure::refused(format_args!(
            "`{id}` is in {}, into which it was not installed by you; remove it there",
            installed.directory.display()
        )));
    }
    installed.remove().map_err(Failure::refused)?;
    let style = terminal::style(common);
    let said = format!("Removed {id} {} from {}.", installed.manifest.version, destination.display());
    let mut text = wrap(&said, 0, &style);
    if let Some(other) = Plugins::find(common).installed(id) {
        let said = format!("! {id} {} in {} takes its place.", other.manifest.version, other.directory.display());
        text += &wrap(&said, 0, &style);
    } else if trust::table(common)?.enable.iter().any(|enabled| enabled == id) {
        text += &wrap(&format!("! {} still enables it.", common.config.display()), 0, &style);
        let next = trust::words(common, &["plugin", "disable", id]);
        text += &next_command(&next.iter().map(String::as_str).collect::<Vec<_>>(), &style);
    }
    terminal::print(text.as_bytes())?;
    Ok(0)
}
