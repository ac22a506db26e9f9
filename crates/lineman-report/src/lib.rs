//! One pure renderer per format: a [`Report`] in, bytes out.
//!
//! A renderer decides how a report *looks* and nothing else. It never computes a verdict, never
//! reorders causes by its own judgement and never asks the world anything: width, colour and the
//! alphabet of the terminal are parameters ([`Style`]), and "now" is the moment when the run
//! ended. The only I/O is writing to the writer that it is given.
//!
//! Whatever stands in a report is foreign text, for a report may come from a file that anyone
//! edited. So there is one sink: everything that a person sees passes through the page, which
//! takes escape sequences and control characters out and folds lines to the width; JSON leaves
//! through a writer that escapes what a terminal would obey.
//!
//! To add a format, write one file with one function `(&Report, &Style, &mut dyn Write)` and name
//! it in [`Format`].

mod evidence;
mod explanation;
mod finding;
mod format;
mod human;
mod json;
mod logs;
mod ndjson;
mod page;
mod read;
mod reference;
mod style;
mod words;

use std::io;

use lineman_model::{Finding, Report, Status};

pub use explanation::{ExplainedMatch, explanation};
pub use format::{Format, UnknownFormat};
pub use json::schema;
pub use logs::{LogFormat, LogReport, log_event, logs};
pub use ndjson::{event, event_schema};
pub use read::{MAX_BYTES, ReadError, read};
pub use reference::reference;
pub use style::Style;

/// Writes a report in a format.
///
/// The same report, format and style give the same bytes.
pub fn render(report: &Report, format: Format, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    format.renderer()(report, style, out)
}

/// One finding for people: what is wrong, what to do, what was seen.
pub fn finding_human(finding: &Finding, style: &Style) -> String {
    let mut page = page::Page::new(style);
    finding::whole(&mut page, finding);
    page.finish()
}

/// A table without borders, no wider than the style allows; an empty header row is left out.
pub fn table(headers: &[&str], rows: &[Vec<String>], indent: usize, style: &Style) -> String {
    let header = (!headers.is_empty()).then(|| headers.iter().map(|text| page::Span::dim(*text)).collect());
    let rows = rows.iter().map(|row| row.iter().map(page::Span::plain).collect());
    let mut page = page::Page::new(style);
    page.table(indent, &header.into_iter().chain(rows).collect::<Vec<_>>());
    page.finish()
}

/// A paragraph folded to the style's width, every line indented.
pub fn wrap(text: &str, indent: usize, style: &Style) -> String {
    let mut page = page::Page::new(style);
    page.text(indent, &[page::Span::plain(text)]);
    page.finish()
}

/// A paragraph that hangs beside the mark of a status, and what is said below it: each line with a
/// label that is shown dimly.
pub fn marked(status: Status, text: &str, below: &[(&str, &str)], style: &Style) -> String {
    let mut page = page::Page::new(style);
    page.item(0, page::Span::status_label(status), &[page::Span::plain(text)]);
    for (label, text) in below {
        page.item("✓ pass  ".chars().count(), page::Span::dim(*label), &[page::Span::plain(*text)]);
    }
    page.finish()
}

/// A command to run next, as the line that closes an output.
pub fn next_command(argv: &[&str], style: &Style) -> String {
    let mut page = page::Page::new(style);
    page.command(0, page::Span::dim("→ "), argv);
    page.finish()
}
