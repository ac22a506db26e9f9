//! The difference, for people.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lineman_history::{Change, Comparison, CredentialNews, Retest, Retested};
use lineman_model::{Cause, Finding, Status};
use lineman_report::Style;

/// How many integrations are shown, unless everything is.
const SHOWN: usize = 6;

pub(super) fn human(retest: &Retest, style: &Style) -> String {
    let Some(report) = &retest.report else {
        return lineman_report::wrap("Nothing to test again: everything passed last time.", 0, style);
    };
    let all = &retest.integrations;
    let mut text = String::new();
    if all.len() > 1 {
        let counts: Vec<String> =
            retest.summary.iter().map(|(change, count)| format!("{count} {}", change.words())).collect();
        text += &lineman_report::wrap(&counts.join(", "), 0, style);
        text.push('\n');
    }
    // What needs somebody comes first.
    let mut order: Vec<&Retested> = all.iter().collect();
    order.sort_by_key(|it| it.change);
    let shown = if style.verbose { order.len() } else { SHOWN };
    for one in order.iter().take(shown) {
        let finding = report.integrations.iter().find(|it| it.name == one.name).and_then(|it| {
            it.findings().find(|finding| !finding.status().is_good() && Some(&finding.cause) == one.cause.as_ref())
        });
        text += &integration(one, finding, style);
    }
    if order.len() > shown {
        let more = format!("+{} more with --verbose", order.len() - shown);
        text += &lineman_report::wrap(&more, 0, style);
    }
    text
}

fn integration(one: &Retested, finding: Option<&Finding>, style: &Style) -> String {
    let mut below: Vec<(&str, String)> = Vec::new();
    if one.change != Change::Fixed {
        below.extend(finding.map(|finding| ("seen    ", finding.message.clone())));
    }
    if let (Change::Fixed | Change::ChangedCause | Change::NotRun, Some(cause)) = (one.change, &one.cause_before) {
        let when = one.compared_with.map(|at| format!(", in the run of {}", moment(at))).unwrap_or_default();
        below.push(("before  ", format!("{cause}{when}")));
    }
    below.extend(credentials(one).into_iter().map(|said| ("secret  ", said)));
    if let (Some(at), Some(after)) = (one.passed_at, one.passed_after_ms) {
        let after = span(Duration::from_secs(after / 1000));
        below
            .push(("passes  ", format!("as seen at {}, {after} after the first attempt", at.strftime("%H:%M:%S UTC"))));
    }
    if let Some(spread) = one.spread.as_ref().filter(|_| one.change != Change::Fixed) {
        below.push(("spread  ", spread.says.clone()));
        below.push(("docs    ", spread.docs.url.clone()));
    }
    if one.change != Change::Fixed {
        let remedies = finding.map(|finding| finding.remedies.iter().take(2)).into_iter().flatten();
        below.extend(remedies.map(|remedy| ("→       ", remedy.text.clone())));
    }
    let status = match one.change {
        Change::Fixed => Status::Pass,
        Change::NotRun => Status::Skip,
        _ => one.verdict,
    };
    let below: Vec<(&str, &str)> = below.iter().map(|(label, said)| (*label, said.as_str())).collect();
    lineman_report::marked(status, &first_line(one), &below, style)
}

/// The line that says the essential.
fn first_line(one: &Retested) -> String {
    let cause = |cause: &Option<Cause>| cause.as_ref().map_or_else(|| "undetermined".to_owned(), Cause::to_string);
    let essence = match one.change {
        Change::Fixed => format!("{} of {} checks pass now", one.passed, one.ran),
        Change::ChangedCause => format!("{} before, {} now", cause(&one.cause_before), cause(&one.cause)),
        Change::StillFailing | Change::NewlyFailing => cause(&one.cause),
        Change::NotRun => "the run ended before it was reached".to_owned(),
    };
    format!("{}: {} — {essence}", one.change.words(), one.name)
}

/// What is known of the credentials, those of the same news together. That one is unchanged is news
/// where the credential may be to blame.
fn credentials(one: &Retested) -> Vec<String> {
    let failing = if one.cause_before.is_some() { "failing " } else { "" };
    let since = one.compared_with.map(|at| format!(" since the {failing}run of {}", moment(at))).unwrap_or_default();
    let blamed = [&one.cause, &one.cause_before].into_iter().flatten().any(concerns_credential);
    let mut said = Vec::new();
    for (change, word) in
        [(Comparison::Replaced, "replaced"), (Comparison::Added, "new"), (Comparison::Unchanged, "unchanged")]
    {
        let of_it: Vec<&CredentialNews> = one.credentials.iter().filter(|it| it.change == change).collect();
        if of_it.is_empty() || change == Comparison::Unchanged && !blamed {
            continue;
        }
        let names: Vec<&str> = of_it.iter().map(|it| it.told.secret.as_str()).collect();
        said.push(format!("{} {word}{since}", names.join(", ")));
    }
    said.extend(one.credentials.iter().filter_map(told));
    said
}

/// What the provider tells of a credential.
fn told(news: &CredentialNews) -> Option<String> {
    let about = &news.told;
    let mut parts: Vec<String> = about.id.iter().cloned().collect();
    parts.extend(about.created_at.map(|at| format!("made on {}", at.strftime("%Y-%m-%d"))));
    parts.extend(about.newer_active.filter(|newer| *newer).map(|_| "a newer active key exists".to_owned()));
    (!parts.is_empty()).then(|| format!("{}: {}", about.secret, parts.join(", ")))
}

fn concerns_credential(cause: &Cause) -> bool {
    ["credential.", "permission.", "ssh.key", "repo.", "account."].iter().any(|part| cause.as_str().starts_with(part))
}

/// The time of a moment of today, its day too of any other.
fn moment(at: Timestamp) -> String {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let is_today = day(Timestamp::now()) == day(at);
    at.strftime(if is_today { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" }).to_string()
}

/// `30 s`, `1 min 30 s`.
pub(super) fn span(duration: Duration) -> String {
    let (seconds, ms) = (duration.as_secs(), duration.subsec_millis());
    match (seconds / 60, seconds % 60) {
        (0, 0) if ms > 0 => format!("{ms} ms"),
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
