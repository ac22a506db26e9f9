use lineman_host::Acceptance;
use lineman_report::{table, wrap};

use crate::cli::Common;
use crate::failure::{Done, Failure};
use crate::setup::Plugins;
use crate::{terminal, trust};

pub(super) fn run(common: &Common, ids: &[String]) -> Done {
    if !common.config.exists() {
        return Err(Failure::refused(format_args!(
            "there is no configuration `{}`, and so nothing to lock; begin one with {}",
            common.config.display(),
            trust::line(common, &["plugin", "enable", "ID"])
        )));
    }
    let enabled = trust::table(common)?;
    let trust = trust::of(common, &enabled);
    let plugins = Plugins::find(common);
    if let Some(id) = ids.iter().find(|id| !enabled.enable.contains(id)) {
        return Err(Failure::refused(format_args!(
            "{} does not enable `{id}`; do so with {}",
            common.config.display(),
            trust::line(common, &["plugin", "enable", id])
        )));
    }
    let all = if ids.is_empty() { &enabled.enable } else { ids };
    if let Some(id) = all.iter().find(|id| plugins.installed(id).is_none()) {
        return Err(Failure::refused(format_args!("no plugin `{id}` is installed; see `lineman plugin list`")));
    }
    let accepted = match ids.is_empty() {
        true => trust.accept(&trust::installed(&plugins, all), Some(&enabled.enable)),
        false => trust::accept(&trust, &plugins, &enabled.enable, ids),
    };
    let accepted = accepted.map_err(|error| trust::refusal(&error, common))?;
    let rows: Vec<Vec<String>> = accepted
        .iter()
        .filter_map(|(id, acceptance)| {
            let now = &plugins.installed(id)?.manifest.version;
            let change = match acceptance {
                Acceptance::Same => "as before".to_owned(),
                Acceptance::New => "accepted".to_owned(),
                Acceptance::Extended => "accepted for this target too".to_owned(),
                Acceptance::Changed(before) if before == now => "accepted with other bytes".to_owned(),
                Acceptance::Changed(before) => format!("accepted in place of {before}"),
            };
            Some(vec![id.clone(), now.clone(), change])
        })
        .collect();
    let style = terminal::style(common);
    let is_new = accepted.iter().any(|(_, acceptance)| *acceptance != Acceptance::Same);
    let said = match is_new {
        true => format!("Wrote {}; keep it in version control.", trust.lock_file().display()),
        false => format!("{} is up to date.", trust.lock_file().display()),
    };
    terminal::print((table(&[], &rows, 0, &style) + &wrap(&said, 0, &style)).as_bytes())?;
    Ok(0)
}
