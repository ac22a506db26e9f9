use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use lineman_catalog::Catalog;
use lineman_model::protocol::{CheckOutcome, CheckRequest, CheckSkip, Failure, PROTOCOL, op};
use lineman_model::{Blocking, Cause, Confidence, Description, Finding};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::cx::{Call, Sink};
use crate::outcome::Why;
use crate::session::Session;
use crate::{Check, Cx, Provider, Stop};

/// Kept back from a call's deadline, so that the answer is there when the host looks for it.
const MARGIN: Duration = Duration::from_millis(50);

/// A provider made ready to answer calls: no ABI, no process, so that tests use it as it is.
pub(crate) struct Plugin<P: Provider> {
    id: &'static str,
    description: Description,
    checks: HashMap<String, Check<P>>,
    catalog: Arc<Catalog>,
    sessions: Mutex<HashMap<u64, Arc<Session<P>>>>,
}

impl<P: Provider> Plugin<P> {
    /// # Panics
    ///
    /// When the plugin's own catalog is not valid: its author sees that the first time the
    /// library is described.
    pub(crate) fn new() -> Plugin<P> {
        let about = P::about();
        let id = about.id;
        let catalog = match Catalog::parse(id, about.catalog) {
            Ok(catalog) => catalog,
            Err(error) => panic!("the catalog of plugin `{id}` is wrong: {error}"),
        };
        let prefix = |name: &str| if name.contains('/') { name.to_owned() } else { format!("{id}/{name}") };
        let mut checks = P::checks();
        for check in &mut checks {
            check.info.id = prefix(&check.info.id);
            check.info.needs.iter_mut().for_each(|need| *need = prefix(need));
        }
        let description = Description {
            id: id.to_owned(),
            version: about.version.to_owned(),
            title: about.title.to_owned(),
            publisher: about.publisher.to_owned(),
            protocol: PROTOCOL,
            operations: vec![op::CHECK.to_owned(), op::CLOSE.to_owned()],
            sdk_version: env!("CARGO_PKG_VERSION").to_owned(),
            max_parallel: about.max_parallel,
            checks: checks.iter().map(|check| check.info.clone()).collect(),
            settings: schema::<P::Settings>(),
            secrets: schema::<P::Secrets>(),
            catalog: catalog.to_value(),
            services: about.services,
            hosts: about.hosts,
            environment: about.environment,
            paths: about.paths,
            programs: about.programs,
            docs_url: about.docs_url.map(str::to_owned),
        };
        let checks = checks.into_iter().map(|check| (check.info.id.clone(), check)).collect();
        Plugin { id, description, checks, catalog: Arc::new(catalog), sessions: Mutex::default() }
    }

    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    pub(crate) fn blocks(&self, check: &str) -> bool {
        self.checks.get(check).is_some_and(|check| check.info.blocking == Blocking::Yes)
    }

    pub(crate) fn knows(&self, check: &str) -> bool {
        self.checks.contains_key(check)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u64, Arc<Session<P>>>> {
        self.sessions.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Ends a session; its secrets are wiped when its last check lets go of it.
    pub(crate) fn close(&self, session: u64) {
        self.sessions().remove(&session);
    }

    fn session(&self, request: CheckRequest) -> Result<Arc<Session<P>>, Box<Finding>> {
        let id = request.session;
        if let Some(session) = self.sessions().get(&id) {
            return Ok(Arc::clone(session));
        }
        let opened = Arc::new(Session::open(self.id, request, Arc::clone(&self.catalog))?);
        // Two first checks may have opened one each; both use the one that came first.
        Ok(Arc::clone(self.sessions().entry(id).or_insert(opened)))
    }

    /// Makes a call ready to run.
    pub(crate) fn prepare(&self, request: &CheckRequest, sink: Box<dyn Sink>) -> Option<Arc<Call>> {
        let check = self.checks.get(&request.check)?;
        let deadline = Instant::now() + Duration::from_millis(request.deadline_ms).saturating_sub(MARGIN);
        Some(Arc::new(Call::new(self.id, check.info.clone(), deadline, sink)))
    }

    /// Runs a check to its end, whatever it does short of ending the process.
    pub(crate) async fn run(&self, call: &Arc<Call>, request: CheckRequest) -> Result<CheckOutcome, Failure> {
        let Some(check) = self.checks.get(&call.check.id) else {
            return Err(Failure {
                cause: Cause::PluginBadOutput,
                message: format!("there is no check `{}`", call.check.id),
            });
        };
        let session = match self.session(request) {
            Ok(session) => session,
            Err(finding) => {
                call.report(*finding, &Default::default());
                return Ok(call.take_outcome());
            }
        };
        let cx = Cx { session: Arc::clone(&session), call: Arc::clone(call) };
        let (ended, cut_off) = {
            let mut run = std::pin::pin!(AssertUnwindSafe(async { (check.run)(cx).await }).catch_unwind());
            let ended = tokio::time::timeout_at(call.deadline, run.as_mut()).await;
            // Asked before the check is dropped, which ends the phase that it waits for.
            let cut_off = ended.is_err().then(|| timed_out(call));
            (ended, cut_off)
        };
        let mut outcome = call.take_outcome();
        match ended {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(Stop(Why::Finding(finding))))) => call.report(*finding, &session.redactor),
            Ok(Ok(Err(Stop(Why::AlreadyReported)))) => {}
            Ok(Ok(Err(Stop(Why::Skip { reason, why })))) => outcome.skip = Some(CheckSkip { reason, why }),
            Ok(Err(panic)) => {
                let message = session.redactor.scrub(&panic_message(&*panic));
                return Err(Failure { cause: Cause::PluginCrashed, message: format!("the check panicked: {message}") });
            }
            Err(_elapsed) => {}
        }
        if let Some(finding) = cut_off {
            call.report(finding, &session.redactor);
        }
        Ok(outcome)
    }
}

fn timed_out(call: &Call) -> Finding {
    let code = format!("{}/timed-out", call.plugin);
    match call.running() {
        Some(phase) => {
            Finding::new(code, Cause::NetworkTimeout, format!("No answer in time, while waiting for {phase}."))
        }
        None => Finding::new(code, Cause::Undetermined, "The check did not end in time."),
    }
    .confidence(Confidence::Likely)
    .remedy(
        "Try again with more time, for instance `--timeout 60s`; if it stays, look at what is between here and there.",
    )
}

fn schema<T: schemars::JsonSchema>() -> Map<String, Value> {
    let schema = schemars::SchemaGenerator::default().into_root_schema_for::<T>();
    match Value::from(schema) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
