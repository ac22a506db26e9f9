//! `lineman list`.

use lineman_config::Configured;
use serde_json::json;

use crate::cli::{Common, HumanOrJson, ListArgs};
use crate::failure::Done;
use crate::setup::Setup;
use crate::terminal;

pub(crate) fn run(common: &Common, args: &ListArgs) -> Done {
    let setup = Setup::load(common)?;
    let selected = setup.select(&args.which)?;
    let text = match args.format {
        HumanOrJson::Json => {
            format!("{:#}\n", json!(selected.iter().map(|configured| entry(configured)).collect::<Vec<_>>()))
        }
        HumanOrJson::Human => {
            let rows: Vec<Vec<String>> = selected.iter().map(|configured| row(configured)).collect();
            lineman_report::table(&["name", "provider", "labels", "owner"], &rows, 0, &terminal::style(common))
        }
    };
    terminal::print(text.as_bytes())?;
    Ok(0)
}

fn entry(configured: &Configured) -> serde_json::Value {
    let it = &configured.integration;
    json!({
        "name": it.name,
        "provider": it.provider,
        "labels": it.labels,
        "owner": it.owner,
        "runbook": it.runbook,
        "secrets": configured.secrets.keys().collect::<Vec<_>>(),
        "requires": it.requires.iter().map(|requirement| &requirement.id).collect::<Vec<_>>(),
        "file": configured.place.file,
        "line": configured.place.line,
    })
}

fn row(configured: &Configured) -> Vec<String> {
    let it = &configured.integration;
    let labels: Vec<String> = it.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    vec![it.name.clone(), it.provider.clone(), labels.join(" "), it.owner.clone().unwrap_or_default()]
}
