use std::error::Error;
use std::{fmt, io, iter};

use lineman_model::{Alternative, Cause, Confidence, Evidence, Finding, Remedy, clean_line};

use crate::Fault;

/// A fault met on the way to one endpoint: what it is, what was seen and what to try next.
#[derive(Clone, Debug, PartialEq)]
pub struct PathFailure {
    /// The phase that failed, named as in [`lineman_model::Phase`]; `config` before the first.
    pub phase: &'static str,
    /// The code of its [`Fault`], without a plugin's id.
    pub code: &'static str,
    /// Why it is broken.
    pub cause: Cause,
    /// How sure the cause is.
    pub confidence: Confidence,
    /// One sentence.
    pub message: String,
    /// What was seen, in more words.
    pub detail: Option<String>,
    /// What to try next, most promising first.
    pub remedies: Vec<Remedy>,
    /// Other causes that the same evidence allows, most likely first.
    pub also_possible: Vec<Alternative>,
}

impl PathFailure {
    pub(crate) fn new(fault: Fault, message: impl Into<String>) -> Box<PathFailure> {
        Box::new(PathFailure {
            phase: fault.phase(),
            code: fault.code(),
            cause: fault.cause(),
            confidence: Confidence::Confirmed,
            message: message.into(),
            detail: None,
            remedies: Vec::new(),
            also_possible: Vec::new(),
        })
    }

    pub(crate) fn during(mut self: Box<Self>, phase: &'static str) -> Box<PathFailure> {
        self.phase = phase;
        self
    }

    pub(crate) fn likely(mut self: Box<Self>) -> Box<PathFailure> {
        self.confidence = Confidence::Likely;
        self
    }

    pub(crate) fn detail(mut self: Box<Self>, detail: impl Into<String>) -> Box<PathFailure> {
        self.detail = Some(detail.into()).filter(|detail| !detail.is_empty());
        self
    }

    pub(crate) fn remedy(mut self: Box<Self>, text: impl Into<String>) -> Box<PathFailure> {
        self.remedies.push(Remedy::new(text));
        self
    }

    pub(crate) fn command<const N: usize>(
        mut self: Box<Self>,
        text: impl Into<String>,
        argv: [&str; N],
    ) -> Box<PathFailure> {
        self.remedies.push(Remedy { argv: argv.map(str::to_owned).to_vec(), ..Remedy::new(text) });
        self
    }

    pub(crate) fn or_else(mut self: Box<Self>, cause: Cause, confidence: Confidence) -> Box<PathFailure> {
        self.also_possible.push(Alternative { cause, confidence });
        self
    }

    /// The failure as a finding of a plugin, with the code `<plugin>/<code>`.
    pub fn finding(&self, plugin: &str, evidence: Vec<Evidence>) -> Finding {
        let mut finding = Finding::new(format!("{plugin}/{}", self.code), self.cause.clone(), &self.message);
        finding.confidence = self.confidence;
        finding.detail = self.detail.clone();
        finding.remedies = self.remedies.clone();
        finding.also_possible = self.also_possible.clone();
        finding.evidence = evidence;
        finding
    }
}

impl fmt::Display for PathFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for PathFailure {}

/// An error and what it wraps, outermost first. An error of I/O names as its source not the error
/// that it wraps but that one's source, which would pass over the very error that tells most.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    })
}

/// An error and what it wraps, in one line.
pub(crate) fn told(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = causes(error).map(|error| error.to_string()).collect();
    texts.dedup();
    clean_line(&texts.join(": "), 500)
}
