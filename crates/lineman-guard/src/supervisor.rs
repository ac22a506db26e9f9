use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::fs::fstat;
use rustix::io::retry_on_intr;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::stdio::{stderr, stdout};

use crate::relay::{Source, pass_on};
use crate::signals::{self, Signals};

/// Which of a command's streams something was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output; both, where they are the same.
    Output,
    /// Standard error.
    Error,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an exit code.
    Code(u8),
    /// By a signal.
    Signal(i32),
}

impl Ended {
    /// What a shell makes of it: the exit code, or 128 and the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Ended::Code(code) => code,
            Ended::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    fn from(status: ExitStatus) -> Ended {
        match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Code(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, signal) => Ended::Signal(signal.unwrap_or_default()),
        }
    }
}

/// Why a command did not run, or what became of it is not known.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nothing was given to run.
    #[error("there is no command to run")]
    Empty,
    /// There is no such program.
    #[error("there is no program `{0}`")]
    NotFound(String),
    /// There is, and it cannot be run.
    #[error("`{program}` cannot be run: {source}")]
    NotExecutable {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives nothing that its output could be overheard with.
    #[error("its output cannot be overheard: {0}")]
    NoStreams(#[source] io::Error),
    /// Somebody asked for an end before it started, with this signal.
    #[error("it was not started: signal {0} came first")]
    Interrupted(i32),
    /// Its exit status went to somebody else.
    #[error("how it ended is not known: {0}")]
    Lost(#[source] io::Error),
}

/// Runs commands, one after the other. While it lives, signals do not end this process.
pub struct Supervisor {
    signals: Signals,
}

/// One of our streams, and what the command writes to in its place.
struct Overheard {
    stream: Stream,
    source: Source,
    to: BorrowedFd<'static>,
}

impl Supervisor {
    /// Takes the signals of this process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> io::Result<Supervisor> {
        Ok(Supervisor { signals: Signals::take()? })
    }

    /// Runs a command to its end. What it writes is passed on, and then heard, a piece at a time.
    ///
    /// # Errors
    /// When it does not run, or its end is not known.
    pub fn run(&self, command: &[OsString], heard: Hear<'_>) -> Result<Ended, RunError> {
        let (program, arguments) = command.split_first().ok_or(RunError::Empty)?;
        let mut command = Command::new(program);
        command.args(arguments);
        let overheard = overhear(&mut command).map_err(RunError::NoStreams)?;
        let terminals = overheard.iter().filter_map(|one| one.source.terminal()).collect();
        let (ended, end) = io::pipe().map_err(RunError::NoStreams)?;
        let listener = Listener(Mutex::new(Some(heard)));
        thread::scope(|scope| {
            // Dropped with what it would write to, so that the relays end where it does not start.
            let mut command = command;
            for Overheard { stream, source, to } in overheard {
                let (listener, ended) = (&listener, &ended);
                let relay = move || pass_on(source, to, ended, |bytes| listener.hear(stream, bytes));
                thread::Builder::new()
                    .name("relay".to_owned())
                    .spawn_scoped(scope, relay)
                    .map_err(RunError::NoStreams)?;
            }
            let child = self.signals.start(terminals, || command.spawn()).map_err(|refused| match refused {
                Ok(signal) => RunError::Interrupted(signal),
                Err(error) if error.kind() == ErrorKind::NotFound => RunError::NotFound(shown(program)),
                Err(source) => RunError::NotExecutable { program: shown(program), source },
            })?;
            drop(command);
            let status = self.wait_for(child);
            drop(end);
            status.map(Ended::from).map_err(RunError::Lost)
        })
    }

    /// Waits, unless somebody asks for an end: then the signal that did.
    pub fn wait(&self, time: Duration) -> Option<i32> {
        self.signals.wait(time)
    }

    /// The signal that asked for an end since the last command started, whether or not the command
    /// ended by it.
    pub fn asked_to_end(&self) -> Option<i32> {
        self.signals.asked_to_end()
    }

    /// Waits until the command has ended, and stops whenever the command has stopped.
    fn wait_for(&self, mut child: Child) -> io::Result<ExitStatus> {
        if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
            // While the status of its end is not taken, its id is nobody else's.
            let changes = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
            while retry_on_intr(|| waitid(WaitId::Pid(pid), changes))
                .is_ok_and(|change| change.is_some_and(|it| it.stopped()))
            {
                signals::stop_with(pid);
            }
        }
        self.signals.ended();
        child.wait()
    }
}

/// Has a command write where it is overheard.
fn overhear(command: &mut Command) -> io::Result<Vec<Overheard>> {
    let (source, far) = Source::in_place_of(stdout())?;
    let mut overheard = vec![Overheard { stream: Stream::Output, source, to: stdout() }];
    if is_same(stdout(), stderr()) {
        command.stderr(far.try_clone()?);
    } else {
        let (source, far) = Source::in_place_of(stderr())?;
        overheard.push(Overheard { stream: Stream::Error, source, to: stderr() });
        command.stderr(far);
    }
    command.stdout(far);
    Ok(overheard)
}

/// Whether two streams are the same file, so that what is written to both has an order.
fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino, one.st_rdev) == (other.st_dev, other.st_ino, other.st_rdev),
        _ => false,
    }
}

fn shown(program: &OsString) -> String {
    program.to_string_lossy().into_owned()
}

/// What hears each piece that a command writes.
type Hear<'a> = &'a mut (dyn FnMut(Stream, &[u8]) + Send);

/// Who listens, until listening fails: that is no reason to keep the command from writing.
struct Listener<'a>(Mutex<Option<Hear<'a>>>);

impl Listener<'_> {
    fn hear(&self, stream: Stream, bytes: &[u8]) {
        let mut listener = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(heard) = listener.as_mut()
            && catch_unwind(AssertUnwindSafe(|| heard(stream, bytes))).is_err()
        {
            *listener = None;
        }
    }
}
