//! `cargo xtask bench`: what Lineman costs, beside what people would use in its place.
//!
//! Every figure is a ratio to a peer that does the same work against the same server in the same
//! run, so that it says the same on a fast and on a slow machine. Ours and the peer's turn come by
//! turns, and each round gives one ratio; what is printed are medians. Nothing here is a test: the
//! exit code says whether it could be measured, not what came out.

mod added;
mod git;
mod identity;
mod logs;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lineman_tests::{clean_command, target_dir};

use crate::narration::{Step, say};
use crate::release::{forget_accepted, install};

/// A line of the table.
struct Row {
    what: String,
    ours: Duration,
    peer: Option<Duration>,
    /// As it is judged, in words.
    ratio: String,
    budget: &'static str,
    /// None where there is no budget.
    ok: Option<bool>,
}

/// Measures and prints the table.
pub(crate) fn run() -> Result<()> {
    let directory = target_dir().join("bench");
    fs::create_dir_all(&directory)?;
    let program = install(&directory, "release", &[])?;
    forget_accepted(&directory)?;
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    rows.extend(added::measure(&program, &directory)?);
    match identity::measure(&program, &directory)? {
        Ok(row) => rows.push(row),
        Err(note) => notes.push(note),
    }
    rows.push(git::measure(&program, &directory)?);
    match logs::measure(&program, &directory)? {
        Ok(row) => rows.push(row),
        Err(note) => notes.push(note),
    }
    say(table(&rows));
    notes.iter().for_each(|note| say(format!("NOT MEASURED  {note}")));
    say("\nMedians of paired rounds; `peer` is named in the row. See xtask/src/bench for the method.");
    Ok(())
}

/// Times of two things that were done by turns.
struct Paired {
    ours: Duration,
    peer: Duration,
    /// Median of ours / peer, round by round.
    ratio: f64,
}

/// Does each once to warm the machine's caches, then both by turns.
fn paired(
    step: &mut Step,
    rounds: usize,
    ours: impl FnMut() -> Result<()>,
    peer: impl FnMut() -> Result<()>,
) -> Result<Paired> {
    let start = Instant::now();
    paired_by(|| Ok(start.elapsed()), step, rounds, ours, peer)
}

/// The same by a clock, from which only differences are taken.
fn paired_by(
    clock: impl Fn() -> Result<Duration>,
    step: &mut Step,
    rounds: usize,
    mut ours: impl FnMut() -> Result<()>,
    mut peer: impl FnMut() -> Result<()>,
) -> Result<Paired> {
    let time = |work: &mut dyn FnMut() -> Result<()>| -> Result<Duration> {
        let start = clock()?;
        work()?;
        Ok(clock()?.saturating_sub(start))
    };
    time(&mut ours)?;
    time(&mut peer)?;
    let mut times = Vec::new();
    for round in 0..rounds {
        step.at(&format!("round {} of {rounds}", round + 1));
        // Who goes first finds the machine differently.
        times.push(if round % 2 == 0 {
            let first = time(&mut ours)?;
            (first, time(&mut peer)?)
        } else {
            let first = time(&mut peer)?;
            (time(&mut ours)?, first)
        });
    }
    Ok(Paired {
        ours: median(times.iter().map(|(ours, _)| *ours).collect()),
        peer: median(times.iter().map(|(_, peer)| *peer).collect()),
        ratio: median(times.iter().map(|(ours, peer)| ours.as_secs_f64() / peer.as_secs_f64()).collect()),
    })
}

fn median<T: PartialOrd + Copy + Default>(mut values: Vec<T>) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Lineman with a home of its own: what it keeps of its runs does not mix with the user's.
fn lineman(program: &Path, home: &Path) -> Command {
    let mut command = clean_command(program);
    command.env("HOME", home);
    command
}

/// Runs a program that must succeed.
fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be started"))?;
    ensure!(
        output.status.success(),
        "{name} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let milliseconds = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    let head = ["what", "ours", "peer", "ratio", "budget", ""].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(head)
        .chain(rows.iter().map(|row| {
            [
                row.what.clone(),
                milliseconds(row.ours),
                row.peer.map_or_else(|| "–".to_owned(), milliseconds),
                row.ratio.clone(),
                row.budget.to_owned(),
                match row.ok {
                    Some(true) => "ok".to_owned(),
                    Some(false) => "OVER".to_owned(),
                    None => String::new(),
                },
            ]
        }))
        .collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text.trim_end().to_owned()
}
