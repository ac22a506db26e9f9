//! The report for people: what is wrong and what to do first, one screen, readable without colour.

mod causes;
mod checks;
mod integrations;
mod remarks;

use std::io;

use lineman_model::{Report, SkipReason, Status, Vantage};

use crate::Style;
use crate::page::{Page, Span};
use crate::words::{count, duration, number};

/// The order in which people look: what is broken first.
const WORST_FIRST: [Status; 5] = [Status::Fail, Status::Error, Status::Unknown, Status::Warn, Status::Pass];

pub(crate) fn render(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let mut page = Page::new(style);
    let table = if style.verbose { checks::show } else { integrations::show };
    let sections = [
        interruption,
        causes::show,
        table,
        remarks::not_proved,
        remarks::expiring,
        remarks::suppressed,
        remarks::unconfined,
        verdict,
    ];
    for section in sections {
        page.gap();
        section(&mut page, report);
    }
    out.write_all(page.finish().as_bytes())
}

fn interruption(page: &mut Page<'_>, report: &Report) {
    if report.run.complete {
        return;
    }
    let skips = report.integrations.iter().flat_map(|one| &one.checks).filter_map(|check| check.skip.as_ref());
    let cancelled = skips.filter(|skip| skip.reason == SkipReason::Cancelled).count();
    let partial =
        format!("Interrupted: {} did not run, so this report is partial.", count(cancelled, "check", "checks"));
    page.text(0, &[Span::strong(partial)]);
}

/// The last line, next to the prompt.
fn verdict(page: &mut Page<'_>, report: &Report) {
    let tally = &report.summary.integrations;
    let counts = WORST_FIRST.into_iter().filter_map(|status| {
        let (n, word) = match status {
            Status::Fail => (tally.fail, "broken"),
            Status::Error => (tally.error, "in error"),
            Status::Unknown => (tally.unknown, "undetermined"),
            Status::Warn => (tally.warn, if tally.warn == 1 { "needs attention" } else { "need attention" }),
            Status::Pass | Status::Skip => (tally.pass, "fine"),
        };
        (n > 0).then(|| format!("{} {word}", number(n)))
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    let run = &report.run;
    let mut about = vec![duration(run.duration_ms)];
    if !run.complete {
        about.push("interrupted".to_owned());
    }
    if page.style.verbose {
        about.extend(place(&run.vantage));
        about.push(format!("{:.0}", run.started_at));
        about.push(format!("run {}", run.id));
        about.push(format!("lineman {}", run.lineman_version));
    }
    let counts = if counts.is_empty() { "no integrations".to_owned() } else { counts };
    let spans = [Span::strong(counts), Span::dim("·"), Span::dim(about.join(" · "))];
    page.item(0, Span::status_label(report.verdict), &spans);
}

/// Where the run was made from, part by part.
fn place(vantage: &Vantage) -> Vec<String> {
    let host = Some(&vantage.host).filter(|host| !host.is_empty());
    let mut parts: Vec<String> = vantage.name.iter().chain(host).cloned().collect();
    parts.extend(vantage.seen_ip.as_ref().map(|ip| format!("seen as {ip}")));
    parts.extend(vantage.proxy.as_ref().map(|proxy| format!("through {proxy}")));
    parts
}
