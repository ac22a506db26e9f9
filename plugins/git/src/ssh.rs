//! The system's `ssh`, with exactly this integration's key and approvals and nobody's
//! configuration.
//!
//! Everything `ssh` is told stands in one configuration file in a private directory, so that the
//! probe and `git` use the same client, and nothing of the address reaches a command line except
//! the command for the server.

mod conversation;
mod trust;
mod tunnel;

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lineman_sdk::prelude::*;
use lineman_sdk::{ProgramOutput, Walk};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hosts;
use crate::key::{self, Flaw, Key, OpenSsh, Refusal};
use crate::remote::Remote;
use crate::{Git, open_path};

pub(crate) use conversation::Conversation;
pub(crate) use trust::{Approvals, Judgement};
use tunnel::{Proxy, Tunnel};

/// OpenSSH reads no key file that is larger.
const LARGEST_KEY: u64 = 1 << 20;
/// What a server may take to say the first word.
const CONNECT_TIMEOUT_S: u64 = 10;
/// RFC 4253 allows 255 bytes.
const LONGEST_GREETING: usize = 255;
/// What stands for the server on `ssh`'s command line; the configuration file says who it is.
const DESTINATION: &str = "repository";

/// The private key as it is stored, and what is to be said of it.
pub(crate) struct StoredKey {
    pub(crate) verdict: Result<Key, Refusal>,
    /// JSON pointer into the integration.
    pub(crate) pointer: &'static str,
    /// The file that `ssh` itself reads, where the key is one, and its mode.
    pub(crate) file: Option<KeyFile>,
}

/// A key file that the configuration names.
pub(crate) struct KeyFile {
    pub(crate) path: String,
    pub(crate) mode: u32,
    /// Whether it belongs to the user that reads it, in which case `ssh` looks at the mode.
    pub(crate) own: bool,
}

impl StoredKey {
    /// Reads and judges the key of an integration.
    pub(crate) async fn of(cx: &Cx<Git>) -> Result<Arc<StoredKey>, Stop> {
        cx.session().key.get(Box::pin(StoredKey::read(cx))).await
    }

    async fn read(cx: &Cx<Git>) -> Result<Arc<StoredKey>, Stop> {
        let (text, pointer, file) = match (&cx.secrets().ssh_key, &cx.settings().ssh_key_file) {
            (Some(key), _) => (zeroize::Zeroizing::new(key.expose().as_bytes().to_vec()), "/secrets/ssh_key", None),
            (None, Some(path)) => {
                let (text, file) = read_key_file(cx, path)?;
                (text, "/settings/ssh_key_file", Some(file))
            }
            (None, None) => {
                return Err(cx
                    .finding("key-missing", Cause::CredentialMissing, "There is no private key for an SSH address.")
                    .pointer("/secrets/ssh_key")
                    .into());
            }
        };
        let passphrase = cx.secrets().ssh_key_passphrase.clone();
        let judged = move |client: Option<OpenSsh>| {
            let (text, passphrase) = (text.clone(), passphrase.clone());
            // Trying a passphrase takes a while on purpose.
            tokio::task::spawn_blocking(move || key::judge(&text, passphrase.as_ref().map(Secret::expose), client))
        };
        let mut verdict = judged(None).await;
        if let Ok(Err(refusal)) = &verdict
            && refusal.depends_on_client()
            && let Some(version) = version(cx).await
        {
            verdict = judged(Some(version)).await;
        }
        let verdict = verdict.unwrap_or_else(|_| Err(Flaw::Unrecognised.into()));
        Ok(Arc::new(StoredKey { verdict, pointer, file }))
    }
}

fn read_key_file(cx: &Cx<Git>, path: &str) -> Result<(zeroize::Zeroizing<Vec<u8>>, KeyFile), Stop> {
    let unreadable = |error: std::io::Error| {
        let (code, cause) = match error.kind() {
            std::io::ErrorKind::PermissionDenied => ("key-unreadable", Cause::SshKeyFilePermissions),
            _ => ("key-file-missing", Cause::CredentialMissing),
        };
        cx.finding(code, cause, format!("The key file cannot be read: {error}."))
            .pointer("/settings/ssh_key_file")
            .evidence(Evidence::File { path: path.to_owned(), seen: error.to_string() })
            .remedy("Correct `ssh_key_file`, or let the user that runs Lineman read it.")
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mut text = zeroize::Zeroizing::new(Vec::new());
    file.take(LARGEST_KEY + 1).read_to_end(&mut text).map_err(unreadable)?;
    // The private directory is ours, and so tells who we are.
    let me = fs::metadata(cx.directory()).map(|directory| directory.uid()).unwrap_or_default();
    let file = KeyFile { path: path.to_owned(), mode: metadata.mode() & 0o7777, own: metadata.uid() == me };
    Ok((text, file))
}

/// The version of the system's OpenSSH, asked only where it matters.
async fn version(cx: &Cx<Git>) -> Option<OpenSsh> {
    let output = cx.program("ssh").ok()?.arg("-V").output().await.ok()?;
    OpenSsh::parse(&output.stderr)
}

/// A configured `ssh`.
pub(crate) struct Client {
    pub(crate) approvals: Approvals,
    directory: TempDir,
    _tunnel: Option<Tunnel>,
}

impl Client {
    /// Writes what `ssh` needs into a private directory. A key that cannot be used is left out:
    /// the server's host key can be seen without one.
    pub(crate) async fn of(cx: &Cx<Git>, remote: &Remote) -> Result<Arc<Client>, Stop> {
        // Boxed, as is all that runs inside something that runs once: nested futures outgrow a stack.
        cx.session().client.get(Box::pin(Client::prepare(cx, remote))).await
    }

    async fn prepare(cx: &Cx<Git>, remote: &Remote) -> Result<Arc<Client>, Stop> {
        let failed = |error: std::io::Error| {
            let message = format!("The private directory cannot be written: {error}.");
            cx.finding("directory-unwritable", Cause::Undetermined, message)
        };
        let walk = open_path(cx, remote).await?;
        let approvals = Approvals::of(cx, remote)?;
        let directory = tempfile::Builder::new().prefix("ssh-").tempdir_in(cx.directory()).map_err(failed)?;
        let tunnel = match &walk.proxy {
            Some(proxy) => Some(Tunnel::open(cx, proxy.url(), remote).await?),
            None => None,
        };
        let place = match &tunnel {
            Some(tunnel) => tunnel.address(),
            // The address that was walked: no second look-up can lead elsewhere.
            None => connected(&walk.evidence).unwrap_or_else(|| (remote.host.clone(), remote.port)),
        };
        write(&directory.path().join("known_hosts"), approvals.known_hosts(&remote.host).as_bytes()).map_err(failed)?;
        let key = match StoredKey::of(cx).await {
            Ok(stored) => match (&stored.verdict, &stored.file) {
                (Ok(key), Some(file)) if !key.encrypted => Some(PathBuf::from(&file.path)),
                (Ok(key), _) => {
                    let path = directory.path().join("key");
                    write(&path, key.for_ssh()).map_err(failed)?;
                    Some(path)
                }
                (Err(_), _) => None,
            },
            Err(_) => None,
        };
        let user = remote.user.clone().or_else(|| hosts::find(&remote.host)?.user.clone());
        let config = config(directory.path(), &place, user.as_deref(), remote, key.as_deref());
        write(&directory.path().join("config"), config.as_bytes()).map_err(failed)?;
        let client = Client { approvals, directory, _tunnel: tunnel };
        if client.approvals.are_only_fingerprints() {
            let shown = client.shown(cx).await?;
            let known = client.approvals.approved_of(&shown, &remote.host);
            OpenOptions::new()
                .append(true)
                .open(client.directory.path().join("known_hosts"))
                .and_then(|mut file| file.write_all(known.as_bytes()))
                .map_err(failed)?;
        }
        Ok(Arc::new(client))
    }

    /// What the server shows, as lines of known_hosts: `ssh` wants to know keys, and not
    /// fingerprints. It offers no key of ours, and leaves at the first refusal.
    async fn shown(&self, cx: &Cx<Git>) -> Result<String, Stop> {
        let file = self.directory.path().join("shown");
        let shown = format!("-oUserKnownHostsFile={}", value(&file));
        let options = [shown.as_str(), "-oStrictHostKeyChecking=accept-new", "-oPubkeyAuthentication=no"];
        self.run_with(cx, &options, Some("true"), b"").await?;
        // A connection that came to nothing will come to nothing again, and be judged then.
        Ok(fs::read_to_string(file).unwrap_or_default())
    }

    /// The configuration file, for whoever runs `ssh`.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// Runs a command on the server with `ssh -v`, and listens.
    pub(crate) async fn run(&self, cx: &Cx<Git>, command: Option<&str>, input: &[u8]) -> Result<Conversation, Stop> {
        self.run_with(cx, &[], command, input).await
    }

    /// Whether the server lets the key in when it signs with SHA-1, which `ssh` does not do by
    /// itself: neither side says that this is what they disagree on.
    pub(crate) async fn takes_sha1(&self, cx: &Cx<Git>) -> Result<bool, Stop> {
        let options = ["-oPubkeyAcceptedAlgorithms=ssh-rsa"];
        Ok(self.run_with(cx, &options, Some("true"), b"").await?.authenticated)
    }

    async fn run_with(
        &self,
        cx: &Cx<Git>,
        options: &[&str],
        command: Option<&str>,
        input: &[u8],
    ) -> Result<Conversation, Stop> {
        let program =
            cx.program("ssh")?.arg("-v").arg("-T").args(options).arg("-F").arg(self.config()).arg(DESTINATION);
        let program = command.into_iter().fold(program, |program, command| program.arg(command));
        let ProgramOutput { status, stdout, stderr, .. } = program.env("LC_ALL", "C").stdin(input).output().await?;
        Ok(Conversation::read(&stderr, stdout, status))
    }
}

/// What a Git service announces, asked by `ssh` alone: `git ls-remote` without `git`.
pub(crate) async fn advertisement(cx: &Cx<Git>, remote: &Remote, service: &str) -> Result<Conversation, Stop> {
    let client = Client::of(cx, remote).await?;
    // After the references the client has its say; a flush is "nothing, thank you".
    client.run(cx, Some(&format!("{service} {}", quoted(&remote.path))), b"0000").await
}

/// The conversation that host key, authentication and read access are judged by; one per run.
///
/// # Errors
///
/// What cut it off before the server had judged anything: that may go better the next time.
pub(crate) async fn read(cx: &Cx<Git>, remote: &Remote) -> Result<Arc<Conversation>, Stop> {
    let make = Box::pin(async {
        let conversation = advertisement(cx, remote, "git-upload-pack").await?;
        match conversation.is_decided() {
            true => Ok(Arc::new(conversation)),
            false => Err(conversation.finding(cx, remote, "ssh").into()),
        }
    });
    cx.session().read_over_ssh.get(make).await
}

/// The first line that a server says, when it says one: `SSH-2.0-…` where it speaks SSH.
pub(crate) async fn greeting(walk: &Walk, remote: &Remote) -> std::io::Result<String> {
    let closed = || std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
    let mut stream = match (&walk.proxy, connected(&walk.evidence)) {
        (Some(proxy), _) => {
            let proxy = Proxy::parse(proxy.url(), remote).map_err(std::io::Error::other)?;
            proxy.connect().await.ok_or_else(closed)?
        }
        (None, Some((host, port))) => TcpStream::connect((host.as_str(), port)).await?,
        (None, None) => return Err(closed()),
    };
    // Both sides speak first (RFC 4253, section 4.2); a server of something else answers this, or
    // hangs up.
    stream.write_all(b"SSH-2.0-Lineman\r\n").await?;
    let mut line = Vec::new();
    // Byte by byte: it is short, and ends at the line end.
    while line.len() < LONGEST_GREETING && !line.ends_with(b"\n") {
        match stream.read_u8().await {
            Ok(byte) => line.push(byte),
            Err(_) if !line.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// As git quotes a path for the server's shell.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', "'\\''").replace('!', "'\\!'"))
}

fn config(
    directory: &Path,
    (host, port): &(String, u16),
    user: Option<&str>,
    remote: &Remote,
    key: Option<&Path>,
) -> String {
    let file = |name: &str| value(&directory.join(name));
    let mut lines = vec![
        "Host *".to_owned(),
        format!("HostName {host}"),
        format!("Port {port}"),
        // Known under its own name, wherever the connection leads.
        format!("HostKeyAlias {}", remote.host),
        format!("UserKnownHostsFile {}", file("known_hosts")),
        "GlobalKnownHostsFile /dev/null".to_owned(),
        "StrictHostKeyChecking yes".to_owned(),
        "UpdateHostKeys no".to_owned(),
        "CheckHostIP no".to_owned(),
        "BatchMode yes".to_owned(),
        "IdentitiesOnly yes".to_owned(),
        "IdentityAgent none".to_owned(),
        "PreferredAuthentications publickey".to_owned(),
        "ForwardAgent no".to_owned(),
        "ForwardX11 no".to_owned(),
        "ClearAllForwardings yes".to_owned(),
        "ControlMaster no".to_owned(),
        "ControlPath none".to_owned(),
        "ConnectionAttempts 1".to_owned(),
        format!("ConnectTimeout {CONNECT_TIMEOUT_S}"),
        "ServerAliveInterval 10".to_owned(),
        "ServerAliveCountMax 2".to_owned(),
        // The same algorithms as ever, the cheapest first: the default costs 50 ms of computing.
        "KexAlgorithms ^curve25519-sha256,curve25519-sha256@libssh.org".to_owned(),
    ];
    if let Some(user) = user {
        lines.push(format!("User {user}"));
    }
    match key {
        Some(path) => lines.push(format!("IdentityFile {}", value(path))),
        None => lines.push("PubkeyAuthentication no".to_owned()),
    }
    lines.join("\n") + "\n"
}

/// A path as a value of ssh_config(5).
fn value(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content)
}

/// The address that a walk ended at.
pub(crate) fn connected(evidence: &[Evidence]) -> Option<(String, u16)> {
    evidence.iter().rev().find_map(|seen| match seen {
        Evidence::Tcp { address, outcome, .. } if outcome == "connected" => {
            address.parse::<SocketAddr>().ok().map(|address| (address.ip().to_string(), address.port()))
        }
        _ => None,
    })
}
