use std::sync::LazyLock;

use lineman_model::{clean, clip};
use regex::Regex;

use crate::body::{Document, NoDocument};
use crate::matching::Response;
use crate::pattern::constant;
use crate::seen::{LONGEST, Seen};

/// A record of more lines is taken line by line: it is a log without times, not one failure.
const LONGEST_RECORD: usize = 40;
/// The ends of documents that have none are looked for this often, because each time all the rest
/// of the text is read.
const MOST_CUT_OFF: usize = 16;

/// What loggers put before a message, and whether it tells the time.
static PREFIXES: LazyLock<Vec<(Regex, bool)>> = LazyLock::new(|| {
    let prefixes = [
        // 2026-01-31T12:00:01.123Z, [2026-01-31 12:00:01,123 +0100], 2026/01/31 12:00:01
        (
            r"^\[?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]+)?\s?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2})?\]?[\s:|-]*",
            true,
        ),
        // [12:00:01], 12:00:01.123
        (r"^\[?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?\]?[\s:|-]+", true),
        // Jan 31 12:00:01 host program[123]: and <134>Jan 31 …
        (r"^(?:<[0-9]+>[0-9]? ?)?[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} \S+ \S+?(?:\[[0-9]+\])?: ", true),
        // E0131 12:00:01.123456       1 file.go:123]
        (r"^[IWEF][0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+\s+[0-9]+ \S+:[0-9]+\] ", true),
        // host program[123]: after a time
        (r"^[\w.-]+ [\w./-]+\[[0-9]+\]: ", false),
        // ERRO[0012]
        (r"^(?:TRAC|DEBU|INFO|WARN|ERRO|FATA|PANI)\[[0-9]{4}\] ", false),
        // STDERR [unit] program: of whatever ran the program
        (r"^STD(?:OUT|ERR)\s+(?:\[[^\]]{1,250}\] )?[\w./-]{1,60}: ?", false),
        // Step #1 - "apply": of a build
        (r#"^Step #[0-9]+(?: - "[^"]{1,100}")?: "#, false),
        // ##[error], container_1  |
        (r"^##\[[a-z]+\]", false),
        (r"^[\w.-]{1,40}\s*\| ", false),
    ];
    prefixes.map(|(source, time)| (constant(source), time)).into()
});

static STATUS_LINE: LazyLock<Regex> = LazyLock::new(|| constant(r"^(< )?HTTP/[0-9.]+ ([1-5][0-9]{2})\b"));

/// The first line of what a provisioning tool has to say.
static DIAGNOSTIC: LazyLock<Regex> = LazyLock::new(|| constant(r"^(?:[│|] )?(?:Error|Warning): \S"));

/// Where it says that it arose.
static IN_FILE: LazyLock<Regex> =
    LazyLock::new(|| constant(r"^(?:[│|] )? {2}(?:with \S.*,|on \S.* line [0-9]+[:,].*)$"));

static HEADER_LINE: LazyLock<Regex> = LazyLock::new(|| constant(r"^([A-Za-z0-9-]+):\s*(.*)$"));

/// The message of a log line: what is left when times, host names, program names and the marks
/// of runners are taken off its front.
pub fn message_of(line: &str) -> &str {
    strip(line).0
}

/// The message, and whether a time stood before it.
fn strip(line: &str) -> (&str, bool) {
    let mut rest = line;
    let mut timed = false;
    // A time may stand before a program's own time: once more for each kind that can follow.
    for _ in 0..4 {
        let Some((end, time)) = PREFIXES.iter().find_map(|(prefix, time)| Some((prefix.find(rest)?.end(), *time)))
        else {
            break;
        };
        rest = &rest[end..];
        timed |= time;
    }
    (rest, timed)
}

/// Takes pasted text apart into what may be failures.
pub(crate) fn failures(input: &str, code_headers: &[String]) -> Vec<Seen> {
    let cleaned = clean(&clip(input, LONGEST), LONGEST);
    let lines: Vec<(&str, bool)> = cleaned.lines().map(strip).collect();
    let mut paste = Paste { used: vec![false; lines.len()], lines, failures: Vec::new() };
    paste.take_exchanges(code_headers);
    paste.take_documents();
    paste.take_records();
    paste.failures
}

struct Paste<'t> {
    /// Each line without what loggers put before it, and whether a time stood there.
    lines: Vec<(&'t str, bool)>,
    /// Which lines are told already.
    used: Vec<bool>,
    failures: Vec<Seen>,
}

impl Paste<'_> {
    /// Takes whole answers, as `curl -i` and `curl -v` show them.
    fn take_exchanges(&mut self, code_headers: &[String]) {
        let mut at = 0;
        while at < self.lines.len() {
            let Some(found) = STATUS_LINE.captures(self.lines[at].0) else {
                at += 1;
                continue;
            };
            let first = at;
            let mark = found.get(1).map_or("", |mark| mark.as_str());
            let status = found.get(2).and_then(|status| status.as_str().parse().ok());
            let mut headers = Vec::new();
            at += 1;
            while let Some(found) =
                self.lines.get(at).and_then(|(line, _)| HEADER_LINE.captures(line.strip_prefix(mark).unwrap_or(line)))
            {
                let (_, [name, value]) = found.extract();
                headers.push((name, value));
                at += 1;
            }
            let head_end = at;
            let mut body = String::new();
            while at < self.lines.len() && !STATUS_LINE.is_match(self.lines[at].0) {
                let line = self.lines[at].0;
                // What curl says of itself, and what it sent.
                if mark.is_empty() || !(line.starts_with(['*', '>', '<']) && line.get(1..2).is_none_or(|c| c == " ")) {
                    body.push_str(line);
                    body.push('\n');
                }
                at += 1;
            }
            let seen =
                Seen::response(&Response { status, headers, body: document_of(&body), operation: None }, code_headers);
            let headline = self.lines[first].0;
            self.failures.push(seen.with_prose().at_line(first + 1).with_headline(headline));
            self.used[first..head_end].fill(true);
        }
    }

    /// Takes JSON and XML documents, each from the line where it begins.
    fn take_documents(&mut self) {
        let mut cut_off = 0;
        let mut at = 0;
        while at < self.lines.len() {
            let line = self.lines[at].0;
            let Some(start) = document_start(line) else {
                at += 1;
                continue;
            };
            let mut text = line[start..].to_owned();
            let mut found = Document::parse_prefix(&text);
            if found.as_ref().is_err_and(|&error| error == NoDocument::CutOff) && cut_off < MOST_CUT_OFF {
                for (line, _) in &self.lines[at + 1..] {
                    text.push('\n');
                    text.push_str(line);
                }
                found = Document::parse_prefix(&text);
                cut_off += usize::from(found.is_err());
            }
            let Ok((document, length)) = found else {
                at += 1;
                continue;
            };
            let end = at + text[..length].matches('\n').count();
            self.failures.push(Seen::document(document).with_prose().at_line(at + 1));
            // Lines that say more than the document are told once more, as text.
            let before = line[..start].trim();
            let after = text[length..].split('\n').next().unwrap_or_default().trim();
            self.used[at..=end].fill(before.is_empty() && after.is_empty());
            at = end + 1;
        }
    }

    /// Takes the rest: records that begin with a time, after an empty line, or as a diagnostic of a
    /// provisioning tool. A short text without times is one record, because programs put empty
    /// lines into their errors.
    fn take_records(&mut self) {
        let whole = self.lines.len() <= LONGEST_RECORD && self.lines.iter().all(|(_, timed)| !timed);
        let framed = |line: &str| line.starts_with('│');
        let mut record: Vec<usize> = Vec::new();
        for at in 0..self.lines.len() {
            let (line, timed) = self.lines[at];
            let follows = record.last().is_some_and(|&last| framed(line) && framed(self.lines[last].0));
            let empty = line.trim().is_empty() && !whole && !self.is_in_diagnostic(&record);
            let begins = line.starts_with('╷') || DIAGNOSTIC.is_match(line) && (!whole || self.says_where(&record));
            if empty || self.used[at] || (timed && !follows) || begins {
                self.take_record(&record);
                record.clear();
            }
            if !empty && !self.used[at] {
                record.push(at);
            }
        }
        self.take_record(&record);
    }

    /// Whether a diagnostic has said where it arose: another one may begin.
    fn says_where(&self, record: &[usize]) -> bool {
        record.iter().any(|&at| IN_FILE.is_match(self.lines[at].0))
    }

    /// Whether an empty line is one of those that diagnostics hold.
    fn is_in_diagnostic(&self, record: &[usize]) -> bool {
        let begins = record.first().is_some_and(|&first| DIAGNOSTIC.is_match(self.lines[first].0));
        begins && record.len() < LONGEST_RECORD / 2
    }

    fn take_record(&mut self, record: &[usize]) {
        let size = if record.len() > LONGEST_RECORD { 1 } else { LONGEST_RECORD };
        for part in record.chunks(size) {
            let text: Vec<&str> = part.iter().map(|&at| self.lines[at].0).collect();
            self.failures.push(Seen::text(&text.join("\n")).numbered_from(part[0] + 1));
        }
    }
}

/// Where a JSON or XML document begins in a line: at its front, or where one follows other words.
fn document_start(line: &str) -> Option<usize> {
    let trimmed = line.trim_start();
    let front = line.len() - trimmed.len();
    let is_start = trimmed.starts_with(['{', '[']) || trimmed.starts_with('<') && trimmed.ends_with('>');
    if is_start { Some(front) } else { line.find("{\"").or_else(|| line.find("<?xml")) }
}

/// The body without what follows its document.
fn document_of(body: &str) -> &str {
    match Document::parse_prefix(body) {
        Ok((_, length)) => &body[..length],
        Err(_) => body,
    }
}
