//! Lineman plugin: GitHub.
//!
//! Walks from the shape of a token, or of an app's private key, to the branches of a repository:
//! which kind of credential is it, does the API answer, is the clock right for the app's
//! assertions, who does GitHub think this is and until when, is the app installed and not
//! suspended, does the organisation let the credential in (single sign-on, addresses, policies),
//! are the repositories visible, does the credential have what the platform means to do, and
//! are the webhooks and environments there that it builds on.
//!
//! Speaks GitHub's REST and GraphQL APIs over the SDK's HTTP client: GitHub.com, GHE.com and
//! GitHub Enterprise Server.

#![forbid(unsafe_code)]

mod api;
mod app;
mod config;
mod environments;
mod identity;
mod organization;
mod permissions;
mod reach;
mod read;
mod repositories;
mod requirement;
mod scopes;
#[cfg(test)]
mod tests;
mod token;
mod webhooks;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use lineman_sdk::prelude::*;
use lineman_sdk::{Once, Walk};

use crate::app::{App, Installation, Minted};
use crate::identity::Identity;
use crate::repositories::Repository;
use crate::requirement::Requirement;

/// `[integration.NAME.settings]` of a GitHub integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The address of the REST API: `https://api.github.com`, `https://api.NAME.ghe.com`, or
    /// `https://HOST/api/v3` of an Enterprise Server.
    #[serde(default = "default_api_url")]
    api_url: String,
    /// The repositories that the platform works with, as `owner/name`.
    #[serde(default)]
    repositories: Vec<String>,
    /// The organisation that the platform works in.
    organization: Option<String>,
    /// The user that the token must belong to.
    login: Option<String>,
    /// The id or the client id of the GitHub App whose private key is stored.
    app_id: Option<Id>,
    /// The installation of the app; found by organisation or repository unless set.
    installation_id: Option<u64>,
}

fn default_api_url() -> String {
    "https://api.github.com".to_owned()
}

/// A number, or the text that GitHub now prefers.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => number.fmt(f),
            Id::Text(text) => text.fmt(f),
        }
    }
}

/// `[integration.NAME.secrets]` of a GitHub integration: one of the two.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// A token: classic, fine-grained, OAuth, or of an app.
    token: Option<Secret>,
    /// The private key of a GitHub App, in PEM.
    app_private_key: Option<Secret>,
}

/// What the checks of one integration share: each is obtained once.
#[derive(Default)]
struct Session {
    walk: Once<Arc<Walk>>,
    identity: Once<Identity>,
    app: Once<App>,
    installation: Once<Installation>,
    minted: Once<Minted>,
    repositories: Mutex<BTreeMap<String, Arc<Once<Repository>>>>,
}

struct GitHub;

impl Provider for GitHub {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = Requirement;
    type Session = Session;

    fn about() -> About {
        About::new("github", "GitHub", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"))
            .service("api", "The REST API, and the GraphQL API beside it")
            .service("status", "The public feed of GitHub's incidents")
            .host("{api_url}")
    }

    fn checks() -> Vec<Check<GitHub>> {
        vec![
            Check::new("config", Level::Config, "Credential, addresses and names have the right shape", config::check),
            Check::new("reach", Level::Reach, "The API answers", reach::check).needs(["config"]),
            Check::new("clock", Level::Reach, "The clock is right for the app's assertions", reach::clock)
                .needs(["reach"]),
            Check::new(
                "identity",
                Level::Identity,
                "GitHub accepts the credential, it is the expected one, and does not expire soon",
                identity::check,
            )
            .needs(["reach", "clock"])
            .calls("GET /user", None)
            .calls("GET /app", None)
            .calls("GET /installation/repositories", "metadata:read"),
            Check::new(
                "installation",
                Level::Identity,
                "The app is installed where it should be, and not suspended",
                app::check,
            )
            .needs(["identity"])
            .calls("GET /app/installations", None)
            .calls("POST /app/installations/{installation_id}/access_tokens", None),
            Check::new("organization", Level::Access, "The organisation lets the credential in", organization::check)
                .needs(["installation"])
                .calls("GET /orgs/{org}", None)
                .calls("GET /user/memberships/orgs/{org}", "read:org, or members:read"),
            Check::new("repositories", Level::Access, "The repositories are visible and readable", repositories::check)
                .needs(["installation"])
                .calls("GET /repos/{owner}/{repo}", "metadata:read"),
            Check::new("permissions", Level::Access, "The credential may do what is required", permissions::check)
                .needs(["installation"])
                .calls("GET /repos/{owner}/{repo}", "metadata:read"),
            Check::new(
                "settings",
                Level::Dependency,
                "Repositories are not archived, and the app's permissions are accepted",
                repositories::settings,
            )
            .needs(["repositories"]),
            Check::new(
                "webhooks",
                Level::Dependency,
                "The required webhooks are active, and were last answered well",
                webhooks::check,
            )
            .needs(["repositories"])
            .calls("GET /repos/{owner}/{repo}/hooks", "admin:repo_hook, or repository_hooks:read"),
            Check::new(
                "environments",
                Level::Dependency,
                "The required deployment environments exist",
                environments::check,
            )
            .needs(["repositories"])
            .calls("GET /repos/{owner}/{repo}/environments/{environment_name}", "actions:read"),
            Check::new("read", Level::Operation, "Branches can be listed", read::branches)
                .needs(["repositories"])
                .calls("GET /repos/{owner}/{repo}/branches", "contents:read"),
            Check::new("graphql", Level::Operation, "The GraphQL API answers for the repositories", read::graphql)
                .needs(["repositories"])
                .calls("POST /graphql", "metadata:read"),
            Check::new("status", Level::Reach, "GitHub reports no incident that explains it", reach::status).explains(),
        ]
    }
}

lineman_sdk::export!(GitHub);
