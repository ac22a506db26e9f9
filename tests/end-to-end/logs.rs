//! `lineman logs --follow`: logs that grow while they are read.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::Bench;

#[test]
fn several_logs_are_followed_each_by_its_name() -> Result<()> {
    let bench = Bench::with(&["checks"])?;
    let path = |name: &str| bench.path().join(name);
    let failure = |host: &str| format!("curl: (6) Could not resolve host: {host}.example.org\n\n");
    fs::write(path("one.log"), failure("first"))?;
    fs::write(path("other.log"), "all is well\n")?;
    let mut command = bench.command();
    command.args(["logs", "--follow", "one.log", "other.log"]).env("LINEMAN_PLUGIN_PATH", path("plugins"));
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("an output")?).lines();
    // Waits for all of these words in what is told from here on.
    let mut until = |words: &[&str]| -> Result<()> {
        let mut told = String::new();
        while !words.iter().all(|word| told.contains(word)) {
            told += &lines.next().with_context(|| format!("{words:?} are not told in: {told}"))??;
        }
        Ok(())
    };
    until(&["first.example.org", "one.log line 1"])?;
    OpenOptions::new().append(true).open(path("other.log"))?.write_all(failure("second").as_bytes())?;
    until(&["second.example.org", "other.log line 2"])?;
    fs::rename(path("one.log"), path("one.log.1"))?;
    fs::write(path("one.log"), failure("third"))?;
    until(&["third.example.org", "one.log line"])?;
    kill_process(Pid::from_raw(child.id().cast_signed()).context("a process")?, Signal::INT)?;
    until(&["first.example.org", "second.example.org", "third.example.org"])?;
    ensure!(child.wait()?.code() == Some(0));
    Ok(())
}
