//! The forms of GitHub's answers.

use serde_json::{Value, json};

use super::{Caller, Hub, Refusal};
use crate::api::Response;

/// A JSON answer.
pub(super) fn said(status: u16, body: &Value) -> Response {
    Response::new(status).header("content-type", "application/json; charset=utf-8").body(body.to_string())
}

/// A refusal in GitHub's words.
pub(super) fn refused(status: u16, message: &str, page: &str) -> Refusal {
    let url = format!("https://docs.github.com/{page}");
    Box::new(said(status, &json!({ "message": message, "documentation_url": url, "status": status.to_string() })))
}

const SSO: &str = "Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization.";

fn sso_header(organization: &str) -> String {
    format!("required; url=https://github.com/orgs/{organization}/sso?authorization_request=AAAA")
}

/// A token that was not authorised for single sign-on: "Authenticating with SAML single sign-on".
pub(super) fn sso(organization: &str) -> Refusal {
    let page = "articles/authenticating-to-a-github-organization-with-saml-single-sign-on/";
    Box::new(refused(403, SSO, page).header("x-github-sso", sso_header(organization)))
}

/// The one query that is understood: a repository by its name. What is wrong stands in a good
/// answer.
pub(super) fn graphql(hub: &Hub, body: &[u8], caller: &Caller<'_>) -> Response {
    if matches!(caller, Caller::Nobody | Caller::App(..)) {
        return *refused(401, "This endpoint requires you to be authenticated.", "graphql");
    }
    let query: Value = serde_json::from_slice(body).unwrap_or_default();
    let variable = |name: &str| query["variables"][name].as_str().unwrap_or_default().to_owned();
    let (owner, name) = (variable("owner"), variable("name"));
    let full = format!("{owner}/{name}");
    let failed = |kind: &str, message: &str| {
        said(
            200,
            &json!({ "data": { "repository": null }, "errors": [{ "type": kind, "path": ["repository"], "message": message }] }),
        )
    };
    if hub.world.organization.get(&owner).is_some_and(|organization| organization.single_sign_on_graphql) {
        return failed("FORBIDDEN", SSO).header("x-github-sso", sso_header(&owner));
    }
    match hub.repository(&full, caller) {
        Ok(_) => said(200, &json!({ "data": { "repository": { "nameWithOwner": full } } })),
        Err(_) => failed("NOT_FOUND", &format!("Could not resolve to a Repository with the name '{full}'.")),
    }
}
