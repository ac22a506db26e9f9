//! What misbehaves pays alone.
//!
//! Each row makes one integration misbehave while others of the same plugin are in flight in the
//! same worker, and says what becomes of it; the others must pass. Then libraries that cannot be
//! loaded, beside a plugin that can; and what must not be there when a run is over: processes,
//! files, and any trace of a plugin that nobody asked for.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use lineman_model::{CheckReport, IntegrationReport, Report, Status};
use lineman_tests::{Outcome, clean_command};
use rustix::fs::inotify;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::bench::{Bench, children, library_of, mark, marked};

/// A configuration of integrations: name, provider, behaviour.
pub(crate) fn configuration(integrations: &[(&str, &str, &str)]) -> String {
    let mut providers: Vec<_> = integrations.iter().map(|(_, provider, _)| format!("{provider:?}")).collect();
    providers.sort();
    providers.dedup();
    let mut text = format!("version = 1\n[plugins]\nenable = [{}]\n", providers.join(", "));
    for (name, provider, behaviour) in integrations {
        text += &format!(
            "[integration.{name}]\nprovider = {provider:?}\n[integration.{name}.settings]\nbehaviour = {behaviour:?}\n"
        );
    }
    text
}

pub(crate) fn integration<'a>(report: &'a Report, name: &str) -> Result<&'a IntegrationReport> {
    report.integrations.iter().find(|it| it.name == name).with_context(|| format!("{name} is not in the report"))
}

/// The check that tells: the first that did not pass, else the last.
pub(crate) fn telling(integration: &IntegrationReport) -> Result<&CheckReport> {
    let bad = integration.checks.iter().find(|check| !matches!(check.status, Status::Pass));
    bad.or(integration.checks.last()).context("no check")
}

/// `error plugin.crashed lineman/plugin-crashed`, or `pass`.
pub(crate) fn fate(integration: &IntegrationReport) -> Result<String> {
    let check = telling(integration)?;
    let chief = check.findings.iter().find(|finding| finding.code.starts_with("lineman/")).or(check.findings.first());
    Ok(match chief {
        Some(finding) => format!("{} {} {}", check.status, finding.cause, finding.code),
        None => check.status.to_string(),
    })
}

/// What becomes of an integration that misbehaves, and what the report says of it somewhere. The
/// neighbours are in flight in the same worker, and pass.
pub(crate) struct Row {
    behaviour: &'static str,
    fate: &'static str,
    says: &'static str,
    exit: i32,
}

pub(crate) const CRASHED: &str = "error plugin.crashed lineman/plugin-crashed";
pub(crate) const BAD_OUTPUT: &str = "error plugin.bad-output lineman/plugin-bad-output";
pub(crate) const TIMED_OUT: &str = "error plugin.timed-out lineman/plugin-timed-out";

pub(crate) const fn error(behaviour: &'static str, fate: &'static str, says: &'static str) -> Row {
    Row { behaviour, fate, says, exit: 4 }
}

pub(crate) const fn pass(behaviour: &'static str) -> Row {
    Row { behaviour, fate: "pass", says: "", exit: 0 }
}

/// Runs each row in a place where the plugin is installed.
pub(crate) fn suffer(bench: &Bench, provider: &str, neighbours: &str, more: &[&str], rows: &[Row]) -> Result<()> {
    let mut complaints = Vec::new();
    for row in rows {
        let names: Vec<String> = (1..=4).map(|number| format!("neighbour-{number}")).collect();
        let mut integrations = vec![("bad", provider, row.behaviour)];
        integrations.extend(names.iter().map(|name| (name.as_str(), provider, neighbours)));
        let outcome = Outcome::of(bench.checking(&configuration(&integrations))?.args(more))?;
        let report = outcome.report()?;
        let bad = integration(&report, "bad")?;
        let seen = fate(bad)?;
        let mut complain = |text: String| complaints.push(format!("{}: {text}", row.behaviour));
        if seen != row.fate {
            complain(format!("{seen}, expected {}", row.fate));
        }
        if !outcome.stdout.contains(row.says) {
            complain(format!("the report does not say `{}`: {:?}", row.says, telling(bad)?));
        }
        if outcome.exit != row.exit {
            complain(format!("exit code {}, expected {}", outcome.exit, row.exit));
        }
        for name in &names {
            let neighbour = integration(&report, name)?;
            if neighbour.verdict != Status::Pass {
                complain(format!("{name} is {}: {}", neighbour.verdict, fate(neighbour)?));
            }
        }
        if let Some(left) = fs::read_dir(bench.temporary())?.next() {
            let left = fs::read_dir(left?.path())?.next();
            if left.is_some() {
                complain("files are left".to_owned());
            }
        }
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

#[test]
fn a_check_that_misbehaves_costs_itself_and_nothing_else() -> Result<()> {
    suffer(
        &Bench::with(&["checks"])?,
        "misbehaving",
        "well-in-a-while",
        &[],
        &[
            pass("well"),
            pass("print"),
            error("panic", "error plugin.crashed lineman/plugin-crashed", "this check panics"),
            error("abort", CRASHED, "signal 6 (SIGABRT)"),
            error("exit-zero", CRASHED, "exit status 0"),
            error("segfault", CRASHED, "signal 11 (SIGSEGV)"),
            error("stack-overflow", CRASHED, "signal 11 (SIGSEGV)"),
            error("eat-memory", CRASHED, "memory allocation of"),
            error("flood-findings", BAD_OUTPUT, "more than 100 findings"),
            error("huge-finding", BAD_OUTPUT, "an event of"),
        ],
    )
}

#[test]
fn a_check_that_hangs_is_cut_off_and_costs_nothing_else() -> Result<()> {
    // The neighbours are late enough to be in flight when the worker is ended.
    suffer(
        &Bench::with(&["checks"])?,
        "misbehaving",
        "well-late",
        &["--timeout", "3s"],
        &[
            error("hang", TIMED_OUT, "did not answer misbehaving/act in time"),
            // The SDK gives these up in time, so that nobody is to blame for what was not seen.
            Row {
                behaviour: "wait-for-ever",
                fate: "unknown undetermined misbehaving/timed-out",
                says: "did not end in time",
                exit: 3,
            },
            Row {
                behaviour: "flood-progress",
                fate: "unknown undetermined misbehaving/timed-out",
                says: "did not end in time",
                exit: 3,
            },
        ],
    )
}

#[test]
fn a_plugin_that_breaks_the_protocol_costs_itself_and_nothing_else() -> Result<()> {
    suffer(
        &Bench::with(&["raw"])?,
        "raw",
        "well-in-a-while",
        &[],
        &[
            pass("well"),
            pass("two-results"),
            pass("result-and-then-a-finding"),
            pass("unknown-kinds"),
            error("garbage", BAD_OUTPUT, "an event that is no JSON"),
            error("garbage-result", BAD_OUTPUT, "an event that is no JSON"),
            error("not-a-finding", BAD_OUTPUT, "an event that is not what it should be"),
            error("not-a-result", BAD_OUTPUT, "an event that is not what it should be"),
            error("too-large", BAD_OUTPUT, "an event of"),
            error("error-with-a-cause-of-others", BAD_OUTPUT, "it is not mine to say"),
            error("skip-that-is-not-its-own", "error plugin.bad-output lineman/bad-skip", "not a plugin's to say"),
            error("refuse-1", BAD_OUTPUT, "refused the call with code 1"),
            error("refuse-2", BAD_OUTPUT, "refused the call with code 2"),
            error("refuse-3", BAD_OUTPUT, "refused the call with code 3"),
            error("refuse-4", BAD_OUTPUT, "refused the call with code 4"),
            error("refuse-99", BAD_OUTPUT, "refused the call with code 99"),
            error("panic-through-the-door", CRASHED, "signal 6 (SIGABRT)"),
        ],
    )
}

#[test]
fn a_plugin_that_never_answers_costs_itself_and_nothing_else() -> Result<()> {
    suffer(
        &Bench::with(&["raw"])?,
        "raw",
        "well-in-a-while",
        &["--timeout", "2s"],
        &[
            error("no-result", TIMED_OUT, "did not answer raw/act in time"),
            error("result-for-the-wrong-call", TIMED_OUT, "did not answer raw/act in time"),
            error("hold-the-door", TIMED_OUT, "did not answer raw/act in time"),
        ],
    )
}

/// Turns an installed plugin into one that cannot be loaded; what is given is its directory.
pub(crate) type Damage = fn(&Path) -> Result<()>;

/// Puts another library into the place of a plugin's; the manifest names it.
pub(crate) fn swap(directory: &Path, library: &[u8]) -> Result<()> {
    let file = library_file(directory)?;
    let old = sha256(&file)?;
    fs::write(&file, library)?;
    let manifest = fs::read_to_string(directory.join("plugin.toml"))?;
    fs::write(directory.join("plugin.toml"), manifest.replace(&old, &sha256(&file)?))?;
    Ok(())
}

/// The library or program that a plugin's manifest names.
pub(crate) fn library_file(directory: &Path) -> Result<PathBuf> {
    let manifest = fs::read_to_string(directory.join("plugin.toml"))?;
    let mut names = manifest.lines().filter_map(|line| line.strip_prefix("file = \"")?.strip_suffix('"'));
    let name = names.find(|name| *name != "description.json").context("no library")?;
    Ok(directory.join(name))
}

pub(crate) fn sha256(file: &Path) -> Result<String> {
    let summed = Outcome::of(clean_command("sha256sum").arg(file))?;
    Ok(summed.stdout.split_whitespace().next().context("no sum")?.to_owned())
}

pub(crate) const CANNOT_LOAD: &str = "error plugin.incompatible lineman/plugin-incompatible";

/// What can be done to an installed plugin so that it cannot be loaded: what it is called, what
/// becomes of its integrations, and what the report says.
pub(crate) fn damages() -> &'static [(&'static str, &'static str, &'static str, Damage)] {
    &[
        (
            "exits-on-load",
            "error plugin.crashed lineman/plugin-crashed",
            "ended with exit status 0 while it loaded",
            |it| swap(it, &fs::read(library_of("exits-on-load"))?),
        ),
        ("no-symbol", CANNOT_LOAD, "load error: no-symbol", |it| swap(it, &fs::read(library_of("no-symbol"))?)),
        ("other-layout", CANNOT_LOAD, "load error: other-layout", |it| {
            swap(it, &fs::read(library_of("other-layout"))?)
        }),
        ("other-version", CANNOT_LOAD, "load error: other-version", |it| {
            swap(it, &fs::read(library_of("other-version"))?)
        }),
        ("not-a-library", CANNOT_LOAD, "load error: not-a-library", |it| swap(it, b"this is text")),
        ("empty", CANNOT_LOAD, "load error: not-a-library", |it| swap(it, b"")),
        // Mapped, not read: what is missing is noticed by a signal.
        ("truncated", "error plugin.crashed lineman/plugin-crashed", "SIGBUS", |it| {
            let whole = fs::read(library_file(it)?)?;
            swap(it, &whole[..64 * 1024])
        }),
        ("no-description", CANNOT_LOAD, "load error: bad-description", |it| rename(it, "no-json.so")),
        ("other-description", CANNOT_LOAD, "load error: other-description", |it| rename(it, "other-description.so")),
    ]
}

/// What an installed plugin is harmed by, as [`damages`] has it; it may need to know more.
pub(crate) type Harm<'a> = (&'a str, &'a str, &'a str, &'a dyn Fn(&Path) -> Result<()>);

#[test]
fn a_library_that_cannot_be_loaded_is_one_line_with_a_stable_code() -> Result<()> {
    let harms: Vec<Harm<'_>> =
        damages().iter().map(|(name, expected, says, damage)| -> Harm<'_> { (name, expected, says, damage) }).collect();
    unloadable("raw", &|| Bench::with(&["checks", "raw"]), &harms)
}

/// A plugin that cannot be loaded is one line with a stable code, told to each of its
/// integrations; another plugin stands. `place` makes a place with the plugin and `misbehaving`.
pub(crate) fn unloadable(provider: &str, place: &dyn Fn() -> Result<Bench>, harms: &[Harm<'_>]) -> Result<()> {
    let mut complaints = Vec::new();
    for (name, expected, says, damage) in harms {
        let bench = place()?;
        damage(&bench.plugin(provider))?;
        let integrations = [("broken", provider, "well"), ("too", provider, "well"), ("fine", "misbehaving", "well")];
        let outcome = Outcome::of(&mut bench.checking(&configuration(&integrations))?)?;
        let mut complain = |text: String| complaints.push(format!("{name}: {text}"));
        let Ok(report) = outcome.report() else {
            complain(format!("exit code {}, no report: {}", outcome.exit, outcome.stderr));
            continue;
        };
        let broken = integration(&report, "broken")?;
        if fate(broken)? != *expected {
            complain(format!("{}, expected {expected}", fate(broken)?));
        }
        let Some(finding) = telling(broken)?.findings.first() else {
            complain(format!("no finding: {:?}", telling(broken)?));
            continue;
        };
        if finding.message.contains('\n') || finding.message.len() > 300 {
            complain(format!("more than a line: {}", finding.message));
        }
        if !serde_json::to_string(finding)?.contains(says) {
            complain(format!("does not say `{says}`: {finding:?}"));
        }
        if fate(integration(&report, "too")?)? != *expected {
            complain("another integration of the plugin is told otherwise".to_owned());
        }
        if integration(&report, "fine")?.verdict != Status::Pass {
            complain("the other plugin does not stand".to_owned());
        }
        if outcome.exit != 4 {
            complain(format!("exit code {}", outcome.exit));
        }
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// What is wrong on disk before anything starts is a refusal: nothing runs.
#[test]
fn an_installation_that_is_broken_or_open_to_others_is_refused() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777));
    let check = |damage: &dyn Fn(&Path) -> Result<()>, says: &str| -> Result<()> {
        let bench = Bench::with(&["raw"])?;
        damage(&bench.plugin("raw"))?;
        let outcome = Outcome::of(&mut bench.checking(&configuration(&[("fine", "raw", "well")]))?)?;
        ensure!(outcome.exit == 2 && outcome.stdout.is_empty(), "`{says}` was expected: {outcome:?}");
        ensure!(outcome.stderr.contains(says), "`{says}` is not said: {}", outcome.stderr);
        Ok(())
    };
    check(&|it| Ok(fs::remove_file(library_file(it)?)?), "plugin `raw`")?;
    check(&|it| Ok(fs::write(it.join("description.json"), "{}")?), "is not the description that the manifest names")?;
    check(&|it| Ok(open(it)?), "may be written by others (mode 0777)")?;
    check(&|it| Ok(open(&library_file(it)?)?), "may be written by others (mode 0777)")?;
    check(&|it| Ok(open(&it.join("plugin.toml"))?), "may be written by others (mode 0777)")
}

/// Gives a plugin's library another name.
fn rename(directory: &Path, to: &str) -> Result<()> {
    let file = library_file(directory)?;
    let old = file.file_name().context("no name")?.to_string_lossy().into_owned();
    fs::rename(&file, directory.join(to))?;
    let manifest = fs::read_to_string(directory.join("plugin.toml"))?;
    Ok(fs::write(directory.join("plugin.toml"), manifest.replace(&old, to))?)
}

#[test]
fn packing_what_is_no_plugin_is_refused_in_one_line() -> Result<()> {
    let bench = Bench::with(&[])?;
    let check = |library: &str, says: &str| -> Result<()> {
        let outcome = bench.pack(&library_of(library), &bench.plugin(library))?;
        ensure!(outcome.exit == 2 && outcome.stderr.contains(says), "{library}: {outcome:?}");
        ensure!(outcome.stderr.lines().count() == 1, "{library}: {}", outcome.stderr);
        ensure!(!bench.plugin(library).exists(), "{library}: something was packed");
        Ok(())
    };
    check("no-symbol", "(no-symbol)")?;
    check("other-layout", "(other-layout)")?;
    check("other-version", "(other-version)")?;
    check("exits-on-load", "(died-on-load)")
}

/// What the configuration does not enable makes no difference, whatever it is; and what is enabled
/// without being needed is not loaded.
#[test]
fn nothing_is_loaded_that_nobody_needs() -> Result<()> {
    let bench = Bench::with(&["checks", "raw"])?;
    let raw = bench.plugin("raw");
    swap(&raw, &fs::read(library_of("exits-on-load"))?)?;
    let opened = Opened::watch(&library_file(&raw)?)?;
    let alone = [("fine", "misbehaving", "well")];

    let (outcome, _) = bench.check(&configuration(&alone).replace("enable = [", "enable = [\"raw\", "))?;
    ensure!(outcome.exit == 0 && !opened.seen()?, "enabled without need, it was loaded: {}", outcome.stdout);
    fs::remove_dir_all(bench.temporary())?;
    for command in [&["list"][..], &["plan"], &["plugin", "info", "raw"], &["schema"], &["plugin", "list"]] {
        let outcome = Outcome::of(bench.command().args(command).arg("--plugin-dir").arg(bench.path().join("plugins")))?;
        ensure!(outcome.exit == 0, "{command:?} failed: {}", outcome.stderr);
        // The list hashes it; where a worker is started, a directory is made first.
        ensure!(opened.seen()? == (command == ["plugin", "list"]), "{command:?} opened it, or did not");
        ensure!(!bench.temporary().exists(), "{command:?} started something");
    }
    fs::create_dir(bench.temporary())?;
    // Needed, it is opened and loaded.
    let (outcome, _) = bench.check(&configuration(&[("broken", "raw", "well"), ("fine", "misbehaving", "well")]))?;
    ensure!(outcome.exit == 4 && opened.seen()?, "needed, it was not loaded: {}", outcome.stdout);

    fs::write(raw.join("description.json"), [0xff, 0xfe])?;
    let (outcome, _) = bench.check(&configuration(&alone))?;
    ensure!(outcome.exit == 0 && !opened.seen()?, "its description was read: {}", outcome.stdout);
    fs::write(raw.join("plugin.toml"), "no manifest = ")?;
    let (outcome, _) = bench.check(&configuration(&alone))?;
    ensure!(outcome.exit == 0 && outcome.stderr.is_empty(), "its manifest mattered: {}", outcome.stderr);
    Ok(())
}

/// Knows whether a file was opened since it was last asked.
struct Opened(rustix::fd::OwnedFd);

impl Opened {
    fn watch(file: &Path) -> Result<Opened> {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        inotify::add_watch(&watch, file, inotify::WatchFlags::OPEN)?;
        Ok(Opened(watch))
    }

    fn seen(&self) -> Result<bool> {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 1024];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut seen = false;
        loop {
            match events.next() {
                Ok(_) => seen = true,
                Err(Errno::AGAIN) => return Ok(seen),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[test]
fn a_plugin_that_crashes_alone_three_times_is_set_aside() -> Result<()> {
    let bench = Bench::with(&["checks"])?;
    let names: Vec<String> = (1..=6).map(|number| format!("crash-{number}")).collect();
    let integrations: Vec<_> = names.iter().map(|name| (name.as_str(), "misbehaving", "abort")).collect();
    // One at a time, so that who comes first is known.
    let outcome = Outcome::of(bench.checking(&configuration(&integrations))?.args(["--jobs", "1"]))?;
    let mut fates: BTreeMap<String, usize> = BTreeMap::new();
    for integration in &outcome.report()?.integrations {
        *fates.entry(fate(integration)?).or_default() += 1;
    }
    let aside = "error plugin.crashed lineman/plugin-set-aside".to_owned();
    assert_eq!(fates, BTreeMap::from([(CRASHED.to_owned(), 3), (aside, 3)]));
    // Nothing is remembered against it.
    let (outcome, _) = bench.check(&configuration(&[("fine", "misbehaving", "well")]))?;
    assert_eq!(outcome.exit, 0);
    Ok(())
}

/// Whether a process is there and is not merely waiting to be waited for.
fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    test_kill_process(pid).is_ok() && !matches!(state, None | Some('Z' | 'X'))
}

/// That it starts something at all is seen by [`hanging`], while it runs.
#[test]
fn what_a_plugin_starts_is_gone_when_the_run_is_over() -> Result<()> {
    for (behaviour, exit) in [("leave-daemon", 0), ("leave-detached-daemon", 0), ("leave-daemon-and-abort", 4)] {
        let bench = Bench::with(&["checks"])?;
        let settings = format!("mark = {:?}\n", mark(&bench));
        let (outcome, _) = bench.check(&(configuration(&[("leaves", "misbehaving", behaviour)]) + &settings))?;
        assert_eq!(outcome.exit, exit, "{behaviour}: {}", outcome.stdout);
        assert_eq!(marked(&mark(&bench)), [], "{behaviour}: these live on");
    }
    Ok(())
}

/// A run that hangs, in a process group of its own, as a shell would start it.
fn hanging(bench: &Bench) -> Result<Child> {
    let settings = format!("mark = {:?}\n", mark(bench));
    // The daemon tells that the worker has come so far; the other never ends.
    let integrations =
        [("done", "misbehaving", "well"), ("stays", "misbehaving", "hang"), ("leaves", "misbehaving", "leave-daemon")];
    let mut command = bench.checking(&(configuration(&integrations) + &settings))?;
    let child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    while marked(&mark(bench)).is_empty() {
        std::thread::yield_now();
    }
    Ok(child)
}

/// Waits until a process is gone; the test's own deadline is the harness's.
fn wait_for_the_end(pid: Pid) {
    while lives(pid) {
        std::thread::yield_now();
    }
}

#[test]
fn an_interrupted_run_still_reports() -> Result<()> {
    let bench = Bench::with(&["checks"])?;
    let child = hanging(&bench)?;
    let workers = children(child.id());
    ensure!(!workers.is_empty(), "there is no worker");
    kill_process(Pid::from_child(&child), Signal::INT)?;
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Report = serde_json::from_slice(&output.stdout)?;
    assert!(!report.run.complete);
    assert_eq!(integration(&report, "done")?.verdict, Status::Pass);
    assert_eq!(telling(integration(&report, "stays")?)?.status, Status::Skip);
    for pid in workers.into_iter().chain(marked(&mark(&bench))) {
        ensure!(!lives(pid), "{} lives on", pid.as_raw_pid());
    }
    Ok(())
}

#[test]
fn a_killed_run_leaves_no_worker_and_its_files_are_swept_by_the_next() -> Result<()> {
    let bench = Bench::with(&["checks"])?;
    let mut child = hanging(&bench)?;
    let workers = children(child.id());
    ensure!(!workers.is_empty(), "there is no worker");
    kill_process(Pid::from_child(&child), Signal::KILL)?;
    assert_eq!(child.wait()?.signal(), Some(Signal::KILL.as_raw()));
    workers.into_iter().for_each(wait_for_the_end);
    let home = fs::read_dir(bench.temporary())?.flatten().next().context("no directory of runs")?.path();
    let runs = || fs::read_dir(&home).map(|entries| entries.count());
    assert_eq!(runs()?, 1, "the killed run could not clean up");
    for pid in marked(&mark(&bench)) {
        // Nobody is left to end what a plugin started.
        kill_process(pid, Signal::KILL)?;
    }
    let (outcome, _) = bench.check(&configuration(&[("fine", "misbehaving", "well")]))?;
    assert_eq!((outcome.exit, runs()?), (0, 0), "the next run sweeps");
    Ok(())
}
