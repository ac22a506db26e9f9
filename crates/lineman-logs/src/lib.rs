//! Finds the failures that catalogs know in logs of any size, as a stream.
//!
//! A platform's log is millions of lines that say that all is well, and a few that say what is
//! broken, in somebody else's words and inside somebody's frame: a time, a container's name, JSON
//! in JSON, colours, a box drawn beside the text. [`Scanner`] takes the bytes as they come and
//! keeps no more of them than a window. One pass with one automaton finds the lines that a rule
//! could match ([`lineman_catalog::Sieve`]); only around those is anything taken apart:
//!
//! 1. A line loses its frame, which tells when it was written, by whom and how grave it is.
//! 2. The lines that belong to it are gathered, and those of other writers between them are not.
//! 3. The rules look at what is left. The closest match counts, once.
//! 4. What is mentioned and did not happen goes: a counter at nought, a test's name, a command that
//!    searches for the words, a line that itself says that it is of no concern.
//! 5. The rest is tied to the configured integration whose account, project, host or repository
//!    stands beside it ([`Ties`]), and gathered ([`Summary`]).
//!
//! What rules merely think possible counts only where the log says that something failed, and
//! [`Catalog::general`](lineman_catalog::Catalog::general) is not asked at all: a guess is for a
//! person who shows one text and wants to know.
//!
//! [`open`] and [`Follow`] give the bytes of files, compressed or still growing. This crate must
//! never know a provider, a configuration file or how anything is shown.

mod follow;
mod frame;
mod input;
mod judge;
mod record;
mod scanner;
mod summary;
mod tidy;
mod tie;

pub use follow::Follow;
pub use input::{InputError, open, unpacked};
pub use scanner::Scanner;
pub use summary::{Group, Summary};
pub use tie::Ties;
