//! `lineman.report/1`: the whole report, and its schema.

use std::io;

use lineman_model::{REPORT_SCHEMA, Report};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Style;

pub(crate) fn render(report: &Report, _: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(pretty(report).as_bytes())
}

/// JSON over many lines.
pub(crate) fn pretty<T: Serialize>(value: &T) -> String {
    checked(serde_json::to_string_pretty(value))
}

/// JSON on one line.
pub(crate) fn line<T: Serialize>(value: &T) -> String {
    checked(serde_json::to_string(value))
}

/// JSON that is safe to show, with a line end.
#[expect(clippy::expect_used, reason = "the model's keys are strings, which is all that JSON asks")]
fn checked(json: serde_json::Result<String>) -> String {
    escaped(json.expect("the model is JSON")) + "\n"
}

/// Escapes what JSON lets stand and a terminal obeys: C1 controls and marks that turn the
/// direction of text. They occur only within strings, so the value stays the same.
fn escaped(json: String) -> String {
    let obeyed = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if !json.contains(obeyed) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        match obeyed(c) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
        out
    })
}

/// The JSON Schema of `lineman.report/1`.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Report);
    schema.insert("$id".into(), json!(REPORT_SCHEMA));
    schema.insert("title".into(), json!(REPORT_SCHEMA));
    let mut schema = schema.to_value();
    if let Some(name) = schema.pointer_mut("/properties/schema") {
        name["const"] = json!(REPORT_SCHEMA);
    }
    schema
}
