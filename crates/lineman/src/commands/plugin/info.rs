use std::collections::BTreeMap;

use lineman_catalog::Catalog;
use lineman_config::{Config, ProcessEnvironment};
use lineman_host::{Bound, Confinement, Installed, find_programs};
use lineman_model::{CheckInfo, Description, PluginRef};
use lineman_report::{Style, reference, table, wrap};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::{Common, InfoFormat};
use crate::failure::{Done, Failure};
use crate::grants::{Access, Wish};
use crate::setup::{Plugins, Setup};
use crate::trust::Signer;
use crate::{terminal, trust};

/// Everything that is known of a plugin before it is used.
#[derive(Serialize)]
struct Info {
    schema: &'static str,
    plugin: PluginRef,
    /// How it is entered, as its manifest says.
    door: String,
    directory: String,
    /// What it was installed from.
    source: String,
    /// Whose signature it bears.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<Signer>,
    /// What the plugin says of itself, its catalog left out.
    description: Description,
    /// Where its programs are on this machine; absent when they are not.
    programs: BTreeMap<String, Option<String>>,
    /// None when the configuration cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<Access>,
    confinement: Confined,
}

#[derive(Serialize)]
struct Confined {
    /// The version of Landlock.
    landlock: Option<u32>,
    bounds: Vec<Bound>,
}

pub(super) fn run(common: &Common, id: &str, format: InfoFormat) -> Done {
    let plugins = Plugins::find(common);
    let Some(installed) = plugins.installed(id) else {
        return Err(Failure::refused(format_args!("no plugin is called `{id}`; see `lineman plugin list`")));
    };
    let mut info = Info::of(installed, common)?;
    // Long, and `lineman explain CODE` shows it by the piece.
    let carried = std::mem::take(&mut info.description.catalog);
    let text = match format {
        InfoFormat::Json => {
            serde_json::to_string_pretty(&info).map_err(|error| Failure::Internal(error.to_string()))? + "\n"
        }
        InfoFormat::Human => human(&info, &terminal::style(common)),
        InfoFormat::Markdown => {
            let catalog = Catalog::from_value(id, &carried).map_err(Failure::refused)?;
            reference(&info.description, &catalog)
        }
    };
    terminal::print(text.as_bytes())?;
    Ok(0)
}

impl Info {
    fn of(installed: &Installed, common: &Common) -> Result<Info, Failure> {
        let description = installed.description().map_err(Failure::refused)?;
        let found = find_programs(&description.programs, &std::env::var("PATH").unwrap_or_default());
        let programs = description.programs.iter().map(|name| (name.clone(), found.get(name).cloned()));
        let access = |config: Option<&Config>| {
            let granted = config.and_then(|config| config.plugins.grants.get(installed.id()));
            Access::of(&description, granted, &ProcessEnvironment)
        };
        let access = match common.config.exists() {
            // Who looks up a setting may be about to mend the configuration.
            true => Setup::load(common).ok().map(|setup| access(Some(&setup.config))),
            false => Some(access(None)),
        };
        let confinement = Confinement::of_this_machine();
        let trust = trust::of(common, &trust::table(common).unwrap_or_default());
        Ok(Info {
            schema: "lineman.plugin/1",
            plugin: installed.plugin_ref(),
            door: installed.manifest.abi.clone(),
            directory: installed.directory.display().to_string(),
            source: installed.source(),
            signer: Signer::of(installed, trust.keys()),
            programs: programs.collect(),
            access,
            confinement: Confined { landlock: confinement.landlock(), bounds: confinement.bounds() },
            description,
        })
    }
}

fn human(info: &Info, style: &Style) -> String {
    let it = &info.description;
    let mut text = wrap(&format!("{} ({} {})", it.title, it.id, it.version), 0, style);
    text += &wrap(&format!("from {}, entered by {}, in {}", it.publisher, info.door, info.directory), 2, style);
    if let Some(signer) = &info.signer {
        text += &wrap(&signer.to_string(), 2, style);
    }
    if let Some(docs) = &it.docs_url {
        text += &wrap(docs, 2, style);
    }
    let rows = it
        .checks
        .iter()
        .map(|check| vec![check.level.to_string(), check.id.clone(), format!("{}{}", check.title, remarks(check))]);
    text += &section("Checks", &table(&[], &rows.collect::<Vec<_>>(), 2, style));
    let calls = it.checks.iter().flat_map(|check| check.calls.iter().map(move |call| (check, call)));
    let calls = calls.map(|(check, call)| {
        let permission = call.permission.clone().unwrap_or_else(|| "no permission".to_owned());
        vec![check.id.clone(), call.call.clone(), permission]
    });
    text += &section("Calls, and the permission each needs", &table(&[], &calls.collect::<Vec<_>>(), 2, style));
    text += &section("Settings", &properties(&it.settings, style));
    text += &section("Secrets", &properties(&it.secrets, style));
    text += &section("Requirements", &properties(&it.requires, style));
    if !it.hosts.is_empty() {
        text += &section("Talks to", &wrap(&it.hosts.join(", "), 2, style));
    }
    let programs = info
        .programs
        .iter()
        .map(|(name, path)| vec![name.clone(), path.clone().unwrap_or_else(|| "not on this machine".to_owned())]);
    text += &section("Runs", &table(&[], &programs.collect::<Vec<_>>(), 2, style));
    text += &section("May reach", &reach(info, style));
    let here = match info.confinement.landlock {
        Some(version) => format!("How it is confined here (Landlock {version})"),
        None => "How it is confined here (this kernel has no Landlock)".to_owned(),
    };
    let bounds = info.confinement.bounds.iter().map(|bound| {
        let state = if bound.confined { "confined" } else { "free" };
        vec![bound.what.to_owned(), state.to_owned(), bound.how.to_owned()]
    });
    text + &section(&here, &table(&[], &bounds.collect::<Vec<_>>(), 2, style))
}

/// What is not usual about a check.
fn remarks(check: &CheckInfo) -> String {
    let mut remarks = Vec::new();
    if !check.needs.is_empty() {
        remarks.push(format!("after {}", check.needs.join(", ")));
    }
    if !check.required {
        remarks.push("optional".to_owned());
    }
    if check.writes {
        remarks.push("writes".to_owned());
    }
    if check.deprecated {
        let instead = check.replaced_by.as_ref().map(|other| format!(", use {other}")).unwrap_or_default();
        remarks.push(format!("deprecated{instead}"));
    }
    if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) }
}

/// What the plugin may reach beyond what every program needs, and what it would like to.
fn reach(info: &Info, style: &Style) -> String {
    let id = &info.plugin.id;
    let mut rows = vec![vec!["its own directory, and the programs above".to_owned(), "always".to_owned()]];
    for name in paths_in(&info.description.settings).chain(["connection.ca_file".to_owned()]) {
        rows.push(vec![format!("the path in `{name}`"), "when it is set".to_owned()]);
    }
    let Some(access) = &info.access else {
        let unread = "What it is granted is not known: the configuration has mistakes; see `lineman list`.";
        return table(&[], &rows, 2, style) + &wrap(unread, 2, style);
    };
    let mut wishes = |kind: &str, key: &str, wishes: &[Wish]| {
        for Wish { what, granted } in wishes {
            let state = match granted {
                true => "granted".to_owned(),
                false => format!("wanted, not granted: add it to `plugins.{id}.{key}`"),
            };
            rows.push(vec![format!("{kind}{what}"), state]);
        }
    };
    wishes("$", "allow_env", &access.environment);
    wishes("", "allow_paths", &access.paths);
    rows.extend(
        access.unasked.iter().map(|what| vec![what.clone(), "granted, though it does not ask for it".to_owned()]),
    );
    table(&[], &rows, 2, style)
}

/// The settings that name paths.
fn paths_in(schema: &Map<String, Value>) -> impl Iterator<Item = String> {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties
        .filter(|(_, property)| property.get("format").and_then(Value::as_str) == Some("path"))
        .map(|(name, _)| format!("settings.{name}"))
}

fn section(title: &str, body: &str) -> String {
    if body.trim().is_empty() { String::new() } else { format!("\n{title}\n{body}") }
}

fn properties(schema: &Map<String, Value>, style: &Style) -> String {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(Value::Object(properties)) = schema.get("properties") else { return String::new() };
    let rows = properties.iter().map(|(name, property)| {
        let about = property.get("description").and_then(Value::as_str).unwrap_or_default();
        let about = if required.contains(&name.as_str()) { format!("{about} (required)") } else { about.to_owned() };
        let instead = property.get("replaced_by").and_then(Value::as_str).map(|other| format!(", use {other}"));
        let about = match property.get("deprecated").and_then(Value::as_bool) {
            Some(true) => format!("{about} (deprecated{})", instead.unwrap_or_default()),
            _ => about,
        };
        vec![name.clone(), about.trim_start().to_owned()]
    });
    table(&[], &rows.collect::<Vec<_>>(), 2, style)
}
