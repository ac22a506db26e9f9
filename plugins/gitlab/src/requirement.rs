//! The words of `[[integration.NAME.requires]]`: what the platform means to do through the
//! integration, and what it builds on.

use std::fmt;

use lineman_sdk::Url;
use lineman_sdk::prelude::*;

use crate::Settings;
use crate::config::is_project;
use crate::permissions::ROLES;

/// An entry of `[[integration.NAME.requires]]` of a GitLab integration: one scope, role, webhook or
/// environment.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// A scope of the token, such as `read_api`.
    scope: Option<String>,
    /// A role in a project: `guest`, `planner`, `reporter`, `developer`, `maintainer`, `owner`.
    permission: Option<String>,
    /// The address of a webhook that the project must have, such as `https://ci.example.com/hook`; a
    /// query in it is compared where one is given.
    webhook: Option<String>,
    /// Events that the webhook must be sent, as the API names them, such as `push`,
    /// `merge_requests`.
    #[schemars(length(min = 1))]
    events: Option<Vec<String>>,
    /// A deployment environment that the project must have, such as `production`.
    environment: Option<String>,
    /// The project that it is about, as `group/project`; the only one of the settings unless set.
    project: Option<String>,
}

impl Requirement {
    /// How to write what was meant.
    pub(crate) fn example(&self) -> &'static str {
        match (&self.webhook, &self.events, &self.environment) {
            (None, None, None) => {
                "Write `scope = \"read_api\"`, or `permission = \"developer\"` with `project = \"group/project\"`."
            }
            (None, None, Some(_)) => "Write `environment = \"production\"` with `project = \"group/project\"`.",
            _ => {
                "Write `webhook = \"https://ci.example.com/hook\"` with `project = \"group/project\"` and, if it matters, `events = [\"push\"]`."
            }
        }
    }
}

/// What a requirement asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish<'a> {
    /// What the token must be allowed.
    Right(Right<'a>),
    /// `webhook = "https://ci.example.com/hook"`.
    Webhook(Webhook<'a>),
    /// `environment = "production"`, and the project.
    Environment(&'a str, &'a str),
}

/// What the token must be allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Right<'a> {
    /// `scope = "read_api"`.
    Scope(&'a str),
    /// `permission = "developer"` in a project.
    Role(&'a str, u32, &'a str),
}

/// A webhook that a project must have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Webhook<'a> {
    pub(crate) address: Url,
    pub(crate) events: &'a [String],
    pub(crate) project: &'a str,
}

impl<'a> Wish<'a> {
    /// Reads the words of a requirement. The only project of the settings need not be named. An error
    /// is a clause that the requirement begins, and is told by `gitlab/config`.
    pub(crate) fn read(words: &'a Requirement, settings: &'a Settings) -> Result<Wish<'a>, String> {
        let project = words.project.as_deref().or(match settings.projects.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        });
        if words.events.is_some() && words.webhook.is_none() {
            return Err("says `events`, and has no `webhook`".to_owned());
        }
        let subjects = (
            words.scope.as_deref(),
            words.permission.as_deref(),
            words.webhook.as_deref(),
            words.environment.as_deref(),
        );
        if let (Some(scope), None, None, None) = subjects {
            return Ok(Wish::Right(Right::Scope(scope)));
        }
        let project = match project {
            Some(project) if is_project(project) => Ok(project),
            Some(project) => Err(format!("names no project: `{project}`")),
            None => Err("does not say which project it is about".to_owned()),
        };
        match subjects {
            (None, Some(role), None, None) => match ROLES.iter().find(|(known, _)| *known == role) {
                Some((role, level)) => Ok(Wish::Right(Right::Role(role, *level, project?))),
                None => Err(format!("asks for `{role}`, which is no role of GitLab's")),
            },
            (None, None, Some(address), None) => {
                let wrong = || format!("names no address for a webhook: `{address}`");
                let address = Url::parse(address).ok().filter(|it| matches!(it.scheme(), "http" | "https"));
                let events = words.events.as_deref().unwrap_or_default();
                Ok(Wish::Webhook(Webhook { address: address.ok_or_else(wrong)?, events, project: project? }))
            }
            (None, None, None, Some(name)) if (1..=255).contains(&name.trim().len()) => {
                Ok(Wish::Environment(name, project?))
            }
            (None, None, None, Some(_)) => Err("names no environment: a name has 1 to 255 characters".to_owned()),
            _ => Err("needs one of `scope`, `permission`, `webhook` and `environment`".to_owned()),
        }
    }

    /// The project that it is about.
    pub(crate) fn project(&self) -> Option<&'a str> {
        match self {
            Wish::Right(Right::Scope(_)) => None,
            Wish::Right(Right::Role(_, _, project)) | Wish::Environment(_, project) => Some(project),
            Wish::Webhook(webhook) => Some(webhook.project),
        }
    }

    /// Whether it changes what it is about.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Wish::Right(Right::Role(_, level, _)) if *level >= 30)
    }

    /// What the token must be allowed, where it is about that.
    pub(crate) fn right(self) -> Option<Right<'a>> {
        match self {
            Wish::Right(right) => Some(right),
            _ => None,
        }
    }

    /// The webhook, where it is about one.
    pub(crate) fn webhook(self) -> Option<Webhook<'a>> {
        match self {
            Wish::Webhook(webhook) => Some(webhook),
            _ => None,
        }
    }

    /// The environment and its project, where it is about one.
    pub(crate) fn environment(self) -> Option<(&'a str, &'a str)> {
        match self {
            Wish::Environment(name, project) => Some((name, project)),
            _ => None,
        }
    }
}

impl fmt::Display for Right<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Right::Scope(scope) => write!(f, "the scope {scope}"),
            Right::Role(role, _, project) => write!(f, "the role {role} in {project}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_in_the_plugins_words() {
        let settings: Settings = serde_json::from_str(r#"{"projects": ["acme/app"]}"#).unwrap();
        let check = |json: &str, expect: Result<Wish<'_>, &str>| {
            let words = serde_json::from_str(json).unwrap();
            let read = Wish::read(&words, &settings);
            assert_eq!(read.as_ref().map_err(String::as_str), expect.as_ref().map_err(|text| *text), "{json}");
        };
        let right = |right| Ok(Wish::Right(right));
        check(r#"{"scope": "api"}"#, right(Right::Scope("api")));
        check(r#"{"permission": "developer"}"#, right(Right::Role("developer", 30, "acme/app")));
        check(r#"{"permission": "owner", "project": "42"}"#, right(Right::Role("owner", 50, "42")));
        check(r#"{"permission": "push"}"#, Err("asks for `push`, which is no role of GitLab's"));
        check(r#"{"permission": "owner", "project": "app"}"#, Err("names no project: `app`"));

        let address = Url::parse("https://ci.example.com/hook").unwrap();
        let events = ["merge_requests".to_owned()];
        check(
            r#"{"webhook": "https://ci.example.com/hook", "events": ["merge_requests"]}"#,
            Ok(Wish::Webhook(Webhook { address, events: &events, project: "acme/app" })),
        );
        check(r#"{"webhook": "ci.example.com/hook"}"#, Err("names no address for a webhook: `ci.example.com/hook`"));
        check(r#"{"events": ["push"]}"#, Err("says `events`, and has no `webhook`"));
        check(r#"{"environment": "production"}"#, Ok(Wish::Environment("production", "acme/app")));
        check(r#"{"environment": ""}"#, Err("names no environment: a name has 1 to 255 characters"));
        for mixed in [r#"{}"#, r#"{"environment": "production", "scope": "api"}"#] {
            check(mixed, Err("needs one of `scope`, `permission`, `webhook` and `environment`"));
        }
    }
}
