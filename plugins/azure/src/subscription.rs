//! `azure/subscription`: the application sees the subscription, and it is in a state to be worked in.

use lineman_sdk::Answer;
use lineman_sdk::prelude::*;

use crate::cloud::Api;
use crate::{Azure, api, identity};

pub(crate) const OPERATION: &str = "GET /subscriptions/{subscriptionId}";
pub(crate) const LIST: &str = "GET /subscriptions";
const VERSION: (&str, &str) = ("api-version", "2022-12-01");
const POINTER: &str = "/settings/subscription_id";

/// A subscription, as Resource Manager shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subscription {
    subscription_id: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    state: String,
}

/// `azure/subscription`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let Some(id) = &cx.settings().subscription_id else { return visible(&cx).await };
    let subscription = cx.session().subscription.get(Box::pin(ask(&cx, id))).await?;
    judge(&cx, &subscription)
}

/// Without a subscription to look at: those that the application sees.
async fn visible(cx: &Cx<Azure>) -> Outcome {
    let all: Vec<Subscription> = api::list(cx, LIST, "/subscriptions", &[VERSION]).await?;
    if all.is_empty() {
        let why = "no `subscription_id` is set, and the application sees no subscription";
        cx.not_proved("that the application may do anything", why, Some("settings.subscription_id"));
    } else {
        let seen: Vec<&str> = all.iter().take(5).map(|it| it.display_name.as_str()).collect();
        let why = format!("no `subscription_id` is set; the application sees {}: {}", all.len(), seen.join(", "));
        cx.not_proved("that the intended subscription is visible", why, Some("settings.subscription_id"));
    }
    Ok(())
}

async fn ask(cx: &Cx<Azure>, id: &str) -> Result<Subscription, Stop> {
    let path = format!("/subscriptions/{id}");
    let answer = api::get(cx, Api::Manager, OPERATION, &path, &[VERSION]).await?;
    if !matches!(answer.status(), 401 | 403 | 404) {
        return api::read(&answer);
    }
    let finding = api::refusal(&answer);
    if finding.cause == Cause::ConfigEndpointWrong {
        return Err(finding.into());
    }
    // Whoever asks in nobody's name is told which tenant could say who they are.
    let asked = api::get_anonymously(cx, OPERATION, &path, &[VERSION]).await?;
    let own = identity::token(cx, Api::Manager).await?.claims.tid;
    match (tenant(&asked), own) {
        (Some(theirs), Some(own)) if !theirs.eq_ignore_ascii_case(&own) => {
            Err(elsewhere(cx, id, &theirs, &own, &asked))
        }
        (Some(_), _) if answer.status() != 401 => Err(invisible(cx, id, &answer)),
        (None, _) if answer.status() == 404 => Err(unknown(cx, id, &answer)),
        _ => Err(finding.pointer(POINTER).subject("subscription", id).into()),
    }
}

/// The tenant to sign in at, from `WWW-Authenticate: Bearer authorization_uri="https://…/{tenant}", …`.
fn tenant(answer: &Answer) -> Option<String> {
    let (_, uri) = answer.header("www-authenticate")?.split_once("authorization_uri=\"")?;
    let tenant = uri.split('"').next()?.trim_end_matches('/').rsplit('/').next()?;
    crate::config::is_guid(tenant).then(|| tenant.to_owned())
}

fn elsewhere(cx: &Cx<Azure>, id: &str, theirs: &str, own: &str, asked: &Answer) -> Stop {
    let message = format!("The subscription belongs to the tenant {theirs}, and the credential is of {own}.");
    cx.finding("subscription-elsewhere", Cause::CredentialWrongAccount, message)
        .pointer(POINTER)
        .subject("subscription", id)
        .or_else(Cause::ConfigInvalid, Confidence::Possible)
        .evidence(asked.evidence())
        .remedy(format!("Set `tenant_id = \"{theirs}\"` and store a credential of an application there."))
        .remedy("Or set `subscription_id` to a subscription of the credential's own tenant.")
        .into()
}

fn invisible(cx: &Cx<Azure>, id: &str, answer: &Answer) -> Stop {
    let message = "The application sees nothing of the subscription: it has no role in it.";
    let scope = format!("/subscriptions/{id}");
    let mut finding = cx
        .finding("subscription-not-visible", Cause::PermissionInsufficient, message)
        .pointer(POINTER)
        .subject("subscription", id)
        .or_else(Cause::ConfigInvalid, Confidence::Possible)
        .or_else(Cause::ProviderPropagation, Confidence::Possible)
        .evidence(answer.evidence())
        .command(
            "Assign it a role, such as Reader; it takes some minutes until it holds.",
            [
                "az",
                "role",
                "assignment",
                "create",
                "--assignee",
                &cx.settings().client_id,
                "--role",
                "Reader",
                "--scope",
                &scope,
            ],
        );
    if let Some(remedy) = finding.remedies.last_mut() {
        remedy.who = Some("owner or role based access control administrator of the subscription".to_owned());
    }
    finding.into()
}

fn unknown(cx: &Cx<Azure>, id: &str, answer: &Answer) -> Stop {
    let cloud = cx.settings().cloud;
    let message = format!("There is no subscription {id} in {}.", cloud.name());
    cx.finding("subscription-unknown", Cause::ResourceNotFound, message)
        .pointer(POINTER)
        .or_else(Cause::ConfigInvalid, Confidence::Likely)
        .evidence(answer.evidence())
        .into()
}

/// What can be done in a subscription follows from its state.
fn judge(cx: &Cx<Azure>, subscription: &Subscription) -> Outcome {
    let Subscription { subscription_id, display_name, state } = subscription;
    let (severity, what, remedy) = match state.as_str() {
        "Enabled" => return Ok(()),
        "Warned" => {
            (Severity::Warn, "will be disabled soon (Warned)", "Have the billing account's owner settle what is due.")
        }
        "PastDue" => {
            (Severity::Warn, "has a payment overdue (PastDue)", "Have the billing account's owner pay what is overdue.")
        }
        "Disabled" => (
            Severity::Fail,
            "is disabled, and can only be read",
            "Reactivate it: pay, remove the spending limit, or undo the cancellation.",
        ),
        "Deleted" => (
            Severity::Fail,
            "is deleted",
            "Work in another subscription; a deleted one comes back only through Azure's support.",
        ),
        other => {
            let why = format!("its state is `{other}`, which is not known here");
            cx.not_proved(format!("that the subscription {display_name} can be worked in"), why, None);
            return Ok(());
        }
    };
    let mut finding = cx
        .finding("subscription-state", Cause::AccountSuspended, format!("The subscription {display_name} {what}."))
        .severity(severity)
        .pointer(POINTER)
        .subject("subscription", subscription_id);
    finding.remedies.push(Remedy { who: Some("owner of the billing account".to_owned()), ..Remedy::new(remedy) });
    Err(finding.into())
}
