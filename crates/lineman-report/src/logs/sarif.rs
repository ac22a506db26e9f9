use lineman_catalog::Explained;
use lineman_model::{Severity, clean_line};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{LogReport, severity, times, whom};

const LONGEST: usize = 2_000;
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// What a path may keep in an address.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// SARIF 2.1.0: a rule for each code, a result for each failure with how often it occurred.
pub(super) fn render(report: &LogReport) -> String {
    let matches = &report.explanation.matches;
    let mut rules: Vec<&Explained> = Vec::new();
    for one in matches {
        if !rules.iter().any(|rule| rule.code == one.code) {
            rules.push(one);
        }
    }
    let results: Vec<Value> = matches
        .iter()
        .map(|one| result(one, rules.iter().position(|rule| rule.code == one.code).unwrap_or_default()))
        .collect();
    crate::json::pretty(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "lineman",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.iter().map(|one| rule(one)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

fn rule(one: &Explained) -> Value {
    let remedies: Vec<&str> = one.remedies.iter().map(|remedy| remedy.text.as_str()).collect();
    let mut rule = json!({
        "id": one.code,
        "name": one.cause.as_str(),
        "shortDescription": { "text": format!("{}: {}", one.cause, one.cause.holds_when()) },
        "help": { "text": text(&remedies.join(" ")) },
        "properties": { "cause": one.cause.as_str(), "provider": one.provider },
    });
    if let Some(doc) = one.docs.first() {
        rule["helpUri"] = json!(doc.url);
    }
    rule
}

fn result(one: &Explained, rule: usize) -> Value {
    let level = if severity(one) == Severity::Fail { "error" } else { "warning" };
    let mut result = json!({
        "ruleId": one.code,
        "ruleIndex": rule,
        "level": level,
        "message": { "text": text(&format!("{} ({}, {})", one.message, whom(one), times(one))) },
        "occurrenceCount": one.count.unwrap_or(1),
        "properties": {
            "confidence": one.confidence,
            "integration": one.integration,
            "address": one.matched.address,
            "firstTime": one.first.as_ref().and_then(|first| first.time),
            "lastTime": one.last.as_ref().and_then(|last| last.time),
        },
    });
    let declared = one.matched.file.as_ref().map(|file| place(file, one.matched.file_line));
    let logged = one.first.as_ref().and_then(|first| Some(place(first.file.as_ref()?, Some(first.line))));
    match (declared, logged) {
        (Some(declared), logged) => {
            result["locations"] = json!([declared]);
            if let Some(logged) = logged {
                result["relatedLocations"] = json!([logged]);
            }
        }
        (None, Some(logged)) => result["locations"] = json!([logged]),
        (None, None) => {}
    }
    result
}

fn place(file: &str, line: Option<usize>) -> Value {
    let uri = utf8_percent_encode(&clean_line(file, LONGEST), PATH).to_string();
    let uri = if uri.starts_with('/') { format!("file://{uri}") } else { uri };
    match line {
        Some(line) => {
            json!({ "physicalLocation": { "artifactLocation": { "uri": uri }, "region": { "startLine": line.max(1) } } })
        }
        None => json!({ "physicalLocation": { "artifactLocation": { "uri": uri } } }),
    }
}

fn text(foreign: &str) -> String {
    clean_line(foreign, LONGEST)
}
