//! `github/repositories` and `github/settings`: each repository that the platform works with.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use lineman_sdk::Once;
use lineman_sdk::prelude::*;

use crate::app::{self, working};
use crate::identity::identity;
use crate::requirement::Wish;
use crate::{GitHub, api, scopes};

const OPERATION: &str = "GET /repos/{owner}/{repo}";

/// A repository as the credential sees it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Repository {
    /// Its present name.
    pub(crate) full_name: String,
    #[serde(default)]
    pub(crate) private: bool,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    disabled: bool,
    /// The roles of the user that the token belongs to.
    pub(crate) permissions: Option<Roles>,
}

/// What a user may do with a repository.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Roles {
    pull: bool,
    triage: bool,
    push: bool,
    maintain: bool,
    admin: bool,
}

impl Roles {
    /// Whether it holds a role, by GitHub's word for it.
    pub(crate) fn has(self, role: &str) -> bool {
        match role {
            "pull" => self.pull,
            "triage" => self.triage,
            "push" => self.push,
            "maintain" => self.maintain,
            "admin" => self.admin,
            _ => false,
        }
    }

    /// The highest role.
    pub(crate) fn highest(self) -> &'static str {
        ["admin", "maintain", "push", "triage", "pull"].into_iter().find(|role| self.has(role)).unwrap_or("none")
    }
}

/// The repositories of the settings and of the requirements, each once.
pub(crate) fn names(cx: &Cx<GitHub>) -> Vec<&str> {
    let settings = cx.settings();
    let required = cx.requires().iter().filter_map(|it| Wish::read(&it.words, settings).ok()?.repository());
    let mut names: Vec<&str> = settings.repositories.iter().map(String::as_str).chain(required).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.to_ascii_lowercase()));
    names
}

/// Asks for a repository once.
pub(crate) async fn repository(cx: &Cx<GitHub>, name: &str) -> Result<Repository, Stop> {
    let once = {
        let mut all: std::sync::MutexGuard<'_, BTreeMap<_, _>> =
            cx.session().repositories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::<Once<Repository>>::clone(all.entry(name.to_ascii_lowercase()).or_default())
    };
    once.get(Box::pin(ask(cx, name))).await
}

async fn ask(cx: &Cx<GitHub>, name: &str) -> Result<Repository, Stop> {
    let (owner, repo) = name.split_once('/').unwrap_or_default();
    if cx.secrets().token.is_none() {
        covered(cx, owner, repo).await?;
    }
    let token = working(cx).await?;
    let mut answer = api::get(cx, &token, OPERATION, &["repos", owner, repo], None).await?;
    if matches!(answer.status(), 301 | 307 | 308) {
        // It was renamed or moved; GitHub says where to, and a credential goes to no other host.
        let base = api::base(cx)?;
        let next = answer.header("location").and_then(|to| base.join(to).ok());
        if let Some(next) = next.filter(|next| next.origin() == base.origin()) {
            answer = api::fetch(cx, &token, OPERATION, next).await?;
        }
    }
    if answer.status() == 404 {
        return Err(hidden(cx, name).await?.evidence(answer.evidence()).into());
    }
    api::read(&answer).map_err(|stop| {
        stop.map(|finding| match finding.subject {
            Some(_) if finding.cause == Cause::NetworkIpNotAllowed => finding,
            _ => finding.subject("repository", name),
        })
    })
}

/// What a 404 means: GitHub hides what a credential may not see.
async fn hidden(cx: &Cx<GitHub>, name: &str) -> Result<Finding, Stop> {
    let identity = identity(cx).await?;
    let message = format!("GitHub knows no repository {name}, or hides it from this credential.");
    let finding = cx.finding("repository-hidden", Cause::RepoNoAccess, message).subject("repository", name);
    let finding = match (&identity.scopes, &identity.login) {
        (Some(granted), _) if !scopes::hold(granted, "repo") => finding
            .detail("The token has not the scope repo, without which private repositories are hidden.")
            .or_else(Cause::PermissionInsufficient, Confidence::Likely)
            .remedy("If the repository is private, add the scope repo in the settings of the token."),
        (Some(_), Some(login)) => finding.remedy(format!("Give {login} access to {name}.")),
        (None, _) => finding.or_else(Cause::PermissionInsufficient, Confidence::Possible).remedy(format!(
            "Add {name} to the repositories that the token may access; its resource owner must be the repository's."
        )),
        _ => finding,
    };
    Ok(finding.remedy("Check the spelling, and whether it was deleted or moved."))
}

/// An app sees what everyone sees, too; it may work where it is installed alone.
async fn covered(cx: &Cx<GitHub>, owner: &str, repo: &str) -> Result<(), Stop> {
    let installation = app::installation(cx).await?;
    let account = &installation.account.login;
    let by = app::covering(cx, owner, repo).await?;
    if by == Some(installation.id) {
        return Ok(());
    }
    let name = format!("{owner}/{repo}");
    let finding = cx.finding(
        "repository-not-covered",
        Cause::RepoNoAccess,
        format!("The app's installation in {account} does not cover {name}."),
    );
    let mut finding = finding.subject("repository", &name);
    if let Some(other) = by {
        let detail = format!("Another installation of the app, {other}, does.");
        return Err(finding.detail(detail).remedy("Correct `installation_id` or `organization`.").into());
    }
    let selected = installation.repository_selection == "selected";
    let text = match selected {
        true => format!("Add {repo} to the repositories of the installation, in the settings of {account}."),
        false => format!("Check the spelling of {name}, and whether {owner} is where the app is installed."),
    };
    finding.remedies.push(Remedy { who: selected.then(|| format!("owner of {account}")), ..Remedy::new(text) });
    Err(finding.into())
}

/// `github/repositories`.
pub(crate) async fn check(cx: Cx<GitHub>) -> Outcome {
    let names = names(&cx);
    if names.is_empty() {
        return Err(Stop::not_applicable("no repository is configured"));
    }
    let identity = identity(&cx).await?;
    for name in names {
        let repository = match repository(&cx, name).await {
            Ok(repository) => repository,
            Err(stop) => match stop.finding() {
                Some(finding) => {
                    cx.report(finding.clone());
                    continue;
                }
                None => return Err(stop),
            },
        };
        if !repository.full_name.eq_ignore_ascii_case(name) {
            let message = format!("{name} is called {} now.", repository.full_name);
            let finding = cx.finding("repository-moved", Cause::ConfigInvalid, message).severity(Severity::Warn);
            cx.report(finding.subject("repository", name).remedy(format!("Write `{}`.", repository.full_name)));
        }
        // Only for a user's token does GitHub say what the user may do.
        if let (Some(login), Some(roles)) = (&identity.login, repository.permissions)
            && !roles.has("pull")
        {
            let message = format!("{login} sees {name} and may not pull from it.");
            let finding = cx.finding("pull-refused", Cause::PermissionInsufficient, message);
            cx.report(finding.subject("repository", name).remedy(format!("Give {login} the role read on {name}.")));
        }
    }
    Ok(())
}

/// `github/settings`.
pub(crate) async fn settings(cx: Cx<GitHub>) -> Outcome {
    if names(&cx).is_empty() && cx.secrets().token.is_some() {
        return Err(Stop::not_applicable("no repository is configured"));
    }
    for name in names(&cx) {
        let repository = repository(&cx, name).await?;
        let required = cx.requires().iter().filter_map(|it| Wish::read(&it.words, cx.settings()).ok());
        let writes = required.into_iter().any(|wish| wish.repository() == Some(name) && wish.writes());
        let state = match () {
            () if repository.disabled => "disabled by GitHub",
            () if repository.archived => "archived, and so read-only",
            () => continue,
        };
        let severity = if repository.disabled || writes { Severity::Fail } else { Severity::Warn };
        cx.report(
            cx.finding("repository-archived", Cause::DependencyUnfit, format!("{name} is {state}."))
                .severity(severity)
                .subject("repository", name)
                .remedy("Unarchive it in its settings, or name the repository that took its place."),
        );
    }
    if cx.secrets().token.is_none() {
        pending(&cx).await?;
    }
    Ok(())
}

/// An app that asks for more than its installation granted waits for somebody to accept it.
async fn pending(cx: &Cx<GitHub>) -> Outcome {
    let (app, installation) = (app::app(cx).await?, app::installation(cx).await?);
    let wanting: Vec<String> = app
        .permissions
        .iter()
        .filter(|(name, access)| installation.permissions.get(*name) != Some(*access))
        .map(|(name, access)| format!("{name}:{access}"))
        .collect();
    if wanting.is_empty() {
        return Ok(());
    }
    let account = &installation.account.login;
    let message = format!("{account} has not accepted what the app {} asks for now: {}.", app.slug, wanting.join(", "));
    let mut finding = cx.finding("permissions-pending", Cause::DependencyUnfit, message).severity(Severity::Warn);
    let text = format!("Accept the app's new permissions in the settings of {account}, under GitHub Apps.");
    finding.remedies.push(Remedy { who: Some(format!("owner of {account}")), ..Remedy::new(text) });
    cx.report(finding.subject("installation", installation.id.to_string()));
    Ok(())
}
