//! What a plugin under test is configured with: made from its own schemas, or given.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use lineman_model::{Connection, Description, Integration, Requirement, Secret, SecretMap};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// How often a schema may lead to another.
const DEEPEST: usize = 16;
/// In what is given, stands for the address of the kit's own server.
const ENDPOINT: &str = "{endpoint}";
/// The host and the port of that server, for plugins that do not speak HTTP; the port is a number.
const HOST: &str = "{host}";
const PORT: &str = "{port}";
/// Characters of a canary.
const CANARY: usize = 40;

/// Settings and secrets for a plugin under test, where its schemas do not say enough: a TOML file
/// with `[settings]`, `[secrets]` and `[[requires]]`, as an integration has them. `{endpoint}`
/// stands for the address of the kit's server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    settings: Map<String, Value>,
    secrets: BTreeMap<String, String>,
    requires: Vec<Requirement>,
}

/// What was given cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GivenError(String);

impl Given {
    /// Reads a TOML file's text.
    ///
    /// # Errors
    /// When it is not TOML, or holds other tables.
    pub fn parse(text: &str) -> Result<Given, GivenError> {
        toml::from_str(text).map_err(|error| GivenError(error.to_string().trim_end().to_owned()))
    }
}

/// What every integration of the kit is configured with, but for the address.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    settings: Map<String, Value>,
    pub(crate) secrets: SecretMap,
    requires: Vec<Requirement>,
    provider: String,
}

impl Sample {
    /// What is given, and for what is not, values that the schemas suggest. Every secret is there,
    /// with a value of its own that would be recognised, unless they exclude each other.
    pub(crate) fn new(description: &Description, given: &Given) -> Result<Sample, String> {
        let schema = Value::Object(description.settings.clone());
        let mut settings = Map::new();
        for (name, property) in properties(&schema).filter(|(name, _)| required(&schema).any(|it| it == *name)) {
            if !given.settings.contains_key(name) {
                let value = suggested(&schema, property, 0).ok_or_else(|| {
                    format!(
                        "no value can be made up for the setting `{name}`: add `examples` to its schema, or give one \
                         with `--settings FILE`"
                    )
                })?;
                settings.insert(name.clone(), value);
            }
        }
        settings.extend(given.settings.clone());
        let mut somewhere = Value::Object(settings.clone());
        point(&mut somewhere, "http://127.0.0.1:1");
        valid(&schema, &somewhere, "settings")?;

        let schema = Value::Object(description.secrets.clone());
        let of = |wanted: &dyn Fn(&str) -> bool| -> BTreeMap<String, String> {
            let wanted = properties(&schema).map(|(name, _)| name).filter(|name| wanted(name));
            wanted.map(|name| (name.clone(), given.secrets.get(name).cloned().unwrap_or_else(canary))).collect()
        };
        let is_given = |name: &str| given.secrets.contains_key(name);
        let all = of(&|name| given.secrets.is_empty() || is_given(name) || required(&schema).any(|it| it == name));
        let secrets = match valid(&schema, &json!(all), "secrets") {
            Ok(()) => all,
            Err(_) => {
                let few = of(&|name| is_given(name) || required(&schema).any(|it| it == name));
                valid(&schema, &json!(few), "secrets")?;
                few
            }
        };
        Ok(Sample {
            settings,
            secrets: SecretMap(secrets.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()),
            requires: given.requires.clone(),
            provider: description.id.clone(),
        })
    }

    /// The integration, with its provider at an address.
    pub(crate) fn integration(&self, endpoint: &str) -> Integration {
        let mut settings = Value::Object(self.settings.clone());
        point(&mut settings, endpoint);
        let Value::Object(settings) = settings else { return Integration::default() };
        Integration {
            name: "conformance".to_owned(),
            provider: self.provider.clone(),
            settings,
            connection: Connection { endpoint_url: Some(endpoint.to_owned()), ..Connection::default() },
            requires: self.requires.clone(),
            ..Integration::default()
        }
    }

    /// The settings, each in turn with a value of another type than its own.
    pub(crate) fn wrong(&self, description: &Description, endpoint: &str) -> Vec<(String, Integration)> {
        let schema = Value::Object(description.settings.clone());
        let wrongly = |(name, property): (&String, &Value)| {
            let text = suggested(&schema, property, 0).is_none_or(|value| value.is_string());
            let mut integration = self.integration(endpoint);
            let wrong = if text { json!({ "not": ["a", "text"] }) } else { json!("not what it should be") };
            integration.settings.insert(name.clone(), wrong);
            (name.clone(), integration)
        };
        properties(&schema).map(wrongly).collect()
    }
}

/// A text that nothing else contains.
pub(crate) fn canary() -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let random = RandomState::new();
    let letter = |at: usize| {
        let mut hasher = random.build_hasher();
        hasher.write_usize(at);
        char::from(ALPHABET[usize::try_from(hasher.finish() % ALPHABET.len() as u64).unwrap_or(0)])
    };
    (0..CANARY).map(letter).collect()
}

pub(crate) fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

pub(crate) fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn valid(schema: &Value, value: &Value, what: &str) -> Result<(), String> {
    let validator = jsonschema::validator_for(schema).map_err(|_| format!("the schema of the {what} is none"))?;
    match validator.validate(value) {
        Ok(()) => Ok(()),
        Err(error) => {
            let place = error.instance_path().to_string();
            Err(format!(
                "the {what} that were made up do not fit their schema at `{place}`: add `examples` to it, or give \
                 them with `--settings FILE`"
            ))
        }
    }
}

/// A value that a schema suggests.
fn suggested(root: &Value, schema: &Value, depth: usize) -> Option<Value> {
    if depth > DEEPEST {
        return None;
    }
    let first = |word: &str| schema.get(word)?.as_array()?.first();
    if let Some(value) =
        schema.get("const").or_else(|| first("examples")).or_else(|| schema.get("default")).or_else(|| first("enum"))
    {
        return Some(value.clone());
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return suggested(root, root.pointer(reference.strip_prefix('#')?)?, depth + 1);
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        if let Some(choices) = schema.get(word).and_then(Value::as_array) {
            return choices.iter().find_map(|choice| suggested(root, choice, depth + 1));
        }
    }
    let kind = match schema.get("type")? {
        Value::Array(kinds) => kinds.first()?.as_str()?,
        kind => kind.as_str()?,
    };
    Some(match kind {
        "string" if schema.get("pattern").is_some() => return None,
        "string" => match schema.get("format").and_then(Value::as_str) {
            None => json!("example"),
            Some("uri" | "url") => json!("https://provider.example/"),
            Some("hostname" | "idn-hostname") => json!("provider.example"),
            Some("email") => json!("somebody@provider.example"),
            Some(_) => return None,
        },
        "boolean" => json!(false),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "null" => Value::Null,
        "array" => json!([]),
        "object" => {
            let mut fields = Map::new();
            for (name, property) in properties(schema).filter(|(name, _)| required(schema).any(|it| it == *name)) {
                fields.insert(name.clone(), suggested(root, property, depth + 1)?);
            }
            Value::Object(fields)
        }
        _ => return None,
    })
}

/// Puts the kit's server in place of the provider's in every text that names one.
fn point(value: &mut Value, endpoint: &str) {
    match value {
        Value::String(text) if text == PORT => {
            let port = endpoint.rsplit_once(':').and_then(|(_, port)| port.trim_end_matches('/').parse::<u16>().ok());
            *value = port.map_or(Value::Null, Value::from);
        }
        Value::String(text) => {
            if let Some(pointed) = pointed(text, endpoint) {
                *text = pointed;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point(item, endpoint)),
        Value::Object(fields) => fields.values_mut().for_each(|field| point(field, endpoint)),
        _ => {}
    }
}

/// A text with `{endpoint}`, or a web address on one of the hosts that are kept for examples
/// (RFC 2606), led to the kit's server.
fn pointed(text: &str, endpoint: &str) -> Option<String> {
    if text.contains(ENDPOINT) {
        return Some(text.replace(ENDPOINT, endpoint));
    }
    if text == HOST {
        let (_, authority) = endpoint.split_once("://")?;
        return Some(authority.rsplit_once(':')?.0.to_owned());
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let labels: Vec<&str> = host.split(':').next()?.rsplit('.').collect();
    match labels.as_slice() {
        ["example" | "test" | "invalid", ..] | ["com" | "net" | "org", "example", ..] => {
            Some(format!("{endpoint}{path}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(settings: Value, secrets: Value) -> Description {
        serde_json::from_value(json!({
            "id": "acme", "version": "1.0.0", "title": "Acme", "protocol": { "min": 1, "max": 1 },
            "operations": [], "checks": [], "settings": settings, "secrets": secrets,
        }))
        .unwrap()
    }

    #[test]
    fn settings_are_made_up_from_their_schema() {
        let check = |property: Value, expect: Option<Value>| {
            let schema = json!({
                "type": "object", "required": ["it"], "properties": { "it": property, "other": {} },
                "$defs": { "Mode": { "oneOf": [{ "const": "fast" }] } },
            });
            let made = Sample::new(&description(schema, json!({})), &Given::default());
            let made = made.map(|sample| sample.integration("http://127.0.0.1:9").settings);
            assert_eq!(made.ok(), expect.map(|value| Map::from_iter([("it".to_owned(), value)])), "{property}");
        };
        check(json!({ "type": "string" }), Some(json!("example")));
        check(json!({ "type": "string", "examples": ["eu"] }), Some(json!("eu")));
        check(
            json!({ "type": "string", "examples": ["https://git.example.com/a.git"] }),
            Some(json!("http://127.0.0.1:9/a.git")),
        );
        check(json!({ "type": "string", "format": "uri" }), Some(json!("http://127.0.0.1:9/")));
        check(
            json!({ "type": "string", "examples": ["https://provider.com/a"] }),
            Some(json!("https://provider.com/a")),
        );
        check(json!({ "type": "string", "pattern": "^[0-9]{12}$" }), None);
        check(json!({ "type": "string", "minLength": 20 }), None);
        check(json!({ "$ref": "#/$defs/Mode" }), Some(json!("fast")));
        check(json!({ "$ref": "https://provider.com/schema" }), None);
        check(json!({ "type": ["integer", "null"], "minimum": 900 }), Some(json!(900)));
    }

    #[test]
    fn what_is_given_comes_first_and_secrets_that_exclude_each_other_are_left_out() {
        let secrets = json!({
            "type": "object", "properties": { "key": { "type": "string" }, "token": { "type": "string" } },
            "required": ["token"], "maxProperties": 1,
        });
        let given = Given::parse("[settings]\nurl = \"{endpoint}/x\"\n").unwrap();
        let sample = Sample::new(&description(json!({}), secrets), &given).unwrap();
        assert_eq!(sample.secrets.0.keys().collect::<Vec<_>>(), ["token"]);
        assert_eq!(sample.integration("http://h").settings["url"], "http://h/x");
        assert!(Given::parse("[setting]\n").is_err());
    }
}
