//! Lineman plugin: Google Cloud.
//!
//! Walks from the shape of a key file to the objects of a bucket: is it a key of a service account
//! and whole, does the token endpoint answer, is the clock right for assertions, is the key still
//! among those of its account, does Google take it, whose is it, may it act as the account that the
//! platform works as, is the project there, has the credential what the platform means to do, are
//! the APIs enabled that this takes, is there somebody who pays; and of what the platform requires:
//! do networks, service accounts and buckets exist and fit, may they be used, do quotas leave room.
//!
//! A key is always exchanged for a token. A token that a client signs itself looks good whatever
//! became of the key; only the token endpoint says what is wrong with it.
//!
//! Speaks Google's REST APIs over the SDK's HTTP client, in every universe: the hosts follow
//! `universe_domain`, and each can be replaced.

#![forbid(unsafe_code)]

mod account;
mod api;
mod bucket;
mod config;
mod credential;
mod external;
mod identity;
mod key;
mod network;
mod permissions;
mod products;
mod project;
mod quota;
mod reach;
mod requires;
mod role;
mod storage;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use lineman_sdk::prelude::*;
use lineman_sdk::{Once, Walk};

use crate::key::Listed;
use crate::project::Project;
use crate::requires::Requirement;
use crate::token::Token;

/// `[integration.NAME.settings]` of a Google Cloud integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The project that the platform works in, by its id: `acme-prod`.
    project_id: Option<String>,
    /// The service account that the credential must belong to, by its address:
    /// `platform@acme-prod.iam.gserviceaccount.com`.
    service_account: Option<String>,
    /// The service account that the platform acts as with the credential.
    impersonate: Option<String>,
    /// The project that pays for calls and whose quota they use, where that is another one.
    quota_project: Option<String>,
    /// The bucket of Cloud Storage that holds the platform's state.
    state_bucket: Option<String>,
    /// The region that the platform works in: where its subnetworks lie, and whose incidents count.
    region: Option<String>,
    /// The domain of the APIs: `googleapis.com`, unless it is another universe of Google's.
    #[serde(default = "googleapis")]
    universe_domain: String,
    /// The file or the program that the external account takes its token from. What its JSON names
    /// is only opened or run when it is named here too.
    #[schemars(extend("format" = "path"))]
    credential_source: Option<String>,
}

fn googleapis() -> String {
    "googleapis.com".to_owned()
}

/// `[integration.NAME.secrets]` of a Google Cloud integration: a key, an external account, or a
/// token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// The key of a service account: the JSON file that Google gave out, whole.
    service_account_key: Option<Secret>,
    /// The configuration of an external account (workload identity federation), in JSON.
    external_account: Option<Secret>,
    /// The token of the outside identity provider, where the external account's own source of it is
    /// not to be used.
    subject_token: Option<Secret>,
    /// An access token of OAuth 2.0, which is good for an hour at most.
    access_token: Option<Secret>,
}

/// What the checks of one integration share: each is obtained once.
#[derive(Default)]
struct Session {
    walk: Once<Arc<Walk>>,
    listed: Once<Listed>,
    own: Once<Token>,
    acting: Once<Token>,
    project: Once<Project>,
}

struct Gcp;

impl Provider for Gcp {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = Requirement;
    type Session = Session;

    fn about() -> About {
        let mut about = About::new("gcp", "Google Cloud", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"));
        for service in api::Service::ALL {
            about = about
                .service(service.name(), service.about())
                .host(&format!("{}.{{universe_domain}}:443", service.host()));
        }
        about.service("status", "The public feed of Google Cloud's incidents")
    }

    fn checks() -> Vec<Check<Gcp>> {
        vec![
            Check::new("config", Level::Config, "Credential and settings have the right shape", config::check),
            Check::new("reach", Level::Reach, "The token endpoint answers", reach::check).needs(["config"]),
            Check::new("clock", Level::Reach, "The clock is right for the key's assertions", reach::clock)
                .needs(["reach"]),
            Check::new("key", Level::Identity, "The key is still one of its service account's", key::check)
                .needs(["reach"])
                .calls("GET /service_accounts/v1/metadata/x509/{account}", None),
            Check::new(
                "identity",
                Level::Identity,
                "Google gives a token for the credential, and it is the expected one",
                identity::check,
            )
            .needs(["clock", "key"])
            .calls("POST https://oauth2.googleapis.com/token", None)
            .calls("POST https://oauth2.googleapis.com/tokeninfo", None)
            .calls("sts.token", None),
            Check::new(
                "impersonation",
                Level::Identity,
                "The credential may act as the service account that the platform works as",
                identity::impersonation,
            )
            .needs(["identity"])
            .calls("iamcredentials.projects.serviceAccounts.generateAccessToken", "iam.serviceAccounts.getAccessToken")
            .calls("iam.projects.serviceAccounts.testIamPermissions", None),
            Check::new(
                "project",
                Level::Identity,
                "The project is there, and the credential has to do with it",
                project::check,
            )
            .needs(["impersonation"])
            .calls("cloudresourcemanager.projects.get", "resourcemanager.projects.get")
            .calls("cloudresourcemanager.projects.testIamPermissions", None),
            Check::new("permissions", Level::Access, "The credential may do what is required", permissions::check)
                .needs(["project"])
                .calls("cloudresourcemanager.projects.testIamPermissions", None)
                .calls("storage.buckets.testIamPermissions", None),
            Check::new("apis", Level::Dependency, "The APIs are enabled that the requirements take", project::apis)
                .needs(["project"])
                .calls("serviceusage.services.batchGet", "serviceusage.services.get"),
            Check::new("billing", Level::Dependency, "Somebody pays for the project", project::billing)
                .needs(["project"])
                .calls("cloudbilling.projects.getBillingInfo", "resourcemanager.projects.get"),
            Check::new("bucket", Level::Dependency, "The state bucket is there, and may be written", bucket::check)
                .needs(["impersonation"])
                .calls("storage.buckets.testIamPermissions", None),
            Check::new("read", Level::Operation, "Objects of the state bucket can be listed", bucket::read)
                .needs(["bucket"])
                .calls("storage.objects.list", "storage.objects.list"),
            Check::new(
                "network",
                Level::Dependency,
                "The required networks and subnetworks exist, fit, and may be used",
                network::check,
            )
            .needs(["impersonation"])
            .calls("compute.networks.get", "compute.networks.get")
            .calls("compute.subnetworks.get", "compute.subnetworks.get")
            .calls("compute.subnetworks.testIamPermissions", None),
            Check::new(
                "service-account",
                Level::Dependency,
                "The required service accounts exist, are enabled, and may be acted as",
                account::check,
            )
            .needs(["impersonation"])
            .calls("iam.projects.serviceAccounts.testIamPermissions", None)
            .calls("iam.projects.serviceAccounts.get", "iam.serviceAccounts.get"),
            Check::new("storage", Level::Dependency, "The required buckets exist, where they must lie", storage::check)
                .needs(["impersonation"])
                .calls("storage.buckets.get", "storage.buckets.get"),
            Check::new("quota", Level::Dependency, "The required quotas leave room", quota::check)
                .needs(["impersonation"])
                .calls("compute.projects.get", "compute.projects.get")
                .calls("compute.regions.get", "compute.regions.get"),
            Check::new("status", Level::Reach, "Google reports no incident that explains it", reach::status).explains(),
        ]
    }
}

lineman_sdk::export!(Gcp);
