//! `lineman guard`: a command runs as if it were run alone, and its failure is explained.

mod terminal;
mod tools;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use lineman_tests::{Outcome, clean_command};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, mark, marked};

/// Catalogs of real providers, and integrations that need none.
const CONFIGURATION: &str = r#"version = 1
plugins.enable = ["misbehaving", "aws", "git", "github", "gitlab", "kubernetes"]

[integration.good]
provider = "misbehaving"
labels = { env = "prod" }
settings.behaviour = "well"

[integration.warned]
provider = "misbehaving"
settings.behaviour = "warn"

[integration.broken]
provider = "misbehaving"
settings.behaviour = "fail"

[integration.untold]
provider = "misbehaving"
settings.behaviour = "throttled"

[integration.code]
provider = "git"
settings.url = "https://git.example.com/acme/app.git"
"#;

const THROTTLED: &str =
    "An error occurred (ThrottlingException) when calling the CreateBucket operation: Rate exceeded";
const IN_PROGRESS: &str = "An error occurred (OperationAborted) when calling the CreateBucket operation: A conflicting \
                           conditional operation is currently in progress against this resource. Please try again.";
/// Conflicts that end by themselves, and one that does not.
const MODIFIED: &str = "Error from server (Conflict): Operation cannot be fulfilled on deployments.apps \"web\": the \
                        object has been modified; please apply your changes to the latest version and try again";
const ENDING: &str = "Error from server (AlreadyExists): object is being deleted: namespaces \"web\" already exists";
const OWNED: &str = "error: Apply failed with 1 conflict: conflict with \"kubectl\" using apps/v1: .spec.replicas";
const MERGING: &str = "GraphQL: Base branch was modified. Review and try the merge again. (mergePullRequest)";
const RESOURCE_LOCK: &str = "gitlab.exceptions.GitlabUpdateError: 409: 409 Conflict: Resource lock";
const DENIED: &str = "An error occurred (AccessDenied) when calling the CreateBucket operation: Access Denied";
/// Recorded from Terraform with a state in DynamoDB.
const LOCKED: &str = "Error: Error acquiring the state lock\n\nError message: operation error DynamoDB: PutItem, https \
                      response error StatusCode: 400, RequestID: 1, ConditionalCheckFailedException: The conditional \
                      request failed\nLock Info:\n  ID:        1-2\n  Who:       ci@host";

fn bench() -> Result<Bench> {
    let bench = Bench::with(&["checks"])?;
    fs::write(bench.path().join("lineman.toml"), CONFIGURATION)?;
    let locked = Outcome::of(lineman(&bench).args(["plugin", "lock"]))?;
    ensure!(locked.exit == 0, "{locked:?}");
    Ok(bench)
}

/// Lineman, with the signals of whoever starts something in the foreground: the test itself may run
/// in the background.
fn lineman(bench: &Bench) -> Command {
    by(bench, &["env", "--default-signal"], &bench.command())
}

/// A command below `lineman guard`, for an integration that passes.
fn guarding(bench: &Bench, command: &[&str]) -> Command {
    let mut guard = lineman(bench);
    guard.args(["guard", "--for", "good", "--"]).args(command);
    guard
}

/// A command behind a program that runs it.
fn by(bench: &Bench, program: &[&str], command: &Command) -> Command {
    let mut outer = clean_command(program[0]);
    outer.args(&program[1..]).arg(command.get_program()).args(command.get_args());
    outer.envs(bench.command().get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.env("LINEMAN_PLUGIN_PATH", bench.path().join("plugins"));
    outer.current_dir(bench.path()).stdin(Stdio::null());
    outer
}

/// What a shell script comes to.
fn guarded(bench: &Bench, script: &str) -> Result<Outcome> {
    Outcome::of(&mut guarding(bench, &["sh", "-c", script]))
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_exit_code_is_the_commands_or_says_why_there_was_none() -> Result<()> {
    let bench = bench()?;
    let mute = bench.path().join("mute");
    fs::write(&mute, "neither a program nor a script")?;
    fs::set_permissions(&mute, PermissionsExt::from_mode(0o644))?;
    let mute = mute.to_str().context("a path")?;
    let rows: &[(&[&str], i32, &str)] = &[
        (&["--for", "good", "--", "true"], 0, "lineman: good: pass; starting `true`"),
        (&["--for", "good", "--", "sh", "-c", "exit 1"], 1, "`sh` ended with exit code 1"),
        (&["--for", "good", "--", "sh", "-c", "exit 42"], 42, "exit code 42"),
        (&["--for", "good", "--", "sh", "-c", "exit 255"], 255, "exit code 255"),
        (&["--for", "good", "--", "sh", "-c", "kill -9 $$"], 137, "ended by signal 9"),
        (&["--for", "good", "--", "sh", "-c", "kill -TERM $$"], 143, "ended by signal 15"),
        (&["--for", "good", "--", mute], 126, "cannot be run: Permission denied"),
        (&["--for", "good", "--", "no-such-program"], 127, "there is no program `no-such-program`"),
        // Its own refusals; a command that is started would give 77.
        (&["--", "sh", "-c", "exit 77"], 125, "`sh` was not started: the verdict on 5 integrations is fail"),
        (&["--for", "broken", "--require", "unknown", "--", "sh", "-c", "exit 77"], 125, "The provider refuses"),
        (&["--for", "good", "warned", "--", "sh", "-c", "exit 77"], 77, "The credential ends soon."),
        (
            &["--for", "warned", "--require", "pass", "--", "sh", "-c", "exit 77"],
            125,
            "`--require warn` would start it",
        ),
        (&["--for", "untold", "--", "sh", "-c", "exit 77"], 125, "`--require unknown` would start it"),
        (&["--for", "untold", "--require", "unknown", "--", "sh", "-c", "exit 77"], 77, "starting `sh`"),
        (&["--for", "broken", "--level", "config", "--", "sh", "-c", "exit 77"], 77, "starting `sh`"),
        (&["--label", "env=prod", "--", "sh", "-c", "exit 77"], 77, "good: pass"),
        (&["--for", "nobody", "--", "sh", "-c", "exit 77"], 125, "no integration is called `nobody`"),
        (&["--config", "no.toml", "--", "sh", "-c", "exit 77"], 125, "there is no configuration"),
        (&["--for", "good"], 125, "required arguments were not provided"),
        (&["--no-such-flag", "--", "true"], 125, "unexpected argument"),
        (&["--help"], 0, ""),
    ];
    let mut complaints = Vec::new();
    for (arguments, exit, says) in rows {
        let outcome = Outcome::of(lineman(&bench).arg("guard").args(*arguments))?;
        if outcome.exit != *exit || !flat(&outcome.stderr).contains(says) {
            complaints.push(format!(
                "{arguments:?} gives {}, not {exit}, or lacks `{says}`: {}",
                outcome.exit, outcome.stderr
            ));
        }
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

#[test]
fn bytes_pass_as_they_are() -> Result<()> {
    let bench = bench()?;
    let every: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut child = guarding(&bench, &["sh", "-c", "tee copy; cat copy >&2; pwd; echo $VARIABLE"])
        .env("VARIABLE", "untouched")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("an input")?;
    let sent = every.clone();
    let sender = std::thread::spawn(move || input.write_all(&sent));
    let output = child.wait_with_output()?;
    sender.join().expect("it does not panic")?;
    let after = format!("{}\nuntouched\n", fs::canonicalize(bench.path())?.display());
    ensure!(output.stdout == [&every, after.as_bytes()].concat(), "standard output differs");
    let first = output.stderr.iter().position(|byte| *byte == b'\n').context("a first line")? + 1;
    ensure!(output.stderr[first..] == every, "standard error differs");
    Ok(())
}

/// All that a process is given by the one that starts it; of signals, those that are not the C
/// library's own.
const INHERITED: &str = "env | sort; pwd; umask; ulimit -a; cut -d' ' -f5-8 /proc/self/stat; ls /proc/self/fd; \
                         grep -E '^(NoNewPrivs|Seccomp|Cap.*):' /proc/self/status; \
                         grep -E '^Sig(Ign|Blk|Cgt):' /proc/self/status | cut -c 1-8,18-";

#[test]
fn a_command_is_given_what_it_would_be_given_alone() -> Result<()> {
    let bench = bench()?;
    // As `nohup` and shells start what runs in the background.
    for before in ["", "trap '' HUP INT QUIT; "] {
        let started = |command: &Command| {
            let before = format!("{before}exec \"$@\"");
            Outcome::of(&mut by(&bench, &["env", "--default-signal", "sh", "-c", &before, "sh"], command))
        };
        let (mut alone, mut guard) = (Command::new("sh"), bench.command());
        alone.args(["-c", INHERITED]);
        guard.args(["guard", "--for", "good", "--", "sh", "-c", INHERITED]);
        let (alone, guarded) = (started(&alone)?, started(&guard)?);
        ensure!(alone.exit == 0 && alone.stdout == guarded.stdout, "{}\nis not\n{}", guarded.stdout, alone.stdout);
    }
    Ok(())
}

#[test]
fn what_a_command_leaves_behind_is_not_adopted() -> Result<()> {
    let bench = bench()?;
    for name in ["gate", "parent"] {
        let made = Command::new("mkfifo").arg(bench.path().join(name)).status()?;
        ensure!(made.success());
    }
    let script = "(sh -c 'read go <gate; cut -d\" \" -f4 /proc/$$/stat >parent' &); read go; exit 0";
    let mut guard = guarding(&bench, &["sh", "-c", script]);
    let mut child = guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    fs::write(bench.path().join("gate"), "go\n")?;
    let parent = fs::read_to_string(bench.path().join("parent"))?;
    ensure!(parent.trim() != child.id().to_string(), "its guard is its parent");
    child.stdin.take().context("an input")?.write_all(b"go\n")?;
    ensure!(child.wait()?.success());
    Ok(())
}

#[test]
fn one_pipe_for_both_streams_keeps_their_order() -> Result<()> {
    let bench = bench()?;
    let (mut reader, writer) = std::io::pipe()?;
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done";
    let mut guard = guarding(&bench, &["sh", "-c", script]);
    let mut child = guard.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    drop(guard);
    let mut said = String::new();
    reader.read_to_string(&mut said)?;
    ensure!(child.wait()?.success());
    let expected: String = (1..=9).map(|i| format!("out {i}\nerr {i}\n")).collect();
    ensure!(said.ends_with(&expected), "{said}");
    Ok(())
}

/// The most memory that a process had, kilobytes.
fn peak(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a peak")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn a_hundred_megabytes_pass_in_little_memory() -> Result<()> {
    const SIZE: u64 = 100 << 20;
    let bench = bench()?;
    let script = format!(
        "echo first; read go; yes 'acme_key.k: Still creating... [10s elapsed]' | head -c {SIZE}; echo '{THROTTLED}'; read go; exit 6"
    );
    let mut guard = guarding(&bench, &["sh", "-c", &script]);
    let mut child = guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut input, mut output) = (child.stdin.take().context("an input")?, child.stdout.take().context("an output")?);
    output.read_exact(&mut [0; 6])?;
    let before = peak(child.id())?;
    input.write_all(b"\n")?;
    let expected = SIZE + THROTTLED.len() as u64 + 1;
    let passed = std::io::copy(&mut output.by_ref().take(expected), &mut std::io::sink())?;
    let after = peak(child.id())?;
    input.write_all(b"\n")?;
    let ended = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(passed == expected, "{passed} bytes passed, not {expected}");
    ensure!(ended.status.code() == Some(6) && flat(&said).contains("aws/"), "{ended:?}");
    ensure!(after - before < 24 * 1024, "it took {} kB more", after - before);
    Ok(())
}

#[test]
fn a_command_that_never_ends_is_ended_by_who_ends_its_guard() -> Result<()> {
    let bench = bench()?;
    for (signal, exit) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let mark = mark(&bench);
        let mut guard = guarding(&bench, &["sh", "-c", "echo ready; exec tail -f /dev/null --retry -- \"$0\"", &mark]);
        let mut child = guard.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdout.as_mut().context("an output")?.read_exact(&mut [0; 6])?;
        let pid = Pid::from_raw(child.id().cast_signed()).context("a process")?;
        kill_process(pid, signal)?;
        let ended = child.wait_with_output()?;
        ensure!(ended.status.code() == Some(exit), "{signal:?}: {ended:?}");
        ensure!(marked(&mark).is_empty(), "{signal:?}: the command lives on");
    }
    // What the command leaves behind is not waited for, and not ended.
    let mark = mark(&bench);
    let outcome = guarded(
        &bench,
        &format!(
            "sh -c 'while :; do sleep 1; done' '{mark}' & until grep -aq while /proc/$!/cmdline; do :; done; echo left"
        ),
    )?;
    let left = marked(&mark);
    for pid in &left {
        kill_process(*pid, Signal::KILL)?;
    }
    ensure!(outcome.exit == 0 && outcome.stdout == "left\n" && !left.is_empty(), "{outcome:?} {left:?}");
    Ok(())
}

#[test]
fn who_reads_no_further_ends_the_command() -> Result<()> {
    let bench = bench()?;
    let mut guard = guarding(&bench, &["yes"]);
    let mut child = guard.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdout.take().context("an output")?.read_exact(&mut [0; 2])?;
    let ended = child.wait_with_output()?;
    ensure!(ended.status.code() == Some(128 + 13), "{ended:?}");
    Ok(())
}

#[test]
fn only_what_is_transient_is_run_again() -> Result<()> {
    let bench = bench()?;
    // How a command fails the first times, how often it is run, its exit code, and what is said.
    let rows: &[(&str, &str, i32, u32, i32, &str)] = &[
        ("3", THROTTLED, 2, 3, 0, "transient (aws/"),
        ("3", IN_PROGRESS, 1, 2, 0, "transient (aws/change-in-progress), so again in"),
        ("3", MODIFIED, 1, 2, 0, "transient (kubernetes/modified-meanwhile), so again in"),
        ("3", ENDING, 1, 2, 0, "transient (kubernetes/object-ending), so again in"),
        ("3", MERGING, 1, 2, 0, "transient (github/changed-meanwhile), so again in"),
        ("3", RESOURCE_LOCK, 1, 2, 0, "transient (gitlab/changed-meanwhile), so again in"),
        ("3", OWNED, 9, 1, 1, "kubernetes/fields-owned is not transient"),
        ("2", THROTTLED, 9, 3, 1, "not run again: it failed 3 times"),
        ("3", DENIED, 9, 1, 1, "is not transient"),
        ("3", LOCKED, 9, 1, 1, "state-locked is not transient"),
        ("3", "who knows", 9, 1, 1, "not run again: nothing in its output is known to be transient"),
        ("0", THROTTLED, 9, 1, 1, "with `--retry N` it would be run again"),
    ];
    // What the provider asks for is what is waited: a second, whatever pause would be chosen here.
    let asked = |wait: &str| format!("{THROTTLED}\n{wait}");
    let (second, short, long) = (asked("Retry-After: 1"), asked("retry after 300ms"), asked("Retry-After: 3600"));
    let asked = [
        ("3", second.as_str(), 1, 2, 0, "so again in 1.0 s, as long as the provider asks (1 of 3)"),
        ("3", short.as_str(), 1, 2, 0, "so again in 0.3 s, as long as the provider asks (1 of 3)"),
        ("3", long.as_str(), 9, 1, 1, "not run again: the provider asks to wait 60 min, which is too long"),
    ];
    let mixed = format!("{THROTTLED}\n{DENIED}");
    let locked = format!("{THROTTLED}\n{LOCKED}");
    let mixed =
        [("3", mixed.as_str(), 9, 1, 1, "is not transient"), ("3", locked.as_str(), 9, 1, 1, "is not transient")];
    let mut complaints = Vec::new();
    for (retry, text, fails, runs, exit, says) in rows.iter().chain(&asked).chain(&mixed) {
        fs::write(bench.path().join("text"), text)?;
        let _ = fs::remove_file(bench.path().join("runs"));
        let script = format!("echo >>runs; test $(wc -l <runs) -gt {fails} || {{ cat text >&2; exit 1; }}");
        let mut guard = lineman(&bench);
        guard.args(["guard", "--for", "good", "--retry", retry, "--retry-delay", "1ms", "--", "sh", "-c", &script]);
        let outcome = Outcome::of(&mut guard)?;
        let ran = fs::read(bench.path().join("runs"))?.len();
        if (ran, outcome.exit) != (*runs as usize, *exit) || !flat(&outcome.stderr).contains(says) {
            complaints.push(format!(
                "`{text}` ran {ran} times, not {runs}; {}, not {exit}; or lacks `{says}`: {}",
                outcome.exit, outcome.stderr
            ));
        }
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}
