use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, RwLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Finding, Secret, clean, clip};

/// Shorter values are not looked for: masking every `a` would hide the report, not the secret.
const SHORTEST: usize = 4;
/// Lines of a many-line secret that are masked on their own.
const SHORTEST_LINE: usize = 16;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// What JavaScript's `encodeURIComponent` encodes.
const COMPONENT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
/// What forms encode (`application/x-www-form-urlencoded` of the URL standard): the tilde too.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');
/// What Python's `quote` encodes.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// The environment variable with which a test switches redaction off, to see that it would find
/// what redaction takes out. A release build knows no such thing.
pub const UNREDACTED: &str = "LINEMAN_TEST_UNREDACTED";

static SWITCHED_OFF: LazyLock<bool> =
    LazyLock::new(|| cfg!(debug_assertions) && std::env::var_os(UNREDACTED).is_some());

/// Takes known secret values out of text, in the forms in which servers and programs echo them:
/// raw, URL-encoded, base64 (at any offset, as in Basic authentication) and escaped as in JSON.
///
/// Each is replaced by `[redacted:NAME]`. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor {
    inner: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    /// Form → name of the secret.
    forms: BTreeMap<String, String>,
    matcher: Option<(AhoCorasick, Vec<String>)>,
}

impl Drop for Known {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        for (mut form, _) in std::mem::take(&mut self.forms) {
            form.zeroize();
        }
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(…)")
    }
}

impl Redactor {
    /// A redactor that knows nothing yet.
    pub fn new() -> Redactor {
        Redactor::default()
    }

    /// Adds a secret; its name is what stands in its place.
    pub fn add(&self, name: &str, secret: &Secret) {
        let mut known = self.inner.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = known.forms.len();
        for form in forms(secret.expose()) {
            known.forms.entry(form).or_insert_with(|| name.to_owned());
        }
        if known.forms.len() > before {
            known.matcher = build(&known.forms);
        }
    }

    /// The text without any known secret.
    pub fn scrub(&self, text: &str) -> String {
        if *SWITCHED_OFF {
            return text.to_owned();
        }
        let known = self.inner.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        match &known.matcher {
            Some((matcher, replacements)) if matcher.is_match(text) => matcher.replace_all(text, replacements),
            _ => text.to_owned(),
        }
    }

    /// A text made fit to show: without secrets and control characters, and at most `longest`
    /// bytes of it.
    pub fn shown(&self, text: &str, longest: usize) -> String {
        // Cleaning can join the parts of a secret, so what it leaves is scrubbed again; and cutting
        // comes last, for the beginning of a secret would not be recognised as one.
        let cleaned = clean(&self.scrub(text), usize::MAX);
        clip(&self.scrub(&cleaned), longest)
    }

    /// Scrubs every text of a finding.
    pub fn scrub_finding(&self, finding: &mut Finding) {
        finding.for_each_text(&mut |text| *text = self.scrub(text));
    }

    /// The longest form that is known, in bytes: how much of a stream must be looked at together.
    pub fn longest(&self) -> usize {
        let known = self.inner.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.forms.keys().map(String::len).max().unwrap_or(0)
    }
}

fn build(forms: &BTreeMap<String, String>) -> Option<(AhoCorasick, Vec<String>)> {
    // Leftmost-longest, so that the whole value goes where a part of it is known too.
    // A key is thousands of bytes in a dozen forms: the automaton that is built in linear time.
    let matcher = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(forms.keys())
        .ok()?;
    let replacements = forms.values().map(|name| format!("[redacted:{name}]")).collect();
    Some((matcher, replacements))
}

fn forms(value: &str) -> Vec<String> {
    let mut raws = vec![value, value.trim()];
    if value.contains('\n') {
        raws.extend(
            value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("-----")),
        );
    }
    let mut forms = Vec::new();
    for raw in raws {
        if raw.chars().count() < SHORTEST {
            continue;
        }
        let quoted = serde_json::Value::from(raw).to_string();
        let escaped = quoted[1..quoted.len() - 1].to_owned();
        // Everybody has their own idea of what needs no encoding.
        for set in [UNRESERVED, COMPONENT, FORM, PATH, NON_ALPHANUMERIC] {
            let encoded = utf8_percent_encode(raw, set).to_string();
            forms.push(encoded.replace("%20", "+"));
            forms.push(lower_hex(&encoded));
            forms.push(encoded);
        }
        // A form that was sent, and is said back encoded once more.
        let sent = utf8_percent_encode(raw, FORM).to_string().replace("%20", "+");
        if sent != raw {
            forms.push(utf8_percent_encode(&sent, NON_ALPHANUMERIC).to_string());
            forms.extend(base64_forms(&sent));
        }
        // Twice escaped: JSON that carries JSON.
        let twice = serde_json::Value::from(escaped.as_str()).to_string();
        forms.push(twice[1..twice.len() - 1].to_owned());
        forms.push(escaped.replace('/', "\\/"));
        forms.push(escaped);
        forms.push(raw.replace('\n', "\r\n"));
        forms.extend(base64_forms(raw));
        forms.push(raw.to_owned());
    }
    forms.sort();
    forms.dedup();
    forms
}

fn lower_hex(encoded: &str) -> String {
    let mut out = String::with_capacity(encoded.len());
    let mut digits = 0;
    for c in encoded.chars() {
        out.push(if digits > 0 { c.to_ascii_lowercase() } else { c });
        digits = if c == '%' { 2 } else { digits.max(1) - 1 };
    }
    out
}

/// The characters of a base64 text that depend on the value alone, whatever stands before and
/// after it: one form per offset modulo three and alphabet.
fn base64_forms(raw: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for offset in 0..3usize {
        let mut bytes = vec![0u8; offset];
        bytes.extend_from_slice(raw.as_bytes());
        let first = (offset * 8).div_ceil(6);
        let last = bytes.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            if last.saturating_sub(first) >= SHORTEST {
                forms.push(text[first..last].to_owned());
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn redactor(value: &str) -> Redactor {
        let redactor = Redactor::new();
        redactor.add("token", &Secret::new(value));
        redactor
    }

    #[test]
    fn every_form_in_which_a_secret_is_echoed_goes() {
        let value = "p@ss-w\"rd~/é=\\x (y)";
        let redactor = redactor(value);
        let check = |text: String| {
            let scrubbed = redactor.scrub(&text);
            assert!(scrubbed.contains("[redacted:token]"), "{text} → {scrubbed}");
        };
        check(format!("password {value} refused"));
        for set in [UNRESERVED, COMPONENT, FORM, PATH, NON_ALPHANUMERIC] {
            check(utf8_percent_encode(value, set).to_string());
            check(lower_hex(&utf8_percent_encode(value, set).to_string()));
        }
        check(utf8_percent_encode(value, UNRESERVED).to_string().replace("%20", "+"));
        let sent = utf8_percent_encode(value, FORM).to_string().replace("%20", "+");
        check(utf8_percent_encode(&sent, NON_ALPHANUMERIC).to_string());
        check(STANDARD.encode(format!("client_secret={sent}&a=b")));
        check(serde_json::json!({ "echo": value }).to_string());
        for user in ["", "u", "us", "user:"] {
            check(STANDARD.encode(format!("{user}{value}")));
            check(STANDARD.encode(format!("{user}{value}:tail")));
        }
    }

    #[test]
    fn lines_of_a_key_go_one_by_one_and_its_armour_stays() {
        let redactor = redactor("-----BEGIN X-----\nAAAAB3NzaC1yc2EAAAADAQABAAABgQ\n-----END X-----\n");
        assert_eq!(redactor.scrub("line AAAAB3NzaC1yc2EAAAADAQABAAABgQ is bad"), "line [redacted:token] is bad");
        assert_eq!(redactor.scrub("-----BEGIN X-----"), "-----BEGIN X-----");
    }

    #[test]
    fn no_part_of_a_secret_is_left_by_cleaning_or_cutting() {
        let redactor = redactor("correct-horse-battery");
        let check = |text: &str, longest: usize, expect: &str| assert_eq!(redactor.shown(text, longest), expect);
        check("a correct-\u{1b}[1mhorse-\u{200b}battery", 100, "a [redacted:token]");
        check("12345 correct-horse-battery", 16, "12345 [redacted:…");
    }

    #[test]
    fn short_values_do_not_mask_the_report() {
        assert_eq!(redactor("a").scrub("a banana"), "a banana");
    }
}
