//! The failures that are planted.

use std::path::Path;

use lineman_catalog::{Catalog, Sample, explain};
use lineman_model::{Cause, Confidence};
use serde_json::Value;

/// More lines make no one message.
const MOST_LINES: usize = 8;

/// A failure that happened.
#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) id: String,
    pub(crate) body: String,
    causes: Vec<Cause>,
}

impl Transcript {
    pub(crate) fn accepts(&self, cause: &Cause) -> bool {
        self.causes.contains(cause)
    }
}

/// The catalogs of this repository.
pub(crate) fn catalogs() -> Vec<Catalog> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let mut folders: Vec<_> = std::fs::read_dir(plugins).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let read = |folder: &std::path::PathBuf| {
        let text = std::fs::read_to_string(folder.join("catalog.toml")).ok()?;
        Some(Catalog::parse(folder.file_name()?.to_str()?, &text).unwrap())
    };
    let own: Vec<Catalog> = folders.iter().filter_map(read).collect();
    assert!(own.len() > 1, "the catalogs were not found");
    own
}

/// What programs printed, as far as the catalogs are surer of it than that it is possible; nothing
/// that is an example of theirs.
pub(crate) fn transcripts(all: &[&Catalog]) -> Vec<Transcript> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lineman-catalog/tests/catalogs/transcripts");
    let samples = all.iter().flat_map(|catalog| catalog.rules()).flat_map(|rule| &rule.example);
    let text = |sample: &'_ Sample| match sample {
        Sample::Text(text) => Some(text.trim().to_owned()),
        Sample::Response(_) => None,
    };
    let examples: Vec<String> = samples.filter_map(text).collect();
    let mut found = Vec::new();
    for catalog in all {
        let Ok(text) = std::fs::read_to_string(folder.join(format!("{}.jsonl", catalog.plugin()))) else { continue };
        for line in text.lines() {
            let one: Value = serde_json::from_str(line).unwrap();
            let body = one["body"].as_str().unwrap_or_default().trim().to_owned();
            let words = |value: &Value| value.as_str().map(|word| serde_json::from_value(Value::from(word)).unwrap());
            let others = one["others"].as_array().into_iter().flatten().filter_map(words);
            let mut causes: Vec<Cause> = words(&one["cause"]).into_iter().chain(others).collect();
            let sure = explain(all, &body).into_iter().next().filter(|first| first.confidence > Confidence::Possible);
            let Some(first) = sure else { continue };
            causes.push(first.cause.clone());
            // A message in a message tells twice.
            let once = body.matches("Error: ").count() <= 1;
            let fits =
                once && one.get("status").is_none() && body.lines().count() <= MOST_LINES && !body.contains("HTTP/");
            if fits && !examples.contains(&body) && *first.cause != Cause::Undetermined {
                found.push(Transcript { id: one["id"].as_str().unwrap_or_default().to_owned(), body, causes });
            }
        }
    }
    assert!(found.len() > 40, "{} failures", found.len());
    found
}
