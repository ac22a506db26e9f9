use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Secret;

/// One configured connection to a provider, without its secrets.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Integration {
    /// Unique name.
    pub name: String,
    /// Id of the plugin that knows the provider.
    pub provider: String,
    /// Free labels, for selection and reports.
    pub labels: BTreeMap<String, String>,
    /// Who looks after it.
    pub owner: Option<String>,
    /// Where its runbook is.
    pub runbook: Option<String>,
    /// The plugin's own settings, valid against its schema.
    pub settings: Map<String, Value>,
    /// How the provider is reached.
    pub connection: Connection,
    /// What the platform means to do through it.
    pub requires: Vec<Requirement>,
}

/// How a provider is reached: the same for every provider.
///
/// What comes from the environment (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR`)
/// is already in here, with the name of the variable: plugins run with an empty environment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// Replaces the provider's usual endpoint.
    pub endpoint_url: Option<String>,
    /// Replaces the endpoint of single services.
    pub endpoints: BTreeMap<String, String>,
    /// The proxies that may be used, first match wins.
    pub proxies: Vec<Proxy>,
    /// Hosts reached without a proxy: comma-separated names, suffixes and networks.
    pub no_proxy: Option<String>,
    /// Certificate authorities to trust instead of the system's.
    pub ca: Option<CaBundle>,
    /// Limit of one request, milliseconds; the check's deadline still holds.
    pub timeout_ms: Option<u64>,
    /// Whether link-local addresses and the metadata services of clouds may be contacted.
    pub allow_link_local: bool,
    /// How the certificate of one host is judged. No configuration says it: a plugin does, whose
    /// provider's own files have a word for it.
    #[serde(skip)]
    pub terms: Option<HostTerms>,
}

impl Connection {
    /// The endpoint to use for a service: its own, else the general one.
    pub fn endpoint(&self, service: &str) -> Option<&str> {
        self.endpoints.get(service).or(self.endpoint_url.as_ref()).map(String::as_str)
    }
}

/// A proxy and who chose it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proxy {
    /// Scheme of the addresses it is for: `http`, `https` or `all`.
    pub scheme: String,
    /// Its address; may hold a password.
    #[serde(serialize_with = "Secret::serialize_for_the_wire")]
    pub url: Secret,
    /// `connection.proxy` or the environment variable.
    pub chosen_by: String,
}

/// Certificate authorities and who chose them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaBundle {
    /// A PEM file.
    #[serde(default)]
    pub file: Option<String>,
    /// A directory of PEM files.
    #[serde(default)]
    pub directory: Option<String>,
    /// `connection.ca_file` or the environment variable.
    pub chosen_by: String,
}

/// How the certificate of one host is judged, where that is not as usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTerms {
    /// The host in the address.
    pub host: String,
    /// The name that is asked for and that the certificate must be for, in place of the host's.
    pub name: Option<String>,
    /// Whether every certificate is taken, because the clients that are told about take it too.
    pub unverified: bool,
}

/// Something that the platform means to do through an integration, in the plugin's own words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requirement {
    /// Unique within the integration.
    pub id: String,
    /// The plugin's words: `action`, `resource`, …
    #[serde(flatten)]
    pub words: Map<String, Value>,
}
