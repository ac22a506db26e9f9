//! Failures that really happened, in the words of those who met them.
//!
//! `transcripts/<catalog>.jsonl` holds what one provider, or a tool that is nobody's, said: quoted
//! from public reports, each with its source, the cause, and the other causes that a careful reader
//! might name first. A file is read as soon as its plugin has a catalog.

use std::path::Path;

use lineman_catalog::{Catalog, explain_or_guess};
use lineman_model::{Cause, Confidence};
use serde::Deserialize;

use crate::catalogs;

/// Transcripts whose label a later cause is closer than, with that cause and the reason.
const CLOSER: &[(&str, Cause, &str)] =
    &[("tf-azurerm-backend-no-az", Cause::HostToolMissing, "the words say that a program is not on the machine")];

/// Of all transcripts, how many in a hundred a catalog must be surer of than `possible`.
const SURE: usize = 90;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transcript {
    id: String,
    /// Of an answer over HTTP; other transcripts are what a program printed.
    status: Option<u16>,
    #[serde(default)]
    headers: serde_json::Map<String, serde_json::Value>,
    body: String,
    cause: Cause,
    #[serde(default)]
    others: Vec<Cause>,
    #[expect(dead_code, reason = "it says where a reader can look the failure up")]
    source: String,
}

impl Transcript {
    /// What somebody would paste: the output, or the answer as `curl -i` shows it.
    fn pasted(&self) -> String {
        let Some(status) = self.status else { return self.body.clone() };
        let headers = self.headers.iter().filter_map(|(name, value)| Some(format!("{name}: {}\n", value.as_str()?)));
        format!("HTTP/1.1 {status}\n{}\n{}", headers.collect::<String>(), self.body)
    }
}

fn transcripts(catalogs: &[&Catalog]) -> Vec<Transcript> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalogs/transcripts");
    let files = catalogs.iter().map(|catalog| folder.join(format!("{}.jsonl", catalog.plugin())));
    let texts = files.filter_map(|file| std::fs::read_to_string(file).ok());
    texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).expect(line)).collect::<Vec<_>>())
        .collect()
}

#[test]
fn failures_that_happened_are_named() {
    let plugins = catalogs();
    let all: Vec<&Catalog> = plugins.iter().chain(Catalog::shared()).collect();
    let transcripts = transcripts(&all);
    let mut wrong = Vec::new();
    let mut sure = 0;
    for transcript in &transcripts {
        let id = &transcript.id;
        let closer = CLOSER.iter().filter(|(other, ..)| other == id).map(|(_, cause, _)| cause);
        let accepted: Vec<&Cause> = transcript.others.iter().chain([&transcript.cause]).chain(closer).collect();
        let answers = explain_or_guess(&all, &transcript.pasted());
        let Some(first) = answers.first() else {
            wrong.push(format!("{id}: nothing is recognised, {} is expected", transcript.cause));
            continue;
        };
        if !accepted.contains(&first.cause) {
            wrong.push(format!("{id}: {} says {}, not {}", first.code, first.cause, transcript.cause));
        }
        let mut named = answers.iter().flat_map(|answer| {
            std::iter::once(answer.cause).chain(answer.rule.also_possible.iter().map(|other| &other.cause))
        });
        if !named.any(|cause| *cause == transcript.cause) {
            wrong.push(format!("{id}: {} is not among the answers; the first is {}", transcript.cause, first.code));
        }
        sure += usize::from(first.confidence > Confidence::Possible);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), transcripts.len(), wrong.join("\n"));
    assert!(sure * 100 >= transcripts.len() * SURE, "sure of {sure} of {} alone", transcripts.len());
}
