use lineman_config::EditError;
use lineman_report::{next_command, wrap};

use crate::cli::Common;
use crate::failure::{Done, Failure};
use crate::setup::Plugins;
use crate::{terminal, trust};

pub(super) fn run(common: &Common, ids: &[String]) -> Done {
    let table = trust::table(common)?;
    let trust = trust::of(common, &table);
    let plugins = Plugins::find(common);
    if let Some(id) = ids.iter().find(|id| plugins.installed(id).is_none()) {
        return Err(Failure::refused(format_args!(
            "no plugin `{id}` is installed; see `lineman plugin list`, or install it with {}",
            trust::line(common, &["plugin", "install", "PACKAGE"])
        )));
    }
    let begun = !common.config.exists();
    // Accepted first: a configuration never enables what its lock file would refuse.
    trust::accept(&trust, &plugins, &table.enable, ids).map_err(|error| trust::refusal(&error, common))?;
    let added = lineman_config::enable(&common.config, ids).map_err(failed)?;
    let style = terminal::style(common);
    let (config, lock) = (common.config.display(), trust.lock_file().display());
    let said = match (added.as_slice(), begun) {
        ([], _) => format!("{config} enables {} already; accepted in {lock}.", ids.join(", ")),
        (added, true) => format!("Wrote {config}, which enables {}; accepted in {lock}.", added.join(", ")),
        (added, false) => format!("Enabled {} in {config}; accepted in {lock}.", added.join(", ")),
    };
    let mut next = wrap(&said, 0, &style);
    for id in &added {
        let words = trust::words(common, &["plugin", "info", id]);
        next += &next_command(&words.iter().map(String::as_str).collect::<Vec<_>>(), &style);
    }
    terminal::print(next.as_bytes())?;
    Ok(0)
}

pub(super) fn disable(common: &Common, ids: &[String]) -> Done {
    let table = trust::table(common)?;
    if let Some(id) = ids.iter().find(|id| !table.enable.contains(id)) {
        return Err(Failure::refused(format_args!("{} does not enable `{id}`", common.config.display())));
    }
    let removed = lineman_config::disable(&common.config, ids).map_err(failed)?;
    let trust = trust::of(common, &table);
    for id in &removed {
        trust.forget(id).map_err(|error| trust::refusal(&error, common))?;
    }
    let said = format!("Disabled {} in {}.", removed.join(", "), common.config.display());
    terminal::print(wrap(&said, 0, &terminal::style(common)).as_bytes())?;
    Ok(0)
}

fn failed(error: EditError) -> Failure {
    match error {
        EditError::Config(error) => error.into(),
        error => Failure::refused(error),
    }
}
