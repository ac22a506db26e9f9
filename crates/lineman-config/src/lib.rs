//! `lineman.toml`: which integrations there are, how each is reached, and where its secrets are.
//!
//! A person writes the file, so this crate's first duty is to the person: a mistake is shown with
//! file, line, column and a caret, together with every other mistake that was found, and with the
//! nearest word that would have been right. The second duty is to the secrets: the file names
//! where a secret is and never holds it. A literal is refused, and neither the message nor the
//! source shown below it repeats the literal.
//!
//! Reading takes two steps, because a plugin that is not enabled must not even be looked at:
//! [`enabled`] reads the `[plugins]` table alone, the host then reads the descriptions of those
//! plugins, and [`load`] reads everything and checks settings and secrets against what the
//! plugins declare. [`resolve`] follows the secret references of the integrations that were
//! selected; what it cannot find is a [`Finding`](lineman_model::Finding) on that integration and
//! stops no other. [`schema`] is the grammar of the file as a JSON Schema, for editors.
//!
//! This crate never talks to a provider, and it never loads a plugin: all it knows of one is its
//! [`Description`](lineman_model::Description). It reads the environment only through
//! [`Environment`].

mod command;
mod config;
mod connection;
mod deprecated;
mod edit;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod history;
mod include;
mod integration;
mod load;
mod mask;
mod nearest;
mod node;
mod policy;
mod problem;
mod reference;
mod resolve;
mod schema;
mod settings;
mod source;
mod walk;

pub use config::{
    Config, Configured, Environment, Grants, History, Installed, Place, Plugins, Policy, ProcessEnvironment, SecretRef,
    SecretSource, Suppression, Vantage,
};
pub use connection::from_environment;
pub use deprecated::Deprecations;
pub use edit::{EditError, disable, enable};
pub use error::{ConfigError, Mistake};
pub use load::{enabled, load, plugins};
pub use problem::Problem;
pub use resolve::{Resolved, resolve, resolve_reference};
pub use schema::schema;
