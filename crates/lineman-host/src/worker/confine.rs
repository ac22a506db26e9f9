//! The first things that a worker does, before any foreign code: limits, and descriptors that a
//! plugin's `println!` cannot reach.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use super::WorkerArgs;

/// Makes the process ready to load a plugin, and gives the two ends of the pipe to the host.
pub(super) fn prepare(args: &WorkerArgs) -> io::Result<(OwnedFd, OwnedFd)> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid().map(|pid| pid.as_raw_pid().cast_unsigned()) != Some(args.parent) {
        // The host ended before it could be watched.
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    close_inherited()?;
    // Reset by exec, so it cannot be done by the host: others of the same user may not read the
    // memory of a worker, and a worker leaves no core behind.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)?;
    limit(Resource::Core, 0);
    limit(Resource::Data, args.memory);
    let files = rustix::process::getrlimit(Resource::Nofile).maximum;
    raise(Resource::Nofile, files);

    let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    // What a plugin prints goes where what it complains of goes: into the host's ring.
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok((input, output))
}

/// Moves this process into a network with nothing in it. Who is not root needs a user namespace
/// for that, which not every system grants.
pub(super) fn leave_the_network() -> io::Result<()> {
    use rustix::thread::{UnshareFlags, unshare_unsafe};
    // SAFETY: no descriptor table is unshared, and the process has one thread yet.
    #[expect(unsafe_code, reason = "the call is unsafe for a flag that is not used here")]
    unsafe {
        unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)
            .or_else(|_| unshare_unsafe(UnshareFlags::NEWNET))?;
    }
    Ok(())
}

/// Lowers a limit; a limit that is lower already stays.
fn limit(resource: Resource, most: u64) {
    let hard = rustix::process::getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
    // Lowering one's own limit is always allowed.
    let _ = rustix::process::setrlimit(resource, Rlimit { current: Some(hard), maximum: Some(hard) });
}

fn raise(resource: Resource, hard: Option<u64>) {
    // Up to the hard limit is always allowed.
    let _ = rustix::process::setrlimit(resource, Rlimit { current: hard, maximum: hard });
}

/// Closes every descriptor but the standard ones: the host's are closed on exec, those that the
/// host itself inherited may not be.
fn close_inherited() -> io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // SAFETY: this runs first in a process of its own, before anything here has opened a
        // descriptor that it keeps. The directory that was read is closed already, so it is asked
        // first whether there is something to close.
        #[expect(unsafe_code, reason = "descriptors that nobody owns can only be closed by number")]
        unsafe {
            if rustix::io::fcntl_getfd(BorrowedFd::borrow_raw(fd)).is_ok() {
                rustix::io::close(fd);
            }
        }
    }
    Ok(())
}
