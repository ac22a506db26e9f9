use std::collections::BTreeMap;
use std::path::Path;

use lineman_host::{Installed, Trust};
use lineman_report::{Style, table, wrap};
use serde::Serialize;
use serde_json::json;

use crate::cli::{Common, HumanOrJson};
use crate::failure::Done;
use crate::setup::Plugins;
use crate::trust::Signer;
use crate::{terminal, trust};

/// How much of a hash people compare.
const SHORT: usize = 12;

/// One plugin as the list shows it.
#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    version: &'a str,
    /// `enabled`, `not enabled`, `not accepted` (by the lock file) or `unusable`.
    state: &'static str,
    /// Why it is not loaded, when it is not accepted or unusable.
    problem: Option<String>,
    directory: &'a Path,
    source: String,
    door: &'a str,
    checks: Option<usize>,
    size: Option<u64>,
    /// Of the library, as its manifest names it.
    sha256: String,
    /// Whether its library was hashed and is that one.
    verified: bool,
    /// Whose signature is beside the manifest.
    signer: Option<Signer>,
}

pub(super) fn run(common: &Common, format: HumanOrJson) -> Done {
    let plugins = Plugins::find(common);
    let table = trust::table(common)?;
    let trust = trust::of(common, &table);
    let rows: Vec<Row<'_>> =
        plugins.found.plugins.values().map(|it| row(it, table.enable.iter().any(|id| id == it.id()), &trust)).collect();
    let problems: Vec<String> = plugins.found.problems.iter().map(ToString::to_string).collect();
    let text = match format {
        HumanOrJson::Json => format!("{:#}\n", json!({ "plugins": rows, "problems": problems })),
        HumanOrJson::Human => human(&rows, &problems, &terminal::style(common)),
    };
    terminal::print(text.as_bytes())?;
    Ok(0)
}

fn row<'a>(it: &'a Installed, enabled: bool, trust: &Trust) -> Row<'a> {
    let description = it.description();
    let verified = it.verify_library();
    let checks = description.as_ref().ok().map(|description| description.checks.len());
    let broken = description.map(drop).and(verified.clone());
    let accepted = if enabled { trust.hold(&[it], false).err() } else { None };
    let (state, problem) = match (broken, accepted) {
        (Err(error), _) => ("unusable", Some(error.to_string())),
        (Ok(()), Some(error)) => ("not accepted", Some(error.to_string())),
        (Ok(()), None) if enabled => ("enabled", None),
        (Ok(()), None) => ("not enabled", None),
    };
    Row {
        id: it.id(),
        version: &it.manifest.version,
        state,
        problem,
        directory: &it.directory,
        source: it.source(),
        door: &it.manifest.abi,
        checks,
        size: it.size().ok(),
        sha256: it.plugin_ref().sha256,
        verified: verified.is_ok(),
        signer: Signer::of(it, trust.keys()),
    }
}

/// A table for each directory that plugins were found in, and below it what there is to say.
fn human(rows: &[Row<'_>], problems: &[String], style: &Style) -> String {
    let mut places: BTreeMap<&Path, Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows {
        places.entry(row.directory.parent().unwrap_or(row.directory)).or_default().push(row);
    }
    let mut text = String::new();
    if places.is_empty() {
        text += &wrap("No plugin is installed where Lineman looks (see --plugin-dir).", 0, style);
    }
    for (place, rows) in places {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &wrap(&place.display().to_string(), 0, style);
        let cells: Vec<Vec<String>> = rows.iter().map(|row| cells(row)).collect();
        text += &table(&["id", "version", "state", "checks", "size", "door", "sha256"], &cells, 2, style);
        for row in rows {
            if let Some(signer) = &row.signer {
                text += &wrap(&format!("{} is {signer}", row.id), 2, style);
            }
            if let Some(problem) = &row.problem {
                // Where it is stands above.
                let problem = problem.replace(&format!("{}/", row.directory.display()), "");
                text += &wrap(&format!("! {}: {problem}", row.id), 2, style);
            }
        }
    }
    for problem in problems {
        text += &wrap(&format!("! {problem}"), 0, style);
    }
    text
}

fn cells(row: &Row<'_>) -> Vec<String> {
    let size = row.size.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6));
    let hash: String = row.sha256.chars().take(SHORT).collect();
    vec![
        row.id.to_owned(),
        row.version.to_owned(),
        row.state.to_owned(),
        row.checks.map(|checks| checks.to_string()).unwrap_or_default(),
        size.unwrap_or_default(),
        row.door.to_owned(),
        if row.verified { hash } else { "not verified".to_owned() },
    ]
}
