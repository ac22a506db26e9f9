//! Whether words that a rule knows tell of something that happened.

use std::sync::LazyLock;

use lineman_catalog::Match;
use lineman_model::{Cause, Confidence};
use regex::{Regex, RegexSet};

use crate::frame::Level;
use crate::tidy::unescaped;

fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("a pattern that is part of the program, and compiled by its tests")
}

/// Words that say that something failed, for lines that call themselves harmless.
static FAILED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:err|error|fail(?:ed|ure|s|ing)?|fatal|exception|denied|refused|rejected|unauthori[sz]ed|forbidden|unable|cannot|can't|could not|couldn't|panic|not authori[sz]ed|timed out|unreachable|giving up|aborted)\b",
    )
});

/// What stands before words that are named and did not happen.
static NAMED_ONLY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:\b(?:0|no|zero|without|never|if|unless|whenever|until|retry on|retries on|such as|e\.g\.|expect(?:s|ed|ing)?|ignor(?:e|es|ed|ing)|handl(?:es|er|ing) (?:of |for )?|simulat\w+|mock\w*|would|grep|echo|tests? (?:that|for)|checks? (?:that|for|whether)|in case of|recovered from|resolved:?)\s+)[^:;.|]{0,60}$",
    )
});

/// What stands behind the name of a counter or field that says that nothing happened.
static NOTHING: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"^[\w.\-]+["']?\s*[=:]\s*["']?(?:0|null|none|nil|false|no|ok|\[\]|\{\})(?:\W|$)"#));

/// Lines that are no message of what happens: commands that are shown before they run, tests that
/// passed, requests that were answered.
static OTHERWISE: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        // Not what PowerShell says of an error: `+ CategoryInfo`, `+ FullyQualifiedErrorId`.
        r"^\+{1,4} (?:[^\sCF]|C[^a]|F[^u])",
        r"^\$ \S",
        r"^\[command\]",
        r"(?:^|[;&|]\s*|\$\()\s*(?:[efz]?grep|rg|echo|printf|sed|awk) ",
        r"^\s*(?:ok \d+\b|--- PASS|PASS\b|✓|✔|√)",
        r"\.\.\. (?:ok|passed|PASSED)\s*$",
        r"\bPASSED\b",
        r#""(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \S+ HTTP/[0-9.]+" [123][0-9]{2}\b"#,
        r"^\s*(?://|/\*|<!--|#\s)",
        r"(?i): (?:Refreshing state|Reading|Still reading|Read complete|Creation complete|Still creating|Modifications complete|Destruction complete)\b",
    ])
    .expect("patterns that are part of the program, and compiled by its tests")
});

/// Whether a line tells of no failure, whatever rules make of its words. What a document holds may
/// have several lines, and one of them is enough.
pub(crate) fn is_hopeless(level: Option<Level>, message: &str) -> bool {
    level == Some(Level::Debug)
        || level == Some(Level::Info) && !FAILED.is_match(message)
        || unescaped(message).lines().filter(|line| !line.trim().is_empty()).all(|line| OTHERWISE.is_match(line))
}

/// Whether a match tells of a failure, in a line of this level.
pub(crate) fn happened(found: &Match<'_>, level: Option<Level>, message: &str) -> bool {
    if is_hopeless(level, message) {
        return false;
    }
    let (before, after) = found.text.split_at_checked(found.column).unwrap_or((&found.text, ""));
    if NOTHING.is_match(after) || NAMED_ONLY.is_match(before) {
        return false;
    }
    let vague = found.confidence == Confidence::Possible || *found.cause == Cause::Undetermined;
    match level {
        Some(Level::Debug | Level::Info) => !vague,
        Some(Level::Trouble) => true,
        None => !vague || states_failure(message),
    }
}

/// Whether a line without a level says by its form that it is an error.
fn states_failure(message: &str) -> bool {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)^\W*(?:[0-9A-Za-z_.\-/]{1,60}: )?(?:an )?(?:fatal|error|panic|exception|failed|failure)\b|\bError: |\bERR!|\bexited with\b",
        )
    });
    FORM.is_match(message)
}
