//! Finds, loads and supervises plugins, each in a worker process of its own.
//!
//! A plugin is foreign code: it may crash, hang, flood, or end the process with status 0 while it
//! is being loaded. So the host never loads one. It starts itself again as a *worker*
//! ([`worker_main`]), which loads one library, or becomes one program, as the plugin's [`Door`]
//! says, and speaks frames over a pipe. A worker that ends costs the calls that were in it, and of
//! those only the ones that end a worker of their own are laid to the plugin ([`Host::check`]).
//!
//! This crate knows processes and bytes. It never interprets a finding, plans a check, renders or
//! knows a provider. What isolation gives: faults stay where they are made, and a plugin reaches
//! only the secrets of its own integrations, the files that the configuration names for it and its
//! own directory ([`Confinement`]). It is not a sandbox for hostile code, which may use the network
//! as it likes.

mod attempt;
mod confinement;
mod discover;
mod door;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guard;
mod host;
mod install;
mod lock;
mod manifest;
mod package;
mod policy;
pub mod probe;
mod process;
mod programs;
mod scratch;
mod signature;
mod spawner;
mod strays;
mod trust;
mod worker;

pub use confinement::{Bound, Confinement};
pub use discover::{Found, Installed, SearchPath, discover};
pub use door::{Door, NoDoor, UnknownDoor};
pub use guard::configuration as guard_configuration;
pub use host::{Host, HostError, HostOptions, PluginLimits, PluginSpec};
pub use install::Arrival;
pub use lock::{Acceptance, LockFile, Locked};
pub use manifest::{DESCRIPTION, HashedFile, MANIFEST, Manifest, ManifestError, TARGET};
pub use package::Package;
pub use policy::endpoints as refused_endpoints;
pub use programs::find as find_programs;
pub use signature::{TrustedKeys, signer};
pub use strays::disown;
pub use trust::{Held, Trust, TrustError, verify_libraries};
pub use worker::{WORKER_ARGUMENT, is_worker, main as worker_main};
