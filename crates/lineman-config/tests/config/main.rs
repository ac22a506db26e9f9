//! What a person sees who writes a `lineman.toml`, well or badly.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lineman_config::{Config, ConfigError, Installed, load};
use lineman_model::Description;
use serde_json::json;
use tempfile::TempDir;

mod deprecated;
mod hostile;
mod loading;
mod mistakes;
mod resolving;
mod schema;

/// The example that touches every part of the file.
const EXAMPLE: &str = include_str!("lineman.toml");

/// A machine with a few plugins, which remembers whose description was asked for.
struct Machine {
    plugins: BTreeMap<String, Description>,
    asked: RefCell<Vec<String>>,
}

impl Installed for Machine {
    fn ids(&self) -> Vec<String> {
        // One of them has lost its description.
        self.plugins.keys().cloned().chain(["undescribed".to_owned()]).collect()
    }

    fn description(&self, id: &str) -> Option<&Description> {
        self.asked.borrow_mut().push(id.to_owned());
        self.plugins.get(id)
    }
}

fn machine() -> Machine {
    let broken = described("broken", json!({ "type": "no type" }), json!({}));
    // A schema that never comes to an end.
    let endless = described("endless", json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }] }), json!({}));
    let plugins = [endless, acme(), forge(), described("unused", json!({}), json!({})), broken];
    let plugins = plugins.into_iter().map(|plugin| (plugin.id.clone(), plugin)).collect();
    Machine { plugins, asked: RefCell::default() }
}

fn described(id: &str, settings: serde_json::Value, secrets: serde_json::Value) -> Description {
    serde_json::from_value(json!({
        "id": id,
        "version": "1.0.0",
        "title": id,
        "protocol": { "min": 1, "max": 1 },
        "operations": ["check", "close"],
        "checks": [
            { "id": format!("{id}/identity"), "title": "The key is accepted", "level": "identity" },
            { "id": format!("{id}/put"), "title": "An object can be put", "level": "operation", "writes": true },
        ],
        "settings": settings,
        "secrets": secrets,
        "services": [{ "name": "tokens", "about": "gives tokens" }, { "name": "store", "about": "keeps objects" }],
    }))
    .unwrap()
}

fn acme() -> Description {
    let settings = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "account_id": {
                "type": "string",
                "pattern": "^[0-9]{12}$",
                "description": "The account that the credential must belong to.",
            },
            "region": { "type": "string", "enum": ["eu-west-1", "eu-north-1", "us-east-1"] },
            "console": { "type": "string", "format": "uri" },
            "profile_file": { "type": ["string", "null"], "format": "path" },
            "ports": { "type": "array", "items": { "type": "integer", "minimum": 1 } },
            "retry": { "$ref": "#/$defs/Retry" },
        },
        "required": ["account_id", "region"],
        "$defs": {
            "Retry": {
                "type": "object",
                "properties": {
                    "attempts": { "type": "integer" },
                    "log_file": { "type": "string", "format": "path" },
                },
                "additionalProperties": false,
            },
        },
    });
    let secrets = json!({
        "type": "object",
        "properties": {
            "key_id": { "type": "string", "description": "The name of the key." },
            "key": { "type": "string" },
            "session": { "type": "string" },
        },
        "required": ["key_id", "key"],
    });
    let requires = json!({
        "properties": {
            "action": { "type": "string", "description": "What must be allowed." },
            "resource": { "type": "string" },
        },
        "required": ["action"],
    });
    let requires = requires.as_object().cloned().unwrap_or_default();
    Description { requires, ..described("acme", settings, secrets) }
}

fn forge() -> Description {
    described("forge", json!({ "properties": { "url": { "type": "string" } }, "required": ["url"] }), json!({}))
}

/// Writes files into a new directory; the first one is the main file.
fn write(files: &[(&str, &[u8])]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let main = directory.path().join(files[0].0);
    (directory, main)
}

fn load_from(main: &Path, env: &BTreeMap<String, String>) -> Result<Config, ConfigError> {
    load(main, &machine(), env)
}

/// The environment, from pairs.
fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
