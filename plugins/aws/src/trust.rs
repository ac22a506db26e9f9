//! `aws/trust`: the roles that are handed to services exist, and trust them.
//!
//! A trust policy is judged by its principals and effects. What its conditions ask for is not
//! known before the role is assumed, so trust under a condition is listed as not proved.

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;
use serde_json::Value;

use crate::Aws;
use crate::arn::{self, Arn};
use crate::credentials::working;
use crate::query::{self, Service};

/// `aws/trust`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let required =
        cx.requiring("no role is required", |words| Some((words.role.as_deref()?, words.trusts.as_deref())))?;
    let credentials = working(&cx).await?;
    for (id, (role, trusted)) in required {
        let mut judged = Judged::new(&cx, id);
        let name = Arn::parse(role).map_or_else(|| role.rsplit('/').next().unwrap_or(role), |arn| arn.name());
        let seen =
            query::call::<RoleResponse>(&cx, Service::Iam, "GetRole", &[("RoleName", name)], Some(&credentials)).await;
        let seen = match seen {
            Err(stop) if stop.finding().is_some_and(|finding| finding.cause == Cause::ResourceNotFound) => {
                let evidence = stop.finding().map(|finding| finding.evidence.clone()).unwrap_or_default();
                judged.fails(Finding { evidence, ..missing(&cx, role, "") });
                None
            }
            seen => {
                let what = format!("that the role {role} exists and trusts who it must");
                judged.seen(&what, "iam:GetRole", seen)?.map(|seen| seen.result.role)
            }
        };
        match (seen, trusted) {
            // Roles are asked for by name: one on another path, or in this account instead of
            // another, is another role.
            (Some(seen), _) if Arn::parse(role).is_some() && seen.arn != role => {
                judged.fails(missing(&cx, role, &format!(" There is {}.", seen.arn)));
            }
            (Some(seen), Some(trusted)) => match trust(&seen.trust, trusted) {
                Trust::Given => {}
                Trust::Conditional => {
                    let what = format!("that {role} trusts {trusted}");
                    judged.unproved(what, "its trust policy does so under a condition", None);
                }
                Trust::Refused(trusts) => judged.fails(distrusts(&cx, role, trusted, &trusts)),
            },
            _ => {}
        }
        judged.record();
    }
    Ok(())
}

fn missing(cx: &Cx<Aws>, role: &str, but: &str) -> Finding {
    cx.finding("role-missing", Cause::DependencyMissing, format!("There is no role {role}.{but}")).subject("role", role)
}

fn distrusts(cx: &Cx<Aws>, role: &str, trusted: &str, instead: &[String]) -> Finding {
    let message = match instead {
        [] => format!("The role {role} does not trust {trusted}."),
        others => format!("The role {role} does not trust {trusted}, but {}.", others.join(", ")),
    };
    let kind = if trusted.contains(".amazonaws.com") { "Service" } else { "AWS" };
    let statement =
        serde_json::json!({ "Effect": "Allow", "Principal": { kind: trusted }, "Action": "sts:AssumeRole" });
    cx.finding("role-distrusts", Cause::DependencyUnfit, message)
        .subject("role", role)
        .remedy(format!("Add to the role's trust policy: {statement}"))
}

/// What a trust policy says of a principal.
#[derive(Debug, PartialEq, Eq)]
enum Trust {
    Given,
    /// Under a condition.
    Conditional,
    /// Those who are trusted instead.
    Refused(Vec<String>),
}

/// Reads a trust policy as IAM gives it, percent-encoded JSON.
fn trust(document: &str, trusted: &str) -> Trust {
    // A form whose name is the document is decoded as one; a plus sign stands for itself.
    let encoded = document.replace('+', "%2B");
    let decoded = lineman_sdk::form::parse(encoded.as_bytes()).next().map(|(name, _)| name.into_owned());
    let policy: Value = decoded.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let statements = policy.get("Statement").map(list).unwrap_or_default();
    let mut others = Vec::new();
    let (mut allowed, mut conditional, mut denied) = (false, false, false);
    for statement in statements {
        let assumes = |action: &str| matches!(action, "*" | "sts:*" | "sts:AssumeRole");
        if !statement.get("Action").map(texts).unwrap_or_default().into_iter().any(assumes) {
            continue;
        }
        let principals = principals(statement);
        let named = principals.iter().any(|principal| is(principal, trusted));
        let under_condition = statement.get("Condition").is_some();
        match (statement.get("Effect").and_then(Value::as_str), named) {
            (Some("Deny"), true) => denied |= !under_condition,
            (Some("Allow"), true) if under_condition => conditional = true,
            (Some("Allow"), true) => allowed = true,
            (Some("Allow"), false) => others.extend(principals.into_iter().map(str::to_owned)),
            _ => {}
        }
    }
    match (denied, allowed, conditional) {
        (false, true, _) => Trust::Given,
        (false, false, true) => Trust::Conditional,
        _ => Trust::Refused(others),
    }
}

/// One or many, as policies write lists.
fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |many| many.iter().collect())
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).into_iter().filter_map(Value::as_str).collect()
}

/// `"*"`, or a map from kinds of principals to one or many of them.
fn principals(statement: &Value) -> Vec<&str> {
    match statement.get("Principal") {
        Some(Value::Object(kinds)) => kinds.values().flat_map(texts).collect(),
        Some(other) => texts(other),
        None => Vec::new(),
    }
}

/// Whether a principal of a policy stands for this one. An account is spelled by its number or as
/// its root, and stands for whom it lets.
fn is(principal: &str, wanted: &str) -> bool {
    let account = |text: &str| match Arn::parse(text) {
        Some(arn) if arn.resource == "root" => Some(arn.account.to_owned()),
        None if arn::is_account(text) => Some(text.to_owned()),
        _ => None,
    };
    let of_account = Arn::parse(wanted).map_or(wanted, |arn| arn.account);
    principal == "*" || principal == wanted || account(principal).is_some_and(|id| id == of_account)
}

/// The answer to `iam:GetRole`.
#[derive(Deserialize)]
pub(crate) struct RoleResponse {
    #[serde(rename = "GetRoleResult")]
    pub(crate) result: RoleResult,
}

#[derive(Deserialize)]
pub(crate) struct RoleResult {
    #[serde(rename = "Role")]
    pub(crate) role: Role,
}

#[derive(Deserialize)]
pub(crate) struct Role {
    #[serde(rename = "Arn")]
    pub(crate) arn: String,
    #[serde(rename = "AssumeRolePolicyDocument", default)]
    trust: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_policies_are_read_as_iam_evaluates_them() {
        let check = |statements: &str, trusted: &str, expect: Trust| {
            let document = format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
            let encoded: String = lineman_sdk::form::byte_serialize(document.as_bytes()).collect();
            assert_eq!(trust(&encoded.replace('+', "%20"), trusted), expect, "{statements} {trusted}");
        };
        let lambda = "lambda.amazonaws.com";
        let to = |principal: &str| format!(r#"{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}"#);
        check(&to(r#"{"Service":"lambda.amazonaws.com"}"#), lambda, Trust::Given);
        let two = to(r#"{"Service":["ec2.amazonaws.com","lambda.amazonaws.com"]}"#);
        check(&format!("[{two}]"), lambda, Trust::Given);
        check(&to(r#"{"Service":"ec2.amazonaws.com"}"#), lambda, Trust::Refused(vec!["ec2.amazonaws.com".into()]));
        check(&to(r#""*""#), lambda, Trust::Given);
        let account = to(r#"{"AWS":"arn:aws:iam::123456789012:root"}"#);
        check(&account, "arn:aws:iam::123456789012:role/ci", Trust::Given);
        check(&account, "123456789012", Trust::Given);
        check(&account, "999999999999", Trust::Refused(vec!["arn:aws:iam::123456789012:root".into()]));
        let conditional = r#"{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":["sts:AssumeRole"],"Condition":{"StringEquals":{"aws:SourceAccount":"1"}}}"#;
        check(conditional, lambda, Trust::Conditional);
        let denied = r#"{"Effect":"Deny","Principal":"*","Action":"sts:*"}"#;
        check(&format!("[{two},{denied}]"), lambda, Trust::Refused(Vec::new()));
        let other_action = two.replace("sts:AssumeRole", "sts:TagSession");
        check(&other_action, lambda, Trust::Refused(Vec::new()));
        check("not json", lambda, Trust::Refused(Vec::new()));
    }
}
