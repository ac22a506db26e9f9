//! `git/read`: whether the credential may read the repository, and whether the reference exists.

use lineman_sdk::prelude::*;

use super::remote;
use crate::pkt::{self, Advertisement, Unreadable};
use crate::remote::{Remote, Transport};
use crate::ssh::{self, Client, Conversation};
use crate::{Access, Git, hosts, http};

/// References that a finding names.
const SHOWN: usize = 12;

pub(crate) async fn check(cx: Cx<Git>) -> Outcome {
    let remote = remote(&cx)?;
    let advertisement = advertisement(&cx, &remote).await?;
    reference(&cx, &remote, &advertisement)?;
    for requirement in cx.requires() {
        if requirement.words.action == Access::Read {
            cx.requirement(&requirement.id, Status::Pass);
        }
    }
    Ok(())
}

/// What the server announces of the repository.
pub(super) async fn advertisement(cx: &Cx<Git>, remote: &Remote) -> Result<Advertisement, Stop> {
    match remote.transport {
        Transport::Ssh => {
            let conversation = ssh::read(cx, remote).await?;
            match over_ssh(cx, remote, &conversation, "git-upload-pack") {
                Ok(advertisement) => Ok(advertisement),
                Err(finding) => Err(whose_key(cx, remote, *finding).await.into()),
            }
        }
        Transport::Https | Transport::Http => {
            let exchange = http::read(cx, remote).await?;
            if let Some(to) = &exchange.moved_to {
                cx.report(
                    cx.finding(
                        "repository-moved",
                        Cause::ConfigEndpointWrong,
                        format!("The repository has moved to {to}."),
                    )
                    .severity(Severity::Warn)
                    .pointer("/settings/url"),
                );
            }
            over_http(cx, remote, &exchange, "git-upload-pack").map_err(|finding| (*finding).into())
        }
    }
}

/// The references in what a Git service said over SSH.
pub(super) fn over_ssh(
    cx: &Cx<Git>,
    remote: &Remote,
    conversation: &Conversation,
    service: &str,
) -> Result<Advertisement, Box<Finding>> {
    let unreadable = match pkt::read(&conversation.stdout, service) {
        Ok(advertisement) if advertisement.complete || !advertisement.refs.is_empty() => return Ok(advertisement),
        Ok(_) => Unreadable::Short,
        Err(unreadable) => unreadable,
    };
    Err(Box::new(match unreadable {
        Unreadable::NotGit | Unreadable::OtherService(_) => {
            let lines = String::from_utf8_lossy(&conversation.stdout).lines().take(3).map(str::to_owned).collect();
            let (address, exit_status) = (remote.address(), conversation.status);
            not_git(cx, remote).evidence(Evidence::Ssh { address, lines, exit_status })
        }
        Unreadable::Refused(said) => refused(cx, remote, service, &said),
        Unreadable::Short => conversation.finding(cx, remote, service),
    }))
}

/// The references in what a Git service said over HTTP.
pub(super) fn over_http(
    cx: &Cx<Git>,
    remote: &Remote,
    exchange: &http::Exchange,
    service: &str,
) -> Result<Advertisement, Box<Finding>> {
    let answer = &exchange.answer;
    Err(Box::new(match answer.status() {
        _ if exchange.is_git(service) => match pkt::read(answer.bytes(), service) {
            Ok(advertisement) => return Ok(advertisement),
            Err(Unreadable::Refused(said)) => refused(cx, remote, service, &said),
            Err(_) => not_git(cx, remote).evidence(answer.evidence()),
        },
        200..=299 => not_git(cx, remote).evidence(answer.evidence()),
        404 => http::recognised(cx, answer).unwrap_or_else(|| no_access(cx, remote).evidence(answer.evidence())),
        _ => http::finding(cx, answer),
    }))
}

/// An error line in place of references.
fn refused(cx: &Cx<Git>, remote: &Remote, service: &str, said: &str) -> Finding {
    let finding = cx.recognise(said, Some(service)).unwrap_or_else(|| no_access(cx, remote));
    finding.evidence(Evidence::log(service, said))
}

fn no_access(cx: &Cx<Git>, remote: &Remote) -> Finding {
    cx.finding(
        "repository-not-found",
        Cause::RepoNoAccess,
        format!("The server knows no repository {}, or hides it from this credential.", remote.repository()),
    )
    .confidence(Confidence::Likely)
    .or_else(Cause::CredentialWrongAccount, Confidence::Possible)
    .subject("repository", remote.repository())
    .pointer("/settings/url")
    .remedy("Check owner and name in `url`, then give the credential's owner access to the repository.")
}

fn not_git(cx: &Cx<Git>, remote: &Remote) -> Finding {
    cx.finding("not-git", Cause::ConfigEndpointWrong, format!("What answers at {} is not Git.", remote.address()))
        .confidence(Confidence::Likely)
        .pointer("/settings/url")
}

/// Large hosts tell a key whom they take it for. A refusal is understood best with that.
async fn whose_key(cx: &Cx<Git>, remote: &Remote, finding: Finding) -> Finding {
    let greeting = hosts::find(&remote.host).and_then(|host| host.greeting.as_ref());
    let (Cause::RepoNoAccess, Some(greeting)) = (&finding.cause, greeting) else { return finding };
    let Ok(client) = Client::of(cx, remote).await else { return finding };
    let Ok(conversation) = client.run(cx, None, b"").await else { return finding };
    let said = format!("{}\n{}", conversation.said, String::from_utf8_lossy(&conversation.stdout));
    match said.lines().find(|line| line.contains(greeting.as_str())) {
        Some(line) => finding.detail(format!("The host greets this key with: {}", line.trim())),
        None => finding,
    }
}

fn reference(cx: &Cx<Git>, remote: &Remote, advertisement: &Advertisement) -> Outcome {
    let branches: Vec<&str> =
        advertisement.refs.keys().filter_map(|name| name.strip_prefix("refs/heads/")).take(SHOWN).collect();
    let repository = remote.repository();
    let Some(name) = &cx.settings().reference else {
        if advertisement.refs.is_empty() && advertisement.complete {
            cx.report(
                cx.finding(
                    "repository-empty",
                    Cause::ResourceNotFound,
                    format!("{repository} is empty: there is nothing to fetch."),
                )
                .severity(Severity::Warn)
                .subject("repository", repository),
            );
        }
        return Ok(());
    };
    if advertisement.find(name).is_some() {
        return Ok(());
    }
    let is_object_id = name.len() >= 7 && name.chars().all(|c| c.is_ascii_hexdigit());
    if !advertisement.complete || is_object_id {
        let why =
            if is_object_id { "it is no tip of a branch or tag" } else { "there are more references than are read" };
        cx.not_proved(format!("that {name} exists"), why, None);
        return Ok(());
    }
    let seen =
        if branches.is_empty() { "no branches".to_owned() } else { format!("branches: {}", branches.join(", ")) };
    Err(cx
        .finding("branch-not-found", Cause::ResourceNotFound, format!("{repository} has no branch or tag `{name}`."))
        .pointer("/settings/ref")
        .evidence(Evidence::log("git-upload-pack", &seen))
        .remedy("Correct `ref`, or create the branch.")
        .into())
}
