use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use lineman_catalog::{Catalog, Match, Occurrence, Sieve, explain};
use lineman_model::{Cause, Confidence};
use regex::Regex;

use crate::judge::happened;
use crate::record::{Line, Record, Window};
use crate::tidy::{SEAM, is_end, push_tidy, unescaped};
use crate::{Summary, Ties};

/// So much is gathered before it is looked at, bytes.
const CHUNK: usize = 1 << 20;
/// What is kept before and after the place that is looked at: lines belong to it.
const MARGIN: usize = 32 << 10;
/// A longer line is cut, bytes.
const LONGEST_LINE: usize = 128 << 10;
/// So much of a cut line is looked at twice, so that nothing is lost in the cut.
const OVERLAP: usize = 4 << 10;
/// Of a line longer than this, only what stands around a hit is looked at.
const LONG: usize = 16 << 10;
const AROUND: usize = 2 << 10;

/// Lines after a failure in which nothing is told that has no cause of its own.
const NEAR: usize = 12;

/// What a provisioning tool draws around a failure: its words may be split over lines.
const BOX: &str = "╷";

/// How long a provider asks to wait.
static RETRY_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)\bretry[-_ ]?after(?:[-_]?(seconds|ms))?["']?\s*[:=]?\s*["']?([0-9]{1,9})(?:\s*(ms|milliseconds?|s|seconds?|minutes?|m)\b)?"#)
        .expect("a pattern that is part of the program, and compiled by its tests")
});

/// Takes a log as it comes and tells what failed in it.
///
/// ```
/// use lineman_catalog::Catalog;
/// use lineman_logs::{Scanner, Ties};
///
/// let catalogs: Vec<&Catalog> = Catalog::shared().into();
/// let ties = Ties::default();
/// let mut scanner = Scanner::new(&catalogs, &ties, jiff::Timestamp::UNIX_EPOCH);
/// scanner.feed(b"all is well\ncurl: (6) Could not resolve host: a.example.com\n");
/// let summary = scanner.finish();
/// assert_eq!(summary.groups()[0].explained.code, "network/dns");
/// assert_eq!(summary.groups()[0].first.line, 2);
/// ```
#[derive(Debug)]
pub struct Scanner<'a> {
    catalogs: Vec<&'a Catalog>,
    ties: &'a Ties,
    sieve: Arc<Sieve>,
    now: Timestamp,
    file: Option<String>,
    /// The beginning of a line whose end has not come.
    pending: Vec<u8>,
    /// Whole lines, tidy.
    window: Vec<u8>,
    /// Where parts of a long line begin that repeat the end of the part before.
    seams: Vec<usize>,
    /// How much of the window was looked at.
    looked: usize,
    /// Lines of the window that belong to a record.
    taken: BTreeSet<usize>,
    /// Where the window's lines are counted, and which line that is.
    counted: (usize, usize),
    /// The line of the last failure.
    last: Option<usize>,
    summary: Summary,
}

impl<'a> Scanner<'a> {
    /// A scanner for what these catalogs know. Times without a year are those before `now`.
    pub fn new(catalogs: &[&'a Catalog], ties: &'a Ties, now: Timestamp) -> Scanner<'a> {
        Scanner::with(catalogs.to_vec(), Arc::new(Sieve::with(catalogs, &[BOX])), ties, now)
    }

    /// A scanner for the same in another log, which knows nothing of this one.
    pub fn another(&self) -> Scanner<'a> {
        Scanner::with(self.catalogs.clone(), Arc::clone(&self.sieve), self.ties, self.now)
    }

    fn with(catalogs: Vec<&'a Catalog>, sieve: Arc<Sieve>, ties: &'a Ties, now: Timestamp) -> Scanner<'a> {
        Scanner {
            catalogs,
            ties,
            sieve,
            now,
            file: None,
            pending: Vec::new(),
            window: Vec::with_capacity(CHUNK + 4 * MARGIN),
            seams: Vec::new(),
            looked: 0,
            taken: BTreeSet::new(),
            counted: (0, 1),
            last: None,
            summary: Summary::default(),
        }
    }

    /// Ends what was read, and begins the log of a name.
    pub fn begin(&mut self, file: Option<&str>) {
        self.end();
        self.file = file.map(str::to_owned);
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.summary.bytes += bytes.len() as u64;
        for piece in bytes.chunks(CHUNK) {
            self.add(piece);
            if self.window.len() - self.looked >= CHUNK {
                self.look(self.window.len() - MARGIN);
            }
        }
    }

    /// Looks at everything that has come, because nothing more may come for a while.
    pub fn flush(&mut self) {
        self.look(self.window.len());
    }

    /// What was found so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Ends the log and tells what was found in it; what comes next is another log.
    pub fn take(&mut self) -> Summary {
        self.begin(None);
        std::mem::take(&mut self.summary)
    }

    /// Ends the log.
    pub fn finish(mut self) -> Summary {
        self.take()
    }

    fn end(&mut self) {
        if !self.pending.is_empty() {
            let mut last = std::mem::take(&mut self.pending);
            last.push(b'\n');
            push_tidy(&mut self.window, &last);
        }
        self.flush();
        self.window.clear();
        self.taken.clear();
        self.seams.clear();
        self.last = None;
        (self.looked, self.counted) = (0, (0, 1));
    }

    /// Puts whole lines into the window, and a line that never ends in parts.
    fn add(&mut self, piece: &[u8]) {
        let whole = memchr::memrchr(b'\n', piece).map_or(0, |end| end + 1);
        let (lines, rest) = piece.split_at(whole);
        self.summary.lines += memchr::memchr_iter(b'\n', lines).count() as u64;
        if !lines.is_empty() {
            if !self.pending.is_empty() {
                let first = memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1);
                self.pending.extend_from_slice(&lines[..first]);
                let pending = std::mem::take(&mut self.pending);
                self.push(&pending);
                self.push(&lines[first..]);
            } else {
                self.push(lines);
            }
        }
        self.pending.extend_from_slice(rest);
        if self.pending.len() > LONGEST_LINE {
            let pending = std::mem::take(&mut self.pending);
            self.push(&pending);
            let repeated = self.window.len().saturating_sub(OVERLAP);
            self.window.push(SEAM);
            self.seams.push(self.window.len());
            self.window.extend_from_within(repeated..repeated + OVERLAP);
        }
    }

    fn push(&mut self, lines: &[u8]) {
        push_tidy(&mut self.window, lines);
    }

    /// Looks at the window up to a place, and forgets what nothing can belong to any more.
    fn look(&mut self, until: usize) {
        // Sieved a line at a time from here on; a line that is cut by the limit is looked at whole.
        while let Some(hit) = self.window.get(self.looked..until).and_then(|rest| self.sieve.find(rest)) {
            let (at, end) = (self.looked + hit.start, self.looked + hit.end);
            // It ends in what the part before ends with.
            let again = |start: &usize| (*start..start + OVERLAP).contains(&(end - 1)) && *start <= at;
            let next = if self.seams.iter().any(again) { end } else { self.record_at(at) };
            self.looked = next.max(at + 1);
        }
        let end = self.window[..until].iter().rposition(|&byte| is_end(byte)).map_or(0, |end| end + 1);
        self.looked = self.looked.max(end);
        let kept = self.looked.saturating_sub(MARGIN);
        let kept = self.window[..kept].iter().rposition(|&byte| is_end(byte)).map_or(0, |end| end + 1);
        if kept >= MARGIN {
            self.line_number(kept);
            self.window.drain(..kept);
            self.looked -= kept;
            self.counted.0 -= kept;
            self.seams = self.seams.iter().filter_map(|start| start.checked_sub(kept)).collect();
            self.taken = self.taken.iter().filter_map(|start| start.checked_sub(kept)).collect();
        }
    }

    /// The number of the line at a place that is not before the last one asked for.
    fn line_number(&mut self, at: usize) -> usize {
        let (from, line) = self.counted;
        if at < from {
            return line - memchr::memchr_iter(b'\n', &self.window[at..from]).count();
        }
        self.counted = (at, line + memchr::memchr_iter(b'\n', &self.window[from..at]).count());
        self.counted.1
    }

    /// Looks at what stands around a hit; gives the place from which to go on.
    fn record_at(&mut self, at: usize) -> usize {
        let window = Window { bytes: &self.window, taken: &self.taken, now: self.now };
        let line = window.line_at(at);
        if self.taken.contains(&line.start) {
            return line.end;
        }
        if line.len() > LONG {
            let end = (at + AROUND).min(line.end);
            let record = window.alone(at.saturating_sub(AROUND).max(line.start)..end);
            self.judge(&record);
            return end;
        }
        let Some(record) = window.record(line.clone()) else { return line.end };
        self.judge(&record);
        self.taken.extend(record.lines.iter().map(|line| line.start));
        line.end
    }

    /// What fits a record closest, as it stands and as it reads where it is escaped, and in which of
    /// its lines.
    fn closest(&self, record: &Record) -> Option<(usize, Match<'a>)> {
        let first = |text: &str| explain(&self.catalogs, text).into_iter().next();
        let line = |found: &Match<'_>| found.line.unwrap_or(1).saturating_sub(1);
        let plain = first(&record.text()).map(|found| (line(&found).min(record.lines.len() - 1), found));
        if !record.lines.iter().any(|line| line.message.contains('\\')) {
            return plain;
        }
        let (mut text, mut of) = (String::new(), Vec::new());
        for (n, line) in record.lines.iter().enumerate() {
            for part in unescaped(&line.message).lines() {
                text.push_str(part);
                text.push('\n');
                of.push(n);
            }
        }
        let read = first(&text).map(|found| (of.get(line(&found)).copied().unwrap_or(0), found));
        match (&plain, &read) {
            (Some((_, plain)), Some((_, read))) if plain.rank < read.rank => {}
            (Some(_), _) => return plain,
            _ => {}
        }
        read
    }

    /// Counts what a record tells.
    fn judge(&mut self, record: &Record) {
        let text = record.text();
        let Some((at, found)) = self.closest(record) else { return };
        let mut counted = Vec::new();
        if happened(&found, record.level, &record.lines[at].message) {
            counted.push((at, found));
        }
        // What nothing holds together may tell of more than one failure.
        for (n, own) in record.lines.iter().enumerate().filter(|(n, _)| record.loose && *n != at) {
            if self.sieve.find(own.message.as_bytes()).is_none() {
                continue;
            }
            let Some(other) = explain(&self.catalogs, &unescaped(&own.message)).into_iter().next() else { continue };
            // One program says one thing in several lines, each in other words; it says it again in
            // the same, and two programs say two.
            let new = |(_, first): &(usize, Match<'a>)| {
                let again = first.code == other.code && first_word(&first.text) == first_word(&other.text);
                let others = other.provider != first.provider && other.confidence == Confidence::Confirmed;
                let also = first.rule.also_possible.iter().any(|also| also.cause == *other.cause);
                again || others && first.cause != other.cause && !also
            };
            if counted.iter().all(new) && happened(&other, record.level, &own.message) {
                counted.push((n, other));
            }
        }
        let alone = counted.len() == 1;
        for (n, found) in counted {
            let Line { start, message, time } = &record.lines[n];
            let line = self.line_number(*start);
            // What only says that something went wrong is said of what was told just before.
            let follows = self.last.is_some_and(|last| line.saturating_sub(last) <= NEAR);
            if *found.cause == Cause::Undetermined && follows {
                continue;
            }
            self.last = Some(line);
            let at = Occurrence { file: self.file.clone(), line, time: time.or(record.time) };
            // What another failure names says nothing of this one.
            let whole = if alone { &text } else { message };
            let nearest = if record.loose { self.ties.of(found.provider, message) } else { None };
            let integration = nearest.or_else(|| self.ties.of(found.provider, whole));
            self.summary.add(&found, at, integration, retry_after(whole));
        }
    }
}

fn first_word(text: &str) -> Option<&str> {
    text.split_whitespace().next()
}

fn retry_after(text: &str) -> Option<Duration> {
    let found = RETRY_AFTER.captures(text)?;
    let amount: u64 = found.get(2)?.as_str().parse().ok()?;
    let unit = found.get(3).or(found.get(1)).map_or("s", |unit| unit.as_str());
    Some(match unit.to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => Duration::from_millis(amount),
        "m" | "minute" | "minutes" => Duration::from_secs(amount.saturating_mul(60)),
        _ => Duration::from_secs(amount),
    })
}
