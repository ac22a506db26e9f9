//! The report for people: what is wrong and what to do first, one screen, readable without colour.

mod causes;
mod checks;
mod integrations;
mod remarks;

use std::io;

use lineman_model::{Report, Status};

use crate::Style;
use crate::page::{Page, Span};
use crate::words::{count, duration, number};

/// The order in which people look: what is broken first.
const WORST_FIRST: [Status; 5] = [Status::Fail, Status::Error, Status::Unknown, Status::Warn, Status::Pass];

pub(crate) fn render(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let mut page = Page::new(style);
    causes::show(&mut page, report);
    page.gap();
    match style.verbose {
        true => checks::show(&mut page, report),
        false => integrations::show(&mut page, report),
    }
    page.gap();
    remarks::not_proved(&mut page, report);
    page.gap();
    remarks::expiring(&mut page, report);
    page.gap();
    remarks::suppressed(&mut page, report);
    page.gap();
    verdict(&mut page, report);
    out.write_all(page.finish().as_bytes())
}

/// The last line, next to the prompt.
fn verdict(page: &mut Page<'_>, report: &Report) {
    let tally = &report.summary.integrations;
    let said = WORST_FIRST.into_iter().filter_map(|status| {
        let (n, word) = match status {
            Status::Fail => (tally.fail, "broken"),
            Status::Error => (tally.error, "in error"),
            Status::Unknown => (tally.unknown, "undetermined"),
            Status::Warn => (tally.warn, if tally.warn == 1 { "needs attention" } else { "need attention" }),
            Status::Pass | Status::Skip => (tally.pass, "fine"),
        };
        (n > 0).then(|| format!("{} {word}", number(n)))
    });
    let counts = said.collect::<Vec<_>>().join(", ");
    let run = &report.run;
    if !run.complete {
        let skipped = count(report.summary.checks.skip, "check", "checks");
        page.item(0, Span::status_label(Status::Unknown), &[
            Span::strong("Interrupted: this report is partial."),
            Span::plain(format!("{skipped} did not run.")),
        ]);
    }
    let counts = if counts.is_empty() { "no integrations".to_owned() } else { counts };
    let mut spans = vec![Span::strong(counts), Span::dim("·"), Span::dim(duration(run.duration_ms))];
    let vantage = &run.vantage;
    if let Some(name) = vantage.name.as_deref().or_else(|| (!vantage.host.is_empty()).then_some(&*vantage.host)) {
        spans.extend([Span::dim("·"), Span::dim(format!("from {name}"))]);
    }
    if page.style.verbose {
        spans.extend(vantage.seen_ip.as_ref().map(|ip| Span::dim(format!("seen as {ip}"))));
        spans.extend(vantage.proxy.as_ref().map(|proxy| Span::dim(format!("through {proxy}"))));
        spans.extend([Span::dim("·"), Span::dim(format!("run {}", run.id))]);
        spans.extend([Span::dim("·"), Span::dim(format!("lineman {}", run.lineman_version))]);
    }
    page.item(0, Span::status_label(report.verdict), &spans);
}
