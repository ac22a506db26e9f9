//! The doors as a worker goes through them. Behind the first two a plugin's code runs in this
//! process; behind the third it takes the process over.

mod c;
mod exec;
mod rust;

use super::NotLoaded;
use super::sealed::Sealed;
use crate::Door;

pub(super) use exec::become_program;

/// A plugin whose code is in this process.
pub(super) trait Plugin {
    /// What it says of itself.
    fn describe(&self) -> Vec<u8>;
    /// Hands a call over; it answers with one of `lineman_model::protocol::submit`.
    fn submit(&self, call: u64, op: &str, request: &[u8]) -> u32;
    /// Says that nobody waits for a call any more.
    fn cancel(&self, call: u64);
    /// Ends every call and thread of it.
    fn shutdown(&self);
}

/// Loads a library through its door.
pub(super) fn open(door: Door, library: &Sealed) -> Result<Box<dyn Plugin>, NotLoaded> {
    match door {
        Door::Rust1 => Ok(Box::new(rust::load(&library.path()).map_err(refused)?)),
        Door::C1 => Ok(Box::new(c::load(library.file(), &library.path()).map_err(refused)?)),
        Door::Exec1 => Err(("no-library", "a program is no library".to_owned())),
    }
}

fn refused(error: lineman_abi::LoadError) -> NotLoaded {
    (error.code(), error.to_string())
}
