//! What stands below the table: what a pass does not say, what ends soon, what is suppressed.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use lineman_model::{Level, NotProved, Report, Status};

use crate::page::{Page, Span};
use crate::words::{away, count, day, days_between, some};

/// Entries of each kind, and names of each entry that are not only counted, unless everything is
/// shown.
const ENTRIES: usize = 6;
const NAMES: usize = 4;
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
    let (limit, names_limit) = limits(page);
    for (gap, names) in entries.iter().take(limit) {
        let needs = gap.needs.as_ref().map(|needs| format!("; needs {needs}")).unwrap_or_default();
        let said = Span::plain(format!("{}: {}{needs}", gap.what, gap.why));
        let names = Span::dim(format!("({})", whose(names, names_limit)));
        page.item(2, Span::dim(format!("{:label$}", gap.level)), &[said, names]);
    }
    more(page, entries.len(), limit);
}

/// Dates that are near or past, nearest first; the same thing of several integrations once.
pub(super) fn expiring(page: &mut Page<'_>, report: &Report) {
    let now = report.run.finished_at;
    let mut dates: BTreeMap<(Timestamp, &str), Vec<&str>> = BTreeMap::new();
    for integration in &report.integrations {
        for expiry in &integration.expires {
            if page.style.verbose || days_between(now, expiry.at) <= SOON {
                dates.entry((expiry.at, &expiry.what)).or_default().push(&integration.name);
            }
        }
    }
    if dates.is_empty() {
        return;
    }
    let (limit, names_limit) = limits(page);
    page.text(0, &[Span::strong("Expiring")]);
    let rows = dates.iter().take(limit).map(|((at, what), names)| {
        let when = Span::plain(away(days_between(now, *at)));
        let names = Span::plain(whose(names, names_limit));
        vec![when, Span::dim(day(*at)), Span::plain(*what), names]
    });
    page.table(2, &rows.collect::<Vec<_>>());
    more(page, dates.len(), limit);
}

/// How many findings are suppressed, and which.
pub(super) fn suppressed(page: &mut Page<'_>, report: &Report) {
    let mut codes: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for integration in &report.integrations {
        for finding in integration.findings() {
            if let Some(suppressed) = &finding.suppressed {
                codes.entry((&finding.code, &suppressed.until)).or_default().push(&integration.name);
            }
        }
    }
    if codes.is_empty() {
        return;
    }
    let all = count(codes.values().map(Vec::len).sum(), "finding", "findings");
    let (limit, names_limit) = limits(page);
    let shown = codes
        .iter()
        .take(limit)
        .map(|((code, until), names)| format!("{code} in {} until {until}", whose(names, names_limit)));
    page.text(0, &[Span::dim(format!("{all} suppressed: {}", shown.collect::<Vec<_>>().join("; ")))]);
    more(page, codes.len(), limit);
}

/// What the kernel could not do; silence where it could.
pub(super) fn unconfined(page: &mut Page<'_>, report: &Report) {
    if report.run.vantage.unconfined {
        let said = "Plugins could read and write every file of this user: the kernel has no Landlock.";
        page.text(0, &[Span::dim(said)]);
    }
}

/// How many entries, and names of each.
fn limits(page: &Page<'_>) -> (usize, usize) {
    if page.style.verbose { (usize::MAX, usize::MAX) } else { (ENTRIES, NAMES) }
}

/// Names where they are few, else their number.
fn whose(names: &[&str], limit: usize) -> String {
    match names.len() <= limit {
        true => some(names.iter().copied(), limit),
        false => count(names.len(), "integration", "integrations"),
    }
}

fn more(page: &mut Page<'_>, all: usize, limit: usize) {
    if all > limit {
        page.text(2, &[Span::dim(format!("+{} more with --verbose", all - limit))]);
    }
}
