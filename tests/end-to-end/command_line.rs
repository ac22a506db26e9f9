//! Every command as people type it: what it prints, where, and with which exit code.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use lineman_tests::{Outcome, clean_command};
use serde_json::Value;

use crate::bench::Bench;

/// One integration for each verdict.
const CONFIGURATION: &str = r#"version = 1
plugins.enable = ["misbehaving"]

[vantage]
name = "test-bench"

[integration.good]
provider = "misbehaving"
labels = { env = "prod", team = "payments" }
owner = "payments@example.com"
settings.behaviour = "well"

[integration.warned]
provider = "misbehaving"
labels = { env = "prod" }
settings.behaviour = "warn"

[integration.broken]
provider = "misbehaving"
labels = { env = "test" }
owner = "ops@example.com"
settings.behaviour = "fail"

[integration.unset]
provider = "misbehaving"
labels = { env = "test" }
settings.behaviour = "well"
secrets.token = { env = "UNSET_TOKEN" }

[integration.crashed]
provider = "misbehaving"
labels = { env = "test" }
settings.behaviour = "panic"

[integration.late]
provider = "misbehaving"
labels = { env = "test" }
settings.behaviour = "wait-for-ever"
"#;

const EXPIRED: &str = "Error: creating S3 Bucket: An error occurred (ExpiredToken) when calling the CreateBucket \
                       operation: The provided token has expired.\n";

fn bench() -> Result<Bench> {
    let bench = Bench::with(&["checks"])?;
    fs::write(bench.path().join("lineman.toml"), CONFIGURATION)?;
    fs::write(bench.path().join("error.txt"), EXPIRED)?;
    let locked = run(&bench, "plugin lock")?;
    ensure!(locked.exit == 0, "{locked:?}");
    Ok(bench)
}

/// Lineman with the words of a command line.
fn lineman(bench: &Bench, line: &str) -> Command {
    let mut command = bench.command();
    command.args(line.split_whitespace()).env("LINEMAN_PLUGIN_PATH", bench.path().join("plugins"));
    command
}

fn run(bench: &Bench, line: &str) -> Result<Outcome> {
    Outcome::of(&mut lineman(bench, line))
}

/// What a command line comes to: its exit code and what it says, on stdout where it succeeds in
/// answering and on stderr where nothing ran.
fn table(bench: &Bench, rows: &[(&str, i32, &[&str])]) -> Result<()> {
    let mut complaints = Vec::new();
    for (line, exit, says) in rows {
        let outcome = run(bench, line)?;
        if outcome.exit != *exit {
            complaints
                .push(format!("`{line}` gives {}, not {exit}: {}{}", outcome.exit, outcome.stdout, outcome.stderr));
        }
        let (said, silent) =
            if outcome.exit == 2 { (&outcome.stderr, &outcome.stdout) } else { (&outcome.stdout, &outcome.stderr) };
        // Wrapped where the line ends; what is said is the same.
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in says.iter().filter(|words| !flat.contains(**words)) {
            complaints.push(format!("`{line}` does not say `{words}`:\n{said}"));
        }
        if !silent.is_empty() {
            complaints.push(format!("`{line}` speaks on the wrong stream:\n{silent}"));
        }
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

#[test]
fn every_command_says_how_it_is_used() -> Result<()> {
    table(
        &bench()?,
        &[
            (
                "--help",
                0,
                &["Find out why a platform's integrations fail.", "Exit codes: 0 every required check passed"],
            ),
            ("--version", 0, &["lineman 0."]),
            (
                "check --help",
                0,
                &["Examples:", "lineman check --label env=prod --output json=report.json", "--exit-zero"],
            ),
            ("retest --help", 0, &["Examples:", "lineman retest prod-cloud --until-pass --every 30s --for 15m"]),
            ("history --help", 0, &["Examples:", "lineman history prod-cloud"]),
            ("expiring --help", 0, &["Example:", "lineman expiring --within 60d"]),
            ("plan --help", 0, &["Example:", "lineman plan"]),
            ("explain --help", 0, &["Examples:", "2>&1 | lineman explain"]),
            ("logs --help", 0, &["Examples:", "lineman logs build.log", "Exit codes:"]),
            ("render --help", 0, &["Example:", "lineman render report.json"]),
            ("list --help", 0, &["Example:", "lineman list --label team=payments"]),
            ("plugin --help", 0, &["Example:", "lineman plugin info"]),
            ("plugin install --help", 0, &["Examples:", "lineman plugin install acme-1.2.0.tar.gz --enable"]),
            ("plugin remove --help", 0, &["Example:", "lineman plugin remove"]),
            ("plugin enable --help", 0, &["Example:", "lineman plugin enable"]),
            ("plugin disable --help", 0, &["Example:", "lineman plugin disable"]),
            ("plugin lock --help", 0, &["Example:", "lineman plugin lock"]),
            ("plugin enable", 2, &["<ID>"]),
            ("plugin pack --help", 0, &["Examples:", "lineman plugin pack"]),
            ("plugin new --help", 0, &["Example:", "lineman plugin new acme"]),
            ("plugin verify --help", 0, &["Examples:", "lineman plugin verify dist/acme"]),
            ("schema --help", 0, &["Example:", "lineman schema > lineman.schema.json"]),
            ("completions --help", 0, &["Example:", "lineman completions bash"]),
            ("", 2, &["Usage: lineman"]),
            ("chek", 2, &["similar subcommands exist", "'check'"]),
            ("check --formt json", 2, &["unexpected argument '--formt'", "--format"]),
            ("check --format yaml", 2, &["yaml"]),
            ("check --level top", 2, &["top", "config, reach, identity"]),
            ("check --label env", 2, &["write it as KEY=VALUE"]),
            ("check --output report.json", 2, &["write it as FORMAT=FILE"]),
            ("check --timeout 10", 2, &["write it as 10s, 500ms or 2m"]),
            ("check --jobs 0", 2, &["0 is not in 1..=4096"]),
            ("render", 2, &["<REPORT>"]),
        ],
    )
}

#[test]
fn the_exit_code_says_what_the_report_does() -> Result<()> {
    table(
        &bench()?,
        &[
            ("check good", 0, &["1 fine"]),
            ("check good warned", 0, &["1 fine", "The credential ends soon."]),
            ("check good warned --fail-on warn", 1, &["The credential ends soon."]),
            (
                "check broken",
                1,
                &["The provider refuses the credential.", "credential.invalid", "Store the credential again."],
            ),
            ("check broken crashed", 1, &["plugin.crashed", "credential.invalid"]),
            ("check unset", 1, &["credential.missing", "UNSET_TOKEN"]),
            ("check late --timeout 300ms", 3, &["The check did not end in time."]),
            ("check crashed", 4, &["plugin.crashed", "this check panics"]),
            ("check late crashed --timeout 300ms", 4, &["plugin.crashed"]),
            ("check broken crashed --exit-zero", 0, &["plugin.crashed", "credential.invalid"]),
            ("check --label env=prod", 0, &["1 fine"]),
            ("check --label env=prod --label team=payments", 0, &["1 fine"]),
            ("check broken --level config", 0, &["1 fine"]),
            ("check broken --only misbehaving/before", 0, &["1 fine"]),
            ("check broken --skip misbehaving/act", 0, &["1 fine"]),
            ("check --skip lineman/inputs", 2, &["`lineman/inputs` always runs"]),
            ("check nobody", 2, &["no integration is called `nobody`; there is broken, crashed, good"]),
            ("check --provider nobody", 2, &["no integration has the provider `nobody`; there is misbehaving"]),
            ("check --label env=nowhere", 2, &["no integration has these labels"]),
            ("check --only misbehaving/nothing", 2, &["misbehaving/nothing"]),
            ("check --skip nothing/*", 2, &["nothing/*"]),
        ],
    )
}

#[test]
fn a_configuration_that_is_absent_or_wrong_is_explained() -> Result<()> {
    let bench = bench()?;
    table(
        &bench,
        &[
            ("check --config nowhere.toml", 2, &["there is no configuration `nowhere.toml`", "--config FILE"]),
            ("list --config nowhere.toml", 2, &["nowhere.toml"]),
            ("plan --config nowhere.toml", 2, &["nowhere.toml"]),
        ],
    )?;
    fs::write(bench.path().join("lineman.toml"), CONFIGURATION.replace("behaviour = \"fail\"", "behavior = \"fail\""))?;
    let outcome = run(&bench, "check good")?;
    assert_eq!((outcome.exit, outcome.stdout.as_str()), (2, ""));
    insta::assert_snapshot!("configuration-wrong", outcome.stderr);
    fs::write(bench.path().join("lineman.toml"), "version = 1\n[integration.x\n")?;
    let outcome = run(&bench, "check")?;
    assert_eq!((outcome.exit, outcome.stdout.as_str()), (2, ""));
    insta::assert_snapshot!("configuration-no-toml", outcome.stderr);
    Ok(())
}

#[test]
fn failures_are_found_in_logs() -> Result<()> {
    let bench = bench()?;
    let at = bench.path();
    let named = CONFIGURATION.replace(
        "[integration.good]\nprovider = \"misbehaving\"\n",
        "[integration.good]\nprovider = \"misbehaving\"\nconnection.endpoint_url = \"https://api.good.example\"\n",
    );
    fs::write(at.join("lineman.toml"), named)?;
    let failure = "curl: (6) Could not resolve host: api.good.example";
    let log = format!("2026-01-31T12:00:01.1234567Z all is well\n2026-01-31T12:00:02.1234567Z {failure}\n");
    fs::write(at.join("build.log"), log.repeat(3))?;
    fs::write(at.join("nothing.log"), "all is well\n")?;
    fs::write(at.join("packed.bz2"), "BZh91AY&SY")?;
    table(
        &bench,
        &[
            (
                "logs build.log",
                0,
                &["network.dns", "integration good", "3 times", "lines 2 to 6", "lineman retest good"],
            ),
            ("logs nothing.log build.log", 0, &["build.log lines 2 to 6"]),
            ("logs nothing.log", 3, &["Nothing in this log"]),
            ("logs build.log --format github", 0, &["::error file=build.log,line=2,title=network.dns (good)::"]),
            ("logs build.log --format markdown", 0, &["| `network.dns` |"]),
            ("logs build.log --format sarif", 0, &["\"version\": \"2.1.0\""]),
            ("logs nowhere.log build.log", 2, &["nowhere.log cannot be read"]),
            ("logs packed.bz2", 2, &["bzcat"]),
            ("logs build.log --provider nobody", 2, &["no plugin in use is called `nobody`"]),
            ("logs --follow build.log -", 2, &["standard input is followed alone"]),
        ],
    )?;
    let explanation: Value = serde_json::from_str(&run(&bench, "logs --format json build.log")?.stdout)?;
    let schema: Value = serde_json::from_str(&run(&bench, "schema explanation")?.stdout)?;
    ensure!(jsonschema::is_valid(&schema, &explanation), "{explanation:#}");
    let first = &explanation["matches"][0];
    assert_eq!((&first["count"], &first["integration"]), (&3.into(), &"good".into()));
    assert_eq!(first["last"]["time"], "2026-01-31T12:00:02.1234567Z");
    for line in ["logs", "logs -", "logs --follow"] {
        let mut child = lineman(&bench, line).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().context("no stdin")?.write_all(log.as_bytes())?;
        let output = child.wait_with_output()?;
        assert_eq!(output.status.code(), Some(0), "{line}");
        let told = String::from_utf8_lossy(&output.stdout);
        ensure!(told.contains("lineman retest good"), "{line}: {told}");
    }
    Ok(())
}

#[test]
fn an_error_is_explained_however_it_comes() -> Result<()> {
    let bench = bench()?;
    // Without a configuration all installed plugins are asked.
    fs::remove_file(bench.path().join("lineman.toml"))?;
    fs::write(bench.path().join("nothing.txt"), "all is well\n")?;
    fs::write(bench.path().join("unknown.txt"), "answer:\nHTTP/1.1 403 Forbidden\n\nno\n")?;
    let placed = "Error: Unsupported argument\n\n  on main.tf line 3, in resource \"acme_key\" \"k\":\n";
    fs::write(bench.path().join("placed.txt"), placed)?;
    fs::write(bench.path().join("network.txt"), "curl: (6) Could not resolve host: git.example.com\n")?;
    table(
        &bench,
        &[
            ("explain error.txt", 0, &["credential.expired"]),
            ("explain error.txt --provider aws", 0, &["credential.expired"]),
            ("explain error.txt --provider misbehaving", 3, &[]),
            ("explain network.txt", 0, &["network.dns"]),
            ("explain unknown.txt", 0, &["permission.insufficient (possible)", "line 2: HTTP/1.1 403"]),
            ("explain placed.txt", 0, &["config.invalid", "at acme_key.k, main.tf line 3"]),
            ("explain terraform/state-locked", 0, &["resource.conflict"]),
            ("explain general/status-403", 0, &["permission.insufficient"]),
            ("explain nothing.txt", 3, &[]),
            ("explain credential.expired", 0, &["credential.expired", "Known failures with it: aws/"]),
            ("explain no-such-thing", 2, &["`no-such-thing` is no file, no cause and no code"]),
            ("explain error.txt --provider nobody", 2, &["no plugin in use is called `nobody`"]),
            ("explain --format json nothing.txt", 3, &["\"matches\": []"]),
        ],
    )?;
    let explanation: Value = serde_json::from_str(&run(&bench, "explain --format json error.txt")?.stdout)?;
    assert_eq!(explanation["schema"], "lineman.explanation/1");
    let code = explanation["matches"][0]["code"].as_str().context("no match")?;
    ensure!(code.starts_with("aws/"), "{code}");
    table(&bench, &[(&format!("explain {code}"), 0, &["credential.expired"])])?;
    for line in ["explain", "explain -"] {
        let mut child = lineman(&bench, line).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().context("no stdin")?.write_all(EXPIRED.as_bytes())?;
        let output = child.wait_with_output()?;
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), run(&bench, "explain error.txt")?.stdout, "{line}");
    }
    Ok(())
}

#[test]
fn a_saved_report_renders_as_it_was_printed() -> Result<()> {
    let bench = bench()?;
    let outputs = "--output json=report.json --output human=report.txt --output ndjson=report.nd";
    let direct = run(&bench, &format!("check good warned broken unset crashed --format json {outputs}"))?;
    assert_eq!(direct.exit, 1, "{}", direct.stderr);
    let saved = |name: &str| fs::read_to_string(bench.path().join(name));
    assert_eq!(direct.stdout, saved("report.json")?);
    for (line, file) in [
        ("render report.json", "report.txt"),
        ("render report.json --format json", "report.json"),
        ("render report.json --format ndjson", "report.nd"),
    ] {
        let rendered = run(&bench, line)?;
        assert_eq!((rendered.exit, rendered.stdout), (0, saved(file)?), "{line}");
    }
    let from_stdin = Outcome::of(lineman(&bench, "render -").stdin(fs::File::open(bench.path().join("report.json"))?))?;
    assert_eq!((from_stdin.exit, from_stdin.stdout), (0, saved("report.txt")?));
    ensure!(!bench.path().join("report.json.part").exists(), "a half is left");
    fs::write(bench.path().join("other.json"), "{\"schema\":\"lineman.report/9\"}")?;
    table(
        &bench,
        &[
            ("render nowhere.json", 2, &["nowhere.json cannot be read"]),
            ("render error.txt", 2, &["error.txt"]),
            ("render other.json", 2, &["lineman.report/9"]),
            ("check good --output json=/nowhere/report.json", 2, &["/nowhere/report.json cannot be written"]),
        ],
    )
}

#[test]
fn what_is_configured_and_installed_is_listed() -> Result<()> {
    let bench = bench()?;
    for (name, line) in [
        ("list", "list"),
        ("list-label", "list --label env=prod"),
        ("plan", "plan good unset"),
        ("plan-level", "plan good --level config"),
        ("plugin-info", "plugin info misbehaving"),
    ] {
        let outcome = run(&bench, line)?;
        assert_eq!((outcome.exit, outcome.stderr.as_str()), (0, ""), "{line}");
        insta::assert_snapshot!(name, stable(&bench, &outcome.stdout));
    }
    table(
        &bench,
        &[
            ("plugin list", 0, &["misbehaving", "enabled", "aws", "not enabled"]),
            ("plugin info nobody", 2, &["no plugin is called `nobody`; see `lineman plugin list`"]),
            ("list nobody", 2, &["no integration is called `nobody`"]),
            ("plan nobody", 2, &["no integration is called `nobody`"]),
        ],
    )?;
    for line in [
        "list --format json",
        "plan --format json",
        "plugin list --format json",
        "plugin info misbehaving --format json",
    ] {
        let outcome = run(&bench, line)?;
        let value: Value = serde_json::from_str(&outcome.stdout).with_context(|| line.to_owned())?;
        ensure!(outcome.exit == 0 && value.to_string().contains("misbehaving"), "{line}: {value}");
    }
    Ok(())
}

#[test]
fn a_report_reads_well() -> Result<()> {
    let bench = bench()?;
    let outcome = run(&bench, "check good warned broken unset crashed")?;
    assert_eq!((outcome.exit, outcome.stderr.as_str()), (1, ""));
    insta::assert_snapshot!("report", stable(&bench, &outcome.stdout));
    Ok(())
}

/// The text without what differs from run to run and from machine to machine: durations, the
/// directory, where the shell is, and what the kernel can do.
fn stable(bench: &Bench, text: &str) -> String {
    let text = text.replace(&bench.path().display().to_string(), "DIRECTORY");
    let text = text.split("\nHow it is confined here").next().unwrap_or_default();
    let lines = text.lines().map(|line| {
        if line.starts_with("  sh  /") {
            return "  sh  SHELL".to_owned();
        }
        let (rest, unit) = line.rsplit_once(' ').unwrap_or((line, ""));
        let (head, number) = rest.rsplit_once(' ').unwrap_or((rest, ""));
        match (unit, number.parse::<f64>()) {
            ("ms" | "s", Ok(_)) => format!("{} TIME", head.trim_end()),
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_written_is_what_the_schemas_say() -> Result<()> {
    let bench = bench()?;
    let schema = |of: &str| -> Result<Value> {
        let outcome = run(&bench, &format!("schema {of}"))?;
        assert_eq!((outcome.exit, outcome.stderr.as_str()), (0, ""), "{of}");
        let schema: Value = serde_json::from_str(&outcome.stdout)?;
        ensure!(jsonschema::meta::is_valid(&schema), "{of} is no JSON Schema");
        Ok(schema)
    };
    let fits = |of: &str, text: &str| -> Result<()> {
        let value: Value = serde_json::from_str(text).with_context(|| of.to_owned())?;
        let schema = schema(of)?;
        let validator = jsonschema::validator_for(&schema).map_err(|error| anyhow::anyhow!("{of}: {error}"))?;
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        ensure!(errors.is_empty(), "{of}: {errors:#?}");
        ensure!(!validator.is_valid(&serde_json::json!({ "nothing": "of the kind" })), "{of} takes anything");
        Ok(())
    };
    fits("report", &run(&bench, "check good warned broken unset crashed --format json")?.stdout)?;
    let events = run(&bench, "check good broken --format ndjson")?.stdout;
    ensure!(events.lines().count() > 5, "{events}");
    events.lines().try_for_each(|line| fits("event", line))?;
    fits("plan", &run(&bench, "plan --format json")?.stdout)?;
    fs::write(bench.path().join("network.txt"), "curl: (6) Could not resolve host: git.example.com\n")?;
    fits("explanation", &run(&bench, "explain network.txt --format json")?.stdout)?;
    let configuration: toml::Value = toml::from_str(CONFIGURATION)?;
    fits("config", &serde_json::to_string(&configuration)?)
}

#[test]
fn completions_are_for_every_shell() -> Result<()> {
    let bench = bench()?;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = run(&bench, &format!("completions {shell}"))?;
        ensure!(outcome.exit == 0 && outcome.stdout.contains("explain"), "{shell}: {}", outcome.stderr);
    }
    table(&bench, &[("completions tcsh", 2, &["bash"])])?;
    // The shell itself takes it.
    let script =
        format!("eval \"$({} completions bash)\" && complete -p lineman", lineman(&bench, "").get_program().display());
    let loaded = Outcome::of(clean_command("bash").args(["-c", &script]))?;
    ensure!(loaded.exit == 0 && loaded.stdout.contains("lineman"), "{loaded:?}");
    Ok(())
}

#[test]
fn a_reader_that_leaves_is_no_failure() -> Result<()> {
    let bench = bench()?;
    for line in [
        "--help",
        "check good --format human",
        "check good --format json",
        "check good --format ndjson",
        "list",
        "plan",
        "plugin list",
        "plugin info misbehaving",
        "explain credential.expired",
        "schema",
        "completions bash",
    ] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let output = lineman(&bench, line).stdout(writer).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""), "{line}");
    }
    Ok(())
}

#[test]
fn colours_are_for_terminals_that_want_them() -> Result<()> {
    let bench = bench()?;
    let coloured = |line: &str, variables: &[(&str, &str)], terminal: bool| -> Result<bool> {
        let mut command = lineman(&bench, line);
        if terminal {
            // `script` gives it a terminal.
            let words: Vec<String> = std::iter::once(command.get_program())
                .chain(command.get_args())
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            let mut script = clean_command("script");
            script.args(["-qec", &words.join(" "), "/dev/null"]).current_dir(bench.path()).stdin(Stdio::null());
            script
                .env("LINEMAN_PLUGIN_PATH", bench.path().join("plugins"))
                .env("TERM", "xterm")
                .env("HOME", bench.path());
            command = script;
        }
        let outcome = Outcome::of(command.envs(variables.iter().copied()))?;
        ensure!(outcome.exit == 1, "{line}: {outcome:?}");
        Ok(outcome.stdout.contains("\u{1b}["))
    };
    let check = |line: &str, variables: &[(&str, &str)], terminal: bool, expected: bool| -> Result<()> {
        assert_eq!(coloured(line, variables, terminal)?, expected, "{line} {variables:?}, terminal: {terminal}");
        Ok(())
    };
    check("check broken", &[], false, false)?;
    check("check broken --color always", &[], false, true)?;
    check("check broken --color always --output human=report.txt", &[], false, true)?;
    ensure!(!fs::read_to_string(bench.path().join("report.txt"))?.contains('\u{1b}'), "a file is coloured");
    // With a progress line on the terminal's stderr, which `script` shows too, so it is sent away.
    check("check broken 2>/dev/null", &[], true, true)?;
    check("check broken 2>/dev/null", &[("NO_COLOR", "1")], true, false)?;
    check("check broken 2>/dev/null", &[("TERM", "dumb")], true, false)?;
    check("check broken --color never 2>/dev/null", &[], true, false)
}
