//! Plan → run → aggregate.
//!
//! The engine is given integrations that are ready to be checked ([`Subject`]), decides which
//! checks run ([`plan`]), runs them as their needs, the [`Limits`] and the clock allow ([`run`]),
//! and makes one [`Report`](lineman_model::Report) of what they found. Whoever really talks to
//! plugins stands behind the [`Executor`] trait; everything that must be the same whatever the
//! plugin is decided here:
//!
//! - **What runs.** Selection, needs, opt-in of what writes. A check whose need is broken is
//!   skipped and names the *root* of the trouble, not the nearest link of the chain. The engine
//!   adds one check of its own in front, [`INPUTS`]: an integration whose secrets do not resolve
//!   or whose endpoints are refused is not handed to its plugin at all.
//! - **When it ends.** Every check, integration and run has a deadline, the executor itself is
//!   watched, and what did not run says so.
//! - **What is tried again.** Only transient causes, never a rejected credential, never a write.
//! - **What it means.** Severities, suppressions, verdicts, the highest level proved and the list
//!   of what was not, root causes over all integrations, the exit code.
//!
//! The report does not depend on the order in which things happened to finish: only its times do.
//!
//! The engine must never load a library, open a connection, read a file or render anything, and
//! it knows no provider.

mod causes;
mod exit;
mod findings;
mod gates;
mod hosts;
mod line;
mod plan;
mod run;
mod selection;
mod stopwatch;
mod subject;
mod tries;
mod vantage;
mod verdict;
mod view;

pub use exit::{ExitCode, FailOn, exit_code};
pub use findings::Suppression;
pub use gates::Limits;
pub use hosts::of as hosts_of;
pub use plan::{INPUTS, PLUGIN, Plan, plan};
pub use run::{Executor, Progress, RunInfo, run};
pub use selection::{PlanError, Selection};
pub use subject::{Subject, Unavailable, Writes};
pub use vantage::Platform;
pub use view::{CheckPlan, IntegrationPlan, PLAN_SCHEMA, PlanView};
