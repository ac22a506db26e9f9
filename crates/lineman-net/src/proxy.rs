//! Which proxy an address goes through, and who said so.

use std::fmt;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use lineman_model::{Cause, Confidence, Connection, Proxy, Secret};

use crate::target::{Protocol, Target, authority, shown};
use crate::{Fault, Outcome, PathFailure};

/// The proxy that a target is reached through.
///
/// It shows scheme, host and port and never a user or password.
#[derive(Clone)]
pub struct ProxyChoice {
    /// How the proxy is spoken to.
    pub(crate) kind: ProxyKind,
    /// Its host, without brackets.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    scheme: String,
    chosen_by: String,
    intercept: Intercept,
    url: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyKind {
    /// `http://`
    Http,
    /// `https://`: TLS to the proxy itself.
    Https,
    /// `socks5://`: names are resolved on this side.
    Socks5,
    /// `socks5h://`: names are resolved by the proxy.
    Socks5h,
}

impl ProxyChoice {
    /// `scheme://host:port`.
    pub fn address(&self) -> String {
        format!("{}://{}", self.scheme, authority(&self.host, self.port))
    }

    /// The setting or environment variable that names it.
    pub fn chosen_by(&self) -> &str {
        &self.chosen_by
    }

    /// Its whole address, for a client to use.
    pub fn url(&self) -> &Secret {
        &self.url
    }

    /// Whether its address holds a user or password.
    pub fn has_credentials(&self) -> bool {
        self.intercept.basic_auth().is_some() || self.user().is_some()
    }

    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.intercept.basic_auth()
    }

    /// User and password for SOCKS.
    pub(crate) fn user(&self) -> Option<(&str, &str)> {
        self.intercept.raw_auth()
    }

    /// Where to send the reader who wants another proxy.
    pub(crate) fn where_to_change(&self) -> String {
        format!("Correct the proxy in {}, or add the host to no_proxy.", self.chosen_by)
    }

    /// A failure of the way to the proxy, told as the proxy's.
    pub(crate) fn blame(&self, failure: Box<PathFailure>) -> Box<PathFailure> {
        let (fault, what) = match failure.phase {
            _ if failure.cause == Cause::ConfigEndpointWrong => return failure,
            "dns" => (Fault::ProxyUnresolved, "cannot be resolved"),
            "tcp" => (Fault::ProxyUnreachable, "cannot be connected to"),
            "tls" => (Fault::ProxyTls, "fails at TLS"),
            _ => return failure,
        };
        let mut blamed = PathFailure::new(fault, format!("The proxy {self} {what}: {}", failure.message))
            .remedy(self.where_to_change())
            .or_else(failure.cause, Confidence::Likely);
        blamed.detail = failure.detail;
        blamed.remedies.extend(failure.remedies);
        blamed
    }
}

impl fmt::Display for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (chosen by {})", self.address(), self.chosen_by)
    }
}

impl fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyChoice({self})")
    }
}

/// The proxy that a target goes through: the first of the connection's that is for the target's
/// scheme, unless `no_proxy` names the target. Plain TCP goes only through a proxy for `all`.
///
/// # Errors
///
/// `proxy-invalid` or `proxy-unsupported` when the proxy to use cannot be used.
pub fn proxy_for(target: &Target, connection: &Connection) -> Result<Option<ProxyChoice>, Box<PathFailure>> {
    let scheme = match target.protocol {
        Protocol::Tcp => "all",
        Protocol::Http => "http",
        Protocol::Https => "https",
    };
    let applies = |proxy: &&Proxy| {
        let for_scheme = proxy.scheme.to_ascii_lowercase();
        !proxy.url.is_empty() && (for_scheme == "all" || for_scheme == scheme)
    };
    let Some(proxy) = connection.proxies.iter().find(applies) else { return Ok(None) };

    // The matcher knows web addresses only; for which scheme does not matter with one proxy for all.
    let address: Uri = format!("http://{}/", target.authority()).parse().map_err(|_| {
        PathFailure::new(Fault::EndpointInvalid, format!("{} is not a host name.", shown(&target.host)))
            .remedy("Correct the host in the endpoint.")
    })?;
    let bypass = connection.no_proxy.as_deref().unwrap_or_default();
    // A rule that never matches still needs a proxy, so that only `no_proxy` decides here.
    if Matcher::builder().all("http://proxy").no(bypass).build().intercept(&address).is_none() {
        return Ok(None);
    }
    let intercept = Matcher::builder().all(proxy.url.expose()).build().intercept(&address);
    choice(proxy, intercept).map(Some)
}

fn choice(proxy: &Proxy, intercept: Option<Intercept>) -> Outcome<ProxyChoice> {
    let invalid = || {
        PathFailure::new(Fault::ProxyInvalid, format!("The proxy chosen by {} has no valid address.", proxy.chosen_by))
            .remedy(format!("Give {} as http://host:port.", proxy.chosen_by))
    };
    let intercept = intercept.ok_or_else(invalid)?;
    let scheme = intercept.uri().scheme_str().unwrap_or("http").to_owned();
    let (kind, usual) = match scheme.as_str() {
        "http" => (ProxyKind::Http, 80),
        "https" => (ProxyKind::Https, 443),
        "socks5" => (ProxyKind::Socks5, 1080),
        "socks5h" => (ProxyKind::Socks5h, 1080),
        _ => {
            let message = format!("The proxy chosen by {} speaks {scheme}, which is not walked.", proxy.chosen_by);
            return Err(PathFailure::new(Fault::ProxyUnsupported, message)
                .remedy("Use an http, https, socks5 or socks5h proxy.")
                .or_else(Cause::NetworkProxy, Confidence::Possible));
        }
    };
    let host = intercept.uri().host().filter(|host| !host.is_empty()).ok_or_else(invalid)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = intercept.uri().port_u16().unwrap_or(usual);
    Ok(ProxyChoice { kind, host, port, scheme, chosen_by: proxy.chosen_by.clone(), intercept, url: proxy.url.clone() })
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn the_proxy_is_the_first_that_applies() {
        let connection = Connection {
            proxies: [
                ("https", "http://user:hunter2@one.example:3128", "HTTPS_PROXY"),
                ("all", "socks5h://two.example", "ALL_PROXY"),
            ]
            .map(|(scheme, url, by)| Proxy { scheme: scheme.into(), url: Secret::new(url), chosen_by: by.into() })
            .to_vec(),
            no_proxy: Some("localhost, .internal.example,10.0.0.0/8,fd00::/8".into()),
            ..Connection::default()
        };
        let check = |url: &str, expect: Option<&str>| {
            let target = Target::from_url(&Url::parse(url).unwrap()).unwrap();
            let choice = proxy_for(&target, &connection).unwrap();
            assert_eq!(choice.map(|choice| choice.to_string()).as_deref(), expect, "{url}");
        };
        check("https://api.example.com/", Some("http://one.example:3128 (chosen by HTTPS_PROXY)"));
        check("http://api.example.com/", Some("socks5h://two.example:1080 (chosen by ALL_PROXY)"));
        check("ssh://git.example.com/", Some("socks5h://two.example:1080 (chosen by ALL_PROXY)"));
        check("https://a.internal.example/", None);
        check("https://10.1.2.3/", None);
        check("https://[fd00::1]/", None);
        check("https://[2001:db8::1]/", Some("http://one.example:3128 (chosen by HTTPS_PROXY)"));
        check("ssh://localhost/", None);
    }

    #[test]
    fn a_proxy_that_cannot_be_used_says_who_chose_it_and_not_its_password() {
        let check = |url: &str, expect: &str| {
            let proxy = Proxy { scheme: "all".into(), url: Secret::new(url), chosen_by: "ALL_PROXY".into() };
            let connection = Connection { proxies: vec![proxy], ..Connection::default() };
            let failure = proxy_for(&Target::tcp("host.example", 22), &connection).unwrap_err();
            assert_eq!(failure.code, expect, "{url}");
            assert!(failure.message.contains("ALL_PROXY"), "{failure}");
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        };
        check("http://user:hunter2@", "proxy-invalid");
        check("ftp://user:hunter2@host", "proxy-invalid");
        check("not an address hunter2", "proxy-invalid");
        check("socks4://user:hunter2@host", "proxy-unsupported");
    }
}
