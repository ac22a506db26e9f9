//! `gitlab/permissions`: whether the token has the scopes, and its user the roles, for what the
//! platform means to do.

use std::fmt;

use lineman_sdk::Required;
use lineman_sdk::prelude::*;

use crate::config::is_project;
use crate::identity::identity;
use crate::projects::project;
use crate::{GitLab, Requirement, Settings};

const SCOPES_DOC: (&str, &str) = (
    "Personal access token scopes",
    "https://docs.gitlab.com/user/profile/personal_access_tokens/#personal-access-token-scopes",
);
const ROLES_DOC: (&str, &str) = ("Roles and permissions", "https://docs.gitlab.com/user/permissions/");

/// Roles, least first, with the numbers that the API has for them.
const ROLES: [(&str, u32); 6] =
    [("guest", 10), ("planner", 15), ("reporter", 20), ("developer", 30), ("maintainer", 40), ("owner", 50)];

/// Scopes, each with those that it contains.
const CONTAINED: &[(&str, &[&str])] = &[
    ("api", &["read_api", "read_user", "write_repository", "write_registry", "create_runner", "manage_runner"]),
    ("read_api", &["read_user", "read_repository", "read_registry"]),
    ("write_repository", &["read_repository"]),
    ("write_registry", &["read_registry"]),
];

/// The name of a level of access.
pub(crate) fn role_of(level: u32) -> &'static str {
    ROLES.iter().rev().find(|(_, least)| level >= *least).map_or("none", |(name, _)| name)
}

/// Whether granted scopes hold one, by themselves or within another.
fn hold(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|scope| scope == wanted)
        || CONTAINED.iter().filter(|(_, contained)| contained.contains(&wanted)).any(|(outer, _)| hold(granted, outer))
}

/// What a requirement asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish<'a> {
    /// `scope = "read_api"`.
    Scope(&'a str),
    /// `permission = "developer"` in a project.
    Role(&'a str, u32, &'a str),
}

impl<'a> Wish<'a> {
    /// Reads the words of a requirement. The only project of the settings need not be named.
    pub(crate) fn read(requirement: &'a Required<Requirement>, settings: &'a Settings) -> Result<Wish<'a>, String> {
        let Required { id, words } = requirement;
        let project = words.project.as_deref().or(match settings.projects.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        });
        match (words.scope.as_deref(), words.permission.as_deref(), project) {
            (Some(scope), None, _) => Ok(Wish::Scope(scope)),
            (None, Some(role), Some(project)) => match ROLES.iter().find(|(known, _)| *known == role) {
                Some((role, level)) if is_project(project) => Ok(Wish::Role(role, *level, project)),
                Some(_) => Err(format!("The requirement `{id}` names no project: `{project}`.")),
                None => Err(format!("The requirement `{id}` asks for `{role}`, which is no role of GitLab's.")),
            },
            (None, Some(_), None) => Err(format!("The requirement `{id}` does not say which project it is about.")),
            _ => Err(format!("The requirement `{id}` needs either `scope` or `permission`.")),
        }
    }

    /// The project that it is about.
    pub(crate) fn project(&self) -> Option<&'a str> {
        match self {
            Wish::Scope(_) => None,
            Wish::Role(_, _, project) => Some(project),
        }
    }

    /// Whether it changes what it is about.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Wish::Role(_, level, _) if *level >= 30)
    }
}

impl fmt::Display for Wish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Scope(scope) => write!(f, "the scope {scope}"),
            Wish::Role(role, _, project) => write!(f, "the role {role} in {project}"),
        }
    }
}

/// `gitlab/permissions`.
pub(crate) async fn check(cx: Cx<GitLab>) -> Outcome {
    if cx.requires().is_empty() {
        return Err(Stop::not_applicable("nothing is required"));
    }
    for requirement in cx.requires() {
        // One that cannot be read is told by `gitlab/config`.
        let Ok(wish) = Wish::read(requirement, cx.settings()) else { continue };
        let status = match wish {
            Wish::Scope(wanted) => scope(&cx, wanted).await?,
            Wish::Role(role, level, name) => Box::pin(self::role(&cx, role, level, name)).await?,
        };
        if status == Status::Unknown {
            let why = "GitLab does not tell for this token";
            cx.not_proved(wish.to_string(), why, Some("GitLab 15.5, and an access token"));
        }
        cx.requirement(&requirement.id, status);
    }
    Ok(())
}

async fn scope(cx: &Cx<GitLab>, wanted: &str) -> Result<Status, Stop> {
    let Some(granted) = identity(cx).await?.scopes else { return Ok(Status::Unknown) };
    if hold(&granted, wanted) {
        return Ok(Status::Pass);
    }
    let (title, url) = SCOPES_DOC;
    let has = if granted.is_empty() { "no scope at all".to_owned() } else { granted.join(", ") };
    cx.report(
        cx.finding("scope-missing", Cause::PermissionInsufficient, format!("The token has not the scope {wanted}."))
            .detail(format!("It has {has}. Scopes of a token cannot be changed."))
            .subject("scope", wanted)
            .remedy(format!("Make a new token with the scope {wanted}, store it, and revoke this one."))
            .doc(title, url),
    );
    Ok(Status::Fail)
}

async fn role(cx: &Cx<GitLab>, role: &str, level: u32, name: &str) -> Result<Status, Stop> {
    let project = match project(cx, name).await {
        Ok(project) => project,
        // `gitlab/projects` tells it.
        Err(stop) => match stop.finding().map(|finding| Severity::of(&finding.cause, Level::Access)) {
            Some(Severity::Fail) => return Ok(Status::Fail),
            Some(_) => return Ok(Status::Unknown),
            None => return Err(stop),
        },
    };
    // An administrator has none and may do everything; so GitLab leaves it out.
    let Some(has) = project.level() else { return Ok(Status::Unknown) };
    if has >= level {
        return Ok(Status::Pass);
    }
    let who = identity(cx).await?.username.unwrap_or_else(|| "the token's user".to_owned());
    let (title, url) = ROLES_DOC;
    let message = format!("{who} has the role {} in {name}, and {role} is required.", role_of(has));
    let mut finding = cx.finding("role-missing", Cause::PermissionInsufficient, message).subject("project", name);
    let text =
        format!("Give {who} the role {role} in {name}; the role of a project or group token is set when it is made.");
    finding.remedies.push(Remedy { who: Some(format!("maintainer or owner of {name}")), ..Remedy::new(text) });
    cx.report(finding.doc(title, url));
    Ok(Status::Fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_scopes_and_roles_are_understood() {
        let settings: Settings = serde_json::from_str(r#"{"projects": ["acme/app"]}"#).unwrap();
        let check = |json: &str, expect: Result<Wish<'_>, &str>| {
            let requirement = Required { id: "r".to_owned(), words: serde_json::from_str(json).unwrap() };
            let read = Wish::read(&requirement, &settings);
            assert_eq!(read.as_ref().map_err(String::as_str), expect.as_ref().map_err(|text| *text), "{json}");
        };
        check(r#"{"scope": "api"}"#, Ok(Wish::Scope("api")));
        check(r#"{"permission": "developer"}"#, Ok(Wish::Role("developer", 30, "acme/app")));
        check(r#"{"permission": "owner", "project": "42"}"#, Ok(Wish::Role("owner", 50, "42")));
        check(r#"{"permission": "push"}"#, Err("The requirement `r` asks for `push`, which is no role of GitLab's."));
        check(r#"{}"#, Err("The requirement `r` needs either `scope` or `permission`."));

        let granted = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
        assert!(hold(&granted(&["api"]), "read_repository"));
        assert!(hold(&granted(&["read_api"]), "read_user"));
        assert!(!hold(&granted(&["read_api"]), "api"));
        assert!(!hold(&granted(&["read_repository"]), "read_api"));
        assert_eq!((role_of(0), role_of(20), role_of(35), role_of(60)), ("none", "reporter", "developer", "owner"));
    }
}
