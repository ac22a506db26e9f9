//! Lineman plugin: GitLab.
//!
//! Walks from the shape of a token to the branches of a project: which kind of token is it, does
//! the API answer where the settings say, what does GitLab say of the token itself (scopes, end,
//! revoked), whose is it, are the projects visible, does the role there suffice for what the
//! platform means to do, and are the webhooks and environments there that it builds on.
//!
//! Speaks GitLab's REST API over the SDK's HTTP client: GitLab.com and GitLabs of one's own, with
//! an authority of their own or below a path.

#![forbid(unsafe_code)]

mod api;
mod config;
mod environments;
mod identity;
mod permissions;
mod projects;
mod reach;
mod requirement;
#[cfg(test)]
mod tests;
mod token;
mod webhooks;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lineman_sdk::prelude::*;
use lineman_sdk::{Once, Walk};

use crate::identity::Identity;
use crate::projects::Project;
use crate::requirement::Requirement;

/// `[integration.NAME.settings]` of a GitLab integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The address of the GitLab: `https://gitlab.com`, or `https://HOST/gitlab` where it lies
    /// below a path.
    #[serde(default = "default_url")]
    url: String,
    /// The projects that the platform works with, as `group/project` or by number.
    #[serde(default)]
    projects: Vec<String>,
    /// The user, or the bot of a project or group, that the token must belong to.
    username: Option<String>,
}

fn default_url() -> String {
    "https://gitlab.com".to_owned()
}

/// `[integration.NAME.secrets]` of a GitLab integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// A personal, project or group access token, or an OAuth token.
    token: Option<Secret>,
}

/// What the checks of one integration share: each is obtained once.
#[derive(Default)]
struct Session {
    walk: Once<Arc<Walk>>,
    identity: Once<Identity>,
    projects: Mutex<BTreeMap<String, Arc<Once<Project>>>>,
}

struct GitLab;

impl Provider for GitLab {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = Requirement;
    type Session = Session;

    fn about() -> About {
        About::new("gitlab", "GitLab", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"))
            .service("gitlab", "The GitLab itself, whose API lies below /api/v4")
            .service("status", "The public feed of GitLab.com's incidents")
            .host("{url}")
    }

    fn checks() -> Vec<Check<GitLab>> {
        vec![
            Check::new("config", Level::Config, "Token, address and names have the right shape", config::check),
            Check::new("reach", Level::Reach, "The GitLab answers", reach::check).needs(["config"]),
            Check::new(
                "identity",
                Level::Identity,
                "GitLab accepts the token, it is the expected one, and does not expire soon",
                identity::check,
            )
            .needs(["reach"])
            .calls("GET /personal_access_tokens/self", None)
            .calls("GET /user", "read_user"),
            Check::new("projects", Level::Access, "The projects are visible", projects::check)
                .needs(["identity"])
                .calls("GET /projects/:id", "read_api"),
            Check::new(
                "permissions",
                Level::Access,
                "Scopes and roles suffice for what is required",
                permissions::check,
            )
            .needs(["identity"])
            .calls("GET /projects/:id", "read_api"),
            Check::new(
                "settings",
                Level::Dependency,
                "Projects are not archived, and their repositories are switched on",
                projects::settings,
            )
            .needs(["projects"]),
            Check::new(
                "webhooks",
                Level::Dependency,
                "The required webhooks are there, and GitLab still sends to them",
                webhooks::check,
            )
            .needs(["projects"])
            .calls("GET /projects/:id/hooks", "the role maintainer"),
            Check::new(
                "environments",
                Level::Dependency,
                "The required deployment environments exist and are not stopped",
                environments::check,
            )
            .needs(["projects"])
            .calls("GET /projects/:id/environments", "the role reporter")
            .calls("GET /projects/:id/protected_environments/:name", "the role maintainer"),
            Check::new("version", Level::Dependency, "The GitLab still gets fixes", reach::version)
                .needs(["identity"])
                .calls("GET /version", "read_user"),
            Check::new("read", Level::Operation, "Branches can be listed", projects::branches)
                .needs(["projects", "settings"])
                .calls("GET /projects/:id/repository/branches", "read_api"),
            Check::new("status", Level::Reach, "GitLab.com reports no incident that explains it", reach::status)
                .explains(),
        ]
    }
}

lineman_sdk::export!(GitLab);
