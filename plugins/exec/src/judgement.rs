//! What a program's end means. Its status says how bad it is, its words say why.

use lineman_sdk::ProgramOutput;
use lineman_sdk::prelude::*;

use crate::said::Said;
use crate::{Exec, Proves, invocation, name};

/// The longest summary that a message quotes, characters.
const LONGEST_SUMMARY: usize = 300;
/// Exit statuses of a shell: what it was to run could not be executed, or was not there.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ok,
    Warning,
    Critical,
    Unknown,
    /// With a status that means nothing.
    Status(i32),
    /// By a signal.
    Signal(i32),
}

impl End {
    fn of(output: &ProgramOutput) -> End {
        match output.status {
            Some(0) => End::Ok,
            Some(1) => End::Warning,
            Some(2) => End::Critical,
            Some(3) => End::Unknown,
            Some(status) => End::Status(status),
            None => End::Signal(output.signal.unwrap_or_default()),
        }
    }

    /// The program is asked how bad it is; the cause alone does not tell.
    fn severity(self) -> Severity {
        match self {
            End::Ok => Severity::Info,
            End::Warning => Severity::Warn,
            End::Critical => Severity::Fail,
            End::Unknown | End::Status(_) | End::Signal(_) => Severity::Unknown,
        }
    }
}

/// Runs the program, where it proves this level, and judges it.
pub(crate) async fn check(cx: Cx<Exec>, proves: Proves) -> Outcome {
    let level = cx.settings().level;
    if level != proves {
        return Err(Stop::not_applicable(format!("by its setting `level`, the program proves {}", level.as_str())));
    }
    let output = invocation::run(&cx).await?;
    let end = End::of(&output);
    if end == End::Ok {
        return Ok(());
    }
    let said = Said::read(&output.stdout);
    let all = format!("{}\n{}", said.lines.join("\n"), output.stderr);
    let recognised = cx.recognise(&all, None).or_else(|| cx.recognise_network(&all));
    let mut finding = match recognised {
        Some(finding) => finding,
        None => unrecognised(&cx, end, &said),
    };
    let complaints: Vec<String> = said.measures.iter().filter_map(|measure| measure.complaint()).collect();
    if !complaints.is_empty() && finding.detail.is_none() {
        finding = finding.detail(format!("{}.", complaints.join("; ")));
    }
    Err(with_evidence(finding, name(&cx), &output, &said).severity(end.severity()).into())
}

/// The finding for words that nobody knows.
fn unrecognised(cx: &Cx<Exec>, end: End, said: &Said) -> Finding {
    let name = name(cx);
    let quoted = |word: &str| match said.summary() {
        Some(summary) => format!("`{name}` says: {}", shortened(summary)),
        None => format!("`{name}` says {word}, and nothing else."),
    };
    let look = format!("Look at what `{name}` said.");
    let told = |code, word, cause: &Option<Cause>| {
        let finding = match cause {
            Some(cause) => cx.finding(code, cause.clone(), quoted(word)).confidence(Confidence::Likely),
            None => cx.finding(code, Cause::Undetermined, quoted(word)),
        };
        finding.remedy(&look)
    };
    let causes = &cx.settings().causes;
    match end {
        End::Ok | End::Warning => told("warning", "WARNING", &causes.warning),
        End::Critical => told("critical", "CRITICAL", &causes.critical),
        End::Unknown => told("unknown", "UNKNOWN", &causes.unknown),
        End::Status(NOT_FOUND) => {
            let message = format!("`{name}` ended with status 127: something that it runs is not there.");
            cx.finding("exit-127", Cause::HostToolMissing, message)
                .confidence(Confidence::Likely)
                .remedy(format!("Install what `{name}` runs, or set `env.PATH` to where it is."))
        }
        End::Status(NOT_EXECUTABLE) => {
            let message = format!("`{name}` ended with status 126: something that it runs cannot be executed.");
            cx.finding("exit-126", Cause::ConfigInvalid, message).confidence(Confidence::Likely)
        }
        End::Status(status) => {
            let message = format!("`{name}` ended with status {status}, which says nothing about what it checks.");
            cx.finding("exit-status", Cause::Undetermined, message)
                .remedy(format!("Run `{name}` by hand: it may have failed itself, or be no monitoring plugin."))
        }
        End::Signal(signal) => {
            let message = format!("`{name}` was ended by signal {signal} before it said what it found.");
            cx.finding("killed", Cause::Undetermined, message)
                .remedy(format!("Run `{name}` by hand: it may have crashed, or used more memory than it may."))
        }
    }
}

fn shortened(summary: &str) -> String {
    match summary.char_indices().nth(LONGEST_SUMMARY) {
        Some((end, _)) => format!("{}…", &summary[..end]),
        None => summary.to_owned(),
    }
}

/// Everything that the program said.
fn with_evidence(finding: Finding, name: &str, output: &ProgramOutput, said: &Said) -> Finding {
    let ended = match (output.status, output.signal) {
        (Some(status), _) => format!("{name} (exit status {status})"),
        (None, signal) => format!("{name} (signal {})", signal.unwrap_or_default()),
    };
    let mut finding =
        finding.subject("program", name).evidence(Evidence::Log { source: ended, lines: said.lines.clone() });
    if !output.stderr.trim().is_empty() {
        finding = finding.evidence(Evidence::log(format!("{name}, standard error"), output.stderr.trim_end()));
    }
    if !said.measures.is_empty() {
        let lines = said.measures.iter().map(ToString::to_string).collect();
        finding = finding.evidence(Evidence::Log { source: "performance data".to_owned(), lines });
    }
    finding
}
