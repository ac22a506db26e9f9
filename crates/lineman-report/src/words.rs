//! Small phrases that several renderers say the same way.

use jiff::Timestamp;
use lineman_model::{clean_line, clip};

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
        0..1_000 => format!("{ms}{TIE}ms"),
        1_000..60_000 => format!("{}.{}{TIE}s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{}{TIE}min{TIE}{}{TIE}s", ms / 60_000, ms % 60_000 / 1_000),
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
    let n = count(n, "day", "days").replace(' ', &TIE.to_string());
    match days {
        0 => "today".to_owned(),
        1.. => format!("in{TIE}{n}"),
        _ => format!("{n}{TIE}ago"),
    }
}

/// A name, cut where nobody would read on. It is cleaned by itself, since it stands in lists: an
/// escape sequence that one name begins must not swallow the next.
pub(crate) fn name(name: &str) -> String {
    clip(&clean_line(name, 400), 64)
}

/// The first names of a list and how many more there are.
pub(crate) fn some<'a>(names: impl IntoIterator<Item = &'a str>, limit: usize) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(limit).map(name).collect();
    let more = names.count();
    let list = shown.join(", ");
    if more > 0 { format!("{list} +{}{TIE}more", number(more)) } else { list }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_read_like_a_person_wrote_them() {
        let check = |said: String, expect: &str| assert_eq!(said.replace(TIE, " "), expect);
        check(count(1, "check", "checks"), "1 check");
        check(count(1_204_000, "check", "checks"), "1,204,000 checks");
        check(duration(999), "999 ms");
        check(duration(59_999), "59.9 s");
        check(duration(192_000), "3 min 12 s");
        let days = |at: &str| {
            let moment = |text: &str| text.parse::<Timestamp>().unwrap();
            away(days_between(moment("2026-11-23T12:00:00Z"), moment(at)))
        };
        check(days("2026-11-24T11:00:00Z"), "today");
        check(days("2026-11-24T12:00:00Z"), "in 1 day");
        check(days("2026-11-23T11:00:00Z"), "1 day ago");
        check(some(["a", "b", "c"], 2), "a, b +1 more");
        check(some(["a\u{1b}]0;", "b"], 2), "a, b");
    }
}
