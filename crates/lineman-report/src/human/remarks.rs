//! What stands below the table: what a pass does not say, what ends soon, what is suppressed.

use std::collections::HashMap;

use lineman_model::{IntegrationReport, Level, NotProved, Report, Status};

use crate::page::{Page, Span};
use crate::words::{away, count, day, days_between, some};

/// Entries of each kind, and names of each entry, unless everything is shown.
const ENTRIES: usize = 6;
const NAMES: usize = 3;
/// How near a date must be to be shown here, days.
const SOON: i64 = 30;

/// What was not proved of the integrations that pass; of the others it goes without saying.
pub(super) fn not_proved(page: &mut Page<'_>, report: &Report) {
    let passing = report.integrations.iter().filter(|one| matches!(one.verdict, Status::Pass | Status::Warn));
    let mut entries: Vec<(&NotProved, Vec<&str>)> = Vec::new();
    let mut known = HashMap::new();
    for (integration, gap) in passing.flat_map(|one| one.not_proved.iter().map(move |gap| (one, gap))) {
        let index = *known.entry((gap.level, &gap.what, &gap.why, &gap.needs)).or_insert(entries.len());
        match entries.get_mut(index) {
            Some((_, names)) => names.push(&integration.name),
            None => entries.push((gap, vec![&integration.name])),
        }
    }
    if entries.is_empty() {
        return;
    }
    // The same order whatever the names: by level, then what concerns most.
    entries.sort_by_key(|(gap, names)| (gap.level, std::cmp::Reverse(names.len())));
    let label = Level::ALL.iter().map(|level| level.as_str().len()).max().unwrap_or(0) + 2;
    page.text(0, &[Span::strong("Not proved by a pass")]);
    let limit = if page.style.verbose { usize::MAX } else { ENTRIES };
    let name_limit = if page.style.verbose { usize::MAX } else { NAMES };
    for (gap, names) in entries.iter().take(limit) {
        let needs = gap.needs.as_ref().map(|needs| Span::plain(format!("(needs {needs})")));
        let mut spans = vec![Span::plain(format!("{}:", gap.what)), Span::plain(gap.why.as_str())];
        spans.extend(needs);
        spans.push(Span::dim(format!("· {}", some(names.iter().copied(), name_limit))));
        page.item(2, Span::dim(format!("{:label$}", gap.level)), &spans);
    }
    more(page, entries.len(), limit);
}

/// Dates that are near or past, nearest first.
pub(super) fn expiring(page: &mut Page<'_>, report: &Report) {
    let now = report.run.finished_at;
    let all = report.integrations.iter().flat_map(|one| one.expires.iter().map(move |expiry| (expiry, one)));
    let near = |at| page.style.verbose || days_between(now, at) <= SOON;
    let mut dates: Vec<_> = all.filter(|(expiry, _)| near(expiry.at)).collect();
    if dates.is_empty() {
        return;
    }
    dates.sort_by_key(|(expiry, _)| expiry.at);
    let limit = if page.style.verbose { usize::MAX } else { ENTRIES };
    page.text(0, &[Span::strong("Expiring")]);
    let rows = dates.iter().take(limit).map(|(expiry, integration)| {
        let days = days_between(now, expiry.at);
        vec![
            Span::plain(away(days)),
            Span::dim(day(expiry.at)),
            Span::plain(expiry.what.as_str()),
            Span::plain(integration.name.as_str()),
        ]
    });
    page.table(2, &rows.collect::<Vec<_>>());
    more(page, dates.len(), limit);
}

/// How many findings are suppressed, and the first of them.
pub(super) fn suppressed(page: &mut Page<'_>, report: &Report) {
    let found = |one: &IntegrationReport| {
        let name = one.name.clone();
        one.findings()
            .filter_map(|finding| finding.suppressed.as_ref().map(|until| (finding.code.clone(), until.until.clone())))
            .map(move |(code, until)| format!("{code} in {name} until {until}"))
            .collect::<Vec<_>>()
    };
    let all: Vec<String> = report.integrations.iter().flat_map(found).collect();
    if !all.is_empty() {
        let number = count(all.len(), "finding suppressed:", "findings suppressed:");
        page.text(0, &[Span::dim(number), Span::dim(some(all.iter().map(String::as_str), NAMES))]);
    }
}

fn more(page: &mut Page<'_>, all: usize, limit: usize) {
    if all > limit {
        page.text(2, &[Span::dim(format!("+{} more with --verbose", all - limit))]);
    }
}
