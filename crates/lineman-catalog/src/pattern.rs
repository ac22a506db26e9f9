use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

/// Longest pattern, in bytes.
const LONGEST: usize = 1_000;
/// Memory that one compiled pattern may take, in bytes.
const COMPILED_LIMIT: usize = 1 << 20;
/// Shortest literal worth looking for: what is shorter stands on too many lines.
const SHORTEST_NEEDLE: usize = 4;

/// A pattern of a rule: compiled when it is first needed, because a catalog has hundreds and one
/// text needs few of them.
#[derive(Debug)]
pub(crate) struct Pattern {
    source: String,
    /// Every match contains one of these, whatever its case; none where that cannot be told.
    needles: Vec<String>,
    /// How many characters a match fixes.
    weight: i32,
    names: Vec<String>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(crate) fn new(source: &str) -> Result<Pattern, String> {
        if source.len() > LONGEST {
            return Err(format!("the pattern is longer than {LONGEST} bytes"));
        }
        // Parsed with case: the needles are looked for without, so `(?-i)` makes no difference.
        // Parsed without Unicode where that will do, which is ten times as fast: of what the
        // pattern may match, only its literals matter here.
        let hir = match ParserBuilder::new().unicode(false).utf8(false).build().parse(source) {
            Ok(hir) => hir,
            Err(_) => regex_syntax::parse(source).map_err(|error| error.to_string())?,
        };
        let mut names = Vec::new();
        group_names(&hir, &mut names);
        let needles = required(&hir).unwrap_or_default();
        let needles = if shortest(&needles) >= SHORTEST_NEEDLE { needles } else { Vec::new() };
        let weight = i32::try_from(fixed(&hir)).unwrap_or(i32::MAX);
        Ok(Pattern { source: source.to_owned(), needles, weight, names, compiled: OnceLock::new() })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn needles(&self) -> &[String] {
        &self.needles
    }

    pub(crate) fn weight(&self) -> i32 {
        self.weight
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The compiled pattern; none when it takes more memory than a pattern may.
    pub(crate) fn regex(&self) -> Option<&Regex> {
        let compile = || {
            RegexBuilder::new(&self.source)
                .case_insensitive(true)
                .multi_line(true)
                .size_limit(COMPILED_LIMIT)
                .dfa_size_limit(COMPILED_LIMIT)
                .build()
                .ok()
        };
        self.compiled.get_or_init(compile).as_ref()
    }
}

/// A pattern of this crate itself.
pub(crate) fn constant(source: &str) -> Regex {
    Regex::new(source).expect("a pattern that is part of the program, and compiled by its tests")
}

fn shortest(needles: &[String]) -> usize {
    needles.iter().map(String::len).min().unwrap_or(0)
}

/// Literals of which every match contains at least one.
fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![String::from_utf8(literal.0.to_vec()).ok()?]),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(required).max_by_key(|needles| shortest(needles)),
        HirKind::Alternation(branches) => {
            let needles = branches.iter().map(required).collect::<Option<Vec<_>>>()?;
            Some(needles.into_iter().flatten().collect())
        }
        _ => None,
    }
}

/// How many characters every match has from the pattern itself.
fn fixed(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).chars().count(),
        HirKind::Capture(capture) => fixed(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => fixed(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().map(fixed).sum(),
        HirKind::Alternation(branches) => branches.iter().map(fixed).min().unwrap_or(0),
        _ => 0,
    }
}

fn group_names(hir: &Hir, names: &mut Vec<String>) {
    match hir.kind() {
        HirKind::Capture(capture) => {
            names.extend(capture.name.as_deref().map(str::to_owned));
            group_names(&capture.sub, names);
        }
        HirKind::Repetition(repetition) => group_names(&repetition.sub, names),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().for_each(|part| group_names(part, names));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_tells_what_every_match_contains() {
        let check = |source: &str, needles: &[&str], weight| {
            let pattern = Pattern::new(source).unwrap();
            assert_eq!((pattern.needles(), pattern.weight()), (needles_of(needles).as_slice(), weight), "{source}");
        };
        check("Permission denied", &["Permission denied"], 17);
        check(r"the (?<what>\S+) has expired", &[" has expired"], 16);
        check("(first|other) is", &["first", "other"], 8);
        check("(?:expired)? soon or later", &[" soon or later"], 14);
        check(r"\d+ of\w+", &[], 3);
        check("(?:one|.*) two", &[" two"], 4);
        check(r"[äö]\p{Greek} – drei", &[" – drei"], 7);
    }

    fn needles_of(needles: &[&str]) -> Vec<String> {
        needles.iter().map(|&needle| needle.to_owned()).collect()
    }

    #[test]
    fn hostile_patterns_are_refused_or_match_nothing() {
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new(&"a".repeat(LONGEST + 1)).is_err());
        assert!(Pattern::new(r"(\w{1000}){1000}").unwrap().regex().is_none());
    }
}
