//! Write a Lineman plugin.
//!
//! A plugin knows one *provider*: what can be configured, how to ask it questions, and what its
//! answers mean. It is a dynamic library that depends on this crate. Its author writes a struct,
//! the types of its settings and secrets, a list of checks and a catalog of known failures; the
//! host decides what runs, when and for how long, and shows what was found. This is a whole
//! plugin, with [its catalog](https://github.com/lineman-rs/lineman/blob/main/crates/lineman-sdk/examples/acme.toml)
//! beside it:
//!
//! ```
#![doc = include_str!("../examples/acme.rs")]
//! ```
//!
//! Built with `crate-type = ["cdylib"]`, it is packed with `lineman plugin pack` and judged with
//! `lineman plugin verify`. No ABI shows: [`export!`] makes the library one that the host loads.
//!
//! # Checks
//!
//! A check is an async function from a [`Cx`] to an [`Outcome`]. It has a name, the [`Level`] that
//! a pass proves, and the checks that it [`needs`](Check::needs): when one of those does not pass,
//! the host skips it and says why. Small checks at the right level make a good plugin: what `reach`
//! has proved, `identity` need not explain.
//!
//! Its status follows from what it reported. Nothing reported is a pass, so a check only says what
//! is wrong, and what a pass does not prove ([`Cx::not_proved`]). Otherwise the worst finding
//! decides, and how bad a finding is follows from its [`Cause`] and the check's level: only the
//! provider's own rejection makes a credential bad, so throttling, outages and everything about
//! the network *above* the level `reach` leave the check `unknown`. [`Finding::severity`] overrides
//! that where the plugin knows better.
//!
//! # Findings and stops
//!
//! A [`Finding`] is a code that never changes meaning, a cause of the closed list, one sentence,
//! evidence, and remedies. [`Cx::report`] adds one and goes on; `return Err(finding.into())`, and
//! `?` on a call that failed, report one and stop. A [`Stop`] can also say that there is nothing to
//! check: [`Stop::not_applicable`], [`Stop::missing_input`].
//!
//! # Asking the provider
//!
//! [`Cx::http`] is a client that takes the same path as [`Cx::reach`] and turns what fails on it
//! into the finding of the phase that failed. An answer of whatever status is an [`Answer`];
//! [`Answer::success`] goes on only with a 2xx and otherwise looks into the catalog, then at the
//! status. Redirects are not followed, nothing is retried, names that resolve to metadata services
//! are refused. [`Cx::program`] runs a program that the plugin declared, [`Cx::program_at`] one that
//! the user named, with an empty environment, and ends all that it started. Addresses come from [`Cx::endpoint`], so that every plugin can be
//! pointed at an emulator, a private endpoint or a self-hosted server.
//!
//! # The catalog
//!
//! What the provider says when something is broken is data, in TOML: patterns, the cause, remedies,
//! the provider's own page, examples that must match and near misses that must not. Checks match
//! live answers with it; `lineman explain` and `lineman logs` match pasted ones, without loading
//! the plugin. [`testing::Harness::catalog_problems`] holds it to its examples. What a check finds
//! by itself has a rule there, too, without a pattern: it says what the code means to whoever asks
//! `lineman explain CODE`, and what to do where the finding says nothing of that.
//!
//! # Sessions
//!
//! The checks of one integration share a [`Provider::Session`], for a token that one obtains and
//! the others use. Checks run side by side, and any of them may be the first, or the only one: what
//! is shared is filled when it is asked for. A [`Once`] also remembers a refusal,
//! because a rejected credential must not be tried again: accounts lock.
//!
//! # Secrets
//!
//! Secrets are [`Secret`]s, which cannot be printed. Everything that a check says is scrubbed of
//! the integration's secrets, in every form in which servers echo them, and of those that the check
//! obtained and registered with [`Cx::conceal`]. Queries of addresses are never shown. A program
//! gets a secret on its standard input or in a file of [`Cx::directory`], never in its arguments or
//! environment.
//!
//! # What a plugin may reach
//!
//! A worker is confined, and so is what it starts: it reads what every program needs, the paths in
//! settings that say `#[schemars(extend("format" = "path"))]`, and what is granted of what
//! [`About::path`] and [`About::environment`] ask for; it writes [`Cx::directory`] alone, so
//! temporary files belong there. The network is open. `lineman plugin info` shows all of it.
//!
//! # Deadlines and cancellation
//!
//! Every call has a deadline. When it passes, the check is dropped where it waits, and a finding
//! names the phase that it waited for: an HTTP call, a program, or a step given to [`Cx::phase`].
//! When nobody waits any more, it is dropped as well. That needs no code, as long as the check
//! awaits; a check that holds its thread instead declares itself [`.blocking()`](Check::blocking),
//! gets a thread of its own, and looks at [`Cx::is_cancelled`] now and then. A panic costs the
//! check that panicked.
//!
//! # Testing
//!
//! [`testing::Harness`] runs one check against any server, without host or library;
//! [`testing::Server`] is one in a few lines.
//!
//! This crate knows no provider, and nothing of the host but what crosses the ABI.
//!
//! [`Level`]: lineman_model::Level
//! [`Cause`]: lineman_model::Cause
//! [`Finding`]: lineman_model::Finding
//! [`Finding::severity`]: lineman_model::Finding::severity

mod answer;
mod channel;
mod contradictions;
mod cx;
mod flaw;
mod http;
mod once;
mod outcome;
mod plugin;
mod program;
mod provider;
mod requires;
mod rsa_key;
mod runtime;
mod session;
pub mod shim;
mod status;
pub mod testing;
mod transport;

pub use answer::Answer;
pub use contradictions::Contradictions;
pub use cx::{Cx, HttpCx, abridged, bare};
pub use flaw::Flaw;
pub use http::RequestBuilder;
pub use jiff::Timestamp;
pub use lineman_model::{
    CaBundle, Certificate, Connection, Credential, HostTerms, Integration, Proxy, Secret, SecretMap,
};
pub use lineman_net::{Limits, Protocol, Target, Walk};
pub use once::Once;
pub use outcome::{Outcome, Stop};
pub use program::{Program, ProgramOutput};
pub use provider::{About, Check, NoRequirement, Provider, Required};
pub use requires::{Judged, Operation, ResourceTypes};
pub use rsa_key::RsaKey;
pub use status::{Feed, Scope};
pub use transport::{ClientCertificate, Transport};
pub use url::{Url, form_urlencoded as form};

#[doc(hidden)]
pub use lineman_abi as abi;

/// What a plugin's modules begin with: `use lineman_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{About, Check, Cx, Outcome, Provider, Secret, Stop};
    pub use lineman_model::{Cause, Confidence, Evidence, Finding, Level, Remedy, Severity, Status};
    pub use schemars::JsonSchema;
    pub use serde::Deserialize;
}
