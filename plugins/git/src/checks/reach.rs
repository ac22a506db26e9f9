//! `git/reach`: the way to the host, and whether what answers there speaks the address's protocol.

use std::time::Duration;

use lineman_sdk::prelude::*;
use lineman_sdk::{Target, Walk};

use super::config::moved;
use super::remote;
use crate::remote::{Remote, Transport};
use crate::{Git, hosts, ssh, walk};

/// What a server may take to say its first line.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn check(cx: Cx<Git>) -> Outcome {
    let remote = remote(&cx)?;
    let walk = walk(&cx, &remote).await;
    if let Some(finding) = walk.finding("git") {
        return Err(explained(&cx, &remote, finding).await.into());
    }
    if remote.transport == Transport::Ssh {
        speaks_ssh(&cx, &remote, &walk).await?;
    }
    Ok(())
}

/// A failure on the way to a large host: whether its other door is open, or it has moved.
async fn explained(cx: &Cx<Git>, remote: &Remote, mut finding: Finding) -> Finding {
    if let Some(moved) = moved(cx, remote) {
        finding.remedies.splice(0..0, moved.remedies);
        finding.docs.extend(moved.docs);
        finding = finding.or_else(Cause::ConfigEndpointWrong, Confidence::Likely);
    }
    let host =
        hosts::find(&remote.host).filter(|host| remote.transport == Transport::Ssh && !host.is_alternate(remote));
    let Some(other) = host.and_then(|host| host.alternate.as_ref()) else { return finding };
    let door = format!("{}:{}", other.name, other.port);
    let way = cx.walk(&Target::tcp(&other.name, other.port)).await;
    finding.evidence.extend(way.evidence.iter().cloned());
    match way.failure {
        None => {
            let remedy =
                format!("Use ssh://git@{door}/{}, which is reachable from here.", remote.path.trim_matches('/'));
            finding.remedies.insert(0, Remedy::new(remedy));
            finding.detail(format!("{door}, which the host offers where port 22 is blocked, is reachable."))
        }
        Some(_) => {
            finding.detail(format!("{door}, which the host offers where port 22 is blocked, is unreachable too."))
        }
    }
    .doc("SSH on port 443", &other.url)
}

/// Every SSH server begins with a line of its own (RFC 4253, section 4.2).
async fn speaks_ssh(cx: &Cx<Git>, remote: &Remote, walk: &Walk) -> Outcome {
    let heard = cx.phase("banner", async {
        match tokio::time::timeout(PATIENCE.min(cx.time_left().mul_f64(0.8)), ssh::greeting(walk, remote)).await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(error)) => Err(Some(error)),
            Err(_elapsed) => Err(None),
        }
    });
    let address = remote.address();
    let finding = match heard.await {
        Ok(line) if line.starts_with("SSH-2.0-") || line.starts_with("SSH-1.99-") => return Ok(()),
        Ok(line) => {
            let lines = vec![line.chars().take(120).collect()];
            cx.finding(
                "not-an-ssh-server",
                Cause::ConfigEndpointWrong,
                format!("What answers at {address} does not speak SSH."),
            )
            .evidence(Evidence::Ssh { address: address.clone(), lines, exit_status: None })
            .remedy("Correct host and port; for an HTTP port, use the https address of the repository.")
        }
        Err(None) => cx
            .finding(
                "ssh-silent",
                Cause::NetworkTimeout,
                format!("{address} accepts the connection and then says nothing."),
            )
            .confidence(Confidence::Likely)
            .or_else(Cause::ConfigEndpointWrong, Confidence::Possible)
            .remedy("Look for a firewall or balancer that accepts connections in the server's place."),
        Err(Some(error)) => cx
            .finding(
                "ssh-closed",
                Cause::NetworkReset,
                format!("{address} accepts the connection and closes it at once: {error}."),
            )
            .confidence(Confidence::Likely)
            .or_else(Cause::NetworkIpNotAllowed, Confidence::Possible)
            .or_else(Cause::ProviderRateLimited, Confidence::Possible)
            .remedy("Ask the server's administrator whether this address is allowed; servers close like this when it is not."),
    };
    Err(explained(cx, remote, finding.subject("host", &address)).await.into())
}
