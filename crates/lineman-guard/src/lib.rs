//! Runs a command as if it were run alone, and overhears what it says.
//!
//! A program between a shell and a command is in the way of both: it swallows an interrupt or
//! sends it twice, it answers for a terminal that it is not, it mixes two streams into one. So this
//! crate puts as little between them as it can. The command stays in the process group, the session
//! and the terminal of whoever started it; its standard input, its environment and its directory
//! are the very same ones. Only what it *writes* makes a detour:
//!
//! | the stream is | the command gets | so that |
//! |---|---|---|
//! | a terminal | another terminal of the same size and modes | colours, progress and questions look as ever |
//! | a pipe, a file, anything else | a pipe | what it writes arrives byte for byte |
//! | the same for both streams | one for both | what is written first arrives first |
//!
//! Bytes pass on before they are listened to, one buffer at a time: a reader that is slow holds the
//! command up as it always would, and nothing piles up.
//!
//! Signals that the terminal sends (Ctrl-C, Ctrl-\\, Ctrl-Z, a hang-up) reach the command directly,
//! because it is in the same process group. Those that somebody sends to this process are passed
//! on. This process never ends before the command does, and stops only after it.
//!
//! What this differs in from running the command alone: a program that reads its keys from standard
//! *output* or *error* reads nothing (all but `more` open the terminal itself); what a process that
//! outlives the command writes afterwards is lost; and who signals a whole process group by hand
//! has the command hear it twice, once from here.
//!
//! This crate must never know what is listened for.

mod relay;
mod signals;
mod supervisor;
mod terminal;

pub use signals::is_ignored;
pub use supervisor::{Ended, RunError, Stream, Supervisor};
