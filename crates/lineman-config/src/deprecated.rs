use std::collections::{BTreeMap, BTreeSet};

use lineman_model::{Description, Report};
use serde_json::Value;

use crate::config::{Config, Configured, Installed};
use crate::walk::walk;

/// The most names that one note lists.
const MOST_NAMES: usize = 3;

/// What a run uses of its plugins that they have deprecated: a note for each, once, however many
/// integrations use it.
///
/// A plugin says so with two words: `deprecated`, and `replaced_by` where something takes its
/// place. They stand on a check, on a rule of the catalog, and in the schema of a setting or
/// secret.
pub struct Deprecations<'a> {
    plugins: &'a dyn Installed,
    uses: BTreeMap<Use, BTreeSet<String>>,
}

/// One deprecated thing and how it is used.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    what: &'static str,
    how: &'static str,
    name: String,
    replaced_by: Option<String>,
}

impl<'a> Deprecations<'a> {
    /// Looks at what the configuration says of some integrations: settings, secrets, checks that
    /// may write, and findings that are suppressed.
    pub fn of(config: &Config, selected: &[&Configured], plugins: &'a dyn Installed) -> Deprecations<'a> {
        let mut found = Deprecations { plugins, uses: BTreeMap::new() };
        for configured in selected {
            let name = &configured.integration.name;
            let Some(plugin) = plugins.description(&configured.integration.provider) else { continue };
            found.settings(configured, plugin);
            let secrets = plugin.secrets.get("properties").unwrap_or(&Value::Null);
            for secret in configured.secrets.keys() {
                found.property(name, "secret", secret, secrets.get(secret));
            }
            for check in &configured.allow_writes {
                found.check(name, "allowed to write by", plugin, check);
            }
            for suppression in config.suppress.iter().filter(|it| it.integration == *name) {
                found.code(name, "suppressed by", plugin, &suppression.code);
            }
        }
        found
    }

    /// Looks at checks that the command line names, with the option that does.
    pub fn named(&mut self, option: &str, checks: &[String]) {
        for check in checks {
            let plugin = check.split_once('/').and_then(|(plugin, _)| self.plugins.description(plugin));
            if let Some(plugin) = plugin {
                self.check(option, "named by", plugin, check);
            }
        }
    }

    /// Looks at what was found.
    pub fn found(&mut self, report: &Report) {
        for integration in &report.integrations {
            let Some(plugin) = self.plugins.description(&integration.provider) else { continue };
            for finding in integration.findings() {
                self.code(&integration.name, "found in", plugin, &finding.code);
            }
        }
    }

    /// A sentence for each thing.
    pub fn notes(&self) -> Vec<String> {
        self.uses.iter().map(|(used, by)| sentence(used, by)).collect()
    }

    fn settings(&mut self, configured: &Configured, plugin: &Description) {
        let schema = Value::Object(plugin.settings.clone());
        let mut settings = Value::Object(configured.integration.settings.clone());
        walk(&schema, &mut settings, &mut |at, schema, _| {
            self.property(&configured.integration.name, "setting", at, Some(schema));
        });
    }

    fn check(&mut self, by: &str, how: &'static str, plugin: &Description, id: &str) {
        if let Some(check) = plugin.check(id).filter(|check| check.deprecated) {
            self.add(by, "check", how, id, check.replaced_by.clone());
        }
    }

    fn code(&mut self, by: &str, how: &'static str, plugin: &Description, code: &str) {
        let own = code.strip_prefix(&plugin.id).and_then(|rest| rest.strip_prefix('/'));
        let rules = plugin.catalog.get("rule").and_then(Value::as_array).into_iter().flatten();
        let rule = rules.filter(|_| own.is_some()).find(|rule| rule.get("code").and_then(Value::as_str) == own);
        if rule.is_some_and(is_deprecated) {
            let other = rule.and_then(replacement).map(|other| format!("{}/{other}", plugin.id));
            self.add(by, "code", how, code, other);
        }
    }

    fn property(&mut self, by: &str, what: &'static str, name: &str, said: Option<&Value>) {
        if let Some(said) = said.filter(|said| is_deprecated(said)) {
            self.add(by, what, "used by", name, replacement(said));
        }
    }

    fn add(&mut self, by: &str, what: &'static str, how: &'static str, name: &str, replaced_by: Option<String>) {
        let used = Use { what, how, name: name.to_owned(), replaced_by };
        self.uses.entry(used).or_default().insert(by.to_owned());
    }
}

fn is_deprecated(said: &Value) -> bool {
    said.get("deprecated").and_then(Value::as_bool) == Some(true)
}

fn replacement(said: &Value) -> Option<String> {
    said.get("replaced_by").and_then(Value::as_str).map(str::to_owned)
}

fn sentence(used: &Use, by: &BTreeSet<String>) -> String {
    let Use { what, how, name, replaced_by } = used;
    let remedy = replaced_by.as_ref().map(|other| format!("; use `{other}`")).unwrap_or_default();
    let mut who = by.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if by.len() > MOST_NAMES {
        who += &format!(" and {} more", by.len() - MOST_NAMES);
    }
    lineman_model::clean_line(&format!("the {what} `{name}` is deprecated{remedy} ({how} {who})"), 400)
}
