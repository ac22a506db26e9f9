//! `exec-1`: the worker becomes the plugin's program.
//!
//! What was done to this process stays done: its limits, its directory, its group, and that it
//! can gain no privileges. Only that others of the same user may not look into its memory ends
//! with the new program.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use lineman_model::clean_line;

use crate::door::SCRIPT;
use crate::worker::NotLoaded;
use crate::worker::sealed::Sealed;

/// Runs a program in the place of this one, with the pipe to the host as its standard input and
/// output. It returns only where that cannot be done.
///
/// `name` is what `ps` shows.
pub(in crate::worker) fn become_program(program: &Sealed, name: &Path, pipe: (OwnedFd, OwnedFd)) -> NotLoaded {
    let (what, failed) = match Kind::of(program) {
        Ok(Kind::Program) => ("the program cannot be run".to_owned(), exec(program, name, pipe)),
        Ok(Kind::Script { interpreter }) => {
            // The interpreter opens the script when everything that is not kept was closed.
            let failed = program.keep().err().unwrap_or_else(|| exec(program, name, pipe));
            (format!("the script cannot be run by `{interpreter}`"), failed)
        }
        // Or it would be handed to a shell, for want of anything better.
        Ok(Kind::Neither) => {
            return ("not-a-program", "the file is neither a program for this machine nor a script".to_owned());
        }
        Err(error) => ("the program cannot be read".to_owned(), error),
    };
    ("not-a-program", format!("{what}: {failed}"))
}

fn exec(program: &Sealed, name: &Path, (input, output): (OwnedFd, OwnedFd)) -> io::Error {
    Command::new(program.path()).arg0(name).stdin(Stdio::from(input)).stdout(Stdio::from(output)).exec()
}

enum Kind {
    Program,
    Script { interpreter: String },
    Neither,
}

impl Kind {
    fn of(program: &Sealed) -> io::Result<Kind> {
        let mut first = [0; 256];
        let length = program.file().read_at(&mut first, 0)?;
        if let Some(line) = first[..length].strip_prefix(SCRIPT) {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            return Ok(Kind::Script { interpreter: clean_line(&String::from_utf8_lossy(line), 200) });
        }
        let mut own = [0; 20];
        File::open("/proc/self/exe")?.read_exact(&mut own)?;
        // What an ELF file begins with, its class and byte order; and further on its machine.
        let alike = |range: std::ops::Range<usize>| first[range.clone()] == own[range];
        Ok(if alike(0..6) && alike(18..20) { Kind::Program } else { Kind::Neither })
    }
}
