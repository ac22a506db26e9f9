//! The test kit for plugins.
//!
//! A plugin is written by somebody else, with another compiler, for a host that it has never
//! seen. What it must keep to so that one bad plugin costs nobody else anything is written down
//! here as [`Case`]s: each has an id, a sentence on what it protects, and how to mend a failure.
//! [`verify`] runs them on a plugin's directory, its tarball or its bare library, each that needs
//! the plugin in a worker process of its own, and gives a [`Verification`].
//!
//! The plugin talks to servers of the kit on loopback: one that never answers, one that refuses,
//! one that answers errors and repeats what it was sent. They are given to it as the
//! configuration gives them to anybody, through `connection.endpoint_url`; and an address in its
//! settings that stands for the provider's (`https://git.example.com/…`) leads there too. No check
//! that writes is run. What it is configured with is made from its own JSON Schemas, or given as a
//! [`Given`].
//!
//! Events are judged as they left the plugin, before the host has redacted or dropped any
//! ([`lineman_host::probe`]).
//!
//! This crate knows what every plugin has in common. It must never know a provider, and renders
//! for machines alone: [`Verification`] is data, [`junit`] is for CI.

mod against;
mod bench;
mod case;
mod cases;
mod elf;
mod endpoint;
mod junit;
mod kit;
mod sample;
mod subject;
mod verification;

pub use case::{Case, UnknownCase};
pub use elf::GLIBC_FLOOR;
pub use junit::junit;
pub use kit::{KitError, Options, verify};
pub use sample::{Given, GivenError};
pub use subject::{Subject, SubjectError};
pub use verification::{CaseReport, Judged, Status, Tally, VERIFICATION_SCHEMA, Verification};
