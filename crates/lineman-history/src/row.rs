//! Words and times as they stand in the tables.

use jiff::Timestamp;
use rusqlite::Row;
use serde::de::DeserializeOwned;
use serde_json::Value;

use lineman_model::Status;

/// A moment, so that moments sort as texts do.
pub(crate) fn text_of(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// A moment that was written by [`text_of`].
pub(crate) fn moment(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: jiff::Error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}

/// A status; one that a later version has added is nothing that can be judged here.
pub(crate) fn status(row: &Row<'_>, column: &str) -> rusqlite::Result<Status> {
    Ok(word(row.get(column)?).unwrap_or(Status::Unknown))
}

/// A word of the model, where it is known.
pub(crate) fn word<T: DeserializeOwned>(text: String) -> Option<T> {
    serde_json::from_value(Value::String(text)).ok()
}
