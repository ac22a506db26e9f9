//! `lineman completions`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::failure::Done;
use crate::terminal;

pub(crate) fn run<C: CommandFactory>(shell: Shell) -> Done {
    let mut script = Vec::new();
    generate(shell, &mut C::command(), "lineman", &mut script);
    terminal::print(&script)?;
    Ok(0)
}
