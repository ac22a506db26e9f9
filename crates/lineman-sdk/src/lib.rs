//! Write a Lineman plugin.

mod cx;
mod http;
mod once;
mod outcome;
mod plugin;
mod program;
mod provider;
mod session;
pub mod shim;
pub mod testing;

pub use cx::{Cx, HttpCx};
pub use http::{Answer, RequestBuilder};
pub use jiff::Timestamp;
pub use lineman_model::{Secret, SecretMap};
pub use lineman_net::{Limits, Protocol, Target, Walk};
pub use once::Once;
pub use outcome::{Outcome, Stop};
pub use program::{Program, ProgramOutput};
pub use provider::{About, Check, Provider};
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
