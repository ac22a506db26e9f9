//! `kubernetes/quota`: the quotas of the namespaces leave room for what will be needed.
//!
//! Every quota that limits the resource counts, under each name that means it. A quota with scopes
//! counts for some objects alone, and whether the platform's are among them is not known: where only
//! such a one is short, that is listed.

use std::collections::BTreeMap;

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;

use crate::access::access;
use crate::quantity::Quantity;
use crate::requirement::{Need, Wish};
use crate::{Kubernetes, api};

/// Resources that `requests.` before their name means, too.
const REQUESTED: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Objects that `count/` before their name means, too.
const COUNTED: [&str; 7] =
    ["configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services"];

#[derive(Deserialize)]
struct List {
    items: Vec<ResourceQuota>,
}

#[derive(Deserialize)]
struct ResourceQuota {
    metadata: Metadata,
    spec: Spec,
    #[serde(default)]
    status: Counted,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    hard: BTreeMap<String, String>,
    #[serde(default)]
    scopes: Vec<String>,
    scope_selector: Option<Selector>,
}

/// What the quota controller has counted; empty until it has.
#[derive(Default, Deserialize)]
struct Counted {
    #[serde(default)]
    used: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    #[serde(default)]
    match_expressions: Vec<Expression>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expression {
    scope_name: String,
    #[serde(default)]
    operator: String,
    #[serde(default)]
    values: Vec<String>,
}

impl Spec {
    /// Which objects it counts, where not all: `PriorityClass In high`.
    fn scope(&self) -> Option<String> {
        let selected = self
            .scope_selector
            .iter()
            .flat_map(|selector| &selector.match_expressions)
            .map(|it| format!("{} {} {}", it.scope_name, it.operator, it.values.join(", ")).trim_end().to_owned());
        let all: Vec<String> = self.scopes.iter().cloned().chain(selected).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// The names under which quotas limit a resource.
fn names(resource: &str) -> Vec<String> {
    let bare = resource.strip_prefix("requests.").unwrap_or(resource);
    if REQUESTED.contains(&bare) {
        return vec![bare.to_owned(), format!("requests.{bare}")];
    }
    let bare = resource.strip_prefix("count/").unwrap_or(resource);
    if COUNTED.contains(&bare) {
        return vec![bare.to_owned(), format!("count/{bare}")];
    }
    vec![resource.to_owned()]
}

/// `kubernetes/quota`.
pub(crate) async fn check(cx: Cx<Kubernetes>) -> Outcome {
    let access = access(&cx).await?;
    let context = access.namespace.as_deref();
    let need = |words| match Wish::read(words, cx.settings(), context) {
        Ok(Wish::Room(need)) => Some(need),
        _ => None,
    };
    for (id, need) in cx.requiring("no quota is required to leave room", need)? {
        let mut judged = Judged::new(&cx, id);
        Box::pin(judge(&cx, &need, &mut judged)).await?;
        judged.record();
    }
    Ok(())
}

async fn judge(cx: &Cx<Kubernetes>, need: &Need<'_>, judged: &mut Judged<'_, Kubernetes>) -> Outcome {
    let Need { namespace, resource, .. } = need;
    let path = ["api", "v1", "namespaces", namespace, "resourcequotas"];
    let operation = "GET /api/v1/namespaces/{namespace}/resourcequotas";
    let answer = api::get(cx, operation, &path, None, "application/json").await?;
    if answer.status() == 403 && api::Status::of(&answer).is_some() {
        let what = format!("that the quotas of the namespace {namespace} leave room for {need}");
        judged.unproved(what, "the credential may not look at them", Some("list resourcequotas"));
        return Ok(());
    }
    let list: List = api::read(&answer)?;
    for quota in &list.items {
        for name in names(resource) {
            let Some(hard) = quota.spec.hard.get(&name) else { continue };
            match room(quota, &name, hard, need) {
                Room::Enough => {}
                Room::Short(finding) => judged.fails(finding.evidence(answer.evidence())),
                Room::Untold(why) => {
                    let quota = &quota.metadata.name;
                    let what = format!("that the quota {quota} of the namespace {namespace} leaves room for {need}");
                    judged.unproved(what, why, None);
                }
            }
        }
    }
    let scheduled = resource.starts_with("requests.") || REQUESTED.contains(resource) || *resource == "pods";
    if judged.passes() && scheduled && *resource != "requests.storage" {
        cx.not_proved(format!("that nodes have room for {need}"), "only scheduling a pod tells", None);
    }
    Ok(())
}

/// What one limit of a quota leaves.
enum Room {
    Enough,
    Short(Box<Finding>),
    /// It may be too little; why that is not known.
    Untold(String),
}

fn room(quota: &ResourceQuota, name: &str, hard: &str, need: &Need<'_>) -> Room {
    let used = quota.status.used.get(name);
    let (Some(limit), Some(counted)) =
        (Quantity::read(hard), used.map_or(Some(Quantity::ZERO), |used| Quantity::read(used)))
    else {
        return Room::Untold(format!("`{hard}` or what is used of it is no quantity"));
    };
    if need.quantity <= limit - counted {
        return match used {
            Some(_) => Room::Enough,
            None => Room::Untold(format!("what is in use of its {hard} of {name} has not been counted yet")),
        };
    }
    if let Some(scope) = quota.spec.scope() {
        let used = used.map_or("0", String::as_str);
        return Room::Untold(format!(
            "it has {used} of {hard} {name} in use, and counts for some objects alone: {scope}"
        ));
    }
    let (own, namespace) = (&quota.metadata.name, need.namespace);
    let in_use = used.map(|used| format!(", {used} of it in use")).unwrap_or_default();
    let asked = need.asked;
    let message = format!(
        "The quota {own} of the namespace {namespace} allows {hard} of {name}{in_use}, and {asked} more will be needed."
    );
    let patch = format!(r#"{{"spec":{{"hard":{{"{name}":"{}"}}}}}}"#, (counted + need.quantity).shown(hard));
    let argv =
        ["kubectl", "patch", "resourcequota", own, "--namespace", namespace, "--type", "merge", "--patch", &patch];
    let raise = Remedy {
        argv: argv.map(str::to_owned).to_vec(),
        who: Some("administrator of the cluster".to_owned()),
        ..Remedy::new("Have the quota raised.")
    };
    let mut finding = Finding::new("kubernetes/quota-short", Cause::QuotaExceeded, message);
    finding.remedies.push(raise);
    let finding = finding.subject("quota", format!("{namespace}/{own} {name}"));
    Room::Short(Box::new(finding.remedy("Remove what is no longer used.")))
}
