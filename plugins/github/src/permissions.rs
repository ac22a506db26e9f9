//! `github/permissions`: whether the credential has what the platform means to do.
//!
//! A classic token has scopes and its user's role; an app's installation has permissions, which
//! GitHub lists; a fine-grained token has permissions too, and no call lists them: a read
//! permission is proved by reading, a write permission by nothing that only reads. What is not
//! proved is listed.

use std::fmt;

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Required};

use crate::app::{installation, working};
use crate::config::is_repository;
use crate::identity::{Identity, identity};
use crate::repositories::repository;
use crate::{GitHub, Requirement, Settings, api, app, scopes};

const SCOPES_DOC: (&str, &str) =
    ("Scopes for OAuth apps", "https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps");
const PERMISSIONS_DOC: (&str, &str) = (
    "Permissions required for fine-grained personal access tokens",
    "https://docs.github.com/en/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens",
);
const ROLES_DOC: (&str, &str) = (
    "Repository roles for an organization",
    "https://docs.github.com/en/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization",
);

/// How much of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    Read,
    Write,
    Admin,
}

impl Access {
    fn of(word: &str) -> Option<Access> {
        match word {
            "read" => Some(Access::Read),
            "write" => Some(Access::Write),
            "admin" => Some(Access::Admin),
            _ => None,
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Admin => "admin",
        })
    }
}

/// What a user may be to a repository, least first.
const ROLES: [&str; 5] = ["pull", "triage", "push", "maintain", "admin"];

/// What a requirement asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish<'a> {
    /// `scope = "read:org"`.
    Scope(&'a str),
    /// `permission = "push"`.
    Role(&'a str, &'a str),
    /// `permission = "contents:write"`; without a repository it is one in the organisation.
    Permission(&'a str, Access, Option<&'a str>),
}

impl<'a> Wish<'a> {
    /// Reads the words of a requirement. The only repository of the settings need not be named.
    pub(crate) fn read(requirement: &'a Required<Requirement>, settings: &'a Settings) -> Result<Wish<'a>, String> {
        let Required { id, words } = requirement;
        let named = words.repository.as_deref();
        if let Some(name) = named.filter(|name| !is_repository(name)) {
            return Err(format!("The requirement `{id}` names no repository: `{name}`."));
        }
        let repository = named.or(match settings.repositories.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        });
        let wanted = match (words.scope.as_deref(), words.permission.as_deref()) {
            (Some(scope), None) => return Ok(Wish::Scope(scope)),
            (None, Some(permission)) => permission,
            _ => return Err(format!("The requirement `{id}` needs either `scope` or `permission`.")),
        };
        let unclear = || format!("The requirement `{id}` does not say which repository it is about.");
        if ROLES.contains(&wanted) {
            return Ok(Wish::Role(wanted, repository.ok_or_else(unclear)?));
        }
        let permission = wanted.split_once([':', '=']);
        let Some((name, access)) = permission.and_then(|(name, access)| Some((name, Access::of(access.trim())?)))
        else {
            return Err(format!(
                "The requirement `{id}` asks for `{wanted}`, which is neither a role nor a permission."
            ));
        };
        let name = name.trim();
        if name == "members" || name.starts_with("organization_") {
            return Ok(Wish::Permission(name, access, None));
        }
        Ok(Wish::Permission(name, access, Some(repository.ok_or_else(unclear)?)))
    }

    /// The repository that it is about.
    pub(crate) fn repository(&self) -> Option<&'a str> {
        match self {
            Wish::Scope(_) => None,
            Wish::Role(_, repository) => Some(repository),
            Wish::Permission(_, _, repository) => *repository,
        }
    }

    /// Whether it changes what it is about.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Wish::Scope(_) => false,
            Wish::Role(role, _) => !matches!(*role, "pull" | "triage"),
            Wish::Permission(_, access, _) => *access > Access::Read,
        }
    }
}

/// What was found out about one wish.
enum Verdict {
    Met,
    Missing(Box<Finding>),
    NotProved {
        why: String,
        needs: Option<String>,
    },
    /// Another check says it.
    ToldElsewhere(Status),
}

impl Verdict {
    fn not_proved(why: impl Into<String>) -> Verdict {
        Verdict::NotProved { why: why.into(), needs: None }
    }
}

/// `github/permissions`.
pub(crate) async fn check(cx: Cx<GitHub>) -> Outcome {
    if cx.requires().is_empty() {
        return Err(Stop::not_applicable("nothing is required"));
    }
    let identity = identity(&cx).await?;
    for requirement in cx.requires() {
        // One that cannot be read is told by `github/config`.
        let Ok(wish) = Wish::read(requirement, cx.settings()) else { continue };
        let status = match Box::pin(judge(&cx, &identity, &wish)).await? {
            Verdict::Met => Status::Pass,
            Verdict::Missing(finding) => {
                cx.report(*finding);
                Status::Fail
            }
            Verdict::NotProved { why, needs } => {
                cx.not_proved(wish.to_string(), why, needs.as_deref());
                Status::Unknown
            }
            Verdict::ToldElsewhere(status) => status,
        };
        cx.requirement(&requirement.id, status);
    }
    Ok(())
}

impl fmt::Display for Wish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Scope(scope) => write!(f, "the scope {scope}"),
            Wish::Role(role, repository) => write!(f, "{role} on {repository}"),
            Wish::Permission(name, access, Some(repository)) => write!(f, "{name}:{access} on {repository}"),
            Wish::Permission(name, access, None) => write!(f, "{name}:{access}"),
        }
    }
}

async fn judge(cx: &Cx<GitHub>, identity: &Identity, wish: &Wish<'_>) -> Result<Verdict, Stop> {
    match *wish {
        Wish::Scope(wanted) => Ok(match &identity.scopes {
            Some(granted) => scope(cx, granted, wanted, wish),
            None => Verdict::not_proved("the credential has permissions, not scopes: require a `permission` instead"),
        }),
        Wish::Role(role, name) => {
            let granted = match repository(cx, name).await {
                Ok(repository) => repository.permissions.unwrap_or_default(),
                Err(stop) => return told_elsewhere(stop),
            };
            if identity.login.is_none() {
                // An installation has no role; its permissions decide.
                let (permission, access) = match role {
                    "pull" => ("contents", Access::Read),
                    "triage" => ("issues", Access::Write),
                    "push" => ("contents", Access::Write),
                    _ => ("administration", Access::Write),
                };
                return Box::pin(judge(cx, identity, &Wish::Permission(permission, access, Some(name)))).await;
            }
            if !granted.has(role) {
                return Ok(Verdict::Missing(Box::new(role_missing(cx, identity, role, granted.highest(), name))));
            }
            match &identity.scopes {
                Some(scopes) => by_scope(cx, scopes, "contents", access_of(role), name, wish).await,
                None if access_of(role) == Access::Read => probe(cx, "contents", Access::Read, Some(name)).await,
                None => Ok(Verdict::NotProved {
                    why: "the user has the role; whether the token may use it, only a write would tell".to_owned(),
                    needs: Some("contents:write".to_owned()),
                }),
            }
        }
        Wish::Permission(permission, access, name) => {
            if cx.secrets().token.is_none() {
                return of_installation(cx, permission, access, name).await;
            }
            match (&identity.scopes, name) {
                (Some(scopes), Some(name)) => by_scope(cx, scopes, permission, access, name, wish).await,
                (Some(granted), None) => Ok(match scopes::standing_for(permission, access, true) {
                    Some(wanted) => scope(cx, granted, wanted, wish),
                    None => Verdict::Met,
                }),
                (None, _) => probe(cx, permission, access, name).await,
            }
        }
    }
}

fn access_of(role: &str) -> Access {
    match role {
        "pull" | "triage" => Access::Read,
        "push" => Access::Write,
        _ => Access::Admin,
    }
}

fn told_elsewhere(stop: Stop) -> Result<Verdict, Stop> {
    let severity = stop.finding().map(|finding| Severity::of(&finding.cause, Level::Access));
    match severity {
        Some(Severity::Fail) => Ok(Verdict::ToldElsewhere(Status::Fail)),
        Some(_) => Ok(Verdict::ToldElsewhere(Status::Unknown)),
        None => Err(stop),
    }
}

fn role_missing(cx: &Cx<GitHub>, identity: &Identity, role: &str, has: &str, name: &str) -> Finding {
    let login = identity.login.as_deref().unwrap_or_default();
    let (title, url) = ROLES_DOC;
    let message = format!("{login} may not {role} on {name}: the highest role there is {has}.");
    let mut finding = cx.finding("role-missing", Cause::PermissionInsufficient, message).subject("repository", name);
    let text = format!("Give {login} the role {role} on {name}, or store a token of a user who has it.");
    finding.remedies.push(Remedy { who: Some(format!("administrator of {name}")), ..Remedy::new(text) });
    finding.doc(title, url)
}

fn scope(cx: &Cx<GitHub>, granted: &[String], wanted: &str, wish: &Wish<'_>) -> Verdict {
    if scopes::hold(granted, wanted) {
        return Verdict::Met;
    }
    let (title, url) = SCOPES_DOC;
    let message = match wish {
        Wish::Scope(_) => format!("The token has not the scope {wanted}."),
        wish => format!("The token has not the scope {wanted}, which {wish} takes."),
    };
    let has = if granted.is_empty() { "no scope at all".to_owned() } else { granted.join(", ") };
    Verdict::Missing(Box::new(
        cx.finding("scope-missing", Cause::PermissionInsufficient, message)
            .detail(format!("It has {has}."))
            .subject("scope", wanted)
            .remedy(format!("Add {wanted} in the settings of the token; the token stays the same."))
            .doc(title, url),
    ))
}

/// What scopes and the user's role say of a permission on a repository.
async fn by_scope(
    cx: &Cx<GitHub>,
    granted: &[String],
    permission: &str,
    access: Access,
    name: &str,
    wish: &Wish<'_>,
) -> Result<Verdict, Stop> {
    let repository = match repository(cx, name).await {
        Ok(repository) => repository,
        Err(stop) => return told_elsewhere(stop),
    };
    if let Some(wanted) = scopes::standing_for(permission, access, repository.private)
        && let Verdict::Missing(finding) = scope(cx, granted, wanted, wish)
    {
        return Ok(Verdict::Missing(finding));
    }
    let role = match (permission, access) {
        ("administration" | "repository_hooks" | "secrets" | "environments", _) | (_, Access::Admin) => "admin",
        (_, Access::Write) => "push",
        (_, Access::Read) => "pull",
    };
    let roles = repository.permissions.unwrap_or_default();
    if roles.has(role) {
        return Ok(Verdict::Met);
    }
    let identity = identity(cx).await?;
    Ok(Verdict::Missing(Box::new(role_missing(cx, &identity, role, roles.highest(), name))))
}

/// What an installation was granted, GitHub lists.
async fn of_installation(
    cx: &Cx<GitHub>,
    permission: &str,
    access: Access,
    name: Option<&str>,
) -> Result<Verdict, Stop> {
    let installation = installation(cx).await?;
    let allows = |word: Option<&String>| word.and_then(|word| Access::of(word)).is_some_and(|has| has >= access);
    if allows(installation.permissions.get(permission)) {
        return match name {
            // It must cover the repository, too.
            Some(name) => repository(cx, name).await.map(|_| Verdict::Met).or_else(told_elsewhere),
            None => Ok(Verdict::Met),
        };
    }
    let app = app::app(cx).await?;
    let account = &installation.account.login;
    let message = format!("The installation in {account} has not the permission {permission}:{access}.");
    let finding = missing(cx, message, permission, access);
    let finding = match allows(app.permissions.get(permission)) {
        true => finding
            .detail("The app asks for it, and the request was not accepted yet.")
            .remedy(format!("Accept the app's new permissions in the settings of {account}, under GitHub Apps.")),
        false => finding.remedy(format!(
            "Add {permission}:{access} in the settings of the app {}, and have {account} accept it.",
            app.slug
        )),
    };
    Ok(Verdict::Missing(Box::new(finding)))
}

fn missing(cx: &Cx<GitHub>, message: String, permission: &str, access: Access) -> Finding {
    let (title, url) = PERMISSIONS_DOC;
    cx.finding("permission-missing", Cause::PermissionInsufficient, message)
        .subject("permission", format!("{permission}:{access}"))
        .doc(title, url)
}

/// Calls that a read permission alone allows, by permission: what follows `/repos/{owner}/{repo}`.
/// Source: "Permissions required for fine-grained personal access tokens".
const PROBES: &[(&str, &[&str])] = &[
    ("metadata", &["languages"]),
    ("contents", &["branches"]),
    ("issues", &["issues"]),
    ("pull_requests", &["pulls"]),
    ("actions", &["actions", "runs"]),
    ("secrets", &["actions", "secrets"]),
    ("variables", &["actions", "variables"]),
    ("administration", &["actions", "permissions"]),
    ("deployments", &["deployments"]),
    ("pages", &["pages"]),
    ("repository_hooks", &["hooks"]),
    ("webhooks", &["hooks"]),
    ("code_scanning_alerts", &["code-scanning", "alerts"]),
    ("vulnerability_alerts", &["dependabot", "alerts"]),
];
/// The same within `/orgs/{org}`.
const ORGANIZATION_PROBES: &[(&str, &[&str])] = &[
    ("members", &["members"]),
    ("organization_hooks", &["hooks"]),
    ("organization_secrets", &["actions", "secrets"]),
    ("organization_self_hosted_runners", &["actions", "runners"]),
];

/// Reads what the permission is for.
async fn probe(cx: &Cx<GitHub>, permission: &str, access: Access, name: Option<&str>) -> Result<Verdict, Stop> {
    let unknown = || Verdict::not_proved("no call that only reads tells whether the token has it");
    let (path, operation) = match (name.and_then(|name| name.split_once('/')), cx.settings().organization.as_deref()) {
        (Some((owner, repo)), _) => match PROBES.iter().find(|(known, _)| *known == permission) {
            Some((_, rest)) => ([&["repos", owner, repo], *rest].concat(), "GET /repos/{owner}/{repo}/"),
            None => return Ok(unknown()),
        },
        (None, Some(organization)) => match ORGANIZATION_PROBES.iter().find(|(known, _)| *known == permission) {
            Some((_, rest)) => ([&["orgs", organization], *rest].concat(), "GET /orgs/{org}/"),
            None => return Ok(unknown()),
        },
        (None, None) => return Ok(Verdict::not_proved("no `organization` is configured")),
    };
    let operation =
        format!("{operation}{}", path.get(if name.is_some() { 3 } else { 2 }..).unwrap_or_default().join("/"));
    let answer = api::get(cx, &working(cx).await?, &operation, &path, Some("per_page=1")).await?;
    if answer.ok() {
        return Ok(match access {
            Access::Read => Verdict::Met,
            Access::Write | Access::Admin => Verdict::not_proved("reading works; only a write would tell the rest"),
        });
    }
    let finding = api::refusal(&answer);
    match finding.cause {
        Cause::PermissionInsufficient => {
            let message = format!("The token has not the permission {permission}:{access}{}.", on(name));
            let finding = missing(cx, message, permission, access).evidence(answer.evidence());
            let finding = match accepted(&answer) {
                Some(accepted) => finding.detail(format!("GitHub says what the call takes: {accepted}.")),
                None => finding,
            };
            let remedy = format!("Add {permission}:{access} in the settings of the token.");
            Ok(Verdict::Missing(Box::new(finding.remedy(remedy))))
        }
        // The repository is seen elsewhere; here a feature may be off.
        Cause::ResourceNotFound | Cause::RepoNoAccess | Cause::DependencyMissing => Ok(Verdict::not_proved(format!(
            "GitHub answers {} to {operation}: what it is for may be off",
            answer.status()
        ))),
        _ => Err(finding.into()),
    }
}

fn on(name: Option<&str>) -> String {
    name.map(|name| format!(" on {name}")).unwrap_or_default()
}

/// The permissions that GitHub says a call takes.
fn accepted(answer: &Answer) -> Option<String> {
    let header = answer.header("x-accepted-github-permissions")?;
    Some(header.replace('=', ":").replace(',', ", ").replace(';', "; or"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_in_the_plugins_words() {
        let settings: Settings = serde_json::from_str(r#"{"repositories": ["acme/app"]}"#).unwrap();
        let check = |json: &str, expect: Result<Wish<'_>, &str>| {
            let requirement = Required { id: "r".to_owned(), words: serde_json::from_str(json).unwrap() };
            let read = Wish::read(&requirement, &settings);
            assert_eq!(read.as_ref().map_err(String::as_str), expect.as_ref().map_err(|text| *text), "{json}");
        };
        check(r#"{"scope": "read:org"}"#, Ok(Wish::Scope("read:org")));
        check(r#"{"permission": "push"}"#, Ok(Wish::Role("push", "acme/app")));
        check(r#"{"permission": "push", "repository": "acme/lib"}"#, Ok(Wish::Role("push", "acme/lib")));
        check(r#"{"permission": "contents:write"}"#, Ok(Wish::Permission("contents", Access::Write, Some("acme/app"))));
        check(r#"{"permission": "members:read"}"#, Ok(Wish::Permission("members", Access::Read, None)));
        check(r#"{}"#, Err("The requirement `r` needs either `scope` or `permission`."));
        check(
            r#"{"permission": "contents:all"}"#,
            Err("The requirement `r` asks for `contents:all`, which is neither a role nor a permission."),
        );
        check(r#"{"permission": "push", "repository": "app"}"#, Err("The requirement `r` names no repository: `app`."));
    }
}
