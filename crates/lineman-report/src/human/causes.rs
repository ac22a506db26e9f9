//! Root causes, each with where it is, what to do about it and what was seen.

use std::collections::{BTreeSet, HashMap};

use lineman_model::{CauseGroup, Finding, IntegrationReport, Report, Status};

use super::place;
use crate::finding;
use crate::page::{Page, Span, TIE};
use crate::words::{count, name, number, some};

/// Causes that are shown, and of those the ones with all there is to say, unless everything is.
const SHOWN: usize = 10;
const IN_FULL: usize = 3;
/// Names that are all shown; of more than that, the first few.
const NAMES: usize = 8;
const FIRST_NAMES: usize = 4;
const OWNERS: usize = 3;
const REMEDIES: usize = 3;

pub(super) fn show(page: &mut Page<'_>, report: &Report) {
    let mut integrations = HashMap::new();
    let mut findings = HashMap::new();
    for integration in &report.integrations {
        integrations.insert(integration.name.as_str(), integration);
        findings.extend(integration.findings().map(|finding| (finding.id.as_str(), (integration, finding))));
    }
    let limit = if page.style.verbose { usize::MAX } else { SHOWN };
    for (n, group) in report.causes.iter().take(limit).enumerate() {
        let in_full = page.style.verbose || n < IN_FULL;
        if in_full || n == IN_FULL {
            page.gap();
        }
        let found = group.findings.iter().filter_map(|id| findings.get(id.as_str()).copied()).collect();
        let concerned = group.integrations.iter().filter_map(|name| integrations.get(name.as_str()).copied()).collect();
        Problem { report, group, found, concerned }.show(page, in_full);
    }
    if report.causes.len() > limit {
        page.gap();
        let more = count(report.causes.len() - limit, "more cause", "more causes");
        page.text(0, &[Span::dim(format!("{more}: --verbose or --format json shows all {}.", report.causes.len()))]);
    }
}

/// The findings that speak for their cause: the first of each.
pub(super) fn spokesmen(report: &Report) -> BTreeSet<&str> {
    report.causes.iter().filter_map(|group| group.findings.first().map(String::as_str)).collect()
}

/// A cause and what the report holds about it.
struct Problem<'a> {
    report: &'a Report,
    group: &'a CauseGroup,
    found: Vec<(&'a IntegrationReport, &'a Finding)>,
    concerned: Vec<&'a IntegrationReport>,
}

impl Problem<'_> {
    fn show(&self, page: &mut Page<'_>, in_full: bool) {
        let status = Status::worst(self.found.iter().map(|(_, finding)| finding.status()));
        let status = status.unwrap_or(self.report.verdict);
        finding::headline(page, status, &self.group.message);
        let names = self.names(page.style.verbose);
        // The first finding speaks for all: they share the cause and the message.
        let Some((on, first)) = self.found.first() else {
            return page.text(2, &[vec![Span::plain(self.group.cause.as_str())], names].concat());
        };
        page.text(2, &finding::place(first, names));
        if !in_full {
            return finding::first_remedy(page, first);
        }
        finding::remedies(page, first, REMEDIES);
        // What works can wait: its evidence is shown to those who ask.
        if status == Status::Warn && !page.style.verbose {
            return;
        }
        finding::details(page, first, (self.found.len() > 1).then_some(on.name.as_str()));
        if self.group.cause.is_network() {
            finding::labelled(page, "from", &[Span::plain(place(&self.report.run.vantage).join(" · "))]);
        }
        self.people(page);
    }

    fn names(&self, all: bool) -> Vec<Span> {
        let names = &self.group.integrations;
        let shown = if all || names.len() <= NAMES { names.len() } else { FIRST_NAMES };
        let mut spans = match names.len() {
            0 => return Vec::new(),
            n if n > shown => vec![Span::plain("in"), Span::strong(format!("{} integrations:", number(n)))],
            _ => vec![Span::plain("in")],
        };
        for (n, one) in names.iter().take(shown).enumerate() {
            let comma = if n + 1 < shown { "," } else { "" };
            spans.push(Span::strong(format!("{}{comma}", name(one))));
        }
        if names.len() > shown {
            spans.push(Span::plain(format!("+{}{TIE}more", number(names.len() - shown))));
        }
        spans
    }

    fn people(&self, page: &mut Page<'_>) {
        let owners: BTreeSet<&str> = self.concerned.iter().filter_map(|one| one.owner.as_deref()).collect();
        if !owners.is_empty() {
            finding::labelled(page, "owner", &[Span::plain(some(owners, OWNERS))]);
        }
        let runbooks: BTreeSet<&str> = self.concerned.iter().filter_map(|one| one.runbook.as_deref()).collect();
        for (n, runbook) in runbooks.into_iter().take(OWNERS).enumerate() {
            finding::labelled(page, if n == 0 { "runbook" } else { "" }, &[Span::verbatim(runbook)]);
        }
    }
}
