use std::collections::BTreeMap;
use std::path::Path;

use ipnet::IpNet;
use jiff::civil::Date;
use lineman_model::{Description, clean_line};
use toml::de::DeValue;

use crate::config::{Config, Configured, Environment, Grants, Installed, Plugins, Suppression, Vantage};
use crate::error::{At, ConfigError, Mistakes};
use crate::nearest::{list, nearest, quoted, suggestion};
use crate::node::Node;
use crate::problem::Problem;
use crate::reference::{absolute, read_variable};
use crate::settings::Shapes;
use crate::source::{Document, Source};
use crate::{connection, history, include, integration, policy};

/// The keys of the main file.
pub(crate) const KEYS: [&str; 9] =
    ["version", "include", "plugins", "policy", "history", "vantage", "defaults", "integration", "suppress"];
/// The keys that an included file may not have: what the whole run is granted is said once.
const MAIN_FILE_ONLY: [&str; 5] = ["plugins", "policy", "history", "vantage", "defaults"];
pub(crate) const VANTAGE_KEYS: [&str; 3] = ["name", "egress_ips", "echo_url"];
pub(crate) const DEFAULTS_KEYS: [&str; 1] = ["settings"];
pub(crate) const SUPPRESS_KEYS: [&str; 4] = ["integration", "code", "until", "reason"];

/// The ids of the plugins that a configuration enables: the first of two steps, so that the host
/// reads the descriptions of these plugins and no others.
///
/// # Errors
///
/// As of [`plugins`].
pub fn enabled(path: &Path) -> Result<Vec<String>, ConfigError> {
    Ok(plugins(path)?.enable)
}

/// Which plugins a configuration enables and whose signatures it trusts, without what each is
/// granted: enough to decide whether their descriptions may be read.
///
/// # Errors
///
/// When the file cannot be read, is not TOML, or these keys of `[plugins]` are wrong.
pub fn plugins(path: &Path) -> Result<Plugins, ConfigError> {
    let mistakes = Mistakes::default();
    let sources: Vec<Source> = Source::open(path, 0, None, &mistakes).into_iter().collect();
    let document = sources.first().and_then(Source::document);
    let table = document.as_ref().and_then(|document| document.root(&mistakes).get("plugins"));
    let mut plugins = table.as_ref().map(policy::read_signatures).unwrap_or_default();
    plugins.enable = table.iter().flat_map(read_enable).map(|(id, _)| id).collect();
    drop(table);
    drop(document);
    mistakes.verdict(&sources, plugins)
}

/// Reads a configuration file and everything that it includes.
///
/// `installed` is asked for the descriptions of enabled plugins alone. Secrets are not looked at;
/// that is what [`resolve`](crate::resolve()) does.
///
/// # Errors
///
/// Every mistake that was found, in the order of the files.
pub fn load(path: &Path, installed: &dyn Installed, env: &dyn Environment) -> Result<Config, ConfigError> {
    let mistakes = Mistakes::default();
    let sources = include::open(path, &mistakes);
    read(&sources, mistakes, installed, env)
}

/// Reads sources that are open, with the mistakes that were made until then.
pub(crate) fn read(
    sources: &[Source],
    mistakes: Mistakes,
    installed: &dyn Installed,
    env: &dyn Environment,
) -> Result<Config, ConfigError> {
    let all_were_read = mistakes.is_empty();
    let documents: Vec<Document<'_>> = sources.iter().filter_map(Source::document).collect();
    let roots: Vec<Node<'_>> = documents.iter().map(|document| document.root(&mistakes)).collect();
    let config = Reader { installed, env }.read(&roots, sources, all_were_read);
    drop(roots);
    drop(documents);
    mistakes.verdict(sources, config)
}

/// What is known of the providers that integrations may name.
pub(crate) struct Providers<'a> {
    enabled: &'a [String],
    installed: &'a dyn Installed,
    /// By id; a plugin without a usable schema has none.
    shapes: BTreeMap<String, Shapes>,
    defaults: BTreeMap<String, Node<'a>>,
}

impl<'a> Providers<'a> {
    pub(crate) fn plugin(&self, id: &str) -> Option<&'a Description> {
        self.installed.description(id)
    }

    pub(crate) fn shapes(&self, id: &str) -> Option<&Shapes> {
        self.shapes.get(id)
    }

    /// `[defaults.ID.settings]`.
    pub(crate) fn defaults(&self, id: &str) -> Option<&Node<'a>> {
        self.defaults.get(id)
    }

    /// Whether a provider is enabled; reports it when not.
    pub(crate) fn check_enabled(&self, id: &str, node: &Node<'_>) -> bool {
        check_enabled(id, self.enabled, self.installed, node)
    }
}

fn check_enabled(id: &str, enabled: &[String], installed: &dyn Installed, node: &Node<'_>) -> bool {
    if enabled.iter().any(|enabled| enabled == id) {
        return true;
    }
    let ids = installed.ids();
    if ids.iter().any(|known| known == id) {
        let help = format!("add it to `enable` in `[plugins]`, or: lineman plugin enable {id}");
        node.report(Problem::NotEnabled { id: id.to_owned(), help });
    } else {
        node.report(not_installed(id, &ids));
    }
    false
}

fn not_installed(id: &str, ids: &[String]) -> Problem {
    let mut ids = ids.to_vec();
    ids.sort();
    let near = nearest(id, ids.iter().map(String::as_str)).map(|near| format!("did you mean {}? ", quoted(near)));
    let known = if ids.is_empty() { "none is installed".to_owned() } else { format!("installed: {}", list(&ids)) };
    Problem::NotInstalled { id: clean_line(id, 100), help: near.unwrap_or_default() + &known }
}

/// Reads the files once they are open.
struct Reader<'a> {
    installed: &'a dyn Installed,
    env: &'a dyn Environment,
}

impl Reader<'_> {
    fn read(&self, roots: &[Node<'_>], sources: &[Source], all_were_read: bool) -> Config {
        for root in roots {
            self.top_level(root);
        }
        // Only the main file may hold these; when it could not be read, there is nothing to say.
        let main = roots.first().filter(|root| root.source.index == 0);
        let plugins = main.and_then(|main| main.get("plugins"));
        let (plugins, shapes) = plugins.map(|plugins| self.plugins(&plugins)).unwrap_or_default();
        let vantage = main.and_then(|main| main.get("vantage")).map(|node| read_vantage(&node)).unwrap_or_default();
        let policy = main.and_then(|main| main.get("policy")).map(|node| policy::read(&node)).unwrap_or_default();
        let history = main.and_then(|main| main.get("history"));
        let history = history.map(|node| history::read(&node, self.env)).unwrap_or_default();
        let defaults = main.and_then(|main| main.get("defaults"));
        let providers = self.providers(&plugins.enable, shapes, defaults);
        let mut integrations: BTreeMap<&str, (At, Option<Configured>)> = BTreeMap::new();
        for table in roots.iter().filter_map(|root| root.get("integration")).filter(Node::is_table) {
            for (name, key, node) in table.children() {
                if let Some((first, _)) = integrations.get(name) {
                    let name = clean_line(name, 100);
                    let first = (first.clone(), Problem::FirstDefinition);
                    node.mistakes.add_with(key, Problem::DuplicateIntegration { name }, first);
                    continue;
                }
                let configured = integration::read(name, &key, &node, &providers, self.env);
                integrations.insert(name, (key, configured));
            }
        }
        let names: Vec<&str> = integrations.keys().copied().collect();
        let suppress = roots.iter().filter_map(|root| root.get("suppress")).flat_map(|node| node.array("tables"));
        // A name may well be in the file that could not be read.
        let suppress = suppress.filter_map(|node| read_suppression(&node, all_were_read.then_some(&names))).collect();
        Config {
            vantage,
            plugins,
            policy,
            history,
            integrations: integrations.into_values().filter_map(|(_, configured)| configured).collect(),
            suppress,
            files: sources.iter().map(|source| source.path.clone()).collect(),
        }
    }

    fn top_level(&self, root: &Node<'_>) {
        root.only(&KEYS);
        let is_main = root.source.index == 0;
        let version = if is_main {
            root.require("version", Some("begin the file with `version = 1`"))
        } else {
            root.get("version")
        };
        if let Some(version) = version {
            match version.value {
                DeValue::Integer(number) if number.as_str() == "1" => {}
                DeValue::Integer(number) => {
                    version.report(Problem::Version { version: clean_line(&number.to_string(), 30) });
                }
                _ => version.wrong_type("an integer"),
            }
        }
        for key in MAIN_FILE_ONLY.iter().filter(|_| !is_main) {
            if let Some((at, _)) = root.get_with_key(key) {
                root.mistakes.add(Some(at), Problem::MainFileOnly { key: format!("`{key}`") });
            }
        }
    }

    fn plugins(&self, node: &Node<'_>) -> (Plugins, BTreeMap<String, Shapes>) {
        let mut enable = Vec::new();
        let mut shapes = BTreeMap::new();
        let ids = self.installed.ids();
        for (id, at) in read_enable(node) {
            if enable.contains(&id) {
                continue;
            }
            let declared = match self.installed.description(&id) {
                _ if !ids.contains(&id) => Err(not_installed(&id, &ids)),
                None => Err(Problem::NoDescription { id: id.clone() }),
                Some(plugin) => Shapes::new(plugin),
            };
            match declared {
                Ok(declared) => _ = shapes.insert(id.clone(), declared),
                Err(problem) => node.mistakes.add(Some(at), problem),
            }
            enable.push(id);
        }
        let mut grants = BTreeMap::new();
        let tables = if node.value.is_table() { node.children() } else { Vec::new() };
        for (key, at, table) in tables.into_iter().filter(|(key, _, _)| !policy::PLUGINS_KEYS.contains(key)) {
            if !enable.iter().any(|id| id == key) {
                let known = policy::PLUGINS_KEYS.into_iter().chain(enable.iter().map(String::as_str));
                let known: Vec<&str> = known.collect();
                node.unknown_key(key, at, suggestion(key, &known));
            } else if table.is_table() {
                grants.insert(key.to_owned(), self.grants(&table));
            }
        }
        (Plugins { enable, grants, ..policy::read_signatures(node) }, shapes)
    }

    fn grants(&self, node: &Node<'_>) -> Grants {
        node.only(&policy::GRANT_KEYS);
        let texts = |key| node.get(key).map(|node| node.texts()).unwrap_or_default();
        let directory = node.source.directory();
        Grants {
            allow_env: texts("allow_env").iter().filter_map(read_variable).collect(),
            allow_paths: texts("allow_paths")
                .iter()
                .filter_map(|path| Some(absolute(path.value.as_str()?, &directory, self.env)))
                .collect(),
            ..policy::read_limits(node)
        }
    }

    fn providers<'a>(
        &'a self,
        enabled: &'a [String],
        shapes: BTreeMap<String, Shapes>,
        defaults: Option<Node<'a>>,
    ) -> Providers<'a> {
        let mut tables = BTreeMap::new();
        for (id, at, node) in defaults.filter(Node::is_table).map(|node| node.children()).unwrap_or_default() {
            let key = Node { span: at.span, ..node.clone() };
            if !check_enabled(id, enabled, self.installed, &key) || !node.is_table() {
                continue;
            }
            node.only(&DEFAULTS_KEYS);
            if let Some(settings) = node.get("settings").filter(Node::is_table) {
                tables.insert(id.to_owned(), settings);
            }
        }
        Providers { enabled, installed: self.installed, shapes, defaults: tables }
    }
}

/// `plugins.enable`, each id with its place.
fn read_enable(plugins: &Node<'_>) -> Vec<(String, At)> {
    if !plugins.is_table() {
        return Vec::new();
    }
    let mut ids = Vec::new();
    for item in plugins.get("enable").map(|enable| enable.texts()).unwrap_or_default() {
        let id = item.value.as_str().unwrap_or_default();
        // An id becomes part of a path.
        if id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            ids.push((id.to_owned(), item.at()));
        } else {
            let help = "lower-case letters, digits and hyphens";
            item.report(Problem::BadName { what: "a plugin", name: clean_line(id, 100), help });
        }
    }
    ids
}

fn read_vantage(node: &Node<'_>) -> Vantage {
    if !node.is_table() {
        return Vantage::default();
    }
    node.only(&VANTAGE_KEYS);
    let mut egress_ips = Vec::new();
    for item in node.get("egress_ips").map(|ips| ips.texts()).unwrap_or_default() {
        let text = item.value.as_str().unwrap_or_default();
        let network = text.parse::<IpNet>().ok().or_else(|| Some(IpNet::from(text.parse::<std::net::IpAddr>().ok()?)));
        match network {
            Some(network) => egress_ips.push(network),
            None => item.report(Problem::BadNetwork { what: item.path.clone() }),
        }
    }
    let name = node.get("name").and_then(|name| name.text()).map(str::to_owned);
    Vantage { name, egress_ips, echo_url: node.get("echo_url").and_then(|url| connection::read_http_url(&url)) }
}

fn read_suppression(node: &Node<'_>, names: Option<&Vec<&str>>) -> Option<Suppression> {
    if !node.is_table() {
        return None;
    }
    node.only(&SUPPRESS_KEYS);
    let integration = node.require("integration", None);
    let code = node.require("code", None);
    let until = node.require("until", Some("the last day, for example 2027-01-31"));
    let reason = node.require("reason", Some("say why, for whoever reads the report"));
    let integration = integration.and_then(|integration| {
        let name = integration.text()?;
        if let Some(names) = names
            && !names.contains(&name)
        {
            let (help, name) = (suggestion(name, names), clean_line(name, 100));
            integration.report(Problem::UnknownIntegration { name, help });
        }
        Some(name.to_owned())
    });
    let code = code.and_then(|code| {
        let text = code.text()?;
        if !is_code(text) {
            code.report(Problem::BadCode { what: code.path.clone() });
        }
        Some(text.to_owned())
    });
    let until = until.and_then(|until| read_date(&until));
    let reason = reason.and_then(|reason| reason.text()).map(str::to_owned);
    Some(Suppression { integration: integration?, code: code?, until: until?, reason: reason? })
}

/// `<plugin>/<kebab-case>`.
fn is_code(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    text.split_once('/').is_some_and(|(plugin, name)| is_word(plugin) && is_word(name))
}

/// A day: TOML's own, or the same in quotes.
fn read_date(node: &Node<'_>) -> Option<Date> {
    let date = match node.value {
        DeValue::Datetime(value) if value.time.is_none() && value.offset.is_none() => value.to_string().parse().ok(),
        DeValue::String(text) => text.parse().ok(),
        _ => None,
    };
    if date.is_none() {
        node.report(Problem::BadDate { what: node.path.clone() });
    }
    date
}
