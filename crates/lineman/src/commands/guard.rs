//! `lineman guard`.

mod again;
mod heard;

use lineman_catalog::Catalog;
use lineman_config::Configured;
use lineman_guard::{Ended, RunError, Supervisor};
use lineman_logs::Ties;
use lineman_model::{Report, Status};
use lineman_report::{Format, Style};

use crate::cli::{Common, GuardArgs};
use crate::commands::check;
use crate::commands::explain::{self, everything_known};
use crate::commands::logs::concerned;
use crate::failure::{self, Done, Failure};
use crate::keeper::Keeper;
use crate::running::{self, Inputs};
use crate::setup::Setup;
use crate::terminal;
use again::{Again, Patience};
use heard::{Heard, Told};

/// Our own refusal to start the command, as of other programs that run one.
pub(crate) const REFUSED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;
const INTERRUPTED: u8 = 130;

/// A command that may start, and what is known to explain its failure with.
struct Ready {
    catalogs: Vec<Catalog>,
    /// Tells which integration a failure is about.
    ties: Ties,
}

pub(crate) fn run(common: &Common, args: &GuardArgs) -> Done {
    Ok(match ready(common, args) {
        Ok(Ok(ready)) => ready.run(common, args),
        Ok(Err(code)) => code,
        Err(failure) => {
            failure.show(common);
            REFUSED
        }
    })
}

/// Checks what the command needs; gives the exit code where it is not to start.
fn ready(common: &Common, args: &GuardArgs) -> Result<Result<Ready, u8>, Failure> {
    let setup = Setup::load_to_run(common, args.trust)?;
    let which = args.which();
    let selected = setup.select(&which)?;
    setup.admit(common, &selected)?;
    setup.warnings().iter().for_each(|warning| failure::warn(warning));
    let catalogs = explain::of(&setup.plugins, &[])?;
    let report = checked(common, &setup, &selected, args)?;
    let name = args.command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    let counted = match report.integrations.as_slice() {
        [one] => one.name.clone(),
        several => format!("{} integrations", several.len()),
    };
    if report.verdict != Status::Pass || !report.run.complete || common.verbose {
        let mut text = Vec::new();
        lineman_report::render(&report, Format::Human, &style(common), &mut text)?;
        terminal::tell(&text);
    }
    if !report.run.complete {
        failure::note(&format!("interrupted, so `{name}` was not started"));
        return Ok(Err(INTERRUPTED));
    }
    if !args.require.accepts(report.verdict) {
        failure::note(&format!(
            "`{name}` was not started: the verdict on {counted} is {}{}",
            report.verdict.as_str(),
            match report.verdict {
                Status::Warn => "; `--require warn` would start it",
                Status::Unknown | Status::Skip => "; `--require unknown` would start it",
                _ => "",
            }
        ));
        return Ok(Err(REFUSED));
    }
    failure::note(&format!("{counted}: {}; starting `{name}`", report.verdict.as_str()));
    let ties = Ties::new(selected.iter().map(|configured| &configured.integration));
    Ok(Ok(Ready { catalogs, ties }))
}

fn checked(common: &Common, setup: &Setup, selected: &[&Configured], args: &GuardArgs) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Internal(error.to_string()))?;
    let done = runtime.block_on(async {
        let keeper = Keeper::for_run(common, &setup.config, &args.run).await;
        let inputs = Inputs::resolve(selected, &args.run, &keeper).await;
        let (given, selection) = (inputs.given.clone(), check::selection(&args.checks));
        let report =
            running::run(setup, selected, inputs, &selection, &args.run, &keeper, running::Told::People).await?;
        keeper.keep(&report, &given);
        Ok(report)
    });
    // Whatever still waits on a blocking thread has nothing to say any more.
    runtime.shutdown_background();
    // What the command leaves behind is nobody's business here.
    lineman_host::disown()?;
    done
}

/// How to print for people on standard error: standard output is the command's.
fn style(common: &Common) -> Style {
    terminal::style_of(common, &std::io::stderr())
}

impl Ready {
    /// Runs the command, as often as it takes; gives the exit code.
    fn run(&self, common: &Common, args: &GuardArgs) -> u8 {
        let catalogs = everything_known(&self.catalogs);
        let supervisor = match Supervisor::new() {
            Ok(supervisor) => supervisor,
            Err(error) => {
                failure::note(&format!("the signals of this process cannot be had: {error}"));
                return REFUSED;
            }
        };
        let name = args.command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
        let mut patience = Patience::new(args.retry, args.retry_delay);
        loop {
            let mut heard = Heard::new(&catalogs, &self.ties);
            let ended = match supervisor.run(&args.command, &mut |stream, bytes| heard.feed(stream, bytes)) {
                Ok(Ended::Code(0)) => return 0,
                Ok(ended) => ended,
                Err(error) => return not_run(&error),
            };
            let how = match ended {
                Ended::Code(code) => format!("`{name}` ended with exit code {code}"),
                Ended::Signal(signal) => format!("`{name}` was ended by signal {signal}"),
            };
            let interrupted = supervisor.asked_to_end().is_some() || matches!(ended, Ended::Signal(_));
            let told = heard.end();
            let why = match patience.judge(&told.known(), interrupted) {
                Again::After(pause, why) => {
                    failure::note(&format!("{how}; {why}"));
                    if supervisor.wait(pause).is_none() {
                        continue;
                    }
                    Some("not run again: interrupted".to_owned())
                }
                Again::Not(why) => why,
            };
            tell(common, &how, &told);
            let concerned = concerned(&told.report.explanation, &self.ties);
            if !concerned.is_empty() {
                failure::note(&format!("look again when that is mended: lineman check {}", concerned.join(" ")));
            }
            if let Some(why) = why {
                failure::note(&why);
            }
            return ended.exit_code();
        }
    }
}

/// The causes, below the command's own output.
fn tell(common: &Common, how: &str, told: &Told<'_>) {
    match told.shown(&style(common)) {
        Some(text) => {
            failure::note(&format!("{how}; in its output:"));
            terminal::tell(format!("\n{text}").as_bytes());
        }
        None => failure::note(&format!("{how}; nothing in its output is a known failure")),
    }
}

fn not_run(error: &RunError) -> u8 {
    failure::note(&error.to_string());
    match error {
        RunError::NotFound(_) => NOT_FOUND,
        RunError::NotExecutable { .. } => NOT_EXECUTABLE,
        RunError::Interrupted(signal) => Ended::Signal(*signal).exit_code(),
        RunError::Empty | RunError::NoStreams(_) | RunError::Lost(_) => REFUSED,
    }
}
