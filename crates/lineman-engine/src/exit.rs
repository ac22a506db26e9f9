use lineman_model::{Report, Status};

/// The exit code of a program that makes a report. Public: scripts rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Every required check passed.
    Ok = 0,
    /// Something failed, or warned where warnings are to fail.
    Failed = 1,
    /// The command line, the configuration or the trust in a plugin is wrong; nothing ran. Never
    /// the outcome of a report.
    Usage = 2,
    /// Something could not be told.
    Undetermined = 3,
    /// A plugin or Lineman itself failed.
    Faulty = 4,
    /// The run was interrupted; the report is partial.
    Interrupted = 130,
}

impl ExitCode {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// What makes a run fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailOn {
    /// What is proved broken.
    #[default]
    Fail,
    /// That, and what works but needs attention.
    Warn,
}

/// The exit code of a report. Of several that hold, the first of 1, 4, 3, 0 is given; an
/// interrupted run is always 130.
pub fn exit_code(report: &Report, fail_on: FailOn) -> ExitCode {
    let checks = || report.integrations.iter().flat_map(|it| &it.checks).filter(|check| check.required);
    let warned = || checks().any(|check| check.status == Status::Warn);
    match report.verdict {
        _ if !report.run.complete => ExitCode::Interrupted,
        Status::Fail => ExitCode::Failed,
        _ if fail_on == FailOn::Warn && warned() => ExitCode::Failed,
        Status::Error => ExitCode::Faulty,
        Status::Unknown | Status::Skip => ExitCode::Undetermined,
        Status::Pass | Status::Warn => ExitCode::Ok,
    }
}
