use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::Place;
use crate::mask::mask;
use crate::problem::Problem;
use crate::source::Source;

/// A file that is wrong in so many ways is wrong in one: showing more helps nobody.
const MOST: usize = 50;
/// How many are kept to be sorted, before the first are shown.
const MOST_KEPT: usize = 1000;

/// The mistakes of a configuration, in the order of the files. Never empty.
#[derive(Debug)]
pub struct ConfigError {
    mistakes: Vec<Mistake>,
    more: usize,
}

/// One mistake and where it is.
#[derive(Debug)]
pub struct Mistake {
    problem: Problem,
    place: Option<Place>,
    shown: Option<Shown>,
    elsewhere: Option<Box<Mistake>>,
}

/// The masked source, and the part of it that is underlined.
#[derive(Debug)]
struct Shown {
    source: NamedSource<Arc<str>>,
    span: Range<usize>,
}

impl ConfigError {
    /// The mistakes; at most fifty are kept.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The one mistake, if there is no other: it is then shown without a heading.
    fn only(&self) -> Option<&Mistake> {
        match self.mistakes.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl Mistake {
    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Where; a file that cannot be read at all has no place.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.only(), self.more) {
            (Some(only), _) => only.fmt(f),
            (None, 0) => write!(f, "the configuration has {} mistakes", self.mistakes.len()),
            (None, more) => {
                let all = self.mistakes.len() + more;
                write!(f, "the configuration has {all} mistakes; the first {}", self.mistakes.len())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl Diagnostic for ConfigError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only()?.code()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only()?.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.only()?.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.only()?.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        match self.only() {
            Some(only) => only.related(),
            None => Some(Box::new(self.mistakes.iter().map(|mistake| mistake as &dyn Diagnostic))),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.code()
    }

    fn severity(&self) -> Option<miette::Severity> {
        self.problem.severity()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.shown.as_ref().map(|shown| &shown.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.shown.as_ref()?.span.clone();
        Some(Box::new(std::iter::once(LabeledSpan::underline(span))))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let elsewhere = self.elsewhere.as_deref()?;
        Some(Box::new(std::iter::once(elsewhere as &dyn Diagnostic)))
    }
}

/// A part of one of the files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At {
    /// Which of the sources.
    pub(crate) file: usize,
    /// Bytes of its text.
    pub(crate) span: Range<usize>,
}

/// Collects mistakes while the files are read.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    found: RefCell<Vec<Found>>,
    uncounted: Cell<usize>,
    hidden: RefCell<Vec<At>>,
}

#[derive(Debug, PartialEq)]
struct Found {
    at: Option<At>,
    problem: Problem,
    elsewhere: Option<(At, Problem)>,
}

impl Mistakes {
    pub(crate) fn add(&self, at: Option<At>, problem: Problem) {
        self.push(Found { at, problem, elsewhere: None });
    }

    pub(crate) fn add_with(&self, at: At, problem: Problem, elsewhere: (At, Problem)) {
        self.push(Found { at: Some(at), problem, elsewhere: Some(elsewhere) });
    }

    fn push(&self, found: Found) {
        let mut all = self.found.borrow_mut();
        if all.len() == MOST_KEPT {
            self.uncounted.set(self.uncounted.get() + 1);
            return;
        }
        // A wrong default is wrong once, not once for every integration that it serves.
        if !all.contains(&found) {
            all.push(found);
        }
    }

    /// Marks text that no source shown may repeat.
    pub(crate) fn hide(&self, at: At) {
        self.hidden.borrow_mut().push(at);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// The configuration if there was no mistake, else all mistakes.
    pub(crate) fn verdict<T>(self, sources: &[Source], value: T) -> Result<T, ConfigError> {
        let hidden = self.hidden.into_inner();
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(value);
        }
        found.sort_by_key(|found| found.at.as_ref().map(|at| (at.file, at.span.start)));
        let more = found.len().saturating_sub(MOST) + self.uncounted.get();
        found.truncate(MOST);
        let shown: Vec<(&Source, Arc<str>)> = sources
            .iter()
            .map(|source| {
                let ranges = hidden.iter().filter(|at| at.file == source.index).map(|at| at.span.clone());
                (source, mask(source, ranges).into())
            })
            .collect();
        let mistake = |at: Option<At>, problem, elsewhere| {
            let at = at.and_then(|at| Some((shown.get(at.file)?, at.span)));
            Mistake {
                problem,
                place: at.as_ref().map(|((source, _), span)| source.place(span.start)),
                shown: at.map(|((source, text), span)| Shown {
                    source: NamedSource::new(&source.name, Arc::clone(text)).with_language("TOML"),
                    span,
                }),
                elsewhere,
            }
        };
        let mistakes = found
            .into_iter()
            .map(|found| {
                let elsewhere = found.elsewhere.map(|(at, problem)| Box::new(mistake(Some(at), problem, None)));
                mistake(found.at, found.problem, elsewhere)
            })
            .collect();
        Err(ConfigError { mistakes, more })
    }
}
