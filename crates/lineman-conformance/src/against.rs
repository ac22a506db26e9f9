//! What a newer version of a plugin may not take away from those who configured the older one.

use std::collections::BTreeMap;

use lineman_model::Level;
use serde_json::Value;

use crate::kit::{Fault, Kit, Verdict, none};
use crate::sample::{properties, required};

pub(crate) fn compatible(kit: &Kit<'_>) -> Verdict {
    match &kit.options.against {
        None => Err(Fault::Skip("no older version was given: name its description with `--against`".to_owned())),
        Some(old) => none(broken(old, &kit.described()?)),
    }
}

/// Everything that would break a configuration, a script or a suppression made for the older
/// version. Descriptions are read as data: they may be of any age.
pub(crate) fn broken(old: &Value, new: &Value) -> Vec<String> {
    let mut seen = Vec::new();
    if old.get("id") != new.get("id") {
        seen.push(format!("the id was {} and is {}", shown(old.get("id")), shown(new.get("id"))));
    }
    let lowest = |of: &Value| of.pointer("/protocol/min").and_then(Value::as_u64).unwrap_or_default();
    if lowest(new) > lowest(old) {
        seen.push(format!("the lowest protocol was {} and is {}", lowest(old), lowest(new)));
    }
    checks(old, new, &mut seen);
    gone("the service", &named(old, "/services", "name"), &named(new, "/services", "name"), &mut seen);
    gone("the finding code", &named(old, "/catalog/rule", "code"), &named(new, "/catalog/rule", "code"), &mut seen);
    for (what, key) in [("setting", "settings"), ("secret", "secrets"), ("word", "requires")] {
        let schema = |of: &Value| of.get(key).cloned().unwrap_or_default();
        object(&schema(old), &schema(new), what, "", &mut seen);
    }
    seen
}

fn checks(old: &Value, new: &Value, seen: &mut Vec<String>) {
    let (old, new) = (named(old, "/checks", "id"), named(new, "/checks", "id"));
    gone("the check", &old, &new, seen);
    let level = |check: &Value| check.get("level")?.as_str()?.parse::<Level>().ok();
    for (id, before) in &old {
        let Some(after) = new.get(id) else { continue };
        if let (Some(was), Some(is)) = (level(before), level(after))
            && is > was
        {
            seen.push(format!("the check `{id}` proved {was} and now proves {is}: `--level {was}` leaves it out"));
        }
        let writes = |check: &Value| check.get("writes").and_then(Value::as_bool).unwrap_or_default();
        if writes(after) && !writes(before) {
            seen.push(format!("the check `{id}` now writes, and is not run unless asked for"));
        }
    }
}

/// The entries of a list by their names.
fn named<'a>(of: &'a Value, list: &str, name: &str) -> BTreeMap<&'a str, &'a Value> {
    let entries = of.pointer(list).and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| Some((entry.get(name)?.as_str()?, entry))).collect()
}

/// What was announced may go.
fn is_deprecated(entry: &Value) -> bool {
    entry.get("deprecated").and_then(Value::as_bool).unwrap_or_default()
}

fn gone(what: &str, old: &BTreeMap<&str, &Value>, new: &BTreeMap<&str, &Value>, seen: &mut Vec<String>) {
    let gone = old.iter().filter(|(name, entry)| !new.contains_key(*name) && !is_deprecated(entry));
    seen.extend(gone.map(|(name, _)| format!("{what} `{name}` is gone, and was not deprecated")));
}

/// Compares two schemas of objects, property by property.
fn object(old: &Value, new: &Value, what: &str, under: &str, seen: &mut Vec<String>) {
    let closed = |schema: &Value| schema.get("additionalProperties") == Some(&Value::Bool(false));
    let after: BTreeMap<&String, &Value> = properties(new).collect();
    for (name, before) in properties(old) {
        let path = format!("{under}{name}");
        match after.get(name) {
            // Where more is allowed than is named, a property that goes is ignored, not refused.
            None if is_deprecated(before) => {}
            None => seen.push(format!("the {what} `{path}` is gone, and was not deprecated")),
            Some(after) => property(resolved(old, before), resolved(new, after), what, &path, seen),
        }
    }
    if closed(new) && !closed(old) && properties(old).next().is_some() {
        seen.push(format!("{what}s that are not named are refused now{}", within(under)));
    }
    for name in required(new).filter(|name| !required(old).any(|it| it == *name)) {
        seen.push(format!("the {what} `{under}{name}` is required now"));
    }
}

fn within(under: &str) -> String {
    if under.is_empty() { String::new() } else { format!(", in `{}`", under.trim_end_matches('.')) }
}

/// A reference within a schema, followed once.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|to| root.pointer(to.strip_prefix('#')?));
    target.unwrap_or(schema)
}

fn property(old: &Value, new: &Value, what: &str, path: &str, seen: &mut Vec<String>) {
    if let (Some(was), Some(is)) = (kinds(old), kinds(new)) {
        let fits = |kind: &str| is.contains(&kind) || (kind == "integer" && is.contains(&"number"));
        let lost: Vec<&str> = was.into_iter().filter(|kind| !fits(kind)).collect();
        if !lost.is_empty() {
            seen.push(format!("the {what} `{path}` may not be of type {} any more", lost.join(" or ")));
        }
    }
    if let Some(allowed) = choices(new) {
        match choices(old) {
            None => seen.push(format!("the {what} `{path}` may be one of {} only", shown_all(&allowed))),
            Some(before) => {
                let lost: Vec<Value> = before.into_iter().filter(|value| !allowed.contains(value)).collect();
                if !lost.is_empty() {
                    seen.push(format!("the {what} `{path}` may not be {} any more", shown_all(&lost)));
                }
            }
        }
    }
    for (word, lower_is_stricter) in [("maximum", true), ("maxLength", true), ("maxItems", true)].into_iter().chain([
        ("minimum", false),
        ("minLength", false),
        ("minItems", false),
    ]) {
        let number = |schema: &Value| schema.get(word).and_then(Value::as_f64);
        let stricter = match (number(old), number(new)) {
            (None, Some(_)) => true,
            (Some(was), Some(is)) => {
                if lower_is_stricter {
                    is < was
                } else {
                    is > was
                }
            }
            _ => false,
        };
        if stricter {
            seen.push(format!("the {what} `{path}` has a stricter `{word}`: {}", shown(new.get(word))));
        }
    }
    for word in ["pattern", "format", "const"] {
        if new.get(word).is_some() && new.get(word) != old.get(word) {
            seen.push(format!("the {what} `{path}` has another `{word}`: {}", shown(new.get(word))));
        }
    }
    if properties(old).next().is_some() || properties(new).next().is_some() {
        object(old, new, what, &format!("{path}."), seen);
    }
}

fn kinds(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(kind) => Some(vec![kind]),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

/// The values that a schema lists: as `enum`, or each with a description of its own.
fn choices(schema: &Value) -> Option<Vec<Value>> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.clone());
    }
    let choices = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    choices.iter().map(|choice| choice.get("const").cloned()).collect()
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), |value| format!("`{}`", value.to_string().trim_matches('"')))
}

fn shown_all(values: &[Value]) -> String {
    values.iter().map(|value| shown(Some(value))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn old() -> Value {
        json!({
            "id": "acme", "protocol": { "min": 1, "max": 1 },
            "checks": [
                { "id": "acme/reach", "level": "reach" },
                { "id": "acme/old", "level": "access", "deprecated": true },
            ],
            "services": [{ "name": "api" }],
            "catalog": { "rule": [{ "code": "refused" }, { "code": "dying", "deprecated": true }] },
            "settings": {
                "type": "object", "additionalProperties": false, "required": ["site"],
                "properties": {
                    "site": { "type": "string" },
                    "mode": { "$ref": "#/$defs/Mode" },
                    "size": { "type": ["integer", "null"], "maximum": 100 },
                    "proxy": { "type": "object", "properties": { "port": { "type": "integer" } } },
                    "former": { "type": "string", "deprecated": true },
                },
                "$defs": { "Mode": { "oneOf": [{ "const": "fast" }, { "const": "slow" }] } },
            },
            "secrets": { "type": "object", "properties": { "token": { "type": "string" } } },
            "requires": { "type": "object", "properties": { "scope": { "type": "string" } } },
        })
    }

    #[test]
    fn what_breaks_a_configuration_is_named() {
        let check = |pointer: &str, value: Value, expect: &[&str]| {
            let mut new = old();
            *new.pointer_mut(pointer).unwrap() = value;
            assert_eq!(broken(&old(), &new), expect, "{pointer}");
        };
        check("/id", json!("ace"), &["the id was `acme` and is `ace`"]);
        check("/protocol/min", json!(2), &["the lowest protocol was 1 and is 2"]);
        check("/protocol/max", json!(2), &[]);
        check("/checks", json!([]), &["the check `acme/reach` is gone, and was not deprecated"]);
        check(
            "/checks/0/level",
            json!("access"),
            &["the check `acme/reach` proved reach and now proves access: `--level reach` leaves it out"],
        );
        check("/checks/0/level", json!("config"), &[]);
        check("/services", json!([]), &["the service `api` is gone, and was not deprecated"]);
        check("/catalog/rule", json!([]), &["the finding code `refused` is gone, and was not deprecated"]);
        check("/settings/required", json!(["site", "mode"]), &["the setting `mode` is required now"]);
        check("/settings/required", json!([]), &[]);
        check(
            "/settings/properties/site",
            json!({ "type": "integer" }),
            &["the setting `site` may not be of type string any more"],
        );
        check(
            "/settings/properties/site",
            json!({ "type": "string", "pattern": "^a" }),
            &["the setting `site` has another `pattern`: `^a`"],
        );
        check(
            "/settings/$defs/Mode/oneOf",
            json!([{ "const": "fast" }]),
            &["the setting `mode` may not be `slow` any more"],
        );
        check("/settings/$defs/Mode/oneOf", json!([{ "const": "fast" }, { "const": "slow" }, { "const": "new" }]), &[]);
        check("/settings/properties/size/maximum", json!(10), &["the setting `size` has a stricter `maximum`: `10`"]);
        check(
            "/settings/properties/size/type",
            json!("number"),
            &["the setting `size` may not be of type null any more"],
        );
        check(
            "/settings/properties/proxy/properties",
            json!({}),
            &["the setting `proxy.port` is gone, and was not deprecated"],
        );
        check("/secrets/properties", json!({}), &["the secret `token` is gone, and was not deprecated"]);
        check(
            "/secrets/properties/token",
            json!({ "type": "string", "enum": ["a"] }),
            &["the secret `token` may be one of `a` only"],
        );
        check(
            "/secrets",
            json!({ "type": "object", "additionalProperties": false, "properties": { "token": { "type": "string" } } }),
            &["secrets that are not named are refused now"],
        );
        check("/requires/properties", json!({}), &["the word `scope` is gone, and was not deprecated"]);
    }

    #[test]
    fn what_was_deprecated_may_go_and_what_is_new_may_come() {
        let mut new = old();
        new["checks"] = json!([{ "id": "acme/reach", "level": "reach" }, { "id": "acme/new", "level": "access" }]);
        new["catalog"] = json!({ "rule": [{ "code": "refused" }] });
        new["settings"]["properties"]["former"] = json!({ "type": "string" });
        new["settings"]["properties"]["fresh"] = json!({ "type": "string" });
        assert_eq!(broken(&old(), &new), Vec::<String>::new());
        if let Some(properties) = new["settings"]["properties"].as_object_mut() {
            properties.remove("former");
        }
        assert_eq!(broken(&old(), &new), Vec::<String>::new());
    }
}
