//! Which endpoints stored secrets may be sent to, as the configuration says it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// What a worker may use of private memory, bytes; a configuration can only lower it.
pub const WORKER_MEMORY: u64 = 1024 * 1024 * 1024;

/// The endpoints of `[policy]`. What is denied is denied; where something is allowed, everything
/// else is denied as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointPolicy {
    /// `allow_endpoints`, where it is set.
    pub allow: Option<Vec<EndpointPattern>>,
    /// `deny_endpoints`.
    pub deny: Vec<EndpointPattern>,
}

/// Hosts by their name, or by the addresses that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointPattern {
    /// This host, in lower case: `api.example.com`.
    Host(String),
    /// Every host below a domain, however deep; the domain in lower case: `*.example.com`.
    Below(String),
    /// Every host that leads into this network: `10.0.0.0/8`, `203.0.113.7`.
    Network(IpNet),
}

/// Why a policy refuses an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A pattern of `deny_endpoints` fits.
    Denied(EndpointPattern),
    /// None of `allow_endpoints` fits.
    NotAllowed,
}

/// Text that is no pattern of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a host, nor `*.` and a domain, nor an address or a network")]
pub struct NoPattern;

impl EndpointPolicy {
    /// Whether it decides by where a name leads to, so that names must be looked up for it.
    pub fn asks_for_addresses(&self) -> bool {
        let patterns = self.allow.iter().flatten().chain(&self.deny);
        patterns.into_iter().any(|pattern| matches!(pattern, EndpointPattern::Network(_)))
    }

    /// Why secrets may not go to a host, of which these are the addresses.
    ///
    /// One address in a denied network is enough to be refused; to be allowed by networks, all
    /// have to lie in them. A host without addresses lies in none.
    pub fn refuses(&self, host: &str, addresses: &[IpAddr]) -> Option<Refused> {
        if let Some(denied) = self
            .deny
            .iter()
            .find(|pattern| pattern.names(host) || addresses.iter().any(|address| pattern.holds(*address)))
        {
            return Some(Refused::Denied(denied.clone()));
        }
        let allow = self.allow.as_ref()?;
        let by_name = allow.iter().any(|pattern| pattern.names(host));
        let inside = |address: &IpAddr| allow.iter().any(|pattern| pattern.holds(*address));
        let by_address = !addresses.is_empty() && addresses.iter().all(inside);
        (!by_name && !by_address).then_some(Refused::NotAllowed)
    }
}

impl EndpointPattern {
    /// Whether it fits a host by its name.
    fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match self {
            EndpointPattern::Host(name) => host == *name,
            EndpointPattern::Below(domain) => {
                host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            EndpointPattern::Network(_) => false,
        }
    }

    /// Whether it fits an address.
    fn holds(&self, address: IpAddr) -> bool {
        // An IPv4 address may come in IPv6's clothes.
        matches!(self, EndpointPattern::Network(network) if network.contains(&address.to_canonical()))
    }
}

impl FromStr for EndpointPattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<EndpointPattern, NoPattern> {
        if let Some(network) = text.parse().ok().or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?))) {
            return Ok(EndpointPattern::Network(network));
        }
        let name = text.strip_prefix("*.").unwrap_or(text).to_ascii_lowercase();
        if !is_host_name(&name) {
            return Err(NoPattern);
        }
        Ok(if text.starts_with("*.") { EndpointPattern::Below(name) } else { EndpointPattern::Host(name) })
    }
}

impl fmt::Display for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointPattern::Host(name) => f.write_str(name),
            EndpointPattern::Below(domain) => write!(f, "*.{domain}"),
            EndpointPattern::Network(network) => network.fmt(f),
        }
    }
}

/// Whether a text can only be the name of a host: what else it holds might mean something to
/// whoever makes an address of it.
pub fn is_host_name(text: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

/// Whether an address is link-local or a known metadata service of a cloud, in whatever form it is
/// written: those hand out credentials to whoever asks.
pub fn is_guarded(address: IpAddr) -> bool {
    /// Metadata services outside the link-local ranges.
    const METADATA_V4: &[Ipv4Addr] =
        &[Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
    const METADATA_V6: &[Ipv6Addr] = &[
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    ];
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            let embedded = match v6.segments() {
                // NAT64 and 6to4 carry an IPv4 address inside.
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
                }
                _ => v6.to_ipv4(),
            };
            v6.is_unicast_link_local()
                || METADATA_V6.contains(&v6)
                || embedded.is_some_and(|v4| is_guarded(IpAddr::V4(v4)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<EndpointPattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_denied_is_denied_and_what_is_not_allowed_too() {
        let check = |allow: Option<&[&str]>, deny: &[&str], host: &str, addresses: &[&str], allowed: bool| {
            let policy = EndpointPolicy { allow: allow.map(patterns), deny: patterns(deny) };
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            let refused = policy.refuses(host, &addresses);
            assert_eq!(refused.is_none(), allowed, "{policy:?}: {host} {addresses:?}: {refused:?}");
        };
        check(None, &[], "anywhere.example", &[], true);
        check(Some(&[]), &[], "anywhere.example", &["192.0.2.1"], false);
        check(Some(&["*.example.com"]), &[], "a.example.com", &[], true);
        check(Some(&["*.example.com"]), &[], "A.B.Example.COM.", &[], true);
        check(Some(&["*.example.com"]), &[], "example.com", &[], false);
        check(Some(&["*.example.com"]), &[], ".example.com", &[], false);
        check(Some(&["*.example.com"]), &[], "evilexample.com", &[], false);
        check(Some(&["*.example.com"]), &[], "a.example.com.evil.net", &[], false);
        check(Some(&["api.example.com"]), &[], "api.example.com", &[], true);
        check(Some(&["api.example.com"]), &[], "x.api.example.com", &[], false);
        check(Some(&["10.0.0.0/8"]), &[], "inside.example", &["10.1.2.3", "10.3.2.1"], true);
        check(Some(&["10.0.0.0/8"]), &[], "both.example", &["10.1.2.3", "192.0.2.1"], false);
        check(Some(&["10.0.0.0/8"]), &[], "nowhere.example", &[], false);
        check(Some(&["10.0.0.0/8"]), &[], "mapped.example", &["::ffff:10.1.2.3"], true);
        check(Some(&["2001:db8::/32", "192.0.2.7"]), &[], "two.example", &["2001:db8::1", "192.0.2.7"], true);
        check(None, &["*.evil.net"], "a.evil.net", &[], false);
        check(None, &["10.0.0.0/8"], "both.example", &["192.0.2.1", "10.1.2.3"], false);
        check(Some(&["*.example.com"]), &["b.example.com"], "b.example.com", &[], false);
        check(Some(&["*.example.com"]), &["b.example.com"], "a.example.com", &[], true);
    }

    #[test]
    fn patterns_are_hosts_domains_and_networks() {
        for right in ["api.example.com", "*.example.com", "10.0.0.0/8", "203.0.113.7/32", "2001:db8::/32", "local"] {
            assert_eq!(right.parse::<EndpointPattern>().unwrap().to_string(), right);
        }
        for wrong in ["", "*", "*.", "a.*.com", "https://a.com", "a.com:443", "a.com/", "10.0.0.0/33", "a b", "*a.com"]
        {
            assert!(wrong.parse::<EndpointPattern>().is_err(), "{wrong}");
        }
    }
}
