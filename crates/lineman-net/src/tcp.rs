//! TCP over all addresses of both families, as RFC 8305 has it: IPv6 and IPv4 in turn, the next
//! attempt begun when the last failed or kept silent, the first connection taken.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lineman_model::{Cause, Confidence, Evidence, clean_line};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::target::{shown, spell};
use crate::{Fault, Outcome, PathFailure, Seen};

/// RFC 8305's recommended delay between attempts.
const STAGGER: Duration = Duration::from_millis(250);
/// More attempts would not tell more.
const MOST_ATTEMPTS: usize = 8;

/// An attempt that failed, or has not ended.
struct Miss {
    address: SocketAddr,
    fault: Fault,
    outcome: String,
    took: Duration,
}

pub(crate) async fn connect(
    seen: &mut Seen,
    host: &str,
    addresses: &[IpAddr],
    port: u16,
    budget: Duration,
) -> Outcome<(TcpStream, IpAddr)> {
    let mut queue = in_turn(addresses).into_iter().map(|address| SocketAddr::new(address, port));
    let stagger = STAGGER.min(budget / (addresses.len().min(MOST_ATTEMPTS) as u32 + 1));
    let deadline = Instant::now() + budget;
    let mut next_start = Instant::now();
    let mut racing = JoinSet::new();
    let mut open: Vec<(SocketAddr, Instant)> = Vec::new();
    let mut misses: Vec<Miss> = Vec::new();

    let winner = loop {
        if racing.is_empty() && queue.len() == 0 {
            break None;
        }
        tokio::select! {
            biased;
            Some(ended) = racing.join_next(), if !racing.is_empty() => {
                let Ok((address, result)) = ended else { continue };
                let began = open.iter().position(|(opened, _)| *opened == address).map(|at| open.remove(at).1);
                let took = began.map(|began| began.elapsed()).unwrap_or_default();
                match result {
                    Ok(stream) => break Some((stream, address, took)),
                    Err(error) => {
                        misses.push(Miss { address, fault: fault(&error), outcome: clean_line(&error.to_string(), 200), took });
                        next_start = Instant::now();
                    }
                }
            }
            () = sleep_until(next_start), if queue.len() > 0 => {
                if let Some(address) = queue.next() {
                    open.push((address, Instant::now()));
                    racing.spawn(async move { (address, TcpStream::connect(address).await) });
                    next_start = Instant::now() + stagger;
                }
            }
            () = sleep_until(deadline) => break None,
        }
    };

    let silent = open.into_iter().map(|(address, began)| {
        let took = began.elapsed();
        Miss { address, fault: Fault::TcpTimeout, outcome: format!("no answer within {}", spell(took)), took }
    });
    misses.extend(silent);
    for miss in &misses {
        seen.tcp(miss.address, &miss.outcome, miss.took);
    }
    match winner {
        Some((stream, address, took)) => {
            seen.tcp(address, "connected", took);
            seen.notes.extend(other_family(&misses, address));
            Ok((stream, address.ip()))
        }
        None => Err(failure(host, port, &misses, budget)),
    }
}

/// IPv6 first, then the families in turn.
fn in_turn(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| address.is_ipv6());
    let longest = v6.len().max(v4.len());
    let turns = (0..longest).flat_map(|turn| [v6.get(turn), v4.get(turn)]);
    turns.flatten().copied().take(MOST_ATTEMPTS).collect()
}

/// What a failed connection means.
pub(crate) fn fault(error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::ConnectionRefused => Fault::TcpRefused,
        ErrorKind::TimedOut => Fault::TcpTimeout,
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => Fault::TcpUnreachable,
        ErrorKind::PermissionDenied => Fault::TcpDenied,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => Fault::TcpReset,
        _ => Fault::TcpFailed,
    }
}

/// The note on a family that does not work while the other does.
fn other_family(misses: &[Miss], winner: SocketAddr) -> Option<String> {
    let (works, other) = if winner.is_ipv6() { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
    let miss = misses.iter().find(|miss| miss.address.is_ipv6() != winner.is_ipv6())?;
    Some(format!("{works} works; {other} does not: {}: {}.", miss.address, miss.outcome))
}

/// The failure that explains most when every attempt failed.
fn failure(host: &str, port: u16, misses: &[Miss], budget: Duration) -> Box<PathFailure> {
    const TELLING: [Fault; 6] = [
        Fault::TcpRefused,
        Fault::TcpReset,
        Fault::TcpDenied,
        Fault::TcpTimeout,
        Fault::TcpFailed,
        Fault::TcpUnreachable,
    ];
    let fault = TELLING.into_iter().find(|&fault| misses.iter().any(|miss| miss.fault == fault));
    let fault = fault.unwrap_or(Fault::TcpTimeout);
    let lines: Vec<_> = misses.iter().map(|miss| format!("{}: {}", miss.address, miss.outcome)).collect();
    explain(fault, &format!("{} on port {port}", shown(host)), Some(budget)).detail(lines.join("\n"))
}

/// The failure of connecting, in words. `place` reads `host on port 443`.
pub(crate) fn explain(fault: Fault, place: &str, waited: Option<Duration>) -> Box<PathFailure> {
    let within = waited.map(|waited| format!(" within {}", spell(waited))).unwrap_or_else(|| " in time".to_owned());
    match fault {
        Fault::TcpRefused => PathFailure::new(fault, format!("The connection to {place} is refused."))
            .remedy("Check host and port, and that the service is running and listens there.")
            .or_else(Cause::ConfigEndpointWrong, Confidence::Possible),
        Fault::TcpReset => PathFailure::new(fault, format!("The connection to {place} is reset."))
            .remedy("Look for a firewall or load balancer on the way that cuts connections off."),
        Fault::TcpDenied => PathFailure::new(fault, format!("This machine does not allow a connection to {place}."))
            .remedy("Look for a local firewall rule, a security module or a sandbox that forbids it."),
        Fault::TcpTimeout => PathFailure::new(fault, format!("No answer from {place}{within}."))
            .remedy("Look for a firewall, security group or network policy that drops the packets.")
            .remedy("If the way out leads through a proxy, configure it."),
        Fault::TcpUnreachable => PathFailure::new(fault, format!("There is no route to {place}."))
            .remedy("Check this machine's routes, VPN and gateway, and that it has the address family."),
        fault => PathFailure::new(fault, format!("The connection to {place} failed."))
            .remedy("Look at what the system said of it, and at this machine's limits and network settings."),
    }
}

impl Seen {
    fn tcp(&mut self, address: SocketAddr, outcome: &str, took: Duration) {
        self.evidence.push(Evidence::Tcp {
            address: address.to_string(),
            outcome: outcome.to_owned(),
            duration_ms: Some(took.as_millis() as u64),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |list: &[&str]| list.iter().map(|address| address.parse().unwrap()).collect::<Vec<IpAddr>>();
        let check = |input: &[&str], expect: &[&str]| assert_eq!(in_turn(&parse(input)), parse(expect));
        check(&["1.1.1.1", "1.1.1.2", "::1", "::2"], &["::1", "1.1.1.1", "::2", "1.1.1.2"]);
        check(&["1.1.1.1", "1.1.1.2"], &["1.1.1.1", "1.1.1.2"]);
        check(&["::1"; 20], &["::1"; MOST_ATTEMPTS]);
    }

    #[test]
    fn the_most_telling_attempt_names_the_failure() {
        let check = |kinds: &[ErrorKind], expect: &str| {
            let misses: Vec<_> = kinds
                .iter()
                .map(|&kind| Miss {
                    address: "192.0.2.1:443".parse().unwrap(),
                    fault: fault(&kind.into()),
                    outcome: kind.to_string(),
                    took: Duration::ZERO,
                })
                .collect();
            assert_eq!(failure("h", 443, &misses, Duration::from_secs(1)).code, expect, "{kinds:?}");
        };
        check(&[ErrorKind::NetworkUnreachable, ErrorKind::TimedOut], "tcp-timeout");
        check(&[ErrorKind::TimedOut, ErrorKind::ConnectionRefused], "tcp-refused");
        check(&[ErrorKind::HostUnreachable], "tcp-unreachable");
        check(&[ErrorKind::AddrNotAvailable], "tcp-unreachable");
        check(&[ErrorKind::PermissionDenied, ErrorKind::NetworkUnreachable], "tcp-denied");
        check(&[ErrorKind::ConnectionReset], "tcp-reset");
        check(&[ErrorKind::OutOfMemory], "tcp-failed");
        check(&[], "tcp-timeout");
    }
}
