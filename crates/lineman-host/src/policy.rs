//! Which endpoints stored secrets may be sent to (promise 7): asked before a plugin gets them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use lineman_model::{Cause, Finding, Integration};
use serde_json::Value;

/// Looks at every address that an integration's configuration names, and refuses those that lead
/// to link-local addresses or the metadata services of clouds.
///
/// What a provider's usual endpoints resolve to is not asked here; plugins built with the SDK
/// refuse such addresses again when they connect.
pub async fn endpoints(integration: &Integration) -> Vec<Finding> {
    let connection = &integration.connection;
    if connection.allow_link_local {
        return Vec::new();
    }
    let mut named: Vec<(String, String)> = Vec::new();
    named.extend(connection.endpoint_url.iter().map(|url| ("/connection/endpoint_url".to_owned(), url.clone())));
    named.extend(connection.endpoints.iter().map(|(name, url)| (format!("/connection/endpoints/{name}"), url.clone())));
    for (name, value) in &integration.settings {
        if let Value::String(text) = value
            && text.contains("://")
        {
            named.push((format!("/settings/{name}"), text.clone()));
        }
    }
    let mut findings = Vec::new();
    for (pointer, url) in named {
        let Some(host) = host_of(&url).map(str::to_owned) else { continue };
        let asked = host.clone();
        let resolved = tokio::task::spawn_blocking(move || addresses(&asked));
        if let Some(address) = resolved.await.unwrap_or_default().into_iter().find(is_link_local) {
            let message = format!("The endpoint {host} leads to {address}, where no credential may be sent.");
            findings.push(
                Finding::new("lineman/endpoint-refused", Cause::ConfigEndpointWrong, message)
                    .pointer(pointer)
                    .remedy("Correct the address, or set `connection.allow_link_local = true` if it is meant."),
            );
        }
    }
    findings
}

/// The host of an address that names one: `scheme://[user@]host[:port]/…`.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => host.split(':').next(),
    }
    .filter(|host| !host.is_empty())
}

fn addresses(host: &str) -> Vec<IpAddr> {
    // A name that does not resolve leads nowhere; the path walk says so.
    (host, 0).to_socket_addrs().map(|addresses| addresses.map(|address| address.ip()).collect()).unwrap_or_default()
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_link_local_v4(*v4),
        IpAddr::V6(v6) => {
            let metadata = *v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            metadata || v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some_and(is_link_local_v4)
        }
    }
}

fn is_link_local_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || address == Ipv4Addr::new(100, 100, 100, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn secrets_do_not_go_to_metadata_services() {
        let check = async |url: &str, refused: bool| {
            let mut integration = Integration::default();
            integration.connection.endpoint_url = Some(url.to_owned());
            assert_eq!(!endpoints(&integration).await.is_empty(), refused, "{url}");
            integration.connection.allow_link_local = true;
            assert!(endpoints(&integration).await.is_empty());
        };
        check("http://169.254.169.254/latest", true).await;
        check("http://user@169.254.1.1:80", true).await;
        check("http://[fe80::1]/", true).await;
        check("http://[::ffff:169.254.169.254]:80/", true).await;
        check("http://[fd00:ec2::254]", true).await;
        check("http://127.0.0.1:5000", false).await;
        check("http://10.0.0.1/", false).await;
    }
}
