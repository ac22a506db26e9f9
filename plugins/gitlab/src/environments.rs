//! `gitlab/environments`: the deployment environments that are required exist and are not stopped.
//! What holds up a job that names one is listed: that it gets through, only a job would tell.

use lineman_sdk::prelude::*;
use lineman_sdk::{Judged, form};

use crate::projects::project;
use crate::requirement::Wish;
use crate::{GitLab, api};

#[derive(Deserialize)]
struct Environment {
    name: String,
    /// `available`, `stopping` or `stopped`.
    #[serde(default)]
    state: Option<String>,
}

/// Who may deploy to an environment, and after how many approvals. Premium and Ultimate have it.
#[derive(Deserialize)]
struct Protected {
    #[serde(default)]
    deploy_access_levels: Vec<Deployer>,
    #[serde(default)]
    required_approval_count: u32,
    #[serde(default)]
    approval_rules: Vec<Approval>,
}

#[derive(Deserialize)]
struct Deployer {
    access_level_description: Option<String>,
}

#[derive(Deserialize)]
struct Approval {
    #[serde(default)]
    required_approvals: u32,
}

impl Protected {
    /// What stands before a job that names it.
    fn holds(&self) -> Vec<String> {
        let names: Vec<&str> =
            self.deploy_access_levels.iter().filter_map(|one| one.access_level_description.as_deref()).collect();
        let who = (!names.is_empty()).then(|| format!("it is protected: {} may deploy there", names.join(" or ")));
        let rules: u32 = self.approval_rules.iter().fold(0, |sum, rule| sum.saturating_add(rule.required_approvals));
        let approvals = match rules.max(self.required_approval_count) {
            0 => None,
            1 => Some("it waits for one approval".to_owned()),
            count => Some(format!("it waits for {count} approvals")),
        };
        who.into_iter().chain(approvals).collect()
    }
}

/// `gitlab/environments`.
pub(crate) async fn check(cx: Cx<GitLab>) -> Outcome {
    for (id, (environment, name)) in
        cx.requiring("no environment is required", |words| Wish::read(words, cx.settings()).ok()?.environment())?
    {
        let mut judged = Judged::new(&cx, id);
        Box::pin(judge(&cx, environment, name, &mut judged)).await?;
        judged.record();
    }
    Ok(())
}

async fn judge(cx: &Cx<GitLab>, environment: &str, name: &str, judged: &mut Judged<'_, GitLab>) -> Outcome {
    let subject = format!("{name} {environment}");
    let finding = |code: &str, cause: Cause, message: String, remedy: &str| {
        let mut finding = cx.finding(code, cause, message).subject("environment", &subject);
        finding.remedies.push(Remedy { who: Some(format!("maintainer of {name}")), ..Remedy::new(remedy) });
        finding
    };
    if !project(cx, name).await?.has_environments() {
        let message = format!("{name} has its environments switched off, and so no {environment}.");
        let remedy = "Switch environments on, in the project's settings under Visibility.";
        judged.fails(finding("environments-off", Cause::DependencyMissing, message, remedy));
        return Ok(());
    }
    let query = form::Serializer::new(String::new()).append_pair("name", environment).finish();
    let path = ["projects", name, "environments"];
    let answer = api::get(cx, "GET /projects/:id/environments", &path, Some(&query)).await?;
    let found: Vec<Environment> = match api::read(&answer) {
        Ok(found) => found,
        Err(stop) if stop.is_denied() => {
            let what = format!("that {name} has the environment {environment}");
            judged.unproved(what, "the token may not look at environments", Some("the role reporter"));
            return Ok(());
        }
        Err(stop) => return Err(stop.map(|finding| finding.subject("project", name))),
    };
    let Some(found) = found.into_iter().find(|one| one.name == environment) else {
        let message = format!("{name} has no environment {environment}.");
        let remedy = "Make it in the project, under Operate, Environments, or correct the name.";
        let missing = finding("environment-missing", Cause::DependencyMissing, message, remedy);
        let detail = "The first job that names it would make it: without protection and without variables.";
        judged.fails(missing.detail(detail).evidence(answer.evidence()));
        return Ok(());
    };
    if let Some(state @ ("stopped" | "stopping")) = found.state.as_deref() {
        let message = format!("The environment {environment} of {name} is {state}: what ran there is taken down.");
        let remedy = "Deploy to it again; a deployment starts it.";
        // The next deployment mends it by itself.
        let stopped = finding("environment-stopped", Cause::DependencyUnfit, message, remedy);
        judged.warns(stopped.evidence(answer.evidence()));
    }
    protection(cx, environment, name).await
}

/// Lists what holds up a job. Most environments are not protected.
async fn protection(cx: &Cx<GitLab>, environment: &str, name: &str) -> Outcome {
    let operation = "GET /projects/:id/protected_environments/:name";
    let path = ["projects", name, "protected_environments", environment];
    let answer = api::get(cx, operation, &path, None).await?;
    let what = format!("that a job for {environment} of {name} gets there at once");
    if answer.status() == 404 && api::is_gitlabs(&answer) {
        return Ok(());
    }
    match api::read::<Protected>(&answer).map(|protected| protected.holds()) {
        Ok(holds) if holds.is_empty() => Ok(()),
        Ok(holds) => {
            cx.not_proved(what, holds.join("; "), None);
            Ok(())
        }
        Err(stop) if stop.is_denied() => {
            cx.not_proved(what, "the token may not look at its protection", Some("the role maintainer"));
            Ok(())
        }
        Err(stop) => Err(stop),
    }
}
