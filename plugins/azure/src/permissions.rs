//! `azure/permissions`: whether the application's roles allow what the platform means to do.
//!
//! Resource Manager lists what the caller may do at a scope, group memberships included; deny
//! assignments are listed beside it, where the application may see them. What is not proved is
//! listed.

use std::collections::BTreeMap;

use lineman_sdk::prelude::*;

use crate::cloud::Api;
use crate::grants::{About, Deny, Grant, Held, held};
use crate::requirement::{Plane, Wish};
use crate::{Azure, api, identity};

pub(crate) const OPERATION: &str = "GET {scope}/providers/Microsoft.Authorization/permissions";
pub(crate) const PERMISSION: &str = "Microsoft.Authorization/permissions/read";
pub(crate) const DENIES: &str = "GET {scope}/providers/Microsoft.Authorization/denyAssignments";
pub(crate) const DENIES_PERMISSION: &str = "Microsoft.Authorization/denyAssignments/read";
const VERSION: (&str, &str) = ("api-version", "2022-04-01");

const ROLES_DOC: (&str, &str) =
    ("Assign Azure roles", "https://learn.microsoft.com/en-us/azure/role-based-access-control/role-assignments-cli");
const DENIES_DOC: (&str, &str) =
    ("Deny assignments", "https://learn.microsoft.com/en-us/azure/role-based-access-control/deny-assignments");

/// What holds at one scope.
struct Rules {
    grants: Vec<Grant>,
    /// None where the application may not see them.
    denies: Option<Vec<Deny>>,
}

/// `azure/permissions`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    // What cannot be read is told by `azure/config`.
    let wishes = cx.requires().iter().filter_map(|it| Some((it.id.as_str(), Wish::read(it, cx.settings()).ok()?)));
    let wishes: Vec<(&str, Wish)> = wishes.filter(|(_, wish)| matches!(wish, Wish::Action { .. })).collect();
    if wishes.is_empty() {
        return Err(Stop::not_applicable("no action is required"));
    }
    let token = identity::token(&cx, Api::Manager).await?;
    let object = token.claims.oid.as_deref();
    let mut known: BTreeMap<String, Option<Rules>> = BTreeMap::new();
    for (id, wish) in &wishes {
        let Wish::Action { plane, action, scope } = wish else { continue };
        let key = scope.to_ascii_lowercase();
        if !known.contains_key(&key) {
            known.insert(key.clone(), Box::pin(rules(&cx, scope)).await?);
        }
        let status = match known.get(&key).and_then(Option::as_ref) {
            Some(rules) => judge(&cx, rules, object, *plane, action, scope),
            None => {
                cx.not_proved(wish.to_string(), "the application may not ask what it may do there", Some(PERMISSION));
                Status::Unknown
            }
        };
        cx.requirement(id, status);
    }
    Ok(())
}

/// What holds at a scope; none where the application may not ask.
async fn rules(cx: &Cx<Azure>, scope: &str) -> Result<Option<Rules>, Stop> {
    let path = |what: &str| format!("{scope}/providers/Microsoft.Authorization/{what}");
    let grants = match api::list::<Grant>(cx, OPERATION, &path("permissions"), &[VERSION]).await {
        Ok(grants) => grants,
        Err(stop) if api::denied(&stop) => return Ok(None),
        Err(stop) => return Err(stop.map(|finding| finding.subject("scope", scope))),
    };
    // Of all that are listed, those at or above the scope.
    let query = [VERSION, ("$filter", "atScope()")];
    let denies = match api::list::<Deny>(cx, DENIES, &path("denyAssignments"), &query).await {
        Ok(denies) => Some(denies),
        Err(stop) if api::denied(&stop) => {
            let what = format!("that no deny assignment stands against it in {scope}");
            cx.not_proved(what, "the application may not list them", Some(DENIES_PERMISSION));
            None
        }
        Err(stop) => return Err(stop),
    };
    Ok(Some(Rules { grants, denies }))
}

fn judge(cx: &Cx<Azure>, rules: &Rules, object: Option<&str>, plane: Plane, action: &str, scope: &str) -> Status {
    match held(&rules.grants, plane, action) {
        Held::Yes => denied(cx, rules, object, plane, action, scope),
        Held::OnCondition => {
            let why = "the role that allows it has a condition, which only the request itself decides";
            cx.not_proved(format!("{action} in {scope}"), why, None);
            Status::Unknown
        }
        Held::TakenAway(with, without) => {
            let message = format!("The application may not {action} in {scope}: its role leaves it out.");
            let list = if plane == Plane::Data { "notDataActions" } else { "notActions" };
            let detail = format!("A role has it by `{with}`, and takes it away by `{without}` in {list}.");
            cx.report(missing(cx, "action-left-out", action, scope, message).detail(detail));
            Status::Fail
        }
        Held::No => {
            let message = format!("The application may not {action} in {scope}: none of its roles has it.");
            let finding = missing(cx, "action-missing", action, scope, message);
            let known = if rules.grants.is_empty() { "It has no role there at all." } else { "" };
            cx.report(if known.is_empty() { finding } else { finding.detail(known) });
            Status::Fail
        }
    }
}

fn missing(cx: &Cx<Azure>, code: &str, action: &str, scope: &str, message: String) -> Finding {
    let (title, url) = ROLES_DOC;
    let mut finding = cx
        .finding(code, Cause::PermissionInsufficient, message)
        .subject("action", action)
        .or_else(Cause::ProviderPropagation, Confidence::Possible)
        .command(
            "Look which role has the action, and assign it; it takes some minutes until it holds.",
            [
                "az",
                "role",
                "assignment",
                "create",
                "--assignee",
                &cx.settings().client_id,
                "--role",
                "ROLE",
                "--scope",
                scope,
            ],
        )
        .doc(title, url);
    if let Some(remedy) = finding.remedies.last_mut() {
        remedy.who = Some("owner or role based access control administrator of the scope".to_owned());
    }
    finding
}

/// What deny assignments say of an action that roles allow.
fn denied(cx: &Cx<Azure>, rules: &Rules, object: Option<&str>, plane: Plane, action: &str, scope: &str) -> Status {
    let against = rules.denies.iter().flatten().filter(|deny| deny.forbids(plane, action, scope));
    let mut status = Status::Pass;
    for deny in against {
        match deny.about(object) {
            About::Others => {}
            About::Perhaps => {
                let why = format!(
                    "the deny assignment `{}` forbids it to groups, and whether the application is in one is not known",
                    deny.name()
                );
                cx.not_proved(format!("{action} in {scope}"), why, None);
                status = Status::Unknown;
            }
            About::Them => {
                let message = format!("{action} in {scope} is forbidden by the deny assignment `{}`.", deny.name());
                let (title, url) = DENIES_DOC;
                cx.report(
                    cx.finding("action-denied", Cause::PermissionDeniedByPolicy, message)
                        .subject("action", action)
                        .remedy("Work elsewhere, or have whoever made the deny assignment (a managed application, a deployment stack) leave the application out; a role does not help.")
                        .doc(title, url),
                );
                return Status::Fail;
            }
        }
    }
    status
}
