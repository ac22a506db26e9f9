use lineman_model::Cause;

use crate::pattern::Pattern;
use crate::rule::{Conditions, Rule};
use crate::template::Template;

/// Longest message, in bytes: it must stand on one line or two of a narrow terminal.
const LONGEST_MESSAGE: usize = 240;

/// What a rule needs for matching, made once, while its laws are checked.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) text: Vec<Pattern>,
    pub(crate) not_text: Vec<Pattern>,
    pub(crate) header: Vec<(String, Pattern)>,
    pub(crate) capture: Vec<Pattern>,
    pub(crate) message: Option<Template>,
    pub(crate) detail: Option<Template>,
    pub(crate) remedies: Vec<Template>,
}

impl Compiled {
    /// Compiles a rule; its faults are added to the list. The patterns of `capture` see what they
    /// can for every rule of the catalog.
    pub(crate) fn new(rule: &Rule, capture: &[Pattern], faults: &mut Vec<String>) -> Compiled {
        let none = Conditions::default();
        let conditions = rule.conditions.as_ref().unwrap_or(&none);
        let compiled = Compiled {
            text: patterns(&conditions.text, faults),
            not_text: patterns(&conditions.not_text, faults),
            header: conditions
                .header
                .iter()
                .filter_map(|(name, source)| Some((name.clone(), pattern(source, faults)?)))
                .collect(),
            capture: patterns(&rule.capture, faults),
            message: template(&rule.message, faults),
            detail: rule.detail.as_deref().and_then(|detail| template(detail, faults)),
            remedies: rule.remedies.iter().filter_map(|remedy| template(&remedy.text, faults)).collect(),
        };
        check_words(rule, faults);
        compiled.check_conditions(rule, faults);
        compiled.check_names(capture, faults);
        compiled
    }

    /// Every pattern of the rule.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let header = self.header.iter().map(|(_, pattern)| pattern);
        self.text.iter().chain(&self.not_text).chain(header).chain(&self.capture)
    }

    /// Words of which a text that the rule matches has at least one: its codes or what its texts
    /// must contain, whichever is longer and so rarer.
    pub(crate) fn needles<'r>(&'r self, rule: &'r Rule) -> Vec<&'r str> {
        let codes: Vec<&str> = rule.conditions.iter().flat_map(|all| &all.provider_code).map(String::as_str).collect();
        let texts: Vec<&str> = self.text.iter().flat_map(Pattern::needles).map(String::as_str).collect();
        let shortest = |words: &[&str]| words.iter().map(|word| word.len()).min().unwrap_or(0);
        if shortest(&codes) > shortest(&texts) { codes } else { texts }
    }

    fn check_conditions(&self, rule: &Rule, faults: &mut Vec<String>) {
        let Some(conditions) = &rule.conditions else {
            if !(rule.example.is_empty() && rule.near_miss.is_empty() && rule.capture.is_empty()) {
                faults.push("examples or captures, and no condition that something must meet".to_owned());
            }
            return;
        };
        if conditions.status.is_empty()
            && conditions.provider_code.is_empty()
            && conditions.header.is_empty()
            && conditions.text.is_empty()
        {
            faults.push("no condition that something must meet".to_owned());
        }
        if conditions.provider_code.iter().chain(&conditions.operation).any(|word| word.trim().is_empty()) {
            faults.push("an empty word as a condition".to_owned());
        }
        for pattern in self.text.iter().filter(|pattern| pattern.needles().is_empty()) {
            faults.push(format!("no four letters in a row that every match of {:?} has", pattern.source()));
        }
        if rule.example.is_empty() {
            faults.push("no example".to_owned());
        }
        if rule.near_miss.is_empty() {
            faults.push("no near miss".to_owned());
        }
    }

    fn check_names(&self, capture: &[Pattern], faults: &mut Vec<String>) {
        let has = |pattern: &Pattern, name: &str| pattern.names().iter().any(|other| other == name);
        for template in self.message.iter().chain(&self.detail).chain(&self.remedies) {
            for (name, optional) in template.names() {
                if !self.patterns().chain(capture).any(|pattern| has(pattern, name)) {
                    faults.push(format!("no pattern has the group {{{name}}}"));
                } else if !optional
                    && !self.header.iter().any(|(_, pattern)| has(pattern, name))
                    && (self.text.is_empty() || !self.text.iter().all(|pattern| has(pattern, name)))
                {
                    faults.push(format!("{{{name}}} is not always seen: put it in square brackets"));
                }
            }
        }
    }
}

fn check_words(rule: &Rule, faults: &mut Vec<String>) {
    if !is_kebab(&rule.code) {
        faults.push("the code is not kebab-case".to_owned());
    }
    for cause in std::iter::once(&rule.cause).chain(rule.also_possible.iter().map(|other| &other.cause)) {
        if let Cause::Other(word) = cause {
            faults.push(format!("{word:?} is not a cause"));
        } else if cause.is_ours() && rule.conditions.is_some() {
            faults.push(format!("{:?} is for Lineman to find", cause.as_str()));
        }
    }
    let message = rule.message.as_str();
    if !message.ends_with('.') || message.contains(". ") || message.contains('\n') || message.len() > LONGEST_MESSAGE {
        faults.push(format!("the message is not one sentence of at most {LONGEST_MESSAGE} bytes"));
    }
    if rule.remedies.is_empty() {
        faults.push("no remedy".to_owned());
    }
    if rule.docs.is_empty() && rule.conditions.is_some() {
        faults.push("no page of the provider's documentation".to_owned());
    }
    if let Some(doc) = rule.docs.iter().find(|doc| !doc.url.starts_with("https://")) {
        faults.push(format!("{:?} is not an https address", doc.url));
    }
}

fn is_kebab(code: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    code.split('-').all(word)
}

pub(crate) fn patterns(sources: &[String], faults: &mut Vec<String>) -> Vec<Pattern> {
    sources.iter().filter_map(|source| pattern(source, faults)).collect()
}

fn pattern(source: &str, faults: &mut Vec<String>) -> Option<Pattern> {
    Pattern::new(source).map_err(|error| faults.push(format!("the pattern {source:?} is wrong: {error}"))).ok()
}

fn template(source: &str, faults: &mut Vec<String>) -> Option<Template> {
    Template::parse(source).map_err(|error| faults.push(format!("in {source:?} {error}"))).ok()
}
