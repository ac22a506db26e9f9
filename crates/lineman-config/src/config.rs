use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use ipnet::IpNet;
use jiff::civil::Date;
use lineman_model::{Description, EndpointPolicy, Integration};
use url::Url;

/// What the loader needs to know of the plugins on this machine.
pub trait Installed {
    /// The ids of every installed plugin; looking them up loads and reads nothing.
    fn ids(&self) -> Vec<String>;

    /// What an installed plugin says of itself; asked for enabled plugins alone.
    fn description(&self, id: &str) -> Option<&Description>;
}

/// Where environment variables are read from.
pub trait Environment: Send + Sync {
    /// The value of a variable, as the system holds it.
    fn var(&self, name: &str) -> Option<OsString>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn var(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }
}

impl Environment for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<OsString> {
        self.get(name).map(OsString::from)
    }
}

/// Everything that `lineman.toml` and the files that it includes say.
#[derive(Debug)]
pub struct Config {
    /// Where the platform itself works from.
    pub vantage: Vantage,
    /// Which plugins may be loaded, and what each is granted.
    pub plugins: Plugins,
    /// What no integration may do, whatever its own tables say.
    pub policy: Policy,
    /// What is kept of earlier runs.
    pub history: History,
    /// The integrations of all files, by name.
    pub integrations: Vec<Configured>,
    /// Findings that do not count for now.
    pub suppress: Vec<Suppression>,
    /// The files that were read, the main one first.
    pub files: Vec<PathBuf>,
}

/// `[vantage]`: where the platform itself works from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vantage {
    /// What the platform's place is called.
    pub name: Option<String>,
    /// The addresses that providers see the platform come from.
    pub egress_ips: Vec<IpNet>,
    /// An address that answers with its caller's address as text.
    pub echo_url: Option<Url>,
}

/// `[plugins]`: nothing else is ever loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugins {
    /// Ids of the enabled plugins, in the order of the file.
    pub enable: Vec<String>,
    /// The minisign public keys whose signatures count, as `minisign.pub` has them.
    pub trusted_keys: Vec<String>,
    /// Whether an enabled plugin must be signed by one of them.
    pub require_signatures: bool,
    /// `[plugins.ID]`, for those that have one.
    pub grants: BTreeMap<String, Grants>,
}

/// What a plugin may see beyond what every plugin may, and the limits that are lower for it.
///
/// A grant is the user's word and is kept, even when the plugin does not ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Environment variables that are passed to its worker.
    pub allow_env: Vec<String>,
    /// Absolute paths that its worker may read.
    pub allow_paths: Vec<PathBuf>,
    /// Limit of its worker's private memory, bytes.
    pub memory: Option<u64>,
    /// Limit of one of its checks, milliseconds.
    pub timeout_ms: Option<u64>,
    /// How many of its checks run at once.
    pub max_parallel: Option<u32>,
}

/// `[policy]`: what no integration may do, whoever wrote it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether no check may write at a provider, whatever `allow_writes` of an integration says.
    pub deny_writes: bool,
    /// Where secrets may be sent to.
    pub endpoints: EndpointPolicy,
}

/// `[history]`: what is kept of earlier runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Whether anything is.
    pub enabled: bool,
    /// Where, as an absolute path; the user's state directory when it is not said.
    pub directory: Option<PathBuf>,
    /// Where the key of the fingerprints is, when several machines share it.
    pub fingerprint_key: Option<SecretRef>,
    /// How old a run may get, days.
    pub keep_days: u32,
    /// How large the file may get, megabytes.
    pub max_mb: u32,
}

impl Default for History {
    fn default() -> History {
        History { enabled: true, directory: None, fingerprint_key: None, keep_days: 90, max_mb: 64 }
    }
}

/// One integration, and what the file says of it beyond what its plugin is told.
#[derive(Clone, Debug)]
pub struct Configured {
    /// What the plugin is told. The settings of `[defaults]` are merged in, paths in them are
    /// absolute, and the connection holds what the environment says of proxies and certificates.
    pub integration: Integration,
    /// Where each secret is.
    pub secrets: BTreeMap<String, SecretRef>,
    /// The secrets that the plugin cannot do without; not all need have a reference.
    pub required_secrets: Vec<String>,
    /// Where the proxy's address is, when it is itself a secret.
    pub proxy: Option<SecretRef>,
    /// Ids of the checks that may change something at the provider.
    pub allow_writes: Vec<String>,
    /// The absolute paths that its settings and its connection name: its plugin must be able to
    /// read them.
    pub paths: Vec<PathBuf>,
    /// Where the integration is written down.
    pub place: Place,
}

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Where a secret is. The file never holds the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRef {
    /// What holds it.
    pub source: SecretSource,
    /// Where it is within a JSON document that the source holds (RFC 6901).
    pub json_pointer: Option<String>,
}

/// What holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretSource {
    /// An environment variable, by name.
    Env(String),
    /// A file, by absolute path.
    File(PathBuf),
    /// The output of a program, by its arguments; no shell is involved.
    Command(Vec<String>),
}

/// `[[suppress]]`: a known finding that does not count until a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// The integration's name.
    pub integration: String,
    /// The finding's code.
    pub code: String,
    /// The last day.
    pub until: Date,
    /// Why.
    pub reason: String,
}
