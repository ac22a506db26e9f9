use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cause, Finding, Level, SkipReason, Status, Verdict, milliseconds};

/// The name and version of the report's format.
pub const REPORT_SCHEMA: &str = "lineman.report/1";

/// The outcome of one run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`REPORT_SCHEMA`].
    pub schema: String,
    /// When, where and by what.
    pub run: Run,
    /// The worst of the integrations.
    pub verdict: Verdict,
    /// Counts.
    pub summary: Summary,
    /// Root causes over all integrations, the one that explains most first.
    pub causes: Vec<CauseGroup>,
    /// Integrations, by name.
    pub integrations: Vec<IntegrationReport>,
}

/// One run of Lineman.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Unique.
    pub id: String,
    /// When it began.
    #[serde(with = "milliseconds")]
    #[schemars(with = "String")]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(with = "milliseconds")]
    #[schemars(with = "String")]
    pub finished_at: Timestamp,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// Which Lineman.
    pub lineman_version: String,
    /// False when the run was interrupted.
    pub complete: bool,
    /// Where it ran from.
    pub vantage: Vantage,
}

/// Where a run was made from.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Vantage {
    /// `[vantage] name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Host name of the machine.
    #[serde(default)]
    pub host: String,
    /// The proxy that the environment names, without its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The address that the outside saw, where it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_ip: Option<String>,
    /// Set when the kernel could not keep plugins from the user's files, because it has no Landlock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfined: bool,
}

/// Counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Integrations by verdict.
    pub integrations: Tally,
    /// Checks by status.
    pub checks: Tally,
}

/// How many of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tally {
    /// Proved good.
    pub pass: usize,
    /// Works, needs attention.
    pub warn: usize,
    /// Proved broken.
    pub fail: usize,
    /// Could not be told.
    pub unknown: usize,
    /// Lineman or a plugin is at fault.
    pub error: usize,
    /// Not run.
    pub skip: usize,
}

impl Tally {
    /// Counts one.
    pub fn add(&mut self, status: Status) {
        *match status {
            Status::Pass => &mut self.pass,
            Status::Warn => &mut self.warn,
            Status::Fail => &mut self.fail,
            Status::Unknown => &mut self.unknown,
            Status::Error => &mut self.error,
            Status::Skip => &mut self.skip,
        } += 1;
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.pass + self.warn + self.fail + self.unknown + self.error + self.skip
    }
}

impl FromIterator<Status> for Tally {
    fn from_iter<I: IntoIterator<Item = Status>>(statuses: I) -> Tally {
        let mut tally = Tally::default();
        statuses.into_iter().for_each(|status| tally.add(status));
        tally
    }
}

/// One root cause and everything it explains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CauseGroup {
    /// The cause.
    pub cause: Cause,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Ids of the findings.
    pub findings: Vec<String>,
    /// Names of the integrations.
    pub integrations: Vec<String>,
}

/// What a run found out about one integration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IntegrationReport {
    /// Its name.
    pub name: String,
    /// Id of the provider.
    pub provider: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where its runbook is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The plugin that checked it.
    pub plugin: PluginRef,
    /// The worst of its required checks; `unknown` when none ran.
    pub verdict: Verdict,
    /// The highest level up to which everything is proved.
    pub proved: Option<Level>,
    /// What a pass does not say.
    #[serde(default)]
    pub not_proved: Vec<NotProved>,
    /// What is known of its requirements.
    #[serde(default)]
    pub requirements: Vec<RequirementStatus>,
    /// Dates that were read.
    #[serde(default)]
    pub expires: Vec<Expiry>,
    /// What is known of its credentials beside whether they work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<Credential>,
    /// Its checks, in the plugin's order.
    pub checks: Vec<CheckReport>,
}

impl IntegrationReport {
    /// Every finding, in order.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|check| &check.findings)
    }
}

/// Which plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginRef {
    /// Its id.
    pub id: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// SHA-256 of its library, hexadecimal.
    #[serde(default)]
    pub sha256: String,
}

/// Something that a green result does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotProved {
    /// At which level.
    pub level: Level,
    /// What was not proved: `s3:PutObject on arn:…`.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What would let it be proved: a permission, a setting, a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
}

/// What is known of one requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequirementStatus {
    /// Its id in the configuration.
    pub id: String,
    /// `pass`, `fail`, or `unknown` when it was not proved.
    pub status: Status,
}

/// A date after which something stops working.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expiry {
    /// What expires.
    pub what: String,
    /// When.
    #[serde(with = "milliseconds")]
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// What is known of one credential beside whether it works; no part of it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credential {
    /// Name of the secret in the configuration.
    pub secret: String,
    /// By which runs recognise it: an HMAC under the key that `[history] fingerprint_key` refers to.
    /// The host gives it, where there is such a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What the provider calls it, as far as that may be shown: `AKIA…4XYZ`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When the provider made it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "milliseconds::if_any")]
    #[schemars(with = "Option<String>")]
    pub created_at: Option<Timestamp>,
    /// Whether the provider has a newer one of the same owner that is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer_active: Option<bool>,
}

/// What one check came to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CheckReport {
    /// `<plugin>/<kebab-case>`.
    pub id: String,
    /// What it proves.
    pub title: String,
    /// How far up the line.
    pub level: Level,
    /// Whether it counts for the verdict.
    pub required: bool,
    /// What it came to.
    pub status: Status,
    /// How long it took over all attempts, milliseconds.
    pub duration_ms: u64,
    /// Earlier attempts that were retried; empty when the first one stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What took how long, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// Why it was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
    /// What it found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// One attempt of a check that was tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// What it came to.
    pub status: Status,
    /// Why.
    pub cause: Cause,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// One step of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// `proxy`, `dns`, `tcp`, `connect`, `tls`, `http`, or the provider's call.
    pub name: String,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// Whether it succeeded.
    pub ok: bool,
}

/// Why a check was not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skip {
    /// The reason.
    pub reason: SkipReason,
    /// The check that blocked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// One sentence, where the reason alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
