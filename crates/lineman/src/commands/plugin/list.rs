use lineman_host::{Installed, Manifest};
use lineman_report::{table, wrap};
use serde_json::{Value, json};

use crate::cli::{Common, HumanOrJson};
use crate::failure::Done;
use crate::setup::Plugins;
use crate::terminal;

pub(super) fn run(common: &Common, format: HumanOrJson) -> Done {
    let plugins = Plugins::find(common);
    let enabled = if common.config.exists() { lineman_config::enabled(&common.config)? } else { Vec::new() };
    let state = |installed: &Installed| match installed.description() {
        Err(error) => format!("unusable: {error}"),
        Ok(_) if enabled.iter().any(|id| id == installed.id()) => "enabled".to_owned(),
        Ok(_) => "not enabled".to_owned(),
    };
    let installed = plugins.found.plugins.values();
    let problems: Vec<String> = plugins.found.problems.iter().map(ToString::to_string).collect();
    let text = match format {
        HumanOrJson::Json => {
            let rows: Vec<Value> = installed
                .map(|it| {
                    let plugin = it.plugin_ref();
                    json!({ "id": plugin.id, "version": plugin.version, "door": it.manifest.abi, "sha256": plugin.sha256, "state": state(it), "directory": it.directory })
                })
                .collect();
            format!("{:#}\n", json!({ "plugins": rows, "problems": problems }))
        }
        HumanOrJson::Human => {
            let style = terminal::style(common);
            let rows: Vec<Vec<String>> = installed
                .map(|it| {
                    let Manifest { id, version, abi, .. } = &it.manifest;
                    vec![id.clone(), version.clone(), abi.clone(), state(it), it.directory.display().to_string()]
                })
                .collect();
            let mut text = match rows.is_empty() {
                true => wrap("No plugin is installed where Lineman looks (see --plugin-dir).", 0, &style),
                false => table(&["id", "version", "door", "state", "directory"], &rows, 0, &style),
            };
            for problem in problems {
                text += &wrap(&format!("! {problem}"), 0, &style);
            }
            text
        }
    };
    terminal::print(text.as_bytes())?;
    Ok(0)
}
