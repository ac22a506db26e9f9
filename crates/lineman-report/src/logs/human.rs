use lineman_catalog::Explained;
use lineman_model::{Confidence, Status, clip};

use super::{LogReport, lines, origin, read, severity, steps, times, when, whom};
use crate::Style;
use crate::page::{Page, Span};
use crate::words::count;

/// Failures that are shown in full, and others that are named, unless everything is shown.
const IN_FULL: usize = 4;
const NAMED: usize = 6;
const STEPS: usize = 5;
/// Most of a line of the log that is shown, bytes.
const LONGEST_SEEN: usize = 160;
const LABEL: usize = 6;

pub(super) fn render(report: &LogReport, style: &Style) -> String {
    let mut page = Page::new(style);
    let matches = &report.explanation.matches;
    if matches.is_empty() {
        let nothing = "Nothing in this log is a failure that the catalogs know.";
        page.item(
            0,
            Span::status_label(Status::Unknown),
            &[Span::strong(nothing), Span::dim(format!("({})", read(report)))],
        );
        page.item(
            2,
            Span::strong("→ "),
            &[Span::plain("Give the lines around the failure to `lineman explain`, which also guesses.")],
        );
        return page.finish();
    }
    let shown = if style.verbose { matches.len() } else { IN_FULL };
    for (n, one) in matches.iter().take(shown).enumerate() {
        page.gap();
        let again = n > 0 && matches[n - 1].cause == one.cause;
        in_full(&mut page, one, again);
    }
    if matches.len() > shown {
        page.gap();
        for one in matches.iter().skip(shown).take(NAMED) {
            page.item(
                0,
                Span::dim("and "),
                &[
                    Span::plain(one.message.as_str()),
                    Span::dim(format!("({}, {}, {})", one.cause, whom(one), times(one))),
                ],
            );
        }
        let hidden = matches.len().saturating_sub(shown + NAMED);
        if hidden > 0 {
            page.text(0, &[Span::dim(format!("{} with --verbose", count(hidden, "more", "more")))]);
        }
    }
    page.gap();
    to_do(&mut page, report);
    page.gap();
    let total: u64 = matches.iter().filter_map(|one| one.count).sum::<u64>() + report.uncounted;
    let total = count(usize::try_from(total).unwrap_or(usize::MAX), "failure", "failures");
    let kinds = count(matches.len(), "kind", "kinds");
    page.text(
        0,
        &[Span::strong(format!("{total} of {kinds}")), Span::dim("·"), Span::dim(format!("{} read", read(report)))],
    );
    page.finish()
}

/// One line, for what is told as it happens.
pub(super) fn event(one: &Explained, style: &Style) -> String {
    let mut page = Page::new(style);
    let status = Status::from(severity(one));
    page.item(
        0,
        Span::status_label(status),
        &[Span::strong(one.message.as_str()), Span::dim(format!("({}, {}, {})", one.cause, whom(one), lines(one)))],
    );
    page.finish()
}

fn in_full(page: &mut Page<'_>, one: &Explained, again: bool) {
    let status = Status::from(severity(one));
    page.item(0, Span::status_label(status), &[Span::strong(one.message.as_str())]);
    let mut place = Vec::new();
    if !again || page.style.verbose {
        place.push(Span::plain(one.cause.as_str()));
    } else {
        place.push(Span::dim("the same cause"));
    }
    if one.confidence != Confidence::Confirmed {
        place.push(Span::plain(format!("({})", one.confidence.as_str())));
    }
    let of = match &one.integration {
        Some(name) => format!("· integration {name}"),
        None => format!("· provider {}", one.provider),
    };
    place.extend([Span::strong(of), Span::dim(format!("· {}", one.code))]);
    page.text(2, &place);
    let mut told = vec![Span::strong(times(one))];
    told.extend(when(one).map(|when| Span::plain(format!("· {when}"))));
    told.push(Span::plain(format!("· {}", lines(one))));
    labelled(page, "when", &told);
    let longest = if page.style.verbose { usize::MAX } else { LONGEST_SEEN };
    labelled(page, "seen", &[Span::plain(clip(one.matched.text.trim(), longest))]);
    if let Some(origin) = origin(one) {
        labelled(page, "at", &[Span::plain(origin)]);
    }
    if page.style.verbose {
        one.docs.iter().for_each(|doc| labelled(page, "docs", &[Span::verbatim(doc.url.as_str())]));
    }
}

fn to_do(page: &mut Page<'_>, report: &LogReport) {
    page.text(0, &[Span::strong("What to do, in this order")]);
    let most = if page.style.verbose { usize::MAX } else { STEPS };
    for (n, step) in steps(report, most).iter().enumerate() {
        let whom: Vec<&str> = step.whom.iter().copied().collect();
        let mut spans = vec![Span::plain(step.remedy.text.as_str()), Span::dim(format!("({})", whom.join(", ")))];
        spans.extend(step.remedy.effect.as_ref().map(|effect| Span::dim(format!("Also: {effect}."))));
        spans.extend(step.remedy.who.as_ref().map(|who| Span::dim(format!("By: {who}."))));
        page.item(2, Span::strong(format!("{}. ", n + 1)), &spans);
        if !step.remedy.argv.is_empty() {
            page.command(5, Span::plain(""), &step.remedy.argv);
        }
    }
    if !report.retest.is_empty() {
        let argv: Vec<&str> =
            ["lineman", "retest"].into_iter().chain(report.retest.iter().map(String::as_str)).collect();
        page.text(2, &[Span::plain("Then test again:")]);
        page.command(5, Span::plain(""), &argv);
    }
}

fn labelled(page: &mut Page<'_>, label: &str, spans: &[Span]) {
    page.item(2, Span::dim(format!("{label:LABEL$}")), spans);
}
