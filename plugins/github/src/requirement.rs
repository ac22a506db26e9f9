//! The words of `[[integration.NAME.requires]]`: what the platform means to do through the
//! integration, and what it builds on.

use std::fmt;

use lineman_sdk::Url;
use lineman_sdk::prelude::*;

use crate::Settings;
use crate::config::is_repository;

/// An entry of `[[integration.NAME.requires]]` of a GitHub integration: one scope, permission,
/// webhook or environment.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// A scope of a classic or OAuth token, such as `read:org`.
    scope: Option<String>,
    /// A role in a repository (`pull`, `triage`, `push`, `maintain`, `admin`), or a permission of a
    /// fine-grained token or an app, such as `contents:write`.
    permission: Option<String>,
    /// The address of a webhook that the repository must have, such as
    /// `https://ci.example.com/hook`; a query in it is compared where one is given.
    webhook: Option<String>,
    /// Events that the webhook must be sent, such as `pull_request`.
    #[schemars(length(min = 1))]
    events: Option<Vec<String>>,
    /// A deployment environment that the repository must have, such as `production`.
    environment: Option<String>,
    /// The repository that it is about, as `owner/name`; the only one of the settings unless set.
    repository: Option<String>,
}

impl Requirement {
    /// How to write what was meant.
    pub(crate) fn example(&self) -> &'static str {
        match (&self.webhook, &self.events, &self.environment) {
            (None, None, None) => {
                "Write `scope = \"read:org\"`, or `permission = \"contents:write\"` or `\"push\"` with `repository = \"owner/name\"`."
            }
            (None, None, Some(_)) => "Write `environment = \"production\"` with `repository = \"owner/name\"`.",
            _ => {
                "Write `webhook = \"https://ci.example.com/hook\"` with `repository = \"owner/name\"` and, if it matters, `events = [\"push\"]`."
            }
        }
    }
}

/// How much of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    Read,
    Write,
    Admin,
}

impl Access {
    pub(crate) fn of(word: &str) -> Option<Access> {
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
    /// What the credential must be allowed.
    Right(Right<'a>),
    /// `webhook = "https://ci.example.com/hook"`.
    Webhook(Webhook<'a>),
    /// `environment = "production"`, and the repository.
    Environment(&'a str, &'a str),
}

/// What the credential must be allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Right<'a> {
    /// `scope = "read:org"`.
    Scope(&'a str),
    /// `permission = "push"`.
    Role(&'a str, &'a str),
    /// `permission = "contents:write"`; without a repository it is one in the organisation.
    Permission(&'a str, Access, Option<&'a str>),
}

/// A webhook that a repository must have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Webhook<'a> {
    pub(crate) address: Url,
    pub(crate) events: &'a [String],
    pub(crate) repository: &'a str,
}

impl<'a> Wish<'a> {
    /// Reads the words of a requirement. The only repository of the settings need not be named. An error
    /// is a clause that the requirement begins, and is told by `github/config`.
    pub(crate) fn read(words: &'a Requirement, settings: &'a Settings) -> Result<Wish<'a>, String> {
        let named = words.repository.as_deref();
        if let Some(name) = named.filter(|name| !is_repository(name)) {
            return Err(format!("names no repository: `{name}`"));
        }
        let repository = named.or(match settings.repositories.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        });
        let unclear = || "does not say which repository it is about".to_owned();
        if words.events.is_some() && words.webhook.is_none() {
            return Err("says `events`, and has no `webhook`".to_owned());
        }
        let subjects = (
            words.scope.as_deref(),
            words.permission.as_deref(),
            words.webhook.as_deref(),
            words.environment.as_deref(),
        );
        match subjects {
            (Some(scope), None, None, None) => Ok(Wish::Right(Right::Scope(scope))),
            (None, Some(permission), None, None) => Right::read(permission, repository).map(Wish::Right),
            (None, None, Some(address), None) => {
                let wrong = || format!("names no address for a webhook: `{address}`");
                let address = Url::parse(address).ok().filter(|it| matches!(it.scheme(), "http" | "https"));
                let events = words.events.as_deref().unwrap_or_default();
                if let Some(event) = events.iter().find(|event| !is_event(event)) {
                    return Err(format!("names no event of GitHub's: `{event}`"));
                }
                let (address, repository) = (address.ok_or_else(wrong)?, repository.ok_or_else(unclear)?);
                Ok(Wish::Webhook(Webhook { address, events, repository }))
            }
            (None, None, None, Some(name)) if (1..=255).contains(&name.trim().len()) => {
                Ok(Wish::Environment(name, repository.ok_or_else(unclear)?))
            }
            (None, None, None, Some(_)) => Err("names no environment: a name has 1 to 255 characters".to_owned()),
            _ => Err("needs one of `scope`, `permission`, `webhook` and `environment`".to_owned()),
        }
    }

    /// The repository that it is about.
    pub(crate) fn repository(&self) -> Option<&'a str> {
        match self {
            Wish::Right(Right::Scope(_)) => None,
            Wish::Right(Right::Permission(_, _, repository)) => *repository,
            Wish::Right(Right::Role(_, repository)) | Wish::Environment(_, repository) => Some(repository),
            Wish::Webhook(webhook) => Some(webhook.repository),
        }
    }

    /// Whether it changes what it is about.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Wish::Right(Right::Role(role, _)) => !matches!(*role, "pull" | "triage"),
            Wish::Right(Right::Permission(_, access, _)) => *access > Access::Read,
            Wish::Right(Right::Scope(_)) | Wish::Webhook(_) | Wish::Environment(..) => false,
        }
    }

    /// What the credential must be allowed, where it is about that.
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

    /// The environment and its repository, where it is about one.
    pub(crate) fn environment(self) -> Option<(&'a str, &'a str)> {
        match self {
            Wish::Environment(name, repository) => Some((name, repository)),
            _ => None,
        }
    }
}

impl<'a> Right<'a> {
    fn read(wanted: &'a str, repository: Option<&'a str>) -> Result<Right<'a>, String> {
        let unclear = || "does not say which repository it is about".to_owned();
        if ROLES.contains(&wanted) {
            return Ok(Right::Role(wanted, repository.ok_or_else(unclear)?));
        }
        let permission = wanted.split_once([':', '=']);
        let Some((name, access)) = permission.and_then(|(name, access)| Some((name, Access::of(access.trim())?)))
        else {
            return Err(format!("asks for `{wanted}`, which is neither a role nor a permission"));
        };
        let name = name.trim();
        if name == "members" || name.starts_with("organization_") {
            return Ok(Right::Permission(name, access, None));
        }
        Ok(Right::Permission(name, access, Some(repository.ok_or_else(unclear)?)))
    }
}

impl fmt::Display for Right<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Right::Scope(scope) => write!(f, "the scope {scope}"),
            Right::Role(role, repository) => write!(f, "{role} on {repository}"),
            Right::Permission(name, access, Some(repository)) => write!(f, "{name}:{access} on {repository}"),
            Right::Permission(name, access, None) => write!(f, "{name}:{access}"),
        }
    }
}

/// A word as GitHub names events, or `*` for all of them.
fn is_event(text: &str) -> bool {
    text == "*" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_in_the_plugins_words() {
        let settings: Settings = serde_json::from_str(r#"{"repositories": ["acme/app"]}"#).unwrap();
        let check = |json: &str, expect: Result<Wish<'_>, &str>| {
            let words = serde_json::from_str(json).unwrap();
            let read = Wish::read(&words, &settings);
            assert_eq!(read.as_ref().map_err(String::as_str), expect.as_ref().map_err(|text| *text), "{json}");
        };
        let right = |right| Ok(Wish::Right(right));
        check(r#"{"scope": "read:org"}"#, right(Right::Scope("read:org")));
        check(r#"{"permission": "push"}"#, right(Right::Role("push", "acme/app")));
        check(r#"{"permission": "push", "repository": "acme/lib"}"#, right(Right::Role("push", "acme/lib")));
        check(
            r#"{"permission": "contents:write"}"#,
            right(Right::Permission("contents", Access::Write, Some("acme/app"))),
        );
        check(r#"{"permission": "members:read"}"#, right(Right::Permission("members", Access::Read, None)));
        check(
            r#"{"permission": "contents:all"}"#,
            Err("asks for `contents:all`, which is neither a role nor a permission"),
        );
        check(r#"{"permission": "push", "repository": "app"}"#, Err("names no repository: `app`"));

        let address = Url::parse("https://ci.example.com/hook").unwrap();
        let events = ["push".to_owned()];
        let webhook = |events| Ok(Wish::Webhook(Webhook { address: address.clone(), events, repository: "acme/app" }));
        check(r#"{"webhook": "https://ci.example.com/hook"}"#, webhook(&[]));
        check(r#"{"webhook": "https://ci.example.com/hook", "events": ["push"]}"#, webhook(&events));
        check(r#"{"environment": "production"}"#, Ok(Wish::Environment("production", "acme/app")));
        for address in ["ci.example.com/hook", "ftp://ci.example.com/hook", "https://"] {
            let told = format!("names no address for a webhook: `{address}`");
            check(&format!(r#"{{"webhook": "{address}"}}"#), Err(&told));
        }
        check(
            r#"{"webhook": "https://ci.example.com/hook", "events": ["pull request"]}"#,
            Err("names no event of GitHub's: `pull request`"),
        );
        check(r#"{"events": ["push"]}"#, Err("says `events`, and has no `webhook`"));
        check(r#"{"environment": " "}"#, Err("names no environment: a name has 1 to 255 characters"));
        for mixed in [r#"{}"#, r#"{"environment": "production", "permission": "push"}"#] {
            check(mixed, Err("needs one of `scope`, `permission`, `webhook` and `environment`"));
        }
    }
}
