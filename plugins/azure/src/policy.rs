//! `azure/policy`: Azure Policy lets the resources be that are required.
//!
//! Resource Manager tells what its policies make of a resource that is partly known
//! (`checkPolicyRestrictions`); nothing is created. What is denied for the type, the region or the tags
//! that the requirement gives is denied whatever else the resource has. What is denied for a property
//! that it does not give depends on that property, and is listed as not proved.

use std::collections::{BTreeMap, BTreeSet};

use lineman_sdk::prelude::*;
use serde_json::{Value, json};

use crate::requires::{self, Judged, Wanted};
use crate::{Azure, api, arm};

pub(crate) const OPERATION: &str = "POST {scope}/providers/Microsoft.PolicyInsights/checkPolicyRestrictions";
pub(crate) const PERMISSION: &str = "Microsoft.PolicyInsights/checkPolicyRestrictions/read";
/// The last one that tells of nothing but what is denied.
const VERSION: (&str, &str) = ("api-version", "2022-03-01");

/// `azure/policy`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let required = cx.requiring("no resource is to be allowed by policy", |words| words.policy.as_ref())?;
    let subscription = requires::subscription(&cx)?;
    for (id, wanted) in required {
        let mut judged = Judged::new(&cx, id);
        let group = wanted.resource_group.as_deref().and_then(arm::group);
        let scope = match group {
            Some(group) => format!("/subscriptions/{subscription}/resourceGroups/{group}"),
            None => format!("/subscriptions/{subscription}"),
        };
        let path = format!("{scope}/providers/Microsoft.PolicyInsights/checkPolicyRestrictions");
        let asked = question(wanted);
        let seen = api::ask::<Restrictions>(&cx, OPERATION, &path, &[VERSION], &asked).await;
        let kind = wanted.kind();
        let what = format!("that Azure Policy allows {kind} in {}", arm::region(&wanted.region));
        if let Some(restrictions) = judged.seen(&what, PERMISSION, seen)? {
            judge(&cx, wanted, &restrictions, &mut judged);
        }
        judged.record();
    }
    Ok(())
}

/// The resource as far as it is known: the rest is pending.
fn question(wanted: &Wanted) -> Value {
    let mut content = json!({ "type": wanted.kind() });
    let mut pending = vec![json!({ "field": "location", "values": [arm::region(&wanted.region)] })];
    match &wanted.tags {
        Some(tags) => content["tags"] = json!(tags),
        None => pending.push(json!({ "field": "tags" })),
    }
    json!({ "resourceDetails": { "resourceContent": content }, "pendingFields": pending })
}

fn judge(cx: &Cx<Azure>, wanted: &Wanted, restrictions: &Restrictions, judged: &mut Judged<'_>) {
    let (mut denied, mut open): (ByPolicy<'_>, ByPolicy<'_>) = (BTreeMap::new(), BTreeMap::new());
    for Field { field, restrictions } in &restrictions.field_restrictions {
        for restriction in restrictions {
            let to = if is_denied(wanted, field, restriction) { &mut denied } else { &mut open };
            // What policy adds or removes by itself denies nothing.
            if let Some(told) = restriction.told(field) {
                to.entry(&restriction.policy).or_default().insert(told);
            }
        }
    }
    for Evaluation { policy_info, evaluation_details } in &restrictions.content_evaluation_result.policy_evaluations {
        let expressions = || evaluation_details.evaluated_expressions.iter();
        let given = |path: &str| {
            let known = ["type", "location", "name", "kind"].iter().any(|known| path.eq_ignore_ascii_case(known));
            known || wanted.tags.is_some() && path.to_ascii_lowercase().starts_with("tags")
        };
        let to = if expressions().all(|it| given(&it.path)) { &mut denied } else { &mut open };
        let told = expressions().map(Expression::told);
        to.entry(policy_info).or_default().extend(told);
    }
    let what = format!("{} in {}", wanted.kind(), arm::region(&wanted.region));
    for (policy, reasons) in denied {
        judged.fails(forbidden(cx, &what, policy, &reasons));
    }
    for (policy, reasons) in open {
        let reasons: Vec<String> = reasons.into_iter().collect();
        let why = format!("the policy assignment {} decides by {}", policy.policy_assignment_id, reasons.join(", "));
        judged.unproved(format!("that Azure Policy allows {what}"), why, None);
    }
}

/// What policies say of fields, each with its sentence.
type ByPolicy<'a> = BTreeMap<&'a Policy, BTreeSet<String>>;

/// Whether a restriction of a field hits the value that the requirement gives.
fn is_denied(wanted: &Wanted, field: &str, restriction: &Restriction) -> bool {
    let value = match field.to_ascii_lowercase().as_str() {
        "location" => arm::region(&wanted.region),
        "type" => arm::region(wanted.kind()),
        _ => return false,
    };
    let listed = restriction.values.iter().any(|listed| arm::region(listed) == value);
    match restriction.result.as_str() {
        "Deny" => listed,
        "Required" => !restriction.values.is_empty() && !listed,
        _ => false,
    }
}

fn forbidden(cx: &Cx<Azure>, what: &str, policy: &Policy, reasons: &BTreeSet<String>) -> Finding {
    let assignment = &policy.policy_assignment_id;
    let name = assignment.rsplit('/').next().unwrap_or_default();
    let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
    let message = format!("The policy assignment `{name}` denies {what}: {}.", reasons.join(", "));
    let mut finding = cx
        .finding("policy-denies", Cause::PermissionDeniedByPolicy, message)
        .subject("policy assignment", assignment)
        .detail(format!("Assignment: {assignment}\nDefinition: {}", policy.policy_definition_id))
        .remedy("Use what the policy allows.")
        .command(
            "Or have an exemption made.",
            ["az", "policy", "exemption", "create", "--name", "NAME", "--exemption-category", "Waiver"]
                .into_iter()
                .chain(["--policy-assignment", assignment]),
        );
    if let Some(remedy) = finding.remedies.last_mut() {
        remedy.who = Some("resource policy contributor of the assignment's scope".to_owned());
    }
    finding
}

/// `CheckRestrictionsResult` of the REST reference.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Restrictions {
    #[serde(default)]
    field_restrictions: Vec<Field>,
    #[serde(default)]
    content_evaluation_result: ContentEvaluation,
}

#[derive(Deserialize)]
struct Field {
    field: String,
    #[serde(default)]
    restrictions: Vec<Restriction>,
}

#[derive(Deserialize)]
struct Restriction {
    /// `Required`, `Removed` or `Deny`.
    result: String,
    #[serde(default)]
    values: Vec<String>,
    /// What policy sets where nothing is given.
    #[serde(rename = "defaultValue")]
    default: Option<String>,
    policy: Policy,
}

impl Restriction {
    /// What it says of a field; nothing where it refuses nothing.
    fn told(&self, field: &str) -> Option<String> {
        let values = self.values.join(" or ");
        match (self.result.as_str(), values.as_str()) {
            ("Removed", _) => None,
            ("Required", _) if self.default.is_some() => None,
            ("Deny", "") => Some(format!("{field} must not be set")),
            ("Deny", _) => Some(format!("{field} must not be {values}")),
            (_, "") => Some(format!("{field} must be set")),
            _ => Some(format!("{field} must be {values}")),
        }
    }
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
struct Policy {
    #[serde(default)]
    policy_assignment_id: String,
    #[serde(default)]
    policy_definition_id: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContentEvaluation {
    policy_evaluations: Vec<Evaluation>,
}

/// A policy that denies the content as it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Evaluation {
    policy_info: Policy,
    #[serde(default)]
    evaluation_details: Details,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    evaluated_expressions: Vec<Expression>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Expression {
    path: String,
    operator: String,
    expression_value: Value,
    target_value: Value,
}

impl Expression {
    /// What was true of a field, such as `type equals microsoft.compute/virtualmachines`.
    fn told(&self) -> String {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = match &self.target_value {
            Value::Null => &self.expression_value,
            target => target,
        };
        [self.path.clone(), self.operator.clone(), text(value)].join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hits_the_given_values_is_denied() {
        let wanted: Wanted =
            serde_json::from_value(json!({ "type": "azurerm_linux_virtual_machine", "region": "West Europe" }))
                .unwrap();
        assert_eq!(
            question(&wanted)["resourceDetails"]["resourceContent"]["type"],
            "Microsoft.Compute/virtualMachines"
        );
        assert_eq!(question(&wanted)["pendingFields"][0], json!({ "field": "location", "values": ["westeurope"] }));
        let check = |field: &str, restriction: Value, denied: bool, told: Option<&str>| {
            let mut restriction = restriction;
            restriction["policy"] = json!({});
            let restriction: Restriction = serde_json::from_value(restriction).unwrap();
            assert_eq!((is_denied(&wanted, field, &restriction), restriction.told(field).as_deref()), (denied, told));
        };
        let said = Some("location must not be west europe or eastus");
        check("location", json!({ "result": "Deny", "values": ["west europe", "eastus"] }), true, said);
        check(
            "location",
            json!({ "result": "Deny", "values": ["eastus"] }),
            false,
            Some("location must not be eastus"),
        );
        check(
            "location",
            json!({ "result": "Required", "values": ["northeurope"] }),
            true,
            Some("location must be northeurope"),
        );
        check("tags.owner", json!({ "result": "Required" }), false, Some("tags.owner must be set"));
        check("tags.owner", json!({ "result": "Required", "defaultValue": "x" }), false, None);
        check("properties.x", json!({ "result": "Removed" }), false, None);
    }
}
