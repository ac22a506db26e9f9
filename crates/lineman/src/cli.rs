//! The command line: what can be said, and which exit code an answer becomes.

mod guard;
mod history;
mod plugin;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use lineman_model::Level;
use lineman_report::Format;

pub(crate) use guard::GuardArgs;
pub(crate) use history::{ExpiringArgs, HistoryArgs, RetestArgs};
pub(crate) use plugin::{InfoFormat, PluginCommand, VerifyArgs, VerifyFormat};

use crate::commands;
use crate::terminal::Colour;

/// Find out why a platform's integrations fail.
///
/// Lineman walks the line of each integration, from its configuration over network, identity,
/// permissions and dependencies to a real read-only operation. It names the cause of what is
/// broken, shows the evidence, says what to do, and lists what a pass did not prove.
#[derive(Debug, Parser)]
#[command(name = "lineman", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    common: Common,
}

const EXIT_CODES: &str = "\
Exit codes: 0 every required check passed · 1 something failed · 2 usage, configuration or trust,
nothing ran · 3 undetermined · 4 a plugin or Lineman failed · 130 interrupted";

const GUARD_HELP: &str = "\
Examples:
  lineman guard -- make deploy
  lineman guard --for prod-cloud prod-git --level access -- make deploy
  lineman guard --require pass --retry 3 -- make deploy

Standard input, terminal and signals are the command's, and so is the exit code; a command that a
signal ended gives 128 and the signal's number. Of its own, guard exits with 125 when it does not
start the command, 126 when the command cannot be run, 127 when there is none, 130 when interrupted.";

/// The configuration file, unless another one is named.
pub(crate) const CONFIGURATION: &str = "lineman.toml";

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", env = "LINEMAN_CONFIG", default_value = CONFIGURATION)]
    pub(crate) config: PathBuf,

    /// Look for plugins here first (absolute; repeatable)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) plugin_dir: Vec<PathBuf>,

    /// When to colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Colour,

    /// Show everything: every check, all evidence
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the checks
    #[command(after_help = "\
Examples:
  lineman check
  lineman check prod-cloud --level identity
  lineman check --label env=prod --output json=report.json")]
    Check(CheckArgs),

    /// Run again what did not pass last time, and show the difference
    #[command(after_help = "\
Examples:
  lineman retest
  lineman retest prod-cloud --until-pass --every 30s --for 15m
  lineman retest --from report.json")]
    Retest(RetestArgs),

    /// Show when integrations last passed, when they broke, and what changed between
    #[command(after_help = "Examples:\n  lineman history\n  lineman history prod-cloud")]
    History(HistoryArgs),

    /// List what ends soon: tokens, keys, certificates; exit code 1 when something does
    #[command(after_help = "Example:\n  lineman expiring --within 60d")]
    Expiring(ExpiringArgs),

    /// Show what a check would do, offline: checks, hosts, provider calls, permissions
    #[command(after_help = "Example:\n  lineman plan prod-cloud")]
    Plan(PlanArgs),

    /// Name the cause of a pasted error, or describe a cause or a finding code
    #[command(after_help = "\
Examples:
  make deploy 2>&1 | lineman explain
  lineman explain error.txt --provider git
  lineman explain credential.expired")]
    Explain(ExplainArgs),

    /// Check, then run a command; when it fails, explain why, and run it again if that may help
    #[command(after_help = GUARD_HELP)]
    Guard(GuardArgs),

    /// Find integration failures in logs, grouped by cause and integration
    #[command(after_help = "\
Exit codes: 0 failures were recognised · 3 none were · 2 usage, configuration, or nothing could be read

Examples:
  lineman logs build.log deploy.log.gz
  kubectl logs deploy/worker | lineman logs
  make deploy 2>&1 | tee deploy.log | lineman logs --follow
  lineman logs -f /var/log/platform.log
  lineman logs job.log --format markdown >> \"$GITHUB_STEP_SUMMARY\"")]
    Logs(LogsArgs),

    /// Show a saved JSON report in another format
    #[command(after_help = "Example:\n  lineman render report.json --format human")]
    Render(RenderArgs),

    /// List the configured integrations
    #[command(after_help = "Example:\n  lineman list --label team=payments")]
    List(ListArgs),

    /// List, describe, install, enable and lock plugins; write, pack and judge new ones
    #[command(subcommand, after_help = "Example:\n  lineman plugin info git")]
    Plugin(PluginCommand),

    /// Print a JSON Schema: of the configuration, for editors, or of an output
    #[command(after_help = "Example:\n  lineman schema > lineman.schema.json")]
    Schema {
        /// What to describe
        #[arg(default_value = "config")]
        of: SchemaOf,
    },

    /// Print a shell's completion script
    #[command(after_help = "Example:\n  lineman completions bash > /etc/bash_completion.d/lineman")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which integrations.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Which {
    /// Integrations, by name; all of them when none is given
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Only integrations with this label (repeatable, all must hold)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) label: Vec<(String, String)>,

    /// Only integrations with this provider (repeatable)
    #[arg(long, value_name = "ID")]
    pub(crate) provider: Vec<String>,
}

/// Which checks.
#[derive(Clone, Debug, Args)]
pub(crate) struct Checks {
    /// Only these checks, and what they need (`git/auth`, `git/*`, `*/reach`; repeatable)
    #[arg(long, value_name = "CHECK")]
    pub(crate) only: Vec<String>,

    /// Not these checks (repeatable)
    #[arg(long, value_name = "CHECK")]
    pub(crate) skip: Vec<String>,

    /// Nothing above this level: config, reach, identity, access, dependency, operation
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level: Option<Level>,
}

/// How much must be known of plugins before a worker starts.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TrustArgs {
    /// Refuse to run without a lock file, instead of writing one on the first run
    #[arg(long)]
    pub(crate) locked: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    #[command(flatten)]
    pub(crate) checks: Checks,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    /// How to print the report: human, json, ndjson
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: Format,

    /// Also write the report to a file, e.g. `json=report.json` (repeatable)
    #[arg(long, value_name = "FORMAT=FILE", value_parser = output)]
    pub(crate) output: Vec<(Format, PathBuf)>,

    /// What makes the exit code 1
    #[arg(long, value_name = "STATUS", default_value = "fail")]
    pub(crate) fail_on: FailOn,

    /// Exit with 0 once the report is written, whatever it says
    #[arg(long)]
    pub(crate) exit_zero: bool,

    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// How long a run may take, and whether it is kept.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RunArgs {
    /// Limit of one check, e.g. `10s`
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// Limit of the whole run
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub(crate) run_timeout: Duration,

    /// Checks at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) jobs: u16,

    /// Keep nothing of this run for `retest`, `history` and `expiring`
    #[arg(long)]
    pub(crate) no_history: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    #[command(flatten)]
    pub(crate) checks: Checks,

    /// How to print the plan
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: HumanOrJson,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A file with the text, `-` for standard input, or a cause or finding code
    #[arg(value_name = "FILE|-|CODE")]
    pub(crate) what: Option<String>,

    /// Look only into the catalog of this provider (repeatable)
    #[arg(long, value_name = "ID")]
    pub(crate) provider: Vec<String>,

    /// How to print the answer
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: HumanOrJson,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LogsArgs {
    /// Logs, also packed with gzip, zstd or xz; `-` or none for standard input
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Go on reading as the logs grow, and tell each new failure at once; Ctrl-C ends it
    #[arg(long, short)]
    pub(crate) follow: bool,

    /// Look only into the catalog of this provider (repeatable)
    #[arg(long, value_name = "ID")]
    pub(crate) provider: Vec<String>,

    /// How to print what was found
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: LogsFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogsFormat {
    Human,
    /// `lineman.explanation/1`
    Json,
    Markdown,
    /// Annotations of GitHub Actions
    Github,
    /// SARIF 2.1.0
    Sarif,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RenderArgs {
    /// A report written with `--format json` or `--output json=FILE`; `-` for standard input
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,

    /// The format to show it in: human, json, ndjson
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) which: Which,

    /// How to print the list
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) format: HumanOrJson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HumanOrJson {
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Fail,
    Warn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// `lineman.toml`, with the settings of the enabled plugins
    Config,
    /// `lineman check --format json`
    Report,
    /// `lineman check --format ndjson`, one line
    Event,
    /// `lineman plan --format json`
    Plan,
    /// `lineman retest --format json`
    Retest,
    /// `lineman history --format json`
    History,
    /// `lineman expiring --format json`
    Expiring,
    /// `lineman explain --format json` and `lineman logs --format json`
    Explanation,
    /// `lineman plugin verify --format json`
    Verification,
}

/// Runs the program.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads to its end is no failure.
            let _ = error.print();
            return match u8::try_from(error.exit_code()) {
                Ok(0) => ExitCode::SUCCESS,
                _ if means_guard(&args) => ExitCode::from(commands::guard::REFUSED),
                code => ExitCode::from(code.unwrap_or(2)),
            };
        }
    };
    let Cli { command, common } = cli;
    let done = match command {
        Command::Check(args) => commands::check::run(&common, &args),
        Command::Retest(args) => commands::retest::run(&common, &args),
        Command::History(args) => commands::history::run(&common, &args),
        Command::Expiring(args) => commands::expiring::run(&common, &args),
        Command::Plan(args) => commands::plan::run(&common, &args),
        Command::Explain(args) => commands::explain::run(&common, &args),
        Command::Guard(args) => commands::guard::run(&common, &args),
        Command::Logs(args) => commands::logs::run(&common, &args),
        Command::Render(args) => commands::render::run(&common, &args),
        Command::List(args) => commands::list::run(&common, &args),
        Command::Plugin(command) => commands::plugin::run(&common, &command),
        Command::Schema { of } => commands::schema::run(&common, of),
        Command::Completions { shell } => commands::completions::run::<Cli>(shell),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => error.show(&common),
    }
}

/// Whether a command line that is wrong was one for `guard`, whose exit codes are otherwise those of
/// the command that it was to run.
fn means_guard(args: &[OsString]) -> bool {
    let forgiving = Cli::command().ignore_errors(true).try_get_matches_from(args);
    forgiving.is_ok_and(|matches| matches.subcommand_name() == Some("guard"))
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

fn output(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, path) = text.split_once('=').ok_or("write it as FORMAT=FILE")?;
    Ok((format.parse::<Format>().map_err(|error| error.to_string())?, PathBuf::from(path)))
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "write it as 10s, 500ms or 2m".to_owned())?;
    let duration = Duration::try_from(span).map_err(|_| "a limit cannot be negative".to_owned())?;
    if duration.is_zero() { Err("a limit cannot be nothing".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "10", "-1s", "0s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
