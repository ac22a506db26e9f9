use std::time::Duration;

use jiff::SignedDuration;
use lineman_model::{CaBundle, Connection, Description, Proxy, Secret};
use url::{ParseError, Url};

use crate::config::{Environment, SecretRef};
use crate::nearest::suggestion;
use crate::node::Node;
use crate::problem::Problem;
use crate::reference::{self, absolute};

/// The keys of `[integration.NAME.connection]`.
pub(crate) const KEYS: [&str; 7] =
    ["endpoint_url", "endpoints", "proxy", "no_proxy", "ca_file", "timeout", "allow_link_local"];

/// The schemes of proxies, as curl names them.
const PROXY_SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads how a provider is reached. What the file does not say, the environment may.
pub(crate) fn read(
    node: Option<&Node<'_>>,
    plugin: Option<&Description>,
    env: &dyn Environment,
) -> (Connection, Option<SecretRef>) {
    let mut connection = from_environment(env);
    let Some(node) = node.filter(|node| node.is_table()) else { return (connection, None) };
    node.only(&KEYS);
    connection.endpoint_url = node.get("endpoint_url").and_then(|url| read_url(&url));
    if let Some(endpoints) = node.get("endpoints").filter(Node::is_table) {
        for (name, at, url) in endpoints.children() {
            if let Some(plugin) = plugin {
                let known: Vec<&str> = plugin.services.iter().map(|service| service.name.as_str()).collect();
                if !known.contains(&name) {
                    let (provider, name, help) = (plugin.id.clone(), name.to_owned(), suggestion(name, &known));
                    node.mistakes.add(Some(at), Problem::UnknownService { provider, name, help });
                }
            }
            if let Some(url) = read_url(&url) {
                connection.endpoints.insert(name.to_owned(), url);
            }
        }
    }
    let mut proxy_ref = None;
    if let Some(proxy) = node.get("proxy") {
        connection.proxies.clear();
        if proxy.value.is_str() {
            connection.proxies.extend(read_proxy(&proxy).map(|url| proxy_for_all(Secret::new(url))));
        } else if proxy.value.is_table() {
            proxy_ref = reference::read(&proxy, env);
        } else {
            proxy.wrong_type("an address or a reference");
        }
    }
    if let Some(no_proxy) = node.get("no_proxy") {
        connection.no_proxy = read_no_proxy(&no_proxy);
    }
    if let Some(file) = node.get("ca_file") {
        connection.ca = file.text().map(|path| {
            let path = absolute(path, &file.source.directory(), env);
            let file = Some(path.to_string_lossy().into_owned());
            CaBundle { file, directory: None, chosen_by: "connection.ca_file".to_owned() }
        });
    }
    connection.timeout_ms = node.get("timeout").and_then(|timeout| read_duration(&timeout));
    connection.allow_link_local = node.get("allow_link_local").and_then(|value| value.boolean()).unwrap_or(false);
    (connection, proxy_ref)
}

/// The proxy that the configuration names.
pub(crate) fn proxy_for_all(url: Secret) -> Proxy {
    Proxy { scheme: "all".to_owned(), url, chosen_by: "connection.proxy".to_owned() }
}

/// The way to whatever the configuration says nothing of: the proxies and authorities of the
/// environment, read as curl reads it: the lower-case name first, and for `http`
/// the lower-case name alone, because a web server hands a request's `Proxy` header to a program
/// as `HTTP_PROXY`.
pub fn from_environment(env: &dyn Environment) -> Connection {
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| {
            let value = env.var(name)?.into_string().ok()?;
            (!value.is_empty()).then_some((*name, value))
        })
    };
    let proxies = [
        ("https", first(&["https_proxy", "HTTPS_PROXY"])),
        ("http", first(&["http_proxy"])),
        ("all", first(&["all_proxy", "ALL_PROXY"])),
    ];
    let proxies = proxies.into_iter().filter_map(|(scheme, found)| {
        let (name, value) = found?;
        let url = if value.contains("://") { value } else { format!("http://{value}") };
        Some(Proxy { scheme: scheme.to_owned(), url: Secret::new(url), chosen_by: name.to_owned() })
    });
    // A worker has another working directory.
    let path = |(name, value): (&'static str, String)| {
        let path = std::path::absolute(&value).map(|path| path.to_string_lossy().into_owned());
        (name, path.unwrap_or(value))
    };
    let (file, directory) = (first(&["SSL_CERT_FILE"]).map(path), first(&["SSL_CERT_DIR"]).map(path));
    let names: Vec<_> = [&file, &directory].into_iter().flatten().map(|(name, _)| *name).collect();
    let ca = (!names.is_empty()).then(|| CaBundle {
        file: file.map(|(_, path)| path),
        directory: directory.map(|(_, path)| path),
        chosen_by: names.join(", "),
    });
    let no_proxy = first(&["no_proxy", "NO_PROXY"]).map(|(_, value)| value);
    Connection { proxies: proxies.collect(), no_proxy, ca, ..Connection::default() }
}

fn bad_url(node: &Node<'_>, error: impl Into<String>) {
    let help = "for example \"https://api.example.com\"";
    node.report(Problem::BadUrl { what: node.path.clone(), error: error.into(), help });
}

/// Reads an address that can be asked over HTTP.
pub(crate) fn read_http_url(node: &Node<'_>) -> Option<Url> {
    let url = Url::parse(&read_url(node)?).ok()?;
    if matches!(url.scheme(), "http" | "https") {
        return Some(url);
    }
    bad_url(node, "its scheme is not http or https");
    None
}

/// Reads an absolute address with a host and without a password.
pub(crate) fn read_url(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    match Url::parse(text) {
        Ok(url) if url.password().is_some() => {
            let help = "take the password out and give it as a secret";
            node.report(Problem::PasswordInUrl { what: node.path.clone(), help });
            None
        }
        Ok(url) if url.has_host() => Some(text.to_owned()),
        Ok(_) => {
            bad_url(node, "it has no host");
            None
        }
        Err(ParseError::RelativeUrlWithoutBase) => {
            bad_url(node, "it does not begin with a scheme");
            None
        }
        Err(error) => {
            bad_url(node, error.to_string());
            None
        }
    }
}

fn read_proxy(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    match Url::parse(text) {
        Ok(url) if url.password().is_some() => {
            let help = "give the whole address as a reference: proxy = { env = \"NAME\" }";
            node.report(Problem::PasswordInUrl { what: node.path.clone(), help });
            None
        }
        Ok(url) if PROXY_SCHEMES.contains(&url.scheme()) && url.has_host() => Some(text.to_owned()),
        _ => {
            let help = "for example \"http://proxy.internal:3128\"";
            let error =
                format!("it does not begin with one of {} and name a host", PROXY_SCHEMES.join("://, ") + "://");
            node.report(Problem::BadUrl { what: node.path.clone(), error, help });
            None
        }
    }
}

/// Hosts as one text with commas, as in the variable, or as an array.
fn read_no_proxy(node: &Node<'_>) -> Option<String> {
    if let Some(text) = node.value.as_str() {
        return Some(text.to_owned());
    }
    let hosts: Vec<_> = node.texts().iter().filter_map(|host| host.value.as_str()).collect();
    Some(hosts.join(","))
}

pub(crate) fn read_duration(node: &Node<'_>) -> Option<u64> {
    // Of all that jiff reads, the short form alone: people should not meet three ways to say it.
    let is_short = |text: &&str| text.chars().all(|c| c.is_ascii_digit() || "hms".contains(c));
    let duration = node.value.as_str().filter(is_short).and_then(|text| text.parse::<SignedDuration>().ok());
    let milliseconds = duration
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST_TIMEOUT)
        .and_then(|duration| u64::try_from(duration.as_millis()).ok())
        .filter(|milliseconds| *milliseconds > 0);
    if milliseconds.is_none() {
        node.report(Problem::BadDuration { what: node.path.clone() });
    }
    milliseconds
}
