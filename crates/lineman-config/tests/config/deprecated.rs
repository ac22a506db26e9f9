use std::collections::BTreeMap;

use lineman_config::{Configured, Deprecations, Installed};
use lineman_model::{Description, Report};
use serde_json::{Value, from_value, json};

use super::{described, env, load, write};

/// A plugin of which half is to go.
struct Old(BTreeMap<String, Description>);

impl Installed for Old {
    fn ids(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn description(&self, id: &str) -> Option<&Description> {
        self.0.get(id)
    }
}

fn old() -> Old {
    let to_go = |by: &str| json!({ "type": "string", "deprecated": true, "replaced_by": by });
    let settings = json!({
        "properties": { "zone": to_go("region"), "region": {}, "retry": { "$ref": "#/$defs/Retry" } },
        "$defs": { "Retry": { "properties": { "pause": { "deprecated": true } } } },
    });
    let secrets = json!({ "properties": { "key": to_go("token"), "token": {} } });
    let mut plugin = described("old", settings, secrets);
    plugin.checks = from_value(json!([
        { "id": "old/ping", "title": "It answers", "level": "reach", "deprecated": true, "replaced_by": "old/reach" },
        { "id": "old/reach", "title": "It answers", "level": "reach" },
        { "id": "old/put", "title": "It takes", "level": "operation", "writes": true, "deprecated": true },
    ]))
    .unwrap();
    plugin.catalog = json!({ "rule": [
        { "code": "refused", "deprecated": true, "replaced_by": "key-refused" },
        { "code": "key-refused" },
    ] });
    Old([("old".to_owned(), plugin)].into())
}

/// What is said of a configuration with these integrations, a command line and a report.
fn notes(integrations: &str, only: &[&str], codes: &[&str]) -> Vec<String> {
    let text = format!("version = 1\n[plugins]\nenable = [\"old\"]\n{integrations}");
    let (_directory, file) = write(&[("lineman.toml", text.as_bytes())]);
    let plugins = old();
    let config = load(&file, &plugins, &env(&[])).unwrap();
    let selected: Vec<&Configured> = config.integrations.iter().collect();
    let mut deprecations = Deprecations::of(&config, &selected, &plugins);
    deprecations.named("--only", &only.iter().map(ToString::to_string).collect::<Vec<_>>());
    deprecations.found(&report(codes));
    deprecations.notes()
}

fn report(codes: &[&str]) -> Report {
    let findings: Vec<Value> =
        codes.iter().map(|code| json!({ "code": code, "cause": "undetermined", "message": "It is so." })).collect();
    from_value(json!({
        "schema": "lineman.report/1",
        "run": {
            "id": "1", "started_at": "2030-01-01T00:00:00Z", "finished_at": "2030-01-01T00:00:00Z", "duration_ms": 0,
            "lineman_version": "1", "complete": true, "vantage": {},
        },
        "verdict": "fail",
        "summary": { "integrations": {}, "checks": {} },
        "causes": [],
        "integrations": [{
            "name": "a", "provider": "old", "plugin": { "id": "old" }, "verdict": "fail", "proved": null,
            "checks": [{
                "id": "old/reach", "title": "It answers", "level": "reach", "required": true, "status": "fail",
                "duration_ms": 1, "findings": findings,
            }],
        }],
    }))
    .unwrap()
}

#[test]
fn what_is_deprecated_is_told_once_with_what_takes_its_place() {
    let check = |integrations: &str, expect: &str| assert_eq!(notes(integrations, &[], &[]), [expect]);
    let zone = |name: &str| format!("[integration.{name}]\nprovider = \"old\"\nsettings = {{ zone = \"x\" }}\n");
    let many: String = ["a", "b", "c", "d", "e"].map(zone).concat();
    check(&zone("a"), "the setting `zone` is deprecated; use `region` (used by `a`)");
    check(&many, "the setting `zone` is deprecated; use `region` (used by `a`, `b`, `c` and 2 more)");
    check(
        "[defaults.old.settings]\nretry = { pause = \"1s\" }\n[integration.a]\nprovider = \"old\"\n",
        "the setting `retry.pause` is deprecated (used by `a`)",
    );
    check(
        "[integration.a]\nprovider = \"old\"\nsecrets = { key = { env = \"KEY\" } }\n",
        "the secret `key` is deprecated; use `token` (used by `a`)",
    );
    check(
        "[integration.a]\nprovider = \"old\"\nallow_writes = [\"old/put\"]\n",
        "the check `old/put` is deprecated (allowed to write by `a`)",
    );
    let suppress = "[[suppress]]\nintegration = \"a\"\ncode = \"old/refused\"\nuntil = 2030-01-01\nreason = \"x\"\n";
    check(
        &format!("[integration.a]\nprovider = \"old\"\n{suppress}"),
        "the code `old/refused` is deprecated; use `old/key-refused` (suppressed by `a`)",
    );
    let plain = "[integration.a]\nprovider = \"old\"\nsettings = { region = \"x\" }\n";
    assert_eq!(
        notes(plain, &["old/ping", "old/reach", "*/ping", "other/ping"], &[]),
        ["the check `old/ping` is deprecated; use `old/reach` (named by `--only`)"]
    );
    assert_eq!(
        notes(plain, &[], &["old/refused", "old/refused", "old/key-refused"]),
        ["the code `old/refused` is deprecated; use `old/key-refused` (found in `a`)"]
    );
    assert_eq!(notes(plain, &["old/reach"], &["old/key-refused", "lineman/refused"]), Vec::<String>::new());
}
