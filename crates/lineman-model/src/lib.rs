//! The vocabulary of Lineman.
//!
//! Lineman walks the line of an *integration* (a stored connection to a *provider*) from its
//! configuration to a real read-only operation, and names the *cause* of what is broken. This
//! crate is the list of words that everything else speaks: what a check can find
//! ([`Finding`], [`Cause`], [`Evidence`]), how a run is told ([`Report`], [`Event`]), what a
//! plugin says of itself ([`Description`]) and what host and plugin say to each other
//! ([`protocol`]).
//!
//! It is the leaf of the workspace: it does no I/O, knows no provider and depends on no other
//! crate of Lineman. Types here are data with public fields; the few rules they carry are those
//! that must be the same everywhere, such as how findings make a status ([`Status::of`]) and how
//! a secret is kept out of every output ([`Secret`], [`Redactor`]).
//!
//! Everything that is serialised evolves by addition: readers ignore fields and accept causes
//! that they do not know.

mod cause;
mod description;
mod event;
mod finding;
mod integration;
mod level;
pub mod milliseconds;
mod policy;
pub mod protocol;
mod redact;
mod report;
mod secret;
mod status;
mod text;

pub use cause::Cause;
pub use description::{Blocking, CheckInfo, Description, ProtocolRange, ProviderCall, ServiceInfo};
pub use event::Event;
pub use finding::{
    Alternative, Certificate, Confidence, Doc, Evidence, Finding, Header, Remedy, Severity, Subject, Suppressed,
};
pub use integration::{CaBundle, Connection, HostTerms, Integration, Proxy, Requirement};
pub use level::Level;
pub use policy::{EndpointPattern, EndpointPolicy, NoPattern, Refused, WORKER_MEMORY, is_guarded, is_host_name};
pub use redact::{Redactor, UNREDACTED};
pub use report::{
    Attempt, CauseGroup, CheckReport, Credential, Expiry, IntegrationReport, NotProved, Phase, PluginRef,
    REPORT_SCHEMA, Report, RequirementStatus, Run, Skip, Summary, Tally, Vantage,
};
pub use secret::{Secret, SecretMap};
pub use status::{SkipReason, Status, Verdict};
pub use text::{clean, clean_line, clip};
