//! What a command writes: the failures in it, found as it goes.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use lineman_catalog::{Catalog, Explained, Explanation, Match, Rule, explain_or_guess};
use lineman_guard::Stream;
use lineman_logs::{Scanner, Ties};
use lineman_model::{Cause, Confidence, Finding};
use lineman_report::{ExplainedMatch, LogFormat, LogReport, Style};

use super::again::Known;

/// Of each stream so much of the end is kept, bytes: a failure is told where a program ends.
const KEPT: usize = 64 * 1024;

/// Who listens to a command.
pub(super) struct Heard<'a> {
    catalogs: &'a [&'a Catalog],
    output: Ear<'a>,
    error: Ear<'a>,
}

/// The two streams are looked at apart: what stands between two lines of one belongs to neither.
struct Ear<'a> {
    scanner: Scanner<'a>,
    last: VecDeque<u8>,
}

impl<'a> Heard<'a> {
    pub(super) fn new(catalogs: &'a [&'a Catalog], ties: &'a Ties) -> Heard<'a> {
        let ear = || Ear { scanner: Scanner::new(catalogs, ties, Timestamp::now()), last: VecDeque::new() };
        Heard { catalogs, output: ear(), error: ear() }
    }

    pub(super) fn feed(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Output => self.output.feed(bytes),
            Stream::Error => self.error.feed(bytes),
        }
    }

    /// What it told.
    pub(super) fn end(self) -> Told<'a> {
        let texts = [self.output.last(), self.error.last()];
        let summaries = [self.error.scanner.finish(), self.output.scanner.finish()];
        let mut report = LogReport {
            explanation: Explanation::new(&[]),
            lines: summaries.iter().map(|summary| summary.lines).sum(),
            bytes: summaries.iter().map(|summary| summary.bytes).sum(),
            uncounted: summaries.iter().map(|summary| summary.uncounted).sum(),
            retest: Vec::new(),
        };
        let known = &mut report.explanation.matches;
        for one in summaries.iter().flat_map(|summary| summary.explanation().matches) {
            let same = |old: &&mut Explained| {
                old.code == one.code && old.integration == one.integration && old.message == one.message
            };
            match known.iter_mut().find(same) {
                Some(old) => old.count = Some(old.count.unwrap_or(1) + one.count.unwrap_or(1)),
                None => known.push(one),
            }
        }
        let possible = explain_or_guess(self.catalogs, &texts.join("\n"));
        Told { catalogs: self.catalogs, report, possible }
    }
}

impl Ear<'_> {
    fn feed(&mut self, bytes: &[u8]) {
        self.scanner.feed(bytes);
        self.last.extend(&bytes[bytes.len().saturating_sub(KEPT)..]);
        self.last.drain(..self.last.len().saturating_sub(KEPT));
    }

    fn last(&self) -> String {
        let bytes: Vec<u8> = self.last.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// What a command told.
pub(super) struct Told<'a> {
    catalogs: &'a [&'a Catalog],
    /// The known failures.
    pub(super) report: LogReport,
    /// All that the end of the text may mean: more than is shown where something is known.
    possible: Vec<Match<'a>>,
}

impl Told<'_> {
    /// What decides whether the command is run again. Of a line that may mean two things the likelier
    /// is shown; that the other one lasts is reason enough to run nothing again.
    pub(super) fn known(&self) -> Vec<Known> {
        let shown = self.report.explanation.matches.iter().map(|one| Known {
            code: one.code.clone(),
            transient: self.rule(one).is_some_and(Rule::is_transient),
            sure: one.confidence > Confidence::Possible,
            retry_after: one.retry_after_ms.map(Duration::from_millis),
        });
        // What only says that something went wrong says it of what is shown.
        let is_told =
            |one: &&Match<'_>| *one.cause != Cause::Undetermined || self.report.explanation.matches.is_empty();
        let others = self.possible.iter().filter(is_told).map(|one| Known {
            code: one.code.clone(),
            transient: one.rule.is_transient(),
            sure: one.confidence > Confidence::Possible,
            retry_after: None,
        });
        let mut known: Vec<Known> = shown.collect();
        for other in others {
            if known.iter().all(|one| one.code != other.code) {
                known.push(other);
            }
        }
        known
    }

    fn rule(&self, one: &Explained) -> Option<&Rule> {
        let catalog = self.catalogs.iter().find(|catalog| catalog.plugin() == one.provider)?;
        let code = one.code.strip_prefix(&one.provider)?.strip_prefix('/')?;
        catalog.rules().iter().find(|rule| rule.code == code)
    }

    /// For people; nothing where nothing is known or possible.
    pub(super) fn shown(&self, style: &Style) -> Option<String> {
        if !self.report.explanation.matches.is_empty() {
            return Some(lineman_report::logs(&self.report, LogFormat::Human, style));
        }
        let findings: Vec<Finding> = self.possible.iter().map(Match::finding).collect();
        let shown: Vec<ExplainedMatch<'_>> = self
            .possible
            .iter()
            .zip(&findings)
            .map(|(found, finding)| ExplainedMatch {
                provider: found.provider,
                finding,
                matched_text: &found.text,
                matched_line: found.line.unwrap_or(1),
                place: None,
            })
            .collect();
        (!shown.is_empty()).then(|| lineman_report::explanation(&shown, style))
    }
}
