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
