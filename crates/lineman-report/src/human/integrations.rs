//! The table of integrations: what is not fine by name, what is fine by name or by number.

use lineman_model::{IntegrationReport, Report, Status, Tally};

use super::WORST_FIRST;
use crate::page::{Page, Span};
use crate::words::{count, duration, number};

/// Rows per verdict; where there are more, those that are fine are only counted.
const ROWS: usize = 12;

pub(super) fn show(page: &mut Page<'_>, report: &Report) {
    let mut rows = Vec::new();
    for verdict in WORST_FIRST {
        let all: Vec<&IntegrationReport> = report.integrations.iter().filter(|one| one.verdict == verdict).collect();
        let shown = match verdict {
            _ if all.len() <= ROWS => all.len(),
            Status::Pass => 0,
            _ => ROWS,
        };
        rows.extend(all.iter().take(shown).map(|one| row(one)));
        let hidden = all.len() - shown;
        if hidden > 0 {
            let rest = if shown > 0 { "more" } else { "integrations" };
            rows.push(vec![Span::status(verdict), Span::plain(format!("{} {rest}", number(hidden)))]);
        }
    }
    page.table(0, &rows);
}

fn row(integration: &IntegrationReport) -> Vec<Span> {
    let took = integration.checks.iter().map(|check| check.duration_ms).sum();
    vec![
        Span::status(integration.verdict),
        Span::strong(integration.name.as_str()),
        Span::plain(integration.provider.as_str()),
        Span::plain(proved(integration)),
        Span::dim(duration(took)),
    ]
}

/// The highest level proved; where there is none and nothing was found, why not.
pub(super) fn proved(integration: &IntegrationReport) -> String {
    let proved = match integration.proved {
        Some(level) => format!("proved: {level}"),
        None => "proved: nothing".to_owned(),
    };
    if integration.verdict == Status::Pass || integration.findings().next().is_some() {
        return proved;
    }
    let tally: Tally = integration.checks.iter().map(|check| check.status).collect();
    match tally.skip {
        0 => proved,
        skipped => format!("{proved}, {} not run", count(skipped, "check", "checks")),
    }
}
