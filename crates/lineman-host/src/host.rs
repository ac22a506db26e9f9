//! Runs calls in workers, and decides who pays when one ends.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use lineman_model::protocol::{CheckAnswer, CheckRequest, CloseRequest, op};
use lineman_model::{Cause, Evidence, Finding, Integration, Redactor, SecretMap, WORKER_MEMORY};
use rustix::process::DumpableBehavior;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::attempt::{Attempt, GRACE, Session, attempt};
use crate::confinement::Reach;
use crate::manifest::{self, Manifest, ManifestError};
use crate::process::{Code, Launch, LaunchError, Worker};
use crate::programs;
use crate::scratch::Scratch;
use crate::spawner::Spawner;
use crate::worker::{NOT_CONFINED, hex};
use crate::{Door, Installed};

/// How long is waited for processes to be gone that were killed.
const LAST: Duration = Duration::from_secs(2);
/// A plugin that ends this many workers of its own is set aside for the run.
const CRASHES: usize = 3;

/// How the host works.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The program that becomes a worker: this one, unless a test says otherwise.
    pub executable: PathBuf,
    /// Below which directory private directories are made.
    pub temporary: PathBuf,
    /// Where programs are looked for: the value of `PATH`.
    pub path: String,
    /// Limit of a worker's private memory, bytes.
    pub worker_memory: u64,
}

impl HostOptions {
    /// The usual ones: this program, the system's directory for temporary files, one gibibyte.
    pub fn new(path: String) -> HostOptions {
        HostOptions {
            executable: "/proc/self/exe".into(),
            temporary: std::env::temp_dir(),
            path,
            worker_memory: WORKER_MEMORY,
        }
    }
}

/// Why the host cannot work, or a plugin cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The operating system refuses.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What it says.
        source: io::Error,
    },
    /// The library cannot be loaded; one line with a stable code.
    #[error("{} cannot be loaded ({code}): {message}", library.display())]
    NotLoaded {
        /// The library.
        library: PathBuf,
        /// Stable code, such as `no-symbol`.
        code: String,
        /// What is wrong.
        message: String,
    },
    /// A file cannot be written or is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// A plugin that a run uses.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// Where it is installed.
    pub installed: Installed,
    /// How many calls it takes at once.
    pub max_parallel: u32,
    /// The programs that it declares.
    pub programs: Vec<String>,
    /// The environment variables that it was granted.
    pub environment: Vec<(String, String)>,
    /// The paths that it may read: those that its integrations name, and those that it was granted.
    /// One worker serves all of them, so it may read all of them.
    pub paths: Vec<PathBuf>,
    /// Limits that are lower for it than for others.
    pub limits: PluginLimits,
}

/// Limits that are lower for one plugin than for others.
#[derive(Clone, Copy, Debug, Default)]
pub struct PluginLimits {
    /// Of its worker's private memory, bytes.
    pub memory: Option<u64>,
    /// Of one of its checks.
    pub timeout: Option<Duration>,
}

/// Loads plugins into workers and runs their checks.
pub struct Host {
    options: HostOptions,
    spawner: Arc<Spawner>,
    scratch: Scratch,
    plugins: Mutex<HashMap<String, Arc<Plugin>>>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    next_session: AtomicU64,
}

struct Plugin {
    spec: PluginSpec,
    programs: BTreeMap<String, String>,
    slots: Semaphore,
    /// The worker that all integrations share; replaced when it has ended.
    shared: tokio::sync::Mutex<Option<Arc<Worker>>>,
    /// Why it cannot be loaded: found out once, said for every check.
    unusable: OnceLock<Finding>,
    crashes: AtomicUsize,
}

impl Host {
    /// Starts a host in the current tokio runtime.
    pub fn start(options: HostOptions) -> Result<Host, HostError> {
        let scratch = Scratch::new(&options.temporary)
            .map_err(|source| HostError::Io { doing: "no private directory for temporary files", source })?;
        let spawner = Spawner::new().map_err(|source| HostError::Io { doing: "no thread to start workers", source })?;
        // Secrets are about to be in memory: no process of the same user may read it, and no core
        // dump hold it.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|source| HostError::Io {
            doing: "its memory cannot be closed to others",
            source: source.into(),
        })?;
        Ok(Host {
            options,
            spawner: Arc::new(spawner),
            scratch,
            plugins: Mutex::default(),
            sessions: Mutex::default(),
            next_session: AtomicU64::new(1),
        })
    }

    /// Makes a plugin known; nothing is loaded before its first check.
    pub fn add(&self, spec: PluginSpec) {
        let plugin = Plugin {
            programs: programs::find(&spec.programs, &self.options.path),
            slots: Semaphore::new(spec.max_parallel.max(1) as usize),
            shared: tokio::sync::Mutex::default(),
            unusable: OnceLock::new(),
            crashes: AtomicUsize::new(0),
            spec,
        };
        lock(&self.plugins).insert(plugin.spec.installed.id().to_owned(), Arc::new(plugin));
    }

    /// What a library or program says of itself, asked in a worker.
    pub async fn describe(&self, library: &Path) -> Result<Box<RawValue>, HostError> {
        self.described(library, door_of(library)?).await
    }

    /// [`Host::describe`], by a door that is known.
    pub(crate) async fn described(&self, library: &Path, door: Door) -> Result<Box<RawValue>, HostError> {
        // Not below the plugins: nobody knows yet which one it is.
        let own = self.scratch.path(format!("describe-{}", self.next_session.fetch_add(1, Ordering::Relaxed)));
        let reach = Reach::new(library, [], &own);
        let code = Code { file: library.to_owned(), door, sha256: String::new() };
        let launch = self.launch(code, Vec::new(), &own, reach)?;
        match Worker::launch(&self.spawner, &launch).await {
            Ok((worker, description)) => {
                worker.shutdown().await;
                Ok(description)
            }
            Err(error) => {
                let code = match &error {
                    LaunchError::NotLoaded { code, .. } => code.clone(),
                    LaunchError::Died { .. } => "died-on-load".to_owned(),
                    LaunchError::BadOutput { .. } => "bad-output".to_owned(),
                    LaunchError::TimedOut => "timed-out-on-load".to_owned(),
                    LaunchError::Spawn(_) => "no-worker".to_owned(),
                };
                let mut message = error.to_string();
                if let LaunchError::Died { stderr, .. } = &error
                    && let Some(last) = stderr.last()
                {
                    message = format!("{message}, after `{last}`");
                }
                Err(HostError::NotLoaded { library: library.to_owned(), code, message })
            }
        }
    }

    /// Writes the shippable directory of a library or program: the file, `description.json` and
    /// `plugin.toml`.
    pub async fn pack(&self, library: &Path, licence: &str, out: &Path) -> Result<Manifest, HostError> {
        let door = door_of(library)?;
        let description = self.described(library, door).await?;
        Ok(manifest::write(library, door, description.get(), licence, out)?)
    }

    /// Runs one check to its end and gives what it found, redacted.
    ///
    /// When the worker ends or hangs, what was in flight in it runs again, each integration in a
    /// worker of its own, and only what fails alone becomes a `plugin.…` finding. So this takes
    /// at most twice `deadline` and a moment.
    pub async fn check(
        &self,
        integration: &Integration,
        secrets: &SecretMap,
        check: &str,
        deadline: Duration,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> CheckAnswer {
        let Some(plugin) = lock(&self.plugins).get(&integration.provider).cloned() else {
            let message = format!("There is no plugin `{}`.", integration.provider);
            return only(Finding::new("lineman/plugin-missing", Cause::PluginIncompatible, message));
        };
        if plugin.crashes.load(Ordering::Relaxed) >= CRASHES {
            let message =
                format!("The plugin `{}` crashed {CRASHES} times in this run and was set aside.", integration.provider);
            return only(Finding::new("lineman/plugin-set-aside", Cause::PluginCrashed, message));
        }
        let session = match self.session(integration, secrets) {
            Ok(session) => session,
            Err(error) => {
                let message = format!("No private directory could be made: {error}.");
                return only(Finding::new("lineman/no-directory", Cause::PluginCrashed, message));
            }
        };
        let mut request = CheckRequest {
            check: check.to_owned(),
            session: session.id,
            deadline_ms: 0,
            integration: integration.clone(),
            secrets: secrets.clone(),
            programs: plugin.programs.clone(),
            directory: session.directory.display().to_string(),
        };
        let deadline = plugin.spec.limits.timeout.map_or(deadline, |timeout| timeout.min(deadline));
        let Ok(_slot) = plugin.slots.acquire().await else { return CheckAnswer::default() };

        let first = match self.shared(&plugin).await {
            Ok(worker) => attempt(&worker, &mut request, &session, deadline, progress).await,
            Err(finding) => Attempt::NotLaunched(finding),
        };
        let alone = match first {
            Attempt::Answered(answer) => return answer,
            Attempt::NotLaunched(finding) => return only(*finding),
            // Nothing else was in flight: there is nobody else to blame.
            Attempt::Hung { alone: true, .. } => first,
            Attempt::Died { .. } | Attempt::Hung { .. } => match self.worker(&plugin).await {
                Ok(worker) => {
                    let again = attempt(&worker, &mut request, &session, deadline, progress).await;
                    worker.shutdown().await;
                    again
                }
                Err(finding) => Attempt::NotLaunched(finding),
            },
        };
        match alone {
            Attempt::Answered(answer) => answer,
            Attempt::NotLaunched(finding) => only(*finding),
            Attempt::Died { ending, stderr, findings } => {
                plugin.crashes.fetch_add(1, Ordering::Relaxed);
                let (code, cause, what) = match ending.bad_output {
                    Some(problem) => ("lineman/plugin-bad-output", Cause::PluginBadOutput, format!("sent {problem}")),
                    None => ("lineman/plugin-crashed", Cause::PluginCrashed, ending.how),
                };
                let message = format!("In {check}, the plugin `{}` {what}.", integration.provider);
                self.fault(code, cause, message, stderr, findings, &plugin, &session)
            }
            Attempt::Hung { findings, .. } => {
                let message = format!("The plugin `{}` did not answer {check} in time.", integration.provider);
                self.fault(
                    "lineman/plugin-timed-out",
                    Cause::PluginTimedOut,
                    message,
                    Vec::new(),
                    findings,
                    &plugin,
                    &session,
                )
            }
        }
    }

    /// Ends an integration's session: the plugin wipes its secrets.
    pub async fn close(&self, integration: &Integration) {
        let session = lock(&self.sessions).remove(&integration.name);
        let plugin = lock(&self.plugins).get(&integration.provider).cloned();
        let (Some(session), Some(plugin)) = (session, plugin) else { return };
        if let Some(worker) = plugin.shared.lock().await.as_ref().filter(|worker| !worker.has_ended())
            && let Ok(mut call) =
                worker.submit(op::CLOSE, session.id, &CloseRequest { session: session.id }, Redactor::new())
        {
            let _ = timeout_at(Instant::now() + GRACE, call.events.recv()).await;
            worker.forget(call.call);
        }
        // Gone with the run at the latest.
        let _ = std::fs::remove_dir_all(&session.directory);
    }

    /// Ends every worker at once, and what the plugins started. No check runs any more.
    pub async fn abandon(&self) {
        self.end(async |worker| worker.kill()).await;
    }

    /// Ends every worker, giving the plugins a moment to shut down. No check runs any more.
    pub async fn stop(&self) {
        self.end(async |worker| worker.shutdown().await).await;
    }

    async fn end(&self, end: impl AsyncFn(&Worker)) {
        let plugins: Vec<Arc<Plugin>> = lock(&self.plugins).values().cloned().collect();
        for plugin in plugins {
            if let Some(worker) = plugin.shared.lock().await.take() {
                end(&worker).await;
            }
        }
        // Those that had no time to end, or that nobody has met yet: the last ones to be loaded.
        let spawner = Arc::clone(&self.spawner);
        let ended = tokio::task::spawn_blocking(move || spawner.end());
        let _ = timeout_at(Instant::now() + LAST, ended).await;
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one place puts a plugin's fault into words; the arguments are its parts"
    )]
    fn fault(
        &self,
        code: &str,
        cause: Cause,
        message: String,
        stderr: Vec<String>,
        mut findings: Vec<Finding>,
        plugin: &Plugin,
        session: &Session,
    ) -> CheckAnswer {
        let mut finding = Finding::new(code, cause, message).remedy(format!(
            "Report this to the plugin's publisher ({}), with its version {}.",
            plugin.spec.installed.manifest.publisher, plugin.spec.installed.manifest.version
        ));
        if !stderr.is_empty() {
            let lines = stderr.iter().map(|line| self.scrub(line)).collect();
            finding = finding
                .evidence(Evidence::Log { source: format!("stderr of plugin {}", plugin.spec.installed.id()), lines });
        }
        session.redactor.scrub_finding(&mut finding);
        findings.push(finding);
        CheckAnswer { findings, ..CheckAnswer::default() }
    }

    /// A worker's stderr is shared by its sessions, so it is scrubbed of all their secrets.
    fn scrub(&self, line: &str) -> String {
        let sessions: Vec<Arc<Session>> = lock(&self.sessions).values().cloned().collect();
        sessions.iter().fold(line.to_owned(), |line, session| session.redactor.scrub(&line))
    }

    fn session(&self, integration: &Integration, secrets: &SecretMap) -> io::Result<Arc<Session>> {
        if let Some(session) = lock(&self.sessions).get(&integration.name) {
            return Ok(Arc::clone(session));
        }
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let redactor = Redactor::new();
        for (name, secret) in &secrets.0 {
            redactor.add(name, secret);
        }
        for proxy in &integration.connection.proxies {
            redactor.add("proxy", &proxy.url);
        }
        let own = self.scratch.of_plugin(&integration.provider);
        let directory = self.scratch.directory(own.join(format!("session-{id}")))?;
        let session = Arc::new(Session { id, redactor, directory });
        Ok(Arc::clone(lock(&self.sessions).entry(integration.name.clone()).or_insert(session)))
    }

    async fn shared(&self, plugin: &Plugin) -> Result<Arc<Worker>, Box<Finding>> {
        let mut shared = plugin.shared.lock().await;
        if let Some(worker) = shared.as_ref().filter(|worker| !worker.has_ended()) {
            return Ok(Arc::clone(worker));
        }
        let worker = Arc::new(self.worker(plugin).await?);
        *shared = Some(Arc::clone(&worker));
        Ok(worker)
    }

    /// A new worker with the plugin in it, or why there is none.
    async fn worker(&self, plugin: &Plugin) -> Result<Worker, Box<Finding>> {
        if let Some(finding) = plugin.unusable.get() {
            return Err(Box::new(finding.clone()));
        }
        self.load(plugin).await.map_err(|error| {
            // What the system refuses now it may grant later; the library stays what it is.
            let lasting = !matches!(error, LaunchError::Spawn(_));
            let finding = not_launched(plugin, error);
            if lasting {
                let _ = plugin.unusable.set(finding.clone());
            }
            Box::new(finding)
        })
    }

    async fn load(&self, plugin: &Plugin) -> Result<Worker, LaunchError> {
        let installed = &plugin.spec.installed;
        let file = installed.manifest.library(&installed.directory);
        let code = match (installed.door(), installed.library(), file) {
            (Ok(door), Ok(path), Ok(file)) => Code { file: path, door, sha256: file.sha256.clone() },
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                return Err(LaunchError::NotLoaded { code: "no-library".to_owned(), message: error.to_string() });
            }
        };
        let own = self.scratch.of_plugin(installed.id());
        let named = plugin.spec.paths.iter().map(PathBuf::as_path).chain(plugin.programs.values().map(Path::new));
        let reach = Reach::new(&code.file, named, &own);
        let launch = self
            .launch(code, plugin.spec.environment.clone(), &own.join("worker"), reach)
            .map_err(|error| LaunchError::NotLoaded { code: "no-directory".to_owned(), message: error.to_string() })?;
        let launch = Launch {
            memory: plugin.spec.limits.memory.map_or(launch.memory, |most| most.min(launch.memory)),
            ..launch
        };
        let (worker, description) = match Worker::launch(&self.spawner, &launch).await {
            // Perhaps somebody ended it who was short of memory: a library that is at fault does it again.
            Err(LaunchError::Died { .. }) => Worker::launch(&self.spawner, &launch).await?,
            launched => launched?,
        };
        use sha2::Digest;
        if hex(&sha2::Sha256::digest(description.get().as_bytes())) != installed.manifest.description.sha256 {
            worker.shutdown().await;
            let message = "the library does not describe itself as its description.json says".to_owned();
            return Err(LaunchError::NotLoaded { code: "other-description".to_owned(), message });
        }
        Ok(worker)
    }

    fn launch(
        &self,
        code: Code,
        environment: Vec<(String, String)>,
        directory: &Path,
        reach: Reach,
    ) -> Result<Launch, HostError> {
        let directory = self
            .scratch
            .directory(directory.to_owned())
            .map_err(|source| HostError::Io { doing: "no working directory for a worker", source })?;
        Ok(Launch {
            executable: self.options.executable.clone(),
            code,
            memory: self.options.worker_memory,
            environment,
            directory,
            reach,
            offline: false,
        })
    }
}

fn door_of(library: &Path) -> Result<Door, HostError> {
    Door::of(library).map_err(|error| HostError::NotLoaded {
        library: library.to_owned(),
        code: error.code().to_owned(),
        message: error.to_string(),
    })
}

fn not_launched(plugin: &Plugin, error: LaunchError) -> Finding {
    let id = plugin.spec.installed.id();
    let (code, cause) = match &error {
        LaunchError::NotLoaded { code, .. } if code == "hash-mismatch" => ("plugin-untrusted", Cause::PluginUntrusted),
        LaunchError::NotLoaded { code, .. } if code == NOT_CONFINED => ("no-worker", Cause::PluginCrashed),
        LaunchError::NotLoaded { .. } => ("plugin-incompatible", Cause::PluginIncompatible),
        LaunchError::Died { .. } => ("plugin-crashed", Cause::PluginCrashed),
        LaunchError::BadOutput { .. } => ("plugin-bad-output", Cause::PluginBadOutput),
        LaunchError::TimedOut => ("plugin-timed-out", Cause::PluginTimedOut),
        LaunchError::Spawn(_) => ("no-worker", Cause::PluginCrashed),
    };
    let mut finding =
        Finding::new(format!("lineman/{code}"), cause, format!("The plugin `{id}` cannot be used: {error}."))
            .subject("plugin", id)
            .remedy(format!("Install `{id}` again, in a version for this Lineman."));
    match error {
        LaunchError::Died { stderr, .. } if !stderr.is_empty() => {
            finding = finding.evidence(Evidence::Log { source: format!("stderr of plugin {id}"), lines: stderr });
        }
        LaunchError::NotLoaded { code, .. } => finding = finding.detail(format!("load error: {code}")),
        _ => {}
    }
    finding
}

fn only(finding: Finding) -> CheckAnswer {
    CheckAnswer { findings: vec![finding], ..CheckAnswer::default() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
