use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use lineman_model::{Cause, Finding};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::Instant;

use crate::Stop;
use crate::cx::Call;

/// The most that is kept of what a program writes to each of its outputs, bytes.
const OUTPUT_LIMIT: usize = 4 * 1024 * 1024;

/// A program about to be run: with an empty environment, in the integration's own directory, and
/// ended with everything it started when the check ends.
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    directory: PathBuf,
    deadline: Instant,
    call: Arc<Call>,
}

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct ProgramOutput {
    /// Its exit status; none when a signal ended it.
    pub status: Option<i32>,
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
    pub(crate) fn new(path: &str, directory: &Path, deadline: Instant, call: Arc<Call>) -> Program {
        Program {
            path: path.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            directory: directory.to_owned(),
            deadline,
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

    /// Gives it something to read on standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Program {
        self.stdin = bytes.into();
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// A finding when it cannot be started. When the check's deadline passes first, the program
    /// is killed, and the check's own time-out names it.
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
            Finding::new(format!("{}/tool-missing", self.call.plugin), Cause::HostToolMissing, message)
                .subject("program", &name)
        })?;
        // From here on, leaving for whatever reason ends the program and all that it started.
        let _group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input is none of our business.
                let _ = stdin.write_all(&self.stdin).await;
            }
        };
        let ended = async {
            let ((), stdout, stderr, status) = tokio::join!(feed, capped(stdout), capped(stderr), child.wait());
            (stdout, stderr, status)
        };
        let Ok((stdout, stderr, status)) = tokio::time::timeout_at(self.deadline, ended).await else {
            return std::future::pending().await;
        };
        let status = status.ok().and_then(|status| status.code());
        phase.ok = status == Some(0);
        let stderr = lineman_model::clean(&String::from_utf8_lossy(&stderr), OUTPUT_LIMIT);
        Ok(ProgramOutput { status, stdout, stderr })
    }
}

/// Reads to the end and keeps what fits, so that a program that writes for ever is not blocked
/// and does not fill the memory.
async fn capped(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let room = OUTPUT_LIMIT - kept.len();
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    kept
}

struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone already, which is what we want.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
