use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::server::{Listen, Server, clean_command, wrap};

/// A network and a name service of its own, in which names fail to resolve and addresses cannot
/// be reached as a test wants it, while programs go through the real `getaddrinfo` and `connect`.
///
/// In it `198.51.100.0/24` is unreachable, `203.0.113.0/24` prohibited, and nothing but loopback
/// has a route. It has one IPv4 address beside loopback's, without which the C library would look
/// for none, and no IPv6 address. Names below `lab.` are answered as the file below says.
#[derive(Debug)]
pub struct Namespace {
    /// Holds the namespaces open for as long as its standard input is: to the end of this process.
    holder: Child,
    own_user: bool,
    servers: Vec<Server>,
}

/// Who answers name queries in a [`Namespace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// An unbound, and behind it a second one that refuses everything.
    Unbound,
    /// Nobody: the resolver's port is closed.
    Absent,
}

impl Namespace {
    /// Makes a namespace, its files in a directory.
    pub fn start(directory: &Path, resolver: Resolver) -> Result<Namespace> {
        fs::create_dir_all(directory)?;
        let resolv = directory.join("resolv.conf");
        fs::write(&resolv, "nameserver 127.0.0.1\nsearch .\noptions timeout:1 attempts:1\n")?;
        let mut command = clean_command("unshare");
        let own_user = !quiet(clean_command("unshare").args(["--mount", "--net", "true"]));
        if own_user {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "--net", "--", "sh", "-e", "-c", SET_UP, "sh"]).arg(&resolv);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().context("no output")?).read_line(&mut line)?;
        if line.trim() != "ready" {
            let _ = holder.kill();
            let output = holder.wait_with_output()?;
            anyhow::bail!("no namespace: {}", String::from_utf8_lossy(&output.stderr));
        }
        let mut namespace = Namespace { holder, own_user, servers: Vec::new() };
        if resolver == Resolver::Unbound {
            namespace.answer_names(directory)?;
        }
        Ok(namespace)
    }

    fn answer_names(&mut self, directory: &Path) -> Result<()> {
        for (name, port, config) in [("refuser", 5353, REFUSER), ("resolver", 53, RESOLVER)] {
            let file = directory.join(format!("{name}.conf"));
            fs::write(&file, UNBOUND.replace("@port@", &port.to_string()).replace("@server@", config))?;
            let mut unbound = clean_command("unbound");
            unbound.args(["-d", "-p", "-c"]).arg(file);
            let listen = [Listen::Udp(port), Listen::Tcp(port)];
            self.servers.push(Server::start_in(Some(self), name, directory, unbound, &listen)?);
        }
        Ok(())
    }

    /// The same command, run inside.
    pub fn enter(&self, command: &Command) -> Command {
        let target = format!("--target={}", self.holder.id());
        let mut words = vec!["nsenter", &target, "--mount", "--net", "--root"];
        if self.own_user {
            words.extend(["--user", "--preserve-credentials"]);
        }
        // Without it nsenter would leave the command in the holder's directory.
        let directory = command.get_current_dir().map(|directory| format!("--wdns={}", directory.display()));
        words.extend(directory.as_deref());
        words.push("--");
        wrap(&words, command)
    }

    /// Runs a shell script inside, for looking at what is there.
    pub fn run(&self, script: &str) -> Result<String> {
        let mut command = clean_command("sh");
        command.args(["-e", "-c", script]);
        let output = self.enter(&command).output()?;
        ensure!(output.status.success(), "`{script}` failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.servers.clear();
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn quiet(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

const SET_UP: &str = "\
ip link set lo up
ip address add 192.0.2.100/32 dev lo
ip route add unreachable 198.51.100.0/24
ip route add prohibit 203.0.113.0/24
mount --bind \"$1\" \"$(readlink -f /etc/resolv.conf)\"
echo ready
exec cat";

const UNBOUND: &str = r#"server:
    interface: 127.0.0.1
    port: @port@
    username: ""
    chroot: ""
    pidfile: ""
    directory: "/"
    use-syslog: no
    module-config: "iterator"
@server@
remote-control:
    control-enable: no
"#;

const REFUSER: &str = "    access-control: 127.0.0.0/8 refuse";

const RESOLVER: &str = r#"    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    local-zone: "lab." static
    local-data: "git.lab. A 127.0.0.1"
    local-data: "aws.lab. A 127.0.0.1"
    local-data: "spare.lab. A 192.0.2.7"
    local-data: "spare.lab. A 127.0.0.1"
    local-data: "empty.lab. TXT 'no address here'"
    local-data: "unreachable.lab. A 198.51.100.7"
    local-data: "prohibited.lab. A 203.0.113.7"
    local-data: "no-route.lab. A 192.0.2.7"
    local-data: "six.lab. AAAA 2001:db8::7"
    local-zone: "refused.lab." always_refuse
    local-zone: "silent.lab." always_deny
forward-zone:
    name: "servfail.example."
    forward-addr: 127.0.0.1@5353"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::require;

    #[test]
    fn names_and_routes_fail_as_planted() {
        if !require("namespace", &["namespaces", "ip", "unbound"]) {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let namespace = Namespace::start(directory.path(), Resolver::Unbound).unwrap();
        let resolve = |name: &str| namespace.run(&format!("getent ahostsv4 {name} | cut -d' ' -f1 | sort -u"));
        assert_eq!(resolve("git.lab").unwrap(), "127.0.0.1\n");
        for name in ["nobody.lab", "empty.lab", "refused.lab", "servfail.example", "silent.lab", "six.lab"] {
            assert_eq!(resolve(name).unwrap(), "", "{name}");
        }
        let route = |address: &str| namespace.run(&format!("ip route get {address} 2>&1 || true")).unwrap();
        assert!(route("198.51.100.7").contains("No route to host"));
        assert!(route("203.0.113.7").contains("Permission denied"));
        assert!(route("192.0.2.7").contains("Network is unreachable"));
    }
}
