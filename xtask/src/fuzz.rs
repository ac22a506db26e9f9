//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, built with coverage instrumentation and run.
//!
//! Everything that it takes is in a stable toolchain: the instrumentation is a pass of LLVM, and
//! the fuzzer comes as a crate. There is no sanitizer, because nothing that is fuzzed has unsafe
//! code of its own; debug assertions and checks of overflow are on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use lineman_tests::{target_dir, workspace};
use serde::Deserialize;

use crate::say;

/// How many targets run at once.
const AT_ONCE: usize = 2;
/// How the fuzzer learns which input leads where.
const INSTRUMENTATION: &[&str] = &[
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];
/// Limits of one run of a target on one input: seconds, and MiB of memory of the whole run.
const LIMITS: [&str; 2] = ["-timeout=20", "-rss_limit_mb=2048"];

/// The most that the committed inputs of one target take, bytes.
const CORPUS: u64 = 20 * 1024;
/// The largest input that is committed, unless a person wrote it, bytes.
const LARGEST_INPUT: u64 = 1024;

/// What `cargo xtask fuzz` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u32,
    /// Add what was found to the committed inputs, where it leads to something new, and run nothing
    #[arg(long)]
    minimise: bool,
    /// These targets; all of them unless named
    targets: Vec<String>,
}

/// Builds and runs the targets; an error when one of them found something.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let targets = chosen(&arguments.targets)?;
    let programs = build(&targets)?;
    let queue = Mutex::new(targets.iter().map(String::as_str).collect::<VecDeque<_>>());
    let faults = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(target) = next(&queue) {
                    let done = if arguments.minimise {
                        minimise(&programs, target)
                    } else {
                        fuzz(&programs, target, arguments.seconds)
                    };
                    match done {
                        Ok(line) => say(&line),
                        Err(error) => {
                            faults.lock().unwrap_or_else(PoisonError::into_inner).insert(target, error);
                        }
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
    faults.iter().for_each(|(target, error)| say(&format!("\n{target}: {error:#}")));
    ensure!(faults.is_empty(), "{} of {} targets found something", faults.len(), targets.len());
    Ok(())
}

fn next<'a>(queue: &Mutex<VecDeque<&'a str>>) -> Option<&'a str> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// The manifest of the fuzz targets, as far as it matters.
#[derive(Deserialize)]
struct Manifest {
    bin: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn directory() -> PathBuf {
    workspace().join("fuzz")
}

fn chosen(named: &[String]) -> Result<Vec<String>> {
    let manifest: Manifest = toml::from_str(&fs::read_to_string(directory().join("Cargo.toml"))?)?;
    let all: Vec<String> = manifest.bin.into_iter().map(|target| target.name).collect();
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{unknown}`; there are {}", all.join(", "));
    }
    Ok(if named.is_empty() { all } else { named.to_vec() })
}

/// Builds targets; gives the directory of the programs.
fn build(targets: &[String]) -> Result<PathBuf> {
    say(&format!("building {}", targets.join(", ")));
    // With a target named, programs that run during the build are not instrumented.
    let host = host()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(directory()).args(["build", "--locked", "--quiet", "--target", &host]);
    command.arg("--target-dir").arg(target_dir().join("fuzz"));
    command.args(targets.iter().map(|target| format!("--bin={target}")));
    command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\u{1f}"));
    ensure!(command.status().context("cargo cannot be started")?.success(), "the fuzz targets cannot be built");
    Ok(target_dir().join("fuzz").join(host).join("debug"))
}

/// The target that this compiler builds for unless told otherwise.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("rustc cannot be started")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say for what it builds")?.to_owned())
}

/// Where a target's inputs lie: those that are committed, and those that were found here.
fn corpora(target: &str) -> Result<[PathBuf; 2]> {
    let [committed, found] = [directory().join("corpus").join(target), target_dir().join("fuzz/corpus").join(target)];
    fs::create_dir_all(&committed)?;
    fs::create_dir_all(&found)?;
    Ok([committed, found])
}

/// Runs a target for some seconds.
fn fuzz(programs: &Path, target: &str, seconds: u32) -> Result<String> {
    let [committed, found] = corpora(target)?;
    let crashes = target_dir().join("fuzz/crashes").join(target);
    fs::create_dir_all(&crashes)?;
    let log = target_dir().join("fuzz").join(format!("{target}.log"));
    let mut command = Command::new(programs.join(target));
    command.args(LIMITS).arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
    command.arg(format!("-artifact_prefix={}/", crashes.display()));
    // What is new is written into the first directory, and read from both.
    let written = File::create(&log)?;
    let status = command.arg(&found).arg(&committed).stdout(written.try_clone()?).stderr(written).status()?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let figure = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(&format!("stat::{name}:")));
        line.map_or("?", str::trim).to_owned()
    };
    if !status.success() {
        let interesting = |line: &&str| {
            ["panicked at", "ERROR:", "assertion", "Test unit written", "left:", "right:", "SUMMARY"]
                .iter()
                .any(|word| line.contains(word))
        };
        let lines: Vec<&str> = said.lines().filter(interesting).take(12).collect();
        bail!("ended with {status}; all of it is in {}\n  {}", log.display(), lines.join("\n  "));
    }
    Ok(format!(
        "{target}: {} executions, {} a second, {} new inputs; nothing found",
        figure("number_of_executed_units"),
        figure("average_exec_per_sec"),
        figure("new_units_added")
    ))
}

/// Keeps of what was found what leads where nothing that is committed does, as far as there is room.
/// Inputs that were written by hand have names, and stay; the fuzzer names its own by their hash.
fn minimise(programs: &Path, target: &str) -> Result<String> {
    let [committed, found] = corpora(target)?;
    let fewest = target_dir().join("fuzz/fewest").join(target);
    if fewest.exists() {
        fs::remove_dir_all(&fewest)?;
    }
    fs::create_dir_all(&fewest)?;
    let by_hand = |name: &str| name.len() != 40 || !name.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (name, _) in inputs(&committed)?.iter().filter(|(name, _)| by_hand(name)) {
        fs::copy(committed.join(name), fewest.join(name))?;
    }
    let mut command = Command::new(programs.join(target));
    command.args(LIMITS).arg("-merge=1").arg(&fewest).arg(&committed).arg(&found);
    let output = command.output()?;
    ensure!(output.status.success(), "cannot be merged:\n{}", String::from_utf8_lossy(&output.stderr));
    fs::remove_dir_all(&committed)?;
    fs::create_dir_all(&committed)?;
    // Large ones lead to many places at once, so that few will do; but each is to be readable.
    let mut all = inputs(&fewest)?;
    all.retain(|(name, size)| by_hand(name) || *size <= LARGEST_INPUT);
    all.sort_by_key(|(name, size)| (!by_hand(name), Reverse(*size)));
    let mut room = CORPUS;
    let mut kept = 0;
    for (name, size) in &all {
        let Some(left) = room.checked_sub(*size) else { break };
        (room, kept) = (left, kept + 1);
        fs::copy(fewest.join(name), committed.join(name))?;
    }
    Ok(format!("{target}: kept {kept} of {} inputs, {} bytes", all.len(), CORPUS - room))
}

/// The inputs in a directory, with their sizes.
fn inputs(directory: &Path) -> Result<Vec<(String, u64)>> {
    let of = |entry: std::io::Result<fs::DirEntry>| -> Result<(String, u64)> {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()))
    };
    fs::read_dir(directory)?.map(of).collect()
}
