//! The error codes that a provider documents, `plugins/<id>/codes.toml`, each with a rule in the
//! plugin's catalog or with the reason why it needs none.
//!
//! ```toml
//! [[list]]
//! title = "Errors"                                     # the page that documents the codes
//! url = "https://docs.example.com/errors"
//! told = ["acme: {code}", { status = 403, body = '{"code":"{code}"}' }]   # how they arrive
//! [list.codes]
//! UnknownKey = "credential.invalid"                    # the cause that each of the ways is explained with
//! Refused = { cause = "permission.insufficient", told = ["acme: {code} in ListKeys"] }
//! [list.no_rule]
//! DryRun = "It says that the call would have been allowed."
//! ```
//!
//! A provider without codes says so in place of the lists: `none = "…"`.

use std::collections::BTreeMap;

use lineman_catalog::{Catalog, Sample};
use lineman_model::Cause;
use serde::Deserialize;

use crate::{catalogs, plugins};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Codes {
    /// Why there are none, where a provider has no codes.
    none: Option<String>,
    #[serde(default)]
    list: Vec<List>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    title: String,
    url: String,
    /// The ways in which the codes arrive, `{code}` for the code.
    told: Vec<Sample>,
    codes: BTreeMap<String, Expected>,
    #[serde(default)]
    no_rule: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Cause(Cause),
    /// A code that says nothing without the words around it.
    Told {
        cause: Cause,
        told: Vec<Sample>,
    },
}

/// What arrives when the provider answers with a code.
fn tell(way: &Sample, code: &str) -> Sample {
    let fill = |text: &str| text.replace("{code}", code);
    match way {
        Sample::Text(text) => Sample::Text(fill(text)),
        Sample::Response(response) => {
            let mut response = response.clone();
            response.body = fill(&response.body);
            response.headers.values_mut().for_each(|value| *value = fill(value));
            Sample::Response(response)
        }
    }
}

fn check(catalog: &Catalog, list: &List, wrong: &mut Vec<String>) {
    let mut report = |code: &str, what: String| {
        wrong.push(format!("{} {code} ({}): {what}", catalog.plugin(), list.title));
    };
    if !list.url.starts_with("https://") || list.told.is_empty() || list.codes.is_empty() {
        report("", "a list needs an https address, a way in which codes arrive, and codes".to_owned());
    }
    for (code, expected) in &list.codes {
        let (cause, ways) = match expected {
            Expected::Cause(cause) => (cause, &list.told),
            Expected::Told { cause, told } => (cause, told),
        };
        if matches!(cause, Cause::Other(_)) {
            report(code, format!("{cause} is not a cause"));
        }
        for (number, way) in (1..).zip(ways) {
            let found = catalog.match_sample(&tell(way, code));
            let first = found.first().map(|found| (found.cause.as_str(), found.code.as_str()));
            if first.is_none_or(|(first, _)| first != cause.as_str()) {
                report(code, format!("told in way {number} it is {first:?}, not {cause}"));
            }
        }
    }
    for (code, reason) in &list.no_rule {
        if reason.trim().is_empty() || list.codes.contains_key(code) {
            report(code, "a code without a rule needs a reason, and no cause".to_owned());
        }
        for way in &list.told {
            if let Some(found) = catalog.match_sample(&tell(way, code)).first() {
                report(code, format!("it should need no rule, and {} matches", found.code));
            }
        }
    }
}

#[test]
fn every_documented_code_has_a_rule_or_a_reason() {
    let mut wrong = Vec::new();
    for ((plugin, folder), catalog) in plugins().iter().zip(&catalogs()) {
        let Ok(text) = std::fs::read_to_string(folder.join("codes.toml")) else {
            wrong.push(format!("{plugin} has no codes.toml: list the error codes that its provider documents"));
            continue;
        };
        let codes: Codes = toml::from_str(&text).unwrap_or_else(|error| panic!("{plugin}/codes.toml: {error}"));
        if codes.list.is_empty() == codes.none.is_none_or(|reason| reason.trim().is_empty()) {
            wrong.push(format!("{plugin}/codes.toml needs lists, or a reason why there are none"));
        }
        codes.list.iter().for_each(|list| check(catalog, list, &mut wrong));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
