//! Small phrases that several renderers say the same way.

use jiff::Timestamp;
use lineman_model::clip;

use crate::page::TIE;

/// `3 checks`, `1 check`, `1,204 checks`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// Digits in groups of three.
pub(crate) fn number(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `187 ms`, `2.1 s`, `3 min 12 s`.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// The day of a moment, UTC.
pub(crate) fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// Whole days from one moment to another; negative when it is past.
pub(crate) fn days_between(now: Timestamp, at: Timestamp) -> i64 {
    at.as_second().saturating_sub(now.as_second()).div_euclid(86_400)
}

/// `in 12 days`, `today`, `3 days ago`.
pub(crate) fn away(days: i64) -> String {
    let n = usize::try_from(days.unsigned_abs()).unwrap_or(usize::MAX);
    match days {
        0 => "today".to_owned(),
        1.. => format!("in {}", count(n, "day", "days")),
        _ => format!("{} ago", count(n, "day", "days")),
    }
}

/// A name, cut where nobody would read on.
pub(crate) fn name(name: &str) -> String {
    clip(name, 64)
}

/// The first names of a list and how many more there are.
pub(crate) fn some<'a>(names: impl IntoIterator<Item = &'a str>, limit: usize) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(limit).map(name).collect();
    let more = names.count();
    let list = shown.join(", ");
    if more > 0 { format!("{list} +{}{TIE}more", number(more)) } else { list }
}
