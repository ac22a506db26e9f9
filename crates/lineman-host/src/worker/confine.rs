//! The first things that a worker does, before any foreign code and any thread: limits, descriptors
//! that a plugin's `println!` cannot reach, no privileges, and the fence.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use lineman_model::protocol::FromWorker;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{WorkerArgs, fence};
use crate::confinement::Reach;
use crate::frame;

/// The code of a worker that could not be confined, and so loads nothing.
pub(crate) const NOT_CONFINED: &str = "not-confined";

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
    let mut input = File::from(input);
    if let Err(problem) = confine(&mut input) {
        let message = format!("the worker could not be confined: {problem}");
        let refusal = frame::encode(&FromWorker::NotLoaded { code: NOT_CONFINED.to_owned(), message })?;
        frame::write(&mut File::from(output), &refusal)?;
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok((input.into(), output))
}

/// Gives up what the user's privileges would allow: what is left is what the host says that this
/// plugin may reach, in its first frame.
fn confine(input: &mut File) -> Result<(), String> {
    let body = frame::read(input).map_err(|error| error.to_string())?.ok_or("the host did not say how")?;
    let reach: Reach = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    drop_capabilities().map_err(|error| format!("its capabilities cannot be dropped: {error}"))?;
    fence::put_up(&reach).map_err(|error| format!("Landlock refuses: {error}"))
}

/// Drops every capability for good. Root has all of them, and with them the memory of the host.
fn drop_capabilities() -> io::Result<()> {
    for number in 0..u64::BITS {
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            // Past the last one that this kernel knows.
            Err(Errno::INVAL) => break,
            // An ordinary user has none to bequeath; what a program could give back is lost with
            // `no_new_privs`.
            Ok(()) | Err(Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    Ok(rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
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
