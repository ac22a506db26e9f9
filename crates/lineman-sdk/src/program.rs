use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use lineman_model::{Cause, Finding};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::Stop;
use crate::cx::Call;

/// The most that is kept of what a program writes to each of its outputs, bytes.
const OUTPUT_LIMIT: usize = 4 * 1024 * 1024;
/// How long outputs may stay open after the program has ended: something that fled its group may
/// hold them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program about to be run: with an empty environment, in the integration's own directory, and
/// ended with everything it started when the check ends.
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Zeroizing<Vec<u8>>,
    directory: PathBuf,
    call: Arc<Call>,
}

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct ProgramOutput {
    /// Its exit status; none when a signal ended it.
    pub status: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to standard output, at most 4 MiB.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, free of control characters, at most 4 MiB.
    pub stderr: String,
}

impl ProgramOutput {
    /// Whether it ended with status 0.
    pub fn ok(&self) -> bool {
        self.status == Some(0)
    }
}

impl Program {
    pub(crate) fn new(path: impl Into<PathBuf>, directory: &Path, call: Arc<Call>) -> Program {
        Program {
            path: path.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Zeroizing::default(),
            directory: directory.to_owned(),
            call,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an argument. Secrets never go here: other processes can read it.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Program {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Program {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable. Secrets never go here: other processes can read it.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Program {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives it something to read on standard input: the way for secrets.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Program {
        self.stdin = Zeroizing::new(bytes.into());
        self
    }

    /// Runs it to its end. Whatever it started and left behind ends with it.
    ///
    /// # Errors
    ///
    /// A finding with the cause `host.tool-missing` when it cannot be started. When the check's
    /// deadline passes first, the program is killed, and the check's own time-out names it.
    pub async fn output(self) -> Result<ProgramOutput, Stop> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut phase = self.call.begin(&name);
        let child = Command::new(&self.path)
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let mut child = child.map_err(|error| {
            let message = format!("`{name}` could not be started: {error}.");
            Finding::new(format!("{}/tool-unusable", self.call.plugin), Cause::HostToolMissing, message)
                .subject("program", &name)
                .remedy(format!("Look at {}: is it there, and may this user run it?", self.path.display()))
        })?;
        // From here on, leaving for whatever reason ends the program and all that it started.
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = {
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // A program that does not read its input is none of our business.
                    let _ = stdin.write_all(&self.stdin).await;
                }
            };
            let piped = pin!(async { tokio::join!(feed, read(stdout, &mut out), read(stderr, &mut err)) });
            match select(pin!(child.wait()), piped).await {
                Either::Left((status, piped)) => {
                    // What it left behind may hold its outputs open for ever.
                    drop(group);
                    let _ = tokio::time::timeout(LAST_WORDS, piped).await;
                    status
                }
                Either::Right((_, wait)) => wait.await,
            }
        };
        let ended = status.ok();
        let (status, signal) = (ended.and_then(|ended| ended.code()), ended.and_then(|ended| ended.signal()));
        phase.ok = status == Some(0);
        let stderr = lineman_model::clean(&String::from_utf8_lossy(&err), OUTPUT_LIMIT);
        Ok(ProgramOutput { status, signal, stdout: out, stderr })
    }
}

/// Reads to the end and keeps what fits, so that a program that writes for ever is not blocked
/// and does not fill the memory.
async fn read(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let room = OUTPUT_LIMIT - kept.len();
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
}

/// A group of processes that ends when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone already, which is what we want.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
