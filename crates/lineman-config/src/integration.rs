use std::collections::BTreeMap;
use std::path::PathBuf;

use lineman_model::{Description, Integration, Requirement};
use serde_json::Value;

use crate::config::{Configured, Environment, SecretRef};
use crate::connection;
use crate::error::At;
use crate::load::Providers;
use crate::nearest::suggestion;
use crate::node::Node;
use crate::problem::Problem;
use crate::reference;
use crate::settings::{Shape, closed, property_names};

/// The keys of `[integration.NAME]`.
pub(crate) const KEYS: [&str; 9] =
    ["provider", "labels", "owner", "runbook", "allow_writes", "settings", "secrets", "connection", "requires"];

const LONGEST_NAME: usize = 128;

/// Reads one integration. `key` is where its name stands.
pub(crate) fn read(
    name: &str,
    key: &At,
    node: &Node<'_>,
    providers: &Providers<'_>,
    env: &dyn Environment,
) -> Option<Configured> {
    if !is_name(name) {
        let help = "letters, digits, `.`, `_` and `-`, beginning with a letter or a digit";
        let (what, name) = ("an integration", lineman_model::clean_line(name, 100));
        node.mistakes.add(Some(key.clone()), Problem::BadName { what, name, help });
    }
    if !node.is_table() {
        return None;
    }
    node.only(&KEYS);
    let provider = node.require("provider", Some("the id of the plugin that knows it"));
    let provider = provider.and_then(|provider| {
        let id = provider.text()?;
        providers.check_enabled(id, &provider).then_some(id)
    });
    let plugin = provider.and_then(|id| providers.plugin(id));
    let mut integration = Integration {
        name: name.to_owned(),
        provider: provider.unwrap_or_default().to_owned(),
        labels: node.get("labels").map(|labels| read_labels(&labels)).unwrap_or_default(),
        owner: node.get("owner").and_then(|owner| owner.text()).map(str::to_owned),
        runbook: node.get("runbook").and_then(|runbook| connection::read_url(&runbook)),
        ..Integration::default()
    };
    let settings = node.get("settings").filter(Node::is_table);
    let mut paths = Vec::new();
    if let Some(id) = provider
        && let Some(shapes) = providers.shapes(id)
    {
        let shape = &shapes.settings;
        let defaults = providers.defaults(id);
        integration.settings = shape.read(node, settings.as_ref(), defaults, env).unwrap_or_default();
        paths = shape.paths(&integration.settings);
    }
    let words = provider.and_then(|id| providers.shapes(id)?.requirement.as_ref());
    integration.requires = node.get("requires").map(|requires| read_requires(&requires, words)).unwrap_or_default();
    let secrets = node.get("secrets");
    let secrets = secrets.map(|secrets| read_secrets(&secrets, plugin, env)).unwrap_or_default();
    let (connection, proxy) = connection::read(node.get("connection").as_ref(), plugin, env);
    let ca = connection.ca.iter().flat_map(|ca| ca.file.iter().chain(&ca.directory));
    paths.extend(ca.map(PathBuf::from));
    integration.connection = connection;
    let allow_writes = node.get("allow_writes").map(|checks| read_writes(&checks, plugin)).unwrap_or_default();
    let required_secrets = plugin.map(required).unwrap_or_default();
    let place = node.source.place(key.span.start);
    Some(Configured { integration, secrets, required_secrets, proxy, allow_writes, paths, place })
}

fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn read_labels(node: &Node<'_>) -> BTreeMap<String, String> {
    let labels = if node.is_table() { node.children() } else { Vec::new() };
    labels.into_iter().filter_map(|(key, _, value)| Some((key.to_owned(), value.text()?.to_owned()))).collect()
}

fn read_requires(node: &Node<'_>, shape: Option<&Shape>) -> Vec<Requirement> {
    let mut requirements: Vec<Requirement> = Vec::new();
    for (index, item) in node.array("tables").iter().enumerate() {
        if !item.is_table() {
            continue;
        }
        let id = item.get("id");
        let name = match &id {
            Some(id) => id.text().map(str::to_owned),
            None => Some(format!("requires[{index}]")),
        };
        let (Some(name), Some(Value::Object(mut words))) = (name, item.json()) else { continue };
        words.remove("id");
        if requirements.iter().any(|other| other.id == name) {
            let at = id.as_ref().unwrap_or(item);
            at.report(Problem::DuplicateRequirement { id: lineman_model::clean_line(&name, 100) });
        }
        let words = Value::Object(words);
        if let Some(shape) = shape {
            shape.check_words(item, &words);
        }
        if let Value::Object(words) = words {
            requirements.push(Requirement { id: name, words });
        }
    }
    requirements
}

fn read_secrets(node: &Node<'_>, plugin: Option<&Description>, env: &dyn Environment) -> BTreeMap<String, SecretRef> {
    let mut secrets = BTreeMap::new();
    if !node.is_table() {
        node.hide();
        return secrets;
    }
    for (name, at, value) in node.children() {
        if let Some(plugin) = plugin {
            let known = property_names(&plugin.secrets);
            let is_closed = closed(&plugin.secrets).get("additionalProperties") == Some(&Value::Bool(false));
            if is_closed && !known.iter().any(|known| known == name) {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let help = match known.as_slice() {
                    [] => Some("it takes no secrets".to_owned()),
                    known => suggestion(name, known),
                };
                let (provider, name) = (plugin.id.clone(), lineman_model::clean_line(name, 100));
                node.mistakes.add(Some(at), Problem::UnknownSecret { provider, name, help });
            }
        }
        if let Some(reference) = reference::read(&value, env) {
            secrets.insert(name.to_owned(), reference);
        }
    }
    secrets
}

/// Checks that may write are named one by one: a mistyped name must not stay unnoticed.
fn read_writes(node: &Node<'_>, plugin: Option<&Description>) -> Vec<String> {
    let mut checks = Vec::new();
    for item in node.texts() {
        let id = item.value.as_str().unwrap_or_default();
        if let Some(plugin) = plugin {
            let known: Vec<&str> =
                plugin.checks.iter().filter(|check| check.writes).map(|check| check.id.as_str()).collect();
            if !known.contains(&id) {
                let (provider, help) = (plugin.id.clone(), suggestion(id, &known));
                item.report(Problem::UnknownCheck { provider, check: lineman_model::clean_line(id, 100), help });
            }
        }
        checks.push(id.to_owned());
    }
    checks
}

fn required(plugin: &Description) -> Vec<String> {
    let names = plugin.secrets.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
