//! What `worlds/azure.toml` is made of.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct World {
    pub(super) tenant: BTreeMap<String, Tenant>,
    pub(super) application: BTreeMap<String, Application>,
    /// The days that each still lives.
    pub(super) certificate: BTreeMap<String, i64>,
    pub(super) federated: BTreeMap<String, Federated>,
    pub(super) subscription: BTreeMap<String, Subscription>,
    pub(super) grant: Vec<Grant>,
    pub(super) deny: Vec<Deny>,
    #[serde(skip)]
    pub(super) resources: Resources,
}

/// What `worlds/azure-resources.toml` is made of.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resources {
    /// What Resource Manager shows at a path.
    pub(super) resource: Vec<Resource>,
    /// Assignments of Azure Policy.
    pub(super) policy: Vec<Policy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tenant {
    pub(super) id: String,
    pub(super) domain: String,
    /// The cloud that it lives in, as discovery names it.
    pub(super) instance: String,
    pub(super) region: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Application {
    pub(super) id: String,
    pub(super) object: String,
    pub(super) tenant: String,
    /// Whether it has the permission Application.Read.All.
    #[serde(default)]
    pub(super) reads_itself: bool,
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, i64>,
    #[serde(default)]
    pub(super) certificates: Vec<String>,
    #[serde(default)]
    pub(super) trusts: Vec<Trust>,
    #[serde(default)]
    pub(super) disabled: bool,
    #[serde(default)]
    pub(super) blocked: bool,
}

/// A federated credential: which tokens of another identity provider stand for the application.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trust {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
}

/// A token of the other identity provider.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Federated {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
    pub(super) minutes: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) tenant: String,
    pub(super) state: String,
    /// Their registration states.
    #[serde(default)]
    pub(super) providers: BTreeMap<String, String>,
}

/// A role that an application has at a scope.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    pub(super) application: String,
    pub(super) scope: String,
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    not_actions: Vec<String>,
    #[serde(default)]
    data_actions: Vec<String>,
    #[serde(default)]
    not_data_actions: Vec<String>,
    condition: Option<String>,
}

impl Grant {
    /// Whether it has an action on resources.
    pub(super) fn allows(&self, action: &str) -> bool {
        let has = |list: &[String]| list.iter().any(|pattern| stands_for(pattern, action));
        has(&self.actions) && !has(&self.not_actions)
    }

    pub(super) fn shown(&self) -> Value {
        let mut shown = json!({
            "actions": self.actions, "notActions": self.not_actions,
            "dataActions": self.data_actions, "notDataActions": self.not_data_actions,
        });
        if let Some(condition) = &self.condition {
            shown["condition"] = condition.as_str().into();
            shown["conditionVersion"] = "2.0".into();
        }
        shown
    }
}

/// What is shown to whoever may look at it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    /// Below the subscription.
    pub(super) path: String,
    /// The action that it takes to look.
    pub(super) action: String,
    pub(super) body: toml::Table,
    /// Where the form of the answer is documented.
    #[serde(rename = "source")]
    _source: String,
}

/// An assignment of a policy with the effect `deny`: resources of some types must be somewhere, must
/// have a tag, or must not be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) name: String,
    /// Below the subscription.
    #[serde(default)]
    pub(super) scope: String,
    /// Of which types it speaks; of all where there are none.
    #[serde(default)]
    types: Vec<String>,
    /// Where they may be.
    #[serde(default)]
    locations: Vec<String>,
    /// Which tag they must have.
    tag: Option<String>,
    /// Which property must not be missing.
    property: Option<String>,
}

impl Policy {
    /// What `checkPolicyRestrictions` tells of a resource: restrictions of fields that are pending, and
    /// evaluations of the content ("Policy Restrictions - Check At Subscription Scope").
    pub(super) fn tells(&self, subscription: &str, asked: &Value) -> (Option<Value>, Option<Value>) {
        let content = &asked["resourceDetails"]["resourceContent"];
        let kind = content["type"].as_str().unwrap_or_default().to_ascii_lowercase();
        if !self.types.is_empty() && !self.types.iter().any(|own| own.eq_ignore_ascii_case(&kind)) {
            return (None, None);
        }
        let authorization = format!("/subscriptions/{subscription}{}/providers/microsoft.authorization", self.scope);
        let policy = json!({
            "policyDefinitionId": format!("/providers/microsoft.authorization/policydefinitions/{}", self.name),
            "policyAssignmentId": format!("{authorization}/policyassignments/{}", self.name),
        });
        let pending = |name: &str| {
            let fields = asked["pendingFields"].as_array();
            fields.into_iter().flatten().find(|field| field["field"] == name).map(|field| field["values"].clone())
        };
        let restricted = |field: &str, result: &str, values: Value| {
            let mut restriction = json!({ "result": result, "policy": policy.clone() });
            if !values.is_null() {
                restriction["values"] = values;
            }
            Some(json!({ "field": field, "restrictions": [restriction] }))
        };
        let denied = |path: &str, value: Value, operator: &str, target: Value| {
            let expression = json!({
                "result": "True", "expressionKind": "Field", "expression": path, "path": path,
                "expressionValue": value, "targetValue": target, "operator": operator,
            });
            let details = json!({ "evaluatedExpressions": [expression] });
            Some(
                json!({ "policyInfo": policy.clone(), "evaluationResult": "NonCompliant", "evaluationDetails": details }),
            )
        };
        if !self.locations.is_empty() {
            let values = pending("location").unwrap_or_default();
            let bad: Vec<&Value> = values.as_array().into_iter().flatten().collect();
            let bad: Vec<&&Value> =
                bad.iter().filter(|value| !self.locations.iter().any(|own| **value == own.as_str())).collect();
            return if bad.is_empty() { (None, None) } else { (restricted("location", "Deny", json!(bad)), None) };
        }
        if let Some(tag) = &self.tag {
            let field = format!("tags.{tag}");
            return match pending("tags") {
                Some(_) => (restricted(&field, "Required", Value::Null), None),
                None if content["tags"][tag].is_string() => (None, None),
                None => (None, denied(&field, Value::Null, "Exists", json!("false"))),
            };
        }
        match &self.property {
            Some(property) => (None, denied(property, Value::Null, "NotEquals", json!("Disabled"))),
            None => (None, denied("type", json!(kind), "Equals", json!(kind))),
        }
    }
}

/// A deny assignment on everybody.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deny {
    name: String,
    pub(super) scope: String,
    actions: Vec<String>,
    #[serde(default)]
    not_actions: Vec<String>,
}

impl Deny {
    pub(super) fn shown(&self) -> Value {
        json!({ "properties": {
            "denyAssignmentName": self.name, "scope": self.scope, "doNotApplyToChildScopes": false,
            "permissions": [{ "actions": self.actions, "notActions": self.not_actions, "dataActions": [], "notDataActions": [] }],
            "principals": [{ "id": "00000000-0000-0000-0000-000000000000", "type": "SystemDefined" }],
            "excludePrincipals": [], "isSystemProtected": true,
        } })
    }
}

/// A client secret of Entra's form, the same for the same name; the first three characters are what
/// Graph shows of it.
pub(super) fn secret(name: &str) -> String {
    let seed = format!("{name}.0lineman-0lab0_").repeat(4);
    format!("{}8Q~{}", &seed[..3], &seed[..34])
}

/// Whether a pattern with one `*` at most stands for an action.
fn stands_for(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    match pattern.split_once('*') {
        Some((start, end)) => {
            action.len() >= start.len() + end.len() && action.starts_with(start) && action.ends_with(end)
        }
        None => pattern == action,
    }
}
