//! Which endpoints stored secrets may be sent to (promise 7): asked before a plugin gets them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs};
use std::time::Duration;

use lineman_model::{Cause, EndpointPolicy, Finding, Integration, Refused, is_guarded, is_host_name};
use serde_json::Value;
use url::{Host, Url};

/// How long a name may take to lead somewhere.
const LOOKUP: Duration = Duration::from_secs(5);

/// Where an integration's secrets may be sent to, and who says so.
struct Endpoint {
    /// Where the configuration names it; nothing when the plugin does.
    pointer: Option<String>,
    /// The host, or nothing when that cannot be told for sure.
    host: Option<String>,
    /// Whether it is known by its name alone.
    usual: bool,
}

/// Looks at every host that an integration may send secrets to, and refuses what `policy` does
/// not let through, and what leads to link-local addresses or the metadata services of clouds.
///
/// `usual` are the hosts that the plugin declares, with the settings filled in. Unless the policy
/// is about addresses, what they resolve to is not asked here; plugins built with the SDK refuse
/// link-local addresses again when they connect.
pub async fn endpoints(integration: &Integration, usual: &[String], policy: &EndpointPolicy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for endpoint in named(integration, usual) {
        if endpoint.host.as_ref().is_some_and(|host| !seen.insert(host.clone())) {
            continue;
        }
        let Some((message, remedy)) = objection(&endpoint, integration, policy).await else { continue };
        let finding = Finding::new("lineman/endpoint-refused", Cause::ConfigEndpointWrong, message).remedy(remedy);
        findings.push(match endpoint.pointer {
            Some(pointer) => finding.pointer(pointer),
            None => finding,
        });
    }
    findings
}

/// What speaks against an endpoint, and what to do about it.
async fn objection(
    endpoint: &Endpoint,
    integration: &Integration,
    policy: &EndpointPolicy,
) -> Option<(String, &'static str)> {
    const POLICY: &str = "Correct the address, or have `[policy]` in the main configuration file let it through.";
    let Some(host) = &endpoint.host else {
        let message = "The endpoint is written so that it cannot be told which host it means.";
        let decides = policy.allow.is_some() || !policy.deny.is_empty();
        return decides.then(|| (message.to_owned(), POLICY));
    };
    let looked_up = !endpoint.usual || policy.asks_for_addresses() || host.parse::<IpAddr>().is_ok();
    let addresses = if looked_up { addresses(host).await } else { Vec::new() };
    if !integration.connection.allow_link_local
        && let Some(address) = addresses.iter().find(|address| is_guarded(**address))
    {
        return Some((
            format!("The endpoint {host} leads to {address}, where no credential may be sent."),
            "Correct the address, or set `connection.allow_link_local = true` if it is meant.",
        ));
    }
    let message = match policy.refuses(host, &addresses)? {
        Refused::Denied(pattern) => {
            format!("The endpoint {host} is denied: `policy.deny_endpoints` has `{pattern}`.")
        }
        Refused::NotAllowed if looked_up && addresses.is_empty() => format!(
            "The endpoint {host} is not among `policy.allow_endpoints`, and its name leads to no address that could be."
        ),
        Refused::NotAllowed => format!("The endpoint {host} is not among `policy.allow_endpoints`."),
    };
    Some((message, POLICY))
}

/// Every endpoint of an integration: what the configuration names first, so that it is shown
/// where it is written.
fn named(integration: &Integration, usual: &[String]) -> Vec<Endpoint> {
    let connection = &integration.connection;
    let mut endpoints = Vec::new();
    let mut name = |pointer: String, url: &str| {
        endpoints.push(Endpoint { pointer: Some(pointer), host: host_of(url), usual: false });
    };
    connection.endpoint_url.iter().for_each(|url| name("/connection/endpoint_url".to_owned(), url));
    connection.endpoints.iter().for_each(|(service, url)| name(format!("/connection/endpoints/{service}"), url));
    // The proxy of the environment is the machine's own; one that the configuration names may be
    // anybody's, and may read what is not encrypted.
    let proxies = connection.proxies.iter().filter(|proxy| proxy.chosen_by == "connection.proxy");
    proxies.for_each(|proxy| name("/connection/proxy".to_owned(), proxy.url.expose()));
    for (key, value) in &integration.settings {
        texts(value, &mut format!("/settings/{key}"), &mut |pointer, text| {
            if text.contains("://") || is_scp_like(text) {
                name(pointer.to_owned(), text);
            }
        });
    }
    // Where a setting is not set, the plugin has no such endpoint.
    for host in usual.iter().filter(|host| !host.contains('{')) {
        endpoints.push(Endpoint { pointer: None, host: host_of(host), usual: true });
    }
    endpoints
}

/// Every text within a value, with the JSON pointer to it.
fn texts(value: &Value, pointer: &mut String, with: &mut dyn FnMut(&str, &str)) {
    let length = pointer.len();
    let mut step = |key: &dyn std::fmt::Display, value: &Value, pointer: &mut String| {
        pointer.push_str(&format!("/{key}"));
        texts(value, pointer, with);
        pointer.truncate(length);
    };
    match value {
        Value::String(text) => with(pointer, text),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| step(&at, item, pointer)),
        Value::Object(fields) => fields.iter().for_each(|(key, field)| step(key, field, pointer)),
        _ => {}
    }
}

/// `user@host:path`, as `scp` takes it and so does git.
fn is_scp_like(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, rest)| !user.contains(['/', ' ']) && rest.contains(':'))
}

/// The host of an address: a URL, `user@host:path`, or `host:port`. Nothing when one program might
/// read another host in it than the next.
fn host_of(address: &str) -> Option<String> {
    if address.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
        return None;
    }
    if address.contains("://") {
        return match Url::parse(address).ok()?.host()? {
            Host::Domain(name) => only_host(name),
            Host::Ipv4(address) => Some(address.to_string()),
            Host::Ipv6(address) => Some(address.to_string()),
        };
    }
    let rest = address.rsplit_once('@').filter(|_| is_scp_like(address)).map_or(address, |(_, rest)| rest);
    match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6.parse::<Ipv6Addr>().ok().map(|address| address.to_string()),
        None => only_host(rest.split(':').next()?),
    }
}

fn only_host(name: &str) -> Option<String> {
    is_host_name(name).then(|| name.to_ascii_lowercase())
}

/// What a host leads to. A name that does not resolve in time leads nowhere; the path walk says so.
async fn addresses(host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    let host = host.to_owned();
    let lookup = tokio::task::spawn_blocking(move || {
        let found = (host.as_str(), 0).to_socket_addrs();
        found.map(|found| found.map(|address| address.ip()).collect()).unwrap_or_default()
    });
    tokio::time::timeout(LOOKUP, lookup).await.ok().and_then(Result::ok).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use lineman_model::{Proxy, Secret};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn secrets_do_not_go_to_metadata_services() {
        let check = async |url: &str, refused: bool| {
            let mut integration = Integration::default();
            integration.connection.endpoint_url = Some(url.to_owned());
            let policy = EndpointPolicy::default();
            assert_eq!(!endpoints(&integration, &[], &policy).await.is_empty(), refused, "{url}");
            integration.connection.allow_link_local = true;
            assert!(endpoints(&integration, &[], &policy).await.is_empty());
        };
        check("http://169.254.169.254/latest", true).await;
        check("http://user@169.254.1.1:80", true).await;
        check("http://0xa9fea9fe/", true).await;
        check("ssh://0xa9fea9fe/", true).await;
        check("http://[fe80::1]/", true).await;
        check("http://[::ffff:169.254.169.254]:80/", true).await;
        check("http://[fd00:ec2::254]", true).await;
        check("http://168.63.129.16", true).await;
        check("http://[64:ff9b::a9fe:a9fe]", true).await;
        check("http://127.0.0.1:5000", false).await;
        check("http://10.0.0.1/", false).await;
    }

    #[tokio::test]
    async fn secrets_go_only_where_the_policy_lets_them() {
        let pattern = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
        let policy = EndpointPolicy {
            allow: Some(pattern(&["*.example.com", "127.0.0.0/8", "localhost"])),
            deny: pattern(&["evil.example.com", "127.6.6.6"]),
        };
        let check = async |change: &dyn Fn(&mut Integration), usual: &[&str], refused: &[&str]| {
            let mut integration = Integration::default();
            change(&mut integration);
            let usual: Vec<String> = usual.iter().map(|host| (*host).to_owned()).collect();
            let found = endpoints(&integration, &usual, &policy).await;
            let pointers: Vec<_> = found
                .iter()
                .map(|finding| finding.subject.as_ref().and_then(|it| it.pointer.as_deref()).unwrap_or("usual"))
                .collect();
            assert_eq!(pointers, refused, "{integration:?} {found:?}");
        };
        let nothing = |_: &mut Integration| {};
        let url = |url: &'static str| move |it: &mut Integration| it.connection.endpoint_url = Some(url.to_owned());
        let setting =
            |value: Value| move |it: &mut Integration| _ = it.settings.insert("url".to_owned(), value.clone());
        check(&nothing, &["api.example.com:443", "{bucket}.elsewhere.net:443"], &[]).await;
        check(&nothing, &["api.example.net:443"], &["usual"]).await;
        // What a setting adds must not move the host.
        check(&nothing, &["api.evil.net/.example.com:443"], &["usual"]).await;
        check(&nothing, &["api.evil.net#.example.com:443"], &["usual"]).await;
        check(&nothing, &["evil.example.com:443"], &["usual"]).await;
        check(&nothing, &["127.0.0.1:443", "127.6.6.6:443", "192.0.2.1:22"], &["usual", "usual"]).await;
        check(&url("https://api.example.com/x"), &[], &[]).await;
        check(&url("https://user@API.EXAMPLE.COM./x"), &[], &[]).await;
        check(&url("https://api.example.com@192.0.2.1/"), &[], &["/connection/endpoint_url"]).await;
        check(&url("https://192.0.2.1\\@api.example.com/"), &[], &["/connection/endpoint_url"]).await;
        check(&url("http://localhost:5000"), &["localhost:5000"], &[]).await;
        let service = |it: &mut Integration| {
            it.connection.endpoints.insert("tokens".to_owned(), "https://192.0.2.1".to_owned());
        };
        check(&service, &[], &["/connection/endpoints/tokens"]).await;
        check(&setting(json!("git@git.example.com:x.git")), &[], &[]).await;
        check(&setting(json!("git@192.0.2.1:x.git")), &[], &["/settings/url"]).await;
        check(&setting(json!("ssh://git@192.0.2.1/x.git")), &[], &["/settings/url"]).await;
        check(&setting(json!([{ "deep": "https://192.0.2.1" }])), &[], &["/settings/url/0/deep"]).await;
        check(&setting(json!("no address")), &[], &[]).await;
        let proxy = |chosen_by: &'static str| {
            move |it: &mut Integration| {
                let url = Secret::new("http://user:word@192.0.2.1:3128");
                it.connection.proxies.push(Proxy { scheme: "all".to_owned(), url, chosen_by: chosen_by.to_owned() });
            }
        };
        check(&proxy("connection.proxy"), &[], &["/connection/proxy"]).await;
        check(&proxy("HTTPS_PROXY"), &[], &[]).await;
    }
}
