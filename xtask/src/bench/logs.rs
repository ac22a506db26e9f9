//! `lineman logs` over a long log, with the catalogs of all plugins, beside `rg -c ''` over the same
//! file: what a machine can read at best.
//!
//! Both are held to one core, and what counts is the time that it works for them, so that others on
//! the machine make no difference. The log is what a platform writes all day, with a failure in each
//! megabyte.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lineman_lab::Chatter;
use lineman_tests::clean_command;

use super::{Row, lineman, paired_by, succeed};
use crate::narration::Step;

const MEGABYTES: usize = 512;
const ROUNDS: usize = 5;
/// Bytes a second of one core's time.
const BUDGET: f64 = 200e6;
const FAILURE: &str = "Error: creating it: dial tcp: lookup api.example.org on 10.0.0.2:53: no such host\n";

/// The row, or why there is none.
pub(super) fn measure(program: &Path, directory: &Path) -> Result<Result<Row, String>> {
    if Command::new("rg").arg("--version").output().is_err() {
        return Ok(Err("lineman logs beside ripgrep: rg is not here (apt-get install ripgrep)".to_owned()));
    }
    let mut step = Step::new("measuring the reading of logs");
    let log = directory.join("platform.log");
    step.at("writing a log");
    let size = write(&log)?;
    // One core: util-linux is on every Debian.
    let on_one_core = |command: &Command| {
        let mut outer = lineman(Path::new("taskset"), directory);
        outer.args(["-c", "0"]).arg(command.get_program()).args(command.get_args());
        outer.current_dir(directory);
        outer
    };
    let ours = || succeed(&mut on_one_core(clean_command(program).arg("logs").arg(&log)));
    let peer = || succeed(&mut on_one_core(clean_command("rg").args(["-c", "", "-j", "1"]).arg(&log)));
    let paired = paired_by(worked, &mut step, ROUNDS, ours, peer)?;
    let _ = fs::remove_file(&log);
    let speed = size as f64 / paired.ours.as_secs_f64();
    ensure!(speed.is_finite(), "the log was read in no time");
    Ok(Ok(Row {
        what: format!("lineman logs, {MEGABYTES} MB, {:.0} MB/s of CPU time (peer: rg -c '')", speed / 1e6),
        ours: paired.ours,
        peer: Some(paired.peer),
        ratio: format!("{:.1}", paired.ratio),
        budget: "≥ 200 MB/s",
        ok: Some(speed >= BUDGET),
    }))
}

/// How long processors have worked for the children of this process that have ended.
fn worked() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold anything, the fields from the third on (proc(5)).
    let (_, fields) = stat.rsplit_once(") ").context("/proc/self/stat names no program")?;
    let ticks = |field: usize| -> Result<u64> {
        Ok(fields.split(' ').nth(field - 3).context("/proc/self/stat is too short")?.parse()?)
    };
    let ticks = ticks(16)? + ticks(17)?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

fn write(path: &Path) -> Result<usize> {
    let mut file = BufWriter::new(File::create(path).with_context(|| format!("{} cannot be written", path.display()))?);
    let mut chatter = Chatter::new(7);
    let mut size = 0;
    for _ in 0..MEGABYTES {
        let mut piece = Vec::new();
        chatter.fill(&mut piece, 1_000_000);
        piece.extend_from_slice(FAILURE.as_bytes());
        file.write_all(&piece)?;
        size += piece.len();
    }
    file.flush()?;
    Ok(size)
}
