//! Whatever one plugin does wrong, the others' results are what they are without it.
//!
//! Every kind of misbehaviour runs beside twenty integrations of three other plugins, whose part of
//! the report must be the same as in a run without it. Then runs in which faults, the loss of a
//! worker and an interruption come together at random: set `LINEMAN_TEST_SEED` to what a failure
//! names, to see the same runs again. Every run ends by itself, and nothing is left of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use lineman_model::{Event, Report, SkipReason, Status};
use lineman_tests::Outcome;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bench::{Bench, children, library_of, mark, marked};
use crate::isolation::{Damage, damages, integration};

/// How many runs go on at once. They wait more than they compute.
const AT_ONCE: usize = 6;
/// What a run may take by its own rules, milliseconds.
const RUN_LIMIT_MS: u64 = 60_000;
/// What a check may take where one never ends. The healthy have enough of it, however busy the
/// machine is.
const CHECK_LIMIT: &str = "12s";
/// Behaviours that take all the time that there is.
const ENDLESS: [&str; 6] =
    ["hang", "wait-for-ever", "flood-progress", "no-result", "result-for-the-wrong-call", "hold-the-door"];
/// How many runs are made at random.
const RUNS: usize = 200;
/// Seeds of runs that once ended otherwise. The first has two checks that flood, and whoever shares
/// their threads had to wait until they were no longer to blame.
const FOUND: [u64; 1] = [1_795_484_327_826_686];

/// Plugins laid out once, which every bench of a test gets a copy of.
struct Shelf(Bench);

impl Shelf {
    fn new() -> Result<Shelf> {
        let bench = Bench::with(&["checks", "raw"])?;
        let too = bench.path().join("raw-too.so");
        fs::copy(library_of("raw"), &too)?;
        let packed = bench.pack(&too, &bench.plugin("raw-too"))?;
        ensure!(packed.exit == 0, "{packed:?}");
        Ok(Shelf(bench))
    }

    fn bench(&self) -> Result<Bench> {
        let bench = Bench::with(&[])?;
        for plugin in ["checks", "raw", "raw-too"] {
            fs::create_dir_all(bench.plugin(plugin))?;
            for file in fs::read_dir(self.0.plugin(plugin))? {
                let file = file?;
                fs::copy(file.path(), bench.plugin(plugin).join(file.file_name()))?;
            }
        }
        Ok(bench)
    }
}

/// An integration: its name, its plugin and its other lines.
type Line = (String, &'static str, String);

fn configuration(lines: &[Line]) -> String {
    let mut providers: Vec<_> = lines.iter().map(|(_, provider, _)| *provider).collect();
    providers.sort_unstable();
    providers.dedup();
    let mut text = format!("version = 1\nplugins.enable = {providers:?}\n");
    for (name, provider, more) in lines {
        text += &format!("[integration.{name}]\nprovider = {provider:?}\n{more}\n");
    }
    text
}

fn behaves(name: impl Into<String>, provider: &'static str, behaviour: &str) -> Line {
    (name.into(), provider, format!("settings.behaviour = {behaviour:?}"))
}

/// Twenty integrations of three plugins: some are fine, some are broken, none needs a server.
fn healthy() -> Vec<Line> {
    let git = (1..=7).map(|number| {
        let url = if number % 2 == 0 { "https://127.0.0.1:1/a.git" } else { "ssh://git@127.0.0.1:1/a.git" };
        (format!("git-{number}"), "git", format!("settings.url = {url:?}"))
    });
    let aws = (1..=6).map(|number| {
        let secrets = "secrets.access_key_id = { env = \"KEY_ID\" }\nsecrets.secret_access_key = { env = \"KEY\" }";
        (format!("aws-{number}"), "aws", format!("{secrets}\nconnection.endpoint_url = \"http://127.0.0.1:1\""))
    });
    let raw = (1..=7).map(|number| {
        behaves(format!("raw-{number}"), "raw-too", if number % 2 == 0 { "well" } else { "well-in-a-while" })
    });
    git.chain(aws).chain(raw).collect()
}

/// Gives secrets that are malformed or belong to nobody.
fn with_secrets(command: &mut Command) -> &mut Command {
    command.env("KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("KEY", "not a key").env("TOKEN", "s3cret-and-long-enough")
}

/// The part of a report that is about the healthy, without what differs from run to run.
fn part(report: &Report) -> Result<Vec<String>> {
    let healthy = report.integrations.iter().filter(|it| it.name != "bad");
    healthy
        .map(|integration| {
            let mut value = serde_json::to_value(integration)?;
            strip(&mut value);
            Ok(serde_json::to_string_pretty(&value)?)
        })
        .collect()
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.ends_with("_ms") && !name.ends_with("_at") && name != "id");
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Nothing is left of a run: no process with a place in it, no file.
fn leftovers(bench: &Bench) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for pid in marked(&mark(bench)) {
        left.push(format!("process {} bears the mark", pid.as_raw_pid()));
    }
    for process in fs::read_dir("/proc")?.flatten() {
        let place = fs::read_link(process.path().join("cwd")).unwrap_or_default();
        if place.starts_with(bench.path()) {
            left.push(format!("process {} is in {}", process.file_name().display(), place.display()));
        }
    }
    for home in fs::read_dir(bench.temporary())?.flatten() {
        for file in fs::read_dir(home.path())?.flatten() {
            left.push(format!("{} is there", file.path().display()));
        }
    }
    Ok(left)
}

/// Does something with every item, several at once; gives what there is to complain of.
fn each<T: Sync>(items: &[T], run: impl Fn(&T) -> Result<Vec<String>> + Sync) -> Vec<String> {
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = run(item).unwrap_or_else(|error| vec![format!("{error:#}")]);
                    complaints.lock().expect("nobody panics with it").extend(found);
                }
            });
        }
    });
    complaints.into_inner().expect("nobody panics with it")
}

/// What misbehaves: a check, by its plugin and behaviour; or a library, by what is done to it.
enum Bad {
    Check(&'static str, &'static str),
    Library(&'static str, Damage),
}

#[test]
fn whatever_misbehaves_the_others_results_are_the_same() -> Result<()> {
    let checks = [
        "panic",
        "abort",
        "exit-zero",
        "segfault",
        "stack-overflow",
        "wait-for-ever",
        "hang",
        "eat-memory",
        "flood-findings",
        "flood-progress",
        "huge-finding",
        "print",
        "tell",
        "tell-and-panic",
        "leave-daemon",
        "leave-detached-daemon",
        "leave-daemon-and-abort",
    ];
    let raw = [
        "garbage",
        "garbage-result",
        "not-a-finding",
        "too-large",
        "result-for-the-wrong-call",
        "two-results",
        "result-and-then-a-finding",
        "no-result",
        "unknown-kinds",
        "error-with-a-cause-of-others",
        // A panic that leaves the plugin aborts, as any panic does with `panic = "abort"`.
        "panic-through-the-door",
        "hold-the-door",
        "refuse-1",
    ];
    let rows: Vec<Bad> = (checks.into_iter().map(|it| Bad::Check("misbehaving", it)))
        .chain(raw.into_iter().map(|it| Bad::Check("raw", it)))
        .chain(damages().iter().map(|(name, _, _, damage)| Bad::Library(name, *damage)))
        .collect();
    let shelf = Shelf::new()?;
    let run = |lines: &[Line], damage: Option<Damage>, name: &str| -> Result<(Report, Vec<String>)> {
        let bench = shelf.bench()?;
        damage.map_or(Ok(()), |damage| damage(&bench.plugin("raw")))?;
        let configuration = configuration(lines).replace("MARK", &mark(&bench));
        let limit = format!("{RUN_LIMIT_MS}ms");
        let mut command = bench.checking(&configuration)?;
        // It returns when nobody holds its outputs any more.
        if ENDLESS.contains(&name) {
            command.args(["--timeout", CHECK_LIMIT]);
        }
        let outcome = Outcome::of(with_secrets(&mut command).args(["--run-timeout", &limit]))?;
        let report = outcome.report()?;
        let mut complaints = leftovers(&bench)?;
        if !report.run.complete || report.run.duration_ms > RUN_LIMIT_MS {
            complaints.push(format!("it did not end by itself within {RUN_LIMIT_MS} ms"));
        }
        Ok((report, complaints))
    };
    let (baseline, complaints) = run(&healthy(), None, "nothing")?;
    ensure!(complaints.is_empty(), "{complaints:#?}");
    let verdicts: Vec<Status> = baseline.integrations.iter().map(|it| it.verdict).collect();
    ensure!(
        verdicts.len() == 20 && verdicts.contains(&Status::Pass) && verdicts.contains(&Status::Fail),
        "{verdicts:?}"
    );
    let baseline = part(&baseline)?;
    let complaints = each(&rows, |bad| {
        let (name, line, damage) = match bad {
            Bad::Check("misbehaving", behaviour) => {
                let (name, provider, more) = behaves("bad", "misbehaving", behaviour);
                let more = format!("{more}\nsettings.mark = \"MARK\"\nsecrets.token = {{ env = \"TOKEN\" }}");
                (*behaviour, (name, provider, more), None)
            }
            Bad::Check(provider, behaviour) => (*behaviour, behaves("bad", provider, behaviour), None),
            Bad::Library(name, damage) => (*name, behaves("bad", "raw", "well"), Some(*damage)),
        };
        let lines: Vec<Line> = healthy().into_iter().chain([line]).collect();
        let (report, mut complaints) = run(&lines, damage, name)?;
        integration(&report, "bad")?;
        let part = part(&report)?;
        ensure!(part.len() == baseline.len(), "beside {name}: {} integrations", part.len());
        for (now, before) in part.iter().zip(&baseline).filter(|(now, before)| now != before) {
            complaints.push(format!("this\n{now}\nwas\n{before}"));
        }
        Ok(complaints.into_iter().map(|complaint| format!("beside {name}: {complaint}")).collect())
    });
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// SplitMix64: a stream of numbers that look random, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// What happens to a run when so many events were seen.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Nothing,
    LostWorker { after: usize, which: usize },
    Interrupted { after: usize },
}

/// What a run at random is made of.
#[derive(Debug)]
struct Plan {
    lines: Vec<Line>,
    expected: BTreeMap<String, Status>,
    disturbance: Disturbance,
    hangs: bool,
}

const HEALTHY: [(&str, Status); 4] =
    [("well", Status::Pass), ("well-in-a-while", Status::Pass), ("warn", Status::Warn), ("fail", Status::Fail)];
const CHECK_FAULTS: [&str; 8] = [
    "panic",
    "abort",
    "exit-zero",
    "segfault",
    "flood-findings",
    "huge-finding",
    "leave-daemon-and-abort",
    "tell-and-panic",
];
const RAW_FAULTS: [&str; 8] = [
    "garbage",
    "not-a-result",
    "two-results",
    "panic-through-the-door",
    "too-large",
    "refuse-3",
    "result-and-then-a-finding",
    "unknown-kinds",
];
const HANGS: [(&str, &str); 3] = [("raw", "no-result"), ("raw", "hold-the-door"), ("misbehaving", "hang")];

impl Plan {
    fn new(seed: u64) -> Plan {
        let mut numbers = Numbers(seed);
        let disturbance = match numbers.below(4) {
            0 => Disturbance::Interrupted { after: 1 + numbers.below(12) },
            1 => Disturbance::LostWorker { after: 1 + numbers.below(12), which: numbers.below(8) },
            _ => Disturbance::Nothing,
        };
        // The host cannot know who ended a worker: where one is lost, only the plugins that do
        // nothing wrong are sure to be blameless.
        let shared = !matches!(disturbance, Disturbance::LostWorker { .. });
        let (mut lines, mut expected) = (Vec::new(), BTreeMap::new());
        for number in 0..2 + numbers.below(5) {
            let name = format!("healthy-{number}");
            let provider = if shared { *numbers.one_of(&["raw", "raw-too", "misbehaving"]) } else { "raw-too" };
            let kinds = if provider == "misbehaving" { &HEALTHY[..] } else { &HEALTHY[..2] };
            let (behaviour, status) = *numbers.one_of(kinds);
            expected.insert(name.clone(), status);
            lines.push(behaves(name, provider, behaviour));
        }
        for number in 0..numbers.below(3) {
            let (provider, behaviour) = match numbers.below(2) {
                0 => ("misbehaving", *numbers.one_of(&CHECK_FAULTS)),
                _ => ("raw", *numbers.one_of(&RAW_FAULTS)),
            };
            let (name, provider, mut more) = behaves(format!("bad-{number}"), provider, behaviour);
            if provider == "misbehaving" {
                more += "\nsettings.mark = \"MARK\"";
            }
            lines.push((name, provider, more));
        }
        let hangs = numbers.below(25) == 0;
        if hangs {
            let (provider, behaviour) = *numbers.one_of(&HANGS);
            lines.push(behaves("hangs", provider, behaviour));
        }
        Plan { lines, expected, disturbance, hangs }
    }

    /// Carries it out, and says what is not as it should be.
    fn carry_out(&self, bench: &Bench) -> Result<Vec<String>> {
        let configuration = configuration(&self.lines).replace("MARK", &mark(bench));
        fs::write(bench.path().join("lineman.toml"), configuration)?;
        let mut command = bench.command();
        command.args(["check", "--format", "ndjson"]);
        if self.hangs {
            command.args(["--timeout", CHECK_LIMIT]);
        }
        command.arg("--plugin-dir").arg(bench.path().join("plugins"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let host = Pid::from_child(&child);
        let mut last = String::new();
        for (seen, line) in BufReader::new(child.stdout.take().context("no output")?).lines().enumerate() {
            last = line?;
            match self.disturbance {
                Disturbance::Interrupted { after } if after == seen => kill_process(host, Signal::INT)?,
                Disturbance::LostWorker { after, which } if after == seen => {
                    let workers = children(child.id());
                    if let Some(worker) = workers.get(which % workers.len().max(1)) {
                        // It may have ended by itself meanwhile.
                        let _ = kill_process(*worker, Signal::KILL);
                    }
                }
                _ => {}
            }
        }
        let mut stderr = String::new();
        child.stderr.take().context("no errors")?.read_to_string(&mut stderr)?;
        let status = child.wait()?;
        let mut complaints = leftovers(bench)?;
        match serde_json::from_str(&last) {
            Ok(Event::RunFinished { report }) => complaints.extend(self.judge(&report, status.code())),
            _ => complaints.push(format!("{status}, and no report: {last}")),
        }
        // What was accepted on the first use is noted there.
        complaints.extend(stderr.lines().filter(|line| !line.contains("lineman.lock")).map(str::to_owned));
        Ok(complaints)
    }

    fn judge(&self, report: &Report, exit: Option<i32>) -> Vec<String> {
        let mut complaints = Vec::new();
        if exit != Some(exit_of(report)) {
            complaints.push(format!("exit code {exit:?}, and the report means {}", exit_of(report)));
        }
        if !report.run.complete && !matches!(self.disturbance, Disturbance::Interrupted { .. }) {
            complaints.push("it is incomplete, and nobody interrupted it".to_owned());
        }
        let named: Vec<&str> = report.integrations.iter().map(|it| it.name.as_str()).collect();
        if named.len() != self.lines.len() {
            complaints.push(format!("the report is about {named:?} alone"));
        }
        for (name, expected) in &self.expected {
            let Some(it) = report.integrations.iter().find(|it| it.name == *name) else { continue };
            let cancelled = |reason: SkipReason| reason == SkipReason::Cancelled;
            let cut = it.checks.iter().any(|check| check.skip.as_ref().is_some_and(|skip| cancelled(skip.reason)));
            if it.verdict != *expected && (report.run.complete || !cut) {
                complaints.push(format!("{name} is {}, expected {expected}", it.verdict));
            }
            if let Some(blamed) = it.findings().find(|finding| finding.cause.is_ours()) {
                complaints.push(format!("{name} is blamed: {}", blamed.message));
            }
        }
        for it in report.integrations.iter().filter(|it| it.name == "hangs" && report.run.complete) {
            if it.verdict != Status::Error {
                complaints.push(format!("what hangs is {}", it.verdict));
            }
        }
        complaints
    }
}

/// The exit code that a report means.
fn exit_of(report: &Report) -> i32 {
    let any = |status: Status| report.integrations.iter().any(|it| it.verdict == status);
    match () {
        () if !report.run.complete => 130,
        () if any(Status::Fail) => 1,
        () if any(Status::Error) => 4,
        () if any(Status::Unknown) => 3,
        () => 0,
    }
}

#[test]
fn runs_at_random_end_well() -> Result<()> {
    let first = match std::env::var("LINEMAN_TEST_SEED") {
        Ok(seed) => seed.parse().context("LINEMAN_TEST_SEED is no number")?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64,
    };
    let shelf = Shelf::new()?;
    let seeds = (0..RUNS as u64).map(|number| first.wrapping_add(number));
    let seeds: Vec<u64> = FOUND.into_iter().chain(seeds).collect();
    let complaints = each(&seeds, |seed| {
        let plan = Plan::new(*seed);
        let complaints = plan.carry_out(&shelf.bench()?)?;
        let told = |complaint| format!("seed {seed}: {complaint}\n    {plan:?}");
        Ok(complaints.into_iter().map(told).collect())
    });
    ensure!(complaints.is_empty(), "LINEMAN_TEST_SEED={first}\n{}", complaints.join("\n"));
    Ok(())
}
