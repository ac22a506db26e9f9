use std::net::IpAddr;
use std::time::Duration;

use jiff::SignedDuration;
use lineman_model::{Certificate, Connection, Evidence, Finding, Phase};
use tokio::time::Instant;

use crate::exchange::{Line, exchange};
use crate::proxy::{ProxyChoice, ProxyKind, proxy_for};
use crate::target::{Limits, Protocol, Target, literal, spell, within};
use crate::terms::server_name;
use crate::wire::Wire;
use crate::{Fault, Outcome, PathFailure, Seen, dns, tcp, tls, trust, tunnel};

/// What was seen on the way to an endpoint.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Where it went.
    pub target: Target,
    /// The phases taken, in order; when there is a failure, the last is the one that failed.
    pub phases: Vec<Phase>,
    /// What each phase saw.
    pub evidence: Vec<Evidence>,
    /// What is worth knowing and failed nothing: a family that does not work, a trusted interceptor.
    pub notes: Vec<String>,
    /// Why the walk ended early.
    pub failure: Option<PathFailure>,
    /// The proxy that was used.
    pub proxy: Option<ProxyChoice>,
    /// The addresses of the endpoint, or of the proxy where one is used.
    pub addresses: Vec<IpAddr>,
    /// The server's own certificate.
    pub certificate: Option<Certificate>,
    /// Status of the HTTP answer.
    pub status: Option<u16>,
    /// How far the local clock is ahead of the server's: the least that explains the answer's date.
    pub skew: Option<SignedDuration>,
    /// How long it took.
    pub duration: Duration,
}

impl Walk {
    /// The failure as a finding of a plugin with all that was seen.
    pub fn finding(&self, plugin: &str) -> Option<Finding> {
        let failure = self.failure.as_ref()?;
        Some(failure.finding(plugin, self.evidence.clone()).subject("host", self.target.authority()))
    }
}

/// Walks to an endpoint over a connection, phase by phase, to the first failure or the end.
///
/// No limit is longer than the connection's own timeout.
pub async fn walk(target: &Target, connection: &Connection, limits: &Limits) -> Walk {
    go(target, connection, limits, false).await
}

/// The same, and reads the beginning of a good answer's body, too.
pub(crate) async fn walk_and_read(target: &Target, connection: &Connection, limits: &Limits) -> Walk {
    go(target, connection, limits, true).await
}

async fn go(target: &Target, connection: &Connection, limits: &Limits, read: bool) -> Walk {
    let limits = limits.under(connection);
    let began = Instant::now();
    let walk = Walk {
        target: target.clone(),
        phases: Vec::new(),
        evidence: Vec::new(),
        notes: Vec::new(),
        failure: None,
        proxy: None,
        addresses: Vec::new(),
        certificate: None,
        status: None,
        skew: None,
        duration: Duration::ZERO,
    };
    let deadline = began + limits.total;
    let mut walker = Walker { connection, limits, read, deadline, seen: Seen::default(), walk };
    let ended = walker.go().await;
    let Walker { seen, mut walk, .. } = walker;
    walk.evidence = seen.evidence;
    walk.notes = seen.notes;
    walk.duration = began.elapsed();
    if let Err(failure) = ended {
        blame_phase(&mut walk.phases, failure.phase);
        walk.failure = Some(*failure);
    }
    walk
}

/// A phase can turn out to have failed only in the next: the walk then ends in the earlier one.
fn blame_phase(phases: &mut Vec<Phase>, name: &str) {
    if let Some(at) = phases.iter().rposition(|phase| phase.name == name) {
        phases.truncate(at + 1);
        phases[at].ok = false;
    }
}

struct Walker<'a> {
    connection: &'a Connection,
    limits: Limits,
    /// Whether the body of a good answer is wanted.
    read: bool,
    deadline: Instant,
    seen: Seen,
    walk: Walk,
}

impl Walker<'_> {
    /// Begins a phase and says how much time it has.
    fn begin(&mut self, phase: &str, limit: Duration) -> (Instant, Duration) {
        self.walk.phases.push(Phase { name: phase.to_owned(), duration_ms: 0, ok: false });
        let now = Instant::now();
        (now, limit.min(self.deadline.saturating_duration_since(now)))
    }

    fn end<T>(&mut self, began: Instant, result: Outcome<T>) -> Outcome<T> {
        if let Some(phase) = self.walk.phases.last_mut() {
            phase.duration_ms = began.elapsed().as_millis() as u64;
            phase.ok = result.is_ok();
        }
        result
    }

    async fn go(&mut self) -> Outcome<()> {
        let target = self.walk.target.clone();
        let proxy = self.choose(&target)?;
        let mut wire = match &proxy {
            None => self.dial(&target.host, target.port).await?,
            Some(proxy) => {
                let wire = self.dial(&proxy.host, proxy.port).await.map_err(|failure| proxy.blame(failure))?;
                self.pass(proxy, wire, &target).await?
            }
        };
        let mut asked = None;
        if target.protocol == Protocol::Https {
            let secured = self.secure(wire, &target).await?;
            wire = secured.wire;
            asked = Some(secured.asked);
            self.walk.certificate = secured.certificate;
        }
        if target.protocol == Protocol::Tcp {
            return Ok(());
        }
        let forwarder = proxy.as_ref().filter(|proxy| proxy.forwards(&target));
        let line = Line { wire, forwarder, asked: asked.is_some_and(|asked| asked.was()), read: self.read };
        let (began, budget) = self.begin("http", self.limits.http);
        let answer = exchange(&mut self.seen, line, &target, budget).await;
        let answer = self.end(began, answer)?;
        self.walk.status = Some(answer.status);
        self.walk.skew = answer.skew;
        Ok(())
    }

    /// The choice of a proxy: a phase only where there is one to choose.
    fn choose(&mut self, target: &Target) -> Outcome<Option<ProxyChoice>> {
        if self.connection.proxies.is_empty() {
            return Ok(None);
        }
        let (began, _) = self.begin("proxy", self.limits.proxy);
        let chosen = proxy_for(target, self.connection).and_then(|chosen| {
            // The proxy would contact a forbidden address in this machine's name.
            match literal(&target.host).filter(|_| chosen.is_some()) {
                Some(address) => dns::permitted(address, self.connection).map(|()| chosen),
                None => Ok(chosen),
            }
        });
        let chosen = self.end(began, chosen.map_err(|failure| failure.during("proxy")))?;
        self.walk.proxy.clone_from(&chosen);
        Ok(chosen)
    }

    /// Name resolution and TCP.
    async fn dial(&mut self, host: &str, port: u16) -> Outcome<Wire> {
        let (began, budget) = self.begin("dns", self.limits.dns);
        let addresses = dns::lookup(&mut self.seen, host, self.connection, &self.limits, budget).await;
        let addresses = self.end(began, addresses)?;
        self.walk.addresses.clone_from(&addresses);

        let (began, budget) = self.begin("tcp", self.limits.tcp);
        let connected = tcp::connect(&mut self.seen, host, &addresses, port, budget).await;
        let (stream, _) = self.end(began, connected)?;
        Ok(Box::new(stream))
    }

    /// The proxy's consent, where it takes one.
    async fn pass(&mut self, proxy: &ProxyChoice, wire: Wire, target: &Target) -> Outcome<Wire> {
        if proxy.forwards(target) && proxy.kind == ProxyKind::Http {
            return Ok(wire);
        }
        let (began, budget) = self.begin("connect", self.limits.proxy);
        let late = || {
            let message = format!("The proxy {proxy} does not answer within {}.", spell(budget));
            PathFailure::new(Fault::ProxyTimeout, message).remedy(proxy.where_to_change())
        };
        let consent = within(budget, self.ask(proxy, wire, target, budget), late).await;
        self.end(began, consent)
    }

    async fn ask(&mut self, proxy: &ProxyChoice, wire: Wire, target: &Target, budget: Duration) -> Outcome<Wire> {
        let (host, port) = (target.host.as_str(), target.port);
        match proxy.kind {
            ProxyKind::Http => tunnel::connect(&mut self.seen, wire, proxy, host, port).await,
            ProxyKind::Https => {
                let trust = trust(self.connection).map_err(|failure| failure.during("connect"))?;
                let secured = tls::handshake(&mut self.seen, wire, &proxy.host, proxy.port, &trust, budget).await;
                let wire = secured.map_err(|failure| proxy.blame(failure))?.wire;
                if proxy.forwards(target) {
                    return Ok(wire);
                }
                tunnel::connect(&mut self.seen, wire, proxy, host, port).await
            }
            ProxyKind::Socks5h => tunnel::socks5(wire, proxy, host, port).await,
            ProxyKind::Socks5 => {
                let addresses = dns::lookup(&mut self.seen, host, self.connection, &self.limits, budget).await;
                let addresses = addresses.map_err(|failure| failure.during("connect"))?;
                let address = addresses.first().map(IpAddr::to_string);
                tunnel::socks5(wire, proxy, address.as_deref().unwrap_or(host), port).await
            }
        }
    }

    async fn secure(&mut self, wire: Wire, target: &Target) -> Outcome<tls::Secured> {
        let (began, budget) = self.begin("tls", self.limits.tls);
        let secured = match trust(self.connection) {
            Ok(trust) => {
                let name = server_name(&target.host, self.connection);
                tls::handshake(&mut self.seen, wire, name, target.port, &trust, budget).await
            }
            Err(failure) => Err(failure.during("tls")),
        };
        self.end(began, secured)
    }
}

impl ProxyChoice {
    /// Whether the proxy forwards the requests of a target, instead of tunnelling them.
    fn forwards(&self, target: &Target) -> bool {
        target.protocol == Protocol::Http && matches!(self.kind, ProxyKind::Http | ProxyKind::Https)
    }
}
