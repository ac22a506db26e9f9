//! A saved report, read back.

use std::collections::HashMap;

use lineman_model::{REPORT_SCHEMA, Report, clean_line};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::error::Category;

/// Largest report that is read, bytes.
pub const MAX_BYTES: usize = 256 << 20;

/// Why a file is not a report that can be shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is larger than [`MAX_BYTES`].
    #[error("the report is too large: {bytes} bytes, at most {MAX_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is not JSON, or ends too early.
    #[error("line {line}, column {column}: not JSON: {why}")]
    NotJson {
        /// One-based line.
        line: usize,
        /// One-based column.
        column: usize,
        /// What the parser says.
        why: String,
    },
    /// It is JSON of another kind.
    #[error("not a report of Lineman: `schema` is {found}, expected \"{REPORT_SCHEMA}\"")]
    OtherKind {
        /// What stands at `schema`.
        found: String,
    },
    /// It was written in another version of the format.
    #[error(
        "the report's format is {found}, this Lineman reads {REPORT_SCHEMA}: render it with the Lineman that wrote it"
    )]
    OtherVersion {
        /// The schema that it names.
        found: String,
    },
    /// It names the right format and does not follow it.
    #[error("line {line}, column {column}: not a {REPORT_SCHEMA}: {why}")]
    Malformed {
        /// One-based line.
        line: usize,
        /// One-based column.
        column: usize,
        /// What the parser says.
        why: String,
    },
}

/// Reads a report that [`render`](crate::render) wrote as JSON.
///
/// Fields and causes of newer versions are accepted. Its texts are as they stand in the file:
/// the renderers make them safe to show.
pub fn read(json: &[u8]) -> Result<Report, ReadError> {
    if json.len() > MAX_BYTES {
        return Err(ReadError::TooLarge { bytes: json.len() });
    }
    let schema = match serde_json::from_slice(json) {
        Ok(Kind { schema, .. }) => schema,
        Err(error) if error.classify() == Category::Data => Value::Null,
        Err(error) => return Err(refused(error)),
    };
    match schema.as_str() {
        Some(REPORT_SCHEMA) => serde_json::from_slice(json).map_err(refused),
        Some(other) if other.starts_with("lineman.report/") => {
            Err(ReadError::OtherVersion { found: clean_line(other, 80) })
        }
        _ if schema.is_null() => Err(ReadError::OtherKind { found: "absent".into() }),
        _ => Err(ReadError::OtherKind { found: clean_line(&schema.to_string(), 80) }),
    }
}

/// The part of a document that says what it is.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    schema: Value,
    /// Takes nothing but an object for a document: a struct alone may also be a list.
    #[serde(flatten)]
    _rest: HashMap<String, IgnoredAny>,
}

fn refused(error: serde_json::Error) -> ReadError {
    let (line, column) = (error.line(), error.column());
    let text = clean_line(&error.to_string(), 400);
    let why = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text).to_owned();
    match error.classify() {
        Category::Data => ReadError::Malformed { line, column, why },
        Category::Syntax | Category::Eof | Category::Io => ReadError::NotJson { line, column, why },
    }
}
