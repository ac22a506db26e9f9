//! Whether actions are allowed: IAM's policy simulator, and dry runs of EC2.

use std::collections::BTreeMap;

use lineman_sdk::prelude::*;

use crate::Aws;
use crate::credentials::Credentials;
use crate::identity::Identity;
use crate::partition;
use crate::policy::Grant;
use crate::query::{self, Service};
use crate::trust::RoleResponse;

/// The permission that lets the simulator be asked.
pub(crate) const SIMULATOR: &str = "iam:SimulatePrincipalPolicy";

/// The most actions that are asked about at once; an answer has as many evaluations, in pages.
const AT_ONCE: usize = 100;
/// The most pages of one answer that are read.
const MOST_PAGES: usize = 20;

/// Services whose requests are made in the partition's global region, which policies see as
/// `aws:RequestedRegion`. Source: IAM User Guide, "AWS global condition context keys".
const GLOBAL: &[&str] = &["cloudfront", "iam", "organizations", "route53"];

/// EC2 actions that take a dry run without naming a resource, with the parameters that get past
/// validation. Source: EC2 API Reference, "Common request parameters", `DryRun`.
const DRY_RUNS: &[(&str, &[(&str, &str)])] = &[
    ("ec2:CreateInternetGateway", &[]),
    ("ec2:CreateSecurityGroup", &[("GroupName", "lineman-dry-run"), ("GroupDescription", "never made")]),
    ("ec2:CreateVpc", &[("CidrBlock", "10.0.0.0/28")]),
    ("ec2:DescribeAvailabilityZones", &[]),
    ("ec2:DescribeImages", &[("MaxResults", "5")]),
    ("ec2:DescribeInstances", &[]),
    ("ec2:DescribeRouteTables", &[]),
    ("ec2:DescribeSecurityGroups", &[]),
    ("ec2:DescribeSubnets", &[]),
    ("ec2:DescribeVpcs", &[]),
];

/// What was found out about one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// No statement allows it.
    Missing,
    /// A statement forbids it; by whom.
    Denied(String),
    /// Why it could not be told.
    NotProved(String),
}

/// Judges all of these, in as few questions as there are resources to ask about.
pub(crate) async fn verdicts<'a>(
    cx: &Cx<Aws>,
    credentials: &Credentials,
    principal: &str,
    grants: Vec<Grant<'a>>,
) -> Result<BTreeMap<Grant<'a>, Verdict>, Stop> {
    let mut groups: BTreeMap<(Option<&str>, bool), Vec<&str>> = BTreeMap::new();
    for (action, resource) in grants {
        let service = action.split(':').next().unwrap_or_default();
        let actions = groups.entry((resource, GLOBAL.contains(&service))).or_default();
        if !actions.contains(&action) {
            actions.push(action);
        }
    }
    let mut verdicts = BTreeMap::new();
    for ((resource, global), actions) in groups {
        for some in actions.chunks(AT_ONCE) {
            let told = simulate(cx, credentials, principal, some, resource, global).await?;
            verdicts.extend(some.iter().map(|action| (*action, resource)).zip(told));
        }
    }
    for ((action, _), verdict) in &mut verdicts {
        if matches!(verdict, Verdict::NotProved(_))
            && let Some(told) = dry_run(cx, credentials, action).await?
        {
            *verdict = told;
        }
    }
    Ok(verdicts)
}

/// The ARN of the user or role whose policies count: a role's, not that of its session.
pub(crate) async fn principal(cx: &Cx<Aws>, credentials: &Credentials) -> Result<String, Stop> {
    let answer: IdentityResponse = query::call(cx, Service::Sts, "GetCallerIdentity", &[], Some(credentials)).await?;
    let identity = answer.result;
    let Some((_, session)) = identity.arn.split_once(":assumed-role/") else { return Ok(identity.arn) };
    let name = session.split('/').next().unwrap_or_default();
    // The ARN of a session leaves the role's path out; only the role itself tells it.
    let role: Result<RoleResponse, Stop> =
        query::call(cx, Service::Iam, "GetRole", &[("RoleName", name)], Some(credentials)).await;
    match role {
        Ok(role) => Ok(role.result.role.arn),
        Err(stop) if stop.is_denied() => Ok(identity.role_arn(name)),
        Err(stop) => Err(stop),
    }
}

/// Asks the simulator about actions on one resource; a verdict for each, in their order.
async fn simulate(
    cx: &Cx<Aws>,
    credentials: &Credentials,
    principal: &str,
    actions: &[&str],
    resource: Option<&str>,
    global: bool,
) -> Result<Vec<Verdict>, Stop> {
    let unknown = |why: String| Ok(vec![Verdict::NotProved(why); actions.len()]);
    if principal.ends_with(":root") {
        return unknown("the policy simulator does not speak of the root user".to_owned());
    }
    let own = cx.settings().region.as_str();
    let region = if global { partition::of_region(own).global_region } else { own };
    let names: Vec<String> = (1..=actions.len()).map(|n| format!("ActionNames.member.{n}")).collect();
    let mut parameters = vec![("PolicySourceArn", principal)];
    parameters.extend(names.iter().map(String::as_str).zip(actions.iter().copied()));
    parameters.extend(resource.map(|resource| ("ResourceArns.member.1", resource)));
    // What every request has and policies often ask for; without it they would seem to deny.
    parameters.extend([
        ("ContextEntries.member.1.ContextKeyName", "aws:RequestedRegion"),
        ("ContextEntries.member.1.ContextKeyType", "string"),
        ("ContextEntries.member.1.ContextKeyValues.member.1", region),
        ("ContextEntries.member.2.ContextKeyName", "aws:SecureTransport"),
        ("ContextEntries.member.2.ContextKeyType", "boolean"),
        ("ContextEntries.member.2.ContextKeyValues.member.1", "true"),
    ]);
    let mut found: Vec<Evaluation> = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = marker.iter().map(|marker| ("Marker", marker.as_str()));
        let asked: Vec<(&str, &str)> = parameters.iter().copied().chain(page).collect();
        let answer: Result<SimulateResponse, Stop> =
            query::call(cx, Service::Iam, "SimulatePrincipalPolicy", &asked, Some(credentials)).await;
        match answer {
            Ok(answer) => {
                found.extend(answer.result.evaluations.members);
                marker = answer.result.marker.filter(|_| answer.result.truncated);
            }
            Err(stop) if stop.is_denied() => {
                return unknown("the credential may not ask the policy simulator".to_owned());
            }
            Err(stop) => match stop.finding() {
                // An outage of the simulator says nothing of the permission.
                Some(finding) if Severity::of(&finding.cause, Level::Access) == Severity::Unknown => {
                    return unknown(format!("the policy simulator did not answer: {}", finding.message));
                }
                _ => return Err(stop),
            },
        }
        if marker.is_none() {
            break;
        }
    }
    let verdict = |action: &&str| {
        let of_it = found.iter().find(|evaluation| evaluation.action.eq_ignore_ascii_case(action));
        of_it.map_or_else(|| Verdict::NotProved("the policy simulator gave no answer".to_owned()), Evaluation::verdict)
    };
    Ok(actions.iter().map(verdict).collect())
}

/// A dry run of the action itself; none where there is none.
async fn dry_run(cx: &Cx<Aws>, credentials: &Credentials, action: &str) -> Result<Option<Verdict>, Stop> {
    let Some((_, parameters)) = DRY_RUNS.iter().find(|(known, _)| *known == action) else { return Ok(None) };
    let name = action.trim_start_matches("ec2:");
    let parameters: Vec<(&str, &str)> = parameters.iter().copied().chain([("DryRun", "true")]).collect();
    let answer = query::send(cx, Service::Ec2, name, &parameters, Some(credentials)).await?;
    // The answer to a dry run that would succeed is an error with this code.
    if answer.text().contains("<Code>DryRunOperation</Code>") {
        return Ok(Some(Verdict::Allowed));
    }
    let finding = answer.finding();
    Ok(match finding.cause {
        Cause::PermissionInsufficient => Some(Verdict::Missing),
        Cause::PermissionDeniedByPolicy => Some(Verdict::Denied("a policy".to_owned())),
        _ => None,
    })
}

#[derive(Deserialize)]
struct IdentityResponse {
    #[serde(rename = "GetCallerIdentityResult")]
    result: Identity,
}

#[derive(Deserialize)]
struct SimulateResponse {
    #[serde(rename = "SimulatePrincipalPolicyResult")]
    result: SimulateResult,
}

#[derive(Deserialize)]
struct SimulateResult {
    #[serde(rename = "EvaluationResults", default)]
    evaluations: Evaluations,
    #[serde(rename = "IsTruncated", default)]
    truncated: bool,
    #[serde(rename = "Marker")]
    marker: Option<String>,
}

#[derive(Default, Deserialize)]
struct Evaluations {
    #[serde(rename = "member", default)]
    members: Vec<Evaluation>,
}

/// One `EvaluationResult` of the IAM API.
#[derive(Deserialize)]
struct Evaluation {
    #[serde(rename = "EvalActionName", default)]
    action: String,
    #[serde(rename = "EvalDecision")]
    decision: String,
    #[serde(rename = "MissingContextValues", default)]
    missing: Keys,
    #[serde(rename = "OrganizationsDecisionDetail")]
    organization: Option<OrganizationDetail>,
    #[serde(rename = "PermissionsBoundaryDecisionDetail")]
    boundary: Option<BoundaryDetail>,
}

#[derive(Default, Deserialize)]
struct Keys {
    #[serde(rename = "member", default)]
    members: Vec<String>,
}

#[derive(Deserialize)]
struct OrganizationDetail {
    #[serde(rename = "AllowedByOrganizations")]
    allowed: bool,
}

#[derive(Deserialize)]
struct BoundaryDetail {
    #[serde(rename = "AllowedByPermissionsBoundary")]
    allowed: bool,
}

impl Evaluation {
    fn verdict(&self) -> Verdict {
        if self.decision == "allowed" {
            return Verdict::Allowed;
        }
        // A statement speaks of it under a condition, and the simulator does not know the request.
        if !self.missing.members.is_empty() {
            return Verdict::NotProved(format!("a policy decides it by {}", self.missing.members.join(", ")));
        }
        if self.organization.as_ref().is_some_and(|detail| !detail.allowed) {
            return Verdict::Denied("a service control policy of the organisation".to_owned());
        }
        if self.boundary.as_ref().is_some_and(|detail| !detail.allowed) {
            return Verdict::Denied("the permissions boundary".to_owned());
        }
        match self.decision.as_str() {
            "explicitDeny" => Verdict::Denied("a policy of the identity".to_owned()),
            _ => Verdict::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulators_decisions_are_told_apart() {
        let check = |xml: &str, expect: Verdict| {
            let evaluation: Evaluation = quick_xml::de::from_str(&format!("<member>{xml}</member>")).unwrap();
            assert_eq!(evaluation.verdict(), expect, "{xml}");
        };
        check("<EvalDecision>allowed</EvalDecision>", Verdict::Allowed);
        check("<EvalDecision>implicitDeny</EvalDecision><MissingContextValues/>", Verdict::Missing);
        check("<EvalDecision>explicitDeny</EvalDecision>", Verdict::Denied("a policy of the identity".into()));
        let organization = "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail>";
        check(
            &format!("<EvalDecision>implicitDeny</EvalDecision>{organization}"),
            Verdict::Denied("a service control policy of the organisation".into()),
        );
        let missing = "<MissingContextValues><member>aws:SourceVpc</member></MissingContextValues>";
        check(
            &format!("<EvalDecision>explicitDeny</EvalDecision>{missing}"),
            Verdict::NotProved("a policy decides it by aws:SourceVpc".into()),
        );
    }
}
