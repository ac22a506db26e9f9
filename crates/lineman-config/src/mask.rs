use std::ops::Range;

use lineman_model::clean;
use toml::de::DeValue;
use url::Url;

use crate::error::Mistakes;
use crate::node::Node;
use crate::source::Source;

/// The keys of a secret reference, whose values are not secret.
pub(crate) const REFERENCE_KEYS: [&str; 4] = ["env", "file", "command", "json_pointer"];

/// Words in a key that say that its value should not be shown.
const TELLING: [&str; 12] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "credential",
    "private_key",
    "api_key",
    "apikey",
    "access_key",
    "signing_key",
    "fingerprint_key",
];

/// The text of a source as it may be shown: as long as the original, so that every span still
/// holds, with `*` for each byte that may belong to a secret and `?` for what a terminal obeys.
///
/// `hidden` is what the reader already knows to be a literal secret. Beyond that everything is
/// masked that looks like one, since any mistake brings the lines around it to the screen.
pub(crate) fn mask(source: &Source, hidden: impl Iterator<Item = Range<usize>>) -> String {
    let mut bytes = source.text.clone().into_bytes();
    hidden.for_each(|span| blot_scalar(&mut bytes, span));
    let nowhere = Mistakes::default();
    match source.document() {
        Some(document) => by_key(&document.root(&nowhere), Where::Plain, 0, &mut bytes),
        None => by_line(&source.text, &mut bytes),
    }
    comments(&source.text, &mut bytes);
    controls(&source.text, &mut bytes);
    // Only whole characters are replaced; should one be cut after all, nothing is shown.
    String::from_utf8(bytes).unwrap_or_else(|error| "?".repeat(error.as_bytes().len()))
}

/// Replaces a span, all but its line ends.
fn blot(bytes: &mut [u8], span: Range<usize>) {
    for byte in bytes.get_mut(span).into_iter().flatten() {
        if !matches!(byte, b'\n' | b'\r') {
            *byte = b'*';
        }
    }
}

/// Replaces a value, all but the quotes around it.
fn blot_scalar(bytes: &mut [u8], span: Range<usize>) {
    let text = bytes.get(span.clone()).unwrap_or_default();
    let is = |quote: &[u8]| text.len() >= 2 * quote.len() && text.starts_with(quote) && text.ends_with(quote);
    let quotes: [&[u8]; 4] = [b"\"\"\"", b"\'\'\'", b"\"", b"\'"];
    let quote = quotes.into_iter().find(|quote| is(quote)).map_or(0, <[u8]>::len);
    blot(bytes, span.start + quote..span.end - quote);
}

fn is_telling(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    TELLING.iter().any(|word| key.contains(word))
}

/// What the tables around a value say of it.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    Plain,
    /// Within `secrets`, or under a key that tells.
    Secret,
    /// At a key of a reference within that.
    Reference,
}

fn by_key(node: &Node<'_>, place: Where, depth: usize, bytes: &mut [u8]) {
    match node.value {
        DeValue::Table(_) => {
            for (key, _, child) in node.children() {
                // In the second place stand the names of integrations, which tell nothing.
                let is_name = depth == 1 && child.value.is_table();
                let place = match place {
                    Where::Plain if is_telling(key) && !is_name => Where::Secret,
                    Where::Secret if REFERENCE_KEYS.contains(&key) => Where::Reference,
                    other => other,
                };
                by_key(&child, place, depth + 1, bytes);
            }
        }
        DeValue::Array(_) => node.items().for_each(|item| by_key(&item, place, depth + 1, bytes)),
        _ if place == Where::Secret => blot_scalar(bytes, node.span.clone()),
        DeValue::String(text) => {
            let Some(password) = password(text) else { return };
            // Between its quotes the text stands as it is, unless it has escapes.
            let start = node.span.start + 1;
            if node.source.text[start..].starts_with(text.as_ref()) {
                blot(bytes, start + password.start..start + password.end);
            } else {
                blot_scalar(bytes, node.span.clone());
            }
        }
        _ => {}
    }
}

/// For a text that is not TOML: in a table of secrets, and after a key that tells, only what
/// structures a reference stays.
fn by_line(text: &str, bytes: &mut [u8]) {
    let mut in_secrets = false;
    let mut in_text = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let header = line.trim_start();
        if !in_text && header.starts_with('[') && !header.contains('=') {
            in_secrets = header.contains("secrets");
        } else {
            let key = line.split('=').next().unwrap_or_default();
            let tells = in_text || in_secrets || is_telling(key);
            let value = match line[key.len()..].strip_prefix('=') {
                Some(value) if !in_text && is_key(key) && is_value(value) => line.len() - value.len(),
                _ => 0,
            };
            if let Some(password) = password(line) {
                blot(bytes, start + password.start..start + password.end);
            }
            if tells {
                blot_value(&mut bytes[start + value..start + line.len()]);
                let fences = line.matches("\"\"\"").count() + line.matches("'''").count();
                in_text ^= fences % 2 == 1;
            }
        }
        start += line.len();
    }
}

/// Whether a text may stand before `=`. A line of a pasted key may not: base64 is longer.
fn is_key(text: &str) -> bool {
    let text = text.trim();
    text.len() <= 50 && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.\"' ".contains(c))
}

/// Whether a text may stand after `=`; what fills up base64 may not.
fn is_value(text: &str) -> bool {
    !matches!(text.trim(), "" | "=")
}

fn blot_value(bytes: &mut [u8]) {
    for byte in bytes {
        if !matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b'=' | b'"' | b'\'' | b' ' | b'\t' | b'\r' | b'\n') {
            *byte = b'*';
        }
    }
}

/// The part of a text that is, or in an address that is none may be, a password.
fn password(text: &str) -> Option<Range<usize>> {
    let start = text.find("://")? + 3;
    let end = start + text[start..].rfind('@')?;
    let colon = start + text[start..end].find(':')?;
    let has_none = Url::parse(text).is_ok_and(|url| url.password().is_none());
    (!has_none).then_some(colon + 1..end)
}

/// Masks what was commented out next to secrets.
fn comments(text: &str, bytes: &mut [u8]) {
    let mut in_secrets = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let header = line.trim_start();
        if header.starts_with('[') && !header.contains('=') {
            in_secrets = header.contains("secrets");
        }
        // A `#` within quotes is no comment, but then little is lost.
        if let Some(comment) = line.find('#')
            && (in_secrets || is_telling(line))
        {
            blot(bytes, start + comment + 1..start + line.len());
        }
        start += line.len();
    }
}

/// Replaces what a terminal would obey or not show.
fn controls(text: &str, bytes: &mut [u8]) {
    for (start, c) in text.char_indices() {
        let harmless = matches!(c, '\n' | '\t' | '\r') || c.is_ascii_graphic() || c == ' ';
        if !harmless && clean(c.encode_utf8(&mut [0; 4]), 4).is_empty() {
            bytes[start..start + c.len_utf8()].fill(b'?');
        }
    }
}
