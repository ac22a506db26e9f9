//! `github/organization`: whether the organisation lets the credential in. Single sign-on, an
//! allow list of addresses and token policies all show here.

use lineman_sdk::Answer;
use lineman_sdk::prelude::*;

use crate::app::working;
use crate::identity::identity;
use crate::{GitHub, api};

#[derive(Deserialize)]
struct Organization {
    #[serde(rename = "login")]
    _login: String,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
}

/// `github/organization`.
pub(crate) async fn check(cx: Cx<GitHub>) -> Outcome {
    let Some(name) = cx.settings().organization.as_deref() else {
        return Err(Stop::not_applicable("no organisation is configured"));
    };
    let token = working(&cx).await?;
    let answer = api::get(&cx, &token, "GET /orgs/{org}", &["orgs", name], None).await?;
    if answer.status() == 404 {
        let message = format!("GitHub knows no organisation {name}, or hides it from this credential.");
        return Err(cx
            .finding("organization-missing", Cause::ResourceNotFound, message)
            .pointer("/settings/organization")
            .evidence(answer.evidence())
            .into());
    }
    api::read::<Organization>(&answer)?;
    sso(&cx, &answer, name)?;
    match &identity(&cx).await?.login {
        Some(login) => membership(&cx, &token, name, login).await,
        // An installation is in the organisation by being installed there.
        None => Ok(()),
    }
}

/// A good answer that leaves out what single sign-on protects.
fn sso(cx: &Cx<GitHub>, answer: &Answer, name: &str) -> Outcome {
    match answer.header("x-github-sso") {
        Some(header) if header.starts_with("partial-results") => {
            let message =
                format!("{name} leaves out what its single sign-on protects: the token is not authorised for it.");
            Err(cx
                .finding("sso-partial", Cause::CredentialChallengeRequired, message)
                .evidence(answer.evidence())
                .into())
        }
        _ => Ok(()),
    }
}

/// What is public of an organisation is shown to everyone: membership tells more.
async fn membership(cx: &Cx<GitHub>, token: &Secret, name: &str, login: &str) -> Outcome {
    let operation = "GET /user/memberships/orgs/{org}";
    let answer = api::get(cx, token, operation, &["user", "memberships", "orgs", name], None).await?;
    let what = format!("that {login} is a member of {name}");
    if answer.status() == 404 {
        let why = "GitHub knows no membership; an outside collaborator has none";
        cx.not_proved(what, why, None);
        return Ok(());
    }
    match api::read::<Membership>(&answer) {
        Ok(membership) if membership.state == "pending" => {
            let message = format!("{login} has not accepted the invitation to {name} yet.");
            Err(cx
                .finding("membership-pending", Cause::PermissionInsufficient, message)
                .evidence(answer.evidence())
                .remedy(format!("Log in as {login} and accept it: https://github.com/orgs/{name}/invitation"))
                .into())
        }
        Ok(_) => sso(cx, &answer, name),
        Err(stop) if api::denied(&stop) => {
            cx.not_proved(what, "the token may not ask for memberships", Some("read:org, or members:read"));
            Ok(())
        }
        Err(stop) => Err(stop),
    }
}
