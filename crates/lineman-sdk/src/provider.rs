use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use lineman_model::{Blocking, CheckInfo, Finding, Level, ProviderCall, ServiceInfo};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Cx, Outcome, Transport};

/// A provider: what a plugin author implements, on an empty struct.
pub trait Provider: Sized + Send + Sync + 'static {
    /// `[integration.NAME.settings]`. Its JSON Schema is published, so that a wrong setting is
    /// shown in the configuration file before anything runs.
    type Settings: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// `[integration.NAME.secrets]`: a struct of [`Secret`](crate::Secret)s and options of them.
    type Secrets: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// The words of an entry of `[[integration.NAME.requires]]`, beside its `id`: what the platform
    /// can mean to do through an integration. A struct of options serves best, since a word that it
    /// does not have is shown in the configuration file; [`NoRequirement`] has none.
    type Requirement: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// What the checks of one integration share, such as a token that was obtained. Checks may
    /// run in a fresh session at any time, so it is filled when it is asked for
    /// ([`Once`](crate::Once)), never by a check that happens to run first. Use `()` for nothing.
    type Session: Default + Send + Sync + 'static;

    /// Who this plugin is.
    fn about() -> About;

    /// Completes the way to the provider where settings or secrets have a say in it: a client
    /// certificate, authorities that come with the credential. Asked once for an integration,
    /// before its first check.
    ///
    /// # Errors
    ///
    /// The finding stands for every check of the integration.
    fn transport(
        _settings: &Self::Settings,
        _secrets: &Self::Secrets,
        _way: &mut Transport,
    ) -> Result<(), Box<Finding>> {
        Ok(())
    }

    /// What it can check, in the order in which it is shown.
    fn checks() -> Vec<Check<Self>>;
}

/// The [`Provider::Requirement`] of a plugin that proves none.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoRequirement {}

/// A requirement of an integration.
#[derive(Clone, Debug)]
pub struct Required<T> {
    /// Unique within the integration; what [`Cx::requirement`] is told.
    pub id: String,
    /// The plugin's own words.
    pub words: T,
}

/// What a plugin says of itself, beside its checks.
#[derive(Clone, Debug)]
pub struct About {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) version: &'static str,
    pub(crate) publisher: &'static str,
    pub(crate) catalog: &'static str,
    pub(crate) example: &'static str,
    pub(crate) docs_url: Option<&'static str>,
    pub(crate) services: Vec<ServiceInfo>,
    pub(crate) hosts: Vec<String>,
    pub(crate) programs: Vec<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) max_parallel: u32,
}

impl About {
    /// A plugin's id (which is the provider's id in the configuration), the provider's name as
    /// people write it, and the plugin's version: `env!("CARGO_PKG_VERSION")`.
    pub fn new(id: &'static str, title: &'static str, version: &'static str) -> About {
        About {
            id,
            title,
            version,
            publisher: "",
            catalog: "",
            example: "",
            docs_url: None,
            services: Vec::new(),
            hosts: Vec::new(),
            programs: Vec::new(),
            environment: Vec::new(),
            paths: Vec::new(),
            max_parallel: 256,
        }
    }

    /// Who ships the plugin.
    pub fn publisher(mut self, publisher: &'static str) -> About {
        self.publisher = publisher;
        self
    }

    /// The catalog of known failures: `include_str!("../catalog.toml")`.
    pub fn catalog(mut self, toml: &'static str) -> About {
        self.catalog = toml;
        self
    }

    /// A configuration to begin with, a whole `lineman.toml`: `include_str!("../example.toml")`.
    /// It stands at the top of the plugin's page.
    pub fn example(mut self, toml: &'static str) -> About {
        self.example = toml;
        self
    }

    /// Where the plugin's own documentation is.
    pub fn docs(mut self, url: &'static str) -> About {
        self.docs_url = Some(url);
        self
    }

    /// A service whose endpoint `[connection.endpoints]` may set.
    pub fn service(mut self, name: &str, about: &str) -> About {
        self.services.push(ServiceInfo { name: name.to_owned(), about: about.to_owned() });
        self
    }

    /// A host and port that it talks to; settings may stand in braces: `sts.{region}.example.com:443`.
    pub fn host(mut self, host: &str) -> About {
        self.hosts.push(host.to_owned());
        self
    }

    /// A program that it runs with [`Cx::program`]. The host finds it.
    pub fn program(mut self, name: &str) -> About {
        self.programs.push(name.to_owned());
        self
    }

    /// An environment variable that it would like to see. None is passed unless granted.
    pub fn environment(mut self, name: &str) -> About {
        self.environment.push(name.to_owned());
        self
    }

    /// A path that it would like to read, beyond settings of format `path`; `~/` is the user's home.
    /// None is open unless granted.
    pub fn path(mut self, path: &str) -> About {
        self.paths.push(path.to_owned());
        self
    }

    /// How many checks it runs at once; 256 unless set.
    pub fn max_parallel(mut self, calls: u32) -> About {
        self.max_parallel = calls;
        self
    }
}

pub(crate) type CheckFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type CheckFn<P> = Arc<dyn Fn(Cx<P>) -> CheckFuture + Send + Sync>;

/// One check: a name, what it proves, and the function that proves it.
pub struct Check<P: Provider> {
    pub(crate) info: CheckInfo,
    pub(crate) run: CheckFn<P>,
}

impl<P: Provider> Check<P> {
    /// A check with a kebab-case name, the level that it proves and a short statement of what a
    /// pass means: `Check::new("identity", Level::Identity, "The token is accepted", identity)`.
    pub fn new<F, Fut>(name: &str, level: Level, title: &str, run: F) -> Check<P>
    where
        F: Fn(Cx<P>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let info = CheckInfo {
            id: name.to_owned(),
            title: title.to_owned(),
            level,
            needs: Vec::new(),
            required: true,
            writes: false,
            explains: false,
            blocking: Blocking::No,
            calls: Vec::new(),
            deprecated: false,
            replaced_by: None,
        };
        Check { info, run: Arc::new(move |cx| Box::pin(run(cx))) }
    }

    /// Names of the checks that must have passed before this one makes sense.
    pub fn needs<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Check<P> {
        self.info.needs.extend(names.into_iter().map(str::to_owned));
        self
    }

    /// The check does not count for the verdict.
    pub fn optional(mut self) -> Check<P> {
        self.info.required = false;
        self
    }

    /// The check changes something at the provider: it runs only when the configuration asks.
    pub fn writes(mut self) -> Check<P> {
        self.info.writes = true;
        self
    }

    /// The check is there for those who use it by name, and another one takes its place, if there
    /// is one. It goes on to run; whoever names it is told.
    ///
    /// A setting or secret is deprecated in its schema, with the same words:
    /// `#[schemars(extend("deprecated" = true, "replaced_by" = "region"))]`; a code in the catalog:
    /// `deprecated = true` and `replaced_by = "token-unknown"` in its rule.
    pub fn deprecated<'a>(mut self, replaced_by: impl Into<Option<&'a str>>) -> Check<P> {
        self.info.deprecated = true;
        self.info.replaced_by = replaced_by.into().map(str::to_owned);
        self
    }

    /// The check looks for something that explains the failures of the others, such as an open
    /// incident ([`Feed`](crate::Feed)): it runs when they are over, and only where there is
    /// something to explain or it is asked for by name.
    pub fn explains(mut self) -> Check<P> {
        self.info.explains = true;
        self.optional()
    }

    /// The check blocks its thread, and so gets one of its own.
    pub fn blocking(mut self) -> Check<P> {
        self.info.blocking = Blocking::Yes;
        self
    }

    /// A call that it makes at the provider, and the permission that the call needs.
    pub fn calls<'a>(mut self, call: &str, permission: impl Into<Option<&'a str>>) -> Check<P> {
        let permission = permission.into().map(str::to_owned);
        self.info.calls.push(ProviderCall { call: call.to_owned(), permission });
        self
    }
}
