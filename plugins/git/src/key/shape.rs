//! What happened to the text of a key on its way into the configuration, and what a text is that
//! never was a private key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::Flaw;
use super::armour;

const BYTE_ORDER_MARK: char = '\u{feff}';
/// Wrapping within wrapping ends somewhere.
const MOST_WRAPPINGS: usize = 4;

/// A text with every mechanical damage undone, and the list of what was undone, worst first.
pub(super) struct Repaired {
    pub(super) text: Zeroizing<String>,
    pub(super) undone: Vec<Flaw>,
}

/// Undoes what editors, shells, web forms and secret stores do to keys.
pub(super) fn repair(bytes: &[u8]) -> Repaired {
    let mut undone = Vec::new();
    let mut text = Zeroizing::new(decode(bytes, &mut undone));
    for _ in 0..MOST_WRAPPINGS {
        match unwrap(&text) {
            Some((flaw, inner)) => {
                undone.push(flaw);
                text = Zeroizing::new(inner);
            }
            None => break,
        }
    }
    let mut text = lines(&text, &mut undone);
    if !text.is_empty() && !text.ends_with('\n') {
        undone.push(Flaw::NoFinalLineEnd);
        text.push('\n');
    }
    Repaired { text, undone }
}

fn decode(bytes: &[u8], undone: &mut Vec<Flaw>) -> String {
    let utf16 = |decode: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| decode([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] => {
            undone.push(Flaw::Utf16);
            utf16(u16::from_le_bytes)
        }
        [0xfe, 0xff, ..] => {
            undone.push(Flaw::Utf16);
            utf16(u16::from_be_bytes)
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Takes one wrapping off: a mark, quotes, JSON, base64, escapes.
fn unwrap(text: &str) -> Option<(Flaw, String)> {
    if let Some(rest) = text.strip_prefix(BYTE_ORDER_MARK) {
        return Some((Flaw::ByteOrderMark, rest.to_owned()));
    }
    let trimmed = text.trim();
    if trimmed.starts_with('{')
        && let Ok(json) = serde_json::from_str::<Value>(trimmed)
        && let Some(inner) = key_in(&json)
    {
        return Some((Flaw::Json, inner.to_owned()));
    }
    if trimmed.starts_with('"')
        && let Ok(inner) = serde_json::from_str::<String>(trimmed)
        && inner.contains("-----BEGIN ")
    {
        return Some((Flaw::Quoted, inner));
    }
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = trimmed.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
            && inner.contains("-----BEGIN ")
        {
            return Some((Flaw::Quoted, inner.to_owned()));
        }
    }
    if !text.contains("-----")
        && let Some(inner) = armour::base64(text.as_bytes())
        && let Ok(inner) = std::str::from_utf8(&inner)
        && (inner.contains("-----BEGIN ") || inner.starts_with("LS0tLS1CRUdJT"))
    {
        return Some((Flaw::Base64, inner.to_owned()));
    }
    if text.contains("-----BEGIN ") && text.contains("\\n") {
        return Some((Flaw::EscapedLineEnds, text.replace("\\r\\n", "\n").replace("\\n", "\n")));
    }
    None
}

fn key_in(json: &Value) -> Option<&str> {
    match json {
        Value::String(text) => text.contains("PRIVATE KEY-----").then_some(text),
        Value::Array(items) => items.iter().find_map(key_in),
        Value::Object(fields) => fields.values().find_map(key_in),
        _ => None,
    }
}

/// Puts line ends and margins right.
fn lines(text: &str, undone: &mut Vec<Flaw>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(text.to_owned());
    if text.contains('\r') {
        undone.push(Flaw::CarriageReturns);
        text = Zeroizing::new(text.replace("\r\n", "\n").replace('\r', "\n"));
    }
    if let Some((before, label, body, after)) = block(&text)
        && !body.contains('\n')
    {
        undone.push(Flaw::OneLine);
        text = Zeroizing::new(format!("{before}{}{after}", rebuilt(label, body).as_str()));
    }
    if let Some((before, ..)) = block(&text)
        && !before.trim().is_empty()
    {
        undone.push(Flaw::LeadingText);
        text = Zeroizing::new(text[before.len()..].to_owned());
    }
    let last = text.trim_end().len();
    let margins = text.starts_with(char::is_whitespace)
        || text[..last].lines().any(|line| line != line.trim())
        || text[last..].split_inclusive('\n').next().is_some_and(|end| !end.trim_end_matches('\n').is_empty());
    if margins && !text.trim().is_empty() {
        undone.push(Flaw::Indented);
        let trimmed: Vec<&str> = text.trim().lines().map(str::trim).collect();
        let end = if text.ends_with('\n') { "\n" } else { "" };
        text = Zeroizing::new(format!("{}{end}", trimmed.join("\n")));
    }
    if let Some(packed) = without_blank_lines(&text) {
        undone.push(Flaw::BlankLines);
        text = packed;
    }
    text
}

/// The text without blank lines in the block, where there are any beside the one that ends the
/// header of an encrypted key.
fn without_blank_lines(text: &str) -> Option<Zeroizing<String>> {
    let (before, label, body, after) = block(text)?;
    let mut packed = Zeroizing::new(String::new());
    let mut last = "";
    for line in body.split_inclusive('\n') {
        // The first line end is that of the header line.
        if line != "\n" || packed.is_empty() || last.starts_with("DEK-Info:") {
            packed.push_str(line);
            last = line;
        }
    }
    let repaired = format!("{before}-----BEGIN {label}-----{}-----END {label}-----{after}", packed.as_str());
    (packed.as_str() != body).then(|| Zeroizing::new(repaired))
}

/// Text before the first private key block, its label, its body, text from its footer's end on.
fn block(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (mut from, begin) = (0, "-----BEGIN ");
    loop {
        let start = from + text[from..].find(begin)?;
        let (label, rest) = text[start + begin.len()..].split_once("-----")?;
        if label.ends_with("PRIVATE KEY") && !label.contains('\n') {
            let (body, after) = rest.split_once(&format!("-----END {label}-----"))?;
            return Some((&text[..start], label, body, after));
        }
        from = start + begin.len();
    }
}

/// A block whose line ends were lost. Header fields, which end in a blank line, are found by name.
fn rebuilt(label: &str, body: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    let mut data = body.trim();
    if let Some(rest) = data.strip_prefix("Proc-Type: 4,ENCRYPTED")
        && let Some((_, value)) = rest.split_once("DEK-Info: ")
        && let Some((cipher, tail)) = value.split_once(',')
    {
        // Without any separator the vector runs into the data: its length follows from the cipher.
        let digits = if cipher.starts_with("DES") { 16 } else { 32 };
        let (iv, tail) = tail.split_at_checked(digits).unwrap_or((tail, ""));
        out.push_str(&format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: {cipher},{iv}\n\n"));
        data = tail;
    }
    let packed: Zeroizing<Vec<char>> = Zeroizing::new(data.chars().filter(|c| !c.is_whitespace()).collect());
    for line in packed.chunks(64) {
        out.extend(line);
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----"));
    out
}

/// What a text is that no reader takes for a private key, even repaired.
pub(super) fn identify(text: &str) -> Flaw {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Flaw::Empty;
    }
    let blocks = text.match_indices("-----BEGIN ").filter_map(|(begin, marker)| {
        text[begin + marker.len()..].split_once("-----").filter(|(label, _)| !label.contains('\n'))
    });
    if let Some((label, body)) =
        blocks.clone().find(|(label, _)| label.ends_with("PRIVATE KEY")).or(blocks.clone().next())
    {
        return match label {
            label if label.ends_with("PRIVATE KEY") => broken_block(label, body),
            "CERTIFICATE" | "TRUSTED CERTIFICATE" => Flaw::X509,
            label if label.ends_with("PUBLIC KEY") => Flaw::PublicKey,
            other => Flaw::OtherPem(other.to_owned()),
        };
    }
    if trimmed.starts_with("PuTTY-User-Key-File-") {
        return Flaw::Putty;
    }
    if trimmed.starts_with("---- BEGIN SSH2 PUBLIC KEY") {
        return Flaw::PublicKey;
    }
    if trimmed.starts_with("---- BEGIN SSH2") {
        return Flaw::OtherPem("SSH2 ENCRYPTED PRIVATE KEY".to_owned());
    }
    if trimmed.contains("-----END ") {
        return Flaw::NoHeader;
    }
    if let Some(flaw) = ssh_line(trimmed) {
        return flaw;
    }
    if is_placeholder(trimmed) {
        return Flaw::Placeholder;
    }
    if let Some(kind) = token(trimmed) {
        return Flaw::Token(kind);
    }
    if trimmed.lines().count() == 1 && ["/", "~/", "./", "C:\\"].iter().any(|start| trimmed.starts_with(start)) {
        return Flaw::FilePath;
    }
    match armour::base64(trimmed.as_bytes()) {
        // The content of a key, its header and footer lost: OpenSSH's magic, or an ASN.1 sequence.
        Some(content) if content.starts_with(b"openssh-key-v1") || content.starts_with(&[0x30, 0x82]) => Flaw::NoHeader,
        _ => Flaw::Unrecognised,
    }
}

/// A private key's header is there and yet no reader takes the block.
fn broken_block(label: &str, body: &str) -> Flaw {
    let (data, ended) = match body.split_once("-----END ") {
        Some((data, footer)) => (data, footer.starts_with(label)),
        None => (body, false),
    };
    if ended && is_placeholder(data.trim()) {
        Flaw::Placeholder
    } else if ended {
        Flaw::Corrupt
    } else {
        Flaw::Truncated
    }
}

/// A line as in `id_ed25519.pub`, `authorized_keys` or `known_hosts`.
fn ssh_line(text: &str) -> Option<Flaw> {
    let mut words = text.lines().find(|line| !line.starts_with('#'))?.split_whitespace();
    let first = words.next()?;
    let known = |word: &str| {
        ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| word.starts_with(start))
            && !word.contains(['/', ':'])
    };
    if known(first) {
        return Some(if first.contains("-cert-v01@openssh.com") { Flaw::Certificate } else { Flaw::PublicKey });
    }
    let second = words.next()?;
    if first.starts_with('@') || known(second) {
        return Some(Flaw::KnownHosts);
    }
    None
}

/// What people and programs write where a secret should stand.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let bracketed =
        [('<', '>'), ('[', ']')].iter().any(|(open, close)| text.starts_with(*open) && text.ends_with(*close));
    let templated = (text.starts_with("${") || text.starts_with("{{")) && text.ends_with('}');
    let masked = !text.is_empty() && text.chars().all(|c| matches!(c, '*' | '•' | '.' | '…' | 'x' | 'X' | '-' | '_'));
    let words = ["changeme", "change-me", "change_me", "redacted", "placeholder", "todo", "your-", "your_", "dummy"];
    (bracketed && text.len() < 200)
        || templated
        || masked
        || (text.len() < 80 && words.iter().any(|word| lower.starts_with(word)))
}

/// The kind of token that a one-line text looks like.
pub(crate) fn token(text: &str) -> Option<&'static str> {
    const PREFIXES: &[(&str, &str)] = &[
        ("ghp_", "a GitHub personal access token"),
        ("github_pat_", "a GitHub fine-grained token"),
        ("gho_", "a GitHub OAuth token"),
        ("ghu_", "a GitHub App user token"),
        ("ghs_", "a GitHub App installation token"),
        ("glpat-", "a GitLab personal access token"),
        ("gldt-", "a GitLab deploy token"),
        ("ATBB", "a Bitbucket app password"),
        ("ATCTT3", "a Bitbucket access token"),
        ("ATATT3", "an Atlassian API token"),
        ("AKIA", "an AWS access key id"),
        ("ASIA", "an AWS temporary access key id"),
        ("xoxb-", "a Slack token"),
        ("xoxp-", "a Slack token"),
    ];
    if text.contains(char::is_whitespace) {
        return None;
    }
    let known = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|(_, kind)| *kind);
    known.or_else(|| is_jwt(text).then_some("a JSON web token"))
}

fn is_jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let header = parts.next().filter(|header| header.starts_with("eyJ"));
    let decoded = header.and_then(|header| {
        let padded = header.len().div_ceil(4) * 4;
        STANDARD.decode(format!("{header:=<padded$}")).ok()
    });
    decoded.is_some_and(|json| json.starts_with(b"{\"")) && parts.count() == 2
}
