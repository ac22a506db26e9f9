//! Ends what plugins leave behind. A process that leaves its group outlives the group's end; with
//! the host as subreaper it becomes the host's child when its parent ends, and is found.
//!
//! To the kernel this is a matter of the whole process, so the workers that live are known here
//! for the whole process too: every other child was left behind by a plugin.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, waitid, waitpid,
};
use tokio::process::{Child, Command};

/// A process that is left behind may have left others: so many generations are followed.
const GENERATIONS: usize = 16;

static WORKERS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn workers() -> MutexGuard<'static, BTreeSet<u32>> {
    WORKERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Has orphans of workers become children of this process.
pub(crate) fn adopt() -> io::Result<()> {
    // Any process id switches it on.
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Has orphans go where the system sends them, as before a host was started. A process that goes on
/// to run a program of its user's must not adopt what that program leaves behind.
pub fn disown() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(None)?)
}

/// Starts a worker, which is then known not to be a stray.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    // Held while it starts, so that nobody sees the child and does not know it.
    let mut workers = workers();
    let child = command.spawn()?;
    workers.extend(child.id());
    Ok(child)
}

/// A worker has ended and was waited for. Ends what it left behind.
pub(crate) fn end_those_of(worker: Option<Pid>) {
    let mut workers = workers();
    if let Some(worker) = worker {
        workers.remove(&worker.as_raw_pid().cast_unsigned());
    }
    for _ in 0..GENERATIONS {
        let strays: Vec<Pid> = children().filter(|pid| !workers.contains(&pid.as_raw_pid().cast_unsigned())).collect();
        if strays.is_empty() {
            return;
        }
        for stray in strays {
            // It may have ended meanwhile, which is what we want.
            let _ = kill_process(stray, Signal::KILL);
            let _ = waitpid(Some(stray), WaitOptions::empty());
        }
    }
}

/// Ends those of these workers that still live, waits until they do not, and ends what they left.
/// Whoever started them is still the one to take their exit status.
pub(crate) fn end_workers(started: &[u32]) {
    for pid in started.iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
        let asked = |options| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | options);
        // The id of one that was waited for may be somebody else's by now.
        if asked(WaitIdOptions::NOHANG).is_ok() {
            // It leads a group; a group that is gone is what we want.
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = asked(WaitIdOptions::empty());
        }
    }
    end_those_of(None);
}

/// The children of every thread of this process.
fn children() -> impl Iterator<Item = Pid> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| {
        let pids = list.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        pids.collect::<Vec<_>>()
    })
}
