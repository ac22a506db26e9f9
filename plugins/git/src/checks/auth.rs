//! `git/auth`: whether the server accepts the credential.

use lineman_sdk::prelude::*;

use super::{diagnose, remote};
use crate::remote::{Remote, Transport};
use crate::ssh::{self, Conversation, StoredKey};
use crate::{Git, hosts, http};

pub(crate) async fn check(cx: Cx<Git>) -> Outcome {
    let remote = remote(&cx)?;
    match remote.transport {
        Transport::Ssh => over_ssh(&cx, &remote).await,
        Transport::Https | Transport::Http => over_http(&cx, &remote).await,
    }
}

async fn over_ssh(cx: &Cx<Git>, remote: &Remote) -> Outcome {
    let conversation = ssh::read(cx, remote).await?;
    if conversation.authenticated {
        return Ok(());
    }
    let stored = StoredKey::of(cx).await?;
    let mut finding = match refusal(cx, remote, &conversation) {
        Some(finding) => finding,
        None => diagnose(cx, remote, &conversation, "ssh"),
    };
    if finding.cause == Cause::SshKeyRejected
        && let Ok(key) = &stored.verdict
    {
        finding = finding.evidence(Evidence::config(stored.pointer, key.summary()));
        if let Some(line) = key.public_line() {
            finding = finding.remedy(format!("Register this public key with the host, where it is not: {line}"));
        }
        if key.algorithm == "ssh-rsa" {
            finding = finding.or_else(Cause::SshAlgorithm, Confidence::Possible);
        }
        if let Some((title, url)) =
            hosts::find(&remote.host).and_then(|host| Some((&host.title, host.keys_url.as_ref()?)))
        {
            finding = finding.doc(format!("{title}: SSH keys"), url);
        }
    }
    Err(finding.into())
}

/// What `ssh` knows and does not say in its refusal.
fn refusal(cx: &Cx<Git>, remote: &Remote, conversation: &Conversation) -> Option<Finding> {
    let address = remote.address();
    let finding = if conversation.no_mutual_signature {
        cx.finding(
            "key-sha1-only",
            Cause::SshAlgorithm,
            format!("{address} takes RSA signatures with SHA-1 only, which OpenSSH has given up."),
        )
        .remedy("Use an Ed25519 or ECDSA key.")
        .remedy("Have the server updated to accept rsa-sha2-256 or rsa-sha2-512.")
        .doc("OpenSSH 8.8 release notes", "https://www.openssh.com/txt/release-8.8")
    } else {
        let methods = conversation.methods.as_ref()?;
        if methods.split(',').any(|method| method == "publickey") {
            return None;
        }
        cx.finding(
            "no-public-key-login",
            Cause::ConfigEndpointWrong,
            format!("{address} lets nobody in with a key; it offers {methods}."),
        )
        .confidence(Confidence::Likely)
        .or_else(Cause::SshKeyRejected, Confidence::Possible)
        .remedy("Check host and port: a Git server lets users in with keys.")
    };
    Some(finding.subject("host", &address).evidence(conversation.evidence(&address)))
}

async fn over_http(cx: &Cx<Git>, remote: &Remote) -> Outcome {
    let exchange = http::read(cx, remote).await?;
    let answer = &exchange.answer;
    let given = cx.secrets().token.is_some();
    match answer.status() {
        200..=299 if !exchange.is_git("git-upload-pack") => {
            let kind = answer.header("content-type").unwrap_or("no content type").to_owned();
            let finding = answer.unexpected(&format!("something that is not Git's ({kind})"));
            Err(finding.or_else(Cause::CredentialInvalid, Confidence::Possible).into())
        }
        200..=299 if !given => Err(Stop::not_applicable("no credential is given, and everyone may read")),
        200..=299 if exchange.open => {
            cx.not_proved("that the token is good", "the server lets everyone read this repository", None);
            Ok(())
        }
        200..=299 => Ok(()),
        401 | 403 if !given => Err(cx
            .finding(
                "token-missing",
                Cause::CredentialMissing,
                format!("{} wants a credential, and none is given.", remote.host),
            )
            .pointer("/secrets/token")
            .evidence(answer.evidence())
            .remedy("Give the secret `token`, and `username` where the host asks for a particular one.")
            .into()),
        404 | 410 if given => {
            cx.not_proved(
                "that the token is good",
                "the server knows no such repository and may not have looked at it",
                None,
            );
            Ok(())
        }
        404 | 410 => Ok(()),
        _ => Err(answer.finding().into()),
    }
}
