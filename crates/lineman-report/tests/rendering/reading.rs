//! Saved reports, read back.

use lineman_model::Event;
use lineman_report::{Format, event_schema, read, schema};
use serde_json::{Value, json};

use crate::{every_report, every_style, rendered};

#[test]
fn a_saved_report_looks_like_the_run_it_tells_of() {
    for (name, report) in every_report() {
        let json = rendered(&report, Format::Json, crate::PLAIN);
        let back = read(json.as_bytes()).unwrap();
        assert_eq!(rendered(&back, Format::Json, crate::PLAIN), json, "{name}");
        for (_, style) in every_style() {
            assert_eq!(rendered(&back, Format::Human, style), rendered(&report, Format::Human, style), "{name}");
        }
    }
}

#[test]
fn every_report_follows_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    // A cause that is no word is the one thing that the schema refuses of the hostile report.
    for (name, report) in every_report().into_iter().filter(|(name, _)| *name != "hostile") {
        let json: Value = serde_json::from_str(&rendered(&report, Format::Json, crate::PLAIN)).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn every_event_follows_the_schema() {
    let validator = jsonschema::validator_for(&event_schema()).unwrap();
    for line in rendered(&crate::reports::mixed(), Format::Ndjson, crate::PLAIN).lines() {
        let json: Value = serde_json::from_str(line).unwrap();
        assert!(validator.is_valid(&json), "{line}");
        assert!(serde_json::from_value::<Event>(json).is_ok(), "{line}");
    }
    assert!(!validator.is_valid(&json!({ "event": "party-started" })));
}

#[test]
fn the_schema_tells_a_report_from_what_is_none() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let report: Value = serde_json::from_str(&rendered(&crate::reports::mixed(), Format::Json, crate::PLAIN)).unwrap();
    let check = |pointer: &str, value: Value, valid: bool| {
        let mut changed = report.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert_eq!(validator.is_valid(&changed), valid, "{pointer}");
    };
    check("/schema", json!("lineman.report/2"), false);
    check("/verdict", json!("splendid"), false);
    check("/causes/0/cause", json!("network.quantum"), true);
    check("/causes/0/cause", json!("Not A Cause"), false);
    check("/run/duration_ms", json!(-1), false);
    check("/integrations/0/name", json!(null), false);
}

#[test]
fn what_is_no_report_is_refused_in_one_line() {
    let check = |input: &str, expect: &str| assert_eq!(read(input.as_bytes()).unwrap_err().to_string(), expect);
    let wrong_kind =
        |found: &str| format!("not a report of Lineman: `schema` is {found}, expected \"lineman.report/1\"");
    check("", "line 1, column 0: not JSON: EOF while parsing a value");
    check("{\n  \"schema\": oops", "line 2, column 13: not JSON: expected value");
    check("[1, 2]", &wrong_kind("absent"));
    check("{}", &wrong_kind("absent"));
    check("{\"schema\": 7}", &wrong_kind("7"));
    check("{\"schema\": \"sarif\\u001b[2J\"}", &wrong_kind("\"sarif\\u001b[2J\""));
    check(
        "{\"schema\": \"lineman.report/2\"}",
        "the report's format is lineman.report/2, this Lineman reads lineman.report/1: render it with the Lineman that wrote it",
    );
    check("{\"schema\": \"lineman.report/1\"}", "line 1, column 30: not a lineman.report/1: missing field `run`");
    let mut deep = "[".repeat(100_000);
    deep.insert_str(0, "{\"schema\":");
    assert!(read(deep.as_bytes()).unwrap_err().to_string().contains("recursion limit"));
}

#[test]
fn a_report_of_a_newer_lineman_is_read() {
    let mut report: Value =
        serde_json::from_str(&rendered(&crate::reports::all_fail(), Format::Json, crate::PLAIN)).unwrap();
    report["novelty"] = json!({ "of": "tomorrow" });
    report["causes"][0]["cause"] = json!("network.quantum");
    let finding = "/integrations/1/checks/2/findings/0";
    report.pointer_mut(finding).unwrap()["cause"] = json!("network.quantum");
    report.pointer_mut(finding).unwrap()["evidence"] = json!([{ "kind": "quic", "streams": 3 }]);
    let read = read(report.to_string().as_bytes()).unwrap();
    let human = rendered(&read, Format::Human, crate::PLAIN);
    assert!(human.contains("network.quantum (likely) in prod-aws"), "{human}");
    assert!(human.contains("kind: quic, streams: 3"), "{human}");
}
