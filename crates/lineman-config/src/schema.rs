use lineman_model::Description;
use serde_json::{Map, Value, json};

use crate::settings::closed;
use crate::{history, policy};

/// Durations as people write them: 10s, 1m30s, 500ms.
const DURATION: &str = "^[0-9]+(h|m|s|ms)([0-9]+(m|s|ms))*$";

/// The grammar of `lineman.toml` as a JSON Schema, for editors that complete and check it.
///
/// `plugins` are the plugins whose settings, secrets and services it offers; with none, any
/// provider is taken and anything in its tables. What only the loader can tell (that files exist,
/// that names are unique over files, that a required setting is in no table of defaults either)
/// is not in here.
pub fn schema(plugins: &[&Description]) -> Value {
    let mut definitions = definitions();
    let mut defaults = Map::new();
    let mut per_provider = Vec::new();
    for plugin in plugins {
        let id = &plugin.id;
        let name = format!("{id}.settings");
        definitions.insert(name.clone(), embedded(&plugin.settings, &name));
        let settings = json!({ "$ref": format!("#/$defs/{name}") });
        defaults.insert(id.clone(), object(json!({ "settings": settings }), &[]));
        let requirement = requirement(plugin, &mut definitions);
        per_provider.push(json!({
            "if": { "properties": { "provider": { "const": id } }, "required": ["provider"] },
            "then": { "properties": {
                "settings": settings,
                "secrets": secrets(plugin),
                "connection": { "properties": { "endpoints": { "propertyNames": { "enum": services(plugin) } } } },
                "allow_writes": { "items": { "enum": writes(plugin) } },
                "requires": { "items": requirement },
            } },
        }));
    }
    let ids: Vec<&str> = plugins.iter().map(|plugin| plugin.id.as_str()).collect();
    let mut integration = integration();
    let mut defaults = object(Value::Object(defaults), &[]);
    if plugins.is_empty() {
        defaults["additionalProperties"] = object(json!({ "settings": { "type": "object" } }), &[]);
    } else {
        integration["properties"]["provider"]["enum"] = json!(ids);
        integration["allOf"] = Value::Array(per_provider);
    }
    definitions.insert("integration".to_owned(), integration);
    let mut root = object(
        json!({
            "version": { "const": 1, "description": "Version of the configuration's format." },
            "include": texts("More files, as patterns relative to this one."),
            "plugins": plugins_table(&ids),
            "policy": object(
                json!({
                    "deny_writes": {
                        "type": "boolean",
                        "description": "Whether no check may write at a provider, whatever an integration says.",
                    },
                    "allow_endpoints": endpoints("Where secrets may be sent to; where it is set, nowhere else."),
                    "deny_endpoints": endpoints("Where secrets may never be sent to, even if it is allowed."),
                }),
                &[],
            ),
            "history": object(
                json!({
                    "enabled": { "type": "boolean", "description": "Whether anything is kept of a run on this machine." },
                    "directory": text("Where; the user's state directory unless it is said."),
                    "fingerprint_key": {
                        "$ref": "#/$defs/reference",
                        "description": "The key of the fingerprints of credentials, when several machines share it.",
                    },
                    "keep": {
                        "type": "string",
                        "pattern": "^[0-9]+d$",
                        "description": "How old a run may get: 90d.",
                    },
                    "max_mb": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": history::MOST_MB,
                        "description": "How large the history may get, megabytes.",
                    },
                }),
                &[],
            ),
            "vantage": object(
                json!({
                    "name": text("What the place that the platform works from is called."),
                    "egress_ips": texts("The addresses that providers see the platform come from: addresses or networks."),
                    "echo_url": text("An address that answers with its caller's address as text: it tells where a run came from."),
                }),
                &[],
            ),
            "defaults": defaults,
            "integration": {
                "type": "object",
                "description": "Connections to providers, by name.",
                "propertyNames": { "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$", "maxLength": 128 },
                "additionalProperties": { "$ref": "#/$defs/integration" },
            },
            "suppress": { "type": "array", "items": suppression() },
        }),
        // An included file needs no version, and an editor cannot tell which file is included.
        &[],
    );
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("lineman.toml");
    root["$defs"] = Value::Object(definitions);
    root
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": about })
}

fn texts(about: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string", "minLength": 1 }, "description": about })
}

fn url(about: &str) -> Value {
    json!({ "type": "string", "format": "uri", "description": about })
}

fn definitions() -> Map<String, Value> {
    let mut reference = object(
        json!({
            "env": text("The environment variable that holds it."),
            "file": text("The file that holds it, relative to this one."),
            "command": {
                "type": "array",
                "minItems": 1,
                "items": { "type": "string" },
                "description": "The program that prints it, and its arguments; no shell is involved.",
            },
            "json_pointer": {
                "type": "string",
                "pattern": "^(/([^~]|~[01])*)+$",
                "description": "Where it is within the JSON document that the source holds.",
            },
        }),
        &[],
    );
    reference["oneOf"] = json!([{ "required": ["env"] }, { "required": ["file"] }, { "required": ["command"] }]);
    reference["description"] = json!("Where a secret is; the file never holds it.");
    Map::from_iter([("reference".to_owned(), reference)])
}

fn plugins_table(ids: &[&str]) -> Value {
    let grants = object(
        json!({
            "allow_env": texts("Environment variables that the plugin may see."),
            "allow_paths": texts("Paths that the plugin may read."),
            "memory": {
                "type": "string",
                "pattern": "^[0-9]+[MG]iB$",
                "description": "Limit of its worker's private memory: 512MiB.",
            },
            "timeout": {
                "type": "string",
                "pattern": DURATION,
                "description": "Limit of one of its checks: 20s.",
            },
            "max_parallel": {
                "type": "integer",
                "minimum": 1,
                "maximum": policy::MOST_PARALLEL,
                "description": "How many of its checks run at once.",
            },
        }),
        &[],
    );
    let key = json!({ "type": "string", "pattern": "^RW[A-Za-z0-9+/]{54}$" });
    let mut enable = texts("The plugins that may be loaded; nothing else ever is.");
    if !ids.is_empty() {
        enable["items"] = json!({ "enum": ids });
    }
    json!({
        "type": "object",
        "properties": {
            "enable": enable,
            "trusted_keys": {
                "type": "array",
                "items": key,
                "description": "Public keys of minisign whose signatures count.",
            },
            "require_signatures": {
                "type": "boolean",
                "description": "Whether every enabled plugin must be signed by one of these keys.",
            },
        },
        "additionalProperties": grants,
    })
}

fn endpoints(about: &str) -> Value {
    let host = "^(\\*\\.)?[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*\\.?$";
    let network = "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$";
    json!({
        "type": "array",
        "items": { "type": "string", "anyOf": [{ "pattern": host }, { "pattern": network }] },
        "description": about,
    })
}

fn integration() -> Value {
    object(
        json!({
            "provider": text("Id of the plugin that knows the provider."),
            "labels": {
                "type": "object",
                "additionalProperties": { "type": "string", "minLength": 1 },
                "description": "Free labels, for selection and reports.",
            },
            "owner": text("Who looks after it; shown with findings."),
            "runbook": url("What to read when it fails; shown with findings."),
            "allow_writes": texts("Ids of checks that may change something at the provider."),
            "settings": { "type": "object", "description": "The plugin's own settings." },
            "secrets": { "type": "object", "additionalProperties": { "$ref": "#/$defs/reference" } },
            "connection": object(
                json!({
                    "endpoint_url": url("Replaces the provider's usual endpoint."),
                    "endpoints": {
                        "type": "object",
                        "additionalProperties": { "type": "string", "format": "uri" },
                        "description": "Replaces the endpoint of single services.",
                    },
                    "proxy": {
                        "anyOf": [{ "type": "string", "pattern": "^(https?|socks5h?)://" }, { "$ref": "#/$defs/reference" }],
                        "description": "The proxy; a reference when its address holds a password.",
                    },
                    "no_proxy": {
                        "type": ["string", "array"],
                        "items": { "type": "string" },
                        "description": "Hosts that are reached without a proxy.",
                    },
                    "ca_file": text("Certificate authorities to trust instead of the system's, as PEM."),
                    "timeout": {
                        "type": "string",
                        "pattern": DURATION,
                        "description": "Limit of one request: 10s, 1m30s, 500ms.",
                    },
                    "allow_link_local": {
                        "type": "boolean",
                        "description": "Whether link-local addresses and metadata services may be contacted.",
                    },
                }),
                &[],
            ),
            "requires": {
                "type": "array",
                "items": { "type": "object", "properties": { "id": requirement_id() } },
                "description": "What the platform means to do through it, in the plugin's words.",
            },
        }),
        &["provider"],
    )
}

fn suppression() -> Value {
    object(
        json!({
            "integration": text("The integration's name."),
            "code": json!({ "type": "string", "pattern": "^[a-z0-9-]+/[a-z0-9-]+$", "description": "The finding's code." }),
            "until": { "type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "The last day." },
            "reason": text("Why."),
        }),
        &["integration", "code", "until", "reason"],
    )
}

fn secrets(plugin: &Description) -> Value {
    let declared = plugin.secrets.get("properties").and_then(Value::as_object);
    let properties: Map<String, Value> = declared
        .into_iter()
        .flatten()
        .map(|(name, about)| {
            let mut reference = json!({ "$ref": "#/$defs/reference" });
            for word in ["description", "deprecated", "replaced_by"] {
                if let Some(said) = about.get(word) {
                    reference[word] = said.clone();
                }
            }
            (name.clone(), reference)
        })
        .collect();
    let mut secrets = json!({ "properties": properties });
    if closed(&plugin.secrets).get("additionalProperties") == Some(&Value::Bool(false)) {
        secrets["additionalProperties"] = json!(false);
    }
    secrets
}

fn requirement_id() -> Value {
    text("Unique within the integration.")
}

/// What a plugin takes in an entry of `requires`: its own words, and an `id`.
fn requirement(plugin: &Description, definitions: &mut Map<String, Value>) -> Value {
    if plugin.requires.is_empty() {
        return json!({});
    }
    let name = format!("{}.requires", plugin.id);
    let mut schema = embedded(&plugin.requires, &name);
    if let Some(required) = plugin.requires.get("required") {
        schema["required"] = required.clone();
    }
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    schema["properties"]["id"] = requirement_id();
    definitions.insert(name.clone(), schema);
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn services(plugin: &Description) -> Vec<&str> {
    plugin.services.iter().map(|service| service.name.as_str()).collect()
}

fn writes(plugin: &Description) -> Vec<&str> {
    plugin.checks.iter().filter(|check| check.writes).map(|check| check.id.as_str()).collect()
}

/// A plugin's schema as a definition of this one: what it refers to moves with it. Nothing is
/// required at its top, since the defaults may hold it.
fn embedded(schema: &Map<String, Value>, name: &str) -> Value {
    let mut schema = closed(schema);
    if let Some(schema) = schema.as_object_mut() {
        for keyword in ["$schema", "$id", "required"] {
            schema.shift_remove(keyword);
        }
    }
    move_references(&mut schema, name);
    schema
}

fn move_references(schema: &mut Value, name: &str) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(rest) = target.strip_prefix('#') {
                            *target = format!("#/$defs/{name}{rest}");
                        }
                    }
                    other => move_references(other, name),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, name)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::REFERENCE_KEYS;
    use crate::{connection, integration, load};

    #[test]
    fn the_schema_knows_the_keys_that_the_loader_knows() {
        let schema = schema(&[]);
        let check = |pointer: &str, keys: &[&str]| {
            let properties = schema.pointer(pointer).and_then(Value::as_object).map(|table| table.keys().cloned());
            let mut found: Vec<String> = properties.into_iter().flatten().collect();
            let mut expect = keys.to_vec();
            found.sort();
            expect.sort();
            assert_eq!(found, expect, "{pointer}");
        };
        check("/properties", &load::KEYS);
        check("/properties/vantage/properties", &load::VANTAGE_KEYS);
        check("/properties/plugins/properties", &policy::PLUGINS_KEYS);
        check("/properties/plugins/additionalProperties/properties", &policy::GRANT_KEYS);
        check("/properties/policy/properties", &policy::KEYS);
        check("/properties/history/properties", &history::KEYS);
        check("/properties/defaults/additionalProperties/properties", &load::DEFAULTS_KEYS);
        check("/properties/suppress/items/properties", &load::SUPPRESS_KEYS);
        check("/$defs/integration/properties", &integration::KEYS);
        check("/$defs/integration/properties/connection/properties", &connection::KEYS);
        check("/$defs/reference/properties", &REFERENCE_KEYS);
    }
}
