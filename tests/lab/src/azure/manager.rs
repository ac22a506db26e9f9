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
        if request.method == "POST" {
            return match segments {
                [scope @ .., "providers", "Microsoft.PolicyInsights", "checkPolicyRestrictions"] => {
                    self.policies(request, name, application, scope)
                }
                _ => Err(failed(404, "NotFound", "There is nothing of that name.")),
            };
        }
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
            ([_, id, below @ ..], Some(_)) => self.resource(request, name, application, id, below),
            _ => Err(failed(404, "NotFound", "There is nothing of that name.")),
        }
    }

    /// What is below a subscription, for whoever may look at it.
    fn resource(
        &self,
        request: &Request,
        name: &str,
        application: &Application,
        id: &str,
        below: &[&str],
    ) -> Result<Response, Refusal> {
        let path = below.join("/");
        let known = self.world.resources.resource.iter().find(|resource| resource.path.eq_ignore_ascii_case(&path));
        let Some(resource) = known else {
            let group = |name: &str| format!("resourcegroups/{name}");
            return Err(match below {
                [_, group_name, ..]
                    if !self
                        .world
                        .resources
                        .resource
                        .iter()
                        .any(|it| it.path.eq_ignore_ascii_case(&group(group_name))) =>
                {
                    let words = format!("Resource group '{group_name}' could not be found.");
                    failed(404, "ResourceGroupNotFound", &words)
                }
                [_, group_name, _, rest @ ..] => {
                    let words = format!(
                        "The Resource '{}' under resource group '{group_name}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
                        rest.join("/")
                    );
                    failed(404, "ResourceNotFound", &words)
                }
                _ => failed(404, "NotFound", "There is nothing of that name."),
            });
        };
        let scope = match below {
            ["resourceGroups" | "resourcegroups", group, ..] => format!("/subscriptions/{id}/resourceGroups/{group}"),
            _ => format!("/subscriptions/{id}"),
        };
        self.allowed(name, application, &scope, &resource.action)?;
        // Lists of SKUs are of one region alone, where it is asked for.
        let filter = request.parameters().into_iter().find(|(key, _)| key == "$filter").map(|(_, value)| value);
        let mut body = json!(resource.body);
        if let (Some(filter), Some(list)) = (filter, body["value"].as_array_mut()) {
            let region = filter.strip_prefix("location eq '").and_then(|rest| rest.strip_suffix('\''));
            list.retain(|one| {
                one["locations"].as_array().is_some_and(|own| own.iter().any(|it| it.as_str() == region))
            });
        }
        Ok(said(200, &body))
    }

    /// What Azure Policy makes of a resource to be.
    fn policies(
        &self,
        request: &Request,
        name: &str,
        application: &Application,
        scope: &[&str],
    ) -> Result<Response, Refusal> {
        let path = format!("/{}", scope.join("/"));
        let id = scope.get(1).copied().unwrap_or_default();
        self.allowed(name, application, &path, "Microsoft.PolicyInsights/checkPolicyRestrictions/read")?;
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let here = self
            .world
            .resources
            .policy
            .iter()
            .filter(|policy| within(&path, &format!("/subscriptions/{id}{}", policy.scope)));
        let (mut fields, mut evaluations) = (Vec::new(), Vec::new());
        for (field, evaluation) in here.map(|policy| policy.tells(id, &asked)) {
            fields.extend(field);
            evaluations.extend(evaluation);
        }
        Ok(said(
            200,
            &json!({ "fieldRestrictions": fields, "contentEvaluationResult": { "policyEvaluations": evaluations } }),
        ))
    }

    /// Goes on only where a role at or above the scope has the action.
    fn allowed(&self, name: &str, application: &Application, scope: &str, action: &str) -> Result<(), Refusal> {
        let mut own = self.world.grant.iter().filter(|grant| grant.application == name && within(scope, &grant.scope));
        if own.any(|grant| grant.allows(action)) { Ok(()) } else { Err(refused(application, scope, action)) }
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
        if self.sees(name, scope) { Ok(()) } else { Err(refused(application, scope, action)) }
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
                    return Err(refused(application, scope, "Microsoft.Authorization/denyAssignments/read"));
                }
                let there = self.world.deny.iter().filter(|deny| within(scope, &deny.scope));
                there.map(|deny| deny.shown()).collect()
            }
            _ => return Err(failed(404, "NotFound", "There is nothing of that name.")),
        };
        Ok(said(200, &json!({ "value": list })))
    }
}

fn refused(application: &Application, scope: &str, action: &str) -> Refusal {
    let (id, object) = (&application.id, &application.object);
    let words = format!(
        "The client '{id}' with object id '{object}' does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials."
    );
    failed(403, "AuthorizationFailed", &words)
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
