//! What `worlds/github.toml` is made of.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Caller;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct World {
    pub(super) user: BTreeMap<String, User>,
    pub(super) organization: BTreeMap<String, Organization>,
    pub(super) repository: BTreeMap<String, Repository>,
    pub(super) token: BTreeMap<String, Token>,
    pub(super) app: BTreeMap<String, App>,
    pub(super) installation: Vec<Installation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    pub(super) organizations: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct Organization {
    pub(super) single_sign_on: bool,
    pub(super) single_sign_on_graphql: bool,
    pub(super) allow_list: bool,
    pub(super) forbids_classic: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repository {
    #[serde(default)]
    pub(super) private: bool,
    #[serde(default)]
    archived: bool,
    pub(super) moved_to: Option<String>,
    roles: BTreeMap<String, Access>,
    #[serde(default)]
    hook: Vec<Hook>,
    /// Environments by name: what GitHub shows of them beyond that.
    #[serde(default)]
    environment: BTreeMap<String, Map<String, Value>>,
}

/// A webhook of a repository.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hook {
    url: String,
    events: Vec<String>,
    #[serde(default)]
    inactive: bool,
    #[serde(default)]
    insecure: bool,
    /// What the last delivery came to; none within 30 days unless set.
    last: Option<Value>,
}

/// What somebody is to a repository, least first.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Access {
    None,
    Pull,
    Triage,
    Push,
    Maintain,
    Admin,
}

impl Repository {
    /// What the caller is to the repository; nobody sees a private one that was not given to them.
    pub(super) fn access(&self, name: &str, caller: &Caller<'_>) -> Access {
        let open = if self.private { Access::None } else { Access::Pull };
        let listed = |repositories: &[String]| repositories.iter().any(|covered| covered == name);
        let own = match caller {
            Caller::Installation(installation) if listed(&installation.repositories) => Access::Pull,
            Caller::Token(token) => {
                let role = match &token.user {
                    Some(user) => self.roles.get(user).copied(),
                    None => listed(&token.repositories).then_some(Access::Pull),
                };
                let reaches = match &token.scopes {
                    Some(scopes) => scopes.iter().any(|scope| scope == "repo"),
                    None => listed(&token.repositories),
                };
                role.filter(|_| reaches || !self.private).unwrap_or(Access::None)
            }
            _ => Access::None,
        };
        own.max(open)
    }

    /// Its webhooks: "List repository webhooks".
    pub(super) fn hooks(&self) -> Value {
        let shown = |(id, hook): (u64, &Hook)| {
            json!({
                "type": "Repository",
                "id": id,
                "name": "web",
                "active": !hook.inactive,
                "events": hook.events,
                "config": {
                    "content_type": "json",
                    "insecure_ssl": if hook.insecure { "1" } else { "0" },
                    "secret": "********",
                    "url": hook.url,
                },
                "updated_at": "2026-01-03T00:57:16Z",
                "created_at": "2026-01-03T00:57:16Z",
                "last_response": hook.last.clone().unwrap_or(json!({ "code": null, "status": "unused", "message": null })),
            })
        };
        (12345678..).zip(&self.hook).map(shown).collect()
    }

    /// One of its environments: "Get an environment".
    pub(super) fn environment(&self, name: &str) -> Option<Value> {
        let (name, more) = self.environment.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        let mut shown = json!({ "id": 161088068, "name": name, "deployment_branch_policy": null });
        shown.as_object_mut()?.extend(more.clone());
        Some(shown)
    }

    pub(super) fn shown(&self, name: &str, access: Access) -> Value {
        json!({
            "id": 1296269,
            "full_name": name,
            "private": self.private,
            "archived": self.archived,
            "disabled": false,
            "default_branch": "main",
            "permissions": {
                "admin": access >= Access::Admin,
                "maintain": access >= Access::Maintain,
                "push": access >= Access::Push,
                "triage": access >= Access::Triage,
                "pull": access >= Access::Pull,
            },
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    pub(super) prefix: String,
    /// None for a token of an installation.
    pub(super) user: Option<String>,
    /// Those of classic and OAuth tokens; the others have permissions.
    pub(super) scopes: Option<Vec<String>>,
    #[serde(default)]
    pub(super) permissions: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) repositories: Vec<String>,
    /// How many days it still lives.
    days: Option<i64>,
    #[serde(default)]
    pub(super) revoked: bool,
}

impl Token {
    pub(super) fn value(&self, name: &str) -> String {
        token(&self.prefix, name)
    }

    pub(super) fn end(&self, now: Timestamp) -> Option<Timestamp> {
        self.days.map(|days| now + SignedDuration::from_hours(24 * days + 1))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct App {
    pub(super) id: u64,
    pub(super) permissions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Installation {
    pub(super) id: u64,
    pub(super) app: String,
    pub(super) account: String,
    pub(super) permissions: BTreeMap<String, String>,
    pub(super) repositories: Vec<String>,
    #[serde(default)]
    pub(super) suspended: bool,
}

impl Installation {
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "account": { "login": self.account, "type": "Organization" },
            "repository_selection": "selected",
            "permissions": self.permissions,
            "suspended_at": self.suspended.then_some("2026-01-31T12:00:00Z"),
        })
    }
}

/// A token of GitHub's form, the same for the same name: with the documented checksum where the
/// form has one ("Behind GitHub's new authentication token formats").
pub(super) fn token(prefix: &str, name: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let seed = format!("{name}0lineman0lab0");
    if prefix == "github_pat_" {
        return format!("{prefix}{}_{}", &seed.repeat(4)[..22], &seed.repeat(6)[..59]);
    }
    let random = &seed.repeat(3)[..30];
    let mut number = crc32fast::hash(random.as_bytes());
    let mut sum = [b'0'; 6];
    for digit in sum.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    format!("{prefix}{random}{}", String::from_utf8_lossy(&sum))
}
