use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::place::Names;
use crate::repository::{Repositories, git_in, output, run};
use crate::server::{Listen, Server, clean_command, free_port};

/// The phrase that opens the encrypted key.
const PASSPHRASE: &str = "open sesame, please";

/// Private keys in every shape in which people store them, good and broken.
#[derive(Debug)]
pub struct Keys {
    directory: PathBuf,
}

impl Keys {
    /// Makes the keys in a directory.
    pub fn create(directory: &Path) -> Result<Keys> {
        let keys = Keys { directory: directory.join("keys") };
        fs::create_dir_all(&keys.directory)?;
        for name in ["good", "reader", "lapsed", "elsewhere", "stranger", "admin", "host", "other-host"] {
            keys.generate(name, "ed25519", "")?;
        }
        keys.generate("encrypted", "ed25519", PASSPHRASE)?;
        for name in ["rsa", "rsa-host"] {
            keys.generate(name, "rsa", "")?;
        }
        let good = fs::read_to_string(keys.private("good"))?;
        let body: Vec<&str> = good.lines().collect();
        keys.write("truncated", &body[..body.len() / 2].join("\n"), 0o600)?;
        keys.write("one-line", &body.join(" "), 0o600)?;
        keys.write("escaped", &good.replace('\n', "\\n"), 0o600)?;
        keys.write("unframed", &body[1..body.len() - 1].join("\n"), 0o600)?;
        keys.write("public", &keys.public("good")?, 0o600)?;
        keys.write("putty", PUTTY, 0o600)?;
        keys.write("blank", "", 0o600)?;
        keys.write("open", &good, 0o644)?;
        Ok(keys)
    }

    /// The path of a private key.
    pub fn private(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn public(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.directory.join(name).with_extension("pub"))?)
    }

    fn generate(&self, name: &str, kind: &str, passphrase: &str) -> Result<()> {
        let mut command = clean_command("ssh-keygen");
        command.args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"]).arg(self.private(name));
        run(&mut command)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> Result<()> {
        let path = self.private(name);
        fs::write(&path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Fills `{keys}` and `{passphrase}`.
    pub fn name(&self, names: &mut Names) {
        names.set("keys", self.directory.display());
        names.set("passphrase", PASSPHRASE);
    }
}

/// OpenSSH servers before Git repositories: one as it should be, those that an old client or
/// server makes trouble with, and a gitolite.
#[derive(Debug)]
pub struct SshServers {
    servers: Vec<(&'static str, u16, Server)>,
    user: String,
    known_hosts: PathBuf,
    fingerprint: String,
}

impl SshServers {
    /// Starts them all.
    pub fn start(directory: &Path, repositories: &Repositories, keys: &Keys) -> Result<SshServers> {
        let forced = directory.join("forge");
        fs::write(&forced, FORGE.replace("@repositories@", &repositories.root.to_string_lossy()))?;
        fs::set_permissions(&forced, fs::Permissions::from_mode(0o755))?;
        let authorized = directory.join("authorized_keys");
        fs::write(&authorized, authorized_keys(&forced, keys)?)?;
        let home = gitolite(directory, repositories, keys)?;
        let user = output(clean_command("id").arg("-un"))?.trim().to_owned();

        let mut starting = Starting { directory, keys, user: &user, known_hosts: String::new(), servers: Vec::new() };
        let forge = authorized.as_path();
        starting.sshd("forge", forge, "host", "")?;
        starting.sshd("kex", forge, "host", "KexAlgorithms diffie-hellman-group14-sha1")?;
        starting.sshd("host-key", forge, "rsa-host", "HostKeyAlgorithms ssh-rsa")?;
        starting.sshd("cipher", forge, "host", "Ciphers aes128-cbc")?;
        starting.sshd("sha1", forge, "host", "PubkeyAcceptedAlgorithms ssh-rsa")?;
        let two_factors = "PasswordAuthentication yes\nAuthenticationMethods publickey,password";
        starting.sshd("two-factors", forge, "host", two_factors)?;
        starting.sshd("no-keys", forge, "host", "PasswordAuthentication yes\nPubkeyAuthentication no")?;
        let at_home = format!("SetEnv HOME={}", home.display());
        starting.sshd("gitolite", &home.join(".ssh/authorized_keys"), "host", &at_home)?;

        let (known, servers) = (starting.known_hosts, starting.servers);
        let ports: Vec<u16> = servers.iter().map(|(_, port, _)| *port).collect();
        let known_hosts = directory.join("known_hosts");
        fs::write(&known_hosts, &known)?;
        fs::write(directory.join("known_hosts.empty"), "")?;
        let other = known_line(&keys.public("other-host")?, &ports);
        fs::write(directory.join("known_hosts.changed"), &other)?;
        fs::write(
            directory.join("known_hosts.revoked"),
            format!("@revoked {}", known_line(&keys.public("host")?, &ports)),
        )?;
        let print = output(clean_command("ssh-keygen").arg("-lf").arg(keys.private("host.pub")))?;
        let fingerprint = print.split_whitespace().nth(1).context("a fingerprint")?.to_owned();
        Ok(SshServers { servers, user, known_hosts, fingerprint })
    }

    /// Fills `{user}`, `{known_hosts}` (which `.empty`, `.changed` and `.revoked` may follow),
    /// `{fingerprint}` and one `{ssh.NAME}` for the port of each server.
    pub fn name(&self, names: &mut Names) {
        names.set("user", &self.user);
        names.set("known_hosts", self.known_hosts.display());
        names.set("fingerprint", &self.fingerprint);
        for (name, port, _) in &self.servers {
            names.set(format!("ssh.{name}"), port);
        }
    }

    /// What the servers wrote.
    pub fn logs(&self) -> String {
        self.servers.iter().map(|(_, _, server)| server.log()).collect()
    }
}

struct Starting<'a> {
    directory: &'a Path,
    keys: &'a Keys,
    user: &'a str,
    known_hosts: String,
    servers: Vec<(&'static str, u16, Server)>,
}

impl Starting<'_> {
    fn sshd(&mut self, name: &'static str, authorized: &Path, host_key: &str, options: &str) -> Result<()> {
        let port = free_port()?;
        let config = self.directory.join(format!("{name}.conf"));
        // Without PAM a locked account cannot log in, with PAM a container may not open a session.
        let pam = if is_locked(self.user) { "yes" } else { "no" };
        let text = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM {pam}\n\
             StrictModes no\nPermitRootLogin yes\nKbdInteractiveAuthentication no\nUseDNS no\nMaxStartups 100\n{options}\n\
             PasswordAuthentication no\n",
            self.keys.private(host_key).display(),
            authorized.display(),
        );
        fs::write(&config, text)?;
        if self.user == "root" {
            // The directory that privilege separation works in; Debian's service makes it.
            fs::create_dir_all("/run/sshd")?;
        }
        let mut command = clean_command("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(&config);
        let server = Server::start(name, self.directory, command, &[Listen::Tcp(port)])?;
        self.known_hosts += &known_line(&self.keys.public(host_key)?, &[port]);
        self.servers.push((name, port, server));
        Ok(())
    }
}

fn is_locked(user: &str) -> bool {
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    shadow.lines().any(|line| line.strip_prefix(user).is_some_and(|rest| rest.starts_with(":!")))
}

fn known_line(public: &str, ports: &[u16]) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("[127.0.0.1]:{port}")).collect();
    let key: Vec<&str> = public.split_whitespace().take(2).collect();
    format!("{} {}\n", hosts.join(","), key.join(" "))
}

fn authorized_keys(forced: &Path, keys: &Keys) -> Result<String> {
    let mut text = String::new();
    for (name, rights, options) in [
        ("good", "write", ""),
        ("rsa", "write", ""),
        ("encrypted", "write", ""),
        ("reader", "read", ""),
        ("lapsed", "write", ",expiry-time=\"20200101\""),
        ("elsewhere", "write", ",from=\"203.0.113.7\""),
    ] {
        let command = format!("{} {rights}", forced.display());
        text += &format!("command=\"{command}\",restrict{options} {}", keys.public(name)?);
    }
    Ok(text)
}

/// Sets up a gitolite and returns its home: `dev` (the good key) may write `team`, read `shared`
/// and not see `private`.
fn gitolite(directory: &Path, repositories: &Repositories, keys: &Keys) -> Result<PathBuf> {
    let home = directory.join("gitolite");
    fs::create_dir_all(home.join(".ssh"))?;
    let gitolite = |arguments: &[&str]| {
        let mut command = clean_command("gitolite");
        run(command.current_dir(&home).env("HOME", &home).env("GIT_CONFIG_NOSYSTEM", "1").args(arguments))
    };
    gitolite(&["setup", "-pk", &keys.private("admin.pub").to_string_lossy()])?;
    fs::create_dir_all(home.join(".gitolite/keydir"))?;
    fs::copy(keys.private("good.pub"), home.join(".gitolite/keydir/dev.pub"))?;
    let rules = "repo gitolite-admin\n    RW+ = admin\nrepo team\n    RW+ = dev\nrepo shared\n    R = dev\nrepo private\n    RW+ = admin\n";
    fs::write(home.join(".gitolite/conf/gitolite.conf"), rules)?;
    gitolite(&["compile"])?;
    gitolite(&["trigger", "POST_COMPILE"])?;
    for name in ["team", "shared", "private"] {
        // Fetched into place: a push would have to pass gitolite's own rules.
        let repository = home.join(format!("repositories/{name}.git"));
        run(git_in(&repository).args(["fetch", "--quiet"]).arg(&repositories.clone).arg("main:main"))?;
        run(git_in(&repository).args(["symbolic-ref", "HEAD", "refs/heads/main"]))?;
    }
    Ok(home)
}

/// The forced command of a key, as a forge has it: repositories and nothing else, and deploy keys
/// that may only read. The words are GitHub's.
const FORGE: &str = r#"#!/bin/sh
PATH=$PATH:/usr/local/bin:/usr/bin:/bin
case "$SSH_ORIGINAL_COMMAND" in
"git-upload-pack "*) ;;
"git-receive-pack "*)
    if [ "$1" = read ]; then
        echo "ERROR: The key you are authenticating with has been marked as read only." >&2
        exit 1
    fi
    ;;
*)
    echo "Hi dev! You've successfully authenticated, but this server does not provide shell access." >&2
    exit 1
    ;;
esac
cd '@repositories@' || exit 1
exec git-shell -c "$(printf '%s' "$SSH_ORIGINAL_COMMAND" | sed "s|'/|'|")"
"#;

/// A key as PuTTY keeps it; its numbers are not a key.
const PUTTY: &str = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: deploy\nPublic-Lines: 2\n\
AAAAC3NzaC1lZDI1NTE5AAAAIHRoZXNlIGFyZSBub3QgdGhlIG51bWJlcnMgb2Yg\nYSBrZXk=\nPrivate-Lines: 1\n\
AAAAIGFuZCBuZWl0aGVyIGFyZSB0aGVzZSwgdGhleSBhcmUgdGV4dA==\nPrivate-MAC: 00\n";
