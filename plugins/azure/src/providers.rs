//! `azure/providers`: whether the resource providers are registered in the subscription that the
//! required actions belong to, or that are required by name.

use std::collections::BTreeMap;

use lineman_sdk::prelude::*;

use crate::cloud::Api;
use crate::requires::Plane;
use crate::{Azure, api, arm};

pub(crate) const OPERATION: &str = "GET /subscriptions/{subscriptionId}/providers/{resourceProviderNamespace}";
const VERSION: (&str, &str) = ("api-version", "2021-04-01");

/// A provider, and the requirement that names it; none where an action implies it.
type Wanted<'a> = BTreeMap<String, (String, Option<&'a str>)>;

/// `azure/providers`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let Some(subscription) = cx.settings().subscription_id.clone() else {
        return Err(Stop::not_applicable("no subscription is configured"));
    };
    let wanted = wanted(&cx, &subscription);
    if wanted.is_empty() {
        return Err(Stop::not_applicable("nothing that is required needs a resource provider"));
    }
    for (namespace, requirement) in wanted.values() {
        let state = match state(&cx, &subscription, namespace).await {
            Ok(state) => state,
            Err(stop) if stop.is_denied() => {
                let why = "the application may not look at resource providers";
                cx.not_proved(format!("that {namespace} is registered"), why, Some("*/read"));
                requirement.iter().for_each(|id| cx.requirement(id, Status::Unknown));
                continue;
            }
            Err(stop) => return Err(stop.map(|finding| finding.subject("resource provider", namespace))),
        };
        let status = match state.as_str() {
            "Registered" => Status::Pass,
            "Registering" => {
                cx.report(registering(&cx, namespace));
                Status::Unknown
            }
            _ => {
                let finding = unregistered(&cx, &subscription, namespace, &state);
                // Some clients register what an action implies by themselves.
                let implied = requirement.is_none();
                cx.report(if implied { finding.severity(Severity::Warn) } else { finding });
                Status::Fail
            }
        };
        requirement.iter().for_each(|id| cx.requirement(id, status));
    }
    Ok(())
}

/// What is required by name, and what the required writes in the subscription imply.
fn wanted<'a>(cx: &'a Cx<Azure>, subscription: &str) -> Wanted<'a> {
    let mut wanted = Wanted::new();
    let own = format!("/subscriptions/{subscription}").to_ascii_lowercase();
    for requirement in cx.requires() {
        let words = &requirement.words;
        // What cannot be one is told by `azure/config`.
        if let Some(namespace) = words.resource_provider.clone().filter(|namespace| arm::is_namespace(namespace)) {
            wanted.insert(namespace.to_ascii_lowercase(), (namespace, Some(requirement.id.as_str())));
        }
        for wish in words.wishes(cx.settings()).into_iter().flatten() {
            let writes = wish.plane == Plane::Control && wish.action.to_ascii_lowercase().ends_with("/write");
            let namespace = wish.action.split('/').next().unwrap_or_default();
            if writes && wish.scope.to_ascii_lowercase().starts_with(&own) && !always_there(namespace) {
                wanted.entry(namespace.to_ascii_lowercase()).or_insert((namespace.to_owned(), None));
            }
        }
    }
    wanted
}

/// Providers that every subscription has and that cannot be unregistered: "Azure resource providers
/// and types".
fn always_there(namespace: &str) -> bool {
    const ALWAYS: [&str; 12] = [
        "Microsoft.Authorization",
        "Microsoft.Billing",
        "Microsoft.ClassicSubscription",
        "Microsoft.Commerce",
        "Microsoft.Consumption",
        "Microsoft.CostManagement",
        "Microsoft.Features",
        "Microsoft.MarketplaceOrdering",
        "Microsoft.Portal",
        "Microsoft.ResourceGraph",
        "Microsoft.Resources",
        "Microsoft.SerialConsole",
    ];
    ALWAYS.iter().any(|always| always.eq_ignore_ascii_case(namespace))
}

async fn state(cx: &Cx<Azure>, subscription: &str, namespace: &str) -> Result<String, Stop> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shown {
        registration_state: String,
    }
    let path = format!("/subscriptions/{subscription}/providers/{namespace}");
    let answer = api::get(cx, Api::Manager, OPERATION, &path, &[VERSION]).await?;
    Ok(api::read::<Shown>(&answer)?.registration_state)
}

fn registering(cx: &Cx<Azure>, namespace: &str) -> Finding {
    let message = format!("The resource provider {namespace} is being registered; not every region has it yet.");
    cx.finding("provider-registering", Cause::ProviderPropagation, message)
        .severity(Severity::Warn)
        .subject("resource provider", namespace)
}

fn unregistered(cx: &Cx<Azure>, subscription: &str, namespace: &str, state: &str) -> Finding {
    let message = format!("The resource provider {namespace} is not registered in the subscription ({state}).");
    cx.finding("provider-not-registered", Cause::DependencyMissing, message)
        .subject("resource provider", namespace)
        .command(
            "Register it; Contributor and Owner may.",
            ["az", "provider", "register", "--namespace", namespace, "--subscription", subscription, "--wait"],
        )
}
