//! `gitlab/projects`, `gitlab/settings` and `gitlab/read`: each project that the platform works
//! with.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use lineman_sdk::Once;
use lineman_sdk::prelude::*;

use crate::identity::identity;
use crate::requirement::Wish;
use crate::{GitLab, api};

const OPERATION: &str = "GET /projects/:id";

/// A project as the token sees it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Project {
    /// Its present path.
    path_with_namespace: String,
    #[serde(default)]
    archived: bool,
    /// `disabled`, `private` or `enabled`.
    #[serde(default)]
    repository_access_level: Option<String>,
    /// The same, of environments.
    #[serde(default)]
    environments_access_level: Option<String>,
    /// The day on which it will be deleted.
    #[serde(default)]
    marked_for_deletion_on: Option<String>,
    #[serde(default)]
    permissions: Permissions,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Permissions {
    project_access: Option<Access>,
    group_access: Option<Access>,
}

#[derive(Clone, Debug, Deserialize)]
struct Access {
    access_level: u32,
}

impl Project {
    /// The higher of the levels that the token's user has by the project and by its groups.
    pub(crate) fn level(&self) -> Option<u32> {
        let levels = [&self.permissions.project_access, &self.permissions.group_access];
        levels.into_iter().flatten().map(|access| access.access_level).max()
    }

    /// Whether it has environments at all.
    pub(crate) fn has_environments(&self) -> bool {
        self.environments_access_level.as_deref() != Some("disabled")
    }
}

/// The projects of the settings and of the requirements, each once.
fn names(cx: &Cx<GitLab>) -> Vec<&str> {
    let required = cx.requires().iter().filter_map(|it| Wish::read(&it.words, cx.settings()).ok()?.project());
    let mut names: Vec<&str> = cx.settings().projects.iter().map(String::as_str).chain(required).collect();
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.to_ascii_lowercase()));
    names
}

/// Asks for a project once.
pub(crate) async fn project(cx: &Cx<GitLab>, name: &str) -> Result<Project, Stop> {
    let once = {
        let mut all = cx.session().projects.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::<Once<Project>>::clone(all.entry(name.to_ascii_lowercase()).or_default())
    };
    once.get(Box::pin(ask(cx, name))).await
}

async fn ask(cx: &Cx<GitLab>, name: &str) -> Result<Project, Stop> {
    let answer = api::get(cx, OPERATION, &["projects", name], None).await?;
    if answer.status() == 404 && api::is_gitlabs(&answer) {
        let who = identity(cx).await?.username.unwrap_or_else(|| "the token's user".to_owned());
        let message = format!("GitLab knows no project {name}, or hides it from {who}.");
        return Err(cx
            .finding("project-hidden", Cause::RepoNoAccess, message)
            .detail("A group that restricts addresses hides its projects in the same way.")
            .subject("project", name)
            .or_else(Cause::NetworkIpNotAllowed, Confidence::Possible)
            .evidence(answer.evidence())
            .remedy(format!("Make {who} a member of the project or of a group above it."))
            .remedy("Check the spelling, with all groups above it; a project token sees its own project alone.")
            .into());
    }
    api::read(&answer).map_err(|stop| stop.map(|finding| finding.subject("project", name)))
}

/// `gitlab/projects`.
pub(crate) async fn check(cx: Cx<GitLab>) -> Outcome {
    let names = names(&cx);
    if names.is_empty() {
        return Err(Stop::not_applicable("no project is configured"));
    }
    for name in names {
        let project = match project(&cx, name).await {
            Ok(project) => project,
            Err(stop) => match stop.finding() {
                Some(finding) => {
                    cx.report(finding.clone());
                    continue;
                }
                None => return Err(stop),
            },
        };
        let path = &project.path_with_namespace;
        if name.contains('/') && !path.eq_ignore_ascii_case(name) {
            let finding = cx.finding("project-moved", Cause::ConfigInvalid, format!("{name} is called {path} now."));
            cx.report(finding.severity(Severity::Warn).subject("project", name).remedy(format!("Write `{path}`.")));
        }
    }
    Ok(())
}

/// `gitlab/settings`.
pub(crate) async fn settings(cx: Cx<GitLab>) -> Outcome {
    if names(&cx).is_empty() {
        return Err(Stop::not_applicable("no project is configured"));
    }
    for name in names(&cx) {
        let project = project(&cx, name).await?;
        let required = cx.requires().iter().filter_map(|it| Wish::read(&it.words, cx.settings()).ok());
        let writes = required.into_iter().any(|wish| wish.project() == Some(name) && wish.writes());
        let unfit = |code: &str, message: String, severity: Severity| {
            cx.report(cx.finding(code, Cause::DependencyUnfit, message).severity(severity).subject("project", name));
        };
        if project.archived {
            let severity = if writes { Severity::Fail } else { Severity::Warn };
            unfit("project-archived", format!("{name} is archived, and so read-only."), severity);
        }
        if let Some(day) = &project.marked_for_deletion_on {
            let message = format!("{name} will be deleted; that was asked for on {day}.");
            unfit("project-deleted", message, Severity::Warn);
        }
        if project.repository_access_level.as_deref() == Some("disabled") {
            unfit("repository-off", format!("{name} has its repository switched off."), Severity::Fail);
        }
    }
    Ok(())
}

/// `gitlab/read`.
pub(crate) async fn branches(cx: Cx<GitLab>) -> Outcome {
    #[derive(Deserialize)]
    struct Branch {
        #[serde(rename = "name")]
        _name: String,
    }
    let names = names(&cx);
    if names.is_empty() {
        return Err(Stop::not_applicable("no project is configured"));
    }
    for name in names {
        let operation = "GET /projects/:id/repository/branches";
        let path = ["projects", name, "repository", "branches"];
        let answer = api::get(&cx, operation, &path, Some("per_page=1")).await?;
        let branches: Vec<Branch> =
            api::read(&answer).map_err(|stop| stop.map(|finding| finding.subject("project", name)))?;
        if branches.is_empty() {
            cx.not_proved(format!("that {name} can be read"), "it has no branch yet", None);
        }
    }
    Ok(())
}
