//! Root causes, each with where it is, what to do about it and what was seen.

use std::collections::{BTreeSet, HashMap};

use lineman_model::{CauseGroup, Finding, IntegrationReport, Report, Status};

use crate::finding;
use crate::page::{Page, Span};
use crate::words::{count, number, some};

/// Causes that are shown at all, and of those the ones with evidence, unless everything is.
const SHOWN: usize = 10;
const WITH_EVIDENCE: usize = 4;
/// Names and owners of one cause.
const NAMES: usize = 8;
const OWNERS: usize = 3;
const REMEDIES: usize = 3;

pub(super) fn show(page: &mut Page<'_>, report: &Report) {
    let findings: HashMap<&str, &Finding> =
        report.integrations.iter().flat_map(IntegrationReport::findings).map(|one| (one.id.as_str(), one)).collect();
    let integrations: HashMap<&str, &IntegrationReport> =
        report.integrations.iter().map(|one| (one.name.as_str(), one)).collect();
    let limit = if page.style.verbose { usize::MAX } else { SHOWN };
    let brief = !page.style.verbose && report.causes.len() > WITH_EVIDENCE + 1;
    for (n, group) in report.causes.iter().take(limit).enumerate() {
        page.gap();
        let found = group.findings.iter().filter_map(|id| findings.get(id.as_str()).copied()).collect();
        let concerned = group.integrations.iter().filter_map(|name| integrations.get(name.as_str()).copied()).collect();
        let shown = Shown { group, found, concerned };
        shown.put(page, report.verdict, brief && n >= WITH_EVIDENCE);
    }
    if let Some(hidden) = report.causes.len().checked_sub(limit).filter(|hidden| *hidden > 0) {
        page.gap();
        let more = count(hidden, "more cause", "more causes");
        page.text(0, &[Span::dim(format!("{more}: --verbose or --format json shows all {}.", report.causes.len()))]);
    }
}

struct Shown<'a> {
    group: &'a CauseGroup,
    found: Vec<&'a Finding>,
    concerned: Vec<&'a IntegrationReport>,
}

impl Shown<'_> {
    fn put(&self, page: &mut Page<'_>, verdict: Status, brief: bool) {
        let status = Status::worst(self.found.iter().map(|one| one.status())).unwrap_or(verdict);
        finding::headline(page, status, &self.group.message);
        // One finding speaks for the group: they have the same cause and the same message.
        let Some(first) = self.found.first() else {
            let mut spans = vec![Span::plain(self.group.cause.as_str())];
            spans.extend(self.names(page));
            return page.text(2, &spans);
        };
        page.text(2, &finding::place(first, self.names(page)));
        if brief {
            return finding::remedies(page, first, 1);
        }
        finding::remedies(page, first, REMEDIES);
        finding::details(page, first);
        self.people(page);
    }

    fn names(&self, page: &Page<'_>) -> Vec<Span> {
        let names = &self.group.integrations;
        let limit = if page.style.verbose { usize::MAX } else { NAMES };
        let mut spans = match names.len() {
            0 => return Vec::new(),
            n if n > limit => vec![Span::plain("in"), Span::strong(format!("{} integrations:", number(n)))],
            _ => vec![Span::plain("in")],
        };
        let last = names.len().min(limit) - 1;
        spans.extend(names.iter().take(limit).enumerate().map(|(n, name)| {
            let comma = if n < last { "," } else { "" };
            Span::strong(format!("{name}{comma}"))
        }));
        if names.len() > limit {
            spans.push(Span::plain(format!("+{} more", number(names.len() - limit))));
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
            finding::labelled(page, if n == 0 { "guide" } else { "" }, &[Span::verbatim(runbook)]);
        }
    }
}
