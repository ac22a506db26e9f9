use std::collections::BTreeMap;
use std::sync::Arc;

use lineman_model::{Description, Finding, Integration, Level, PluginRef, SecretMap, Severity};

/// One integration to check: what its plugin says of itself, and what the checks work on.
#[derive(Debug)]
pub struct Subject {
    /// The integration. Its name is unique among the subjects of a run.
    pub integration: Integration,
    /// The plugin that checks it.
    pub plugin: PluginRef,
    /// What that plugin says of itself.
    pub description: Arc<Description>,
    /// Its secrets, or why they could not be had. Planning does not look at them.
    pub inputs: Result<SecretMap, Vec<Finding>>,
    /// What the endpoint policy has against it.
    pub policy: Vec<Finding>,
    /// Which checks that write may run.
    pub writes: Writes,
    /// The fingerprints of its secrets that the report is to show, by name.
    pub fingerprints: BTreeMap<String, String>,
}

/// Which of the checks that write at the provider may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writes {
    /// Those that the integration names, by their ids.
    Named(Vec<String>),
    /// None, whatever the integration names: the policy denies it.
    Denied,
}

impl Subject {
    /// Its secrets, if all of them were had.
    pub fn secrets(&self) -> Option<&SecretMap> {
        self.inputs.as_ref().ok()
    }

    /// Everything that speaks against handing it to its plugin.
    pub(crate) fn objections(&self) -> impl Iterator<Item = &Finding> {
        self.inputs.as_ref().err().into_iter().flatten().chain(&self.policy)
    }

    /// Whether it may be handed to its plugin. A suppressed finding is silent here, not mended:
    /// suppression plays no part.
    pub(crate) fn is_admitted(&self) -> bool {
        let refuses = |finding: &Finding| {
            let severity = finding.severity.unwrap_or(Severity::of(&finding.cause, Level::Config));
            finding.cause.is_ours() || matches!(severity, Severity::Fail | Severity::Unknown)
        };
        self.inputs.is_ok() && !self.policy.iter().any(refuses)
    }
}

/// An integration whose plugin could not be had: its verdict is `error`, and the others go on.
#[derive(Debug)]
pub struct Unavailable {
    /// The integration.
    pub integration: Integration,
    /// What is known of the plugin; its id at least.
    pub plugin: PluginRef,
    /// Why it could not be had, with a cause `plugin.…`.
    pub finding: Finding,
}
