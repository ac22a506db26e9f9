//! What stops a command before it has an answer, and the exit code that it becomes.

use std::io;
use std::process::ExitCode;

use lineman_config::ConfigError;
use lineman_engine::ExitCode as Code;

use crate::cli::Common;
use crate::terminal;

/// What a command gives: its exit code, or what stopped it.
pub(crate) type Done = Result<u8, Failure>;

/// What stopped a command.
pub(crate) enum Failure {
    /// The configuration is wrong; shown with file, line and caret.
    Config(Box<ConfigError>),
    /// What was asked for cannot be done; nothing ran.
    Refused(String),
    /// Lineman itself failed.
    Internal(String),
    /// Whoever read the output has gone, which is their right.
    BrokenPipe,
}

impl Failure {
    /// A refusal, with an optional remedy after it.
    pub(crate) fn refused(problem: impl std::fmt::Display) -> Failure {
        Failure::Refused(problem.to_string())
    }

    /// Tells the user, on stderr.
    #[expect(clippy::print_stderr, reason = "the one place where a command's failure is told")]
    pub(crate) fn show(self, common: &Common) -> ExitCode {
        match self {
            Failure::BrokenPipe => ExitCode::SUCCESS,
            Failure::Config(error) => {
                eprint!("{}", terminal::diagnostic(&*error, common.color));
                ExitCode::from(Code::Usage.code())
            }
            Failure::Refused(problem) => {
                eprintln!("lineman: {}", lineman_model::clean(&problem, 4000));
                ExitCode::from(Code::Usage.code())
            }
            Failure::Internal(problem) => {
                eprintln!("lineman: {}", lineman_model::clean(&problem, 4000));
                ExitCode::from(Code::Faulty.code())
            }
        }
    }
}

/// Tells the user, on stderr, of something that stops nothing.
pub(crate) fn warn(problem: &str) {
    note(&format!("warning: {problem}"));
}

/// Tells the user, on stderr, of something that was done beside what was asked for.
#[expect(clippy::print_stderr, reason = "the one place where something is told beside the output")]
pub(crate) fn note(what: &str) {
    eprintln!("lineman: {}", lineman_model::clean(what, 4000));
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Config(Box::new(error))
    }
}

impl From<lineman_host::HostError> for Failure {
    fn from(error: lineman_host::HostError) -> Failure {
        Failure::Internal(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Internal(format!("the output could not be written: {error}")),
        }
    }
}
