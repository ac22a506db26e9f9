use lineman_model::{Finding, SkipReason};

/// What a check returns: `Ok(())` when it has nothing more to say, or why it stopped early.
///
/// `Ok` is no verdict: a check passes when it reported nothing bad. So `?` on a call that
/// failed, and `return Err(finding.into())`, both mean "report this and stop".
pub type Outcome = Result<(), Stop>;

/// Why a check stopped before its end.
///
/// It can be cloned, so that what the checks of an integration share can be a
/// [`Once`](crate::Once): a credential that was rejected once is not tried again.
#[derive(Clone, Debug)]
pub struct Stop(pub(crate) Why);

#[derive(Clone, Debug)]
pub(crate) enum Why {
    Finding(Box<Finding>),
    Skip { reason: SkipReason, why: String },
    AlreadyReported,
}

impl Stop {
    /// There is nothing to check for this integration, with the reason as a clause:
    /// `no role is configured`.
    pub fn not_applicable(why: impl Into<String>) -> Stop {
        Stop(Why::Skip { reason: SkipReason::NotApplicable, why: why.into() })
    }

    /// An optional setting or secret is absent that the check works on.
    pub fn missing_input(why: impl Into<String>) -> Stop {
        Stop(Why::Skip { reason: SkipReason::MissingInput, why: why.into() })
    }

    /// Everything was said in findings that were reported before.
    pub fn reported() -> Stop {
        Stop(Why::AlreadyReported)
    }

    /// The finding that stopped the check, where one did.
    pub fn finding(&self) -> Option<&Finding> {
        match &self.0 {
            Why::Finding(finding) => Some(finding),
            Why::Skip { .. } | Why::AlreadyReported => None,
        }
    }

    /// Turns the finding that stopped the check, where one did, into another.
    pub fn map(self, change: impl FnOnce(Finding) -> Finding) -> Stop {
        match self.0 {
            Why::Finding(finding) => change(*finding).into(),
            other => Stop(other),
        }
    }
}

impl From<Finding> for Stop {
    fn from(finding: Finding) -> Stop {
        Stop(Why::Finding(Box::new(finding)))
    }
}
