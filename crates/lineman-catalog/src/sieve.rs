use std::ops::Range;

use aho_corasick::AhoCorasick;

use crate::Catalog;
use crate::grams::Grams;

/// Shortest part of a needle that is looked for in place of it, in bytes.
const SHORTEST_PART: usize = 8;

/// Finds the lines of a large text that a rule of some catalogs could match, in one pass and
/// without looking at any rule.
///
/// A line it passes over matches no rule that needs a provider code or a text; a line it gives
/// may match none. It sees single lines, as they are: words that a program wrapped over a line
/// end are missed, unless what the program draws around them is looked for too.
#[derive(Debug)]
pub struct Sieve {
    grams: Grams,
    /// For what is too short for them.
    short: Option<AhoCorasick>,
}

impl Sieve {
    /// A sieve for all rules of some catalogs.
    pub fn new(catalogs: &[&Catalog]) -> Sieve {
        Sieve::with(catalogs, &[])
    }

    /// The same, and lines with any of these words are given too.
    pub fn with(catalogs: &[&Catalog], words: &[&str]) -> Sieve {
        let needles = catalogs.iter().flat_map(|catalog| catalog.needles()).map(|(_, needle)| unescapable(needle));
        let needles = needles.chain(words.iter().copied()).map(str::to_ascii_lowercase);
        // Few who write JSON escape a slash.
        let mut needles: Vec<String> = needles.flat_map(|needle| [needle.replace('/', "\\/"), needle]).collect();
        needles.sort();
        needles.dedup();
        let (needles, short): (Vec<String>, Vec<String>) =
            needles.into_iter().partition(|needle| needle.len() >= Grams::SHORTEST);
        // Building fails only for more needles than fit 31 bits; without any, it would read for nothing.
        let build = |short| AhoCorasick::builder().ascii_case_insensitive(true).build(short).ok();
        Sieve { grams: Grams::new(needles), short: Some(short).filter(|short| !short.is_empty()).and_then(build) }
    }

    /// The first place where a line is worth matching.
    pub fn find(&self, haystack: &[u8]) -> Option<Range<usize>> {
        let found = self.grams.find(haystack);
        let before = found.as_ref().map_or(haystack.len(), |found| found.end);
        let short = self.short.as_ref().and_then(|short| short.find(&haystack[..before]));
        short.map(|short| short.range()).or(found)
    }

    /// The lines worth matching, as ranges without their line ends, in order.
    pub fn lines<'h>(&'h self, haystack: &'h [u8]) -> impl Iterator<Item = Range<usize>> + 'h {
        let mut from = 0;
        std::iter::from_fn(move || {
            let rest = haystack.get(from..)?;
            let hit = from + self.find(rest)?.start;
            let start = haystack[from..hit].iter().rposition(|&byte| byte == b'\n').map_or(from, |end| from + end + 1);
            let end = haystack[hit..].iter().position(|&byte| byte == b'\n').map_or(haystack.len(), |end| hit + end);
            from = end + 1;
            Some(start..end)
        })
    }
}

/// The longest part of a needle that stands in JSON as it stands elsewhere, where that is long
/// enough to be rare.
fn unescapable(needle: &str) -> &str {
    let is_escaped = |c: char| matches!(c, '"' | '\\' | '<' | '>' | '&' | '\'') || !c.is_ascii();
    // How an address begins says nothing.
    let said = |part: &str| part.trim().trim_start_matches("https://").trim_start_matches("http://").len();
    let longest = needle.split(is_escaped).max_by_key(|part| said(part)).unwrap_or(needle);
    if said(longest) >= SHORTEST_PART { longest } else { needle }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::acme;

    #[test]
    fn only_lines_that_a_rule_could_match_are_given() {
        let catalog = acme();
        let sieve = Sieve::new(&[&catalog]);
        let check = |text: &str, expect: &[&str]| {
            let lines: Vec<&str> = sieve.lines(text.as_bytes()).map(|line| &text[line]).collect();
            assert_eq!(lines, expect, "{text}");
        };
        check("", &[]);
        check("one\ntwo\n", &[]);
        check(
            "one\nacme: UnknownKey UnknownKey\ntwo\nTHE KEY HAS EXPIRED",
            &["acme: UnknownKey UnknownKey", "THE KEY HAS EXPIRED"],
        );
        check("UnknownKey\nunknownkey\n", &["UnknownKey", "unknownkey"]);
        let short = Sieve::with(&[&catalog], &["\u{2577}"]);
        assert_eq!(short.lines("one\n\u{2577}\nUnknownKey\n\u{2577}".as_bytes()).count(), 3);
        assert_eq!(unescapable("message\": \"the key is gone"), "the key is gone");
        assert_eq!(unescapable("a\"b"), "a\"b");
        let slashes = Sieve::with(&[], &["/a/path/of/them"]);
        assert_eq!(slashes.lines(br"\/A\/path\/of\/them".as_slice()).count(), 1);
        assert_eq!(Sieve::new(&[]).lines(b"UnknownKey").count(), 0);
    }

    /// A single short word makes all logs slower to read: it wants what stands beside it.
    #[test]
    fn no_catalog_of_this_repository_looks_for_short_words() {
        let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins")).unwrap();
        let texts =
            folders.filter_map(|folder| std::fs::read_to_string(folder.unwrap().path().join("catalog.toml")).ok());
        let own: Vec<Catalog> = texts.map(|text| Catalog::parse("acme", &text).unwrap()).collect();
        let sieve = Sieve::new(&own.iter().chain(Catalog::shared()).collect::<Vec<_>>());
        assert!(own.len() > 1 && sieve.short.is_none());
        assert_eq!(sieve.grams.too_short(), Vec::<&str>::new());
    }
}
