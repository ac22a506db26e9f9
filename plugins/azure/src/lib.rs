//! Lineman plugin: Microsoft Azure.
//!
//! Walks from the shape of a credential to the resource groups of a subscription: do Entra's and
//! Resource Manager's endpoints answer, is the clock right for signed assertions, does the tenant
//! exist and in which cloud, does Entra accept the application and until when, is the subscription
//! visible and enabled; and of what the platform requires: do the application's roles allow it, are the
//! resource providers registered, do resource groups and networks exist and fit, are sizes offered, is
//! there room below the quotas, does Azure Policy let it be.
//!
//! Speaks the OAuth 2.0 endpoint of Entra, Azure Resource Manager and Microsoft Graph over the SDK's
//! HTTP client, in each of the three clouds. It knows nothing of the services behind Resource
//! Manager but what their refusals look like, which is data (`catalog.toml`).

#![forbid(unsafe_code)]

mod api;
mod arm;
mod capacity;
mod certificate;
mod cloud;
mod config;
mod grants;
mod group;
mod identity;
mod jwt;
mod network;
mod permissions;
mod policy;
mod providers;
mod quota;
mod reach;
mod requires;
mod resources;
mod role;
mod secret;
mod subscription;
mod tenant;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lineman_sdk::prelude::*;
use lineman_sdk::{Once, Walk};

use crate::cloud::Cloud;
use crate::identity::Token;
use crate::requires::Requirement;
use crate::subscription::Subscription;

/// `[integration.NAME.settings]` of an Azure integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The tenant in which the application signs in: its id, or one of its verified domains.
    #[schemars(example = "11111111-2222-3333-4444-555555555555")]
    tenant_id: String,
    /// The application (client) id of the app registration.
    #[schemars(example = "66666666-7777-8888-9999-000000000000")]
    client_id: String,
    /// The subscription that the platform works in.
    subscription_id: Option<String>,
    /// The cloud of the tenant.
    #[serde(default)]
    cloud: Cloud,
}

/// `[integration.NAME.secrets]` of an Azure integration: one of the three credentials.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// The value of a client secret (not its id).
    client_secret: Option<Secret>,
    /// The certificate of the application, in PEM; its private key may stand in the same text.
    certificate: Option<Secret>,
    /// The private key of the certificate, in PEM.
    private_key: Option<Secret>,
    /// A token of another identity provider that the application trusts (workload identity
    /// federation).
    federated_token: Option<Secret>,
}

/// What the checks of one integration share: each is obtained once.
#[derive(Default)]
struct Session {
    walk: Once<Arc<Walk>>,
    manager: Once<Token>,
    graph: Once<Token>,
    subscription: Once<Subscription>,
}

struct Azure;

impl Provider for Azure {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = Requirement;
    type Session = Session;

    fn about() -> About {
        About::new("azure", "Microsoft Azure", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"))
            .service("login", "Microsoft Entra ID: the tenant, and tokens")
            .service("arm", "Azure Resource Manager: subscriptions, roles, resource providers")
            .service("graph", "Microsoft Graph: when a client secret expires")
            .service("status", "The public feed of Azure's incidents")
            .host("login.microsoftonline.com:443")
            .host("management.azure.com:443")
            .host("graph.microsoft.com:443")
    }

    fn checks() -> Vec<Check<Azure>> {
        vec![
            Check::new("config", Level::Config, "Ids, credential and requirements have the right shape", config::check),
            Check::new("reach", Level::Reach, "Entra and Resource Manager answer", reach::check).needs(["config"]),
            Check::new("clock", Level::Reach, "The clock is right for signed assertions", reach::clock)
                .needs(["reach"]),
            Check::new("tenant", Level::Identity, "The tenant exists, in the configured cloud", tenant::check)
                .needs(["reach"])
                .calls(tenant::OPERATION, None),
            Check::new("identity", Level::Identity, "Entra accepts the application's credential", identity::check)
                .needs(["tenant", "clock"])
                .calls(identity::OPERATION, None),
            Check::new("secret", Level::Identity, "The client secret does not expire soon", secret::check)
                .needs(["identity"])
                .calls(secret::OPERATION, secret::PERMISSION),
            Check::new(
                "subscription",
                Level::Identity,
                "The subscription is visible to the application, and enabled",
                subscription::check,
            )
            .needs(["identity"])
            .calls(subscription::OPERATION, "Microsoft.Resources/subscriptions/read")
            .calls(subscription::LIST, None),
            Check::new("permissions", Level::Access, "The required actions are allowed", permissions::check)
                .needs(["subscription"])
                .calls(permissions::OPERATION, permissions::PERMISSION)
                .calls(permissions::DENIES, permissions::DENIES_PERMISSION),
            Check::new(
                "providers",
                Level::Dependency,
                "The resource providers that are needed are registered",
                providers::check,
            )
            .needs(["subscription"])
            .calls(providers::OPERATION, "*/read"),
            Check::new(
                "resource-groups",
                Level::Dependency,
                "The required resource groups exist, where they should be",
                group::check,
            )
            .needs(["subscription"])
            .calls(group::OPERATION, group::PERMISSION),
            Check::new(
                "network",
                Level::Dependency,
                "The required virtual networks and subnets exist and fit",
                network::check,
            )
            .needs(["subscription"])
            .calls(network::OPERATION, network::PERMISSION)
            .calls(network::USAGES, network::USAGES_PERMISSION),
            Check::new(
                "capacity",
                Level::Dependency,
                "The required regions are there, and the sizes are offered",
                capacity::check,
            )
            .needs(["subscription"])
            .calls(capacity::LOCATIONS, capacity::LOCATIONS_PERMISSION)
            .calls(capacity::SKUS, capacity::SKUS_PERMISSION),
            Check::new("quota", Level::Dependency, "The required quotas leave room", quota::check)
                .needs(["subscription"])
                .calls(quota::COMPUTE, quota::COMPUTE_PERMISSION)
                .calls(quota::NETWORK, quota::NETWORK_PERMISSION),
            Check::new("policy", Level::Dependency, "Azure Policy lets the required resources be", policy::check)
                .needs(["subscription"])
                .calls(policy::OPERATION, policy::PERMISSION),
            Check::new("resources", Level::Operation, "Resource groups can be listed", resources::check)
                .needs(["subscription"])
                .calls(resources::OPERATION, resources::PERMISSION),
            Check::new("status", Level::Reach, "Azure reports no incident that explains it", reach::status).explains(),
        ]
    }
}

lineman_sdk::export!(Azure);
