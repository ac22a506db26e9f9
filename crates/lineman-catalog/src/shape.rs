//! Secrets that nobody named: what people paste and platforms log holds some, and they are known
//! by their shape alone.
//!
//! A shape errs on the side of hiding. What it hides is a value, never the name before it, so that
//! what is left still says what went wrong.

use std::sync::LazyLock;

use lineman_model::clip;
use regex::Regex;

use crate::pattern::constant;

/// Stands in place of a secret.
const MASK: &str = "[redacted]";
/// Most secrets of one text that are looked for in what is shown of it.
const MOST: usize = 64;
/// Shortest value that is hidden for the name before it, in bytes.
const SHORTEST: usize = 4;
/// Shortest part of a secret that is hidden where a rule took no more of it, in bytes.
const SHORTEST_PART: usize = 6;
/// Bits of information in each character from which on a run of them is no word, path or name.
const RANDOM: f64 = 3.9;

/// The whole of a secret.
static WHOLE: LazyLock<[Regex; 5]> = LazyLock::new(|| {
    [
        // A JSON Web Token.
        r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",
        // What follows the scheme of an Authorization header.
        r#"(?i)\bauthorization["']?\s*[:=]\s*["']?(?:(?:basic|bearer|token|digest|negotiate)\s+)?([^\s"',]{4,})"#,
        r"(?i)\b(?:bearer|basic)\s+([\w.~+/=-]{16,})",
        // A token in the place of a user.
        r"://([^\s/:@]{16,})@",
        // What programs hide behind options.
        r"(?i)--?(?:password|passwd|token|secret)[= ]\s*([^\s-]\S{3,})",
    ]
    .map(constant)
});

static PRIVATE_KEY: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(.*?)(?:-----END |\z)"));

/// A name that says what its value is, and the value.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r#"(?i)([\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|signature|\bsig)[\w.-]*)(["']?\s*(?:=>|[:=])\s*)(["']?)([^\s"',;&)\]}]+)"#,
    )
});

/// Ends of names whose value may be seen, although the name speaks of a secret.
const HARMLESS: &[&str] = &[
    "id", "ids", "name", "type", "arn", "url", "uri", "file", "path", "count", "endpoint", "expiry", "expires", "ttl",
];

/// What stands in place of a value in logs, and says something of it.
const STATES: &[&str] = &[
    "true",
    "false",
    "null",
    "none",
    "nil",
    "empty",
    "missing",
    "required",
    "invalid",
    "expired",
    "revoked",
    "unknown",
    "denied",
    "rejected",
    "error",
    "failed",
    "not",
    "bearer",
    "redacted",
    "undefined",
    "unset",
    "wrong",
    "incorrect",
];

/// Characters of which tokens and keys are made.
static RUN: LazyLock<Regex> = LazyLock::new(|| constant(r"[A-Za-z0-9+/_-]{20,}={0,2}"));

/// The values in a text that look like secrets, longest first.
pub(crate) fn secrets(text: &str) -> Vec<String> {
    let mut found: Vec<&str> = Vec::new();
    for shape in &*WHOLE {
        let value = |seen: regex::Captures<'_>| seen.iter().flatten().last().map(|value| value.range());
        found.extend(shape.captures_iter(text).filter_map(value).map(|range| &text[range]));
    }
    for key in PRIVATE_KEY.captures_iter(text) {
        let body = key.get(1).map_or("", |body| body.as_str());
        found.extend(body.split([' ', '\n', '\\']).filter(|line| line.len() >= SHORTEST_PART));
    }
    for named in NAMED.captures_iter(text) {
        let (_, [name, between, quote, value]) = named.extract();
        let name = name.to_ascii_lowercase();
        let harmless = HARMLESS.iter().any(|end| name.ends_with(end)) || STATES.contains(&&*value.to_ascii_lowercase());
        // In a sentence a colon is followed by words.
        let told = between.contains('=') || !quote.is_empty() || is_no_word(value);
        if !harmless && told && value.len() >= SHORTEST && value.chars().any(char::is_alphanumeric) {
            found.push(value);
        }
    }
    found.extend(RUN.find_iter(text).map(|run| run.as_str()).filter(|run| is_random(run)));
    found.sort_by_key(|value| std::cmp::Reverse(value.len()));
    found.dedup();
    found.truncate(MOST);
    found.into_iter().map(str::to_owned).collect()
}

/// A text without these secrets; one that is a part of a secret goes whole.
pub(crate) fn masked(text: &str, secrets: &[String]) -> String {
    let mut shown = text.to_owned();
    for secret in secrets {
        if text.len() >= SHORTEST_PART && secret.contains(text) {
            return MASK.to_owned();
        }
        if let Some(at) = shown.find(secret.as_str()) {
            shown = [&shown[..at], MASK, &shown[at + secret.len()..].replace(secret.as_str(), MASK)].concat();
        } else if let Some(part) = cut_off(&shown, secret) {
            shown.truncate(part);
            shown.push_str(MASK);
        }
    }
    shown
}

/// Where a text ends in the beginning of a secret, because it was cut there.
fn cut_off(text: &str, secret: &str) -> Option<usize> {
    let whole = text.strip_suffix('…')?;
    let longest = secret.len().min(whole.len());
    (SHORTEST_PART..=longest)
        .rev()
        .filter(|&length| secret.is_char_boundary(length))
        .find(|&length| whole.ends_with(&secret[..length]))
        .map(|length| whole.len() - length)
}

fn is_no_word(value: &str) -> bool {
    let mixed = value.chars().any(|c| c.is_ascii_digit())
        || value.chars().skip(1).any(char::is_uppercase) && value.chars().any(char::is_lowercase);
    value.len() >= SHORTEST_PART && mixed
}

/// Whether characters are drawn rather than written: letters of both cases and digits without
/// order. Hashes in hexadecimal and names of resources are not.
fn is_random(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let upper = run.bytes().filter(u8::is_ascii_uppercase).count();
    let lower = run.bytes().filter(u8::is_ascii_lowercase).count();
    let words = run.split(|c: char| !c.is_ascii_lowercase()).map(str::len).max().unwrap_or(0);
    digits >= 2 && upper >= 2 && lower >= 2 && words < 8 && information(run) >= RANDOM.min(0.85 * bits(run.len()))
}

fn bits(length: usize) -> f64 {
    (length as f64).log2()
}

/// Bits of information in each character (Shannon).
fn information(run: &str) -> f64 {
    let mut counts = [0usize; 256];
    run.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let whole = run.len() as f64;
    let share = |count: &usize| *count as f64 / whole;
    -counts.iter().filter(|count| **count > 0).map(share).map(|share| share * share.log2()).sum::<f64>()
}

/// A text of which nothing else is known, without what looks like a secret in it.
pub fn without_secrets(text: &str) -> String {
    masked(&clip(text, crate::seen::LONGEST), &secrets(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_not_repeated() {
        let check = |text: &str, expect: &str| assert_eq!(without_secrets(text), expect, "{text}");
        check("login with password=hunter2 failed", "login with password=[redacted] failed");
        check(r#"{"user":"ann","password":"letmein","n":1}"#, r#"{"user":"ann","password":"[redacted]","n":1}"#);
        check("DB_PASSWORD: s3cr3t!x", "DB_PASSWORD: [redacted]");
        check("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [redacted]");
        check("sent 'authorization: Bearer abc.def-123'", "sent 'authorization: Bearer [redacted]'");
        check("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl here", "got [redacted] here");
        check("acmep_9fK2mQ7xZ1bV4nR8tL3wY6cJ0hD5sG2aP7eU is bad", "[redacted] is bad");
        check("key wJa7rXUtnFEMI/K7MDENG/bPxRf2CYq4x8Lr0Zp+ ends", "key [redacted] ends");
        check("run --token abcd1234 now", "run --token [redacted] now");
        check(
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabcdefgh\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\n[redacted]\n[redacted]\n-----END RSA PRIVATE KEY-----",
        );
        for plain in [
            "token: expired",
            "the password is wrong",
            "secret: not found",
            "token=expired",
            "access_key_id=AK1234567890",
            "commit 3f786850e387550fdab836ed7e6dc881de23001b",
            "arn:acme:iam::123456789012:role/OrganizationAccountAccessRole",
            "request 7d9f1c5e-0000-4aaa-8bbb-123456789abc",
            "module.network.acme_subnet.private[0] in /home/ci/builds/platform/network/main.tf",
        ] {
            check(plain, plain);
        }
    }

    #[test]
    fn a_part_of_a_secret_is_a_secret() {
        let secrets = vec!["correct-horse-battery".to_owned()];
        assert_eq!(masked("correct-horse", &secrets), MASK);
        assert_eq!(masked("it was correct-hor…", &secrets), "it was [redacted]");
    }
}
