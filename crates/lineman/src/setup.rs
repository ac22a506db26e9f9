//! From a configuration file to integrations that the engine can plan: which plugins are
//! installed, which are enabled, which integrations were asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use lineman_config::{Config, Configured, Environment, Installed as InstalledPlugins, ProcessEnvironment};
use lineman_engine::{Subject, Suppression, Unavailable};
use lineman_host::{Found, Installed, ManifestError, SearchPath, discover};
use lineman_model::{Cause, Description, Finding, PluginRef, SecretMap};

use crate::cli::{Common, Which};
use crate::failure::Failure;
use crate::grants::Access;

/// The plugins of this machine, and the descriptions of those that are used.
pub(crate) struct Plugins {
    pub(crate) found: Found,
    descriptions: BTreeMap<String, Arc<Description>>,
    unusable: BTreeMap<String, ManifestError>,
}

impl InstalledPlugins for Plugins {
    fn ids(&self) -> Vec<String> {
        self.found.plugins.keys().cloned().collect()
    }

    fn description(&self, id: &str) -> Option<&Description> {
        self.descriptions.get(id).map(|description| &**description)
    }
}

impl Plugins {
    /// Looks on the search path; reads manifests alone.
    pub(crate) fn find(common: &Common) -> Plugins {
        let executable = std::env::current_exe().unwrap_or_default();
        let path = SearchPath::new(&common.plugin_dir, &executable, |name| std::env::var(name).ok());
        Plugins { found: discover(&path), descriptions: BTreeMap::new(), unusable: BTreeMap::new() }
    }

    /// Reads the descriptions of some plugins. What others may change stops everything.
    pub(crate) fn read<'a>(&mut self, ids: impl IntoIterator<Item = &'a String>) -> Result<(), Failure> {
        for id in ids {
            let Some(installed) = self.found.plugins.get(id) else { continue };
            match installed.description() {
                Ok(description) => {
                    self.descriptions.insert(id.clone(), Arc::new(description));
                }
                Err(error) if error.untrusted => {
                    return Err(Failure::refused(format_args!("the plugin `{id}` is not trusted: {error}")));
                }
                Err(error) => {
                    self.unusable.insert(id.clone(), error);
                }
            }
        }
        Ok(())
    }

    /// Reads the descriptions of all plugins; one that cannot be used is left out.
    pub(crate) fn read_all(&mut self) {
        let ids: Vec<String> = self.found.plugins.keys().cloned().collect();
        for id in &ids {
            // One at a time, so that one that is not trusted does not hide the others.
            let _ = self.read([id]);
        }
    }

    /// The descriptions that were read.
    pub(crate) fn descriptions(&self) -> impl Iterator<Item = &Arc<Description>> {
        self.descriptions.values()
    }

    pub(crate) fn installed(&self, id: &str) -> Option<&Installed> {
        self.found.plugins.get(id)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Description>> {
        self.descriptions.get(id)
    }

    /// Why a plugin's description could not be read.
    pub(crate) fn problem(&self, id: &str) -> Option<&ManifestError> {
        self.unusable.get(id)
    }
}

/// A configuration that holds, and the plugins that it enables.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) plugins: Plugins,
}

impl Setup {
    /// Reads the configuration and the descriptions of the plugins that it enables.
    pub(crate) fn load(common: &Common) -> Result<Setup, Failure> {
        if !common.config.exists() {
            return Err(Failure::refused(format_args!(
                "there is no configuration `{}`: name it with `--config FILE`, or write one; `lineman plugin list` \
                 shows what it can enable, and `lineman plugin info ID` what each takes",
                common.config.display()
            )));
        }
        let enabled = lineman_config::enabled(&common.config)?;
        let mut plugins = Plugins::find(common);
        plugins.read(&enabled)?;
        let config = lineman_config::load(&common.config, &plugins, &ProcessEnvironment)?;
        Ok(Setup { config, plugins })
    }

    /// The integrations that were asked for, by name.
    pub(crate) fn select(&self, which: &Which) -> Result<Vec<&Configured>, Failure> {
        let all = &self.config.integrations;
        for name in &which.names {
            if !all.iter().any(|configured| configured.integration.name == *name) {
                let known = all.iter().map(|configured| configured.integration.name.as_str());
                return Err(Failure::refused(format_args!("no integration is called `{name}`{}", listed(known))));
            }
        }
        for provider in &which.provider {
            if !all.iter().any(|configured| configured.integration.provider == *provider) {
                let known = all.iter().map(|configured| configured.integration.provider.as_str());
                return Err(Failure::refused(format_args!(
                    "no integration has the provider `{provider}`{}",
                    listed(known)
                )));
            }
        }
        let chosen = |configured: &&Configured| {
            let it = &configured.integration;
            (which.names.is_empty() || which.names.contains(&it.name))
                && (which.provider.is_empty() || which.provider.contains(&it.provider))
                && which.label.iter().all(|(key, value)| it.labels.get(key) == Some(value))
        };
        let selected: Vec<&Configured> = all.iter().filter(chosen).collect();
        if selected.is_empty() {
            let problem =
                if all.is_empty() { "the configuration has no integration" } else { "no integration has these labels" };
            return Err(Failure::refused(problem));
        }
        Ok(selected)
    }

    /// An integration as the engine takes it.
    pub(crate) fn subject(
        &self,
        configured: &Configured,
        inputs: Result<SecretMap, Vec<Finding>>,
        policy: Vec<Finding>,
    ) -> Result<Subject, Box<Unavailable>> {
        let integration = configured.integration.clone();
        let id = integration.provider.clone();
        let plugin = match self.plugins.installed(&id) {
            Some(installed) => installed.plugin_ref(),
            None => PluginRef { id: id.clone(), ..PluginRef::default() },
        };
        match self.plugins.get(&id) {
            Some(description) => Ok(Subject {
                integration,
                plugin,
                description: Arc::clone(description),
                inputs,
                policy,
                allow_writes: !configured.allow_writes.is_empty(),
            }),
            None => {
                let why =
                    self.plugins.problem(&id).map_or_else(|| "it is not installed".to_owned(), ToString::to_string);
                let message = format!("The plugin `{id}` cannot be used: {why}.");
                let finding = Finding::new("lineman/plugin-incompatible", Cause::PluginIncompatible, message)
                    .subject("plugin", &id)
                    .remedy(
                        "Install the plugin in a version for this Lineman; `lineman plugin list` shows what is there.",
                    );
                Err(Box::new(Unavailable { integration, plugin, finding }))
            }
        }
    }

    /// Known findings that do not count, as the engine takes them.
    pub(crate) fn suppressions(&self) -> Vec<Suppression> {
        let suppressions = self.config.suppress.iter().map(|known| Suppression {
            integration: known.integration.clone(),
            code: known.code.clone(),
            until: known.until,
            reason: known.reason.clone(),
        });
        suppressions.collect()
    }

    /// The paths that a plugin may read: those that its selected integrations name, and those that
    /// it was granted.
    pub(crate) fn readable(&self, id: &str, selected: &[&Configured]) -> Vec<PathBuf> {
        let own = selected.iter().filter(|configured| configured.integration.provider == id);
        let granted = self.config.plugins.grants.get(id).map(|grants| &grants.allow_paths);
        own.flat_map(|configured| &configured.paths).chain(granted.into_iter().flatten()).cloned().collect()
    }

    /// What is worth saying before a run that stops nothing.
    pub(crate) fn warnings(&self) -> Vec<String> {
        Access::warnings(&self.config, |id| self.plugins.description(id), &ProcessEnvironment)
    }

    /// The environment variables that a plugin was granted and that are set.
    pub(crate) fn granted(&self, id: &str) -> Vec<(String, String)> {
        let grants = self.config.plugins.grants.get(id);
        let names = grants.into_iter().flat_map(|grants| &grants.allow_env);
        let value = |name: &String| ProcessEnvironment.var(name)?.into_string().ok();
        names.filter_map(|name| Some((name.clone(), value(name)?))).collect()
    }
}

fn listed<'a>(known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    match known.len() {
        0 => String::new(),
        1..=12 => format!("; there is {}", known.join(", ")),
        more => format!("; there are {more}, see `lineman list`"),
    }
}
