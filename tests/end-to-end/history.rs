//! What is kept of runs, and what `retest`, `history` and `expiring` make of it; and that nothing of
//! it ever harms a check.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lineman_model::{Report, Status};
use lineman_tests::{Outcome, clean_command, require};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bench::Bench;

/// The plugin judges the token by its first word: `good`, `denied`, `ending <date>`; others it
/// refuses.
const ONE: &str = "version = 1\nplugins.enable = [\"misbehaving\"]\n[integration.one]\nprovider = \"misbehaving\"\n\
                   settings.behaviour = \"judge\"\nsecrets.token = { file = \"token\" }\n";
const TWO: &str = "[integration.two]\nprovider = \"misbehaving\"\nsettings.behaviour = \"judge\"\n\
                   secrets.token = { file = \"other\" }\n";

/// A bench with a configuration, whose tokens are set by the tests.
struct Kept {
    bench: Bench,
}

impl Kept {
    fn new(configuration: &str) -> Result<Kept> {
        let kept = Kept { bench: Bench::with(&["checks"])? };
        fs::write(kept.bench.path().join("lineman.toml"), configuration)?;
        let locked = kept.run("plugin lock")?;
        ensure!(locked.exit == 0, "{locked:?}");
        Ok(kept)
    }

    fn token(&self, name: &str, value: &str) -> Result<()> {
        // Moved in place, as who rotates a secret under a running program does.
        let beside = self.bench.path().join("new");
        fs::write(&beside, value)?;
        Ok(fs::rename(beside, self.bench.path().join(name))?)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.bench.command();
        command.args(line.split_whitespace()).env("LINEMAN_PLUGIN_PATH", self.bench.path().join("plugins"));
        command
    }

    fn run(&self, line: &str) -> Result<Outcome> {
        Outcome::of(&mut self.command(line))
    }

    /// Runs it, and looks for words in what is said, wherever its lines end.
    fn says(&self, line: &str, exit: i32, words: &[&str]) -> Result<()> {
        let outcome = self.run(line)?;
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(outcome.exit == exit, "`{line}` gives {}, not {exit}: {said}", outcome.exit);
        for words in words {
            ensure!(flat.contains(words), "`{line}` does not say `{words}`:\n{said}");
        }
        Ok(())
    }

    fn json(&self, line: &str) -> Result<(i32, Value)> {
        let outcome = self.run(&format!("{line} --format json"))?;
        let value = serde_json::from_str(&outcome.stdout).with_context(|| format!("{line}: {outcome:?}"))?;
        Ok((outcome.exit, value))
    }

    fn file(&self) -> PathBuf {
        self.bench.path().join(".local/state/lineman/history.db")
    }

    /// What the `sqlite3` that people have says to a question.
    fn ask(&self, sql: &str) -> Result<String> {
        let outcome = Outcome::of(clean_command("sqlite3").arg(self.file()).arg(sql))?;
        ensure!(outcome.exit == 0, "{sql}: {}", outcome.stderr);
        Ok(outcome.stdout.trim().to_owned())
    }

    /// The file is whole, and holds so many runs.
    fn holds(&self, runs: usize) -> Result<()> {
        ensure!(self.ask("PRAGMA integrity_check")? == "ok");
        let found = self.ask("SELECT count(*) FROM run")?;
        ensure!(found == runs.to_string(), "{found} runs are kept, not {runs}");
        Ok(())
    }
}

#[test]
fn retest_runs_what_did_not_pass_and_says_what_is_different() -> Result<()> {
    let kept = Kept::new(&format!("{ONE}{TWO}"))?;
    kept.token("token", "bad")?;
    kept.token("other", "good")?;
    kept.says("retest", 2, &["no earlier run is known: run `lineman check` first"])?;
    kept.says("check", 1, &["credential.invalid"])?;
    kept.says("retest", 1, &["still failing: one — credential.invalid", "token unchanged since the failing run of"])?;
    // The second passed and stays out of it.
    let (exit, retest) = kept.json("retest")?;
    assert_eq!(
        (exit, &retest["schema"], &retest["summary"]),
        (1, &"lineman.retest/1".into(), &serde_json::json!({ "still-failing": 1 }))
    );
    assert_eq!(retest["integrations"].as_array().map(Vec::len), Some(1));

    kept.token("token", "denied")?;
    let words = [
        "changed cause: one — credential.invalid before, permission.insufficient now",
        "token replaced since",
        "a newer active key exists",
        "A grant counts after up to 10 minutes.",
        "https://example.com/grants",
        "Grant it.",
    ];
    kept.says("retest", 1, &words)?;
    kept.token("token", "good")?;
    kept.says("retest one", 0, &["fixed: one — 2 of 2 checks pass now", "permission.insufficient"])?;
    kept.says("retest", 0, &["Nothing to test again: everything passed last time."])?;
    kept.says("retest nobody", 2, &["no integration is called `nobody`"])?;

    fs::remove_file(kept.bench.path().join("token"))?;
    kept.token("other", "bad")?;
    kept.says("check --level config", 1, &["credential.missing"])?;
    // What was not asked for in that run is known from before.
    let (_, retest) = kept.json("retest")?;
    let names: Vec<&str> =
        retest["integrations"].as_array().context("no list")?.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["one"]);
    kept.says("check", 1, &[])?;
    kept.token("token", "good")?;
    kept.says("retest", 1, &["1 still failing, 1 fixed", "still failing: two", "fixed: one — 2 of 2 checks pass now"])
}

#[test]
fn history_tells_when_it_broke_and_what_changed() -> Result<()> {
    let kept = Kept::new(ONE)?;
    kept.says("history", 2, &["no run of these integrations is known"])?;
    kept.token("token", "good")?;
    kept.says("check", 0, &[])?;
    kept.says("history one", 0, &["one passes since", "1 run, the last of"])?;
    kept.token("token", "bad")?;
    kept.says("check", 1, &[])?;
    kept.says("history", 0, &["fail one", "credential.invalid"])?;
    kept.says("history one", 0, &["one is broken since", "changed token replaced", "2 runs"])?;
    let (_, stories) = kept.json("history one")?;
    let story = &stories["integrations"][0];
    assert_eq!((&stories["schema"], &story["state"]), (&"lineman.history/1".into(), &"fail".into()));
    assert_eq!(story["changed"][0], serde_json::json!({ "what": "credential", "name": "token" }));
    Ok(())
}

#[test]
fn what_ends_soon_is_listed_with_an_exit_code() -> Result<()> {
    let kept = Kept::new(ONE)?;
    kept.says("expiring", 2, &["no run of this configuration is known"])?;
    let day = |days: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days + 1)).to_string();
    kept.token("token", &format!("ending {}", day(20)))?;
    kept.says("check --output json=report.json", 0, &[])?;
    kept.says("expiring", 1, &["in 20 days", "token", "one"])?;
    kept.says("expiring --within 10d", 0, &["Nothing that is known ends within 10 days.", "1 later date is known"])?;
    kept.says("expiring --within soon", 2, &["write it as 30d"])?;
    let (exit, expiring) = kept.json("expiring")?;
    assert_eq!(
        (exit, &expiring["schema"], &expiring["due"][0]["what"]),
        (1, &"lineman.expiring/1".into(), &"token".into())
    );
    // A report knows as much, without a configuration.
    fs::remove_file(kept.bench.path().join("lineman.toml"))?;
    fs::remove_file(kept.file())?;
    kept.says("expiring --from report.json", 1, &["in 20 days", "token", "one"])
}

#[test]
fn a_saved_report_is_as_good_as_a_history_where_the_key_is_shared() -> Result<()> {
    let configuration = format!("{ONE}[history]\nenabled = false\nfingerprint_key = {{ env = \"KEY\" }}\n");
    let kept = Kept::new(&configuration)?;
    kept.token("token", "bad secret of the platform")?;
    let keyed = |line: &str, key: &str| -> Result<Outcome> { Outcome::of(kept.command(line).env("KEY", key)) };
    let key = "0123456789abcdef0123456789abcdef";
    let mark = |outcome: &Outcome| -> Result<Option<String>> {
        let credentials = outcome.report()?.integrations.remove(0).credentials;
        Ok(credentials.into_iter().find_map(|it| it.fingerprint))
    };
    let first = keyed("check --format json --output json=report.json", key)?;
    let again = keyed("check --format json", key)?;
    let other = keyed("check --format json", &key.to_uppercase())?;
    ensure!(mark(&first)?.is_some() && mark(&first)? == mark(&again)? && mark(&first)? != mark(&other)?);
    let short = keyed("check --format json", "short")?;
    assert_eq!((short.exit, mark(&short)?), (1, None));
    ensure!(short.stderr.contains("openssl rand -hex 32") && !short.stderr.contains("short and"), "{}", short.stderr);
    kept.says("retest", 2, &["`[history] enabled = false`", "--from"])?;
    let retest = |words: &str| -> Result<()> {
        let outcome = keyed("retest --from report.json", key)?;
        ensure!(outcome.stdout.contains(words), "{}{}", outcome.stdout, outcome.stderr);
        Ok(())
    };
    retest("token unchanged since the failing run of")?;
    kept.token("token", "bad again")?;
    retest("token replaced since the failing run of")?;
    kept.token("token", "good")?;
    retest("fixed: one")?;
    ensure!(!kept.file().exists(), "a history was written");
    // A machine's own key is nobody else's: what was made with it is not shown.
    fs::write(kept.bench.path().join("own.toml"), ONE)?;
    assert_eq!(mark(&kept.run("check --format json --config own.toml")?)?, None);
    ensure!(kept.file().exists(), "no history was written");
    Ok(())
}

/// Lineman that waits, and what it says meanwhile.
struct Waiting {
    child: Child,
    said: BufReader<std::process::ChildStderr>,
}

impl Waiting {
    fn start(kept: &Kept, line: &str) -> Result<Waiting> {
        let mut child = kept.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let said = BufReader::new(child.stderr.take().context("no stderr")?);
        Ok(Waiting { child, said })
    }

    /// Reads on until a line says so.
    fn until(&mut self, words: &str) -> Result<()> {
        let mut line = String::new();
        while self.said.read_line(&mut line)? > 0 {
            if line.contains(words) {
                return Ok(());
            }
            line.clear();
        }
        anyhow::bail!("it ended without saying `{words}`")
    }

    fn end(mut self) -> Result<Outcome> {
        let mut stderr = String::new();
        self.said.read_to_string(&mut stderr)?;
        let output = self.child.wait_with_output()?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Outcome { exit: output.status.code().unwrap_or(-1), stdout, stderr })
    }
}

#[test]
fn it_waits_for_a_change_and_never_hammers_a_rejected_credential() -> Result<()> {
    let kept = Kept::new(ONE)?;
    kept.token("token", "bad")?;
    kept.says("check", 1, &[])?;
    let mut waiting = Waiting::start(&kept, "retest --until-pass --every 50ms --for 10m --format json")?;
    waiting.until("after 1 attempt: still open: one (credential.invalid)")?;
    waiting.until("not tried: credential.invalid, and the credential is the same")?;
    waiting.until("after 1 attempt")?;
    kept.token("token", "denied")?;
    // A permission may come while the credential stays: it is tried again.
    waiting.until("after 3 attempts: still open: one (permission.insufficient)")?;
    kept.token("token", "good")?;
    let outcome = waiting.end()?;
    let retest: Value = serde_json::from_str(&outcome.stdout)?;
    assert_eq!((outcome.exit, &retest["integrations"][0]["change"]), (0, &"fixed".into()));
    ensure!(retest["integrations"][0]["passed_at"].is_string(), "{retest}");

    // Without a change it gives up, and the rejected credential was shown once.
    kept.token("token", "bad")?;
    kept.says("check", 1, &[])?;
    let (exit, retest) = kept.json("retest --until-pass --every 20ms --for 200ms")?;
    assert_eq!((exit, &retest["attempts"]), (1, &1.into()));
    kept.says("retest --every 1s", 2, &["--until-pass"])
}

#[test]
fn waiting_can_be_interrupted() -> Result<()> {
    let kept = Kept::new(ONE)?;
    kept.token("token", "bad")?;
    kept.says("check", 1, &[])?;
    let mut waiting = Waiting::start(&kept, "retest --until-pass --every 1h --for 2h")?;
    waiting.until("after 1 attempt")?;
    kill_process(Pid::from_child(&waiting.child), Signal::INT)?;
    let outcome = waiting.end()?;
    assert_eq!(outcome.exit, 130, "{}", outcome.stderr);
    ensure!(outcome.stdout.contains("still failing: one"), "{}", outcome.stdout);
    Ok(())
}

#[test]
fn an_interrupted_run_takes_nothing_away() -> Result<()> {
    if !require("history-interrupted", &["sqlite3"]) {
        return Ok(());
    }
    let kept = Kept::new(ONE)?;
    kept.token("token", "bad")?;
    kept.says("check", 1, &[])?;
    fs::write(kept.bench.path().join("lineman.toml"), ONE.replace("judge", "wait-for-ever"))?;
    let mut child = kept.command("check --format ndjson").stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
    let begun = |line: &str| line.contains("check-started") && line.contains("misbehaving/act");
    lines.by_ref().map_while(Result::ok).find(|line| begun(line)).context("it does not begin")?;
    kill_process(Pid::from_child(&child), Signal::INT)?;
    lines.for_each(drop);
    assert_eq!(child.wait()?.code(), Some(130));
    assert_eq!(kept.ask("SELECT group_concat(complete) FROM run")?, "1,0");
    fs::write(kept.bench.path().join("lineman.toml"), ONE)?;
    kept.token("token", "good")?;
    kept.says("retest", 0, &["fixed: one", "credential.invalid"])
}

#[test]
fn anybodys_sqlite_reads_it_and_finds_no_secret() -> Result<()> {
    if !require("history-sqlite", &["sqlite3"]) {
        return Ok(());
    }
    let kept = Kept::new(ONE)?;
    kept.token("token", "bad x-very-secret-word-x")?;
    kept.says("check", 1, &[])?;
    let row = kept.ask("SELECT integration, provider, verdict, cause FROM outcome")?;
    assert_eq!(row, "one|misbehaving|fail|credential.invalid");
    let dump = kept.ask(".dump")?;
    ensure!(dump.contains("The provider refuses the credential.") && !dump.contains("very-secret"), "{dump}");
    for file in fs::read_dir(kept.file().parent().context("no directory")?)? {
        let bytes = fs::read(file?.path())?;
        ensure!(!String::from_utf8_lossy(&bytes).contains("very-secret"));
    }
    // Nothing is kept where nobody wants it.
    kept.says("check --no-history", 1, &[])?;
    kept.says("retest --no-history", 1, &["still failing"])?;
    kept.holds(1)
}

/// What every run says, whatever becomes of the history.
const CONFIGURED: &str = "check --format json";

/// The check's result is what it is without a history; a warning is all that is said.
fn unharmed(outcome: &Outcome, warned: &str) -> Result<Report> {
    let report = outcome.report()?;
    ensure!((outcome.exit, report.verdict) == (1, Status::Fail), "{outcome:?}");
    match warned {
        "" => ensure!(outcome.stderr.is_empty(), "{}", outcome.stderr),
        words => ensure!(outcome.stderr.contains(words), "{}", outcome.stderr),
    }
    Ok(report)
}

#[test]
fn two_processes_write_at_once_and_nothing_is_lost() -> Result<()> {
    if !require("history-two", &["sqlite3"]) {
        return Ok(());
    }
    let kept = Kept::new(ONE)?;
    kept.token("token", "bad")?;
    // For a minute where everything is tested.
    let minute = std::env::var_os("LINEMAN_TEST_ALL").map(|_| Instant::now() + Duration::from_secs(60));
    let writes = || -> Result<usize> {
        let mut runs = 0;
        while minute.map_or(runs < 8, |end| Instant::now() < end) {
            unharmed(&kept.run(CONFIGURED)?, "")?;
            runs += 1;
        }
        Ok(runs)
    };
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(writes);
        (writes(), other.join())
    });
    let two = two.map_err(|_| anyhow::anyhow!("a writer panicked"))?;
    kept.holds(one? + two?)
}

#[test]
fn a_process_killed_while_it_writes_leaves_the_file_whole() -> Result<()> {
    if !require("history-killed", &["sqlite3"]) {
        return Ok(());
    }
    // Enough to write that the moment can be met.
    let many: String = (0..200)
        .map(|n| format!("[integration.i{n}]\nprovider = \"misbehaving\"\nsettings.behaviour = \"well\"\n"))
        .collect();
    let kept = Kept::new(&format!("{ONE}{many}"))?;
    kept.token("token", "bad")?;
    kept.says("check --no-history", 1, &[])?;
    let journal = kept.file().with_extension("db-journal");
    let (mut runs, mut met) = (0, 0);
    for _ in 0..60 {
        let mut child = kept.command(CONFIGURED).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let ended = loop {
            if journal.exists() {
                kill_process(Pid::from_child(&child), Signal::KILL)?;
                met += 1;
                break child.wait()?;
            }
            if let Some(status) = child.try_wait()? {
                break status;
            }
        };
        // Killed just after the write, it has written; killed within, it has not.
        let found: usize = kept.ask("SELECT count(*) FROM run").unwrap_or_default().parse().unwrap_or(0);
        ensure!(found == runs + 1 || found == runs && ended.code().is_none(), "{found} runs after {runs}");
        runs = found;
        if met == 10 {
            break;
        }
    }
    ensure!(met > 0, "no write was met");
    unharmed(&kept.run(CONFIGURED)?, "")?;
    kept.holds(runs + 1)
}

/// Runs a script in which `$STATE` is the directory of the state, in a mount namespace, where
/// `check` stands for the program.
fn within(kept: &Kept, script: &str) -> Result<Outcome> {
    let own = Outcome::of(clean_command("unshare").args(["--mount", "true"]))?.exit == 0;
    let mut command = clean_command("unshare");
    command.arg("--mount").args((!own).then_some("--map-root-user")).args(["--", "sh", "-eu", "-c", script]);
    let program = kept.bench.command().get_program().to_owned();
    let state = kept.file().parent().context("no directory")?.to_owned();
    fs::create_dir_all(&state)?;
    command
        .current_dir(kept.bench.path())
        .env("HOME", kept.bench.path())
        .env("TMPDIR", kept.bench.temporary())
        .env("LINEMAN_PLUGIN_PATH", kept.bench.path().join("plugins"))
        .env("LINEMAN", program)
        .env("STATE", state);
    Outcome::of(&mut command)
}

#[test]
fn a_full_disk_costs_a_warning_and_nothing_that_was_kept() -> Result<()> {
    if !require("history-full", &["namespaces", "sqlite3"]) {
        return Ok(());
    }
    let kept = Kept::new(ONE)?;
    kept.token("token", "bad")?;
    let script = "\
mount -t tmpfs -o size=256k none \"$STATE\"
\"$LINEMAN\" check --format json > /dev/null || test $? = 1
dd if=/dev/zero of=\"$STATE/filler\" bs=4k 2> /dev/null || true
code=0; \"$LINEMAN\" check --format json > full.json 2> full.err || code=$?
echo \"$code $(sqlite3 \"$STATE/history.db\" 'PRAGMA integrity_check; SELECT count(*) FROM run')\" | tr '\\n' ' '
rm \"$STATE/filler\"
\"$LINEMAN\" check --format json > /dev/null || test $? = 1
sqlite3 \"$STATE/history.db\" 'SELECT count(*) FROM run'
";
    let outcome = within(&kept, script)?;
    assert_eq!((outcome.exit, outcome.stdout.as_str()), (0, "1 ok 1 2\n"), "{}", outcome.stderr);
    let read = |name: &str| fs::read_to_string(kept.bench.path().join(name));
    unharmed(&Outcome { exit: 1, stdout: read("full.json")?, stderr: read("full.err")? }, "this run is not kept")?;
    assert_eq!(read("full.err")?.lines().count(), 1);
    Ok(())
}

#[test]
fn a_state_directory_that_cannot_be_written_is_still_read() -> Result<()> {
    if !require("history-read-only", &["namespaces", "sqlite3"]) {
        return Ok(());
    }
    let kept = Kept::new(ONE)?;
    kept.token("token", "bad")?;
    let script = "\
mount --bind \"$STATE\" \"$STATE\"
mount -o remount,bind,ro \"$STATE\"
code=0; \"$LINEMAN\" check --format json > new.json 2> new.err || code=$?; echo $code
mount -o remount,bind,rw \"$STATE\"
\"$LINEMAN\" check > /dev/null || test $? = 1
mount -o remount,bind,ro \"$STATE\"
code=0; \"$LINEMAN\" check --format json > kept.json 2> kept.err || code=$?; echo $code
code=0; \"$LINEMAN\" retest --no-history || code=$?; echo $code
";
    let outcome = within(&kept, script)?;
    assert_eq!(outcome.exit, 0, "{outcome:?}");
    let read = |name: &str| fs::read_to_string(kept.bench.path().join(name));
    for (report, said) in [("new.json", "new.err"), ("kept.json", "kept.err")] {
        unharmed(&Outcome { exit: 1, stdout: read(report)?, stderr: read(said)? }, "this run is not kept")?;
    }
    ensure!(outcome.stdout.starts_with("1\n1\n") && outcome.stdout.contains("still failing: one"), "{outcome:?}");
    kept.holds(1)
}

#[test]
fn a_damaged_history_is_set_aside_and_the_check_goes_on() -> Result<()> {
    if !require("history-damaged", &["sqlite3"]) {
        return Ok(());
    }
    let kept = Kept::new(ONE)?;
    kept.token("token", "bad")?;
    unharmed(&kept.run(CONFIGURED)?, "")?;
    fs::write(kept.file(), "this is no database\n".repeat(100))?;
    unharmed(&kept.run(CONFIGURED)?, "the history was damaged and is set aside as")?;
    kept.holds(1)?;
    // Another process reads for longer than anybody waits.
    let mut reader = clean_command("sqlite3").arg(kept.file()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (mut to, from) = (reader.stdin.take().context("no stdin")?, reader.stdout.take().context("no stdout")?);
    std::io::Write::write_all(&mut to, b"BEGIN; SELECT count(*) FROM run;\n")?;
    std::io::Write::flush(&mut to)?;
    BufReader::new(from).read_line(&mut String::new())?;
    unharmed(&kept.run(CONFIGURED)?, "is in use by another process")?;
    drop(to);
    reader.wait()?;
    unharmed(&kept.run(CONFIGURED)?, "")?;
    kept.holds(2)
}
