//! `lineman.report/1`: the whole report, and its schema.

use std::io;

use lineman_model::{REPORT_SCHEMA, Report};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Style;

pub(crate) fn render(report: &Report, _: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(document(report).as_bytes())
}

/// A document of its own: indented by two spaces, with a line end.
pub(crate) fn document<T: Serialize>(value: &T) -> String {
    shown(serde_json::to_string_pretty(value)) + "\n"
}

/// JSON on one line, without a line end.
pub(crate) fn line<T: Serialize>(value: &T) -> String {
    shown(serde_json::to_string(value))
}

fn shown(json: serde_json::Result<String>) -> String {
    #[expect(clippy::expect_used, reason = "the model's keys are strings, which is all that JSON asks")]
    escaped(json.expect("the model is JSON"))
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
    schema_of::<Report>(REPORT_SCHEMA)
}

/// The JSON Schema of a document that names its format, and no other, at `schema`.
pub(crate) fn schema_of<T: JsonSchema>(format: &str) -> Value {
    let mut schema = schemars::schema_for!(T);
    schema.insert("$id".into(), json!(format));
    schema.insert("title".into(), json!(format));
    let mut schema = schema.to_value();
    if let Some(name) = schema.pointer_mut("/properties/schema") {
        name["const"] = json!(format);
    }
    schema
}
