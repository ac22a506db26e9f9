//! `cargo xtask demo`: Lineman at work on a platform of its own, from the sources to a mended fault.
//!
//! What the demo shows is what users run: the installed program, in a child process, on the same
//! terminal. The demo itself only builds, sets the stage and holds the report against what it
//! planted.

mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use lineman_model::{IntegrationReport, Report, Status};
use lineman_tests::target_dir;

use crate::narration::{Step, say};
use crate::release::{forget_accepted, install, shown};
use stage::Stage;

/// What can be said to the demo.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Keep the servers until Ctrl-C, to go on with `lineman` by hand
    #[arg(long)]
    keep: bool,
}

/// Every integration of the demo, with the cause that Lineman is to name; none for a healthy one.
const PLANTED: [(&str, Option<&str>); 10] = [
    ("app-repo", None),
    ("audit-aws", Some("permission.insufficient")),
    ("backup-aws", Some("permission.insufficient")),
    ("docs-repo", None),
    ("infra-repo", Some("ssh.key-format")),
    ("legacy-repo", Some("network.dns")),
    ("mirror-repo", Some("network.tls-expired")),
    ("prod-aws", None),
    ("staging-aws", Some("credential.malformed")),
    ("wiki-repo", Some("network.dns")),
];

/// The one that is mended.
const MENDED: &str = "staging-aws";

/// Runs the demo; an error when a verdict was not the planted one.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let directory = target_dir().join("demo");
    fs::create_dir_all(&directory)?;
    let healthy = PLANTED.iter().filter(|(_, cause)| cause.is_none()).count();
    let broken = PLANTED.len() - healthy;

    say(format!("Lineman's demo: a platform with {} integrations, {broken} of them broken.\n", PLANTED.len()));
    let program = install(&directory, "release", &["aws", "git"].map(str::to_owned))?;
    forget_accepted(&directory)?;
    say(format!("Lineman and the plugins aws and git are built, and installed in {}.", shown(&directory)));
    let stage = {
        let _step = Step::new("starting the lab and writing the configuration");
        Stage::set(&directory)?
    };
    let demo = Demo { program, directory };
    say("A simulated AWS and real Git servers, over SSH and HTTPS, listen on loopback.");
    say(format!("{} describes the platform. Lineman walks every line of it:\n", shown(&demo.configuration())));

    demo.check(&[], "report.json", 1, &PLANTED)?;

    let file = stage.mend()?;
    say(format!("\nNow {MENDED} is mended: {} gets the secret that belongs to its key.\n", shown(&file)));
    demo.check(&[MENDED], "mended.json", 0, &[(MENDED, None)])?;

    say(format!(
        "\nEvery verdict is the one that was planted: {healthy} healthy, {broken} broken, 1 mended. \
         The demo took {} s.",
        started.elapsed().as_secs()
    ));
    let lineman = shown(&demo.program);
    let configuration = shown(&demo.configuration());
    if arguments.keep {
        say("\nThe servers stay until Ctrl-C. Run next, in another terminal in this directory:\n");
        say(format!("  {lineman} check --config {configuration} --verbose"));
        return wait();
    }
    say("\nRun next, to see every cause with all its evidence:\n");
    say(format!("  {lineman} render {} --verbose", shown(&demo.directory.join("report.json"))));
    say("\nThe servers are gone now; `cargo xtask demo --keep` keeps them, to go on with `lineman check` by hand.");
    Ok(())
}

struct Demo {
    program: PathBuf,
    directory: PathBuf,
}

impl Demo {
    fn configuration(&self) -> PathBuf {
        self.directory.join("lineman.toml")
    }

    /// Runs `lineman check` on the terminal, and holds its report against what was planted.
    fn check(&self, names: &[&str], report: &str, exit: i32, planted: &[(&str, Option<&str>)]) -> Result<()> {
        let report = self.directory.join(report);
        // The report of an earlier demo must not be taken for this one's.
        let _ = fs::remove_file(&report);
        let mut arguments = vec!["check".to_owned()];
        arguments.extend(names.iter().map(|name| (*name).to_owned()));
        arguments.extend(["--config".to_owned(), shown(&self.configuration())]);
        arguments.extend(["--output".to_owned(), format!("json={}", shown(&report))]);
        say(format!("$ {} {}\n", shown(&self.program), arguments.join(" ")));
        let mut command = Command::new(&self.program);
        // What is planted here is no part of anybody's history.
        command.args(&arguments).env("XDG_STATE_HOME", self.directory.join("state"));
        // What points Lineman elsewhere, or loopback through a proxy, belongs to another platform.
        for (name, _) in std::env::vars_os() {
            let upper = name.to_string_lossy().to_uppercase();
            if upper.starts_with("LINEMAN_") || upper.ends_with("_PROXY") {
                command.env_remove(&name);
            }
        }
        let status = command.status().with_context(|| format!("{} cannot be started", self.program.display()))?;
        let report = read(&report)?;
        let differences = differences(&report, planted);
        ensure!(differences.is_empty(), "the report is not what was planted:\n  {}", differences.join("\n  "));
        ensure!(status.code() == Some(exit), "lineman ended with {status}, and {exit} was due");
        Ok(())
    }
}

fn read(file: &Path) -> Result<Report> {
    let text = fs::read_to_string(file).with_context(|| format!("lineman wrote no {}", shown(file)))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no report", shown(file)))
}

/// What a report says otherwise than it should, a line for each integration.
fn differences(report: &Report, planted: &[(&str, Option<&str>)]) -> Vec<String> {
    let said = |name: &str| report.integrations.iter().find(|one| one.name == name).map(outcome);
    let differs = |&(name, cause): &(&str, Option<&str>)| {
        let due = match cause {
            Some(cause) => (Status::Fail, cause),
            None => (Status::Pass, "no cause"),
        };
        match said(name) {
            Some(said) if said == due => None,
            Some((verdict, cause)) => Some(format!(
                "{name}: {} with {} was due, and it is {} with {cause}",
                due.0.as_str(),
                due.1,
                verdict.as_str()
            )),
            None => Some(format!("{name} is not in the report")),
        }
    };
    planted.iter().filter_map(differs).collect()
}

/// The verdict on an integration and the cause of the first finding that made it so.
fn outcome(integration: &IntegrationReport) -> (Status, &str) {
    let decisive = integration.findings().find(|finding| finding.status() == integration.verdict);
    (integration.verdict, decisive.map_or("no cause", |finding| finding.cause.as_str()))
}

fn wait() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(tokio::signal::ctrl_c())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_holds_what_is_planted() {
        let configuration: toml::Table = toml::from_str(include_str!("demo/lineman.toml")).unwrap();
        let mut configured: Vec<&str> =
            configuration["integration"].as_table().unwrap().keys().map(String::as_str).collect();
        configured.sort_unstable();
        assert_eq!(configured, PLANTED.map(|(name, _)| name));
        assert!(PLANTED.iter().any(|(name, cause)| *name == MENDED && cause.is_some()));
    }

    #[test]
    fn a_report_that_says_otherwise_is_told_apart() {
        let report: Report = serde_json::from_str(
            r#"{"schema":"lineman.report/1","run":{"id":"1","started_at":"2026-01-01T00:00:00.000Z",
                "finished_at":"2026-01-01T00:00:00.000Z","duration_ms":0,"lineman_version":"0.1.0","complete":true,
                "vantage":{}},"verdict":"fail","summary":{"integrations":{},"checks":{}},"causes":[],"integrations":[
                {"name":"good","provider":"p","plugin":{"id":"p"},"verdict":"pass","proved":"reach","checks":[]},
                {"name":"bad","provider":"p","plugin":{"id":"p"},"verdict":"fail","proved":null,"checks":[
                    {"id":"p/reach","title":"t","level":"reach","required":true,"status":"fail","duration_ms":0,
                     "findings":[{"id":"1","code":"p/x","cause":"network.dns","confidence":"confirmed",
                                  "severity":"fail","message":"m"}]}]}]}"#,
        )
        .unwrap();
        let check =
            |planted: &[(&str, Option<&str>)], expect: &[&str]| assert_eq!(differences(&report, planted), expect);
        check(&[("good", None), ("bad", Some("network.dns"))], &[]);
        check(&[("good", Some("network.dns"))], &["good: fail with network.dns was due, and it is pass with no cause"]);
        check(&[("bad", None)], &["bad: pass with no cause was due, and it is fail with network.dns"]);
        check(&[("none", None)], &["none is not in the report"]);
    }
}
