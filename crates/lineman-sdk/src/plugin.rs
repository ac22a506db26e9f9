use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use lineman_catalog::Catalog;
use lineman_model::protocol::{CheckOutcome, CheckRequest, CheckSkip, Failure, NO_CATALOG, PROTOCOL, op};
use lineman_model::{Blocking, Cause, CheckInfo, Confidence, Description, Finding, Redactor};
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::cx::{Call, LONGEST_TEXT, Sink};
use crate::outcome::Why;
use crate::session::Session;
use crate::shim::lock;
use crate::{Check, Cx, Outcome, Provider, Stop};

/// Kept back from a call's deadline, so that the answer is there when the host looks for it.
const MARGIN: Duration = Duration::from_millis(50);
/// No check needs more, and a number from outside must not overflow the clock.
const LONGEST_CALL: Duration = Duration::from_secs(24 * 60 * 60);

type Panic = Box<dyn Any + Send>;

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
    /// When the plugin contradicts itself, in its catalog or in its list of checks: its author
    /// sees that the first time the library is described.
    pub(crate) fn new() -> Plugin<P> {
        let about = P::about();
        let id = about.id;
        // Its author's builds look at every law; those that people run start sooner.
        let read = if cfg!(debug_assertions) { Catalog::parse } else { Catalog::tested };
        let catalog = match read(id, about.catalog) {
            Ok(catalog) => catalog,
            Err(error) => panic!("{error}"),
        };
        let prefix = |name: &str| if name.contains('/') { name.to_owned() } else { format!("{id}/{name}") };
        let mut checks = P::checks();
        for check in &mut checks {
            check.info.id = prefix(&check.info.id);
            let others = check.info.needs.iter_mut().chain(&mut check.info.replaced_by);
            others.for_each(|other| *other = prefix(other));
        }
        if let Some(fault) = fault(checks.iter().map(|check| &check.info)) {
            panic!("the checks of plugin `{id}` are wrong: {fault}");
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
            requires: schema::<P::Requirement>(),
            catalog: catalog.to_value(),
            services: about.services,
            hosts: about.hosts,
            environment: about.environment,
            paths: about.paths,
            programs: about.programs,
            example: about.example.to_owned(),
            docs_url: about.docs_url.map(str::to_owned),
        };
        // What is described stays; what is matched is taken away, to see what rests on it.
        let switched_off = cfg!(debug_assertions) && std::env::var_os(NO_CATALOG).is_some();
        let catalog = if switched_off { Catalog::parse(id, "").unwrap_or(catalog) } else { catalog };
        let checks = checks.into_iter().map(|check| (check.info.id.clone(), check)).collect();
        Plugin { id, description, checks, catalog: Arc::new(catalog), sessions: Mutex::default() }
    }

    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Ends a session; its secrets are wiped when its last check lets go of it.
    pub(crate) fn close(&self, session: u64) {
        let ended = lock(&self.sessions).remove(&session);
        // Dropped without the lock: what an author keeps in a session may take its time.
        drop(ended);
    }

    fn session(&self, request: CheckRequest) -> Result<Arc<Session<P>>, Box<Finding>> {
        let id = request.session;
        if let Some(session) = lock(&self.sessions).get(&id) {
            return Ok(Arc::clone(session));
        }
        let opened = Arc::new(Session::open(&self.description, request, Arc::clone(&self.catalog))?);
        // Two first checks may have opened one each; both use the one that came first.
        Ok(Arc::clone(lock(&self.sessions).entry(id).or_insert(opened)))
    }

    /// Makes a call ready to run; none when there is no such check.
    pub(crate) fn prepare(&self, request: &CheckRequest, sink: Arc<dyn Sink>) -> Option<Arc<Call>> {
        let check = self.checks.get(&request.check)?;
        let time = Duration::from_millis(request.deadline_ms).saturating_sub(MARGIN).min(LONGEST_CALL);
        let deadline = Instant::now() + time;
        Some(Arc::new(Call::new(self.id, check.info.clone(), deadline, Arc::clone(&self.catalog), sink)))
    }

    /// Runs a check to its end, whatever it does short of ending the process.
    pub(crate) async fn run(&self, call: &Arc<Call>, request: CheckRequest) -> Result<CheckOutcome, Failure> {
        let Some(check) = self.checks.get(&call.check.id) else {
            return Err(Failure {
                cause: Cause::PluginBadOutput,
                message: format!("there is no check `{}`", call.check.id),
            });
        };
        // Reading settings and secrets runs code of the plugin too. Its message may quote a secret.
        let session = match catch_unwind(AssertUnwindSafe(|| self.session(request))) {
            Ok(Ok(session)) => session,
            Ok(Err(finding)) => {
                let redactor = Redactor::new();
                call.report(*finding, &redactor);
                return Ok(call.take_outcome(&redactor));
            }
            Err(_panic) => return Err(crashed("the plugin panicked while it read its settings and secrets")),
        };
        let cx = Cx { session: Arc::clone(&session), call: Arc::clone(call) };
        let (ended, cut_off) = {
            let mut run = std::pin::pin!(perform(check, cx));
            let ended = tokio::time::timeout_at(call.deadline, run.as_mut()).await;
            // Asked before the check is dropped, which ends the phase that it waits for.
            let cut_off = ended.is_err().then(|| timed_out(call));
            (ended, cut_off)
        };
        let redactor = &session.redactor;
        let mut skip = None;
        match ended {
            Ok(Ok(Ok(()) | Err(Stop(Why::AlreadyReported)))) => {}
            Ok(Ok(Err(Stop(Why::Finding(finding))))) => call.report(*finding, redactor),
            Ok(Ok(Err(Stop(Why::Skip { reason, why })))) => {
                skip = Some(CheckSkip { reason, why: redactor.shown(&why, LONGEST_TEXT) });
            }
            Ok(Err(panic)) => {
                let message = format!("the check panicked: {}", panic_message(&*panic));
                return Err(crashed(&redactor.shown(&message, LONGEST_TEXT)));
            }
            Err(_elapsed) => {}
        }
        if let Some(finding) = cut_off {
            call.report(finding, redactor);
        }
        Ok(CheckOutcome { skip, ..call.take_outcome(redactor) })
    }
}

/// Runs the author's function: on a thread of its own if it says that it blocks.
async fn perform<P: Provider>(check: &Check<P>, cx: Cx<P>) -> Result<Outcome, Panic> {
    let (run, call) = (Arc::clone(&check.run), Arc::clone(&cx.call));
    let work = AssertUnwindSafe(async move { run(cx).await }).catch_unwind();
    if check.info.blocking == Blocking::No {
        return work.await;
    }
    // Nobody can take the thread away from the check; but it is told, and what it awaits is dropped.
    let _told = CancelOnDrop(Arc::clone(&call));
    let runtime = Handle::current();
    let thread = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            tokio::select! {
                ended = work => ended,
                () = call.cancelled() => Ok(Err(Stop::reported())),
            }
        })
    });
    thread.await.unwrap_or_else(|error| Err(error.try_into_panic().unwrap_or_else(|_| Box::new("the thread ended"))))
}

struct CancelOnDrop(Arc<Call>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What is wrong with a list of checks, if anything is.
fn fault<'a>(checks: impl Iterator<Item = &'a CheckInfo> + Clone) -> Option<String> {
    let mut ids = HashSet::new();
    for check in checks.clone() {
        let (_, name) = check.id.split_once('/')?;
        let kebab = name
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        if !kebab {
            return Some(format!("the name `{name}` is not kebab-case"));
        }
        if !ids.insert(&check.id) {
            return Some(format!("there are two `{}`", check.id));
        }
    }
    let mut named = checks.flat_map(|check| {
        let needs = check.needs.iter().map(move |need| (&check.id, "needs", need));
        needs.chain(check.replaced_by.iter().map(move |other| (&check.id, "is replaced by", other)))
    });
    let (check, how, other) = named.find(|(_, _, other)| !ids.contains(other))?;
    Some(format!("`{check}` {how} `{other}`, which there is not"))
}

fn crashed(message: &str) -> Failure {
    Failure { cause: Cause::PluginCrashed, message: message.to_owned() }
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
