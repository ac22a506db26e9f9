//! What is said of earlier runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use lineman_report::Format;

use super::{HumanOrJson, RunArgs, TrustArgs, Which, duration, output};

#[derive(Clone, Debug, Args)]
pub(crate) struct RetestArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    /// Compare with a saved report instead of the last run on this machine
    #[arg(long, value_name = "REPORT")]
    pub(crate) from: Option<PathBuf>,

    /// Try again until everything passes
    #[arg(long)]
    pub(crate) until_pass: bool,

    /// How long to wait between two attempts
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, requires = "until_pass")]
    pub(crate) every: Duration,

    /// When to give up
    #[arg(long = "for", value_name = "DURATION", default_value = "15m", value_parser = duration, requires = "until_pass")]
    pub(crate) patience: Duration,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    /// How to print the difference
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: HumanOrJson,

    /// Also write the report of what ran to a file, e.g. `json=report.json` (repeatable)
    #[arg(long, value_name = "FORMAT=FILE", value_parser = output)]
    pub(crate) output: Vec<(Format, PathBuf)>,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    /// How to print the history
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: HumanOrJson,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ExpiringArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    /// How near a date must be
    #[arg(long, value_name = "DAYS", default_value = "30d", value_parser = days)]
    pub(crate) within: SignedDuration,

    /// Read the dates of a saved report instead of the last runs on this machine
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["names", "label", "provider"])]
    pub(crate) from: Option<PathBuf>,

    /// How to print the list
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: HumanOrJson,
}

fn days(text: &str) -> Result<SignedDuration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok()).filter(|days| *days <= 36_500);
    days.map(|days| SignedDuration::from_hours(24 * i64::from(days))).ok_or_else(|| "write it as 30d".to_owned())
}
