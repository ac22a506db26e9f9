//! `git/write`: whether the credential may push. Nothing is pushed: the server's answer to the
//! wish is enough.

use lineman_sdk::prelude::*;

use super::{read, remote};
use crate::remote::Transport;
use crate::{Access, Git, http, ssh};

const SERVICE: &str = "git-receive-pack";

pub(crate) async fn check(cx: Cx<Git>) -> Outcome {
    if cx.settings().access != Access::Write {
        return Err(Stop::not_applicable("`access` is \"read\""));
    }
    let remote = remote(&cx)?;
    let advertised = match remote.transport {
        Transport::Ssh => {
            let conversation = ssh::advertisement(&cx, &remote, SERVICE).await?;
            read::over_ssh(&cx, &remote, &conversation, SERVICE)
        }
        Transport::Https | Transport::Http => {
            let exchange = http::advertisement(&cx, &remote, SERVICE).await?;
            read::over_http(&cx, &remote, &exchange, SERVICE)
        }
    };
    if let Err(mut finding) = advertised {
        // The repository was read a moment ago: it is there, and seen.
        if finding.cause == Cause::RepoNoAccess {
            finding.cause = Cause::PermissionInsufficient;
        }
        return Err((*finding).into());
    }
    cx.not_proved(
        "that a push of particular commits is taken",
        "protected branches and hooks are asked only then",
        None,
    );
    for requirement in cx.requires() {
        if requirement.words.action == Access::Write {
            cx.requirement(&requirement.id, Status::Pass);
        }
    }
    Ok(())
}
