use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use lineman_catalog::{Catalog, Response};
use lineman_model::protocol::{CheckOutcome, Progress};
use lineman_model::{
    Cause, CheckInfo, Confidence, Connection, Credential, Evidence, Expiry, Finding, Integration, NotProved, Phase,
    Redactor, RequirementStatus, Severity, Status,
};
use lineman_net::{Limits, PathFailure, Target, Walk};
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use crate::http::Http;
use crate::program::Program;
use crate::session::Session;
use crate::shim::lock;
use crate::{ClientCertificate, Provider, Required, Secret, Stop};

/// The most that is shown of one text, bytes.
pub(crate) const LONGEST_TEXT: usize = 2048;
/// The most lines of a program or log that one piece of evidence shows.
const MOST_LINES: usize = 200;
/// The most entries of one kind that a check records beside its findings.
const MOST_ENTRIES: usize = 1000;

/// What a catalog knows of an answer or a text: the closest rule, and beside it the other causes
/// that its rules see there.
pub(crate) fn recognise(catalog: &Catalog, seen: &Response<'_>) -> Option<Finding> {
    let matches = catalog.match_response(seen);
    let (closest, others) = matches.split_first()?;
    Some(others.iter().fold(closest.finding(), |finding, other| {
        let told = finding.cause == *other.cause || finding.also_possible.iter().any(|also| also.cause == *other.cause);
        if told { finding } else { finding.or_else(other.cause.clone(), Confidence::Possible) }
    }))
}

/// An id that people recognise by its beginning and its end, with what is between left out:
/// `AKIA…4XYZ`. One that is too short for that is not shown at all.
pub fn abridged(id: &str) -> Option<String> {
    let (start, end) = (id.get(..4)?, id.get(id.len().checked_sub(4)?..)?);
    (id.len() >= 16).then(|| format!("{start}…{end}"))
}

/// An address without what may be secret in it: user, password, query and fragment.
pub fn bare(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither fails on an address with a host.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url
}

/// Where a call's events go.
pub(crate) trait Sink: Send + Sync {
    fn finding(&self, finding: &Finding);
    fn progress(&self, progress: &Progress);
    fn secret(&self, name: &str, secret: &Secret);
}

/// One call of a check.
pub(crate) struct Call {
    pub(crate) plugin: &'static str,
    pub(crate) check: CheckInfo,
    pub(crate) deadline: Instant,
    catalog: Arc<Catalog>,
    sink: Arc<dyn Sink>,
    cancelled: watch::Sender<bool>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    outcome: CheckOutcome,
    /// Phases that have begun and not ended, innermost last.
    running: Vec<String>,
    findings: usize,
}

impl Call {
    pub(crate) fn new(
        plugin: &'static str,
        check: CheckInfo,
        deadline: Instant,
        catalog: Arc<Catalog>,
        sink: Arc<dyn Sink>,
    ) -> Call {
        Call { plugin, check, deadline, catalog, sink, cancelled: watch::Sender::new(false), log: Mutex::default() }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    /// Tells whoever blocks in this call that nobody waits for it.
    pub(crate) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// Ends when nobody waits for the call any more.
    pub(crate) async fn cancelled(&self) {
        // The sender is this call's own, so waiting for it cannot fail.
        let _ = self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await;
    }

    pub(crate) fn report(&self, mut finding: Finding, redactor: &Redactor) {
        if !finding.code.contains('/') {
            finding.code = format!("{}/{}", self.plugin, finding.code);
        }
        finding.severity.get_or_insert(Severity::of(&finding.cause, self.check.level));
        // What the catalog says of the code need not be said again.
        if let Some(known) = self.catalog.describe(&finding.code) {
            finding.docs = Some(finding.docs).filter(|docs| !docs.is_empty()).unwrap_or(known.docs);
            finding.remedies = Some(finding.remedies).filter(|all| !all.is_empty()).unwrap_or(known.remedies);
        }
        // The engine's own, whatever an author put there.
        finding.suppressed = None;
        finding.caused_by.clear();
        finding.evidence.iter_mut().for_each(shorten);
        finding.for_each_text(&mut |text| *text = redactor.shown(text, LONGEST_TEXT));
        self.log().findings += 1;
        self.sink.finding(&finding);
    }

    /// The phase that is being waited for.
    pub(crate) fn running(&self) -> Option<String> {
        self.log().running.last().cloned()
    }

    /// What was recorded, made fit to show.
    pub(crate) fn take_outcome(&self, redactor: &Redactor) -> CheckOutcome {
        let mut outcome = std::mem::take(&mut self.log().outcome);
        outcome.for_each_text(&mut |text| *text = redactor.shown(text, LONGEST_TEXT));
        outcome
    }

    /// Records something, unless there is more of it already than anyone reads.
    fn record<T>(&self, entry: T, list: impl FnOnce(&mut CheckOutcome) -> &mut Vec<T>) {
        let mut log = self.log();
        let list = list(&mut log.outcome);
        if list.len() < MOST_ENTRIES {
            list.push(entry);
        }
    }

    pub(crate) fn begin(self: &Arc<Call>, name: impl Into<String>) -> Running {
        let name = name.into();
        self.log().running.push(name.clone());
        Running { call: Arc::clone(self), name, started: Instant::now(), ok: false }
    }

    pub(crate) fn add_phases(&self, phases: impl IntoIterator<Item = Phase>) {
        phases.into_iter().for_each(|phase| self.record(phase, |outcome| &mut outcome.phases));
    }
}

/// The end of what a program wrote tells more than its beginning.
fn shorten(evidence: &mut Evidence) {
    if let Evidence::Log { lines, .. } | Evidence::Ssh { lines, .. } = evidence
        && lines.len() > MOST_LINES
    {
        lines.drain(..lines.len() - MOST_LINES);
        lines.insert(0, "…".to_owned());
    }
}

/// A phase that has begun; it ends, and is recorded, when this is dropped.
pub(crate) struct Running {
    call: Arc<Call>,
    name: String,
    started: Instant,
    pub(crate) ok: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let phase =
            Phase { name: std::mem::take(&mut self.name), duration_ms: millis(self.started.elapsed()), ok: self.ok };
        let mut log = self.call.log();
        if let Some(at) = log.running.iter().rposition(|running| *running == phase.name) {
            log.running.remove(at);
        }
        drop(log);
        self.call.record(phase, |outcome| &mut outcome.phases);
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a check works with: the integration's settings and secrets, the means to reach the
/// provider, and the place where it says what it saw.
pub struct Cx<P: Provider> {
    pub(crate) session: Arc<Session<P>>,
    pub(crate) call: Arc<Call>,
}

impl<P: Provider> Clone for Cx<P> {
    fn clone(&self) -> Cx<P> {
        Cx { session: Arc::clone(&self.session), call: Arc::clone(&self.call) }
    }
}

impl<P: Provider> Cx<P> {
    /// The integration's settings.
    pub fn settings(&self) -> &P::Settings {
        &self.session.settings
    }

    /// The integration's secrets.
    pub fn secrets(&self) -> &P::Secrets {
        &self.session.secrets
    }

    /// What the checks of this integration share.
    pub fn session(&self) -> &P::Session {
        &self.session.own
    }

    /// The integration as the host sees it.
    pub fn integration(&self) -> &Integration {
        &self.session.integration
    }

    /// How the provider is reached.
    pub fn connection(&self) -> &Connection {
        &self.session.integration.connection
    }

    /// The certificate that the HTTP client shows, from [`Provider::transport`].
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.session.client_certificate.as_ref()
    }

    /// What the platform means to do.
    pub fn requires(&self) -> &[Required<P::Requirement>] {
        &self.session.requires
    }

    /// The endpoint of a service: the one of `connection.endpoints`, else `connection.endpoint_url`,
    /// else the usual one.
    ///
    /// # Errors
    ///
    /// A finding with the cause `config.invalid` when it is no URL with a host.
    pub fn endpoint(&self, service: &str, usual: &str) -> Result<Url, Stop> {
        let connection = self.connection();
        let text = connection.endpoint(service).unwrap_or(usual);
        let why = match Url::parse(text) {
            Ok(url) if url.has_host() => return Ok(url),
            Ok(_) => "it names no host".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("The endpoint `{text}` is not the address of a server: {why}.");
        let finding = self
            .finding("endpoint-invalid", Cause::ConfigInvalid, message)
            .remedy("Give a full address, such as https://api.example.com.");
        Err(match connection.endpoint(service) {
            Some(_) if connection.endpoints.contains_key(service) => {
                finding.pointer(format!("/connection/endpoints/{service}"))
            }
            Some(_) => finding.pointer("/connection/endpoint_url"),
            None => finding,
        }
        .into())
    }

    /// A private directory for this integration's files. The host made it and removes it.
    pub fn directory(&self) -> &Path {
        &self.session.directory
    }

    /// The HTTP client of this integration: its proxies, certificate authorities and timeout are
    /// those of the connection, it follows no redirect and tries nothing twice, and it turns what
    /// goes wrong into findings. Without a timeout in the connection, the check's deadline is the
    /// only one.
    ///
    /// # Errors
    ///
    /// A finding with the cause `config.invalid` when the certificate authorities cannot be read.
    pub fn http(&self) -> Result<HttpCx<'_, P>, Stop> {
        let session = &self.session;
        let made = session
            .http
            .get_or_init(|| Http::new(self.call.plugin, self.connection(), session.client_certificate.as_ref()));
        match made {
            Ok(http) => Ok(HttpCx { http, cx: self }),
            Err(finding) => Err((**finding).clone().into()),
        }
    }

    /// A program that the plugin declared, ready to be given arguments.
    ///
    /// # Errors
    ///
    /// A finding with the cause `host.tool-missing` when it is not on this machine.
    pub fn program(&self, name: &str) -> Result<Program, Stop> {
        match self.session.programs.get(name) {
            Some(path) => Ok(Program::new(path, self.directory(), Arc::clone(&self.call))),
            None => Err(self
                .finding("tool-missing", Cause::HostToolMissing, format!("`{name}` is not installed on this machine."))
                .subject("program", name)
                .remedy(format!("Install `{name}` where Lineman runs; what does not need it was checked."))
                .into()),
        }
    }

    /// A program that the user chose: the path is that of a setting with the format `path`, which
    /// the configuration makes absolute and the worker may open. That it is there shows when it is
    /// run.
    pub fn program_at(&self, path: impl Into<PathBuf>) -> Program {
        Program::new(path, self.directory(), Arc::clone(&self.call))
    }

    /// Walks the network path to an address, with each phase timed. This is all that most
    /// `reach` checks do.
    ///
    /// # Errors
    ///
    /// The finding for the phase that failed.
    pub async fn reach(&self, url: &Url) -> Result<Walk, Stop> {
        let target =
            Target::from_url(url).map_err(|failure| Stop::from(failure.finding(self.call.plugin, Vec::new())))?;
        let walk = self.walk(&target).await;
        match walk.finding(self.call.plugin) {
            Some(finding) => Err(finding.into()),
            None => Ok(walk),
        }
    }

    /// Walks the network path to a target. Its phases are recorded; nothing is reported.
    pub async fn walk(&self, target: &Target) -> Walk {
        let left = self.call.deadline.saturating_duration_since(Instant::now());
        // A little before the check's own deadline, so that the walk names the phase that spent it.
        let usual = Limits::default();
        let limits = Limits { total: usual.total.min(left.mul_f64(0.9)), ..usual };
        // Boxed, like what is awaited in `send`: a check may have many of these futures inside its own.
        let mut walk = Box::pin(lineman_net::walk(target, self.connection(), &limits)).await;
        // The walk shows no certificate: with one to show, being asked for it is as far as it gets.
        let asked = |failure: &mut PathFailure| failure.cause == Cause::NetworkTlsClientCert;
        if self.client_certificate().is_some() && walk.failure.take_if(asked).is_some() {
            walk.phases.iter_mut().for_each(|phase| phase.ok = true);
        }
        self.call.add_phases(walk.phases.iter().cloned());
        walk
    }

    /// A warning about the local clock, when a walk showed that it is off by `tolerable` or more.
    /// Providers that sign requests refuse a clock that is minutes off.
    pub fn skew(&self, walk: &Walk, tolerable: Duration) -> Option<Finding> {
        let seconds = walk.skew?.as_secs();
        if seconds.unsigned_abs() < tolerable.as_secs() {
            return None;
        }
        let side = if seconds > 0 { "ahead of" } else { "behind" };
        let message = format!("The local clock is {} s {side} the provider's.", seconds.unsigned_abs());
        let mut finding = self.finding("clock-skew", Cause::ClockSkew, message).severity(Severity::Warn);
        finding.evidence.extend(walk.evidence.iter().cloned());
        Some(finding.command("Synchronise the clock of this machine.", ["timedatectl", "set-ntp", "true"]))
    }

    /// A finding of this plugin. The code is kebab-case, never changes meaning, and gets the
    /// plugin's id in front of it.
    pub fn finding(&self, code: &str, cause: Cause, message: impl Into<String>) -> Finding {
        Finding::new(format!("{}/{code}", self.call.plugin), cause, message)
    }

    /// Reports a finding and goes on. The status of the check follows from what it reported.
    pub fn report(&self, finding: Finding) {
        self.call.report(finding, &self.session.redactor);
    }

    /// What the plugin's catalog knows of a text, such as what a program wrote to stderr.
    pub fn recognise(&self, text: &str, operation: Option<&str>) -> Option<Finding> {
        // Scrubbed first: a rule may quote a part of what it matched.
        let text = self.session.redactor.scrub(text);
        recognise(&self.session.catalog, &Response { body: &text, operation, ..Response::default() })
    }

    /// What every program says when the way to its server is broken: for the output of programs
    /// whose words no catalog of a plugin can know.
    pub fn recognise_network(&self, text: &str) -> Option<Finding> {
        let text = self.session.redactor.scrub(text);
        let seen = Response { body: &text, ..Response::default() };
        Catalog::shared().into_iter().find_map(|catalog| recognise(catalog, &seen))
    }

    /// The plugin's catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.session.catalog
    }

    /// Runs a step and records how long it took. A step that is under way when the deadline
    /// passes is named in the finding.
    pub async fn phase<T, E>(&self, name: &str, step: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut running = self.call.begin(name);
        let result = step.await;
        running.ok = result.is_ok();
        result
    }

    /// Says what is being done, for people who wait.
    pub fn progress(&self, text: impl Into<String>) {
        self.call.sink.progress(&Progress { text: self.session.redactor.shown(&text.into(), LONGEST_TEXT) });
    }

    /// Records a date after which something stops working. `what` names it: `access token`.
    pub fn expires(&self, what: impl Into<String>, at: Timestamp) {
        self.call.record(Expiry { what: what.into(), at }, |outcome| &mut outcome.expires);
    }

    /// Records what the provider tells of a credential beside accepting it: what it calls it, when it
    /// was made, whether a newer one waits. `secret` is its name in the configuration; an id that is
    /// itself configured as a secret is shown with its beginning and end alone ([`abridged`]).
    ///
    /// [`abridged`]: crate::abridged
    pub fn credential(&self, credential: Credential) {
        self.call.record(credential, |outcome| &mut outcome.credentials);
    }

    /// Records what a pass does not say: what, why not, and what would let it be proved.
    pub fn not_proved(&self, what: impl Into<String>, why: impl Into<String>, needs: Option<&str>) {
        let entry = NotProved {
            level: self.call.check.level,
            what: what.into(),
            why: why.into(),
            needs: needs.map(str::to_owned),
        };
        self.call.record(entry, |outcome| &mut outcome.not_proved);
    }

    /// Records what is known of a requirement.
    pub fn requirement(&self, id: &str, status: Status) {
        self.call.record(RequirementStatus { id: id.to_owned(), status }, |outcome| &mut outcome.requirements);
    }

    /// Registers a secret that was obtained during the check, such as a session token, so that
    /// nothing shows it, here or in the host. Call it before anything else is done with the value.
    pub fn conceal(&self, name: &str, secret: &Secret) {
        self.session.redactor.add(name, secret);
        self.call.sink.secret(name, secret);
    }

    /// The time that is left until the answer must be there.
    pub fn time_left(&self) -> Duration {
        self.call.deadline.saturating_duration_since(Instant::now())
    }

    /// Whether nobody waits for the answer any more: the call was cancelled, its deadline has
    /// passed, or the plugin shuts down. Only a check that blocks its thread needs to ask: others
    /// are simply dropped.
    pub fn is_cancelled(&self) -> bool {
        *self.call.cancelled.borrow()
    }

    /// Whether a finding was reported already.
    pub fn has_findings(&self) -> bool {
        self.call.log().findings > 0
    }
}

/// The HTTP client together with the check that uses it.
pub struct HttpCx<'a, P: Provider> {
    pub(crate) http: &'a Http,
    pub(crate) cx: &'a Cx<P>,
}
