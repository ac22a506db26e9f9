use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Finding, Severity};

/// The outcome of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Proved good.
    Pass,
    /// Works, needs attention.
    Warn,
    /// Proved broken.
    Fail,
    /// Ran and could not tell.
    Unknown,
    /// Not run, with a reason.
    Skip,
    /// Lineman or a plugin is at fault.
    Error,
}

impl Status {
    /// The status that a check's findings make: the worst of them; no finding is a pass.
    ///
    /// Findings that are suppressed and findings for information do not count.
    pub fn of(findings: &[Finding]) -> Status {
        let worst = findings.iter().filter(|finding| finding.suppressed.is_none()).map(Finding::status);
        Status::worst(worst).unwrap_or(Status::Pass)
    }

    /// The worst of several outcomes: fail > error > unknown > warn > pass. Skips do not count.
    pub fn worst(statuses: impl IntoIterator<Item = Status>) -> Option<Status> {
        statuses.into_iter().filter(|status| *status != Status::Skip).max_by_key(|status| status.weight())
    }

    fn weight(self) -> u8 {
        match self {
            Status::Skip | Status::Pass => 0,
            Status::Warn => 1,
            Status::Unknown => 2,
            Status::Error => 3,
            Status::Fail => 4,
        }
    }

    /// Whether what needs this check may run: it passed, or works with a warning.
    pub fn is_good(self) -> bool {
        matches!(self, Status::Pass | Status::Warn)
    }

    /// The status's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Warn => "warn",
            Status::Fail => "fail",
            Status::Unknown => "unknown",
            Status::Skip => "skip",
            Status::Error => "error",
        }
    }
}

impl From<Severity> for Status {
    fn from(severity: Severity) -> Status {
        match severity {
            Severity::Info => Status::Pass,
            Severity::Warn => Status::Warn,
            Severity::Unknown => Status::Unknown,
            Severity::Fail => Status::Fail,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a run or an integration comes to: a [`Status`] that is never `skip`.
///
/// If no required check ran, the verdict is `unknown`, never `pass`.
pub type Verdict = Status;

/// Why a check was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// A check that it needs did not pass.
    Blocked,
    /// There is nothing to check for this integration.
    NotApplicable,
    /// The run was asked for something else.
    NotRequested,
    /// A policy of the configuration forbids it.
    Policy,
    /// An optional setting or secret that it works on is absent.
    MissingInput,
    /// The run was interrupted.
    Cancelled,
}

impl SkipReason {
    /// The reason's word.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::Blocked => "blocked",
            SkipReason::NotApplicable => "not-applicable",
            SkipReason::NotRequested => "not-requested",
            SkipReason::Policy => "policy",
            SkipReason::MissingInput => "missing-input",
            SkipReason::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Status::*;
    use super::*;

    #[test]
    fn the_worst_outcome_wins_and_skips_do_not_count() {
        let worst = |statuses: &[Status]| Status::worst(statuses.iter().copied());
        assert_eq!(worst(&[Pass, Warn, Unknown, Error, Fail]), Some(Fail));
        assert_eq!(worst(&[Pass, Unknown, Error]), Some(Error));
        assert_eq!(worst(&[Warn, Unknown]), Some(Unknown));
        assert_eq!(worst(&[Skip, Pass]), Some(Pass));
        assert_eq!(worst(&[Skip]), None);
    }
}
