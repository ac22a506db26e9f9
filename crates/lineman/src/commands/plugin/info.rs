use lineman_host::Installed;
use lineman_model::Description;
use lineman_report::{Style, table, wrap};
use serde_json::{Map, Value};

use crate::cli::{Common, HumanOrJson};
use crate::failure::{Done, Failure};
use crate::setup::Plugins;
use crate::terminal;

pub(super) fn run(common: &Common, id: &str, format: HumanOrJson) -> Done {
    let plugins = Plugins::find(common);
    let Some(installed) = plugins.installed(id) else {
        return Err(Failure::refused(format_args!("no plugin is called `{id}`; see `lineman plugin list`")));
    };
    let description = installed.description().map_err(Failure::refused)?;
    let text = match format {
        HumanOrJson::Json => {
            let mut value = serde_json::to_value(&description).map_err(|error| Failure::Internal(error.to_string()))?;
            if let Value::Object(fields) = &mut value {
                // Long, and `lineman explain CODE` shows it by the piece.
                fields.remove("catalog");
                fields.insert("door".to_owned(), installed.manifest.abi.clone().into());
            }
            format!("{value:#}\n")
        }
        HumanOrJson::Human => human(installed, &description, &terminal::style(common)),
    };
    terminal::print(text.as_bytes())?;
    Ok(0)
}

fn human(installed: &Installed, description: &Description, style: &Style) -> String {
    let mut text = wrap(&format!("{} ({} {})", description.title, description.id, description.version), 0, style);
    let Installed { directory, manifest } = installed;
    let about = format!("from {}, entered by {}, in {}", description.publisher, manifest.abi, directory.display());
    text += &wrap(&about, 2, style);
    let rows: Vec<Vec<String>> = description
        .checks
        .iter()
        .map(|check| vec![check.level.to_string(), check.id.clone(), check.title.clone()])
        .collect();
    text += &section("Checks", &table(&[], &rows, 2, style));
    let calls: Vec<Vec<String>> = description
        .checks
        .iter()
        .flat_map(|check| check.calls.iter().map(move |call| (check, call)))
        .map(|(check, call)| {
            let permission = call.permission.clone().unwrap_or_else(|| "no permission".to_owned());
            vec![check.id.clone(), call.call.clone(), permission]
        })
        .collect();
    text += &section("Calls, and the permission each needs", &table(&[], &calls, 2, style));
    text += &section("Settings", &properties(&description.settings, style));
    text += &section("Secrets", &properties(&description.secrets, style));
    for (title, items) in [
        ("Talks to", &description.hosts),
        ("Runs", &description.programs),
        ("Wants to see the environment variables", &description.environment),
        ("Wants to read", &description.paths),
    ] {
        if !items.is_empty() {
            text += &section(title, &wrap(&items.join(", "), 2, style));
        }
    }
    text
}

fn section(title: &str, body: &str) -> String {
    if body.trim().is_empty() { String::new() } else { format!("\n{title}\n{body}") }
}

fn properties(schema: &Map<String, Value>, style: &Style) -> String {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(Value::Object(properties)) = schema.get("properties") else { return String::new() };
    let rows: Vec<Vec<String>> = properties
        .iter()
        .map(|(name, property)| {
            let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
            let about =
                if required.contains(&name.as_str()) { format!("{about} (required)") } else { about.to_owned() };
            vec![name.clone(), about]
        })
        .collect();
    table(&[], &rows, 2, style)
}
