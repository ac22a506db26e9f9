use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CheckReport, IntegrationReport, Report, Run};

/// What happens during a run, as it happens: one stream, read by progress and by `--format ndjson`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// When and where.
        run: Run,
        /// How many integrations are checked.
        integrations: usize,
        /// How many checks will run at most.
        checks: usize,
    },
    /// A check begins.
    CheckStarted {
        /// The integration's name.
        integration: String,
        /// The check's id.
        check: String,
    },
    /// A plugin says what a check is doing.
    CheckProgress {
        /// The integration's name.
        integration: String,
        /// The check's id.
        check: String,
        /// What it is doing.
        text: String,
    },
    /// A check has ended or was skipped.
    CheckFinished {
        /// The integration's name.
        integration: String,
        /// What it came to.
        check: Box<CheckReport>,
    },
    /// Every check of an integration has ended.
    IntegrationFinished {
        /// What it came to.
        integration: Box<IntegrationReport>,
    },
    /// The run has ended.
    RunFinished {
        /// The whole report.
        report: Box<Report>,
    },
}
