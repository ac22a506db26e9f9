//! `exec-1`: the worker becomes the plugin's program.
//!
//! What was done to this process stays done: its limits, its directory, its group, and that it
//! can gain no privileges. Only that others of the same user may not look into its memory ends
//! with the new program.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use lineman_model::clean_line;
use object::elf;

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
        let machine = first[18..20].try_into().map(u16::from_ne_bytes).unwrap_or_default();
        let ours = first.starts_with(&elf::ELFMAG) && own_machine().is_none_or(|own| own.0 == machine);
        Ok(if ours { Kind::Program } else { Kind::Neither })
    }
}

/// The machine that this program was compiled for, as an ELF file says it; it may not read its own.
fn own_machine() -> Option<elf::Machine> {
    match std::env::consts::ARCH {
        "x86_64" => Some(elf::EM_X86_64),
        "aarch64" => Some(elf::EM_AARCH64),
        "riscv64" => Some(elf::EM_RISCV),
        "s390x" => Some(elf::EM_S390),
        "powerpc64" => Some(elf::EM_PPC64),
        _ => None,
    }
}
