//! Lineman plugin: Git repositories over SSH and HTTP.
//!
//! Walks from the shape of an address and a key to a clone: can OpenSSH read the key, is the
//! server there and is it the right one, does it accept the credential, may that credential read
//! the repository, does the system's git clone it with that credential and nothing else.
//!
//! `ssh` and `git` themselves are asked, because they are what the platform uses: one connection
//! of `ssh` proves host key, authentication and read access at once, and each check judges its
//! part of what was said. What needs neither program (the key, the address, the path, everything
//! over HTTP but the clone) is proved without them.

#![forbid(unsafe_code)]

mod checks;
mod hosts;
mod http;
mod key;
mod known_hosts;
mod pkt;
mod remote;
mod ssh;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lineman_sdk::prelude::*;
use lineman_sdk::{Once, Walk};
use tokio::sync::OnceCell;

use crate::remote::Remote;

/// `[integration.NAME.settings]` of a Git integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The repository: `git@host:owner/name.git`, `ssh://git@host/path` or `https://host/path`.
    #[schemars(example = "https://git.example.com/owner/name.git")]
    url: String,
    /// The branch, tag or other reference that the platform uses; the server's default unless set.
    #[serde(rename = "ref")]
    reference: Option<String>,
    /// The private key file that the platform's `ssh` reads, in place of the secret `ssh_key`.
    #[schemars(extend("format" = "path"))]
    ssh_key_file: Option<String>,
    /// The file of known host keys that the platform's `ssh` reads.
    #[schemars(extend("format" = "path"))]
    known_hosts_file: Option<String>,
    /// Host keys that were approved, by fingerprint: `SHA256:…`.
    #[serde(default)]
    host_key_fingerprints: Vec<String>,
    /// What the platform does with the repository.
    #[serde(default)]
    access: Access,
}

/// What the platform does with a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Access {
    /// Fetches and clones.
    #[default]
    Read,
    /// Pushes, too.
    Write,
}

/// `[integration.NAME.secrets]` of a Git integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// A private key, for SSH.
    ssh_key: Option<Secret>,
    /// The passphrase of the private key.
    ssh_key_passphrase: Option<Secret>,
    /// The user name that goes with the token; the host's usual one unless set.
    username: Option<Secret>,
    /// A token or password, for HTTPS.
    token: Option<Secret>,
}

/// An entry of `[[integration.NAME.requires]]` of a Git integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Requirement {
    /// What must be allowed.
    action: Access,
}

/// What the checks of one integration share: each is obtained once.
#[derive(Default)]
struct Session {
    walk: OnceCell<Arc<Walk>>,
    key: Once<Arc<ssh::StoredKey>>,
    client: Once<Arc<ssh::Client>>,
    read_over_ssh: Once<Arc<ssh::Conversation>>,
    read_over_http: Once<Arc<http::Exchange>>,
}

struct Git;

/// The path to the repository's host, walked once.
async fn walk(cx: &Cx<Git>, remote: &Remote) -> Arc<Walk> {
    let walk = cx.session().walk.get_or_init(|| Box::pin(async { Arc::new(cx.walk(&remote.target()).await) }));
    Arc::clone(walk.await)
}

/// The same, where it leads somewhere. Programs look names up themselves and would go where the
/// walk does not: to the metadata services of clouds.
async fn open_path(cx: &Cx<Git>, remote: &Remote) -> Result<Arc<Walk>, Stop> {
    let walk = walk(cx, remote).await;
    match walk.finding("git") {
        Some(finding) => Err(finding.into()),
        None => Ok(walk),
    }
}

impl Provider for Git {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = Requirement;
    type Session = Session;

    fn about() -> About {
        About::new("git", "Git", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"))
            .program("ssh")
            .program("git")
            .host("{url}")
    }

    fn checks() -> Vec<Check<Git>> {
        vec![
            Check::new(
                "config",
                Level::Config,
                "Address, reference and credential fit together",
                checks::config::check,
            ),
            Check::new("ssh-key", Level::Config, "OpenSSH can use the private key", checks::ssh_key::check),
            Check::new("reach", Level::Reach, "The host answers in the address's protocol", checks::reach::check)
                .needs(["config"]),
            Check::new("host-key", Level::Reach, "The server shows an approved host key", checks::host_key::check)
                .needs(["reach"]),
            Check::new("auth", Level::Identity, "The server accepts the credential", checks::auth::check)
                .needs(["reach", "host-key", "ssh-key"]),
            Check::new(
                "read",
                Level::Access,
                "The repository can be read, and the reference exists",
                checks::read::check,
            )
            .needs(["auth"])
            .calls("git-upload-pack", "read"),
            Check::new(
                "clone",
                Level::Operation,
                "git clones the repository with this credential",
                checks::clone::check,
            )
            .needs(["read"])
            .calls("git clone", "read"),
            Check::new("write", Level::Access, "The credential may push", checks::write::check)
                .needs(["read"])
                .calls("git-receive-pack", "write"),
        ]
    }
}

lineman_sdk::export!(Git);
