//! What `lineman explain` answers: the known failures that a pasted text matches.

use lineman_model::{Alternative, Cause, Confidence, Doc, Finding, Remedy, Status};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::page::{Page, Span};
use crate::words::count;
use crate::{Style, finding, json};

/// The name and version of the explanation's format.
pub const EXPLANATION_SCHEMA: &str = "lineman.explanation/1";

/// Matches after the best one that are still shown in full.
const IN_FULL: usize = 2;
const REMEDIES: usize = 3;

/// One known failure that matches a text.
#[derive(Clone, Copy, Debug)]
pub struct ExplainedMatch<'a> {
    /// Id of the provider whose catalog knows it.
    pub provider: &'a str,
    /// What the catalog says of it.
    pub finding: &'a Finding,
    /// The part of the text that matched.
    pub matched_text: &'a str,
    /// On which line of the text, from 1.
    pub matched_line: usize,
}

/// Matches for people, best first.
pub fn explanation(matches: &[ExplainedMatch<'_>], style: &Style) -> String {
    let mut page = Page::new(style);
    if matches.is_empty() {
        page.item(0, Span::status_label(Status::Unknown), &[Span::strong("Nothing in this text is a known failure.")]);
        page.item(
            2,
            Span::strong("→ "),
            &[Span::plain("Give more of it: the status line, the headers, the whole body.")],
        );
        return page.finish();
    }
    let shown = if style.verbose { matches.len() } else { 1 + IN_FULL };
    for (n, one) in matches.iter().enumerate().take(shown) {
        page.gap();
        in_full(&mut page, n, one);
    }
    if matches.len() > shown {
        page.gap();
        for one in matches.iter().skip(shown).take(IN_FULL * 2) {
            let cause = Span::plain(format!("{}:", one.finding.cause));
            page.item(0, Span::dim("or  "), &[cause, Span::plain(one.finding.message.as_str())]);
        }
        let hidden = matches.len().saturating_sub(shown + IN_FULL * 2);
        if hidden > 0 {
            page.text(0, &[Span::dim(format!("{} with --verbose", count(hidden, "more match", "more matches")))]);
        }
    }
    page.finish()
}

fn in_full(page: &mut Page<'_>, n: usize, one: &ExplainedMatch<'_>) {
    let label = if n == 0 { Span::strong("✗ ") } else { Span::strong("or ") };
    page.item(0, label, &[Span::strong(one.finding.message.as_str())]);
    let code = Span::dim(format!("· {}", one.finding.code));
    page.text(2, &finding::place(one.finding, vec![code]));
    finding::remedies(page, one.finding, REMEDIES);
    let matched = Span::plain(format!("line {}: {}", one.matched_line, one.matched_text.trim()));
    finding::labelled(page, "seen", &[matched]);
    finding::details(page, one.finding, None);
}

/// Matches as `lineman.explanation/1`, best first.
pub fn explanation_json(matches: &[ExplainedMatch<'_>]) -> String {
    let matches = matches.iter().map(|one| Match {
        provider: one.provider,
        code: &one.finding.code,
        cause: &one.finding.cause,
        confidence: one.finding.confidence,
        message: &one.finding.message,
        remedies: &one.finding.remedies,
        docs: &one.finding.docs,
        also_possible: &one.finding.also_possible,
        matched: Matched { text: one.matched_text, line: one.matched_line },
    });
    json::document(&Document { schema: EXPLANATION_SCHEMA, matches: matches.collect() })
}

/// The JSON Schema of `lineman.explanation/1`.
pub fn explanation_schema() -> Value {
    json::schema_of::<Document<'_>>(EXPLANATION_SCHEMA)
}

#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    schema: &'a str,
    matches: Vec<Match<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Match<'a> {
    provider: &'a str,
    code: &'a str,
    cause: &'a Cause,
    confidence: Confidence,
    message: &'a str,
    remedies: &'a [Remedy],
    docs: &'a [Doc],
    also_possible: &'a [Alternative],
    matched: Matched<'a>,
}

#[derive(Serialize, JsonSchema)]
struct Matched<'a> {
    text: &'a str,
    line: usize,
}
