use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use crate::frame::{Framed, Level, of_priority, unframe};
use crate::judge::is_hopeless;
use crate::tidy::is_end;

/// Lines of a box that are gathered, and lines of others between them that are passed over.
const MOST_IN_BOX: usize = 60;
/// Lines without a time of their own that may belong to the one that was hit.
const BEFORE: usize = 4;
const AFTER: usize = 8;
/// Lines of other writers that are passed over on the way.
const MOST_PASSED: usize = 40;
/// What is written later belongs to something else, seconds.
const AT_ONCE: u64 = 2;

/// The first line of what a provisioning tool has to say where it draws no box.
static DIAGNOSTIC: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?:Error|Warning): \S").expect("a pattern that its tests compile"));

/// The lines that tell of one failure.
#[derive(Debug)]
pub(crate) struct Record {
    /// In their order, without frames.
    pub(crate) lines: Vec<Line>,
    /// What the record says of itself.
    pub(crate) level: Option<Level>,
    /// When it was written.
    pub(crate) time: Option<Timestamp>,
    /// Whether lines may tell of failures of their own: nothing says that they belong together.
    pub(crate) loose: bool,
}

/// One line of a record.
#[derive(Debug)]
pub(crate) struct Line {
    /// Where it begins in the window.
    pub(crate) start: usize,
    /// What it says.
    pub(crate) message: String,
    /// When it was written.
    pub(crate) time: Option<Timestamp>,
}

impl Record {
    /// What the record says, a line per line.
    pub(crate) fn text(&self) -> String {
        let messages: Vec<&str> = self.lines.iter().map(|line| line.message.as_str()).collect();
        messages.join("\n")
    }
}

/// The window in which a record is gathered.
pub(crate) struct Window<'w> {
    pub(crate) bytes: &'w [u8],
    /// Where lines begin that belong to another record.
    pub(crate) taken: &'w BTreeSet<usize>,
    pub(crate) now: Timestamp,
}

impl Window<'_> {
    /// The line around a byte.
    pub(crate) fn line_at(&self, at: usize) -> Range<usize> {
        let start = self.bytes[..at].iter().rposition(|&byte| is_end(byte)).map_or(0, |end| end + 1);
        start..self.end_from(at)
    }

    fn end_from(&self, at: usize) -> usize {
        self.bytes[at..].iter().position(|&byte| is_end(byte)).map_or(self.bytes.len(), |end| at + end)
    }

    fn next(&self, line: &Range<usize>) -> Option<Range<usize>> {
        let start = line.end + 1;
        (start < self.bytes.len()).then(|| start..self.end_from(start))
    }

    fn previous(&self, line: &Range<usize>) -> Option<Range<usize>> {
        line.start.checked_sub(1).map(|end| {
            let start = self.bytes[..end].iter().rposition(|&byte| is_end(byte)).map_or(0, |end| end + 1);
            start..end
        })
    }

    fn text(&self, line: &Range<usize>) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes[line.clone()])
    }

    /// A part of a line that is too long to be looked at whole.
    pub(crate) fn alone(&self, part: Range<usize>) -> Record {
        let text = self.text(&part);
        let hit = unframe(&text, self.now);
        Record { lines: vec![own(&part, &hit)], level: hit.level, time: hit.time, loose: false }
    }

    /// Gathers the record of a line; none where the line itself says that nothing failed.
    pub(crate) fn record(&self, line: Range<usize>) -> Option<Record> {
        let text = self.text(&line);
        let hit = unframe(&text, self.now);
        if is_hopeless(hit.level, &hit.message) {
            return None;
        }
        let mut record = Record { lines: vec![own(&line, &hit)], level: hit.level, time: hit.time, loose: false };
        if hit.document {
            return Some(record);
        }
        if let Some(message) = hit.message.strip_prefix("MESSAGE=") {
            message.clone_into(&mut record.lines[0].message);
            self.read_export(&line, &mut record);
        } else if is_boxed(&hit.message) {
            self.gather_box(&line, &hit, &mut record);
        } else {
            self.gather_loose(&line, &hit, &mut record);
        }
        Some(record)
    }

    /// The fields beside a message in journald's export format.
    fn read_export(&self, line: &Range<usize>, record: &mut Record) {
        let step = |at: &Range<usize>, back: bool| if back { self.previous(at) } else { self.next(at) };
        for back in [true, false] {
            let mut at = line.clone();
            for _ in 0..MOST_PASSED {
                let Some(other) = step(&at, back).filter(|other| !other.is_empty()) else { break };
                let field = self.text(&other);
                if let Some(micros) = field.strip_prefix("__REALTIME_TIMESTAMP=") {
                    let micros = micros.trim().parse().ok();
                    record.time = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
                } else if let Some(priority) = field.strip_prefix("PRIORITY=") {
                    record.level = priority.trim().parse().ok().map(of_priority);
                }
                at = other;
            }
        }
    }

    /// The rest of a box, without the lines of others that stand between.
    fn gather_box(&self, line: &Range<usize>, hit: &Framed<'_>, record: &mut Record) {
        let mut passed = 0;
        let mut at = line.clone();
        while !record.lines[0].message.trim_start().starts_with('╷') && record.lines.len() < MOST_IN_BOX {
            let Some(other) = self.previous(&at) else { break };
            at = other;
            let text = self.text(&at);
            let framed = unframe(&text, self.now);
            let fits = framed.writer == hit.writer && is_boxed(&framed.message) && !self.taken.contains(&at.start);
            if fits && framed.message.trim_start().starts_with('╵') {
                break;
            }
            match fits {
                true => {
                    record.time = framed.time.or(record.time);
                    record.lines.insert(0, own(&at, &framed));
                }
                false => passed += 1,
            }
            if passed > MOST_PASSED {
                break;
            }
        }
        (passed, at) = (0, line.clone());
        while record.lines.last().is_some_and(|last| !last.message.trim_start().starts_with('╵'))
            && record.lines.len() < MOST_IN_BOX
            && passed <= MOST_PASSED
        {
            let Some(other) = self.next(&at) else { break };
            at = other;
            let text = self.text(&at);
            let framed = unframe(&text, self.now);
            let fits = framed.writer == hit.writer && is_boxed(&framed.message);
            if fits && framed.message.trim_start().starts_with('╷') {
                break;
            }
            match fits {
                true => record.lines.push(own(&at, &framed)),
                false => passed += 1,
            }
        }
        record.level = Some(Level::Trouble);
    }

    /// The lines that follow a time, or those around one that has none. What begins a diagnostic
    /// belongs to none before it: it happened after them, and they may be of another level.
    fn gather_loose(&self, line: &Range<usize>, hit: &Framed<'_>, record: &mut Record) {
        record.loose = !hit.timed;
        let (mut passed, mut found) = (0, 0);
        let mut at = line.clone();
        while !hit.timed && found < BEFORE && passed < MOST_PASSED {
            let Some(other) = self.previous(&at) else { break };
            at = other;
            let text = self.text(&at);
            let framed = unframe(&text, self.now);
            if framed.writer != hit.writer || framed.document {
                passed += 1;
                continue;
            }
            if self.taken.contains(&at.start)
                || framed.message.trim().is_empty()
                || is_boxed(&framed.message)
                || are_apart(&framed, hit)
            {
                break;
            }
            record.time = record.time.or(framed.time);
            found += 1;
            let is_whole = DIAGNOSTIC.is_match(&record.lines[0].message);
            if !is_whole {
                record.lines.insert(0, own(&at, &framed));
                if framed.timed {
                    record.level = framed.level;
                    record.loose = false;
                }
            }
            if framed.timed {
                break;
            }
        }
        let is_diagnostic = |record: &Record| record.lines.iter().any(|line| DIAGNOSTIC.is_match(&line.message));
        (passed, found) = (0, 0);
        at = line.clone();
        while found < AFTER && passed < MOST_PASSED {
            let Some(other) = self.next(&at) else { break };
            at = other;
            let text = self.text(&at);
            let framed = unframe(&text, self.now);
            if framed.writer != hit.writer || framed.document {
                passed += 1;
                continue;
            }
            let empty = framed.message.trim().is_empty();
            if framed.timed
                || are_apart(&framed, hit)
                || is_boxed(&framed.message)
                || DIAGNOSTIC.is_match(&framed.message)
                || empty && !is_diagnostic(record)
            {
                break;
            }
            record.lines.push(own(&at, &framed));
            found += 1;
        }
    }
}

fn own(line: &Range<usize>, framed: &Framed<'_>) -> Line {
    Line { start: line.start, message: framed.message.clone().into_owned(), time: framed.time }
}

/// Whether two lines were written at different times.
fn are_apart(one: &Framed<'_>, other: &Framed<'_>) -> bool {
    let seconds = |framed: &Framed<'_>| framed.time.map(Timestamp::as_second);
    seconds(one).zip(seconds(other)).is_some_and(|(one, other)| one.abs_diff(other) > AT_ONCE)
}

fn is_boxed(message: &str) -> bool {
    message.trim_start().starts_with(['│', '╷', '╵', '┃'])
}
