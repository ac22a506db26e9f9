//! `git/host-key`: whether the server is the one that was approved.

use lineman_sdk::prelude::*;

use super::remote_over_ssh;
use crate::remote::Remote;
use crate::ssh::{self, Client, Conversation, Judgement};
use crate::{Git, hosts};

pub(crate) async fn check(cx: Cx<Git>) -> Outcome {
    let remote = remote_over_ssh(&cx)?;
    let client = Client::of(&cx, &remote).await?;
    let conversation = ssh::read(&cx, &remote).await?;
    stale(&cx, &client);
    if conversation.host_approved {
        unknown_to_the_file(&cx, &remote, &client, &conversation);
        return Ok(());
    }
    let Some((algorithm, print)) = &conversation.host_key else {
        return Err(conversation.finding(&cx, &remote, "ssh").into());
    };
    Err(judged(&cx, &remote, &conversation, algorithm, print, client.approvals.judge(print)).into())
}

fn judged(
    cx: &Cx<Git>,
    remote: &Remote,
    conversation: &Conversation,
    algorithm: &str,
    print: &str,
    judgement: Judgement,
) -> Finding {
    let address = remote.address();
    let approve = format!("Once that is so, add \"{print}\" to `host_key_fingerprints`.");
    let finding = match judgement {
        Judgement::Unknown => cx
            .finding(
                "host-key-unknown",
                Cause::SshHostKeyUnknown,
                format!("The host key of {address} is not approved: {algorithm} {print}."),
            )
            .remedy("Compare the fingerprint with the one that the server's administrator gives you over another way.")
            .remedy(approve),
        Judgement::Changed(approved) => cx
            .finding(
                "host-key-changed",
                Cause::SshHostKeyChanged,
                format!("{address} shows a host key that is not an approved one: {algorithm} {print}."),
            )
            .detail(format!("Approved: {}.", approved.join(", ")))
            .remedy("Do not connect until the administrator or the host's own page confirms the new key: this is how an interception looks.")
            .remedy(approve),
        Judgement::Revoked => cx
            .finding(
                "host-key-revoked",
                Cause::SshHostKeyChanged,
                format!("{address} shows a host key that is marked as revoked: {algorithm} {print}."),
            ),
        // The approval names a key of another algorithm, or a marked one.
        Judgement::Approved(by) => cx
            .finding(
                "host-key-unverified",
                Cause::Undetermined,
                format!("`ssh` does not take the host key of {address}, though it is approved ({by})."),
            ),
    };
    let finding = finding.subject("host", &address).evidence(conversation.evidence(&address));
    match hosts::find(&remote.host).and_then(|host| Some((&host.title, host.fingerprints_url.as_ref()?))) {
        Some((title, url)) => finding.doc(format!("{title}: host key fingerprints"), url),
        None => finding,
    }
}

/// The key is approved, but the platform's `ssh` reads a file that does not know it.
fn unknown_to_the_file(cx: &Cx<Git>, remote: &Remote, client: &Client, conversation: &Conversation) {
    let Some((algorithm, print)) = &conversation.host_key else { return };
    if cx.settings().known_hosts_file.is_none() || client.approvals.in_file(print) {
        return;
    }
    cx.report(
        cx.finding(
            "host-key-not-in-file",
            Cause::SshHostKeyUnknown,
            format!("The host key is good, but `known_hosts_file` does not know it: {algorithm} {print}."),
        )
        .severity(Severity::Warn)
        .pointer("/settings/known_hosts_file")
        .remedy(format!("Add the line that `ssh-keyscan {}` prints, after comparing its fingerprint.", remote.host)),
    );
}

/// Entries of the platform's own file that will not serve it.
fn stale(cx: &Cx<Git>, client: &Client) {
    if let Some((line, print)) = client.approvals.withdrawn.first() {
        cx.report(
            cx.finding(
                "host-key-withdrawn",
                Cause::SshHostKeyChanged,
                format!("Line {line} of `known_hosts_file` trusts a key that the host has withdrawn: {print}."),
            )
            .severity(Severity::Warn)
            .pointer("/settings/known_hosts_file"),
        );
    }
    if let Some(line) = client.approvals.unreadable.first() {
        cx.report(
            cx.finding(
                "known-hosts-broken",
                Cause::ConfigInvalid,
                format!("Line {line} of `known_hosts_file` is no entry; `ssh` passes over it in silence."),
            )
            .severity(Severity::Warn)
            .pointer("/settings/known_hosts_file"),
        );
    }
}
