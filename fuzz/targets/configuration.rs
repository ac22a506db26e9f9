//! `lineman.toml`: it is read, or refused with mistakes that stand somewhere in it.

#![no_main]

use std::sync::LazyLock;

use lineman_model::Description;
use serde_json::json;

/// A plugin whose settings have every kind of place for a path, and a schema that never ends.
static PLUGINS: LazyLock<Vec<Description>> = LazyLock::new(|| {
    let describe = |id: &str, settings: serde_json::Value| {
        let description = json!({
            "id": id, "version": "1.0.0", "title": id, "protocol": { "min": 1, "max": 1 }, "operations": ["check"],
            "checks": [{ "id": format!("{id}/put"), "title": "t", "level": "operation", "writes": true }],
            "settings": settings,
            "secrets": { "properties": { "key": { "type": "string" } }, "required": ["key"] },
            "services": [{ "name": "store", "about": "keeps objects" }],
        });
        serde_json::from_value(description).expect("a description")
    };
    let acme = json!({
        "properties": {
            "account": { "type": "string", "pattern": "^[0-9]{4}$" },
            "region": { "enum": ["eu", "us"] },
            "console": { "type": "string", "format": "uri" },
            "file": { "type": "string", "format": "path" },
            "files": { "type": "array", "items": { "type": "string", "format": "path" } },
            "named": { "type": "object", "additionalProperties": { "type": "string", "format": "path" } },
            "ports": { "type": "array", "items": { "type": "integer", "minimum": 1 } },
        },
        "required": ["account"],
    });
    let endless = json!({ "anyOf": [{ "$ref": "#" }, { "properties": { "deeper": { "$ref": "#" } } }] });
    vec![describe("acme", acme), describe("endless", endless)]
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match lineman_config::fuzzing::load(&text, &PLUGINS) {
        Ok(config) => _ = format!("{config:?}"),
        Err(error) => {
            assert!(!error.mistakes().is_empty());
            let lines = text.matches('\n').count() + 1;
            for mistake in error.mistakes() {
                assert!(mistake.place().is_none_or(|place| (1..=lines).contains(&place.line)), "{mistake:?}");
                assert!(!mistake.to_string().contains('\u{1b}'), "{mistake:?}");
            }
            lineman_config::fuzzing::show(&error);
        }
    }
});
