use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lineman_model::{Connection, clean_line};
use url::Url;

use crate::{Fault, Outcome, PathFailure};

/// How far the walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// To a TCP connection, for SSH and whatever else speaks for itself.
    Tcp,
    /// To an HTTP answer without TLS.
    Http,
    /// To an HTTP answer over TLS.
    Https,
}

/// Where the walk goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How far.
    pub protocol: Protocol,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of the HTTP request, without a query.
    pub path: String,
}

impl Target {
    /// The target that an address means: `http` and `https` as they are, any other scheme with a
    /// port of its own or a usual one (`ssh`, `git`) as plain TCP. User, password, query and
    /// fragment are left out.
    ///
    /// # Errors
    ///
    /// `endpoint-invalid` when there is no host or no port.
    pub fn from_url(url: &Url) -> Result<Target, Box<PathFailure>> {
        let protocol = match url.scheme() {
            "http" => Protocol::Http,
            "https" => Protocol::Https,
            _ => Protocol::Tcp,
        };
        let usual = match url.scheme() {
            "ssh" => Some(22),
            "git" => Some(9418),
            _ => None,
        };
        let invalid = |what: &str| {
            let shown =
                clean_line(&format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path()), 200);
            PathFailure::new(Fault::EndpointInvalid, format!("The endpoint {shown} has no {what}."))
                .remedy("Give the endpoint as https://host or https://host:port.")
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| invalid("host"))?;
        let port = url.port_or_known_default().or(usual).ok_or_else(|| invalid("port"))?;
        Ok(Target { protocol, host: unbracketed(host).to_owned(), port, path: url.path().to_owned() })
    }

    /// A TCP port.
    pub fn tcp(host: impl Into<String>, port: u16) -> Target {
        let host = host.into();
        Target { protocol: Protocol::Tcp, host: unbracketed(&host).to_owned(), port, path: String::new() }
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// Scheme and path of the request, without the query.
    pub(crate) fn url(&self) -> String {
        let (scheme, usual) = match self.protocol {
            Protocol::Tcp => return self.authority(),
            Protocol::Http => ("http", 80),
            Protocol::Https => ("https", 443),
        };
        let authority = if self.port == usual { bracketed(&self.host) } else { self.authority() };
        format!("{scheme}://{authority}{}", self.path)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

/// How long each phase may take. A phase also ends when the whole is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Name resolution.
    pub dns: Duration,
    /// Connecting, over all addresses.
    pub tcp: Duration,
    /// The proxy's answer.
    pub proxy: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The answer's status and headers.
    pub http: Duration,
    /// The whole walk.
    pub total: Duration,
    /// The one name server to ask, instead of those of the system.
    pub name_server: Option<SocketAddr>,
}

impl Default for Limits {
    fn default() -> Limits {
        let phase = Duration::from_secs(5);
        Limits {
            dns: phase,
            tcp: phase,
            proxy: phase,
            tls: phase,
            http: Duration::from_secs(10),
            total: Duration::from_secs(20),
            name_server: None,
        }
    }
}

impl Limits {
    /// The same limits, none longer than a connection's own timeout.
    pub fn under(self, connection: &Connection) -> Limits {
        let Some(limit) = connection.timeout_ms.map(Duration::from_millis) else { return self };
        Limits {
            dns: self.dns.min(limit),
            tcp: self.tcp.min(limit),
            proxy: self.proxy.min(limit),
            tls: self.tls.min(limit),
            http: self.http.min(limit),
            total: self.total.min(limit),
            name_server: self.name_server,
        }
    }
}

/// A duration as people write it: `5 s`, `250 ms`.
pub(crate) fn spell(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{} ms", duration.as_millis());
    }
    let seconds = format!("{:.1}", duration.as_secs_f64());
    format!("{} s", seconds.strip_suffix(".0").unwrap_or(&seconds))
}

pub(crate) fn authority(host: &str, port: u16) -> String {
    format!("{}:{port}", bracketed(host))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The address that a host is, if it is one and not a name.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    unbracketed(host).parse().ok()
}

/// A host that came from outside, safe to show.
pub(crate) fn shown(host: &str) -> String {
    clean_line(host, 255)
}

/// Runs a step within its limit.
pub(crate) async fn within<T>(
    budget: Duration,
    step: impl Future<Output = Outcome<T>>,
    late: impl FnOnce() -> Box<PathFailure>,
) -> Outcome<T> {
    tokio::time::timeout(budget, step).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_targets() {
        let check = |url: &str, expect: Result<&str, &str>| {
            let target = Target::from_url(&Url::parse(url).unwrap());
            let seen = target.as_ref().map(|t| format!("{:?} {} {}", t.protocol, t.authority(), t.path));
            assert_eq!(seen.as_deref().map_err(|failure| failure.code), expect, "{url}");
        };
        check("https://user:pass@api.example.com/v1?token=x#y", Ok("Https api.example.com:443 /v1"));
        check("http://[::1]:8080", Ok("Http [::1]:8080 /"));
        check("https://bücher.example", Ok("Https xn--bcher-kva.example:443 /"));
        check("https://2852039166/", Ok("Https 169.254.169.254:443 /"));
        check("ssh://git@host.example/a.git", Ok("Tcp host.example:22 /a.git"));
        check("amqp://host.example", Err("endpoint-invalid"));
        check("file:///etc/passwd", Err("endpoint-invalid"));
    }
}
