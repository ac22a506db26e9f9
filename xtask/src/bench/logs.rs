//! `lineman logs` over a long log, with the catalogs of all plugins, beside `rg -c ''` over the same
//! file: what a machine can read at best.
//!
//! Both are held to one core. The log is what a platform writes all day, with a failure in each
//! megabyte.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lineman_lab::Chatter;
use lineman_tests::clean_command;

use super::{Row, paired, succeed};
use crate::narration::Step;

const MEGABYTES: usize = 512;
const ROUNDS: usize = 5;
/// Bytes a second.
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
    let on_one_core = |program: &Path| {
        let mut command = clean_command("taskset");
        command.args(["-c", "0"]).arg(program);
        command
    };
    let ours = || succeed(on_one_core(program).arg("logs").arg(&log).current_dir(directory));
    let peer = || succeed(on_one_core(Path::new("rg")).args(["-c", "", "-j", "1"]).arg(&log));
    let paired = paired(&mut step, ROUNDS, ours, peer)?;
    let _ = std::fs::remove_file(&log);
    let speed = size as f64 / paired.ours.as_secs_f64();
    ensure!(speed.is_finite(), "the log was read in no time");
    Ok(Ok(Row {
        what: format!("lineman logs, {MEGABYTES} MB, {:.0} MB/s (peer: rg -c '')", speed / 1e6),
        ours: paired.ours,
        peer: Some(paired.peer),
        ratio: format!("{:.1}", paired.ratio),
        budget: "≥ 200 MB/s",
        ok: Some(speed >= BUDGET),
    }))
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
