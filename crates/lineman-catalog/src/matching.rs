use lineman_model::{Cause, Confidence, Finding, Remedy, clean_line};

use crate::catalog::{Catalog, full_code};
use crate::origin::Origin;
use crate::pattern::Pattern;
use crate::rule::{Rule, StatusPattern};
use crate::seen::Seen;
use crate::shape::masked;
use crate::template::{Captures, Template};

/// Longest matched line that is shown, in bytes.
const LONGEST_LINE: usize = 400;

/// The group of a pattern that captures the address that a provider saw, and the kind of subject
/// that it makes.
const ADDRESS: &str = "address";

const WEIGHT_OF_CODE: i32 = 40;
const WEIGHT_OF_HEADER: i32 = 30;
const WEIGHT_OF_OPERATION: i32 = 20;
const WEIGHT_OF_STATUS: i32 = 10;
const WEIGHT_OF_CLASS: i32 = 5;
const HIGHEST_WEIGHT_OF_TEXT: i32 = 100;
const WEIGHT_OF_ORIGIN: i32 = 30;

/// A server's answer.
#[derive(Clone, Debug, Default)]
pub struct Response<'a> {
    /// The HTTP status, where there is one.
    pub status: Option<u16>,
    /// The headers, names in any case.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body, whatever its form.
    pub body: &'a str,
    /// What the caller was doing, as the provider spells it.
    pub operation: Option<&'a str>,
}

/// A rule that holds for what was seen.
#[derive(Clone, Debug)]
pub struct Match<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The plugin whose rule it is.
    pub provider: &'a str,
    /// `<plugin>/<code of the rule>`.
    pub code: String,
    /// Why it is broken.
    pub cause: &'a Cause,
    /// How sure the cause is.
    pub confidence: Confidence,
    /// The rule's message, filled with what was seen.
    pub message: String,
    /// The rule's detail, filled.
    pub detail: Option<String>,
    /// The rule's remedies, their texts filled.
    pub remedies: Vec<Remedy>,
    /// The line that matched, counted from one, where the text has lines.
    pub line: Option<usize>,
    /// The line that matched, safe to show; empty where a status that no text states did.
    pub text: String,
    /// Where in `text` that begins which decided, in bytes.
    pub column: usize,
    /// Where in a configuration it arose, where the text says so.
    pub origin: Option<Origin>,
    /// How closely the rule fits; the highest comes first.
    pub rank: i32,
    /// The address that the provider says it saw, where a rule about addresses captured one.
    pub address: Option<String>,
}

impl<'a> Match<'a> {
    /// Tries the rule at a position of a catalog; one without conditions matches nothing.
    pub(crate) fn try_rule(catalog: &'a Catalog, at: usize, seen: &Seen) -> Option<Match<'a>> {
        let (rule, compiled) = (catalog.rules().get(at)?, catalog.compiled().get(at)?);
        let conditions = rule.conditions.as_ref()?;
        let mut rank = rule.priority;
        let mut captures = Captures::new();
        // Where the line to show is: an offset, or a header.
        let mut offset = None;
        let mut shown_header = None;

        if !conditions.provider_code.is_empty() {
            offset = conditions.provider_code.iter().find_map(|code| seen.code(code))?;
            rank += WEIGHT_OF_CODE;
        }
        for (name, pattern) in &compiled.header {
            let value = seen.header(name).find(|value| capture(pattern, value, &mut captures).is_some())?;
            shown_header.get_or_insert_with(|| format!("{name}: {value}"));
            rank += WEIGHT_OF_HEADER;
        }
        if !compiled.text.is_empty() {
            let (at, pattern) = heaviest(&compiled.text, seen, &mut captures)?;
            offset = Some(at);
            rank += pattern.weight().min(HIGHEST_WEIGHT_OF_TEXT);
        }
        if !conditions.operation.is_empty() {
            conditions.operation.iter().any(|operation| seen.operation(operation)).then_some(())?;
            rank += WEIGHT_OF_OPERATION;
        }
        if !conditions.status.is_empty() {
            match seen.status() {
                Some(status) => {
                    offset = offset.or(seen.status_offset());
                    rank += match conditions.status.iter().find(|pattern| pattern.accepts(status))? {
                        StatusPattern::Exact(_) => WEIGHT_OF_STATUS,
                        StatusPattern::Class(_) => WEIGHT_OF_CLASS,
                    }
                }
                // A status that nobody stated contradicts nothing, but cannot carry a rule alone.
                None if offset.is_none() && shown_header.is_none() && conditions.provider_code.is_empty() => {
                    return None;
                }
                None => {}
            }
        }
        if compiled.not_text.iter().any(|pattern| find(pattern, seen).is_some()) {
            return None;
        }
        for pattern in compiled.capture.iter().chain(catalog.capture()) {
            find_and_capture(pattern, seen, &mut captures);
        }

        if seen.origin().and_then(|origin| origin.provider.as_deref()).is_some_and(|name| catalog.provisions(name)) {
            rank += WEIGHT_OF_ORIGIN;
        }
        let secrets = seen.secrets();
        captures.values_mut().for_each(|value| *value = masked(value, secrets));
        let line = offset.map(|offset| seen.line_at(offset)).or(shown_header.as_deref()).or(seen.headline());
        let text = clean_line(line.unwrap_or_default(), LONGEST_LINE);
        let column = offset.map_or(0, |offset| seen.column(offset));
        let (before, after) = text.split_at_checked(column).unwrap_or((&text, ""));
        let before = masked(before, secrets);
        let mut origin = seen.origin().cloned();
        if let Some(origin) = &mut origin {
            let names = [&mut origin.address, &mut origin.file];
            names.into_iter().flatten().for_each(|name| *name = masked(name, secrets));
        }
        Some(Match {
            line: seen.line_number(offset),
            column: before.len(),
            text: before + &masked(after, secrets),
            origin,
            rank,
            ..Match::filled(catalog, at, &captures)?
        })
    }

    /// The rule at a position of a catalog, its templates filled with what was seen.
    pub(crate) fn filled(catalog: &'a Catalog, at: usize, captures: &Captures) -> Option<Match<'a>> {
        let (rule, compiled) = (catalog.rules().get(at)?, catalog.compiled().get(at)?);
        let fill = |template: &Template| template.fill(captures);
        let remedies = rule.remedies.iter().zip(&compiled.remedies);
        Some(Match {
            rule,
            provider: catalog.plugin(),
            code: full_code(catalog.plugin(), &rule.code),
            cause: &rule.cause,
            confidence: rule.confidence,
            message: compiled.message.as_ref().map(fill).unwrap_or_default(),
            detail: compiled.detail.as_ref().map(fill),
            remedies: remedies.map(|(remedy, text)| Remedy { text: fill(text), ..remedy.clone() }).collect(),
            line: None,
            text: String::new(),
            column: 0,
            origin: None,
            rank: rule.priority,
            address: captures.get(ADDRESS).filter(|_| rule.cause == Cause::NetworkIpNotAllowed).cloned(),
        })
    }

    /// The finding that the rule describes; evidence and subject are for the caller to add. A
    /// refused address is the subject already, where the provider names it.
    pub fn finding(&self) -> Finding {
        let mut finding = Finding::new(&self.code, self.cause.clone(), &self.message).confidence(self.confidence);
        finding.detail.clone_from(&self.detail);
        finding.remedies.clone_from(&self.remedies);
        finding.docs.clone_from(&self.rule.docs);
        finding.also_possible.clone_from(&self.rule.also_possible);
        match &self.address {
            Some(address) => finding.subject(ADDRESS, address),
            None => finding,
        }
    }
}

/// The heaviest pattern that matches, and where.
fn heaviest<'p>(patterns: &'p [Pattern], seen: &Seen, captures: &mut Captures) -> Option<(usize, &'p Pattern)> {
    let matching = patterns.iter().filter_map(|pattern| Some((find(pattern, seen)?, pattern)));
    let (at, pattern) = matching.max_by_key(|(_, pattern)| pattern.weight())?;
    find_and_capture(pattern, seen, captures);
    Some((at, pattern))
}

fn find(pattern: &Pattern, seen: &Seen) -> Option<usize> {
    pattern.find(seen.lines()).or_else(|| pattern.find(seen.flat()))
}

fn find_and_capture(pattern: &Pattern, seen: &Seen, captures: &mut Captures) {
    if !pattern.names().is_empty() && capture(pattern, seen.lines(), captures).is_none() {
        capture(pattern, seen.flat(), captures);
    }
}

fn capture(pattern: &Pattern, text: &str, captures: &mut Captures) -> Option<()> {
    for (name, value) in pattern.captures(text)? {
        // What a condition saw is closer than what merely stood in the text.
        captures.entry(name.to_owned()).or_insert(value);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::acme;

    fn check(response: &Response<'_>, expect: &[&str]) {
        let catalog = acme();
        let found: Vec<String> =
            catalog.match_response(response).into_iter().map(|found| found.rule.code.clone()).collect();
        assert_eq!(found, expect, "{response:?}");
    }

    #[test]
    fn a_code_counts_only_where_a_structured_body_names_an_error() {
        let body = |body| Response { status: Some(403), body, ..Response::default() };
        check(&body(r#"{"code":"UnknownKey"}"#), &["unknown-key"]);
        check(&body(r#"{"errors":[{"reason":"UnknownKey"}]}"#), &["unknown-key"]);
        check(&body(r#"{"__type":"acme.keys#UnknownKey"}"#), &["unknown-key"]);
        check(&body("<E><Error><Code>UnknownKey</Code></Error></E>"), &["unknown-key"]);
        check(&body("UnknownKey: what"), &["unknown-key"]);
        check(&body(r#"{"name":"UnknownKey"}"#), &[]);
        check(&body(r#"{"code":"unknownkey"}"#), &[]);
        let header = |name, value| Response { headers: vec![(name, value)], ..Response::default() };
        check(&header("X-Acme-Error", "UnknownKey:https://errors.example.com/"), &["unknown-key"]);
        check(&header("X-Other-Error", "UnknownKey"), &[]);
    }

    #[test]
    fn every_condition_must_hold() {
        let text = "ann is not allowed to do keys:List";
        let status = |status, body| Response { status, body, ..Response::default() };
        check(&status(Some(403), text), &["denied"]);
        check(&status(None, text), &["denied"]);
        check(&status(Some(503), text), &["unavailable"]);
        check(&status(Some(403), &format!("{text}\n(a rule of the organisation)")), &[]);
        let operation = |operation| Response { body: r#"{"code":"Refused"}"#, operation, ..Response::default() };
        check(&operation(Some("keys:ListKeys")), &["list-refused"]);
        check(&operation(Some("listkeys")), &["list-refused"]);
        check(&operation(Some("keys:ListKeysets")), &[]);
        check(&operation(None), &[]);
    }

    #[test]
    fn a_match_tells_what_was_seen_and_makes_a_finding() {
        let catalog = acme();
        let found = catalog.match_text("starting\n\u{1b}[31macme:  ann is not allowed to do keys:List on\n vault-1");
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(found.message, "ann may not do keys:List.");
        assert_eq!((found.line, found.text.as_str()), (Some(2), "acme: ann is not allowed to do keys:List on"));
        let finding = found.finding();
        assert_eq!(finding.code, "acme/denied");
        assert_eq!(finding.cause, Cause::PermissionInsufficient);
        assert_eq!(finding.remedies[0].text, "Grant keys:List to ann.");
        assert_eq!(finding.docs[0].url, "https://docs.example.com/grants");
    }

    #[test]
    fn the_closest_rule_comes_first() {
        check(
            &Response { status: Some(503), body: "the key has expired: UnknownKey", ..Response::default() },
            &["unknown-key", "key-expired", "key-unwell", "unavailable"],
        );
    }
}
