//! `git/auth`: whether the server accepts the credential.

use lineman_sdk::Answer;
use lineman_sdk::prelude::*;

use super::remote;
use crate::remote::{Remote, Transport};
use crate::ssh::{self, Client, Conversation, StoredKey};
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
    let mut finding = match refusal(cx, remote, &conversation).await? {
        Some(finding) => finding,
        None => conversation.finding(cx, remote, "ssh"),
    };
    if finding.cause == Cause::SshKeyRejected
        && let Ok(key) = &stored.verdict
    {
        finding = finding.evidence(Evidence::config(stored.pointer, key.summary()));
        if let Some(line) = key.public_line() {
            finding = finding.remedy(format!("Register this public key with the host, where it is not: {line}"));
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
async fn refusal(cx: &Cx<Git>, remote: &Remote, conversation: &Conversation) -> Result<Option<Finding>, Stop> {
    let address = remote.address();
    let methods = conversation.methods.as_deref().unwrap_or_default();
    let takes_keys = methods.split(',').any(|method| method == "publickey");
    let finding = if conversation.no_mutual_signature || (takes_keys && wants_sha1(cx, remote, conversation).await?) {
        cx.finding(
            "key-sha1-only",
            Cause::SshAlgorithm,
            format!("{address} takes RSA signatures with SHA-1 only, which OpenSSH has given up."),
        )
    } else if conversation.partial {
        cx.finding(
            "second-factor",
            Cause::CredentialChallengeRequired,
            format!("{address} accepts the key and wants more on top of it: {methods}."),
        )
    } else if takes_keys || methods.is_empty() {
        return Ok(None);
    } else {
        cx.finding(
            "no-public-key-login",
            Cause::SshKeyRejected,
            format!("{address} lets nobody in with a key; it offers {methods}."),
        )
        .or_else(Cause::ConfigEndpointWrong, Confidence::Possible)
        .remedy("Check host and port: a Git server lets users in with keys.")
        .remedy("On a server of your own, set `PubkeyAuthentication yes` in sshd_config.")
    };
    Ok(Some(finding.subject("host", &address).evidence(conversation.evidence(&address))))
}

/// A refused RSA key is tried once more with the signature that old servers know.
async fn wants_sha1(cx: &Cx<Git>, remote: &Remote, conversation: &Conversation) -> Result<bool, Stop> {
    let stored = StoredKey::of(cx).await?;
    let rsa = stored.verdict.as_ref().is_ok_and(|key| key.algorithm == "ssh-rsa");
    if !rsa || conversation.offered.is_none() {
        return Ok(false);
    }
    Client::of(cx, remote).await?.takes_sha1(cx).await
}

async fn over_http(cx: &Cx<Git>, remote: &Remote) -> Outcome {
    let exchange = http::read(cx, remote).await?;
    let answer = &exchange.answer;
    let given = cx.secrets().token.is_some();
    match answer.status() {
        200..=299 if !exchange.is_git("git-upload-pack") => Err(page(answer, given).into()),
        200..=299 if !given => Err(Stop::not_applicable("no credential is given, and everyone may read")),
        200..=299 if exchange.open => {
            cx.not_proved("that the token is good", "the server lets everyone read this repository", None);
            Ok(())
        }
        200..=299 => Ok(()),
        401 if !given => Err(cx
            .finding(
                "no-credential-given",
                Cause::CredentialMissing,
                format!("{} wants a credential, and none is given.", remote.host),
            )
            .pointer("/secrets/token")
            .evidence(answer.evidence())
            .remedy("Give the secret `token`, and `username` where the host asks for a particular one.")
            .into()),
        401 => Err(rejected(cx, remote, answer).into()),
        404 if recognised_otherwise(cx, answer) => Err(http::finding(cx, answer).into()),
        404 if given => {
            cx.not_proved(
                "that the token is good",
                "the server knows no such repository and may not have looked at it",
                None,
            );
            Ok(())
        }
        404 => Ok(()),
        _ => Err(http::finding(cx, answer).into()),
    }
}

/// A 401 to a credential is about the credential, even where the words are about the repository:
/// hosts that hide what they have say "not found" to strangers.
fn rejected(cx: &Cx<Git>, remote: &Remote, answer: &Answer) -> Finding {
    let about_the_credential = |finding: &Finding| finding.cause != Cause::RepoNoAccess;
    http::recognised(cx, answer).filter(about_the_credential).unwrap_or_else(|| {
        cx.finding("login-rejected", Cause::CredentialInvalid, format!("{} does not accept the token.", remote.host))
            .confidence(Confidence::Likely)
            .or_else(Cause::CredentialExpired, Confidence::Likely)
            .or_else(Cause::CredentialRevoked, Confidence::Possible)
            .or_else(Cause::RepoNoAccess, Confidence::Possible)
            .subject("host", remote.address())
            .pointer("/secrets/token")
            .evidence(answer.evidence())
            .remedy("Check on the host that the token exists, is not expired, and is the one that is stored.")
            .remedy("Check that the user name is the one that goes with the token.")
    })
}

/// A web page in the place of Git's answer.
fn page(answer: &Answer, given: bool) -> Finding {
    let kind = answer.header("content-type").unwrap_or("no content type").to_owned();
    let mut finding = answer.unexpected(&format!("something that is not Git's ({kind})"));
    if given && answer.status() == 203 {
        // So Azure DevOps sends its sign-in page to a token that it does not accept.
        finding.cause = Cause::CredentialInvalid;
        return finding.or_else(Cause::ConfigEndpointWrong, Confidence::Possible).remedy("Replace the token.");
    }
    finding.or_else(Cause::CredentialInvalid, Confidence::Possible)
}

/// Whether a "not found" is about something else than the repository.
fn recognised_otherwise(cx: &Cx<Git>, answer: &Answer) -> bool {
    let about_the_repository = |cause: &Cause| matches!(cause, Cause::RepoNoAccess | Cause::ResourceNotFound);
    http::recognised(cx, answer).is_some_and(|finding| !about_the_repository(&finding.cause))
}
