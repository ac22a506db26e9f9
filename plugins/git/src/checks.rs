//! The checks, one file each.

pub(crate) mod auth;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod host_key;
pub(crate) mod reach;
pub(crate) mod read;
pub(crate) mod ssh_key;
pub(crate) mod write;

use lineman_sdk::prelude::*;

use crate::Git;
use crate::remote::{Remote, Transport};

/// The repository of an integration, once its address is known to be good.
fn remote(cx: &Cx<Git>) -> Result<Remote, Stop> {
    Remote::parse(&cx.settings().url).map_err(|refused| {
        cx.finding("url-refused", Cause::ConfigInvalid, format!("The address of the repository {}.", refused.reason()))
            .pointer("/settings/url")
            .remedy(refused.remedy())
            .into()
    })
}

/// The repository, where it is reached over SSH.
fn remote_over_ssh(cx: &Cx<Git>) -> Result<Remote, Stop> {
    let remote = remote(cx)?;
    match remote.transport {
        Transport::Ssh => Ok(remote),
        _ => Err(Stop::not_applicable("the repository is reached over HTTP")),
    }
}
