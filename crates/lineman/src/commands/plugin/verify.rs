//! `lineman plugin verify`.

use std::fs;
use std::path::Path;

use lineman_conformance::{CaseReport, Given, Options, Status, Subject, Verification, junit, verify};
use lineman_host::HostOptions;
use lineman_report::{Style, marked};
use serde_json::Value;

use crate::cli::{Common, FailOn, VerifyArgs, VerifyFormat};
use crate::failure::{Done, Failure};
use crate::terminal::{self, Progress};

pub(super) fn run(common: &Common, args: &VerifyArgs) -> Done {
    let subject = Subject::open(&args.path).map_err(Failure::refused)?;
    let options = Options {
        cases: args.case.clone(),
        given: args.settings.as_deref().map(given).transpose()?.unwrap_or_default(),
        against: args.against.as_deref().map(older).transpose()?,
        jobs: args.jobs.into(),
        calls: usize::try_from(args.calls).unwrap_or(usize::MAX),
    };
    let host = HostOptions::new(std::env::var("PATH").unwrap_or_default());
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Internal(error.to_string()))?;
    let progress = Progress::of("cases", args.format == VerifyFormat::Human);
    let verification = runtime
        .block_on(verify(&subject, &options, host, &|done, of| progress.count(done, of)))
        .map_err(|error| Failure::Internal(error.to_string()))?;
    let bytes = match args.format {
        VerifyFormat::Human => human(&verification, &terminal::style(common)).into_bytes(),
        VerifyFormat::Json => {
            let text = serde_json::to_string_pretty(&verification);
            (text.map_err(|error| Failure::Internal(error.to_string()))? + "\n").into_bytes()
        }
        VerifyFormat::Junit => junit(&verification)?,
    };
    terminal::print(&bytes)?;
    let warned = args.fail_on == FailOn::Warn && verification.summary.warn > 0;
    Ok(u8::from(warned || verification.verdict != Status::Pass))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::refused(format_args!("{}: {error}", path.display())))
}

fn given(path: &Path) -> Result<Given, Failure> {
    Given::parse(&read(path)?).map_err(|error| Failure::refused(format_args!("{}: {error}", path.display())))
}

fn older(path: &Path) -> Result<Value, Failure> {
    let value: Value = serde_json::from_str(&read(path)?)
        .map_err(|error| Failure::refused(format_args!("{}: {error}", path.display())))?;
    if value.get("id").is_none_or(|id| !id.is_string()) {
        return Err(Failure::refused(format_args!("{} is not the description of a plugin", path.display())));
    }
    Ok(value)
}

/// The worst first and in full; then what was not judged, and what passed, in a few lines.
fn human(verification: &Verification, style: &Style) -> String {
    let Verification { plugin, summary, cases, .. } = verification;
    let name = match plugin.id.as_str() {
        "" => plugin.path.clone(),
        id => format!("{id} {}", plugin.version),
    };
    let counts = [
        (summary.crash, "crashed"),
        (summary.fail, "failed"),
        (summary.warn, "warned"),
        (summary.skip, "skipped"),
        (summary.pass, "passed"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
    let says = match verification.verdict {
        Status::Pass if summary.skip > summary.pass => "breaks no promise, and most could not be judged",
        Status::Pass => "keeps its promises",
        _ => "does not keep its promises",
    };
    let head = format!("{name} {says}: of {} cases {}.", cases.len(), counts.join(", "));
    let mut text = marked(mark(verification.verdict), &head, &[], style);
    let mut order: Vec<&CaseReport> = cases.iter().collect();
    order.sort_by_key(|case| std::cmp::Reverse(case.status));
    // What is said in one line is said once of all cases that it is said of.
    let in_full =
        |case: &CaseReport| matches!(case.status, Status::Crash | Status::Fail | Status::Warn) || style.verbose;
    let alike = |a: &&CaseReport, b: &&CaseReport| a.status == b.status && a.seen == b.seen && !in_full(a);
    for cases in order.chunk_by(alike) {
        let Some(case) = cases.first() else { continue };
        text.push('\n');
        let ids: Vec<&str> = cases.iter().map(|case| case.id).collect();
        text += &match case.seen.as_slice() {
            seen if in_full(case) => {
                let mut below: Vec<(&str, &str)> = vec![("", case.protects)];
                below.extend(seen.iter().map(|seen| ("seen: ", seen.as_str())));
                below.extend(case.mend.map(|mend| ("mend: ", mend)));
                marked(mark(case.status), case.id, &below, style)
            }
            [why, ..] => marked(mark(case.status), &format!("{}: {why}", ids.join(", ")), &[], style),
            [] => marked(mark(case.status), &ids.join(", "), &[], style),
        };
    }
    text
}

/// A crash is an error where statuses are shown.
fn mark(status: Status) -> lineman_model::Status {
    match status {
        Status::Pass => lineman_model::Status::Pass,
        Status::Skip => lineman_model::Status::Skip,
        Status::Warn => lineman_model::Status::Warn,
        Status::Fail => lineman_model::Status::Fail,
        Status::Crash => lineman_model::Status::Error,
    }
}
