use std::fmt;
use std::io;
use std::str::FromStr;

use lineman_model::Report;

use crate::{Style, human, json, ndjson};

/// A format in which a report can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// For people: root causes first, one screen.
    Human,
    /// The whole report, `lineman.report/1`.
    Json,
    /// Events, one JSON object per line.
    Ndjson,
}

pub(crate) type Renderer = fn(&Report, &Style, &mut dyn io::Write) -> io::Result<()>;

impl Format {
    /// Every format, in the order of the documentation.
    pub const ALL: &'static [Format] = &[Format::Human, Format::Json, Format::Ndjson];

    /// The word that names it on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Human => "human",
            Format::Json => "json",
            Format::Ndjson => "ndjson",
        }
    }

    pub(crate) fn renderer(self) -> Renderer {
        match self {
            Format::Human => human::render,
            Format::Json => json::render,
            Format::Ndjson => ndjson::render,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no format.
#[derive(Debug, thiserror::Error)]
#[error("unknown format `{word}`; the formats are {}", known())]
pub struct UnknownFormat {
    word: String,
}

fn known() -> String {
    Format::ALL.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Format, UnknownFormat> {
        let found = Format::ALL.iter().find(|format| format.as_str() == word);
        found.copied().ok_or_else(|| UnknownFormat { word: lineman_model::clean_line(word, 80) })
    }
}
