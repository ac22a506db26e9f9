//! `git/config`: whether address, reference and credential fit together.

use lineman_sdk::Timestamp;
use lineman_sdk::prelude::*;

use super::remote;
use crate::remote::{Remote, Transport};
use crate::{Access, Git, hosts, http, key};

pub(crate) async fn check(cx: Cx<Git>) -> Outcome {
    let remote = remote(&cx)?;
    reference(&cx)?;
    fingerprints(&cx)?;
    match remote.transport {
        Transport::Ssh => over_ssh(&cx, &remote)?,
        Transport::Https | Transport::Http => over_http(&cx, &remote)?,
    }
    Ok(())
}

fn over_ssh(cx: &Cx<Git>, remote: &Remote) -> Outcome {
    let secrets = cx.secrets();
    if secrets.ssh_key.is_some() && cx.settings().ssh_key_file.is_some() {
        return Err(cx
            .finding("two-keys", Cause::ConfigInvalid, "Both `ssh_key` and `ssh_key_file` are given.")
            .pointer("/settings/ssh_key_file")
            .into());
    }
    if secrets.token.is_some() {
        cx.report(unused(cx, "token", "an SSH address uses a key"));
    }
    if let Some(port) = remote.port_in_path() {
        cx.report(
            cx.finding(
                "port-in-path",
                Cause::ConfigInvalid,
                format!("`{port}` after the colon is taken for a directory, not for a port."),
            )
            .severity(Severity::Warn)
            .confidence(Confidence::Likely)
            .pointer("/settings/url")
            .remedy(format!("If it is the port, write ssh://git@{}:{port}/…", remote.host)),
        );
    }
    if let Some(finding) = moved(cx, remote) {
        cx.report(finding.severity(Severity::Warn));
    }
    Ok(())
}

/// Whether the host announced that it speaks SSH under another name, and the day has come or not.
pub(super) fn moved(cx: &Cx<Git>, remote: &Remote) -> Option<Finding> {
    let host = hosts::find(&remote.host)?;
    let moved = host.moved.as_ref().filter(|moved| moved.from == remote.host && remote.transport == Transport::Ssh)?;
    let today = Timestamp::now().to_string();
    let tense = if today.as_str() < moved.on.as_str() { "will move" } else { "has moved" };
    let message = format!("{} {tense} SSH from {} to {} ({}).", host.title, moved.from, moved.to, moved.on);
    Some(
        cx.finding("host-moved", Cause::ConfigEndpointWrong, message)
            .pointer("/settings/url")
            .remedy(format!("Write {} in place of {} in `url`.", moved.to, moved.from))
            .doc(format!("{}: the announcement", host.title), &moved.url),
    )
}

fn over_http(cx: &Cx<Git>, remote: &Remote) -> Outcome {
    let secrets = cx.secrets();
    if secrets.ssh_key.is_some() {
        cx.report(unused(cx, "ssh_key", "an HTTP address uses a token"));
    }
    let Some(token) = secrets.token.as_ref().map(Secret::expose) else {
        if cx.settings().access == Access::Write {
            return Err(cx
                .finding(
                    "no-credential-given",
                    Cause::CredentialMissing,
                    "Pushing over HTTP needs a token, and none is given.",
                )
                .pointer("/secrets/token")
                .remedy("Give the secret `token`.")
                .into());
        }
        return Ok(());
    };
    if remote.transport == Transport::Http && !http::is_this_machine(remote) {
        return Err(cx
            .finding(
                "token-in-clear",
                Cause::ConfigInvalid,
                "The token would cross the network unencrypted; it is not sent.",
            )
            .pointer("/settings/url")
            .into());
    }
    if token.trim().is_empty() || key::is_placeholder(token.trim()) {
        return Err(cx
            .finding("token-placeholder", Cause::CredentialMalformed, "The token is a placeholder, not a token.")
            .pointer("/secrets/token")
            .evidence(Evidence::config("/secrets/token", format!("{} characters", token.chars().count())))
            .into());
    }
    if token.contains("PRIVATE KEY-----") {
        return Err(cx
            .finding("token-is-key", Cause::CredentialMalformed, "The token is a private key.")
            .pointer("/secrets/token")
            .into());
    }
    if token.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(cx
            .finding("token-white-space", Cause::CredentialMalformed, "The token holds white space or line ends.")
            .pointer("/secrets/token")
            .into());
    }
    Ok(())
}

fn unused(cx: &Cx<Git>, secret: &str, why: &str) -> Finding {
    cx.finding("credential-unused", Cause::ConfigInvalid, format!("The secret `{secret}` is not used: {why}."))
        .severity(Severity::Warn)
        .pointer(format!("/secrets/{secret}"))
}

/// As `git check-ref-format` has it, short names included.
fn reference(cx: &Cx<Git>) -> Outcome {
    let Some(name) = &cx.settings().reference else { return Ok(()) };
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let good = !name.is_empty()
        && name.len() <= 255
        && name != "@"
        && !name.starts_with('-')
        && !name.contains(forbidden)
        && !["..", "@{", "//"].iter().any(|part| name.contains(part))
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
        && !name.ends_with('.');
    if good {
        return Ok(());
    }
    Err(cx
        .finding("ref-invalid", Cause::ConfigInvalid, format!("`{name}` is no name of a branch or tag."))
        .pointer("/settings/ref")
        .into())
}

fn fingerprints(cx: &Cx<Git>) -> Outcome {
    for print in &cx.settings().host_key_fingerprints {
        if print.parse::<ssh_key::Fingerprint>().is_ok_and(ssh_key::Fingerprint::is_sha256) {
            continue;
        }
        return Err(cx
            .finding("fingerprint-invalid", Cause::ConfigInvalid, format!("`{print}` is no SHA-256 fingerprint."))
            .pointer("/settings/host_key_fingerprints")
            .into());
    }
    Ok(())
}
