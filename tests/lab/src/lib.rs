//! In-process servers that stand in for what cannot be had for real.
//!
//! Lineman is tested and shown on real protocols spoken by real clients: git, ssh and the
//! provider's own tools work unmodified against these servers. What they stand in for is the
//! other end: a forge, an account, a proxy, a certificate gone stale. [`aws`], [`azure`], [`gcp`], [`github`],
//! [`gitlab`], [`kubernetes`] and the refusals of forges are *simulated* from the providers' documentation; every fault names the page it
//! was taken from (`faults.toml`, `flavours.toml`). The Git transports themselves are real: git
//! serves the repositories.
//!
//! Every server listens on loopback, on a port that the system chose, runs on the lab's own
//! threads (a caller may block), keeps a [`RequestLog`] of what it was asked, and stops when its
//! handle is dropped. Nothing needs root; `git` is the only program needed.
//!
//! ```
//! use lineman_lab::api::{Response, Server};
//!
//! let server = Server::http(|request| match request.header("authorization") {
//!     Some("Bearer right") => Response::new(200).body(r#"{"login":"octocat"}"#),
//!     _ => Response::new(401).body(r#"{"message":"Bad credentials"}"#),
//! })?;
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! assert!(server.log().entries().is_empty());
//! # anyhow::Ok(())
//! ```
//!
//! The lab knows providers, never Lineman: what Lineman should conclude from an answer is said
//! by the test that asks for it.

pub mod api;
pub mod aws;
pub mod azure;
mod chatter;
mod faults;
pub mod gcp;
pub mod github;
pub mod gitlab;
pub mod http;
pub mod keys;
pub mod kubernetes;
mod log;
pub mod net;
pub mod repository;
mod serving;
pub mod ssh;
pub mod tls;

pub use chatter::Chatter;
pub use faults::{Fault, Injection, faults};
pub use log::{Request, RequestLog};
