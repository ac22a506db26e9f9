//! From a configuration file to integrations that the engine can plan: which plugins are
//! installed, which are enabled, which integrations were asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lineman_config::{
    Config, Configured, Environment, Grants, Installed as InstalledPlugins, Plugins as Table, ProcessEnvironment,
};
use lineman_engine::{Subject, Suppression, Unavailable, Writes};
use lineman_host::{
    Found, Held, Installed, LockFile, ManifestError, PluginLimits, SearchPath, Trust, discover, guard_configuration,
    verify_libraries,
};
use lineman_model::{Cause, Description, Finding, PluginRef, SecretMap};

use crate::cli::{Common, TrustArgs, Which};
use crate::failure::Failure;
use crate::grants::Access;
use crate::{failure, trust};

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

    /// Lowers how many calls plugins take at once to what they are granted.
    fn limit(&mut self, grants: &BTreeMap<String, Grants>) {
        for (id, most) in grants.iter().filter_map(|(id, grants)| Some((id, grants.max_parallel?))) {
            if let Some(description) = self.descriptions.get_mut(id).filter(|it| it.max_parallel > most) {
                Arc::make_mut(description).max_parallel = most;
            }
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
    /// The lock file that is not written yet, where there was none.
    first_use: Option<(Trust, LockFile)>,
}

impl Setup {
    /// Reads the configuration and the descriptions of the plugins that it enables, for a command
    /// that starts no worker.
    pub(crate) fn load(common: &Common) -> Result<Setup, Failure> {
        Setup::read(common, |_, _| Ok(None))
    }

    /// The same for a command that does: before anything else is made of them, the plugins are
    /// held against their signatures and the lock file. [`admit`](Setup::admit) is the rest.
    pub(crate) fn load_to_run(common: &Common, args: TrustArgs) -> Result<Setup, Failure> {
        Setup::read(common, |plugins, table| {
            let trust = trust::of(common, table);
            let held = trust.hold(&trust::installed(plugins, &table.enable), args.locked);
            match held.map_err(|error| trust::refusal(&error, common))? {
                Held::AsAccepted => Ok(None),
                Held::First(lock) => Ok(Some((trust, lock))),
            }
        })
    }

    fn read(
        common: &Common,
        hold: impl FnOnce(&Plugins, &Table) -> Result<Option<(Trust, LockFile)>, Failure>,
    ) -> Result<Setup, Failure> {
        if !common.config.exists() {
            return Err(Failure::refused(format_args!(
                "there is no configuration `{}`: name it with `--config FILE`, or write one; `lineman plugin list` \
                 shows what it can enable, and `lineman plugin info ID` what each takes",
                common.config.display()
            )));
        }
        guard_configuration(&common.config).map_err(Failure::refused)?;
        let table = lineman_config::plugins(&common.config)?;
        let mut plugins = Plugins::find(common);
        if table.enable.iter().any(|id| plugins.installed(id).is_none()) {
            // The configuration's mistake may be a plugin's fault.
            plugins.found.problems.iter().for_each(|problem| failure::warn(&problem.to_string()));
        }
        let first_use = hold(&plugins, &table)?;
        plugins.read(&table.enable)?;
        let config = lineman_config::load(&common.config, &plugins, &ProcessEnvironment)?;
        for included in &config.files {
            guard_configuration(included).map_err(Failure::refused)?;
        }
        plugins.limit(&config.plugins.grants);
        Ok(Setup { config, plugins, first_use })
    }

    /// Lets the plugins of some integrations be loaded: their libraries are the ones that their
    /// manifests name. On the first use, what the plugins are is written down.
    pub(crate) fn admit(&self, common: &Common, selected: &[&Configured]) -> Result<(), Failure> {
        let used: BTreeSet<&str> = selected.iter().map(|it| it.integration.provider.as_str()).collect();
        let used: Vec<&Installed> = used.into_iter().filter_map(|id| self.plugins.installed(id)).collect();
        verify_libraries(&used).map_err(|error| trust::refusal(&error, common))?;
        let Some((trust, lock)) = self.first_use.as_ref().filter(|_| !self.config.plugins.enable.is_empty()) else {
            return Ok(());
        };
        let lock_file = trust.lock_file().display();
        match trust.write(lock) {
            Ok(()) => failure::note(&format!(
                "wrote {lock_file}, which holds the hashes of {}; keep it in version control",
                self.config.plugins.enable.join(", ")
            )),
            // Nothing protects the next run any more than this one.
            Err(error) => failure::warn(&format!(
                "{error}; so a plugin that changes will not be noticed (with --locked this would be refused)"
            )),
        }
        Ok(())
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
        fingerprints: BTreeMap<String, String>,
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
                fingerprints,
                writes: match self.config.policy.deny_writes {
                    true => Writes::Denied,
                    false => Writes::Named(configured.allow_writes.clone()),
                },
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

    /// The limits that are lower for a plugin than for others.
    pub(crate) fn limits(&self, id: &str) -> PluginLimits {
        let grants = self.config.plugins.grants.get(id);
        PluginLimits {
            memory: grants.and_then(|grants| grants.memory),
            timeout: grants.and_then(|grants| grants.timeout_ms).map(Duration::from_millis),
        }
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
