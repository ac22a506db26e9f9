//! `github/environments`: the deployment environments that are required exist. What holds up a run
//! that names one is listed: that it gets through, only a run would tell.

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;

use crate::app::working;
use crate::repositories::repository;
use crate::requirement::Wish;
use crate::{GitHub, api};

const OPERATION: &str = "GET /repos/{owner}/{repo}/environments/{environment_name}";

#[derive(Deserialize)]
struct Environment {
    #[serde(default)]
    protection_rules: Vec<Rule>,
    deployment_branch_policy: Option<BranchPolicy>,
}

/// One of the rules that GitHub lists; each kind has fields of its own.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Rule {
    WaitTimer {
        wait_timer: u32,
    },
    RequiredReviewers {
        #[serde(default)]
        reviewers: Vec<Reviewer>,
        #[serde(default)]
        prevent_self_review: bool,
    },
    /// What it allows stands beside the rules.
    BranchPolicy,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Reviewer {
    reviewer: Person,
}

/// A user has a login, a team a name.
#[derive(Deserialize)]
struct Person {
    login: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct BranchPolicy {
    protected_branches: bool,
}

impl Environment {
    /// What stands before a run that names it.
    fn holds(&self) -> Vec<String> {
        let rules = self.protection_rules.iter().filter_map(|rule| match rule {
            Rule::WaitTimer { wait_timer } => Some(format!("it waits for {wait_timer} minutes")),
            Rule::RequiredReviewers { reviewers, prevent_self_review } => {
                let names =
                    reviewers.iter().filter_map(|one| one.reviewer.login.as_deref().or(one.reviewer.name.as_deref()));
                let names = names.collect::<Vec<_>>().join(" or ");
                let other = if *prevent_self_review { ", who is not the one that started it" } else { "" };
                Some(format!("it waits for a review by {names}{other}"))
            }
            Rule::BranchPolicy => None,
            Rule::Other => Some("a rule of an app must let it through".to_owned()),
        });
        let branches = self.deployment_branch_policy.as_ref().map(|policy| match policy.protected_branches {
            true => "only protected branches get there".to_owned(),
            false => "only branches and tags that its patterns name get there".to_owned(),
        });
        rules.chain(branches).collect()
    }
}

/// `github/environments`.
pub(crate) async fn check(cx: Cx<GitHub>) -> Outcome {
    for (id, (environment, name)) in
        cx.requiring("no environment is required", |words| Wish::read(words, cx.settings()).ok()?.environment())?
    {
        let mut judged = Judged::new(&cx, id);
        Box::pin(judge(&cx, environment, name, &mut judged)).await?;
        judged.record();
    }
    Ok(())
}

async fn judge(cx: &Cx<GitHub>, environment: &str, name: &str, judged: &mut Judged<'_, GitHub>) -> Outcome {
    let name = repository(cx, name).await?.full_name;
    let (owner, repo) = name.split_once('/').unwrap_or_default();
    let path = ["repos", owner, repo, "environments", environment];
    let answer = api::get(cx, &working(cx).await?, OPERATION, &path, None).await?;
    if answer.ok() {
        let holds = answer.json::<Environment>()?.holds();
        if !holds.is_empty() {
            cx.not_proved(format!("that a run for {environment} of {name} gets there at once"), holds.join("; "), None);
        }
        return Ok(());
    }
    let refusal = api::refusal(&answer);
    match refusal.cause {
        // The repository itself is seen.
        Cause::ResourceNotFound | Cause::RepoNoAccess => {
            let message = format!("{name} has no environment {environment}.");
            let mut finding = cx
                .finding("environment-missing", Cause::DependencyMissing, message)
                .detail("The first job that names it would make it: without protection, secrets and variables.")
                .subject("environment", format!("{name} {environment}"))
                .evidence(answer.evidence());
            let text = "Make it in the settings of the repository, under Environments, or correct the name.";
            finding.remedies.push(Remedy { who: Some(format!("administrator of {name}")), ..Remedy::new(text) });
            judged.fails(finding);
            Ok(())
        }
        Cause::PermissionInsufficient => {
            let what = format!("that {name} has the environment {environment}");
            judged.unproved(what, "the credential may not look at environments", Some("actions:read"));
            Ok(())
        }
        _ => Err(refusal.into()),
    }
}
