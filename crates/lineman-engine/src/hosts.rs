//! Which hosts an integration talks to, as far as that can be said without asking anyone.

use lineman_model::{Description, Integration};
use serde_json::Value;
use url::Url;

/// The hosts and ports of an integration: those that its connection sets, else those that the
/// plugin declares, with the settings filled in.
pub fn of(description: &Description, integration: &Integration) -> Vec<String> {
    let connection = &integration.connection;
    let mut hosts: Vec<String> = match &connection.endpoint_url {
        Some(url) => vec![authority(url)],
        None => description.hosts.iter().map(|host| authority(&fill(host, description, integration))).collect(),
    };
    hosts.extend(connection.endpoints.values().map(|url| authority(url)));
    let mut seen = std::collections::BTreeSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}

/// Puts the settings, or the defaults that the plugin's schema declares, in place of `{name}`.
fn fill(template: &str, description: &Description, integration: &Integration) -> String {
    let setting = |name: &str| {
        let default = || description.settings.get("properties")?.get(name)?.get("default");
        match integration.settings.get(name).or_else(default)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, tail)| Some((before, tail.split_once('}')?)))
    {
        filled.push_str(before);
        filled.push_str(&setting(name).unwrap_or_else(|| format!("{{{name}}}")));
        rest = after;
    }
    filled + rest
}

/// `host:port` of an address, be it a URL, the `user@host:path` of ssh, or `host:port` already.
pub(crate) fn authority(address: &str) -> String {
    if address.contains("://") {
        let url = Url::parse(address).ok();
        let host = url.as_ref().and_then(|url| Some((url.host_str()?, port(url))));
        return match host {
            Some((host, Some(port))) => format!("{host}:{port}"),
            Some((host, None)) => host.to_owned(),
            None => address.to_owned(),
        };
    }
    match address.split_once('@').and_then(|(_, rest)| rest.split_once(':')) {
        Some((host, _)) => format!("{host}:22"),
        None => address.to_owned(),
    }
}

fn port(url: &Url) -> Option<u16> {
    url.port_or_known_default().or(match url.scheme() {
        "ssh" | "git+ssh" => Some(22),
        "git" => Some(9418),
        _ => None,
    })
}
