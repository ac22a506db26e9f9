//! The table of integrations: what is not fine by name, what is fine by name or by number.

use lineman_model::{IntegrationReport, Report, Status, Tally};

use super::WORST_FIRST;
use crate::page::{Page, Span, TIE};
use crate::words::{count, duration, name};

/// Rows of one verdict, and rows at all. What does not fit is counted, and so is all that is
/// better off; what is broken has its names with the causes.
const ROWS_OF_ONE: usize = 12;
const ROWS: usize = 20;

pub(super) fn show(page: &mut Page<'_>, report: &Report) {
    let mut rows = Vec::new();
    let mut room = ROWS;
    for verdict in WORST_FIRST {
        let all: Vec<&IntegrationReport> = report.integrations.iter().filter(|one| one.verdict == verdict).collect();
        if all.len() <= ROWS_OF_ONE.min(room) {
            room -= all.len();
            rows.extend(all.into_iter().map(row));
        } else {
            room = 0;
            let counted = Span::plain(count(all.len(), "integration", "integrations"));
            rows.push(vec![Span::status(verdict), counted]);
        }
    }
    page.table(0, &rows);
}

fn row(integration: &IntegrationReport) -> Vec<Span> {
    let ran = || integration.checks.iter().filter(|check| check.status != Status::Skip);
    let took = ran().map(|check| check.duration_ms).fold(0, u64::saturating_add);
    vec![
        Span::status(integration.verdict),
        Span::strong(name(&integration.name)),
        Span::plain(name(&integration.provider)),
        Span::plain(proved(integration)),
        Span::dim(ran().next().map(|_| duration(took)).unwrap_or_default()),
    ]
}

/// The highest level proved; where there is none and nothing was found, why not.
pub(super) fn proved(integration: &IntegrationReport) -> String {
    let proved = match integration.proved {
        Some(level) => format!("proved:{TIE}{level}"),
        None => format!("proved:{TIE}nothing"),
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
