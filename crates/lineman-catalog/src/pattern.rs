use std::sync::OnceLock;

use regex::{Regex, RegexBuilder, bytes};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Longest pattern, in bytes.
const LONGEST: usize = 1_000;
/// Memory that one compiled pattern may take, in bytes.
const COMPILED_LIMIT: usize = 1 << 20;
/// Shortest literal worth looking for: what is shorter stands on too many lines.
const SHORTEST_NEEDLE: usize = 4;
/// Most needles that are made of what stands side by side in a pattern.
const MOST_NEEDLES: usize = 48;
/// Classes of more characters are not spelled out.
const SMALL_CLASS: u32 = 6;

/// A pattern of a rule: compiled when it is first needed, because a catalog has hundreds and one
/// text needs few of them.
#[derive(Debug)]
pub(crate) struct Pattern {
    source: String,
    /// Every match contains one of these, in lower case here; none where that cannot be told.
    needles: Vec<String>,
    /// How many characters a match fixes.
    weight: i32,
    names: Vec<String>,
    compiled: OnceLock<Option<bytes::Regex>>,
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
        let mut needles = Words::of(&hir).needles;
        // What has another one in it stands on no line that the other does not.
        needles.sort_by_key(String::len);
        let all = needles.clone();
        let mut at = 0..;
        needles.retain(|needle| !all[..at.next().unwrap_or(0)].iter().any(|shorter| needle.contains(shorter)));
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

    /// Where a text matches first, at the beginning of a character.
    pub(crate) fn find(&self, text: &str) -> Option<usize> {
        let found = self.compiled()?.find(text.as_bytes())?;
        Some(text.floor_char_boundary(found.start()))
    }

    /// What the named groups of the first match in a text hold.
    pub(crate) fn captures(&self, text: &str) -> Option<Vec<(&str, String)>> {
        let found = self.compiled()?.captures(text.as_bytes())?;
        let group = |name| {
            let range = found.name(name)?.range();
            let whole = text.floor_char_boundary(range.start)..text.floor_char_boundary(range.end);
            Some((name, text[whole].to_owned()))
        };
        Some(self.names.iter().filter_map(|name| group(name.as_str())).collect())
    }

    /// Whether it takes no more memory than a pattern may.
    pub(crate) fn is_usable(&self) -> bool {
        self.compiled().is_some()
    }

    fn compiled(&self) -> Option<&bytes::Regex> {
        let build = |unicode: bool| {
            bytes::RegexBuilder::new(&self.source)
                .case_insensitive(true)
                .multi_line(true)
                .unicode(unicode)
                .size_limit(COMPILED_LIMIT)
                .dfa_size_limit(COMPILED_LIMIT)
                .build()
        };
        // What providers say is English: without the classes of all scripts a pattern is made ready
        // in a tenth of the time.
        self.compiled.get_or_init(|| build(false).or_else(|_| build(true)).ok()).as_ref()
    }
}

/// A pattern of this crate itself; like those of rules without the classes of all scripts, where
/// nothing in it could end within a character.
pub(crate) fn constant(source: &str) -> Regex {
    let narrow = RegexBuilder::new(source).unicode(false).build();
    narrow.or_else(|_| Regex::new(source)).expect("a pattern that is part of the program, and compiled by its tests")
}

fn shortest(needles: &[String]) -> usize {
    needles.iter().map(String::len).min().unwrap_or(0)
}

/// The longer of two sets of needles: what is longer stands on fewer lines.
fn longer(one: Vec<String>, other: Vec<String>) -> Vec<String> {
    if shortest(&other) > shortest(&one) { other } else { one }
}

/// What the matches of a part of a pattern contain.
#[derive(Default)]
struct Words {
    /// All that the part matches, in lower case, where that is few.
    whole: Option<Vec<String>>,
    /// Words of which every match contains at least one; none where that cannot be told.
    needles: Vec<String>,
}

impl Words {
    fn exactly(mut all: Vec<String>) -> Words {
        all.sort();
        all.dedup();
        let needles = if all.iter().all(|word| !word.is_empty()) { all.clone() } else { Vec::new() };
        Words { whole: Some(all).filter(|all| all.len() <= MOST_NEEDLES), needles }
    }

    fn of(hir: &Hir) -> Words {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Words::exactly(vec![String::new()]),
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(word) => Words::exactly(vec![word.to_ascii_lowercase()]),
                Err(_) => Words::default(),
            },
            HirKind::Class(class) => few(class).map(Words::exactly).unwrap_or_default(),
            HirKind::Capture(capture) => Words::of(&capture.sub),
            HirKind::Repetition(repetition) => {
                let once = Words::of(&repetition.sub);
                match (repetition.min, repetition.max) {
                    (0, Some(1)) => {
                        let or_nothing = |mut all: Vec<String>| {
                            all.push(String::new());
                            Words::exactly(all)
                        };
                        once.whole.map(or_nothing).unwrap_or_default()
                    }
                    (0, _) => Words::default(),
                    (1, Some(1)) => once,
                    _ => Words { whole: None, ..once },
                }
            }
            HirKind::Alternation(branches) => {
                let branches: Vec<Words> = branches.iter().map(Words::of).collect();
                if branches.iter().any(|branch| branch.needles.is_empty() && branch.whole.is_none()) {
                    return Words::default();
                }
                let whole: Option<Vec<Vec<String>>> = branches.iter().map(|branch| branch.whole.clone()).collect();
                match whole.map(|whole| whole.concat()) {
                    Some(all) if all.len() <= MOST_NEEDLES => Words::exactly(all),
                    _ if branches.iter().any(|branch| branch.needles.is_empty()) => Words::default(),
                    _ => Words { whole: None, needles: branches.into_iter().flat_map(|it| it.needles).collect() },
                }
            }
            HirKind::Concat(parts) => Words::in_a_row(parts),
        }
    }

    /// Parts that follow each other: what is wholly known of neighbours makes longer words.
    fn in_a_row(parts: &[Hir]) -> Words {
        let nothing = || vec![String::new()];
        let (mut run, mut unbroken, mut best) = (nothing(), true, Vec::new());
        for part in parts {
            let words = Words::of(part);
            best = longer(best, words.needles);
            match words.whole {
                Some(all) if run.len() * all.len() <= MOST_NEEDLES => {
                    run = run.iter().flat_map(|head| all.iter().map(move |tail| format!("{head}{tail}"))).collect();
                }
                other => {
                    unbroken = false;
                    best = longer(best, std::mem::replace(&mut run, other.unwrap_or_else(nothing)));
                }
            }
        }
        match unbroken {
            true => Words::exactly(run),
            false => Words { whole: None, needles: longer(best, run) },
        }
    }
}

/// The characters of a small class, in lower case.
fn few(class: &Class) -> Option<Vec<String>> {
    let ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
        Class::Bytes(class) => class.iter().map(|range| (range.start().into(), range.end().into())).collect(),
    };
    let size: u32 = ranges.iter().map(|(start, end)| end - start + 1).sum();
    let letters = ranges.iter().flat_map(|&(start, end)| start..=end);
    let letters = letters.map(|letter| char::from_u32(letter).filter(char::is_ascii));
    let letters = letters.map(|letter| Some(letter?.to_ascii_lowercase().to_string()));
    (size <= SMALL_CLASS).then(|| letters.collect())?
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
        check("Permission denied", &["permission denied"], 17);
        check(r"the (?<what>\S+) has expired", &[" has expired"], 16);
        check("(first|other) is", &["first is", "other is"], 8);
        check("[Kk]eys? (?:gone|lost)", &["key gone", "key lost", "keys gone", "keys lost"], 7);
        check("(?:expired)? soon or later", &[" soon or later"], 14);
        check(r"\d+ of\w+", &[], 3);
        check("(?:one|.*) two", &[" two"], 4);
        check(r"[äö]\p{Greek} – drei", &[" – drei"], 7);
    }

    fn needles_of(needles: &[&str]) -> Vec<String> {
        needles.iter().map(|&needle| needle.to_owned()).collect()
    }

    #[test]
    fn characters_stay_whole() {
        let check = |source: &str, text: &str, at, what: &str| {
            let pattern = Pattern::new(source).unwrap();
            assert_eq!(pattern.find(text), Some(at), "{source}");
            assert_eq!(pattern.captures(text).unwrap(), [("what", what.to_owned())], "{source}");
        };
        check("key (?<what>.{1,3}) ?is", "key né is", 0, "né");
        check("(?<what>.{2}) is gone", "aéü is gone", 3, "ü");
        check("(?<what>.{3}) is gone", "aéü is gone", 1, "éü");
        check("é (?<what>.{3})", "é été", 0, "ét");
        check("(?u)(?<what>\\w+) is gone", "clé is gone", 0, "clé");
    }

    #[test]
    fn hostile_patterns_are_refused_or_match_nothing() {
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new(&"a".repeat(LONGEST + 1)).is_err());
        assert!(!Pattern::new(r"(\w{1000}){1000}").unwrap().is_usable());
    }
}
