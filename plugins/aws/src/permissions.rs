//! `aws/permissions`: whether the actions that the platform means to do are allowed.
//!
//! The policy simulator answers for most of them, where the credential may ask it. Where it may
//! not, a dry run of the action itself tells, for the few that have one. What neither tells is
//! listed as not proved, with the permission that would let it be.

use lineman_sdk::Required;
use lineman_sdk::prelude::*;

use crate::credentials::{Credentials, working};
use crate::identity::Identity;
use crate::key::denied;
use crate::query::{self, Service};
use crate::{Aws, Requirement};

const SIMULATOR: &str = "iam:SimulatePrincipalPolicy";
const SIMULATOR_DOC: (&str, &str) =
    ("SimulatePrincipalPolicy", "https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html");

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
enum Verdict {
    Allowed,
    /// No statement allows it.
    Missing,
    /// A statement forbids it; by whom.
    Denied(String),
    NotProved(String),
}

/// `aws/permissions`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    if cx.requires().is_empty() {
        return Err(Stop::not_applicable("no action is required"));
    }
    let credentials = working(&cx).await?;
    let principal = principal(&cx, &credentials).await?;
    for Required { id, words: Requirement { action, resource } } in cx.requires() {
        let resource = resource.as_deref();
        let verdict = match simulate(&cx, &credentials, &principal, action, resource).await? {
            Verdict::NotProved(why) => dry_run(&cx, &credentials, action).await?.unwrap_or(Verdict::NotProved(why)),
            told => told,
        };
        report(&cx, id, action, resource, verdict);
    }
    Ok(())
}

fn report(cx: &Cx<Aws>, id: &str, action: &str, resource: Option<&str>, verdict: Verdict) {
    let on = resource.map(|resource| format!(" on {resource}")).unwrap_or_default();
    let status = match verdict {
        Verdict::Allowed => Status::Pass,
        Verdict::NotProved(why) => {
            cx.not_proved(format!("{action}{on}"), why, Some(SIMULATOR));
            Status::Unknown
        }
        Verdict::Missing => {
            cx.report(
                cx.finding("action-missing", Cause::PermissionInsufficient, format!("{action}{on} is not allowed."))
                    .subject("action", action)
                    .remedy(format!("Attach a policy that allows it: {}", statement(action, resource)))
                    .doc(SIMULATOR_DOC.0, SIMULATOR_DOC.1),
            );
            Status::Fail
        }
        Verdict::Denied(by) => {
            cx.report(
                cx.finding(
                    "action-denied",
                    Cause::PermissionDeniedByPolicy,
                    format!("{action}{on} is denied by {by}."),
                )
                .subject("action", action)
                .remedy(format!("Change the statement that denies it in {by}; allowing it elsewhere does not help."))
                .doc(
                    "Policy evaluation",
                    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
                ),
            );
            Status::Fail
        }
    };
    cx.requirement(id, status);
}

fn statement(action: &str, resource: Option<&str>) -> String {
    serde_json::json!({ "Effect": "Allow", "Action": action, "Resource": resource.unwrap_or("*") }).to_string()
}

/// The ARN of the user or role whose policies count: a role's, not that of its session.
async fn principal(cx: &Cx<Aws>, credentials: &Credentials) -> Result<String, Stop> {
    let answer: IdentityResponse = query::call(cx, Service::Sts, "GetCallerIdentity", &[], Some(credentials)).await?;
    let identity = answer.result;
    let Some((_, session)) = identity.arn.split_once(":assumed-role/") else { return Ok(identity.arn) };
    let name = session.split('/').next().unwrap_or_default();
    // The ARN of a session leaves the role's path out; only the role itself tells it.
    let role: Result<RoleResponse, Stop> =
        query::call(cx, Service::Iam, "GetRole", &[("RoleName", name)], Some(credentials)).await;
    match role {
        Ok(role) => Ok(role.result.role.arn),
        Err(stop) if denied(&stop) => Ok(identity.role_arn(name)),
        Err(stop) => Err(stop),
    }
}

async fn simulate(
    cx: &Cx<Aws>,
    credentials: &Credentials,
    principal: &str,
    action: &str,
    resource: Option<&str>,
) -> Result<Verdict, Stop> {
    let mut parameters = vec![("PolicySourceArn", principal), ("ActionNames.member.1", action)];
    if let Some(resource) = resource {
        parameters.push(("ResourceArns.member.1", resource));
    }
    let answer: Result<SimulateResponse, Stop> =
        query::call(cx, Service::Iam, "SimulatePrincipalPolicy", &parameters, Some(credentials)).await;
    match answer {
        Ok(answer) => {
            Ok(answer.result.evaluations.members.first().map_or_else(
                || Verdict::NotProved("the policy simulator gave no answer".to_owned()),
                Evaluation::verdict,
            ))
        }
        Err(stop) if denied(&stop) => {
            Ok(Verdict::NotProved("the credential may not ask the policy simulator".to_owned()))
        }
        Err(stop) => match stop.finding() {
            // An outage of the simulator says nothing of the permission.
            Some(finding) if Severity::of(&finding.cause, Level::Access) == Severity::Unknown => {
                Ok(Verdict::NotProved(format!("the policy simulator did not answer: {}", finding.message)))
            }
            _ => Err(stop),
        },
    }
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
struct RoleResponse {
    #[serde(rename = "GetRoleResult")]
    result: RoleResult,
}

#[derive(Deserialize)]
struct RoleResult {
    #[serde(rename = "Role")]
    role: Role,
}

#[derive(Deserialize)]
struct Role {
    #[serde(rename = "Arn")]
    arn: String,
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
}

#[derive(Default, Deserialize)]
struct Evaluations {
    #[serde(rename = "member", default)]
    members: Vec<Evaluation>,
}

/// One `EvaluationResult` of the IAM API.
#[derive(Deserialize)]
struct Evaluation {
    #[serde(rename = "EvalDecision")]
    decision: String,
    #[serde(rename = "OrganizationsDecisionDetail")]
    organization: Option<OrganizationDetail>,
    #[serde(rename = "PermissionsBoundaryDecisionDetail")]
    boundary: Option<BoundaryDetail>,
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
        check("<EvalDecision>implicitDeny</EvalDecision>", Verdict::Missing);
        check("<EvalDecision>explicitDeny</EvalDecision>", Verdict::Denied("a policy of the identity".into()));
        let organization = "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations></OrganizationsDecisionDetail>";
        check(
            &format!("<EvalDecision>implicitDeny</EvalDecision>{organization}"),
            Verdict::Denied("a service control policy of the organisation".into()),
        );
    }
}
