use std::borrow::Cow;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::Regex;
use serde_json::{Map, Value};

/// How often a line is taken out of a frame: a runner's around a container's around a program's.
const DEEPEST: usize = 6;

/// How grave a line says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// For whoever looks for a mistake in a program.
    Debug,
    /// What happens.
    Info,
    /// What should not.
    Trouble,
}

/// A line without its frame.
#[derive(Clone, Debug)]
pub(crate) struct Framed<'t> {
    /// Who wrote it, as far as it says: nothing mixes with what another one wrote.
    pub(crate) writer: String,
    /// When it was written.
    pub(crate) time: Option<Timestamp>,
    /// Whether the writer's own time stands before it, so that a record begins with it.
    pub(crate) timed: bool,
    /// What it says of itself.
    pub(crate) level: Option<Level>,
    /// What is left.
    pub(crate) message: Cow<'t, str>,
    /// Whether it is a document, and so complete.
    pub(crate) document: bool,
}

/// What stands before a message, and what it tells.
enum Part {
    /// Whoever carried the line: its name, which tells writers apart.
    Carrier,
    /// When the carrier took it.
    Taken,
    /// When the writer wrote it.
    Written,
    /// Both: `time`, and the host and program that wrote it.
    Journal,
    /// The level in a word or a mark.
    Mark,
    /// A letter and a time, as klog writes it.
    Klog,
}

fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("a pattern that is part of the program, and compiled by its tests")
}

/// Parts that a line may begin with, closest first.
static PARTS: LazyLock<Vec<(Regex, Part)>> = LazyLock::new(|| {
    [
        (r"^(\[pod/[^\]\s]{1,250}\]) ", Part::Carrier),
        (r"^([0-9A-Za-z_.-]{1,60})\s*\| ", Part::Carrier),
        // STDERR [unit] program: of whatever ran the program, Step #1 - "apply": of a build.
        (r"^(STD(?:OUT|ERR)\s+(?:\[[^\]]{1,250}\] )?[0-9A-Za-z_./-]{1,60}): ?", Part::Carrier),
        (r#"^(Step #[0-9]+(?: - "[^"]{1,100}")?): "#, Part::Carrier),
        (r"^([^\t\n]{1,100}\t[^\t\n]{1,100})\t\u{feff}?", Part::Carrier),
        // kubectl and docker with times, GitHub's runners, containerd, GitLab's runners.
        (r"^\u{feff}?([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6,9}(?:Z|[+-][0-9]{2}:[0-9]{2}))(?: std(?:out|err) [FP]| [0-9]{2}[OE][ +])? ?", Part::Taken),
        (r"^(?:<[0-9]+>[0-9]? ?)?([A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})) ([0-9A-Za-z_.-]+ [0-9A-Za-z_./@-]+(?:\[[0-9]+\])?): ", Part::Journal),
        (r"^\[?([0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]+)?\s?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2})?)\]?[\s:|-]*", Part::Written),
        (r"^\[?([0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?)\]?[\s:|-]+", Part::Written),
        (r"^([IWEF])([0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]+)\s+[0-9]+ \S+:[0-9]+\] ", Part::Klog),
        (r"^##\[([a-z]+)\]", Part::Mark),
        (r"^::(error|warning|notice|debug)(?: [^:\n]{0,400})?::", Part::Mark),
        (r"^[\[<(]([A-Za-z]{4,8})[\])>]:?\s+", Part::Mark),
        (r"^(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL|PANIC|LOG|DETAIL|STATEMENT)\b:?\s+", Part::Mark),
    ]
    .into_iter()
    .map(|(source, part)| (pattern(source), part))
    .collect()
});

/// The fields of a line of `name=value`.
static FIELDS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?:^|\s)(level|lvl|severity|time|ts)=(?:"([^"]{1,60})"|([^\s"]{1,60}))"#));

/// Takes a line out of its frames. A time without a year is of the year before the moment `now`,
/// one without a zone is UTC.
pub(crate) fn unframe(line: &str, now: Timestamp) -> Framed<'_> {
    let mut framed = Framed {
        writer: String::new(),
        time: None,
        timed: false,
        level: None,
        message: Cow::Borrowed(line.trim_end_matches(['\r', '\n'])),
        document: false,
    };
    for _ in 0..DEEPEST {
        if !framed.unwrap_once(now) {
            break;
        }
    }
    if !framed.document {
        for field in FIELDS.captures_iter(&framed.message) {
            let value = field.get(2).or(field.get(3)).map_or("", |value| value.as_str());
            match &field[1] {
                "time" | "ts" => framed.time = framed.time.or_else(|| moment(value, now)),
                _ => framed.level = framed.level.or_else(|| level(value)),
            }
            framed.timed = true;
        }
    }
    framed
}

impl Framed<'_> {
    fn unwrap_once(&mut self, now: Timestamp) -> bool {
        let message = &*self.message;
        if message.starts_with('{') && message.trim_end().ends_with('}') {
            return self.unwrap_json(now);
        }
        // Frames begin with few characters, and most lines with others.
        if message.starts_with([' ', '\t', '│', '╷', '╵', '+', '~', '"']) {
            return false;
        }
        let fits = |(regex, part): &'static (Regex, Part)| {
            let found = regex.captures(message)?;
            // What follows a time may be a level and a word of the message.
            let names_host = |name: &str| name.split(' ').next().and_then(level).is_none();
            (!matches!(part, Part::Journal) || names_host(&found[2])).then_some((found, part))
        };
        let Some((found, part)) = PARTS.iter().find_map(fits) else { return false };
        let word = |at: usize| found.get(at).map_or("", |word| word.as_str());
        match part {
            Part::Carrier => self.writer.push_str(word(1)),
            Part::Taken => self.time = self.time.or_else(|| moment(word(1), now)),
            Part::Written => {
                self.time = self.time.or_else(|| moment(word(1), now));
                self.timed = true;
            }
            Part::Journal => {
                self.time = self.time.or_else(|| moment(word(1), now));
                self.writer.push_str(word(2));
                self.timed = true;
            }
            Part::Klog => {
                self.level = Some(if matches!(word(1), "I") { Level::Info } else { Level::Trouble });
                self.time = self.time.or_else(|| moment(word(2), now));
                self.timed = true;
            }
            Part::Mark => match level(word(1)) {
                // The outermost word is the carrier's, the innermost the writer's own.
                Some(level) => self.level = Some(level),
                None if message.starts_with("##[") => self.level = Some(Level::Debug),
                None => return false,
            },
        }
        let end = found.get(0).map_or(0, |whole| whole.end());
        self.message = match &self.message {
            Cow::Borrowed(text) => Cow::Borrowed(&text[end..]),
            Cow::Owned(text) => Cow::Owned(text[end..].to_owned()),
        };
        true
    }

    /// A line of JSON: a carrier's, with a line of somebody else in it, or a logger's.
    fn unwrap_json(&mut self, now: Timestamp) -> bool {
        let Ok(fields) = serde_json::from_str::<Map<String, Value>>(&self.message) else { return false };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let micros = text("__REALTIME_TIMESTAMP").and_then(|micros| micros.parse().ok());
        let stamped = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
        let times = ["time", "ts", "timestamp", "@timestamp", "datetime", "asctime", "date", "t"];
        let time = times.iter().find_map(|name| time_of(fields.get(*name)?, now));
        self.time = self.time.or(stamped).or(time);
        let carried = match (text("MESSAGE"), text("log").filter(|_| fields.contains_key("stream"))) {
            (Some(message), _) => {
                for name in ["_HOSTNAME", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "_PID"] {
                    self.writer.push_str(text(name).unwrap_or_default());
                }
                self.timed = true;
                self.level = text("PRIORITY").and_then(|priority| priority.parse().ok()).map(of_priority);
                Some(message)
            }
            (None, log) => log,
        };
        if let Some(message) = carried {
            self.message = Cow::Owned(message.trim_end().to_owned());
            return true;
        }
        let levels = ["level", "severity", "lvl", "@level", "levelname", "log.level", "loglevel"];
        self.level = levels.iter().find_map(|name| level_of(fields.get(*name)?)).or(self.level);
        self.timed = true;
        self.document = true;
        false
    }
}

fn level_of(value: &Value) -> Option<Level> {
    match value {
        Value::String(word) => level(word),
        // bunyan and pino count in tens.
        Value::Number(number) => match number.as_u64()? {
            10..30 => Some(Level::Debug),
            30..40 => Some(Level::Info),
            40.. => Some(Level::Trouble),
            _ => None,
        },
        _ => None,
    }
}

fn level(word: &str) -> Option<Level> {
    match word.to_ascii_lowercase().as_str() {
        "trace" | "debug" | "verbose" | "command" | "group" | "endgroup" | "section" => Some(Level::Debug),
        "info" | "information" | "notice" | "log" | "informational" => Some(Level::Info),
        "warn" | "warning" | "error" | "err" | "severe" | "crit" | "critical" | "fatal" | "panic" | "alert"
        | "emerg" | "emergency" | "dpanic" | "failure" => Some(Level::Trouble),
        _ => None,
    }
}

/// A level as syslog counts it.
pub(crate) fn of_priority(priority: u8) -> Level {
    match priority {
        0..=4 => Level::Trouble,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    }
}

fn time_of(value: &Value, now: Timestamp) -> Option<Timestamp> {
    match value {
        Value::String(text) => moment(text, now),
        Value::Number(number) => {
            let seconds = number.as_f64()?;
            // Nobody logs seconds of the year 5000.
            let millis = if seconds < 1e11 { seconds * 1e3 } else { seconds };
            let sensible = (1e11..1e14).contains(&millis);
            Timestamp::from_millisecond(sensible.then_some(millis as i64)?).ok()
        }
        _ => None,
    }
}

/// Reads a time in the forms of [`PARTS`].
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim().replace(',', ".").replace('/', "-");
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    // +0100 is written with a colon elsewhere.
    let zoned = Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text.replacen(' ', "T", 1).replace(' ', ""));
    if let Ok(moment) = zoned {
        return Some(moment);
    }
    let utc = |time: DateTime| Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let plain = text.trim_end_matches("UTC").trim_end_matches('Z').trim_end();
    if let Ok(time) = plain.parse::<DateTime>() {
        return utc(time);
    }
    let year = now.to_zoned(TimeZone::UTC).year();
    let in_year = |year: i16| {
        let dated = format!("{year} {plain}");
        let read = |form: &str| DateTime::strptime(form, &dated).ok();
        utc(read("%Y %b %e %H:%M:%S").or_else(|| read("%Y %m%d %H:%M:%S%.f"))?)
    };
    in_year(year).filter(|moment| *moment <= now).or_else(|| in_year(year - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, writer: &str, time: &str, level: Option<Level>, message: &str) {
        let framed = unframe(line, "2026-02-01T00:00:00Z".parse().unwrap());
        let told = framed.time.map(|time| time.to_string()).unwrap_or_default();
        assert_eq!(
            (framed.writer.as_str(), told.as_str(), framed.level, &*framed.message),
            (writer, time, level, message),
            "{line}"
        );
    }

    #[test]
    fn a_line_is_taken_out_of_every_frame() {
        let (info, trouble) = (Some(Level::Info), Some(Level::Trouble));
        check("plain words", "", "", None, "plain words");
        check("│ Error: x", "", "", None, "│ Error: x");
        check(
            "2026-01-31T12:00:01.1234567Z ##[error]it broke",
            "",
            "2026-01-31T12:00:01.1234567Z",
            trouble,
            "it broke",
        );
        check(
            "build\tRun make\t2026-01-31T12:00:01.1234567Z it broke",
            "build\tRun make",
            "2026-01-31T12:00:01.1234567Z",
            None,
            "it broke",
        );
        check("2026-01-31T12:00:01.123456Z 00E it broke", "", "2026-01-31T12:00:01.123456Z", None, "it broke");
        check(
            "2026-01-31T12:00:01.123456789Z stderr F ERROR it broke",
            "",
            "2026-01-31T12:00:01.123456789Z",
            trouble,
            "it broke",
        );
        check(
            "[pod/web-1/app] E0131 12:00:01.5       1 a.go:7] it broke",
            "[pod/web-1/app]",
            "2026-01-31T12:00:01.5Z",
            trouble,
            "it broke",
        );
        check(
            "web-1  | 2026-01-31 12:00:01,250 [WARN] it broke",
            "web-1",
            "2026-01-31T12:00:01.25Z",
            trouble,
            "it broke",
        );
        check("12:00:01.500 STDERR [live/app] acme: │ it broke", "STDERR [live/app] acme", "", None, "│ it broke");
        check("Step #1 - \"apply\": │ it broke", "Step #1 - \"apply\"", "", None, "│ it broke");
        check("2026-01-31T12:00:01.5Z ERROR app: it broke", "", "2026-01-31T12:00:01.5Z", trouble, "app: it broke");
        check("Dec 31 12:00:01 host app[7]: it broke", "host app[7]", "2025-12-31T12:00:01Z", None, "it broke");
        check(
            "2026-01-31T12:00:01+0100 host app[7]: it broke",
            "host app[7]",
            "2026-01-31T11:00:01Z",
            None,
            "it broke",
        );
        check(
            r#"{"log":"INFO fine\n","stream":"stdout","time":"2026-01-31T12:00:01Z"}"#,
            "",
            "2026-01-31T12:00:01Z",
            info,
            "fine",
        );
        check(
            r#"{"MESSAGE":"it broke","PRIORITY":"3","_PID":"7","__REALTIME_TIMESTAMP":"1769860801000000"}"#,
            "7",
            "2026-01-31T12:00:01Z",
            trouble,
            "it broke",
        );
        let json = r#"{"level":50,"time":1769860801000,"msg":"it broke"}"#;
        check(json, "", "2026-01-31T12:00:01Z", trouble, json);
        let fields = r#"time="2026-01-31T12:00:01Z" level=error msg="it broke""#;
        check(fields, "", "2026-01-31T12:00:01Z", trouble, fields);
    }
}
