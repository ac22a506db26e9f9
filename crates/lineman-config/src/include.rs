use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use lineman_model::clean_line;

use crate::error::{At, Mistakes};
use crate::node::Node;
use crate::problem::Problem;
use crate::source::{Source, reason};

/// More files than anybody keeps, and few enough that a careless `**` ends soon.
const MOST_FILES: usize = 1000;

/// Opens a configuration file and everything that it includes, the main file first and each file
/// once.
pub(crate) fn open(path: &Path, mistakes: &Mistakes) -> Vec<Source> {
    let mut walk = Walk { mistakes, sources: Vec::new(), seen: Vec::new() };
    walk.open(path, None, &mut Vec::new());
    walk.sources
}

struct Walk<'a> {
    mistakes: &'a Mistakes,
    sources: Vec<Source>,
    /// The real paths of the files that were opened.
    seen: Vec<PathBuf>,
}

impl Walk<'_> {
    /// Opens one file and what it includes; `chain` is the real paths of the files above it.
    fn open(&mut self, path: &Path, named_at: Option<At>, chain: &mut Vec<PathBuf>) {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if chain.contains(&real) {
            let names: Vec<_> = chain.iter().chain([&real]).map(|path| file_name(path)).collect();
            self.mistakes.add(named_at, Problem::IncludeLoop { chain: names.join(" → ") });
            return;
        }
        if self.seen.contains(&real) {
            return;
        }
        if self.sources.len() == MOST_FILES {
            self.mistakes.add(named_at, Problem::TooManyFiles { limit: MOST_FILES });
            return;
        }
        let Some(source) = Source::open(path, self.sources.len(), named_at, self.mistakes) else { return };
        self.seen.push(real.clone());
        let includes = includes(&source, self.mistakes);
        self.sources.push(source);
        chain.push(real);
        for (path, at) in includes {
            self.open(&path, Some(at), chain);
        }
        chain.pop();
    }
}

/// The files that a file includes, in order, each with where it is named.
fn includes(source: &Source, mistakes: &Mistakes) -> Vec<(PathBuf, At)> {
    let mut files = Vec::new();
    let Some(document) = source.document() else { return files };
    let Some(patterns) = document.root(mistakes).get("include") else { return files };
    for pattern in patterns.texts() {
        match matches(source, &pattern) {
            Ok(found) if found.is_empty() => pattern.report(Problem::IncludeEmpty),
            Ok(found) => files.extend(found.into_iter().map(|path| (path, pattern.at()))),
            Err(problem) => pattern.report(problem),
        }
    }
    files
}

/// The files that a pattern matches, sorted; relative to the directory of the including file.
fn matches(source: &Source, pattern: &Node<'_>) -> Result<Vec<PathBuf>, Problem> {
    let text = pattern.value.as_str().unwrap_or_default();
    let directory = source.path.parent().unwrap_or(Path::new("")).to_string_lossy();
    let full = match directory.as_ref() {
        _ if Path::new(text).is_absolute() => text.to_owned(),
        "" => text.to_owned(),
        directory => format!("{}/{text}", Pattern::escape(directory.trim_end_matches('/'))),
    };
    let options =
        MatchOptions { require_literal_separator: true, require_literal_leading_dot: true, ..MatchOptions::new() };
    let found =
        glob::glob_with(&full, options).map_err(|error| Problem::IncludePattern { error: error.msg.to_owned() })?;
    let files = found.filter(|path| !path.as_ref().is_ok_and(|path| path.is_dir())).take(MOST_FILES + 1);
    let mut files = files.collect::<Result<Vec<_>, _>>().map_err(|error| Problem::Unreadable {
        path: clean_line(&error.path().to_string_lossy(), 1000),
        error: reason(error.error()),
    })?;
    files.sort();
    Ok(files)
}

fn file_name(path: &Path) -> String {
    clean_line(&path.file_name().unwrap_or_default().to_string_lossy(), 100)
}
