use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::namespace::Namespace;

/// How long a server may take until it listens.
const READY: Duration = Duration::from_secs(30);

/// Where a server listens once it is ready.
#[derive(Clone, Debug)]
pub enum Listen {
    /// A TCP port.
    Tcp(u16),
    /// A UDP port.
    Udp(u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A running server: killed, with everything it started, when the handle is dropped, and ended by
/// the kernel if this process dies first.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server that writes its log into a directory, and waits until it listens.
    ///
    /// Readiness is read from the kernel's socket tables: nothing connects, so no server sees a
    /// visitor that no test sent.
    pub fn start(name: &'static str, directory: &Path, command: Command, listen: &[Listen]) -> Result<Server> {
        Server::start_in(None, name, directory, command, listen)
    }

    /// Starts a server inside a network of its own.
    pub fn start_in(
        namespace: Option<&Namespace>,
        name: &'static str,
        directory: &Path,
        command: Command,
        listen: &[Listen],
    ) -> Result<Server> {
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let inner = namespace.map_or_else(|| copy(&command), |namespace| namespace.enter(&command));
        let mut outer = wrap(&["setpriv", "--pdeathsig", "TERM", "--"], &inner);
        let child = outer
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let mut server = Server { name, child, log };
        server.wait_until_it_listens(listen)?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self, listen: &[Listen]) -> Result<()> {
        let deadline = Instant::now() + READY;
        let pid = self.child.id();
        while !listen.iter().all(|listen| is_open(pid, listen)) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once ({status}):\n{}", self.name, self.log());
            }
            if Instant::now() > deadline {
                bail!("{} does not listen on {listen:?} after {READY:?}:\n{}", self.name, self.log());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what the server wrote, for the message of a test that fails.
    pub fn log(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]).into_owned();
        format!("--- {}\n{text}", self.log.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            // A server that has ended already is no reason to fail.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn is_open(pid: u32, listen: &Listen) -> bool {
    const TCP_LISTEN: &str = "0A";
    const UDP_BOUND: &str = "07";
    match listen {
        Listen::Tcp(port) => has_socket(pid, &["tcp", "tcp6"], *port, TCP_LISTEN),
        Listen::Udp(port) => has_socket(pid, &["udp", "udp6"], *port, UDP_BOUND),
        Listen::Unix(path) => {
            let table = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).unwrap_or_default();
            let path = path.to_string_lossy();
            table.lines().any(|line| line.ends_with(&*path))
        }
    }
}

/// Whether the socket tables that a process sees hold a socket of a port in a state.
fn has_socket(pid: u32, tables: &[&str], port: u16, state: &str) -> bool {
    let port = format!(":{port:04X}");
    tables.iter().any(|table| {
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        table.lines().skip(1).any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().unwrap_or_default();
            local.ends_with(&port) && fields.nth(1) == Some(state)
        })
    })
}

/// A port on loopback that nothing uses and that no two callers get.
///
/// Ports are taken below the range from which the kernel gives out its own, so that no outgoing
/// connection takes one between here and the server's start.
pub fn free_port() -> Result<u16> {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or_default().wrapping_mul(61);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + own.wrapping_add(step) % COUNT;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

/// A command with nothing of this process's environment but a search path that finds servers.
pub fn clean_command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env_clear().env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C");
    command
}

/// The same command behind a program that runs it.
pub(crate) fn wrap<S: AsRef<std::ffi::OsStr>>(by: &[S], command: &Command) -> Command {
    let (program, before) = by.split_first().expect("a wrapper has a program");
    let mut outer = Command::new(program);
    outer.env_clear().args(before).arg(command.get_program()).args(command.get_args());
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    outer
}

fn copy(command: &Command) -> Command {
    wrap(&["env", "--"], command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_at_once_shows_what_it_said() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = clean_command("sh");
        command.args(["-c", "echo the port is taken >&2; exit 3"]);
        let error = Server::start("sh", directory.path(), command, &[Listen::Tcp(1)]).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("the port is taken"), "{error}");
    }

    #[test]
    fn a_dropped_server_is_gone_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let note = directory.path().join("child");
        let mut command = clean_command("sh");
        command.args(["-c", "sleep 1000 & echo $! > \"$0\"; wait", note.to_str().unwrap()]);
        let server = Server::start("sh", directory.path(), command, &[]).unwrap();
        let child = loop {
            match std::fs::read_to_string(&note).unwrap_or_default().trim().parse::<u32>() {
                Ok(pid) => break pid,
                Err(_) => thread::yield_now(),
            }
        };
        drop(server);
        // Whoever reaps orphans here may take its time: a zombie is gone too.
        let gone = || std::fs::read_to_string(format!("/proc/{child}/stat")).map_or(true, |stat| stat.contains(") Z"));
        while !gone() {
            thread::yield_now();
        }
    }
}
