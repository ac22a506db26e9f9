//! Lineman plugin: Amazon Web Services.
//!
//! Walks from the shape of a key pair to a state bucket: does the key look like one, does the
//! regional STS answer, is the clock right, who does AWS think this is, may the role be assumed,
//! how old is the key, is the state bucket there; and of what the platform requires: are the actions
//! allowed, do networks, roles, buckets and keys exist and fit, is there room below the quotas.
//!
//! Calls go over the SDK's HTTP client, signed with AWS's own signer; no service SDK.

#![forbid(unsafe_code)]

mod arn;
mod bucket;
mod capacity;
mod config;
mod credentials;
mod identity;
mod key;
mod network;
mod partition;
mod permissions;
mod policy;
mod query;
mod quota;
mod reach;
mod requires;
mod simulate;
mod storage;
#[cfg(test)]
mod tests;
mod trust;

use std::sync::Arc;

use lineman_sdk::prelude::*;
use lineman_sdk::{Once, Walk};

use crate::credentials::Credentials;
use crate::identity::Identity;
use crate::requires::Requirement;

/// `[integration.NAME.settings]` of an AWS integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The twelve-digit account that the credential must belong to.
    #[schemars(regex(pattern = r"^[0-9]{12}$"))]
    account_id: Option<String>,
    /// The region to work in, such as `eu-west-1`.
    #[serde(default = "default_region")]
    region: String,
    /// The role to assume: its ARN, or its name in the account of the credential.
    role: Option<String>,
    /// The external id that the role's trust policy asks for.
    external_id: Option<String>,
    /// How long an assumed role is needed for, seconds (900 to 43200).
    #[schemars(range(min = 900, max = 43200))]
    session_duration: Option<u32>,
    /// A file with an OpenID Connect token, to assume the role without keys.
    #[schemars(extend("format" = "path"))]
    web_identity_token_file: Option<String>,
    /// The S3 bucket that holds the platform's state.
    state_bucket: Option<String>,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

/// `[integration.NAME.secrets]` of an AWS integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// The id of an access key.
    access_key_id: Option<Secret>,
    /// The secret of that access key.
    secret_access_key: Option<Secret>,
    /// The session token that comes with a temporary key.
    session_token: Option<Secret>,
}

/// What the checks of one integration share: each is obtained once.
#[derive(Default)]
struct Session {
    walk: Once<Arc<Walk>>,
    web_identity: Once<Credentials>,
    identity: Once<Identity>,
    assumed: Once<Credentials>,
}

struct Aws;

impl Provider for Aws {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = Requirement;
    type Session = Session;

    fn about() -> About {
        About::new("aws", "Amazon Web Services", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"))
            .service("sts", "Security Token Service: identity and roles")
            .service("iam", "Identity and Access Management: keys and permissions")
            .service("ec2", "Elastic Compute Cloud: networks, instance types, regions and dry runs")
            .service("s3", "Simple Storage Service: buckets")
            .service("kms", "Key Management Service: encryption keys")
            .service("servicequotas", "Service Quotas: the account's limits")
            .service("monitoring", "CloudWatch: how much of a quota is in use")
            .service("status", "The public feed of AWS's incidents")
            .host("sts.{region}.amazonaws.com:443")
            .host("iam.amazonaws.com:443")
            .host("ec2.{region}.amazonaws.com:443")
            .host("kms.{region}.amazonaws.com:443")
            .host("servicequotas.{region}.amazonaws.com:443")
            .host("monitoring.{region}.amazonaws.com:443")
            .host("{state_bucket}.s3.{region}.amazonaws.com:443")
    }

    fn checks() -> Vec<Check<Aws>> {
        vec![
            Check::new("config", Level::Config, "Key, region and role have the right shape", config::check),
            Check::new("reach", Level::Reach, "The regional STS endpoint answers", reach::check).needs(["config"]),
            Check::new("clock", Level::Reach, "The clock agrees with AWS's", reach::clock).needs(["reach"]),
            Check::new(
                "identity",
                Level::Identity,
                "AWS accepts the credential, and it is the expected account",
                identity::check,
            )
            .needs(["reach", "clock"])
            .calls("sts:GetCallerIdentity", None)
            .calls("sts:AssumeRoleWithWebIdentity", None),
            Check::new("role", Level::Identity, "The role can be assumed", identity::role)
                .needs(["identity"])
                .calls("sts:AssumeRole", "sts:AssumeRole"),
            Check::new("key", Level::Identity, "The access key is active and not due for rotation", key::check)
                .needs(["identity"])
                .optional()
                .calls("iam:ListAccessKeys", "iam:ListAccessKeys")
                .calls("iam:GetAccessKeyLastUsed", "iam:GetAccessKeyLastUsed"),
            Check::new("permissions", Level::Access, "The required actions are allowed", permissions::check)
                .needs(["role"])
                .calls("iam:GetRole", "iam:GetRole")
                .calls("iam:SimulatePrincipalPolicy", "iam:SimulatePrincipalPolicy"),
            Check::new(
                "state-bucket",
                Level::Dependency,
                "The state bucket exists, in the region, and can be read",
                bucket::check,
            )
            .needs(["role"])
            .calls("s3:ListObjectsV2", "s3:ListBucket"),
            Check::new(
                "network",
                Level::Dependency,
                "The required VPCs, subnets and security groups exist and fit",
                network::check,
            )
            .needs(["role"])
            .calls("ec2:DescribeVpcs", "ec2:DescribeVpcs")
            .calls("ec2:DescribeSubnets", "ec2:DescribeSubnets")
            .calls("ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroups"),
            Check::new(
                "trust",
                Level::Dependency,
                "The required roles exist, and trust those who will assume them",
                trust::check,
            )
            .needs(["role"])
            .calls("iam:GetRole", "iam:GetRole"),
            Check::new(
                "storage",
                Level::Dependency,
                "The required buckets and encryption keys exist and can be used",
                storage::check,
            )
            .needs(["role"])
            .calls("s3:ListObjectsV2", "s3:ListBucket")
            .calls("kms:DescribeKey", "kms:DescribeKey"),
            Check::new(
                "capacity",
                Level::Dependency,
                "The required regions are enabled, and the instance types are offered",
                capacity::check,
            )
            .needs(["role"])
            .calls("ec2:DescribeRegions", "ec2:DescribeRegions")
            .calls("ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypeOfferings"),
            Check::new("quota", Level::Dependency, "The required quotas leave room", quota::check)
                .needs(["role"])
                .calls("servicequotas:GetServiceQuota", "servicequotas:GetServiceQuota")
                .calls("cloudwatch:GetMetricStatistics", "cloudwatch:GetMetricStatistics")
                .calls("ec2:DescribeAddresses", "ec2:DescribeAddresses")
                .calls("ec2:DescribeInternetGateways", "ec2:DescribeInternetGateways")
                .calls("ec2:DescribeNetworkInterfaces", "ec2:DescribeNetworkInterfaces")
                .calls("ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroups")
                .calls("ec2:DescribeVpcs", "ec2:DescribeVpcs"),
            Check::new("status", Level::Reach, "AWS reports no incident that explains it", reach::status).explains(),
        ]
    }
}

lineman_sdk::export!(Aws);
