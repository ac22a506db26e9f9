//! What a plugin reaches, and what it does not.
//!
//! A plugin tries one thing after the other, as this user and, where this is root, as an ordinary
//! one. Everything that it must not reach is there and could be reached by the user: where Landlock
//! is taken away, as on a kernel without it, what Landlock keeps from it succeeds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use landlock::{Ruleset, RulesetAttr, Scope};
use lineman_model::{Report, Status};
use lineman_tests::{Outcome, Site, clean_command};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde_json::Value;

use crate::bench::{Bench, library_of, mark, marked};
use crate::isolation::integration;

/// Who is nobody on every system.
const NOBODY: u32 = 65_534;
/// The system call by which Landlock begins, on every architecture.
const LANDLOCK_CREATE_RULESET: i64 = 444;

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Becomes {
    Done,
    Refused,
    /// Not the same for every user.
    Either,
}
use Becomes::{Done, Either, Refused};

/// Attempts, what becomes of each, and what would without Landlock.
const ATTEMPTS: &[(&str, Becomes, Becomes)] = &[
    // What it needs, and what it was granted.
    ("create {own}/x", Done, Done),
    ("read {own}/x", Done, Done),
    ("make-directory {own}/d", Done, Done),
    ("link {own}/x {own}/d/x", Done, Done),
    ("read /usr/bin/env", Done, Done),
    ("read /etc/passwd", Done, Done),
    ("read /proc/self/status", Done, Done),
    ("read /proc/self/exe", Done, Done),
    ("read /dev/urandom", Done, Done),
    ("append /dev/null", Done, Done),
    ("read {home}/gift/note", Done, Done),
    ("call {tcp}", Done, Done),
    ("see REACHES_OUT_HOME", Done, Done),
    ("see HOME", Refused, Refused),
    // Files of the user.
    ("read {home}/.ssh/id_ed25519", Refused, Done),
    ("list {home}", Refused, Done),
    ("list /", Refused, Done),
    ("read /etc/shadow", Refused, Either),
    ("read {bench}/lineman.toml", Refused, Done),
    ("append {bench}/lineman.toml", Refused, Done),
    ("append {home}/gift/note", Refused, Done),
    ("create {home}/gift/x", Refused, Done),
    ("append {home}/precious", Refused, Done),
    ("truncate {home}/precious", Refused, Done),
    ("remove {home}/precious", Refused, Done),
    ("create {home}/x", Refused, Done),
    ("make-directory {home}/d", Refused, Done),
    ("symlink {home}/s", Refused, Done),
    ("link {own}/x {home}/l", Refused, Done),
    ("create {bench}/tmp/x", Refused, Done),
    ("append {bench}/plugins/checks/plugin.toml", Refused, Done),
    ("create {bench}/plugins/checks/x", Refused, Done),
    // What belongs to another plugin.
    ("list {run}", Refused, Done),
    ("list {run}/plugins", Refused, Done),
    ("list {run}/plugins/misbehaving", Refused, Done),
    ("create {run}/plugins/misbehaving/x", Refused, Done),
    ("read {run}/lock", Refused, Done),
    // The host and the other workers: neither root nor the same user may look into them.
    ("read /proc/{host}/environ", Refused, Refused),
    ("read /proc/{host}/maps", Refused, Refused),
    ("read /proc/{host}/mem", Refused, Refused),
    ("list /proc/{host}/fd", Refused, Either),
    ("remember {host}", Refused, Refused),
    ("trace {host}", Refused, Refused),
    ("read /proc/{neighbours}/environ", Refused, Refused),
    ("read /proc/{neighbours}/maps", Refused, Refused),
    ("read /proc/{neighbours}/mem", Refused, Refused),
    ("list /proc/{neighbours}/fd", Refused, Either),
    ("remember {neighbours}", Refused, Refused),
    ("trace {neighbours}", Refused, Refused),
    ("read /proc/{host}/cmdline", Refused, Done),
    ("list /proc", Refused, Done),
    ("signal {host} {fatal}", Refused, Done),
    ("signal {neighbours} {fatal}", Refused, Done),
    ("call-abstract {socket}", Refused, Done),
    // Privileges, which root's worker has none of either.
    ("give-away {own}/x", Refused, Refused),
    ("become 12345", Refused, Refused),
    ("run-as-root {bench}/as-root/id", Refused, Refused),
];

/// A place in which everything belongs to the user who runs Lineman.
struct Stand {
    bench: Bench,
    user: u32,
    tcp: TcpListener,
    _socket: UnixListener,
}

impl Stand {
    fn new(user: u32) -> Result<Stand> {
        let bench = Bench::with(&["checks", "reaches-out"])?;
        let path = bench.path();
        fs::copy(Site::get()?.program(), path.join("lineman"))?;
        for directory in ["home/.ssh", "home/gift", "as-root"] {
            fs::create_dir_all(path.join(directory))?;
        }
        for file in ["home/.ssh/id_ed25519", "home/gift/note", "home/precious"] {
            fs::write(path.join(file), "content")?;
            fs::set_permissions(path.join(file), Permissions::from_mode(0o600))?;
        }
        own(path, user)?;
        // After it was given to root, or the bit is gone.
        let program = path.join("as-root/id");
        fs::copy("/usr/bin/id", &program)?;
        fs::set_permissions(&program, Permissions::from_mode(0o4755))?;
        let socket = UnixListener::bind_addr(&SocketAddr::from_abstract_name(path.to_string_lossy().as_bytes())?)?;
        Ok(Stand { bench, user, tcp: TcpListener::bind("127.0.0.1:0")?, _socket: socket })
    }

    /// Lineman as the user, in the user's own directory.
    fn command(&self) -> Command {
        // In a session of its own, by which the plugin knows the other workers.
        let mut command = self.run_as_user(Path::new("setsid"));
        command.arg(self.bench.path().join("lineman"));
        let home = self.bench.path().join("home");
        command.current_dir(&home).env("HOME", home).env("TMPDIR", self.bench.temporary()).stdin(Stdio::null());
        command.env("REACHES_OUT_HOME", "somewhere").env("LINEMAN_PLUGIN_PATH", self.bench.path().join("plugins"));
        command.env("LINEMAN_CONFIG", self.bench.path().join("lineman.toml"));
        command
    }

    fn run_as_user(&self, program: &Path) -> Command {
        let mut command = clean_command(program);
        if self.user != me() {
            command.uid(self.user).gid(self.user);
        }
        command
    }

    /// The attempts of this stand.
    fn attempts(&self, fatal: bool) -> Result<Vec<(String, Becomes, Becomes)>> {
        let path = self.bench.path().display().to_string();
        let (tcp, fatal) = (self.tcp.local_addr()?.to_string(), if fatal { "9" } else { "0" });
        let fill = |text: &str| {
            let text = text.replace("{home}", "{bench}/home").replace("{bench}", &path).replace("{socket}", &path);
            text.replace("{tcp}", &tcp).replace("{fatal}", fatal)
        };
        // There must be a root to gain from, and somebody else to gain it.
        let apart = me() == 0 && self.user != 0;
        let rows = ATTEMPTS.iter().filter(|(attempt, ..)| apart || !attempt.starts_with("run-as-root"));
        Ok(rows.map(|(attempt, confined, free)| (fill(attempt), *confined, *free)).collect())
    }

    /// A configuration in which the plugin makes attempts, beside one that leaves a process behind.
    fn configure(&self, attempts: &[(String, Becomes, Becomes)]) -> Result<()> {
        let attempts: Vec<&str> = attempts.iter().map(|(attempt, ..)| attempt.as_str()).collect();
        let path = self.bench.path();
        let configuration = format!(
            "version = 1\n[plugins]\nenable = [\"misbehaving\", \"reaches-out\"]\n\
             [plugins.reaches-out]\nallow_env = [\"REACHES_OUT_HOME\"]\nallow_paths = [\"~/gift\", {:?}]\n\
             [integration.reaching]\nprovider = \"reaches-out\"\nsettings.attempts = {attempts:?}\n\
             [integration.leaving]\nprovider = \"misbehaving\"\nsettings.behaviour = \"leave-detached-daemon\"\nsettings.mark = {:?}\n",
            path.join("as-root"),
            mark(&self.bench),
        );
        fs::write(path.join("lineman.toml"), configuration)?;
        own_one(&path.join("lineman.toml"), self.user)
    }

    /// Has the plugin make every attempt, and gives what it says became of each.
    fn attempt(&self, attempts: &[(String, Becomes, Becomes)]) -> Result<(Outcome, BTreeMap<String, String>)> {
        self.configure(attempts)?;
        let outcome = Outcome::of(self.command().args(["check", "--format", "json", "--no-history"]))?;
        let report = outcome.report()?;
        let told = &integration(&report, "reaching")?.not_proved;
        let told = told.iter().map(|told| (told.what.clone(), told.why.clone())).collect();
        ensure!(outcome.exit == 0, "exit code {}: {}", outcome.exit, outcome.stdout);
        ensure!(integration(&report, "leaving")?.verdict == Status::Pass, "the neighbour was harmed");
        ensure!(marked(&mark(&self.bench)).is_empty(), "a process was left behind");
        let left = fs::read_dir(self.bench.temporary().join(format!("lineman-{}", self.user)))?.count();
        ensure!(left == 0, "files were left behind");
        Ok((outcome, told))
    }
}

fn me() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Everybody whom this test can be.
fn users() -> Vec<u32> {
    if me() == 0 { vec![0, NOBODY] } else { vec![me()] }
}

fn own_one(path: &Path, user: u32) -> Result<()> {
    if user != me() {
        chown(path, Some(user), Some(user))?;
    }
    Ok(())
}

/// Gives everything below a directory to a user.
fn own(path: &Path, user: u32) -> Result<()> {
    own_one(path, user)?;
    if path.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| own(&entry?.path(), user))?;
    }
    Ok(())
}

/// Does something in a thread that knows no Landlock, like everything that is started in it.
fn without_landlock<T: Send>(run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let thread = move || {
        let refused = SeccompAction::Errno(Errno::NOSYS.raw_os_error().unsigned_abs());
        let calls = BTreeMap::from([(LANDLOCK_CREATE_RULESET, Vec::new())]);
        let filter = SeccompFilter::new(calls, SeccompAction::Allow, refused, std::env::consts::ARCH.try_into()?)?;
        seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
        run()
    };
    thread::scope(|scope| scope.spawn(thread).join().expect("it does not panic"))
}

/// Where an attempt did not become what it should, and where it did not say.
fn differences(told: &BTreeMap<String, String>, expected: &[(&str, Becomes)]) -> Vec<String> {
    let mut differences = Vec::new();
    for (attempt, expected) in expected {
        let said = told.get(*attempt).map_or("nothing", String::as_str);
        // What is not there can be reached by nobody: that proves nothing.
        let refused = ["(os error 1)", "(os error 13)", "uid="].iter().any(|sign| said.contains(sign));
        let agrees = match expected {
            Done => said == "done",
            Refused => said.starts_with("refused: ") && refused,
            Either => said == "done" || said.starts_with("refused: "),
        };
        if !agrees {
            differences.push(format!("{attempt}: {said}, expected {expected:?}"));
        }
    }
    differences
}

#[test]
fn a_plugin_reaches_what_it_was_given_and_nothing_else() -> Result<()> {
    for user in users() {
        let stand = Stand::new(user)?;
        let attempts = stand.attempts(true)?;
        let (outcome, told) = stand.attempt(&attempts)?;
        let expected: Vec<_> = attempts.iter().map(|(attempt, confined, _)| (attempt.as_str(), *confined)).collect();
        let differences = differences(&told, &expected);
        ensure!(differences.is_empty(), "as user {user}:\n{}", differences.join("\n"));
        ensure!(!outcome.report()?.run.vantage.unconfined, "the report does not know that plugins are confined");
        let warnings: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("warning")).collect();
        let told = warnings.len() == 1 && warnings[0].contains("`plugins.reaches-out` grants");
        ensure!(told, "a grant that nobody asked for is worth one warning: {}", outcome.stderr);
        let home: BTreeSet<_> =
            fs::read_dir(stand.bench.path().join("home"))?.flatten().map(|it| it.file_name()).collect();
        assert_eq!(home, [".ssh", "gift", "precious"].map(Into::into).into(), "as user {user}");
        assert_eq!(fs::read_to_string(stand.bench.path().join("home/precious"))?, "content");
    }
    Ok(())
}

/// The same attempts succeed where nothing but Landlock keeps the plugin from them, and the report
/// says so.
#[test]
fn without_landlock_the_attempts_succeed_and_it_is_said() -> Result<()> {
    for user in users() {
        let stand = Stand::new(user)?;
        let attempts = stand.attempts(false)?;
        stand.configure(&attempts)?;
        let human = without_landlock(|| Outcome::of(stand.command().args(["check", "leaving"])))?;
        ensure!(human.stdout.contains("the kernel has no"), "{}", human.stdout);
        let info = without_landlock(|| Outcome::of(stand.command().args(["plugin", "info", "reaches-out"])))?;
        ensure!(info.stdout.contains("this kernel has no Landlock"), "{}", info.stdout);
        let (outcome, told) = without_landlock(|| stand.attempt(&attempts))?;
        let expected: Vec<_> = attempts.iter().map(|(attempt, _, free)| (attempt.as_str(), *free)).collect();
        let differences = differences(&told, &expected);
        ensure!(differences.is_empty(), "as user {user}:\n{}", differences.join("\n"));
        ensure!(outcome.report()?.run.vantage.unconfined, "the report does not say it");
        // Free, it has changed the other plugin, which is noticed.
        let changed = Outcome::of(stand.command().args(["check", "leaving"]))?;
        ensure!(changed.exit == 2 && changed.stderr.contains("its manifest is not the one"), "{changed:?}");
        if me() == 0 && user != 0 {
            // Outside of a worker the bit does what it is for.
            let root = Outcome::of(&mut stand.run_as_user(&stand.bench.path().join("as-root/id")))?;
            ensure!(root.stdout.contains("euid=0("), "{root:?}");
        }
    }
    Ok(())
}

/// A kernel that has Landlock and does not apply it gets no plugin to run.
#[test]
fn a_worker_that_cannot_be_confined_loads_nothing() -> Result<()> {
    let stand = Stand::new(me())?;
    stand.configure(&[])?;
    let check = || -> Result<Report> {
        // A process can be confined so many times, and not once more.
        for _ in 0..16 {
            Ruleset::default().scope(Scope::AbstractUnixSocket)?.create()?.restrict_self()?;
        }
        Outcome::of(stand.command().args(["check", "--format", "json"]))?.report()
    };
    let report = thread::scope(|scope| scope.spawn(check).join().expect("it does not panic"))?;
    for name in ["reaching", "leaving"] {
        let finding = integration(&report, name)?.findings().next().context("no finding")?;
        assert_eq!(finding.code, "lineman/no-worker");
        ensure!(finding.message.contains("could not be confined"), "{}", finding.message);
    }
    Ok(())
}

/// A library that is only asked what it is, is confined like any other.
#[test]
fn what_is_described_is_confined() -> Result<()> {
    let bench = Bench::with(&[])?;
    let library = bench.path().join("library.so");
    fs::copy(library_of("exits-on-load"), &library)?;
    let mark = PathBuf::from(format!("{}.loaded", library.display()));
    let pack = || bench.pack(&library, &bench.plugin("packed"));
    let outcome = pack()?;
    ensure!(outcome.exit == 2 && outcome.stderr.contains("(died-on-load)"), "{outcome:?}");
    ensure!(!mark.exists(), "it wrote beside itself");
    let outcome = without_landlock(pack)?;
    ensure!(outcome.exit == 2 && mark.exists(), "it does not even try: {outcome:?}");
    Ok(())
}

#[test]
fn what_a_plugin_wants_and_is_granted_is_shown() -> Result<()> {
    let stand = Stand::new(me())?;
    let info = |grants: &str| -> Result<(String, Value)> {
        let configuration =
            format!("version = 1\n[plugins]\nenable = [\"reaches-out\"]\n[plugins.reaches-out]\n{grants}\n");
        fs::write(stand.bench.path().join("lineman.toml"), configuration)?;
        let run = |format| Outcome::of(stand.command().args(["plugin", "info", "reaches-out", "--format", format]));
        let human = run("human")?;
        ensure!(human.stdout.lines().all(|line| line.chars().count() <= 80), "too wide: {}", human.stdout);
        let flat = human.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok((flat, serde_json::from_str(&run("json")?.stdout)?))
    };
    let check = |grants: &str, says: &[&str], granted: [bool; 2], unasked: &[&str]| -> Result<()> {
        let (human, json) = info(grants)?;
        for words in says {
            ensure!(human.contains(words), "`{words}` is not said: {human}");
        }
        let access = &json["access"];
        assert_eq!(access["environment"][0]["granted"], granted[0], "{grants}");
        assert_eq!(access["paths"][0]["granted"], granted[1], "{grants}");
        assert_eq!(access["unasked"], serde_json::json!(unasked), "{grants}");
        assert_eq!(json["confinement"]["landlock"].as_u64().is_some(), human.contains("(Landlock "));
        Ok(())
    };
    check(
        "",
        &[
            "$REACHES_OUT_HOME wanted, not granted: add it to `plugins.reaches-out.allow_env`",
            "~/gift wanted, not granted: add it to `plugins.reaches-out.allow_paths`",
        ],
        [false, false],
        &[],
    )?;
    check(
        "allow_env = [\"REACHES_OUT_HOME\"]\nallow_paths = [\"~/gift\"]",
        &["$REACHES_OUT_HOME granted", "~/gift granted"],
        [true, true],
        &[],
    )?;
    check("allow_env = [\"OTHER\"]", &["OTHER granted, though it does not ask for it"], [false, false], &["OTHER"])?;
    // Who mends the configuration may look up what belongs there.
    let (human, json) = info("allow_env = 1")?;
    ensure!(human.contains("the configuration has mistakes") && json.get("access").is_none(), "{human}");
    Ok(())
}
