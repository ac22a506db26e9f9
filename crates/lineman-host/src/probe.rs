//! A worker without the host's good manners: what a plugin says comes out as the plugin said it.
//!
//! The [`Host`](crate::Host) waits for answers, blames, repeats and redacts. Whoever judges a
//! plugin wants none of that: the bytes that go in are theirs, events come out raw and in order,
//! those included that the host drops, and the worker stays when the plugin has shut down. A
//! [`Probe`] holds one worker with one library in it, and ends it when it is dropped.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lineman_model::protocol::{FromWorker, ToWorker};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::confinement::Reach;
use crate::door::{Door, NoDoor};
use crate::host::{HostError, HostOptions};
use crate::process::{Code, Launch, LaunchError, Worker};
use crate::programs;
use crate::scratch::Scratch;
use crate::spawner::Spawner;
use crate::worker::NO_NAMESPACE;

/// The directory of what probes may write.
const PROBES: &str = "probes";

/// Starts probes. It has private directories and a thread of its own, as a host has.
pub struct Prober {
    options: HostOptions,
    spawner: Spawner,
    scratch: Scratch,
    next: AtomicU64,
}

/// What a probe's worker finds around it.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// The programs that it may run, and whatever else it may read.
    pub readable: Vec<PathBuf>,
    /// Whether it sees no network, not even loopback.
    pub offline: bool,
}

/// Why there is no probe.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The operating system refuses a worker, or the network namespace that was asked for.
    #[error("the system gives no such worker: {0}")]
    Refused(String),
    /// The library cannot be loaded.
    #[error("{message} ({code})")]
    NotLoaded {
        /// Stable code, such as `no-symbol`.
        code: String,
        /// What is wrong, on one line.
        message: String,
    },
    /// The worker ended while it loaded the library.
    #[error("the worker {ending} while it loaded the plugin")]
    Died {
        /// How it ended: `was killed by signal 11 (SIGSEGV)`.
        ending: String,
        /// The last lines that it wrote.
        stderr: Vec<String>,
    },
    /// The library was still being loaded when time was up.
    #[error("the plugin was not loaded and described in time")]
    TimedOut,
}

impl From<LaunchError> for ProbeError {
    fn from(error: LaunchError) -> ProbeError {
        match error {
            LaunchError::NotLoaded { code, message } if code == NO_NAMESPACE => ProbeError::Refused(message),
            LaunchError::NotLoaded { code, message } => ProbeError::NotLoaded { code, message },
            LaunchError::Died { ending, stderr } => ProbeError::Died { ending, stderr },
            LaunchError::BadOutput { problem } => {
                ProbeError::NotLoaded { code: "bad-output".to_owned(), message: format!("the plugin sent {problem}") }
            }
            LaunchError::TimedOut => ProbeError::TimedOut,
            LaunchError::Spawn(error) => ProbeError::Refused(error.to_string()),
        }
    }
}

impl From<NoDoor> for ProbeError {
    fn from(error: NoDoor) -> ProbeError {
        ProbeError::NotLoaded { code: error.code().to_owned(), message: error.to_string() }
    }
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> ProbeError {
        ProbeError::Refused(error.to_string())
    }
}

impl Prober {
    /// Starts a prober in the current tokio runtime.
    pub fn start(options: HostOptions) -> Result<Prober, HostError> {
        let scratch = Scratch::new(&options.temporary)
            .map_err(|source| HostError::Io { doing: "no private directory for temporary files", source })?;
        let spawner = Spawner::new().map_err(|source| HostError::Io { doing: "no thread to start workers", source })?;
        Ok(Prober { options, spawner, scratch, next: AtomicU64::new(1) })
    }

    /// Loads a library into a worker of its own.
    pub async fn launch(&self, library: &Path, ground: Ground) -> Result<Probe, ProbeError> {
        let launch = Launch {
            executable: self.options.executable.clone(),
            code: Code { file: library.to_owned(), door: Door::of(library)?, sha256: String::new() },
            memory: self.options.worker_memory,
            environment: ground.environment,
            directory: self.directory()?,
            // What it is asked about lies in directories beside its own.
            reach: Reach::new(library, ground.readable.iter().map(PathBuf::as_path), &self.scratch.path(PROBES)),
            offline: ground.offline,
        };
        let (tap, messages) = mpsc::unbounded_channel();
        let (worker, description) = Worker::launch_tapped(&self.spawner, &launch, Some(tap)).await?;
        Ok(Probe { worker, description, messages, next_call: 1 })
    }

    /// A private directory, empty and of its own, that goes when the prober goes.
    pub fn directory(&self) -> io::Result<PathBuf> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        self.scratch.directory(self.scratch.path(PROBES).join(name))
    }

    /// The absolute paths of those of these programs that this machine has.
    pub fn programs(&self, names: &[String]) -> BTreeMap<String, String> {
        programs::find(names, &self.options.path)
    }
}

/// A worker with a plugin in it.
pub struct Probe {
    worker: Worker,
    description: Box<RawValue>,
    messages: mpsc::UnboundedReceiver<FromWorker>,
    next_call: u64,
}

/// What is heard of a worker.
#[derive(Debug)]
pub enum Heard {
    /// It said something.
    Message(FromWorker),
    /// It said nothing in time.
    Silence,
    /// It has ended, and says nothing any more.
    End,
}

impl Probe {
    /// What the plugin said of itself, byte for byte.
    pub fn description(&self) -> &RawValue {
        &self.description
    }

    /// Submits a request, and gives the number of the call.
    pub fn submit(&mut self, op: &str, request: &impl Serialize) -> io::Result<u64> {
        let call = self.number();
        let request = serde_json::value::to_raw_value(request)?;
        self.worker.send(&ToWorker::Submit { call, op: op.to_owned(), request })?;
        Ok(call)
    }

    /// Submits bytes, whatever they are, and gives the number of the call.
    pub fn submit_bytes(&mut self, op: &str, request: &[u8]) -> io::Result<u64> {
        let call = self.number();
        self.worker.send(&ToWorker::SubmitBytes { call, op: op.to_owned(), request: request.to_vec() })?;
        Ok(call)
    }

    fn number(&mut self) -> u64 {
        let call = self.next_call;
        self.next_call += 1;
        call
    }

    /// Says that nobody waits for a call any more.
    pub fn cancel(&self, call: u64) {
        self.worker.cancel(call);
    }

    /// Shuts the plugin down and keeps the worker: [`FromWorker::ShutDown`] follows.
    pub fn shut_down(&self) -> io::Result<()> {
        self.worker.send(&ToWorker::ShutdownAndStay {})
    }

    /// Asks for [`FromWorker::Measured`].
    pub fn measure(&self) -> io::Result<()> {
        self.worker.send(&ToWorker::Measure {})
    }

    /// The next thing that the worker says, not redacted.
    pub async fn hear(&mut self, until: Instant) -> Heard {
        match timeout_at(until, self.messages.recv()).await {
            Ok(Some(message)) => Heard::Message(message),
            Ok(None) => Heard::End,
            Err(_) => Heard::Silence,
        }
    }

    /// How it ended, once it has: `was killed by signal 11 (SIGSEGV)`.
    pub async fn ending(&self) -> String {
        self.worker.ended().await.how
    }

    /// Ends it as the host does: the plugin may shut down, for a moment. Says how it ended, and
    /// nothing if it had to be killed.
    pub async fn end(self, within: Duration) -> Option<String> {
        self.worker.send(&ToWorker::Shutdown {}).ok()?;
        timeout(within, self.worker.ended()).await.ok().map(|ending| ending.how)
    }

    /// What it wrote to stdout and stderr, the last of it, as it is.
    pub fn written(&self) -> String {
        self.worker.all_stderr()
    }

    /// Its process.
    pub fn pid(&self) -> Option<i32> {
        self.worker.pid().map(|pid| pid.as_raw_pid())
    }
}
