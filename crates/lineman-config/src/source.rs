use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::Place;
use crate::error::{At, Mistakes};
use crate::node::Node;
use crate::problem::Problem;

/// The largest configuration file, in MiB.
const LIMIT_MIB: u64 = 4;

/// One configuration file.
pub(crate) struct Source {
    /// Its place among the sources; the main file is 0.
    pub(crate) index: usize,
    pub(crate) path: PathBuf,
    /// The path as messages show it.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// What TOML makes of a source.
pub(crate) struct Document<'a> {
    source: &'a Source,
    root: DeValue<'a>,
}

impl Document<'_> {
    /// The whole document as a value. A mistake of the whole is shown at its start.
    pub(crate) fn root<'a>(&'a self, mistakes: &'a Mistakes) -> Node<'a> {
        Node { source: self.source, mistakes, path: String::new(), span: 0..0, value: &self.root }
    }
}

impl Source {
    /// Reads a file. `named_at` is where another file names it: mistakes of the whole file are
    /// shown there.
    pub(crate) fn open(path: &Path, index: usize, named_at: Option<At>, mistakes: &Mistakes) -> Option<Source> {
        let name = lineman_model::clean_line(&path.to_string_lossy(), 1000);
        match read(path, &name) {
            Ok(text) => Some(Source::given(path, index, name, text, mistakes)),
            Err(problem) => {
                mistakes.add(named_at, problem);
                None
            }
        }
    }

    /// Takes a text over that stands in a file.
    pub(crate) fn given(path: &Path, index: usize, name: String, text: String, mistakes: &Mistakes) -> Source {
        let source = Source { index, path: path.to_owned(), name, text };
        source.report_syntax(mistakes);
        source
    }

    /// What TOML makes of the text; nothing when it is not TOML.
    pub(crate) fn document(&self) -> Option<Document<'_>> {
        let table = DeTable::parse(&self.text).ok()?;
        Some(Document { source: self, root: DeValue::Table(table.into_inner()) })
    }

    fn report_syntax(&self, mistakes: &Mistakes) {
        // The parser goes on after a mistake, but what it then finds is mostly its own invention.
        let (_, errors) = DeTable::parse_recoverable(&self.text);
        if let Some(error) = errors.iter().min_by_key(|error| error.span().map(|span| span.start)) {
            let problem = Problem::Syntax { message: lineman_model::clean_line(error.message(), 300) };
            mistakes.add(Some(self.at(error.span().unwrap_or(0..0))), problem);
        }
    }

    pub(crate) fn at(&self, span: Range<usize>) -> At {
        At { file: self.index, span }
    }

    /// The directory that relative paths in the file start from, absolute.
    pub(crate) fn directory(&self) -> PathBuf {
        let parent = self.path.parent().unwrap_or(Path::new(""));
        // An empty path has no absolute form; it stands for the working directory.
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        std::path::absolute(parent).unwrap_or_else(|_| parent.to_owned()).components().collect()
    }

    /// Line and column of a byte.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place {
            file: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

fn read(path: &Path, name: &str) -> Result<String, Problem> {
    let unreadable = |error: io::Error| Problem::Unreadable { path: name.to_owned(), error: reason(&error) };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    let limit = LIMIT_MIB * 1024 * 1024;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Problem::TooLarge { path: name.to_owned(), limit_mib: LIMIT_MIB });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        Problem::NotUtf8 { path: name.to_owned(), line }
    })
}

/// What the system says of a failure, without the number that Rust adds.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
