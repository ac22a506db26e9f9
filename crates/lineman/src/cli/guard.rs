//! What is said of a command that is guarded.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueEnum};
use lineman_model::Status;

use super::{Checks, RunArgs, TrustArgs, Which, duration, key_value};

#[derive(Clone, Debug, Args)]
pub(crate) struct GuardArgs {
    /// Check these integrations before; all of them when none is named
    #[arg(long = "for", value_name = "NAME", num_args = 1..)]
    pub(crate) names: Vec<String>,

    /// Only integrations with this label (repeatable, all must hold)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) label: Vec<(String, String)>,

    /// Only integrations with this provider (repeatable)
    #[arg(long, value_name = "ID")]
    pub(crate) provider: Vec<String>,

    /// The worst verdict with which the command is started
    #[arg(long, value_name = "VERDICT", default_value = "warn")]
    pub(crate) require: Require,

    /// Run the command again, up to N times, when every cause found is transient; say so only of a
    /// command that may be repeated
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100))]
    pub(crate) retry: u32,

    /// The longest first pause, twice as long before each further one, unless the provider says
    /// how long to wait
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration, requires = "retry")]
    pub(crate) retry_delay: Duration,

    #[command(flatten, next_help_heading = "The checks before")]
    pub(crate) checks: Checks,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    /// The command and its arguments, as they are
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

impl GuardArgs {
    pub(crate) fn which(&self) -> Which {
        Which { names: self.names.clone(), label: self.label.clone(), provider: self.provider.clone() }
    }
}

/// The worst verdict with which a command is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Require {
    /// Everything passes
    Pass,
    /// Something works and needs attention
    Warn,
    /// Something could not be told, such as while a provider is down
    Unknown,
}

impl Require {
    /// Whether a verdict is good enough.
    pub(crate) fn accepts(self, verdict: Status) -> bool {
        let worst = match self {
            Require::Pass => Status::Pass,
            Require::Warn => Status::Warn,
            Require::Unknown => Status::Unknown,
        };
        // Where nothing was to be told, nothing is known.
        let verdict = if verdict == Status::Skip { Status::Unknown } else { verdict };
        Status::worst([verdict, worst]) == Some(worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_never_good_enough() {
        let accepted = |require: Require| {
            let all = [Status::Pass, Status::Warn, Status::Unknown, Status::Skip, Status::Error, Status::Fail];
            all.into_iter().filter(|verdict| require.accepts(*verdict)).collect::<Vec<_>>()
        };
        assert_eq!(accepted(Require::Pass), [Status::Pass]);
        assert_eq!(accepted(Require::Warn), [Status::Pass, Status::Warn]);
        assert_eq!(accepted(Require::Unknown), [Status::Pass, Status::Warn, Status::Unknown, Status::Skip]);
    }
}
