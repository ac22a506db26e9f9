//! Finds, loads and supervises plugins, each in a worker process of its own.
//!
//! A plugin is foreign code: it may crash, hang, flood, or end the process with status 0 while it
//! is being loaded. So the host never loads one. It starts itself again as a *worker*
//! ([`worker_main`]), which loads one library and speaks frames over a pipe. A worker that ends
//! costs the calls that were in it, and of those only the ones that end a worker of their own are
//! laid at the plugin's door ([`Host::check`]).
//!
//! This crate knows processes and bytes. It never interprets a finding, plans a check, renders or
//! knows a provider. What isolation gives: faults stay where they are made, a plugin sees no
//! environment and only the secrets of its own integrations. It is not a sandbox for hostile
//! code, which may use the network as it likes.

mod discover;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod host;
mod manifest;
mod package;
mod policy;
mod process;
mod programs;
mod scratch;
mod spawner;
mod strays;
mod worker;

pub use discover::{Found, Installed, SearchPath, discover};
pub use host::{Host, HostError, HostOptions, PluginSpec};
pub use manifest::{DESCRIPTION, HashedFile, MANIFEST, Manifest, ManifestError, RUST_DOOR, TARGET};
pub use package::Package;
pub use policy::endpoints as refused_endpoints;
pub use worker::{WORKER_ARGUMENT, is_worker, main as worker_main};
