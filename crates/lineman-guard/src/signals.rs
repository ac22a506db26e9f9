use std::io;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, waitid};
use signal_hook::consts::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::siginfo::{Cause, Origin};

use crate::terminal::Double;

/// Those that by default would end or stop this process, or that the command may wait for. What
/// the terminal sends to a group in the background (SIGTTIN, SIGTTOU) is not among them: it stops
/// this process and the command alike.
const PASSED_ON: [i32; 10] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP];

/// Those that ask for an end.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// Whether whoever started this process has it ignore a signal, as `nohup` and shells do for what
/// runs in the background. A handler would undo that for what this process starts.
pub fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (1..=64).contains(&signal) && mask >> (signal - 1) & 1 == 1
}

/// Stops this process because the command has stopped, by Ctrl-Z or by what cannot be caught.
///
/// Never before it: a shell that sees this process stop reads the terminal again, and a command
/// that still waits there would take the next line from it. And never if it does not stop: it may
/// have other uses for the key.
pub(crate) fn stop_with(command: Pid) {
    let stopped = waitid(WaitId::Pid(command), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
    let signal = stopped.ok().flatten().and_then(|status| status.stopping_signal());
    if matches!(signal, Some(SIGTSTP | SIGSTOP)) {
        stop();
    }
}

fn stop() {
    // A process may send anything to itself.
    let _ = kill_process(getpid(), Signal::STOP);
}

/// Takes the signals of this process, from its making to its end.
pub(crate) struct Signals {
    desk: Arc<Desk>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

/// Where signals and the command meet.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The command, from its start until its exit status is taken: then its id may be another's.
    command: Option<Pid>,
    terminals: Vec<Arc<Double>>,
    /// The first that asked for an end since the last start.
    asked_to_end: Option<i32>,
    /// Whether this process waits, with no command to stop.
    is_idle: bool,
}

impl Signals {
    /// From now on, no signal ends this process that is not ignored and can be caught.
    pub(crate) fn take() -> io::Result<Signals> {
        let heard = PASSED_ON.into_iter().filter(|signal| !is_ignored(*signal));
        let mut signals = SignalsInfo::<WithOrigin>::new(heard)?;
        let (desk, handle) = (Arc::<Desk>::default(), signals.handle());
        let at_desk = Arc::clone(&desk);
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for origin in &mut signals {
                at_desk.pass(&origin);
            }
        })?;
        Ok(Signals { desk, handle, thread: Some(thread) })
    }

    /// Starts a command in a way that loses no signal: one that comes meanwhile waits, and one that
    /// asked for an end before is what it gives instead.
    pub(crate) fn start(
        &self,
        terminals: Vec<Arc<Double>>,
        start: impl FnOnce() -> io::Result<Child>,
    ) -> Result<Child, Result<i32, io::Error>> {
        let mut state = self.desk.lock();
        if let Some(signal) = state.asked_to_end {
            return Err(Ok(signal));
        }
        let child = start().map_err(Err)?;
        *state = State { command: Pid::from_raw(child.id().cast_signed()), terminals, ..State::default() };
        Ok(child)
    }

    /// The command is about to be taken leave of.
    pub(crate) fn ended(&self) {
        let mut state = self.desk.lock();
        state.command = None;
        state.terminals.clear();
    }

    /// The signal that asked for an end since the last start, whoever it was for.
    pub(crate) fn asked_to_end(&self) -> Option<i32> {
        self.desk.lock().asked_to_end
    }

    /// Waits, unless somebody asks for an end.
    pub(crate) fn wait(&self, time: Duration) -> Option<i32> {
        let nobody = |state: &mut State| state.asked_to_end.is_none();
        let mut state = self.desk.lock();
        state.is_idle = true;
        let waited = self.desk.changed.wait_timeout_while(state, time, nobody);
        let mut state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        state.is_idle = false;
        state.asked_to_end
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It does nothing that could fail.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn pass(&self, origin: &Origin) {
        let mut state = self.lock();
        if ENDING.contains(&origin.signal) {
            state.asked_to_end.get_or_insert(origin.signal);
            self.changed.notify_all();
        }
        if origin.signal == SIGWINCH {
            state.terminals.iter().for_each(|terminal| terminal.take_size());
        }
        let Some(command) = state.command else {
            if origin.signal == SIGTSTP && state.is_idle {
                stop();
            }
            return;
        };
        // The terminal sends to the command itself, and who signals its own group has done so too.
        let has_it = match origin.process {
            Some(sender) => sender.pid == command.as_raw_pid() || !matches!(origin.cause, Cause::Sent(_)),
            None => true,
        };
        // But when it heard of the new size, its terminal may still have had the old one.
        if (!has_it || origin.signal == SIGWINCH)
            && let Some(signal) = Signal::from_named_raw(origin.signal)
        {
            // One that has ended meanwhile hears nothing.
            let _ = kill_process(command, signal);
        }
    }
}
