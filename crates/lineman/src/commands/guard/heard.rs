//! What a command wrote, as far as it is kept, and the failures in it.

use std::collections::VecDeque;

use lineman_catalog::{Catalog, Match, explain_or_guess};
use lineman_guard::Stream;
use lineman_model::{Confidence, Finding};
use lineman_report::{ExplainedMatch, Style};

use super::again::Known;

/// Of each stream so much of the beginning is kept, bytes.
const BEGINNING: usize = 128 * 1024;
/// And of the end, where failures stand.
const END: usize = 256 * 1024;

/// What a command wrote: of each stream the beginning and the end.
#[derive(Default)]
pub(super) struct Heard {
    output: Kept,
    error: Kept,
}

#[derive(Default)]
struct Kept {
    beginning: Vec<u8>,
    end: VecDeque<u8>,
    cut: bool,
}

impl Heard {
    pub(super) fn feed(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Output => self.output.feed(bytes),
            Stream::Error => self.error.feed(bytes),
        }
    }

    /// The known failures in it.
    pub(super) fn explain<'a>(&self, catalogs: &[&'a Catalog]) -> Vec<Found<'a>> {
        let text = [self.output.text(), self.error.text()].join("\n");
        explain_or_guess(catalogs, &text).into_iter().map(|found| Found { finding: found.finding(), found }).collect()
    }
}

impl Kept {
    fn feed(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(BEGINNING - self.beginning.len()));
        self.beginning.extend(first);
        self.end.extend(&rest[rest.len().saturating_sub(END)..]);
        let surplus = self.end.len().saturating_sub(END);
        self.end.drain(..surplus);
        self.cut |= surplus > 0 || rest.len() > END;
    }

    fn text(&self) -> String {
        let mut bytes = self.beginning.clone();
        // Half a line says something else than the whole.
        let skipped = if self.cut { self.end.iter().position(|byte| *byte == b'\n').unwrap_or(0) } else { 0 };
        bytes.extend(self.end.iter().skip(skipped));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A known failure.
pub(super) struct Found<'a> {
    found: Match<'a>,
    finding: Finding,
}

impl Found<'_> {
    pub(super) fn provider(&self) -> &str {
        self.found.provider
    }

    pub(super) fn known(&self) -> Known {
        Known {
            code: self.found.code.clone(),
            transient: self.found.rule.is_transient(),
            sure: self.found.confidence > Confidence::Possible,
            retry_after: None,
        }
    }
}

/// The failures for people.
pub(super) fn shown(found: &[Found<'_>], style: &Style) -> String {
    let places: Vec<Option<String>> =
        found.iter().map(|one| one.found.origin.as_ref().map(ToString::to_string)).collect();
    let matches: Vec<ExplainedMatch<'_>> = found
        .iter()
        .zip(&places)
        .map(|(one, place)| ExplainedMatch {
            provider: one.found.provider,
            finding: &one.finding,
            matched_text: &one.found.text,
            matched_line: one.found.line.unwrap_or(1),
            place: place.as_deref(),
        })
        .collect();
    lineman_report::explanation(&matches, style)
}
