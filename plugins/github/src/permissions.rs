//! `github/permissions`: whether the credential has what the platform means to do.
//!
//! A classic token has scopes and its user's role; an app's installation has permissions, which
//! GitHub lists; a fine-grained token has permissions too, and no call lists them: a read
//! permission is proved by reading, a write permission by nothing that only reads. What is not
//! proved is listed.

use lineman_sdk::Answer;
use lineman_sdk::prelude::*;

use crate::app::{installation, working};
use crate::identity::{Identity, identity};
use crate::repositories::repository;
use crate::requirement::{Access, Right, Wish};
use crate::{GitHub, api, app, scopes};

/// What was found out about one right.
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
    let required =
        cx.requiring("no scope and no permission is required", |words| Wish::read(words, cx.settings()).ok()?.right())?;
    let identity = identity(&cx).await?;
    for (id, right) in required {
        let status = match Box::pin(judge(&cx, &identity, &right)).await? {
            Verdict::Met => Status::Pass,
            Verdict::Missing(finding) => {
                cx.report(*finding);
                Status::Fail
            }
            Verdict::NotProved { why, needs } => {
                cx.not_proved(right.to_string(), why, needs.as_deref());
                Status::Unknown
            }
            Verdict::ToldElsewhere(status) => status,
        };
        cx.requirement(id, status);
    }
    Ok(())
}

async fn judge(cx: &Cx<GitHub>, identity: &Identity, right: &Right<'_>) -> Result<Verdict, Stop> {
    match *right {
        Right::Scope(wanted) => Ok(match &identity.scopes {
            Some(granted) => scope(cx, granted, wanted, right),
            None => Verdict::not_proved("the credential has permissions, not scopes: require a `permission` instead"),
        }),
        Right::Role(role, name) => {
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
                return Box::pin(judge(cx, identity, &Right::Permission(permission, access, Some(name)))).await;
            }
            if !granted.has(role) {
                return Ok(Verdict::Missing(Box::new(role_missing(cx, identity, role, granted.highest(), name))));
            }
            match &identity.scopes {
                Some(scopes) => by_scope(cx, scopes, "contents", access_of(role), name, right).await,
                None if access_of(role) == Access::Read => probe(cx, "contents", Access::Read, Some(name)).await,
                None => Ok(Verdict::NotProved {
                    why: "the user has the role; whether the token may use it, only a write would tell".to_owned(),
                    needs: Some("contents:write".to_owned()),
                }),
            }
        }
        Right::Permission(permission, access, name) => {
            if cx.secrets().token.is_none() {
                return of_installation(cx, permission, access, name).await;
            }
            match (&identity.scopes, name) {
                (Some(scopes), Some(name)) => by_scope(cx, scopes, permission, access, name, right).await,
                (Some(granted), None) => Ok(match scopes::standing_for(permission, access, true) {
                    Some(wanted) => scope(cx, granted, wanted, right),
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
    let message = format!("{login} may not {role} on {name}: the highest role there is {has}.");
    let mut finding = cx.finding("role-missing", Cause::PermissionInsufficient, message).subject("repository", name);
    let text = format!("Give {login} the role {role} on {name}, or store a token of a user who has it.");
    finding.remedies.push(Remedy { who: Some(format!("administrator of {name}")), ..Remedy::new(text) });
    finding
}

fn scope(cx: &Cx<GitHub>, granted: &[String], wanted: &str, right: &Right<'_>) -> Verdict {
    if scopes::hold(granted, wanted) {
        return Verdict::Met;
    }
    let message = match right {
        Right::Scope(_) => format!("The token has not the scope {wanted}."),
        right => format!("The token has not the scope {wanted}, which {right} takes."),
    };
    let has = if granted.is_empty() { "no scope at all".to_owned() } else { granted.join(", ") };
    Verdict::Missing(Box::new(
        cx.finding("scope-missing", Cause::PermissionInsufficient, message)
            .detail(format!("It has {has}."))
            .subject("scope", wanted)
            .remedy(format!("Add {wanted} in the settings of the token; the token stays the same.")),
    ))
}

/// What scopes and the user's role say of a permission on a repository.
async fn by_scope(
    cx: &Cx<GitHub>,
    granted: &[String],
    permission: &str,
    access: Access,
    name: &str,
    right: &Right<'_>,
) -> Result<Verdict, Stop> {
    let repository = match repository(cx, name).await {
        Ok(repository) => repository,
        Err(stop) => return told_elsewhere(stop),
    };
    if let Some(wanted) = scopes::standing_for(permission, access, repository.private)
        && let Verdict::Missing(finding) = scope(cx, granted, wanted, right)
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
    cx.finding("permission-missing", Cause::PermissionInsufficient, message)
        .subject("permission", format!("{permission}:{access}"))
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
