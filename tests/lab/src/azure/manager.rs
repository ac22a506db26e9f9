//! Resource Manager: subscriptions, what the caller may do, resource providers, resource groups.

use serde_json::{Value, json};

use super::answers::{failed, said};
use super::world::{Application, Subscription};
use super::{Hub, Refusal};
use crate::api::{Request, Response};

impl Hub {
    pub(super) fn manage(&self, request: &Request, segments: &[&str]) -> Result<Response, Refusal> {
        let caller = self.caller(request, "https://management.azure.com");
        let subscription = match segments {
            ["subscriptions", id, ..] => Some(self.subscription(id, caller.map(|(_, caller)| caller))?),
            _ => None,
        };
        let Some((name, application)) = caller else {
            return Err(failed(
                401,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            ));
        };
        match (segments, subscription) {
            (["subscriptions"], _) => {
                let visible =
                    self.world.subscription.values().filter(|it| self.sees(name, &format!("/subscriptions/{}", it.id)));
                Ok(said(200, &json!({ "value": visible.map(shown).collect::<Vec<_>>() })))
            }
            ([scope @ .., "providers", "Microsoft.Authorization", what], _) => {
                let scope = format!("/{}", scope.join("/"));
                self.rules(name, application, &scope, what)
            }
            ([_, id], Some(subscription)) => {
                self.permitted(
                    name,
                    application,
                    &format!("/subscriptions/{id}"),
                    "Microsoft.Resources/subscriptions/read",
                )?;
                Ok(said(200, &shown(subscription)))
            }
            ([_, id, "resourcegroups"], Some(_)) => {
                let group = format!("/subscriptions/{id}/resourceGroups/web");
                Ok(said(200, &json!({ "value": [{ "id": group, "name": "web", "location": "westeurope" }] })))
            }
            ([_, id, "providers", namespace], Some(subscription)) => {
                let action = format!("{namespace}/register/read");
                self.permitted(name, application, &format!("/subscriptions/{id}"), &action)?;
                let known = subscription.providers.iter().find(|(known, _)| known.eq_ignore_ascii_case(namespace));
                let Some((known, state)) = known else {
                    let words = format!("The resource namespace '{namespace}' is invalid.");
                    return Err(failed(404, "InvalidResourceNamespace", &words));
                };
                Ok(said(200, &json!({ "namespace": known, "registrationState": state, "resourceTypes": [] })))
            }
            _ => Err(failed(404, "NotFound", "There is nothing of that name.")),
        }
    }

    /// A subscription that the caller's tenant could be asked about. Who comes without a token, or with
    /// one of another tenant, is told which tenant that is.
    fn subscription(&self, id: &str, caller: Option<&Application>) -> Result<&Subscription, Refusal> {
        let known = self.world.subscription.values().find(|subscription| subscription.id == id);
        let subscription = known.ok_or_else(|| {
            failed(404, "SubscriptionNotFound", &format!("The subscription '{id}' could not be found."))
        })?;
        let theirs = self.world.tenant.get(&subscription.tenant).map(|tenant| tenant.id.as_str()).unwrap_or_default();
        let told = |refusal: Refusal, error: &str| {
            let challenge = format!("Bearer authorization_uri=\"https://login.windows.net/{theirs}\", {error}");
            Box::new(refusal.header("www-authenticate", challenge))
        };
        match caller {
            Some(caller) if caller.tenant == subscription.tenant => Ok(subscription),
            Some(caller) => {
                let own = self.world.tenant.get(&caller.tenant).map(|tenant| tenant.id.as_str()).unwrap_or_default();
                let words = format!(
                    "The access token is from the wrong issuer 'https://sts.windows.net/{own}/'. It must match the tenant 'https://sts.windows.net/{theirs}/' associated with this subscription. Please use the authority (URL) 'https://login.windows.net/{theirs}' to get the token."
                );
                Err(told(failed(401, "InvalidAuthenticationTokenTenant", &words), "error=\"invalid_token\""))
            }
            None => {
                let words = "Authentication failed. The 'Authorization' header is missing.";
                Err(told(
                    failed(401, "AuthenticationFailed", words),
                    "error=\"invalid_token\", error_description=\"The authentication failed because of missing 'Authorization' header.\"",
                ))
            }
        }
    }

    /// Whether an application has a role at a scope, above it or below it.
    fn sees(&self, name: &str, scope: &str) -> bool {
        let own = self.world.grant.iter().filter(|grant| grant.application == name);
        own.into_iter().any(|grant| within(scope, &grant.scope) || within(&grant.scope, scope))
    }

    fn permitted(&self, name: &str, application: &Application, scope: &str, action: &str) -> Result<(), Refusal> {
        if self.sees(name, scope) {
            return Ok(());
        }
        let (id, object) = (&application.id, &application.object);
        let words = format!(
            "The client '{id}' with object id '{object}' does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
        );
        Err(failed(403, "AuthorizationFailed", &words))
    }

    fn rules(&self, name: &str, application: &Application, scope: &str, what: &str) -> Result<Response, Refusal> {
        self.permitted(name, application, scope, &format!("Microsoft.Authorization/{what}/read"))?;
        let list: Vec<Value> = match what {
            "permissions" => {
                let own =
                    self.world.grant.iter().filter(|grant| grant.application == name && within(scope, &grant.scope));
                own.map(|grant| grant.shown()).collect()
            }
            "denyAssignments" => {
                // As the built-in roles Reader and Contributor have it; a narrower role has not.
                if !self.sees(name, scope) || application.secrets.contains_key("narrow") {
                    let words = format!(
                        "The client '{}' with object id '{}' does not have authorization to perform action 'Microsoft.Authorization/denyAssignments/read' over scope '{scope}' or the scope is invalid.",
                        application.id, application.object
                    );
                    return Err(failed(403, "AuthorizationFailed", &words));
                }
                let there = self.world.deny.iter().filter(|deny| within(scope, &deny.scope));
                there.map(|deny| deny.shown()).collect()
            }
            _ => return Err(failed(404, "NotFound", "There is nothing of that name.")),
        };
        Ok(said(200, &json!({ "value": list })))
    }
}

fn shown(subscription: &Subscription) -> Value {
    let Subscription { id, state, .. } = subscription;
    json!({ "id": format!("/subscriptions/{id}"), "subscriptionId": id, "displayName": format!("Subscription {id}"), "state": state })
}

/// Whether a scope is another one, or below it.
fn within(scope: &str, outer: &str) -> bool {
    let (scope, outer) = (scope.to_ascii_lowercase(), outer.to_ascii_lowercase());
    scope.strip_prefix(&outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
