//! Name resolution.
//!
//! The system's resolver (`getaddrinfo`) is what other programs see, `/etc/hosts` and all, so it
//! is asked first. It cannot say why it found nothing: then the name servers are asked directly.
//!
//! `getaddrinfo` runs on a thread of its own and cannot be cancelled. A runtime that is to end at
//! once, whatever the name servers do, must be shut down in the background.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{TokioResolver, system_conf};
use lineman_model::{Cause, Confidence, Connection, Evidence, clean_line, is_guarded};
use tokio::time::{Instant, timeout};

use crate::target::{literal, shown, spell};
use crate::{Fault, Limits, Outcome, PathFailure, Seen};

/// More addresses than any honest name has.
const MOST_ADDRESSES: usize = 64;

/// The addresses of a host, without those that may not be contacted ([`permitted`]).
///
/// # Errors
///
/// Why there is none: a `dns-…` fault or `address-refused`.
pub async fn resolve(host: &str, connection: &Connection, limits: &Limits) -> Result<Vec<IpAddr>, Box<PathFailure>> {
    let limits = limits.under(connection);
    lookup(&mut Seen::default(), host, connection, &limits, limits.dns).await
}

/// Whether an address may be contacted: link-local addresses and the metadata services of clouds
/// hand out credentials to whoever asks, so they need the connection's permission.
///
/// # Errors
///
/// `address-refused`.
pub fn permitted(address: IpAddr, connection: &Connection) -> Result<(), Box<PathFailure>> {
    if connection.allow_link_local || !is_guarded(address) {
        return Ok(());
    }
    Err(PathFailure::new(
        Fault::AddressRefused,
        format!("The address {address} is link-local or a metadata service, which Lineman does not contact."),
    )
    .remedy("Correct the endpoint, or the DNS entry that leads to this address.")
    .remedy("Grant link-local addresses to this integration if the address is meant."))
}

pub(crate) async fn lookup(
    seen: &mut Seen,
    host: &str,
    connection: &Connection,
    limits: &Limits,
    budget: Duration,
) -> Outcome<Vec<IpAddr>> {
    if let Some(address) = literal(host) {
        return permitted(address, connection).map(|()| vec![address]);
    }
    let name = host.parse::<Name>().ok().filter(|_| host.len() <= 255).ok_or_else(|| {
        PathFailure::new(Fault::EndpointInvalid, format!("{} is not a host name.", shown(host)))
            .during("dns")
            .remedy("Correct the host in the endpoint.")
    })?;
    let found = match limits.name_server {
        Some(server) => {
            let answer = ask_servers(seen, host, name, Servers::only(server), budget).await;
            answer.map_err(|answer| answer.failure(host, budget))
        }
        None => ask_system(seen, host, name, budget).await,
    }?;
    let allowed: Vec<_> = found.iter().copied().filter(|&address| permitted(address, connection).is_ok()).collect();
    match found.first() {
        Some(&address) if allowed.is_empty() => permitted(address, connection).map(|()| Vec::new()),
        _ => Ok(allowed),
    }
}

async fn ask_system(seen: &mut Seen, host: &str, name: Name, budget: Duration) -> Outcome<Vec<IpAddr>> {
    let started = Instant::now();
    // The rest of the time is for the name servers, who can say more.
    let said = match timeout(budget * 2 / 3, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(addresses)) => {
            let mut found = Vec::new();
            for address in addresses.map(|address| address.ip()).take(MOST_ADDRESSES) {
                if !found.contains(&address) {
                    found.push(address);
                }
            }
            if !found.is_empty() {
                seen.dns(host, "ok", &found, vec!["system".to_owned()]);
                return Ok(found);
            }
            "no address".to_owned()
        }
        Ok(Err(error)) => clean_line(&error.to_string(), 200),
        Err(_) => format!("no answer within {}", spell(started.elapsed())),
    };
    seen.dns(host, &said, &[], vec!["system".to_owned()]);

    let rest = budget.saturating_sub(started.elapsed());
    let servers = Servers::of_system();
    let asked = servers.names.join(", ");
    let failure = match ask_servers(seen, host, name, servers, rest).await {
        Ok(_) => PathFailure::new(
            Fault::DnsSystem,
            format!("The system's resolver does not find {}, though the name servers know it.", shown(host)),
        )
        .remedy("Look at the hosts line of /etc/nsswitch.conf, /etc/hosts and the local resolver's cache."),
        Err(answer) => answer.failure(host, rest),
    };
    let asked = if asked.is_empty() { String::new() } else { format!(" Name servers asked: {asked}.") };
    Err(failure.detail(format!("The system's resolver said: {said}.{asked}")))
}

type ServerConfig = (ResolverConfig, ResolverOpts);

/// The name servers to ask and how to show them.
struct Servers {
    config: Result<ServerConfig, NetError>,
    names: Vec<String>,
}

impl Servers {
    fn only(server: SocketAddr) -> Servers {
        let at_port = |mut connection: ConnectionConfig| {
            connection.port = server.port();
            connection
        };
        let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
        let config = NameServerConfig::new(server.ip(), true, connections);
        Servers {
            config: Ok((ResolverConfig::from_parts(None, Vec::new(), vec![config]), ResolverOpts::default())),
            names: vec![server.to_string()],
        }
    }

    fn of_system() -> Servers {
        let config = system_conf::read_system_conf();
        let names = match &config {
            Ok((config, _)) => config.name_servers().iter().map(|server| server.ip.to_string()).collect(),
            Err(_) => Vec::new(),
        };
        Servers { config, names }
    }
}

/// Asks the name servers and shows their answer.
async fn ask_servers(
    seen: &mut Seen,
    host: &str,
    name: Name,
    servers: Servers,
    budget: Duration,
) -> Result<Vec<IpAddr>, Answer> {
    match both_families(name, servers.config, budget).await {
        Answer::Found(addresses) => {
            seen.dns(host, "ok", &addresses, servers.names);
            Ok(addresses)
        }
        answer => {
            seen.dns(host, &answer.to_string(), &[], servers.names);
            Err(answer)
        }
    }
}

/// Asks for both families and sums the answers up in one.
async fn both_families(mut name: Name, config: Result<ServerConfig, NetError>, budget: Duration) -> Answer {
    let resolver = config.and_then(|(config, mut options)| {
        options.timeout = budget;
        options.attempts = 0;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build()
    });
    let resolver = match resolver {
        Ok(resolver) => resolver,
        Err(error) => return Answer::from(error),
    };
    // A name with dots is what it says; one without depends on the search list.
    if name.num_labels() > 1 {
        name.set_fqdn(true);
    }
    let ask = async |family| match timeout(budget, resolver.lookup(name.clone(), family)).await {
        Ok(Ok(lookup)) => Answer::found(lookup.answers().iter().map(|record| &record.data)),
        Ok(Err(error)) => Answer::from(error),
        Err(_) => Answer::Timeout,
    };
    let (v4, v6) = tokio::join!(ask(RecordType::A), ask(RecordType::AAAA));
    v6.and(v4)
}

/// What the name servers say of a name.
enum Answer {
    Found(Vec<IpAddr>),
    Empty,
    NxDomain,
    Other(String),
    Unreachable(String),
    Timeout,
    Refused,
    ServFail,
}

impl Answer {
    fn found<'a>(records: impl Iterator<Item = &'a RData>) -> Answer {
        let address = |data: &RData| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        let addresses: Vec<_> = records.filter_map(address).take(MOST_ADDRESSES).collect();
        if addresses.is_empty() { Answer::Empty } else { Answer::Found(addresses) }
    }

    /// Both families together: addresses if either has any, else the answer that explains more.
    fn and(self, other: Answer) -> Answer {
        match (self, other) {
            (Answer::Found(mut addresses), Answer::Found(more)) => {
                addresses.extend(more);
                Answer::Found(addresses)
            }
            (found @ Answer::Found(_), _) | (_, found @ Answer::Found(_)) => found,
            (one, other) => {
                if one.rank() < other.rank() {
                    other
                } else {
                    one
                }
            }
        }
    }

    /// The higher explains more why there is no address.
    fn rank(&self) -> u8 {
        match self {
            Answer::Found(_) => 0,
            Answer::Empty => 1,
            Answer::NxDomain => 2,
            Answer::Other(_) => 3,
            Answer::Unreachable(_) => 4,
            Answer::Timeout => 5,
            Answer::Refused => 6,
            Answer::ServFail => 7,
        }
    }

    fn failure(self, host: &str, waited: Duration) -> Box<PathFailure> {
        let host = shown(host);
        match self {
            Answer::Found(_) | Answer::Empty => {
                PathFailure::new(Fault::DnsEmpty, format!("The name {host} exists and has no address."))
                    .remedy("Correct the host in the endpoint, or give the name an A or AAAA record.")
                    .or_else(Cause::ConfigEndpointWrong, Confidence::Possible)
            }
            Answer::NxDomain => PathFailure::new(Fault::DnsNxdomain, format!("The name {host} does not exist."))
                .remedy("Correct the host, region or site in the endpoint.")
                .remedy("If the name is private, use the name servers that know it (VPN, split DNS).")
                .or_else(Cause::ConfigEndpointWrong, Confidence::Likely),
            Answer::ServFail => PathFailure::new(
                Fault::DnsServfail,
                format!("The name servers failed to look up {host} (SERVFAIL)."),
            )
            .remedy("Try again; then look at the resolver's logs: its upstream, or DNSSEC of the name, may be broken.")
            .command("Compare with another name server.", ["dig", &host, "@1.1.1.1"]),
            Answer::Refused => {
                PathFailure::new(Fault::DnsRefused, format!("The name servers refuse to look up {host} (REFUSED)."))
                    .remedy("Use name servers that serve this machine, or allow it on those it uses.")
            }
            Answer::Timeout => PathFailure::new(
                Fault::DnsTimeout,
                format!("No name server answered for {host} within {}.", spell(waited)),
            )
            .remedy("Check that port 53 (UDP and TCP) to the name servers is open, and that they are up."),
            Answer::Unreachable(why) => {
                PathFailure::new(Fault::DnsUnreachable, format!("No name server can be reached to look up {host}."))
                    .detail(why)
                    .remedy("Check the name servers in /etc/resolv.conf.")
            }
            Answer::Other(why) => {
                PathFailure::new(Fault::DnsFailed, format!("The name {host} could not be resolved: {why}."))
                    .remedy("Check the host in the endpoint and the name servers.")
            }
        }
    }
}

impl From<NetError> for Answer {
    fn from(error: NetError) -> Answer {
        match &error {
            _ if error.is_nx_domain() => Answer::NxDomain,
            _ if error.is_no_records_found() => Answer::Empty,
            NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Answer::ServFail,
            NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => Answer::Refused,
            NetError::Timeout => Answer::Timeout,
            NetError::Io(_) | NetError::NoConnections => Answer::Unreachable(clean_line(&error.to_string(), 200)),
            _ => Answer::Other(clean_line(&error.to_string(), 200)),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Found(_) => "ok",
            Answer::Empty => "empty",
            Answer::NxDomain => "nxdomain",
            Answer::ServFail => "servfail",
            Answer::Refused => "refused",
            Answer::Timeout => "timeout",
            Answer::Unreachable(why) | Answer::Other(why) => why,
        })
    }
}

impl Seen {
    fn dns(&mut self, name: &str, answer: &str, addresses: &[IpAddr], servers: Vec<String>) {
        let addresses = addresses.iter().map(IpAddr::to_string).collect();
        self.evidence.push(Evidence::Dns { name: shown(name), answer: answer.to_owned(), addresses, servers });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_refused_in_every_spelling() {
        let check = |address: &str, expect: bool| {
            let address = address.parse().unwrap();
            let connection = Connection::default();
            assert_eq!(permitted(address, &connection).is_err(), expect, "{address}");
            let granted = Connection { allow_link_local: true, ..connection };
            assert_eq!(permitted(address, &granted), Ok(()), "{address}");
        };
        check("169.254.169.254", true);
        check("169.254.0.1", true);
        check("100.100.100.200", true);
        check("fe80::1", true);
        check("fd00:ec2::254", true);
        check("::ffff:169.254.169.254", true);
        check("64:ff9b::a9fe:a9fe", true);
        check("2002:a9fe:a9fe::1", true);
        check("127.0.0.1", false);
        check("10.0.0.1", false);
        check("fd00::1", false);
        check("::1", false);
        check("2001:db8::1", false);
    }
}
