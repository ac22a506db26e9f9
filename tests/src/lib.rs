//! Real servers on loopback, and Lineman installed beside them.
//!
//! Lineman promises to name the cause of a failure. Whether it does is decided on the servers that
//! people run: OpenSSH, gitolite, nginx before `git http-backend`, squid, tinyproxy, unbound,
//! moto, Kubernetes' API server, the Monitoring Plugins. This crate starts them, each with a directory of its own, on a port of its own, owned by
//! a handle that ends it; plants faults in them; and lays out an installed Lineman to run against
//! them. Beside Lineman it runs the system's own clients, so that a row of the fault table is
//! known to be a real failure and not an opinion.
//!
//! Every server is a [`Component`]. A test [`require`]s the components that it needs; where one
//! is missing the test says so instead of passing, and `cargo xtask test` knows how to install it.
//!
//! It must never know how Lineman finds a cause: it sees the command line and the report, as
//! everybody does. What cannot be had for real is simulated elsewhere, in `lineman-lab`.

mod apis;
mod authority;
mod aws_client;
mod component;
mod described;
mod exec_client;
mod fault;
mod forge_client;
mod git_client;
mod http_client;
mod kubectl;
mod kubernetes;
mod moto;
mod namespace;
mod place;
mod proxies;
mod repository;
mod screen;
mod server;
mod site;
mod ssh;
mod stub;
mod web;

pub use apis::Apis;
pub use authority::{Authority, Identity, Validity};
pub use aws_client::AwsClient;
pub use component::{COMPONENTS, Component, Source, missing, not_run, notes_dir, require};
pub use described::Described;
pub use exec_client::ExecClient;
pub use fault::{Answer, Client, Expect, Fault, Healthy, Integration, Table, judge};
pub use forge_client::ForgeClient;
pub use git_client::GitClient;
pub use http_client::HttpClient;
pub use kubectl::Kubectl;
pub use kubernetes::Kubernetes;
pub use moto::{Moto, OTHER_ACCOUNT, OWN_ACCOUNT};
pub use namespace::{Namespace, Resolver};
pub use place::{Names, cache_dir, profile_dir, target_dir, workspace};
pub use proxies::Proxies;
pub use repository::Repositories;
pub use screen::Screen;
pub use server::{Listen, Server, clean_command, free_port};
pub use site::{Outcome, PROVIDER_PAGES, Site, build_and_install, provider_pages};
pub use ssh::{Keys, SshServers};
pub use stub::Stubs;
pub use web::{Behind, Web};
