//! What runs inside a worker process: one plugin, loaded from bytes that were hashed, and the
//! pipe to the host. Nothing here is trusted by the host: the plugin's code runs beside it.

mod confine;
mod doors;
mod fence;
mod measure;
mod outbox;
mod sealed;

pub(crate) use confine::NOT_CONFINED;
pub(crate) use sealed::{hash_of, read_hashed};

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use lineman_model::protocol::{FromWorker, ToWorker, submit};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::doors::Plugin;
use self::sealed::Sealed;
use crate::{Door, frame};

/// The argument by which the executable knows that it is to be a worker.
pub const WORKER_ARGUMENT: &str = "__worker";

/// What a worker is told on its command line. None of it is secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkerArgs {
    /// The library to load, or the program to become.
    #[serde(skip)]
    pub(crate) library: PathBuf,
    /// How it is entered.
    pub(crate) door: Door,
    /// What its bytes must hash to; empty to accept any, as for describing it.
    pub(crate) sha256: String,
    /// Limit of private memory, bytes.
    pub(crate) memory: u64,
    /// Process that must live for the worker to live.
    pub(crate) parent: u32,
    /// Whether it is to see no network at all, not even loopback.
    #[serde(default)]
    pub(crate) offline: bool,
}

impl WorkerArgs {
    /// The library comes first, so that `ps` shows which plugin a worker serves.
    pub(crate) fn to_args(&self) -> io::Result<Vec<OsString>> {
        Ok(vec![WORKER_ARGUMENT.into(), self.library.clone().into(), serde_json::to_string(self)?.into()])
    }

    fn from_env() -> Option<WorkerArgs> {
        let mut args = std::env::args_os().skip(2);
        let library = args.next()?.into();
        Some(WorkerArgs { library, ..serde_json::from_str(args.next()?.to_str()?).ok()? })
    }
}

/// Whether this process was started to be a worker.
pub fn is_worker() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == WORKER_ARGUMENT)
}

/// Runs this process as a worker, until the host closes the pipe or says so.
pub fn main() -> ExitCode {
    let Some(args) = WorkerArgs::from_env() else { return ExitCode::from(2) };
    // First of all, because a new namespace forgets who is to die with whom.
    let network = if args.offline { confine::leave_the_network() } else { Ok(()) };
    let Ok((input, output)) = confine::prepare(&args) else { return ExitCode::from(2) };
    let Ok(spare) = output.try_clone() else { return ExitCode::from(2) };
    let network = network.map_err(|error| (NO_NAMESPACE, error.to_string()));
    let refusal = match network.and_then(|()| Sealed::verified(&args.library, &args.sha256)) {
        Ok(program) if args.door == Door::Exec1 => doors::become_program(&program, &args.library, (input, output)),
        Ok(library) => match load(args.door, &library) {
            Ok((plugin, description)) => return serve(&*plugin, description, input, File::from(output)),
            Err(refusal) => refusal,
        },
        Err(refusal) => refusal,
    };
    let (code, message) = refusal;
    match say(&mut File::from(spare), &FromWorker::NotLoaded { code: code.to_owned(), message }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Why a plugin cannot be loaded: a stable code, and one line.
type NotLoaded = (&'static str, String);

/// The code of a refusal: the system gives this user no network namespace.
pub(crate) const NO_NAMESPACE: &str = "no-namespace";

fn load(door: Door, library: &Sealed) -> Result<(Box<dyn Plugin>, Box<RawValue>), NotLoaded> {
    let plugin = doors::open(door, library)?;
    let description = String::from_utf8(plugin.describe())
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .ok_or(("bad-description", "the plugin's description is no JSON".to_owned()))?;
    Ok((plugin, description))
}

fn say(pipe: &mut File, message: &FromWorker) -> io::Result<()> {
    frame::write(pipe, &frame::encode(message)?)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hand_over(plugin: &dyn Plugin, call: u64, op: &str, request: &[u8]) {
    // Known before it is submitted: events may come before `submit` returns.
    outbox::open(call);
    let code = plugin.submit(call, op, request);
    if code != submit::ACCEPTED {
        outbox::refused(call, code);
    }
}

fn serve(plugin: &dyn Plugin, description: Box<RawValue>, input: OwnedFd, mut pipe: File) -> ExitCode {
    if say(&mut pipe, &FromWorker::Hello { description }).is_err() {
        return ExitCode::FAILURE;
    }
    let writer = std::thread::spawn(move || outbox::write_to(pipe));
    let mut input = std::io::BufReader::new(File::from(input));
    while let Ok(Some(body)) = frame::read(&mut input) {
        let Ok(message) = serde_json::from_slice::<ToWorker>(&body) else { break };
        match message {
            ToWorker::Submit { call, op, request } => hand_over(plugin, call, &op, request.get().as_bytes()),
            ToWorker::SubmitBytes { call, op, request } => hand_over(plugin, call, &op, &request),
            ToWorker::Cancel { call } => plugin.cancel(call),
            ToWorker::ShutdownAndStay {} => {
                plugin.shutdown();
                outbox::tell(&FromWorker::ShutDown {});
            }
            ToWorker::Measure {} => outbox::tell(&FromWorker::Measured { descriptors: measure::descriptors() }),
            ToWorker::Shutdown {} => break,
        }
    }
    plugin.shutdown();
    outbox::finish();
    // What was in the queue is on its way; a host that is gone has closed the pipe.
    let _ = writer.join();
    ExitCode::SUCCESS
}
