use std::collections::BTreeMap;

use lineman_model::clean_line;

/// Longest value put into a template, in bytes.
const LONGEST_VALUE: usize = 200;
/// What stands for a value that was not seen, outside square brackets.
pub(crate) const UNSEEN: &str = "…";

/// What the named groups of a rule's patterns saw.
pub(crate) type Captures = BTreeMap<String, String>;

/// A text with `{name}` for what was seen and `[…]` around what goes when it was not.
#[derive(Debug)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Name(String),
    Optional(Template),
}

impl Template {
    pub(crate) fn parse(source: &str) -> Result<Template, String> {
        let mut rest = source;
        let template = Template::parse_until(&mut rest, false)?;
        Ok(template)
    }

    fn parse_until(rest: &mut &str, inside: bool) -> Result<Template, String> {
        let mut parts = Vec::new();
        loop {
            let special = rest.find(['{', '}', '[', ']']).unwrap_or(rest.len());
            let (text, tail) = rest.split_at(special);
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            let mut chars = tail.chars();
            let found = chars.next();
            *rest = chars.as_str();
            match found {
                None if inside => return Err("a [ is not closed".to_owned()),
                None => return Ok(Template { parts }),
                Some(']') if inside => return Ok(Template { parts }),
                Some('[') if !inside => parts.push(Part::Optional(Template::parse_until(rest, true)?)),
                Some('{') => {
                    let (name, tail) = rest.split_once('}').ok_or("a { is not closed")?;
                    parts.push(Part::Name(name.to_owned()));
                    *rest = tail;
                }
                Some(other) => return Err(format!("a {other} stands alone")),
            }
        }
    }

    /// Every name in the template, with whether the template can do without it.
    pub(crate) fn names(&self) -> Vec<(&str, bool)> {
        let mut names = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(_) => {}
                Part::Name(name) => names.push((name.as_str(), false)),
                Part::Optional(inner) => names.extend(inner.names().into_iter().map(|(name, _)| (name, true))),
            }
        }
        names
    }

    pub(crate) fn fill(&self, seen: &Captures) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name) => match value(seen, name) {
                    Some(value) => out.push_str(&value),
                    None => out.push_str(UNSEEN),
                },
                Part::Optional(inner) => {
                    if inner.names().iter().all(|(name, _)| value(seen, name).is_some()) {
                        out.push_str(&inner.fill(seen));
                    }
                }
            }
        }
        out
    }
}

fn value(seen: &Captures, name: &str) -> Option<String> {
    let value = clean_line(seen.get(name)?, LONGEST_VALUE);
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_leaves_no_hole() {
        let seen = Captures::from([("key".to_owned(), "AK\u{1b}[31m1\nx".to_owned())]);
        let check = |source: &str, seen: &Captures, expect: &str| {
            assert_eq!(Template::parse(source).unwrap().fill(seen), expect, "{source}");
        };
        check("No key[ {key}] here.", &seen, "No key AK1 x here.");
        check("No key[ {key}] here.", &Captures::new(), "No key here.");
        check("Key {key}.", &Captures::new(), "Key ….");
        for broken in ["{key", "[ {key}", "a ] b", "a } b", "[a [b]]"] {
            assert!(Template::parse(broken).is_err(), "{broken}");
        }
    }
}
