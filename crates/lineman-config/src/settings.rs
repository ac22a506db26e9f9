use std::path::PathBuf;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use lineman_model::{Description, clean_line};
use serde_json::{Map, Value};
use toml::de::DeValue;

use crate::config::Environment;
use crate::error::At;
use crate::nearest::{list, nearest, quoted, suggestion};
use crate::node::{Node, with_article};
use crate::problem::Problem;
use crate::reference::absolute;
use crate::walk::walk;

/// The most values that are listed where a setting must have one of them.
const MOST_OPTIONS: usize = 20;

/// What a plugin declares, ready to check an integration's tables.
pub(crate) struct Shapes {
    pub(crate) settings: Shape,
    /// None where the plugin takes any words.
    pub(crate) requirement: Option<Shape>,
}

impl Shapes {
    pub(crate) fn new(plugin: &Description) -> Result<Shapes, Problem> {
        let requirement = (!plugin.requires.is_empty()).then(|| Shape::new(plugin, "requires", &plugin.requires));
        Ok(Shapes {
            settings: Shape::new(plugin, "settings", &plugin.settings)?,
            requirement: requirement.transpose()?,
        })
    }
}

/// One table that a plugin declares.
pub(crate) struct Shape {
    schema: Value,
    validator: Validator,
    secrets: Vec<String>,
}

impl Shape {
    fn new(plugin: &Description, what: &'static str, schema: &Map<String, Value>) -> Result<Shape, Problem> {
        let schema = closed(schema);
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).map_err(|error| {
            let error = clean_line(&error.to_string(), 300);
            Problem::PluginSchema { id: plugin.id.clone(), what, error }
        })?;
        Ok(Shape { schema, validator, secrets: property_names(&plugin.secrets) })
    }

    /// The settings of an integration: its own over the defaults of its provider, with absolute
    /// paths. What the schema refuses is reported at the key that says it.
    pub(crate) fn read(
        &self,
        integration: &Node<'_>,
        own: Option<&Node<'_>>,
        defaults: Option<&Node<'_>>,
        env: &dyn Environment,
    ) -> Option<Map<String, Value>> {
        let layers = Layers { integration, own, defaults };
        let mut merged = Value::Object(Map::new());
        for layer in defaults.into_iter().chain(own) {
            let mut settings = layer.json()?;
            let directory = layer.source.directory();
            self.each_path(&mut settings, &mut |path| {
                *path = absolute(path, &directory, env).to_string_lossy().into_owned();
            });
            merge(&mut merged, settings);
        }
        self.check(&merged, &layers);
        match merged {
            Value::Object(settings) => Some(settings),
            _ => None,
        }
    }

    /// Reports what the schema refuses in the words of a requirement, `id` taken out.
    pub(crate) fn check_words(&self, requirement: &Node<'_>, words: &Value) {
        self.check(words, &Layers { integration: requirement, own: Some(requirement), defaults: None });
    }

    fn check(&self, table: &Value, layers: &Layers<'_>) {
        let errors: Vec<_> = self.validator.iter_errors(table).collect();
        let is_type = |error: &ValidationError<'_>| matches!(error.kind(), ValidationErrorKind::Type { .. });
        let wrong_types: Vec<_> =
            errors.iter().filter(|error| is_type(error)).map(|error| error.instance_path()).collect();
        for error in &errors {
            // What has the wrong type is wrong in every other way too.
            if is_type(error) || !wrong_types.contains(&error.instance_path()) {
                self.report(error, layers);
            }
        }
    }

    /// The paths that settings name.
    pub(crate) fn paths(&self, settings: &Map<String, Value>) -> Vec<PathBuf> {
        let mut named = Vec::new();
        self.each_path(&mut Value::Object(settings.clone()), &mut |path| named.push(PathBuf::from(path.as_str())));
        named.sort();
        named.dedup();
        named
    }

    fn each_path(&self, settings: &mut Value, visit: &mut dyn FnMut(&mut String)) {
        walk(&self.schema, settings, &mut |_, schema, value| {
            if let Value::String(path) = value
                && schema.get("format").and_then(Value::as_str) == Some("path")
            {
                visit(path);
            }
        });
    }

    fn report(&self, error: &ValidationError<'_>, layers: &Layers<'_>) {
        let pointer = tokens(error.instance_path().as_str());
        let node = layers.find(&pointer).node;
        let what = node.path.clone();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for name in unexpected {
                    let pointer: Vec<String> = pointer.iter().chain([name]).cloned().collect();
                    self.unknown_key(name, &layers.find(&pointer), error);
                }
            }
            ValidationErrorKind::Required { property } => {
                let key = property.as_str().unwrap_or_default().to_owned();
                let properties = self.beside(error).and_then(|schema| schema.get("properties"));
                let help = properties.and_then(|properties| properties.get(&key)).and_then(about);
                node.report(Problem::MissingKey { key, table: node.table_name(), help });
            }
            ValidationErrorKind::Type { kind } => {
                let expected: Vec<&str> = match kind {
                    TypeKind::Single(one) => vec![one.as_str()],
                    TypeKind::Multiple(several) => several.iter().map(|one| one.as_str()).collect(),
                };
                // TOML has no null, and calls an object a table.
                let expected = expected.into_iter().filter(|word| *word != "null");
                let expected = expected.map(|word| with_article(if word == "object" { "table" } else { word }));
                node.wrong_type(&expected.collect::<Vec<_>>().join(" or "));
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let near = nearest(node.value.as_str().unwrap_or_default(), options.iter().copied());
                let help = near.map(|near| format!("did you mean {}?", quoted(near)));
                let error = match options.len() {
                    0..=MOST_OPTIONS => format!("it must be one of {}", list(&options)),
                    many => format!("it is none of the {many} that the plugin knows"),
                };
                node.report(Problem::Setting { what, error, help });
            }
            _ => {
                let error_text = clean_line(&error.masked_with("the value").to_string(), 300);
                node.report(Problem::Setting { what, error: error_text, help: self.beside(error).and_then(about) });
            }
        }
    }

    fn unknown_key(&self, key: &str, found: &Found<'_>, error: &ValidationError<'_>) {
        if !found.is_said {
            return;
        }
        let known = self.beside(error).and_then(Value::as_object).map(property_names).unwrap_or_default();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let help = if self.secrets.iter().any(|secret| secret == key) {
            Some(format!("`{key}` is a secret: say under `secrets` where it is"))
        } else {
            suggestion(key, &known)
        };
        let node = &found.node;
        node.hide();
        let table = node.path.rsplit_once('.').map_or(node.path.as_str(), |(table, _)| table);
        let (key, table) = (clean_line(key, 100), format!("`{table}`"));
        node.mistakes.add(Some(found.key.clone()), Problem::UnknownKey { key, table, help });
    }

    /// The part of the schema that holds the keyword which refused the value.
    fn beside(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(parent)
    }
}

/// The tables that an integration's settings come from.
struct Layers<'a> {
    integration: &'a Node<'a>,
    own: Option<&'a Node<'a>>,
    defaults: Option<&'a Node<'a>>,
}

/// Where a setting is written down.
struct Found<'a> {
    key: At,
    node: Node<'a>,
    /// Whether it is the setting itself, and not the integration that lacks it.
    is_said: bool,
}

impl<'a> Layers<'a> {
    /// The value at a JSON pointer: the integration's own, else the default. What the settings as
    /// a whole lack, the integration lacks.
    fn find(&self, pointer: &[String]) -> Found<'a> {
        let own = self.own.and_then(|own| descend(own, pointer));
        let found = own.or_else(|| if pointer.is_empty() { None } else { descend(self.defaults?, pointer) });
        found.unwrap_or_else(|| {
            let path = format!("{}.settings", self.integration.path);
            let node = Node { path, ..self.integration.clone() };
            Found { key: node.at(), node, is_said: false }
        })
    }
}

fn descend<'a>(layer: &Node<'a>, pointer: &[String]) -> Option<Found<'a>> {
    let mut node = layer.clone();
    let mut key = layer.at();
    for token in pointer {
        (key, node) = match node.value {
            DeValue::Array(_) => {
                let item = node.items().nth(token.parse().ok()?)?;
                (item.at(), item)
            }
            _ => node.get_with_key(token)?,
        };
    }
    Some(Found { key, node, is_said: true })
}

/// What a schema says that a value is for.
fn about(schema: &Value) -> Option<String> {
    schema.get("description")?.as_str().map(|about| clean_line(about, 300))
}

/// The tokens of a JSON pointer (RFC 6901).
fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

/// Lays one value over another: tables key by key, anything else as a whole.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// A schema that refuses properties which it does not name, unless it says that it takes them: a
/// mistyped key must not pass as an unknown one.
pub(crate) fn closed(schema: &Map<String, Value>) -> Value {
    let mut schema = schema.clone();
    let composed =
        ["additionalProperties", "unevaluatedProperties", "patternProperties", "$ref", "allOf", "anyOf", "oneOf"];
    if !composed.iter().any(|keyword| schema.contains_key(*keyword)) {
        schema.insert("additionalProperties".to_owned(), Value::from(false));
    }
    schema.entry("type").or_insert_with(|| "object".into());
    Value::Object(schema)
}

/// The properties that a schema names at its top.
pub(crate) fn property_names(schema: &Map<String, Value>) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}
