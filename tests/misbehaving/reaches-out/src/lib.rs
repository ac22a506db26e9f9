//! A plugin that tries to reach what is not its own: files, other processes, privileges.
//!
//! Its setting `attempts` says what it tries, one after the other: `read /etc/shadow`,
//! `signal {host} 9`. What became of each is told as something that a pass does not prove. In an
//! attempt stand `{host}` for the process that started the worker, `{neighbours}` for the other
//! workers, one after the other, `{own}` for the directory that it was given and `{run}` for the
//! one that holds those of everybody. Nothing here is an example to follow.

use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs as unix;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lineman_sdk::prelude::*;
use rustix::process::{Pid, Signal};

/// How far the ids of processes that were started one after the other may lie apart.
const NEAR: i32 = 2000;
/// Somebody whom no test runs as.
const SOMEBODY: u32 = 12_345;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// What to try.
    attempts: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Secrets {}

struct ReachesOut;

impl Provider for ReachesOut {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = ();

    fn about() -> About {
        About::new("reaches-out", "Reaches out", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman's tests")
            .program("sh")
            .environment("REACHES_OUT_HOME")
            .path("~/gift")
    }

    fn checks() -> Vec<Check<Self>> {
        vec![Check::new("attempt", Level::Operation, "It tries", attempt)]
    }
}

async fn attempt(cx: Cx<ReachesOut>) -> Outcome {
    let own = cx.directory();
    let run = own.ancestors().nth(3).unwrap_or(own);
    let host = rustix::process::getppid().map_or(0, Pid::as_raw_pid);
    let neighbours = match cx.settings().attempts.iter().any(|attempt| attempt.contains("{neighbours}")) {
        true => neighbours(host).await,
        false => Vec::new(),
    };
    for attempt in &cx.settings().attempts {
        let said = attempt
            .replace("{host}", &host.to_string())
            .replace("{own}", &own.display().to_string())
            .replace("{run}", &run.display().to_string());
        let targets: Vec<String> = match said.contains("{neighbours}") {
            true => neighbours.iter().map(|pid| said.replace("{neighbours}", &pid.to_string())).collect(),
            false => vec![said],
        };
        let mut outcome = "nobody was there".to_owned();
        for target in targets {
            outcome = match make(&target) {
                Ok(()) => "done".to_owned(),
                Err(error) => format!("refused: {error}"),
            };
            if outcome == "done" {
                break;
            }
        }
        cx.not_proved(attempt, outcome, None);
    }
    Ok(())
}

/// The other workers: like this one each leads a process group of the host's session, and was
/// started at about the same time. Waits until there is one.
async fn neighbours(host: i32) -> Vec<i32> {
    let me = std::process::id().cast_signed();
    // SAFETY: numbers go in, numbers come out. Some processes have a group 0, which rustix denies.
    let (group, session) = (|pid: i32| unsafe { getpgid(pid) }, |pid: i32| unsafe { getsid(pid) });
    let is_one = |pid: &i32| ![me, host].contains(pid) && group(*pid) == *pid && session(*pid) == session(me);
    loop {
        let found: Vec<i32> = (host + 1..me + NEAR).filter(is_one).collect();
        if !found.is_empty() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn make(attempt: &str) -> io::Result<()> {
    let mut words = attempt.split(' ');
    let (action, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i32>().ok()).unwrap_or_default();
    let process = || Pid::from_raw(number(Some(target))).ok_or(io::ErrorKind::InvalidInput);
    match action {
        "read" => File::open(target)?.read(&mut [0]).map(drop),
        "list" => fs::read_dir(target)?.next().transpose().map(drop),
        "append" => io::Write::write_all(&mut OpenOptions::new().append(true).open(target)?, b"#"),
        "create" => File::create_new(target).map(drop),
        "truncate" => OpenOptions::new().write(true).truncate(true).open(target).map(drop),
        "remove" => fs::remove_file(target),
        "make-directory" => fs::create_dir(target),
        "link" => fs::hard_link(target, words.next().unwrap_or_default()),
        "symlink" => unix::symlink("/", target),
        "give-away" => unix::chown(target, Some(SOMEBODY), None),
        "see" => std::env::var_os(target).map(drop).ok_or(rustix::io::Errno::ACCESS.into()),
        "become" => {
            Ok(rustix::thread::set_thread_uid(rustix::fs::Uid::from_raw(number(Some(target)).cast_unsigned()))?)
        }
        "signal" => match Signal::from_named_raw(number(words.next())) {
            Some(signal) => Ok(rustix::process::kill_process(process()?, signal)?),
            None => Ok(rustix::process::test_kill_process(process()?)?),
        },
        "trace" => trace(number(Some(target))),
        "remember" => memory_of(number(Some(target))),
        "call" => TcpStream::connect(target).map(drop),
        "call-abstract" => UnixStream::connect_addr(&SocketAddr::from_abstract_name(target)?).map(drop),
        "run-as-root" => run_as_root(Path::new(target)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("what is `{action}`?"))),
    }
}

/// Runs a program of root's with the setuid bit, `id`, and sees whether it runs as root.
fn run_as_root(program: &Path) -> io::Result<()> {
    let output = Command::new(program).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.contains("euid=0(") {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::PermissionDenied, said)),
    }
}

unsafe extern "C" {
    fn getpgid(pid: c_int) -> c_int;
    fn getsid(pid: c_int) -> c_int;
    fn ptrace(request: c_long, pid: c_int, address: *mut c_void, data: *mut c_void) -> c_long;
    fn process_vm_readv(
        pid: c_int,
        local: *const [usize; 2],
        locals: c_ulong,
        remote: *const [usize; 2],
        remotes: c_ulong,
        flags: c_ulong,
    ) -> isize;
}

/// Attaches to a process without stopping it.
fn trace(pid: i32) -> io::Result<()> {
    const SEIZE: c_long = 0x4206;
    // SAFETY: no memory is passed.
    match unsafe { ptrace(SEIZE, pid, std::ptr::null_mut(), std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads from the memory of a process. There is nothing at the address: who may not read at all
/// is told so, and not that.
fn memory_of(pid: i32) -> io::Result<()> {
    let mut byte = 0_u8;
    let (here, there) = ([&raw mut byte as usize, 1], [1_usize, 1]);
    // SAFETY: one byte is written, to a place of one byte that lives here.
    match unsafe { process_vm_readv(pid, &here, 1, &there, 1, 0) } {
        -1 if io::Error::last_os_error().raw_os_error() != Some(rustix::io::Errno::FAULT.raw_os_error()) => {
            Err(io::Error::last_os_error())
        }
        _ => Ok(()),
    }
}

lineman_sdk::export!(ReachesOut);
