//! One worker process as the host sees it: calls go in, events come out, and one day it ends.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lineman_model::protocol::{
    CheckOutcome, Failure, FromWorker, MAX_EVENT, MAX_FINDINGS, Progress, RegisteredSecret, TEST_SWITCHES, ToWorker,
    event, host_call,
};
use lineman_model::{Finding, Redactor, clean_line};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use crate::confinement::Reach;
use crate::spawner::Spawner;
use crate::strays;
use crate::worker::WorkerArgs;
use crate::{Door, frame};

/// How many bytes of a worker's stderr are kept: the last ones.
const STDERR_KEPT: usize = 16 * 1024;
/// How long a worker has to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// How long it has to end after it was told to.
const FAREWELL: Duration = Duration::from_secs(1);
/// How many events of a call may wait. Progress is dropped before it takes the room that a call's
/// findings and its terminal event need.
const EVENTS: usize = MAX_FINDINGS + 256;
/// The most secrets that a plugin may register in one call.
const MAX_SECRETS: usize = 100;

/// How to start a worker.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The program that becomes the worker: this one.
    pub(crate) executable: PathBuf,
    /// What it runs.
    pub(crate) code: Code,
    /// Limit of private memory, bytes.
    pub(crate) memory: u64,
    /// Its whole environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Where it runs.
    pub(crate) directory: PathBuf,
    /// What it may reach.
    pub(crate) reach: Reach,
    /// Whether it is to see no network at all.
    pub(crate) offline: bool,
}

/// Where every message of a worker goes as it came, in place of the calls that it is for.
pub(crate) type Tap = mpsc::UnboundedSender<FromWorker>;
/// What a worker runs: the library to load, or the program to become.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    /// Where it is.
    pub(crate) file: PathBuf,
    /// How it is entered.
    pub(crate) door: Door,
    /// What it must hash to; empty to accept any.
    pub(crate) sha256: String,
}

/// Why a worker never said hello.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The operating system refuses.
    #[error("the worker could not be started: {0}")]
    Spawn(#[from] io::Error),
    /// The worker lives and could not load the plugin.
    #[error("{message}")]
    NotLoaded { code: String, message: String },
    /// The worker ended while it loaded the plugin.
    #[error("the worker {ending} while it loaded the plugin")]
    Died { ending: String, stderr: Vec<String> },
    /// Something else than a message came out of the worker: a program wrote it.
    #[error("it sent {problem}")]
    BadOutput { problem: String },
    /// The plugin was still loading when time was up.
    #[error("the plugin was not loaded within {} s", HELLO.as_secs())]
    TimedOut,
}

/// How a call goes on.
#[derive(Debug)]
pub(crate) enum CallEvent {
    Finding(Box<Finding>),
    Progress(Progress),
    Result(CheckOutcome),
    Failed(Failure),
    /// The plugin would not take the call.
    Refused(u32),
    /// The plugin answered something that is no answer.
    Bad(String),
}

/// How a worker ended.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// As a clause: `was killed by signal 11 (SIGSEGV)`.
    pub(crate) how: String,
    /// What came out of it that is no message, and for which it was ended.
    pub(crate) bad_output: Option<String>,
}

struct Slot {
    session: u64,
    events: mpsc::Sender<CallEvent>,
    redactor: Redactor,
    findings: usize,
    secrets: usize,
}

/// A worker that said hello.
pub(crate) struct Worker {
    pid: Option<Pid>,
    next_call: AtomicU64,
    calls: Arc<Mutex<HashMap<u64, Slot>>>,
    input: mpsc::UnboundedSender<Zeroizing<Vec<u8>>>,
    ended: watch::Receiver<Option<Ending>>,
    stderr: Ring,
}

/// A call in flight.
pub(crate) struct InFlight {
    pub(crate) call: u64,
    pub(crate) events: mpsc::Receiver<CallEvent>,
}

impl Worker {
    /// Starts a worker and waits for its hello; gives the plugin's description with it.
    pub(crate) async fn launch(spawner: &Spawner, launch: &Launch) -> Result<(Worker, Box<RawValue>), LaunchError> {
        Worker::launch_tapped(spawner, launch, None).await
    }

    /// The same, with all that comes out of it going to a tap.
    pub(crate) async fn launch_tapped(
        spawner: &Spawner,
        launch: &Launch,
        tap: Option<Tap>,
    ) -> Result<(Worker, Box<RawValue>), LaunchError> {
        let args = WorkerArgs {
            library: launch.code.file.clone(),
            door: launch.code.door,
            sha256: launch.code.sha256.clone(),
            memory: launch.memory,
            parent: std::process::id(),
            offline: launch.offline,
        };
        let mut command = Command::new(&launch.executable);
        command
            .args(args.to_args()?)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&launch.directory)
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if cfg!(debug_assertions) {
            command.envs(
                TEST_SWITCHES.into_iter().filter(|name| std::env::var_os(name).is_some()).map(|name| (name, "1")),
            );
        }
        let reach = frame::encode(&launch.reach)?;
        let mut child = spawner.spawn(command).await?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(LaunchError::Spawn(io::ErrorKind::BrokenPipe.into()));
        };
        let ring = Ring::default();
        let drained = tokio::spawn(ring.clone().drain(stderr));
        let hello = tokio::time::timeout(HELLO, async {
            // A worker that ends before it was told says why in its place.
            let _ = stdin.write_all(&reach).await;
            frame::read_async(&mut stdout).await
        });
        let hello = hello.await;
        let problem = match hello {
            Ok(Ok(Some(body))) => match message(&body) {
                Ok(FromWorker::Hello { description }) => {
                    let worker = Worker::run(child, pid, stdin, stdout, ring, drained, tap);
                    return Ok((worker, description));
                }
                Ok(FromWorker::NotLoaded { code, message }) => {
                    Some(LaunchError::NotLoaded { code: clean_line(&code, 40), message: clean_line(&message, 300) })
                }
                Ok(_) => Some(LaunchError::BadOutput { problem: "another message before its hello".to_owned() }),
                Err(problem) => Some(LaunchError::BadOutput { problem }),
            },
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                Some(LaunchError::BadOutput { problem: error.to_string() })
            }
            Ok(_) => None,
            Err(_) => Some(LaunchError::TimedOut),
        };
        if problem.is_some() {
            kill(pid);
        }
        let status = child.wait().await;
        end_what_it_left(pid).await;
        let _ = tokio::time::timeout(FAREWELL, drained).await;
        Err(problem.unwrap_or_else(|| LaunchError::Died { ending: ending(status), stderr: ring.lines() }))
    }

    fn run(
        mut child: Child,
        pid: Option<Pid>,
        stdin: ChildStdin,
        mut stdout: ChildStdout,
        stderr: Ring,
        drained: tokio::task::JoinHandle<()>,
        tap: Option<Tap>,
    ) -> Worker {
        let calls: Arc<Mutex<HashMap<u64, Slot>>> = Arc::default();
        let (input, frames) = mpsc::unbounded_channel();
        let (announce, ended) = watch::channel(None);
        tokio::spawn(feed(stdin, frames));
        let dispatch = Arc::clone(&calls);
        tokio::spawn(async move {
            let bad_output = loop {
                match frame::read_async(&mut stdout).await {
                    Ok(Some(body)) => match (message(&body), &tap) {
                        // Who probes may have gone, and then nobody listens.
                        (Ok(message), Some(tap)) => drop(tap.send(message)),
                        (Ok(message), None) => deliver(&dispatch, message),
                        (Err(problem), _) => break Some(problem),
                    },
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => break Some(error.to_string()),
                    // The end, in the middle of a frame or not.
                    Ok(None) | Err(_) => break None,
                }
            };
            if bad_output.is_some() {
                kill(pid);
            }
            // A plugin may have closed the pipe and live on.
            let status = match tokio::time::timeout(FAREWELL, child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    kill(pid);
                    child.wait().await
                }
            };
            end_what_it_left(pid).await;
            let _ = tokio::time::timeout(FAREWELL, drained).await;
            announce.send_replace(Some(Ending { how: ending(status), bad_output }));
            // Dropping the senders tells every call that nothing more will come.
            lock(&dispatch).clear();
        });
        Worker { pid, next_call: AtomicU64::new(1), calls, input, ended, stderr }
    }

    /// Hands a call over. Its events end without a terminal one when the worker ends.
    pub(crate) fn submit(
        &self,
        op: &str,
        session: u64,
        request: &impl Serialize,
        redactor: Redactor,
    ) -> io::Result<InFlight> {
        let call = self.next_call.fetch_add(1, Ordering::Relaxed);
        let request = serde_json::value::to_raw_value(request)?;
        let frame = frame::encode(&ToWorker::Submit { call, op: op.to_owned(), request })?;
        let (sender, events) = mpsc::channel(EVENTS);
        lock(&self.calls).insert(call, Slot { session, events: sender, redactor, findings: 0, secrets: 0 });
        if self.input.send(frame).is_err() || self.ended.borrow().is_some() {
            lock(&self.calls).remove(&call);
        }
        Ok(InFlight { call, events })
    }

    /// Sends a message as it is.
    pub(crate) fn send(&self, message: &ToWorker) -> io::Result<()> {
        // A worker that has ended hears nothing, and its end is told.
        let _ = self.input.send(frame::encode(message)?);
        Ok(())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Says that nobody waits for a call any more.
    pub(crate) fn cancel(&self, call: u64) {
        if let Ok(frame) = frame::encode(&ToWorker::Cancel { call }) {
            // A worker that has ended has nothing to cancel.
            let _ = self.input.send(frame);
        }
    }

    /// Lets go of a call.
    pub(crate) fn forget(&self, call: u64) {
        lock(&self.calls).remove(&call);
    }

    /// Whether calls of other sessions are in flight.
    pub(crate) fn serves_others(&self, session: u64) -> bool {
        lock(&self.calls).values().any(|slot| slot.session != session)
    }

    /// Ends it now.
    pub(crate) fn kill(&self) {
        kill(self.pid);
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits for its end, and says how it ended.
    pub(crate) async fn ended(&self) -> Ending {
        let mut ended = self.ended.clone();
        let ending = ended.wait_for(Option::is_some).await.ok().and_then(|ending| ending.clone());
        ending.unwrap_or_else(|| Ending { how: "ended".to_owned(), bad_output: None })
    }

    /// The last lines that it wrote to stderr; not redacted.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.lines()
    }

    /// All that is kept of what it wrote to stderr; neither redacted nor cleaned.
    pub(crate) fn all_stderr(&self) -> String {
        self.stderr.text()
    }

    /// Lets the plugin shut down, for a moment; then ends it.
    pub(crate) async fn shutdown(&self) {
        if let Ok(frame) = frame::encode(&ToWorker::Shutdown {}) {
            let _ = self.input.send(frame);
        }
        if tokio::time::timeout(FAREWELL, self.ended()).await.is_err() {
            self.kill();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn feed(mut stdin: ChildStdin, mut frames: mpsc::UnboundedReceiver<Zeroizing<Vec<u8>>>) {
    while let Some(frame) = frames.recv().await {
        if stdin.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// A message of a worker. What it says of a mistake quotes nothing: it may be a secret.
fn message(body: &[u8]) -> Result<FromWorker, String> {
    serde_json::from_slice(body).map_err(|error| match error.is_data() {
        true => "a message that the protocol does not know".to_owned(),
        false => "a message that is no JSON".to_owned(),
    })
}

/// Passes an event on to whoever waits for it. The worker's outbox holds a plugin to its limits;
/// they are held here again, because a program has no outbox and a library may go round it.
fn deliver(calls: &Mutex<HashMap<u64, Slot>>, message: FromWorker) {
    let (call, event) = match message {
        FromWorker::Event { call, body, .. } | FromWorker::HostCall { call, body, .. }
            if body.get().len() > MAX_EVENT =>
        {
            (call, Err(format!("an event of more than {MAX_EVENT} bytes")))
        }
        FromWorker::Event { call, kind: event::FINDING, body } => {
            (call, parsed(&body).map(|finding| CallEvent::Finding(Box::new(finding))))
        }
        FromWorker::Event { call, kind: event::PROGRESS, body } => (call, parsed(&body).map(CallEvent::Progress)),
        FromWorker::Event { call, kind: event::RESULT, body } => (call, parsed(&body).map(CallEvent::Result)),
        FromWorker::Event { call, kind: event::ERROR, body } => (call, parsed(&body).map(CallEvent::Failed)),
        FromWorker::Event { .. } => return,
        FromWorker::BadEvent { call, problem } => (call, Err(problem)),
        FromWorker::Refused { call, code } => (call, Ok(CallEvent::Refused(code))),
        FromWorker::HostCall { call, op, body } if op == host_call::SECRET => {
            if let (Some(slot), Ok(secret)) = (lock(calls).get_mut(&call), parsed(&body)) {
                slot.learn(&secret);
            }
            return;
        }
        FromWorker::HostCall { .. }
        | FromWorker::Hello { .. }
        | FromWorker::NotLoaded { .. }
        | FromWorker::Stray { .. }
        | FromWorker::ShutDown {}
        | FromWorker::Measured { .. } => return,
    };
    let mut calls = lock(calls);
    // An event for a call that nobody waits for is a table miss and nothing more.
    if let Some(slot) = calls.get_mut(&call) {
        slot.take(event.unwrap_or_else(CallEvent::Bad));
    }
}

impl Slot {
    fn take(&mut self, event: CallEvent) {
        let event = match event {
            CallEvent::Progress(_) if self.events.capacity() <= MAX_FINDINGS + 1 => return,
            CallEvent::Finding(_) if self.findings >= MAX_FINDINGS => {
                CallEvent::Bad(format!("more than {MAX_FINDINGS} findings"))
            }
            event => event,
        };
        self.findings += usize::from(matches!(event, CallEvent::Finding(_)));
        // There is room for all that a call may say; who says more was told so already.
        let _ = self.events.try_send(event);
    }

    /// Known before anything else of the call is passed on, which may hold it.
    fn learn(&mut self, secret: &RegisteredSecret) {
        self.secrets += 1;
        match self.secrets <= MAX_SECRETS {
            true => self.redactor.add(&secret.name, &secret.value),
            false => self.take(CallEvent::Bad(format!("more than {MAX_SECRETS} secrets"))),
        }
    }
}

fn parsed<T: DeserializeOwned>(body: &RawValue) -> Result<T, String> {
    serde_json::from_str(body.get()).map_err(|error| format!("an event that is not what it should be: {error}"))
}

fn kill(pid: Option<Pid>) {
    if let Some(pid) = pid {
        // It leads a group of its own; a group that is gone is what we want.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Whatever the plugin started ends with it: its group at once, and then who left the group.
async fn end_what_it_left(pid: Option<Pid>) {
    kill(pid);
    // It waits for processes to end, which after such a signal takes a moment.
    let _ = tokio::time::timeout(FAREWELL, tokio::task::spawn_blocking(move || strays::end_those_of(pid))).await;
}

fn ending(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with exit status {code}"),
            (None, Some(signal)) => match signal_name(signal) {
                Some(name) => format!("was killed by signal {signal} ({name})"),
                None => format!("was killed by signal {signal}"),
            },
            (None, None) => "ended".to_owned(),
        },
        Err(error) => format!("was lost: {error}"),
    }
}

fn signal_name(number: i32) -> Option<&'static str> {
    let names = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::ILL, "SIGILL"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::SYS, "SIGSYS"),
        (Signal::TERM, "SIGTERM"),
        (Signal::TRAP, "SIGTRAP"),
    ];
    names.into_iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| name)
}

/// The last lines of a stream.
#[derive(Clone, Default)]
struct Ring(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    bytes: VecDeque<u8>,
    /// The line that comes was cut at its beginning, and is not kept: a part of a secret would not
    /// be recognised as one.
    cut: bool,
}

impl Kept {
    fn keep(&mut self, mut more: &[u8]) {
        if self.cut {
            let Some(end) = more.iter().position(|byte| *byte == b'\n') else { return };
            (self.cut, more) = (false, &more[end + 1..]);
        }
        self.bytes.extend(more);
        let Some(surplus) = self.bytes.len().checked_sub(STDERR_KEPT).filter(|surplus| *surplus > 0) else { return };
        match self.bytes.iter().skip(surplus - 1).position(|byte| *byte == b'\n') {
            Some(line) => drop(self.bytes.drain(..surplus + line)),
            None => *self = Kept { cut: true, ..Kept::default() },
        }
    }
}

impl Ring {
    async fn drain(self, mut stream: ChildStderr) {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            lock(&self.0).keep(&buffer[..read]);
        }
    }

    fn text(&self) -> String {
        let bytes: Vec<u8> = lock(&self.0).bytes.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn lines(&self) -> Vec<String> {
        let text = lineman_model::clean(&self.text(), STDERR_KEPT);
        let lines: Vec<String> =
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        lines.into_iter().rev().take(12).rev().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_worker_complains_whole_lines_are_kept() {
        let check = |pieces: &[&str], expect: &str| {
            let mut kept = Kept::default();
            pieces.iter().for_each(|piece| kept.keep(piece.as_bytes()));
            assert_eq!(String::from_utf8(kept.bytes.into()).unwrap(), expect);
        };
        let long = "x".repeat(STDERR_KEPT);
        check(&["one\n", "two"], "one\ntwo");
        check(&["secret, half of ", &long, "which is here\n", "two\n"], "two\n");
        check(&["first line\n", &long[..STDERR_KEPT - 20], "\nlast line\n"], &format!("{}\nlast line\n", &long[20..]));
        check(&[&long, "\n", "two\n"], "two\n");
    }
}
