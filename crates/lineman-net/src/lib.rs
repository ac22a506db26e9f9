//! Walks the path to an endpoint phase by phase and names the phase that failed.
//!
//! When a request fails, most programs say "error sending request". Between a program and an
//! endpoint lie half a dozen things that break in their own ways: the choice of a proxy, name
//! resolution, TCP over two address families, the proxy's consent, TLS and its trust, and at last
//! HTTP. [`walk`] takes these steps one at a time, times each, stops at the first that fails and
//! says what it saw, what that means and what to try next.
//!
//! ```text
//! proxy ─► dns ─► tcp ─► connect ─► tls ─► http
//! ```
//!
//! The same pieces serve a real HTTP client, so that it takes the path that was walked:
//! [`proxy_for`] chooses the proxy, [`resolve`] finds addresses and refuses those of metadata
//! services, [`trust`] holds the certificate authorities, and [`classify`] says of a client's
//! error what the walk would have said.
//!
//! ```no_run
//! use lineman_model::Connection;
//! use lineman_net::{Limits, Target, walk};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let target = Target::from_url(&"https://api.example.com/".parse()?)?;
//! let walk = walk(&target, &Connection::default(), &Limits::default()).await;
//! match walk.failure {
//!     None => println!("HTTP {:?}, clock ahead by {:?}", walk.status, walk.skew),
//!     Some(failure) => println!("{} failed: {failure}", failure.phase),
//! }
//! # Ok(()) }
//! ```
//!
//! What can fail is a closed list, [`Fault`]; a [`PathFailure`] is one fault met on the way to one
//! endpoint.
//!
//! This crate must never know a credential or a provider. It sends no more than one request
//! without authentication, and knows only the password of a proxy, which stays inside.

mod certificate;
mod classify;
mod dns;
mod echo;
mod exchange;
mod failure;
mod fault;
mod proxy;
mod target;
mod tcp;
mod terms;
mod tls;
mod trust;
mod tunnel;
mod verdict;
mod walk;
mod wire;

pub use certificate::read_certificate;
pub use classify::classify;
pub use dns::{permitted, resolve};
pub use echo::seen_as;
pub use failure::PathFailure;
pub use fault::Fault;
pub use proxy::{ProxyChoice, proxy_for};
pub use target::{Limits, Protocol, Target};
pub use terms::server_name;
pub use trust::{Trust, trust};
pub use walk::{Walk, walk};

use lineman_model::Evidence;

/// What a step gives, or why the walk ends there.
type Outcome<T> = Result<T, Box<PathFailure>>;

/// What was seen on the way, in order.
#[derive(Default)]
struct Seen {
    evidence: Vec<Evidence>,
    notes: Vec<String>,
}
