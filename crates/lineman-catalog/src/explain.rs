use std::collections::BTreeSet;

use jiff::Timestamp;
use lineman_model::{Alternative, Cause, Confidence, Doc, Remedy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::seen::Seen;
use crate::{Catalog, Match, paste};

/// The name of the format of [`Explanation`].
pub const EXPLANATION_SCHEMA: &str = "lineman.explanation/1";

/// Most guesses that are made where nothing is known.
const MOST_GUESSES: usize = 3;

/// Names the causes of pasted text of unknown form, likeliest first: each rule once, and each
/// cause once per line.
///
/// The text may be a program's output, a log, `curl -i` or `curl -v` output, JSON or XML, or all
/// of these at once. Catalogs are taken in their order where rules fit equally well;
/// [`Catalog::shared`] ones belong at the end.
pub fn explain<'a>(catalogs: &[&'a Catalog], input: &str) -> Vec<Match<'a>> {
    ranked(catalogs, &failures(catalogs, input))
}

/// [`explain`]; where no catalog is sure of anything, what statuses and words of every kind make
/// possible comes after it.
pub fn explain_or_guess<'a>(catalogs: &[&'a Catalog], input: &str) -> Vec<Match<'a>> {
    let failures = failures(catalogs, input);
    let mut found = ranked(catalogs, &failures);
    if found.iter().all(|found| found.confidence == Confidence::Possible) {
        let mut guesses = ranked(&[Catalog::general()], &failures);
        let mut told: BTreeSet<&Cause> = found.iter().map(|found| found.cause).collect();
        guesses.retain(|guess| told.insert(guess.cause));
        guesses.truncate(MOST_GUESSES);
        found.append(&mut guesses);
        // A guess tells more than a rule that knows the words and not the cause.
        found.sort_by_key(|found| *found.cause == Cause::Undetermined);
    }
    found
}

fn failures(catalogs: &[&Catalog], input: &str) -> Vec<Seen> {
    let code_headers: Vec<String> = catalogs.iter().flat_map(|catalog| catalog.code_headers()).cloned().collect();
    paste::failures(input, &code_headers)
}

fn ranked<'a>(catalogs: &[&'a Catalog], failures: &[Seen]) -> Vec<Match<'a>> {
    let mut found: Vec<Match<'a>> = Vec::new();
    for catalog in catalogs {
        for seen in failures {
            for new in catalog.match_seen(seen) {
                match found.iter_mut().find(|old| old.code == new.code) {
                    Some(old) if old.rank < new.rank => *old = new,
                    Some(_) => {}
                    None => found.push(new),
                }
            }
        }
    }
    found.sort_by_key(|found| std::cmp::Reverse((found.rank, found.confidence)));
    let mut told = BTreeSet::new();
    found.retain(|found| told.insert((found.cause, found.line, found.text.clone())));
    found
}

/// What `explain` and `logs` print as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// [`EXPLANATION_SCHEMA`].
    pub schema: String,
    /// What was recognised, likeliest first.
    pub matches: Vec<Explained>,
}

/// One recognised failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// The plugin that knows it.
    pub provider: String,
    /// `<plugin>/<kebab-case>`; never changes meaning.
    pub code: String,
    /// Why it is broken.
    pub cause: Cause,
    /// How sure the cause is.
    pub confidence: Confidence,
    /// One sentence: what is wrong.
    pub message: String,
    /// More below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do, most likely first.
    pub remedies: Vec<Remedy>,
    /// The provider's own pages.
    pub docs: Vec<Doc>,
    /// Other causes that the same words allow, most likely first.
    pub also_possible: Vec<Alternative>,
    /// What was recognised in the text.
    pub matched: Matched,
    /// In a log: how often it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// In a log: the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Occurrence>,
    /// In a log: the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Occurrence>,
    /// In a log: the configured integration that it concerns, where an account, project, host or
    /// repository beside it tells; absent where only the provider is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// In a log: how long the provider asks to wait, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// One time that something happened in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Occurrence {
    /// The log, where it has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it, counted from one.
    pub line: usize,
    /// The moment that the log gives it, UTC where it names no zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub time: Option<Timestamp>,
}

/// The part of a text that a rule recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Matched {
    /// The line, safe to show.
    pub text: String,
    /// Its number, counted from one; absent where the text has no lines.
    pub line: Option<usize>,
    /// The resource that it was about, as a provisioning tool addresses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The file of the configuration that declares the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in that file, counted from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_line: Option<usize>,
}

impl Explanation {
    /// Tells what was found.
    pub fn new(matches: &[Match<'_>]) -> Explanation {
        Explanation { schema: EXPLANATION_SCHEMA.to_owned(), matches: matches.iter().map(Explained::from).collect() }
    }
}

impl From<&Match<'_>> for Explained {
    fn from(found: &Match<'_>) -> Explained {
        Explained {
            provider: found.provider.to_owned(),
            code: found.code.clone(),
            cause: found.cause.clone(),
            confidence: found.confidence,
            message: found.message.clone(),
            detail: found.detail.clone(),
            remedies: found.remedies.clone(),
            docs: found.rule.docs.clone(),
            also_possible: found.rule.also_possible.clone(),
            matched: Matched::from(found),
            count: None,
            first: None,
            last: None,
            integration: None,
            retry_after_ms: None,
        }
    }
}

impl From<&Match<'_>> for Matched {
    fn from(found: &Match<'_>) -> Matched {
        let origin = found.origin.clone().unwrap_or_default();
        Matched {
            text: found.text.clone(),
            line: found.line,
            address: origin.address,
            file: origin.file,
            file_line: origin.line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::acme;

    /// The codes, causes aside, and lines that a pasted text is explained with.
    fn check(input: &str, expect: &[(&str, Option<usize>)]) {
        let catalog = acme();
        let matches = explain(&[&catalog], input);
        let found: Vec<_> = matches.iter().map(|found| (found.rule.code.as_str(), found.line)).collect();
        assert_eq!(found, expect, "{input}");
    }

    #[test]
    fn pasted_text_of_any_form_is_understood() {
        check("acme: UnknownKey: AK1234", &[("unknown-key", Some(1))]);
        check("nothing\n\nacme: UnknownKey\n", &[("unknown-key", Some(3))]);
        check("HTTP/1.1 403 Forbidden\nX-Login: required\n\nsorry", &[("login-wanted", Some(1))]);
        check("HTTP/2 503\r\ncontent-type: text/html\r\n\r\n<html></html>\r\n", &[("unavailable", Some(1))]);
        check(
            "*   Trying 192.0.2.1:443...\n> GET / HTTP/2\n> X-Login: required\n>\n< HTTP/2 403\n< x-login: required\n<\n{ [5 bytes data]\nsorry\n* Connection #0 left intact",
            &[("login-wanted", Some(5))],
        );
        check("{\n  \"error\": {\n    \"code\": \"UnknownKey\"\n  }\n}", &[("unknown-key", Some(1))]);
        check("answer: {\"code\":\"UnknownKey\"} (after 3 tries)", &[("unknown-key", Some(1))]);
        let log = "[INFO] fine\n".repeat(50);
        check(&format!("{log}{{\n\"code\":\n\"UnknownKey\"}}"), &[("unknown-key", Some(51))]);
        check("<Error>\n<Code>UnknownKey</Code>\n</Error>", &[("unknown-key", Some(1))]);
        check(
            "ok\n{\"level\":\"error\",\"msg\":\"acme: error (UnknownKey)\"}\n{\"level\":\"info\"}",
            &[("unknown-key", Some(2))],
        );
    }

    #[test]
    fn what_loggers_and_programs_put_around_a_message_is_no_hindrance() {
        for prefix in [
            "2026-01-31T12:00:01.123Z ",
            "2026-01-31T12:00:01.1234567Z ##[error]",
            "[2026-01-31 12:00:01,123] ",
            "2026/01/31 12:00:01 ",
            "[12:00:01] ",
            "Jan 31 12:00:01 host acme[12]: ",
            "2026-01-31T12:00:01+0100 host acme[12]: ",
            "E0131 12:00:01.123456       1 keys.go:12] ",
            "worker-1  | ",
            "ERRO[0012] ",
            "12:00:01.123 STDERR [live/app] acme: ",
            "Step #1 - \"apply\": ",
        ] {
            assert_eq!(crate::message_of(&format!("{prefix}{{\"code\":\"x\"}}")), "{\"code\":\"x\"}", "{prefix}");
            check(&format!("{prefix}{{\"code\":\"UnknownKey\"}}"), &[("unknown-key", Some(1))]);
        }
        check("│ Error: the key\n│ has expired", &[("key-expired", Some(1)), ("key-unwell", Some(1))]);
    }

    #[test]
    fn a_provisioning_tool_says_where_it_arose() {
        let framed = "\u{1b}[31m╷\u{1b}[0m\n│ \u{1b}[1mError: \u{1b}[0mmaking it: UnknownKey: AK1234\n│ \n│   with module.a.acme_key.k,\n│   on keys.tf line 3, in resource \"acme_key\" \"k\":\n│    3: resource \"acme_key\" \"k\" {\n│ \n╵\n╷\n│ Error: the key has expired\n│ \n│   with acme_key.l[0],\n│   on main.tf line 9, in resource \"acme_key\" \"l\":\n╵\n";
        let plain = framed.replace(['╷', '│', '╵'], "").replace("\n ", "\n");
        let timed = framed.lines().fold(String::new(), |all, line| all + "2026-01-31T12:00:01.1234567Z " + line + "\n");
        let carried =
            framed.lines().fold(String::new(), |all, line| all + "12:00:01.123 STDERR [live/app] acme: " + line + "\n");
        let long = "acme_key.m: Creating...\n".repeat(50) + &plain;
        let json = r#"{"@level":"error","type":"diagnostic","diagnostic":{"severity":"error","summary":"the key has expired","address":"acme_key.l[0]","range":{"filename":"main.tf","start":{"line":9},"end":{"line":12}}}}
{"@level":"error","type":"diagnostic","diagnostic":{"severity":"error","summary":"UnknownKey: AK1234","address":"module.a.acme_key.k","range":{"filename":"keys.tf","start":{"line":3},"end":{"line":4}}}}"#;
        let catalog = acme();
        for input in [framed, &plain, &timed, &carried, &long, json] {
            let places = |code: &str| -> Vec<String> {
                let matches = explain(&[&catalog], input);
                let found = matches.iter().filter(|found| found.rule.code == code);
                found.map(|found| found.origin.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
            };
            assert_eq!(places("unknown-key"), ["module.a.acme_key.k, keys.tf line 3"], "{input}");
            assert_eq!(places("key-expired"), ["acme_key.l[0], main.tf line 9"], "{input}");
        }
        let shown = Explanation::new(&explain(&[&catalog], framed)).matches.remove(0).matched;
        assert_eq!(
            (shown.address.as_deref(), shown.file.as_deref(), shown.file_line),
            (Some("module.a.acme_key.k"), Some("keys.tf"), Some(3))
        );
    }

    #[test]
    fn the_provider_of_a_resource_comes_first() {
        let other = Catalog::parse("other", &crate::fixture::ACME.replace("provisioned_as = [\"acme\"]", "")).unwrap();
        let catalog = acme();
        let first = |input: &str| explain(&[&other, &catalog], input)[0].provider.to_owned();
        assert_eq!(first("Error: UnknownKey: AK1234"), "other");
        assert_eq!(first("Error: UnknownKey: AK1234\n  with acme_key.k,"), "acme");
    }

    #[test]
    fn a_guess_is_made_where_nothing_is_sure_and_nowhere_else() {
        let catalog = acme();
        let causes = |input: &str| -> Vec<String> {
            explain_or_guess(&[&catalog], input).iter().map(|found| found.cause.to_string()).collect()
        };
        assert_eq!(causes("HTTP/1.1 401 Unauthorized\n\nUnknownKey"), ["credential.invalid"]);
        assert_eq!(causes("HTTP/1.1 401 Unauthorized\n\n"), ["credential.invalid"]);
        assert_eq!(
            causes("error: the key has exploded and access was denied"),
            ["permission.insufficient", "undetermined"]
        );
        assert_eq!(causes("all is well"), [""; 0]);
    }

    #[test]
    fn records_of_a_log_are_not_mixed() {
        // The first line alone would match; its reason stands in the same record.
        check("ann is not allowed to do keys:List\nbecause of a rule of the organisation", &[]);
        check(
            "12:00:01 ann is not allowed to do keys:List\n12:00:02 a rule of the organisation changed",
            &[("denied", Some(1))],
        );
    }

    #[test]
    fn hostile_text_is_read_to_its_cap_and_no_further() {
        let filler = "[\"x".repeat(200) + "\n";
        let filler = filler.repeat((1 << 20) / filler.len() + 1);
        check(&format!("{filler}acme: UnknownKey"), &[]);
        check(&"[{\"a\":[\n".repeat(5_000), &[]);
        check(&format!("UnknownKey {}", "<a>".repeat(10_000)), &[("unknown-key", Some(1))]);
    }

    #[test]
    fn an_explanation_has_the_published_form() {
        let catalog = acme();
        let explanation = Explanation::new(&explain(&[&catalog], "ann is not allowed to do keys:List"));
        let expect = serde_json::json!({
            "schema": "lineman.explanation/1",
            "matches": [{
                "provider": "acme",
                "code": "acme/denied",
                "cause": "permission.insufficient",
                "confidence": "confirmed",
                "message": "ann may not do keys:List.",
                "detail": "Acme answers so to every call without a grant.",
                "remedies": [{ "text": "Grant keys:List to ann." }],
                "docs": [{ "title": "Grants", "url": "https://docs.example.com/grants" }],
                "also_possible": [],
                "matched": { "text": "ann is not allowed to do keys:List", "line": 1 },
            }],
        });
        assert_eq!(serde_json::to_value(&explanation).unwrap(), expect);
    }
}
