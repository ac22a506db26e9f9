//! What runs inside a worker process: one plugin, loaded from bytes that were hashed, and the
//! pipe to the host. Nothing here is trusted by the host: the plugin's code runs beside it.

mod confine;
mod fence;
mod measure;
mod outbox;

pub(crate) use confine::NOT_CONFINED;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lineman_abi::{HostV1, PluginRootRef, RStr};
use lineman_model::protocol::{FromWorker, ToWorker, submit};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::frame;
use crate::manifest::ManifestError;

/// The argument by which the executable knows that it is to be a worker.
pub const WORKER_ARGUMENT: &str = "__worker";

/// What a worker is told on its command line. None of it is secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkerArgs {
    /// The library to load.
    #[serde(skip)]
    pub(crate) library: PathBuf,
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
    let mut pipe = File::from(output);
    let loaded = network.map_err(|error| (NO_NAMESPACE, error.to_string())).and_then(|()| load(&args));
    match loaded {
        Ok((root, description)) => {
            let hello = frame::encode(&FromWorker::Hello { description });
            if hello.and_then(|hello| frame::write(&mut pipe, &hello)).is_err() {
                return ExitCode::FAILURE;
            }
            serve(root, input, pipe)
        }
        Err((code, message)) => {
            let refusal = FromWorker::NotLoaded { code: code.to_owned(), message };
            let sent = frame::encode(&refusal).and_then(|refusal| frame::write(&mut pipe, &refusal));
            if sent.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

type NotLoaded = (&'static str, String);

/// The code of a refusal: the system gives this user no network namespace.
pub(crate) const NO_NAMESPACE: &str = "no-namespace";

fn load(args: &WorkerArgs) -> Result<(PluginRootRef, Box<RawValue>), NotLoaded> {
    let library = verified(&args.library, &args.sha256)?;
    let root = lineman_abi::load(&library.path()).map_err(|error| (error.code(), error.to_string()))?;
    let description = (root.describe())().into_vec();
    let description = String::from_utf8(description)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok())
        .ok_or(("bad-description", "the plugin's description is no JSON".to_owned()))?;
    Ok((root, description))
}

/// A library in memory that nobody can change any more.
struct Sealed(OwnedFd);

impl Sealed {
    fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// Reads a library once, checks its hash, and keeps those very bytes for loading.
fn verified(path: &Path, sha256: &str) -> Result<Sealed, NotLoaded> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let unreadable = |error: std::io::Error| ("unreadable", format!("the library cannot be read: {error}"));
    let memory = memfd_create("plugin", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(|error| unreadable(error.into()))?;
    let (mut library, mut sealed) = (File::open(path).map_err(unreadable)?, File::from(memory));
    let hash = read_hashed(&mut library, |piece| sealed.write_all(piece)).map_err(unreadable)?;
    if !sha256.is_empty() && hash != sha256 {
        return Err(("hash-mismatch", "the library is not the one that its manifest names".to_owned()));
    }
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&sealed, seals).map_err(|error| unreadable(error.into()))?;
    Ok(Sealed(sealed.into()))
}

/// The hash of a file, for those who do not keep its bytes.
pub(crate) fn hash_of(path: &Path) -> Result<String, ManifestError> {
    let read = File::open(path).and_then(|mut file| read_hashed(&mut file, |_| Ok(())));
    read.map_err(|error| ManifestError::new(path, format!("cannot be read: {error}")))
}

/// Reads a file to its end and hashes what it hands on.
pub(crate) fn read_hashed(file: &mut File, mut with: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<String> {
    let mut hash = Sha256::new();
    // Piece by piece: a copy of the whole in between costs more than the hash.
    let mut piece = vec![0; 128 << 10];
    loop {
        let length = match file.read(&mut piece) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        hash.update(&piece[..length]);
        with(&piece[..length])?;
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

static HOST: HostV1 = HostV1 { ctx: 0, emit: outbox::emit, host_call: outbox::host_call };

fn hand_over(root: PluginRootRef, call: u64, op: &str, request: &[u8]) {
    // Known before it is submitted: events may come before `submit` returns.
    outbox::open(call);
    let code = (root.submit())(call, RStr::from_str(op), request.into(), &HOST);
    if code != submit::ACCEPTED {
        outbox::refused(call, code);
    }
}

fn serve(root: PluginRootRef, input: OwnedFd, pipe: File) -> ExitCode {
    let writer = std::thread::spawn(move || outbox::write_to(pipe));
    let mut input = std::io::BufReader::new(File::from(input));
    while let Ok(Some(body)) = frame::read(&mut input) {
        let Ok(message) = serde_json::from_slice::<ToWorker>(&body) else { break };
        match message {
            ToWorker::Submit { call, op, request } => hand_over(root, call, &op, request.get().as_bytes()),
            ToWorker::SubmitBytes { call, op, request } => hand_over(root, call, &op, &request),
            ToWorker::Cancel { call } => (root.cancel())(call),
            ToWorker::ShutdownAndStay {} => {
                (root.shutdown())();
                outbox::tell(&FromWorker::ShutDown {});
            }
            ToWorker::Measure {} => outbox::tell(&FromWorker::Measured { descriptors: measure::descriptors() }),
            ToWorker::Shutdown {} => break,
        }
    }
    (root.shutdown())();
    outbox::finish();
    // What was in the queue is on its way; a host that is gone has closed the pipe.
    let _ = writer.join();
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_that_were_hashed_are_the_bytes_that_are_loaded() {
        let place = tempfile::tempdir().unwrap();
        let library = place.path().join("library.so");
        std::fs::write(&library, b"what was hashed").unwrap();
        let sha256 = hash_of(&library).unwrap();
        let sealed = verified(&library, &sha256).unwrap();
        std::fs::write(&library, b"what came later").unwrap();
        assert_eq!(std::fs::read(sealed.path()).unwrap(), b"what was hashed");
        let other_way_in = std::fs::OpenOptions::new().write(true).open(sealed.path());
        assert!(other_way_in.and_then(|mut file| file.write_all(b"else")).is_err(), "sealed bytes were written");
        assert_eq!(verified(&library, &sha256).err().map(|(code, _)| code), Some("hash-mismatch"));
    }
}
