use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use lineman_catalog::{Catalog, Response};
use lineman_model::protocol::{CheckOutcome, Progress};
use lineman_model::{
    Cause, CheckInfo, Connection, Expiry, Finding, Integration, NotProved, Phase, Redactor, Requirement,
    RequirementStatus, Severity, Status,
};
use lineman_net::{Limits, Target, Walk};
use tokio::time::Instant;

use crate::http::Http;
use crate::program::Program;
use crate::session::Session;
use crate::{Provider, Secret, Stop};

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
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) cancelled: AtomicBool,
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
    pub(crate) fn new(plugin: &'static str, check: CheckInfo, deadline: Instant, sink: Box<dyn Sink>) -> Call {
        Call { plugin, check, deadline, sink, cancelled: AtomicBool::new(false), log: Mutex::default() }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn report(&self, mut finding: Finding, redactor: &Redactor) {
        if !finding.code.contains('/') {
            finding.code = format!("{}/{}", self.plugin, finding.code);
        }
        finding.severity.get_or_insert(Severity::of(&finding.cause, self.check.level));
        finding.for_each_text(&mut |text| {
            *text = lineman_model::clean(&redactor.scrub(text), crate::http::EVIDENCE_LIMIT);
        });
        self.log().findings += 1;
        self.sink.finding(&finding);
    }

    /// The phase that is being waited for.
    pub(crate) fn running(&self) -> Option<String> {
        self.log().running.last().cloned()
    }

    pub(crate) fn take_outcome(&self) -> CheckOutcome {
        std::mem::take(&mut self.log().outcome)
    }

    pub(crate) fn begin(self: &Arc<Call>, name: impl Into<String>) -> Running {
        let name = name.into();
        self.log().running.push(name.clone());
        Running { call: Arc::clone(self), name, started: Instant::now(), ok: false }
    }

    pub(crate) fn add_phases(&self, phases: impl IntoIterator<Item = Phase>) {
        self.log().outcome.phases.extend(phases);
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
        log.outcome.phases.push(phase);
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

    /// What the platform means to do.
    pub fn requires(&self) -> &[Requirement] {
        &self.session.integration.requires
    }

    /// The endpoint of a service: the configured one, else the one given.
    pub fn endpoint(&self, service: &str, usual: &str) -> Result<url::Url, Stop> {
        let text = self.connection().endpoint(service).unwrap_or(usual);
        url::Url::parse(text).map_err(|error| {
            self.finding("endpoint-invalid", Cause::ConfigInvalid, format!("The endpoint `{text}` is no URL: {error}."))
                .pointer("/connection/endpoint_url")
                .remedy("Give a full address, such as https://api.example.com.")
                .into()
        })
    }

    /// A private directory for this integration's files. The host made it and removes it.
    pub fn directory(&self) -> &Path {
        &self.session.directory
    }

    /// The HTTP client of this integration. It honours the connection settings, has no timeout of
    /// its own beyond them, and turns what goes wrong into findings.
    pub fn http(&self) -> Result<HttpCx<'_, P>, Stop> {
        let made = self.session.http.get_or_init(|| Http::new(self.connection()));
        match made {
            Ok(http) => Ok(HttpCx { http, cx: self }),
            Err(finding) => Err(self.owned((**finding).clone()).into()),
        }
    }

    /// A program that the plugin declared, ready to be given arguments.
    ///
    /// # Errors
    ///
    /// A finding with the cause `host.tool-missing` when it is not on this machine.
    pub fn program(&self, name: &str) -> Result<Program, Stop> {
        match self.session.programs.get(name) {
            Some(path) => Ok(Program::new(path, self.directory(), self.call.deadline, Arc::clone(&self.call))),
            None => Err(self
                .finding("tool-missing", Cause::HostToolMissing, format!("`{name}` is not installed on this machine."))
                .subject("program", name)
                .remedy(format!("Install `{name}` where Lineman runs; what does not need it was checked."))
                .into()),
        }
    }

    /// Walks the network path to an address, with each phase timed. This is all that most
    /// `reach` checks do.
    ///
    /// # Errors
    ///
    /// The finding for the phase that failed.
    pub async fn reach(&self, url: &url::Url) -> Result<Walk, Stop> {
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
        let walk = Box::pin(lineman_net::walk(target, self.connection(), &limits)).await;
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
        let response = Response { status: None, headers: Vec::new(), body: text, operation };
        Some(self.session.catalog.match_response(&response).first()?.finding())
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
        self.call.sink.progress(&Progress { text: self.session.redactor.scrub(&text.into()) });
    }

    /// Records a date after which something stops working. `what` names it: `access token`.
    pub fn expires(&self, what: impl Into<String>, at: Timestamp) {
        self.call.log().outcome.expires.push(Expiry { what: what.into(), at });
    }

    /// Records what a pass does not say: what, why not, and what would let it be proved.
    pub fn not_proved(&self, what: impl Into<String>, why: impl Into<String>, needs: Option<&str>) {
        let entry = NotProved {
            level: self.call.check.level,
            what: what.into(),
            why: why.into(),
            needs: needs.map(str::to_owned),
        };
        self.call.log().outcome.not_proved.push(entry);
    }

    /// Records what is known of a requirement.
    pub fn requirement(&self, id: &str, status: Status) {
        self.call.log().outcome.requirements.push(RequirementStatus { id: id.to_owned(), status });
    }

    /// Registers a secret that was obtained during the check, such as a session token, so that
    /// nothing shows it.
    pub fn conceal(&self, name: &str, secret: &Secret) {
        self.session.redactor.add(name, secret);
        self.call.sink.secret(name, secret);
    }

    /// The time that is left until the answer must be there.
    pub fn time_left(&self) -> Duration {
        self.call.deadline.saturating_duration_since(Instant::now())
    }

    /// Whether nobody waits for the answer any more. Only a check that blocks its thread needs to
    /// ask: others are simply dropped.
    pub fn is_cancelled(&self) -> bool {
        self.call.cancelled.load(Ordering::Relaxed)
    }

    /// Whether a finding was reported already.
    pub fn has_findings(&self) -> bool {
        self.call.log().findings > 0
    }

    /// Gives a finding that was made without a plugin this plugin's code.
    pub(crate) fn owned(&self, mut finding: Finding) -> Finding {
        finding.code = format!("{}/{}", self.call.plugin, finding.code.trim_start_matches('/'));
        finding
    }
}

/// The HTTP client together with the check that uses it.
pub struct HttpCx<'a, P: Provider> {
    pub(crate) http: &'a Http,
    pub(crate) cx: &'a Cx<P>,
}
