//! `gitlab/permissions`: whether the token has the scopes, and its user the roles, for what the
//! platform means to do.

use lineman_sdk::prelude::*;

use crate::GitLab;
use crate::identity::identity;
use crate::projects::project;
use crate::requirement::{Right, Wish};

/// Roles, least first, with the numbers that the API has for them.
pub(crate) const ROLES: [(&str, u32); 6] =
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

/// `gitlab/permissions`.
pub(crate) async fn check(cx: Cx<GitLab>) -> Outcome {
    for (id, right) in
        cx.requiring("no scope and no role is required", |words| Wish::read(words, cx.settings()).ok()?.right())?
    {
        let status = match right {
            Right::Scope(wanted) => scope(&cx, wanted).await?,
            Right::Role(role, level, name) => Box::pin(self::role(&cx, role, level, name)).await?,
        };
        if status == Status::Unknown {
            let why = "GitLab does not tell for this token";
            cx.not_proved(right.to_string(), why, Some("GitLab 15.5, and an access token"));
        }
        cx.requirement(id, status);
    }
    Ok(())
}

async fn scope(cx: &Cx<GitLab>, wanted: &str) -> Result<Status, Stop> {
    let Some(granted) = identity(cx).await?.scopes else { return Ok(Status::Unknown) };
    if hold(&granted, wanted) {
        return Ok(Status::Pass);
    }
    let has = if granted.is_empty() { "no scope at all".to_owned() } else { granted.join(", ") };
    cx.report(
        cx.finding("scope-missing", Cause::PermissionInsufficient, format!("The token has not the scope {wanted}."))
            .detail(format!("It has {has}. Scopes of a token cannot be changed."))
            .subject("scope", wanted)
            .remedy(format!("Make a new token with the scope {wanted}, store it, and revoke this one.")),
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
    let message = format!("{who} has the role {} in {name}, and {role} is required.", role_of(has));
    let mut finding = cx.finding("role-missing", Cause::PermissionInsufficient, message).subject("project", name);
    let text =
        format!("Give {who} the role {role} in {name}; the role of a project or group token is set when it is made.");
    finding.remedies.push(Remedy { who: Some(format!("maintainer or owner of {name}")), ..Remedy::new(text) });
    cx.report(finding);
    Ok(Status::Fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_and_roles_hold_what_is_within_them() {
        let granted = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
        assert!(hold(&granted(&["api"]), "read_repository"));
        assert!(hold(&granted(&["read_api"]), "read_user"));
        assert!(!hold(&granted(&["read_api"]), "api"));
        assert!(!hold(&granted(&["read_repository"]), "read_api"));
        assert_eq!((role_of(0), role_of(20), role_of(35), role_of(60)), ("none", "reporter", "developer", "owner"));
    }
}
