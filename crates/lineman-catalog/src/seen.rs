use std::cell::OnceCell;
use std::sync::LazyLock;

use lineman_model::clean;
use regex::Regex;

use crate::body::{Document, code_forms, is_wrapper};
use crate::matching::Response;
use crate::origin::Origin;
use crate::pattern::constant;
use crate::shape;

/// How much of one text rules look at, in bytes.
pub(crate) const LONGEST: usize = 1 << 20;

/// A status as programs state it: `HTTP/1.1 403`, `status code: 403`, `returned error: 403`.
static STATED_STATUS: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r#"(?i)(?:\bhttp(?:/[0-9.]+)?|status(?:[ _-]?code)?|\bresponse(?: code)?|\berror(?: code)?|\bcode)["']?\s*[:=]?\s*["'(<]*([1-5][0-9]{2})\b"#,
    )
});

/// The password in an address: people paste what nobody could know to redact.
static PASSWORD_IN_URL: LazyLock<Regex> = LazyLock::new(|| constant(r"(://[^\s/:@]*):[^\s/@]+@"));

/// What was seen of one failure, in the one form in which rules look at it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The text: lines without blanks at their ends and with single blanks in them.
    text: String,
    /// The text as one line. A byte stands where it stands in the text.
    flat: String,
    codes: Vec<String>,
    headers: Vec<(String, String)>,
    operation: Option<String>,
    status: OnceCell<Option<Status>>,
    /// The line that begins an answer, where it was seen.
    headline: Option<String>,
    origin: OnceCell<Option<Origin>>,
    secrets: OnceCell<Vec<String>>,
    /// Whether a code may stand anywhere in the text, rather than in fields alone.
    prose: bool,
    place: Place,
}

/// The status of an answer, and where a text states it.
#[derive(Clone, Copy, Debug)]
struct Status {
    code: u16,
    offset: Option<usize>,
}

/// Where the text stands in what was given.
#[derive(Clone, Copy, Debug, Default)]
enum Place {
    /// It is all there was, and has no lines to speak of.
    #[default]
    Nowhere,
    /// It is told apart from this line on, but not line by line.
    At(usize),
    /// Its first line is this one, and so on.
    From(usize),
}

impl Seen {
    /// A program's output.
    pub(crate) fn text(text: &str) -> Seen {
        let text = collapse(&plain(&clean(text, LONGEST)));
        Seen { flat: text.replace('\n', " "), text, prose: true, place: Place::From(1), ..Seen::default() }
    }

    /// A server's answer; `code_headers` are the headers whose value is a provider code.
    pub(crate) fn response(response: &Response<'_>, code_headers: &[String]) -> Seen {
        let body = clean(response.body, LONGEST);
        let mut seen = match Document::parse(&body) {
            Some(document) => Seen::document(document),
            None => Seen { place: Place::Nowhere, ..Seen::text(&body) },
        };
        for (name, value) in &response.headers {
            let value = clean(value, LONGEST);
            if code_headers.iter().any(|header| header.eq_ignore_ascii_case(name)) {
                seen.codes.extend(code_forms(&value).map(str::to_owned));
                // A field like those of the body.
                seen.add_line(&format!("{name}: {value}"));
            }
            seen.headers.push(((*name).to_owned(), value));
        }
        seen.operation = response.operation.map(str::to_owned);
        if let Some(code) = response.status {
            seen.status = Some(Status { code, offset: None }).into();
        }
        seen
    }

    /// A JSON or XML document.
    pub(crate) fn document(document: Document) -> Seen {
        let text = plain(&document.lines);
        Seen { flat: text.replace('\n', " "), text, codes: document.codes, ..Seen::default() }
    }

    fn add_line(&mut self, line: &str) {
        for text in [&mut self.text, &mut self.flat] {
            if !text.is_empty() && !text.ends_with(char::is_whitespace) {
                text.push('\n');
            }
            text.push_str(&line.replace('\n', " "));
        }
        self.flat = self.flat.replace('\n', " ");
    }

    /// Lets codes stand anywhere in the text: the fields of a log line hold prose.
    pub(crate) fn with_prose(mut self) -> Seen {
        self.prose = true;
        self
    }

    /// Says where the whole begins.
    pub(crate) fn at_line(self, line: usize) -> Seen {
        Seen { place: Place::At(line), ..self }
    }

    /// Says with which line the answer begins.
    pub(crate) fn with_headline(self, line: &str) -> Seen {
        Seen { headline: Some(line.to_owned()), ..self }
    }

    /// Says where the first line stands.
    pub(crate) fn numbered_from(self, line: usize) -> Seen {
        Seen { place: Place::From(line), ..self }
    }

    pub(crate) fn lines(&self) -> &str {
        &self.text
    }

    pub(crate) fn flat(&self) -> &str {
        &self.flat
    }

    pub(crate) fn codes(&self) -> &[String] {
        &self.codes
    }

    pub(crate) fn header(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The status of the answer, or the one that the text states.
    pub(crate) fn status(&self) -> Option<u16> {
        self.seen_status().map(|status| status.code)
    }

    /// Where the text states the status.
    pub(crate) fn status_offset(&self) -> Option<usize> {
        self.seen_status()?.offset
    }

    fn seen_status(&self) -> Option<Status> {
        *self.status.get_or_init(|| {
            let stated = STATED_STATUS.captures(&self.flat)?.get(1)?;
            Some(Status { code: stated.as_str().parse().ok()?, offset: Some(stated.start()) })
        })
    }

    /// The line that begins the answer.
    pub(crate) fn headline(&self) -> Option<&str> {
        self.headline.as_deref()
    }

    /// Where in a configuration it arose, where the text says so.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.get_or_init(|| Origin::of(&self.text)).as_ref()
    }

    /// What looks like a secret in the text and the headers.
    pub(crate) fn secrets(&self) -> &[String] {
        self.secrets.get_or_init(|| {
            let mut text = self.text.clone();
            for (name, value) in &self.headers {
                text.push_str(&format!("\n{name}: {value}"));
            }
            shape::secrets(&text)
        })
    }

    /// Where a provider's code stands: nothing, a field, or an offset in the text.
    pub(crate) fn code(&self, code: &str) -> Option<Option<usize>> {
        if self.codes.iter().any(|seen| seen == code) {
            return Some(words(&self.flat, code).next());
        }
        if !self.prose {
            return None;
        }
        let obvious = is_no_prose(code);
        words(&self.flat, code).find(|&at| obvious || is_marked(&self.flat, at, code.len())).map(Some)
    }

    /// Whether this is what the caller did, or, where it did not say, whether the text has the word.
    pub(crate) fn operation(&self, operation: &str) -> bool {
        match &self.operation {
            Some(done) => {
                done.eq_ignore_ascii_case(operation)
                    || done.rsplit([':', '.', '/', ' ']).next().is_some_and(|last| last.eq_ignore_ascii_case(operation))
            }
            None => words(&self.flat, operation).next().is_some(),
        }
    }

    /// The line around an offset of the text.
    pub(crate) fn line_at(&self, offset: usize) -> &str {
        let start = self.text[..offset].rfind('\n').map_or(0, |end| end + 1);
        self.text[start..].split('\n').next().unwrap_or_default()
    }

    /// How far into its line an offset is.
    pub(crate) fn column(&self, offset: usize) -> usize {
        offset - self.text[..offset].rfind('\n').map_or(0, |end| end + 1)
    }

    /// The number of the line around an offset, or of the whole.
    pub(crate) fn line_number(&self, offset: Option<usize>) -> Option<usize> {
        match self.place {
            Place::Nowhere => None,
            Place::At(line) => Some(line),
            Place::From(line) => Some(line + self.text[..offset.unwrap_or(0)].matches('\n').count()),
        }
    }
}

/// Without the passwords of addresses, and with the quotes that patterns are written with.
fn plain(text: &str) -> String {
    let quote = |c| match c {
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        c => c,
    };
    PASSWORD_IN_URL.replace_all(text, "$1:…@").chars().map(quote).collect()
}

/// Single blanks within lines, none at their ends; the frames that programs draw around errors go.
fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let line = line.trim_start().trim_start_matches(['│', '╷', '╵', '┃']);
        for (index, word) in line.split_whitespace().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            out.push_str(word);
        }
    }
    out
}

/// Where a text has a word, as offsets. What a dot joins belongs to the word: `NoKey.Deleted` and
/// `Pool.NoKey` are not `NoKey`. What protocols and languages put before a dot does not:
/// `Client.NoKey`, `com.acme.NoKey` and `Acme.Keys.NoKey` are.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let after = &text[at + word.len()..];
        let after = after.strip_prefix('.').unwrap_or(after);
        let before = &text[..at];
        let joined = before.strip_suffix('.').is_some_and(|before| {
            let head = before.rsplit(|c| !is_part(c)).next().unwrap_or_default();
            let is_namespace = before[..before.len() - head.len()].ends_with('.');
            !head.is_empty() && !is_wrapper(head) && !is_namespace
        });
        !word.is_empty() && !before.ends_with(is_part) && !joined && !after.starts_with(is_part)
    })
}

/// Whether a code is written as no word of a sentence is: `noKey`, `no_key`, `E1`.
fn is_no_prose(code: &str) -> bool {
    let letters = code.chars().any(char::is_alphabetic);
    let inner_capital = code.chars().zip(code.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    letters && (inner_capital || code.contains('_') || code.chars().any(|c| c.is_ascii_digit()))
}

/// Whether punctuation marks the word at an offset as a code: `(Code)`, `"Code"`, `Code: …`.
fn is_marked(text: &str, at: usize, length: usize) -> bool {
    let before = &text[..at];
    let after = &text[at + length..];
    before.ends_with(['(', '"', '\'', '=', '>', '`'])
        || before.ends_with(": ")
        || after.starts_with([':', ')', '"', '\'', '<', '`'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_in_prose_are_told_from_words() {
        let check = |text: &str, code: &str, expect: bool| {
            assert_eq!(Seen::text(text).code(code).is_some(), expect, "{code} in {text}");
        };
        check("an error (NoKey) when calling", "NoKey", true);
        check("got NoKey from the server", "NoKey", true);
        check("NoKeyring", "NoKey", false);
        check("NoKey.Deleted: gone", "NoKey", false);
        check("Client.NoKey.", "NoKey", true);
        check("com.acme.NoKey: gone", "NoKey", true);
        check("Pool.NoKey: gone", "NoKey", false);
        check("Acme.Keys.Model.NoKey: gone", "NoKey", true);
        check("It failed.NoKey", "NoKey", true);
        check("Throttling: slow down", "Throttling", true);
        check("Throttling starts at noon", "Throttling", false);
        check("error=blocked", "blocked", true);
        check("they are blocked now", "blocked", false);
        check("reply 10013", "10013", false);
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let check = |seen: Seen| {
            assert!(!seen.lines().contains("hunter2") && !seen.flat().contains("hunter2"), "{seen:?}");
            assert!(seen.lines().contains("https://ci:…@host.example.com/o/r"), "{seen:?}");
        };
        let text = "unable to access 'https://ci:hunter2@host.example.com/o/r'";
        check(Seen::text(text));
        let body = serde_json::json!({ "message": text }).to_string();
        check(Seen::response(&Response { body: &body, ..Response::default() }, &[]));
    }

    #[test]
    fn a_status_is_taken_from_where_programs_state_it() {
        let check = |text: &str, expect| assert_eq!(Seen::text(text).status(), expect, "{text}");
        check("HTTP/1.1 403 Forbidden", Some(403));
        check("The requested URL returned error: 429", Some(429));
        check("https response error StatusCode: 400, RequestID", Some(400));
        check("{\"status\": 503}", Some(503));
        check("200 files and 403 folders", None);
        check("error 4031", None);
    }

    #[test]
    fn lines_keep_their_place_when_joined() {
        let seen = Seen::text("│ Error:  first\n│\n  second\tline");
        assert_eq!(seen.lines(), "Error: first\n\nsecond line");
        assert_eq!(Seen::text("“it” isn’t").lines(), "\"it\" isn't");
        let second = seen.flat().find("second").unwrap();
        assert_eq!((seen.line_at(second), seen.line_number(Some(second))), ("second line", Some(3)));
    }
}
