use schemars::JsonSchema;
use serde::Serialize;

/// The value of `schema` in every verification of this major version.
pub const VERIFICATION_SCHEMA: &str = "lineman.verification/1";

/// What a plugin's verification came to: what `lineman plugin verify --format json` prints.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verification {
    /// `lineman.verification/1`.
    pub schema: &'static str,
    /// Version of the Lineman that judged.
    pub lineman_version: &'static str,
    /// What was judged.
    pub plugin: Judged,
    /// `pass` when nothing failed or crashed.
    pub verdict: Status,
    /// How many cases came to what.
    pub summary: Tally,
    /// The cases, in the order of the documentation.
    pub cases: Vec<CaseReport>,
}

/// What was judged.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Judged {
    /// Its id; empty when it could not be learnt.
    pub id: String,
    /// Its version; empty when it could not be learnt.
    pub version: String,
    /// Its door: `rust-1`.
    pub door: String,
    /// The path that was given.
    pub path: String,
}

/// What one case came to.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CaseReport {
    /// The case's id.
    pub id: &'static str,
    /// What it protects.
    pub protects: &'static str,
    /// What it came to.
    pub status: Status,
    /// What was seen, when it did not pass: one observation per entry; for `skip`, the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    /// How to mend it, when it failed, crashed or warns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<&'static str>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
}

/// What a case, or a verification, came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The plugin keeps to it.
    Pass,
    /// It could not be judged, with the reason.
    Skip,
    /// It keeps to it, and something deserves attention.
    Warn,
    /// It does not.
    Fail,
    /// The plugin's process ended.
    Crash,
}

impl Status {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Skip => "skip",
            Status::Warn => "warn",
            Status::Fail => "fail",
            Status::Crash => "crash",
        }
    }
}

/// How many cases came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tally {
    /// Kept to.
    pub pass: usize,
    /// With something that deserves attention.
    pub warn: usize,
    /// Not kept to.
    pub fail: usize,
    /// Ended the process.
    pub crash: usize,
    /// Not judged.
    pub skip: usize,
}

impl Verification {
    pub(crate) fn new(plugin: Judged, cases: Vec<CaseReport>) -> Verification {
        let mut summary = Tally::default();
        for case in &cases {
            *match case.status {
                Status::Pass => &mut summary.pass,
                Status::Warn => &mut summary.warn,
                Status::Fail => &mut summary.fail,
                Status::Crash => &mut summary.crash,
                Status::Skip => &mut summary.skip,
            } += 1;
        }
        let verdict = if summary.fail + summary.crash > 0 { Status::Fail } else { Status::Pass };
        Verification {
            schema: VERIFICATION_SCHEMA,
            lineman_version: env!("CARGO_PKG_VERSION"),
            plugin,
            verdict,
            summary,
            cases,
        }
    }
}
