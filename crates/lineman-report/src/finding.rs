//! The parts of a finding, for every output that shows one.

use lineman_model::{Confidence, Finding, Remedy, Status};

use crate::evidence;
use crate::page::{Page, Span, TIE};
use crate::words::{count, name, some};

/// Columns of the labels beside evidence and documents.
const LABEL: usize = 8;
/// Lines of evidence, remedies and documents that are shown unless everything is.
const EVIDENCE_LINES: usize = 5;
const REMEDIES: usize = 3;
const DOCS: usize = 2;

/// A finding that stands for itself.
pub(crate) fn whole(page: &mut Page<'_>, finding: &Finding) {
    headline(page, finding.status(), &finding.message);
    page.text(2, &place(finding, Vec::new()));
    remedies(page, finding, REMEDIES);
    details(page, finding, None);
}

/// What is wrong, in the words of the finding.
pub(crate) fn headline(page: &mut Page<'_>, status: Status, message: &str) {
    page.item(0, Span::status_label(status), &[Span::strong(message)]);
}

/// The cause, how sure it is, and where.
pub(crate) fn place(finding: &Finding, mut names: Vec<Span>) -> Vec<Span> {
    let mut spans = vec![Span::plain(finding.cause.as_str())];
    if finding.confidence != Confidence::Confirmed {
        spans.push(Span::plain(format!("({})", finding.confidence.as_str())));
    }
    spans.append(&mut names);
    if let Some(pointer) = finding.subject.as_ref().and_then(|subject| subject.pointer.as_deref()) {
        spans.push(Span::plain("at"));
        spans.push(Span::plain(evidence::setting(pointer)));
    }
    spans
}

/// What to do, most likely first.
pub(crate) fn remedies(page: &mut Page<'_>, finding: &Finding, limit: usize) {
    let limit = if page.style.verbose { usize::MAX } else { limit };
    for remedy in finding.remedies.iter().take(limit) {
        in_words(page, remedy);
        if !remedy.argv.is_empty() {
            page.command(6, Span::plain(""), &remedy.argv);
        }
    }
}

/// The most likely remedy, in words alone.
pub(crate) fn first_remedy(page: &mut Page<'_>, finding: &Finding) {
    finding.remedies.iter().take(1).for_each(|remedy| in_words(page, remedy));
}

fn in_words(page: &mut Page<'_>, remedy: &Remedy) {
    let mut spans = vec![Span::plain(remedy.text.as_str())];
    spans.extend(remedy.effect.as_ref().map(|effect| Span::dim(format!("Also: {effect}."))));
    spans.extend(remedy.who.as_ref().map(|who| Span::dim(format!("By: {who}."))));
    page.item(2, Span::strong("→ "), &spans);
}

/// What was seen and on which of several integrations, what else it could be, where to read on.
pub(crate) fn details(page: &mut Page<'_>, finding: &Finding, on: Option<&str>) {
    let everything = page.style.verbose;
    if let Some(detail) = finding.detail.as_deref().filter(|_| everything) {
        detail.lines().for_each(|line| page.text(2, &[Span::plain(line)]));
    }
    evidence(page, 2, finding, on);
    if finding.confidence != Confidence::Confirmed && !finding.also_possible.is_empty() {
        let others = some(finding.also_possible.iter().map(|other| other.cause.as_str()), 4);
        labelled(page, "also", &[Span::dim(format!("possible: {others}"))]);
    }
    for (n, doc) in finding.docs.iter().take(if everything { usize::MAX } else { DOCS }).enumerate() {
        labelled(page, if n == 0 { "docs" } else { "" }, &[Span::verbatim(doc.url.as_str())]);
    }
}

/// What was seen, a line per thing.
pub(crate) fn evidence(page: &mut Page<'_>, indent: usize, finding: &Finding, on: Option<&str>) {
    let everything = page.style.verbose;
    let mut lines: Vec<String> = finding.evidence.iter().flat_map(|one| evidence::lines(one, everything)).collect();
    if !everything && lines.len() > EVIDENCE_LINES {
        let more = lines.len() - EVIDENCE_LINES;
        lines.truncate(EVIDENCE_LINES);
        lines.push(format!("… {}", count(more, "more line", "more lines")));
    }
    for (n, line) in lines.into_iter().enumerate() {
        let label = if n == 0 { "seen" } else { "" };
        let mut spans = vec![Span::plain(line)];
        spans.extend(on.filter(|_| n == 0).map(|on| Span::dim(format!("·{TIE}on{TIE}{}", name(on)))));
        page.item(indent, Span::dim(format!("{label:LABEL$}")), &spans);
    }
}

/// A paragraph beside a quiet label.
pub(crate) fn labelled(page: &mut Page<'_>, label: &str, spans: &[Span]) {
    page.item(2, Span::dim(format!("{label:LABEL$}")), spans);
}
