//! `exec-1`: the worker becomes the plugin's program.
//!
//! What was done to this process stays done: its limits, its directory, its group, and that it
//! can gain no privileges. Only that others of the same user may not look into its memory ends
//! with the new program.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::door::SCRIPT;
use crate::worker::NotLoaded;
use crate::worker::sealed::Sealed;

/// Runs a program in the place of this one, with the pipe to the host as its standard input and
/// output. It returns only where that cannot be done.
///
/// `name` is what `ps` shows.
pub(in crate::worker) fn become_program(program: &Sealed, name: &Path, pipe: (OwnedFd, OwnedFd)) -> NotLoaded {
    let first = first_line(program);
    // An interpreter opens the script by the name that it is given, after the descriptors that are
    // closed by then.
    let kept = if first.is_some() { program.keep() } else { Ok(()) };
    let (input, output) = pipe;
    let failed = match kept {
        Ok(()) => Command::new(program.path()).arg0(name).stdin(Stdio::from(input)).stdout(Stdio::from(output)).exec(),
        Err(error) => error,
    };
    let what = match first {
        Some(interpreter) => format!("the script cannot be run by `{interpreter}`"),
        None => "the program cannot be run".to_owned(),
    };
    ("not-a-program", format!("{what}: {failed}"))
}

/// What a script names as its interpreter.
fn first_line(program: &Sealed) -> Option<String> {
    let mut line = Vec::new();
    let mut start = BufReader::new(std::fs::File::open(program.path()).ok()?.take(256));
    start.read_until(b'\n', &mut line).ok()?;
    let interpreter = line.strip_prefix(SCRIPT)?;
    Some(lineman_model::clean_line(&String::from_utf8_lossy(interpreter), 200))
}
