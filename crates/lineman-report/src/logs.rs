//! What `lineman logs` answers: the failures in a log, and what to do about them.

mod github;
mod human;
mod markdown;
mod sarif;

use std::collections::BTreeSet;

use jiff::Timestamp;
use lineman_catalog::{Explained, Explanation, Occurrence};
use lineman_model::{Level, Remedy, Severity};

use crate::Style;
use crate::words::count;

/// What a log told.
#[derive(Clone, Debug)]
pub struct LogReport {
    /// The failures, the most important first; each says how often, where and when.
    pub explanation: Explanation,
    /// Lines that were read.
    pub lines: u64,
    /// Bytes that were read, unpacked.
    pub bytes: u64,
    /// Failures that came after too many different ones to be told apart.
    pub uncounted: u64,
    /// The integrations to test again, in this order.
    pub retest: Vec<String>,
}

/// A format in which a [`LogReport`] can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: grouped by cause, one screen, ends with what to do.
    Human,
    /// `lineman.explanation/1`.
    Json,
    /// For a summary page or a comment.
    Markdown,
    /// Annotations of GitHub Actions.
    Github,
    /// SARIF 2.1.0.
    Sarif,
}

/// Writes what a log told in a format.
pub fn logs(report: &LogReport, format: LogFormat, style: &Style) -> String {
    match format {
        LogFormat::Human => human::render(report, style),
        LogFormat::Json => crate::json::pretty(&report.explanation),
        LogFormat::Markdown => markdown::render(report),
        LogFormat::Github => github::render(report),
        LogFormat::Sarif => sarif::render(report),
    }
}

/// One failure as it is seen for the first time, on one line: what `--follow` tells at once.
pub fn log_event(one: &Explained, style: &Style) -> String {
    human::event(one, style)
}

/// A step of what to do, and for which integrations or providers.
struct Step<'r> {
    remedy: &'r Remedy,
    whom: BTreeSet<&'r str>,
}

/// What to do, most important first; the same thing once.
fn steps(report: &LogReport, most: usize) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for one in &report.explanation.matches {
        let Some(remedy) = one.remedies.first() else { continue };
        match steps.iter_mut().find(|step| step.remedy.text == remedy.text) {
            Some(step) => _ = step.whom.insert(whom(one)),
            None => steps.push(Step { remedy, whom: BTreeSet::from([whom(one)]) }),
        }
    }
    steps.truncate(most);
    steps
}

/// The integration that a failure concerns, or else the provider.
fn whom(one: &Explained) -> &str {
    one.integration.as_deref().unwrap_or(&one.provider)
}

fn severity(one: &Explained) -> Severity {
    Severity::of(&one.cause, Level::Reach)
}

fn times(one: &Explained) -> String {
    match one.count.unwrap_or(1) {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => count(usize::try_from(more).unwrap_or(usize::MAX), "time", "times"),
    }
}

/// `line 12` and `lines 12 to 90`, of a file where it has a name.
fn lines(one: &Explained) -> String {
    let (Some(first), Some(last)) = (&one.first, &one.last) else { return String::new() };
    let file = |at: &Occurrence| at.file.as_ref().map(|file| format!("{file} ")).unwrap_or_default();
    match first == last || first.line == last.line && first.file == last.file {
        true => format!("{}line {}", file(first), first.line),
        false if first.file == last.file => format!("{}lines {} to {}", file(first), first.line, last.line),
        false => format!("{}line {} to {}line {}", file(first), first.line, file(last), last.line),
    }
}

/// When: one moment, or from the first to the last; nothing where the log tells no time.
fn when(one: &Explained) -> Option<String> {
    let moment = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let first = one.first.as_ref()?.time.map(moment);
    let last = one.last.as_ref()?.time.map(moment);
    match (first, last) {
        (Some(first), Some(last)) if first != last => {
            // The day is said once.
            let same = first.split(' ').next() == last.split(' ').next();
            Some(format!("{first} to {}", if same { last.split(' ').nth(1).unwrap_or_default() } else { &last }))
        }
        (Some(one), _) | (None, Some(one)) => Some(one),
        (None, None) => None,
    }
}

/// Where in a configuration it arose, as a provisioning tool says.
fn origin(one: &Explained) -> Option<String> {
    let file = one.matched.file.as_ref().map(|file| match one.matched.file_line {
        Some(line) => format!("{file} line {line}"),
        None => file.clone(),
    });
    let parts: Vec<String> = one.matched.address.iter().cloned().chain(file).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn read(report: &LogReport) -> String {
    let lines = count(usize::try_from(report.lines).unwrap_or(usize::MAX), "line", "lines");
    let size = match report.bytes {
        0..1_000 => format!("{} bytes", report.bytes),
        1_000..1_000_000 => format!("{} kB", report.bytes / 1_000),
        _ => format!("{} MB", report.bytes / 1_000_000),
    };
    format!("{lines}, {size}")
}
