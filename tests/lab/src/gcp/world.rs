//! What `worlds/gcp.toml` is made of.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct World {
    pub(super) project: BTreeMap<String, Project>,
    pub(super) bucket: BTreeMap<String, Bucket>,
    /// VPC networks: `PROJECT/NAME`.
    pub(super) network: BTreeSet<String>,
    /// By `PROJECT/REGION/NAME`.
    pub(super) subnetwork: BTreeMap<String, Subnetwork>,
    account: BTreeMap<String, Account>,
    pub(super) key: BTreeMap<String, Key>,
    pub(super) token: BTreeMap<String, Token>,
    pub(super) pool: Pool,
    pub(super) subject: BTreeMap<String, Subject>,
}

impl World {
    /// An account by its address.
    pub(super) fn account(&self, address: &str) -> Option<&Account> {
        self.account.iter().find(|(name, _)| self::address(name) == address).map(|(_, account)| account)
    }

    /// A project by its id or its number.
    pub(super) fn project(&self, name: &str) -> Option<(&str, &Project)> {
        let known = self.project.iter().find(|(id, project)| *id == name || project.number.to_string() == name)?;
        Some((known.0.as_str(), known.1))
    }
}

/// The address of an account: a name alone is that of one in the first project.
pub(super) fn address(name: &str) -> String {
    if name.contains(['@', ':']) { name.to_owned() } else { format!("{name}@acme-prod.iam.gserviceaccount.com") }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Project {
    pub(super) number: u64,
    /// Names without their domain.
    pub(super) apis: Vec<String>,
    #[serde(default)]
    pub(super) billing: String,
    /// The billing account was closed.
    #[serde(default)]
    pub(super) closed: bool,
    #[serde(default = "active")]
    pub(super) state: String,
    /// Quotas of Compute Engine by region, or `global`: limit and use of each.
    #[serde(default)]
    pub(super) quotas: BTreeMap<String, BTreeMap<String, [f64; 2]>>,
}

fn active() -> String {
    "ACTIVE".to_owned()
}

impl Project {
    pub(super) fn enabled(&self, api: &str) -> bool {
        self.apis.iter().any(|name| api.strip_suffix(".googleapis.com").unwrap_or(api) == name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bucket {
    #[serde(rename = "project")]
    _project: String,
    /// A perimeter of VPC Service Controls keeps everybody out.
    #[serde(default)]
    pub(super) perimeter: bool,
    /// An IP filter does.
    #[serde(default)]
    pub(super) ip_filter: bool,
    #[serde(default = "europe")]
    pub(super) location: String,
}

fn europe() -> String {
    "EUROPE-WEST1".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subnetwork {
    /// `PROJECT/NAME`.
    pub(super) network: String,
    /// How many addresses of its primary range are free.
    pub(super) free: u32,
    /// The accounts that may use it.
    #[serde(default)]
    pub(super) users: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Account {
    pub(super) disabled: bool,
    acts_as: Vec<String>,
    /// The accounts that it may attach to what it makes.
    runs_as: Vec<String>,
    projects: BTreeMap<String, Vec<String>>,
    buckets: BTreeMap<String, Vec<String>>,
}

impl Account {
    pub(super) fn on_project(&self, id: &str) -> &[String] {
        self.projects.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn on_bucket(&self, name: &str) -> &[String] {
        self.buckets.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn acts_as(&self, other: &str) -> bool {
        self.acts_as.iter().any(|name| address(name) == other)
    }

    pub(super) fn runs_as(&self, other: &str) -> bool {
        self.runs_as.iter().any(|name| address(name) == other)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) account: String,
    /// Which pair it is made of: what keeps keys apart are mostly their ids.
    #[serde(default)]
    pub(super) pair: usize,
    /// The key whose id stands in the file, if not its own.
    id_of: Option<String>,
    #[serde(default)]
    pub(super) deleted: bool,
    /// How many days it is still good for.
    pub(super) days: Option<i64>,
}

impl Key {
    /// The id in the file: the same for the same name.
    pub(super) fn id(&self, name: &str) -> String {
        let name = self.id_of.as_deref().unwrap_or(name);
        let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
        digits.repeat(40 / digits.len() + 1)[..40].to_owned()
    }

    /// Whether Google publishes it.
    pub(super) fn is_listed(&self) -> bool {
        !self.deleted && self.id_of.is_none()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    pub(super) account: String,
    #[serde(default = "cloud_platform")]
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) expired: bool,
}

fn cloud_platform() -> Vec<String> {
    vec!["https://www.googleapis.com/auth/cloud-platform".to_owned()]
}

/// The text of an access token.
pub(super) fn access_token(kind: &str, name: &str) -> String {
    format!("ya29.{kind}.{}", BASE64URL.encode(format!("lineman lab {name} {kind} lineman lab")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) audience: String,
    pub(super) issuer: String,
    /// What subjects must begin with.
    pub(super) condition: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    sub: String,
    aud: Option<String>,
    iss: Option<String>,
    minutes: Option<i64>,
}

impl Subject {
    /// The token of the outside identity provider. Nobody verifies its signature here.
    pub(super) fn token(&self, pool: &Pool) -> String {
        let now = Timestamp::now().as_second();
        let end = now + 60 * self.minutes.unwrap_or(30);
        let audience = self.aud.clone().unwrap_or_else(|| format!("https:{}", pool.audience));
        let issuer = self.iss.as_deref().unwrap_or(&pool.issuer);
        let claims = json!({ "sub": self.sub, "aud": audience, "iss": issuer, "iat": end - 3600, "exp": end });
        let encode = |value: &serde_json::Value| BASE64URL.encode(value.to_string());
        format!("{}.{}.{}", encode(&json!({ "alg": "RS256" })), encode(&claims), BASE64URL.encode("not signed"))
    }
}
