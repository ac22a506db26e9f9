use std::fmt::Write as _;

use lineman_model::{Severity, clean_line};

use super::{LogReport, origin, severity, times, whom};

const LONGEST: usize = 1_000;

/// One annotation for each failure, at the file of the configuration where that is known: a line
/// of a log is nothing that a pull request can show.
pub(super) fn render(report: &LogReport) -> String {
    let mut out = String::new();
    for one in &report.explanation.matches {
        let command = if severity(one) == Severity::Fail { "error" } else { "warning" };
        let first = one.first.as_ref();
        let (file, line) = match &one.matched.file {
            Some(file) => (Some(file), one.matched.file_line),
            None => (first.and_then(|first| first.file.as_ref()), first.map(|first| first.line)),
        };
        let mut properties = Vec::new();
        if let Some(file) = file {
            properties.push(format!("file={}", property(file)));
            properties.extend(line.map(|line| format!("line={line}")));
        }
        properties.push(format!("title={}", property(&format!("{} ({})", one.cause, whom(one)))));
        let mut message = format!("{} ({}, {}", one.message, one.code, times(one));
        if let Some(first) = first {
            let _ = write!(message, ", first in line {} of the log", first.line);
        }
        message.push(')');
        message.extend(origin(one).map(|origin| format!(" at {origin}")));
        message.extend(one.remedies.first().map(|remedy| format!(" → {}", remedy.text)));
        message.extend(one.integration.as_ref().map(|name| format!(" Then: lineman retest {name}")));
        let _ = writeln!(out, "::{command} {}::{}", properties.join(","), data(&message));
    }
    out
}

/// What follows the command: a line end would begin another one.
fn data(text: &str) -> String {
    clean_line(text, LONGEST).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
