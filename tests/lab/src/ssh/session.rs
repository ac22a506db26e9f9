use std::collections::HashMap;
use std::process::Stdio;
use std::sync::Arc;

use russh::keys::Algorithm;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelWriteHalf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::flavour::{Refusal, Said, Stream, command};
use super::{Acceptance, Account, Options};
use crate::log::RequestLog;
use crate::repository::{self, Right};

/// The standard error of a channel (RFC 4254, section 5.2).
const STDERR: u32 = 1;

/// Serves one connection until it ends or the server is dropped.
pub(super) async fn run(config: Arc<Config>, mut stream: TcpStream, site: Arc<Options>, log: RequestLog) {
    // russh keeps a session in a task of its own, which would outlive the server: it gets a pipe,
    // and the end that matters stays here.
    let (mut ours, theirs) = tokio::io::duplex(64 << 10);
    let visitor = Visitor { site, log, account: None, channels: HashMap::new(), protocol: None };
    let session = async {
        if let Ok(session) = russh::server::run_stream(config, theirs, visitor).await {
            // An error here is a client that left.
            let _ = session.await;
        }
    };
    let pipe = async {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut ours).await;
        let _ = stream.shutdown().await;
        drop(ours);
    };
    tokio::join!(session, pipe);
}

/// One connection's view of the server.
struct Visitor {
    site: Arc<Options>,
    log: RequestLog,
    account: Option<Account>,
    channels: HashMap<ChannelId, Channel<Msg>>,
    protocol: Option<String>,
}

impl Visitor {
    fn admits(&self, login: &str, key: &russh::keys::PublicKey, algorithm: &Algorithm) -> Option<Account> {
        let sha1 = *algorithm == Algorithm::Rsa { hash: None };
        let acceptable = match self.site.acceptance {
            Acceptance::Accounts => !sha1,
            Acceptance::Nothing => false,
            Acceptance::Sha1 => sha1,
        };
        let known = self.site.accounts.iter().find(|account| account.key.key_data() == key.key_data());
        known.filter(|_| acceptable && login == self.site.login).cloned()
    }

    fn name(&self) -> &str {
        self.account.as_ref().map_or("", |account| &account.name)
    }

    /// Starts git for a command line, or says why not.
    fn serve(&self, line: &str) -> Result<Child, Said> {
        let flavour = &self.site.flavour;
        let Some((program, path)) = command(line) else { return Err(flavour.greet(self.name())) };
        let refuse = |refusal| Err(flavour.refuse(refusal, self.name(), &path));
        let right = self.account.as_ref().map_or(Right::None, |account| account.rights.on(&path));
        let Some(directory) = repository::find(&self.site.root, &path) else { return refuse(Refusal::Unknown) };
        match (program, right) {
            (_, Right::None) => return refuse(Refusal::Read),
            ("receive-pack", Right::Read) => return refuse(Refusal::Write),
            _ => {}
        }
        let mut git = Command::from(repository::git());
        git.arg(program).arg(directory).kill_on_drop(true);
        git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(protocol) = &self.protocol {
            git.env("GIT_PROTOCOL", protocol);
        }
        git.spawn().map_err(|error| Said { text: format!("fatal: {error}\n"), stream: Stream::Stderr, exit: 127 })
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(self.site.banner.clone())
    }

    async fn auth_publickey_offered(&mut self, login: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        self.log.note("publickey", login);
        let known = self.admits(login, offer.public_key, offer.algorithm);
        Ok(known.map_or_else(Auth::reject, |_| Auth::Accept))
    }

    async fn auth_publickey(&mut self, login: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.account = self.admits(login, key.public_key, key.algorithm);
        Ok(if self.account.is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name == "GIT_PROTOCOL" && ["version=0", "version=1", "version=2"].contains(&value) {
            self.protocol = Some(value.to_owned());
            return session.channel_success(channel);
        }
        session.channel_failure(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.log.note("shell", "");
        session.channel_success(channel)?;
        if let Some(channel) = self.channels.remove(&channel) {
            let said = self.site.flavour.greet(self.name());
            tokio::spawn(async move { say(&channel.split().1, said).await });
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let line = String::from_utf8_lossy(line);
        self.log.note("exec", line.as_ref());
        session.channel_success(channel)?;
        if let Some(channel) = self.channels.remove(&channel) {
            match self.serve(&line) {
                Ok(child) => drop(tokio::spawn(connect(channel, child))),
                Err(said) => drop(tokio::spawn(async move { say(&channel.split().1, said).await })),
            }
        }
        Ok(())
    }
}

/// A text, an exit status, and the end. A client that has left does not matter.
async fn say(channel: &ChannelWriteHalf<Msg>, said: Said) {
    let text = said.text.into_bytes();
    let _ = match said.stream {
        Stream::Stdout => channel.data_bytes(text).await,
        Stream::Stderr => channel.extended_data_bytes(STDERR, text).await,
    };
    end(channel, said.exit).await;
}

async fn end(channel: &ChannelWriteHalf<Msg>, exit: u32) {
    let _ = channel.exit_status(exit).await;
    let _ = channel.eof().await;
    let _ = channel.close().await;
}

/// Joins a channel with git until git ends.
async fn connect(channel: Channel<Msg>, mut child: Child) {
    let (Some(mut input), Some(mut output), Some(mut errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return;
    };
    let (mut reader, writer) = channel.split();
    let (mut stdout, mut stderr) = (writer.make_writer(), writer.make_writer_ext(Some(STDERR)));
    let feed = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut reader.make_reader(), &mut input).await;
        drop(input);
        reader
    });
    let answer = async { tokio::io::copy(&mut output, &mut stdout).await };
    let complain = async {
        let mut text = Vec::new();
        let _ = (&mut errors).take(64 << 10).read_to_end(&mut text).await;
        let _ = stderr.write_all(&text).await;
    };
    let (_, (), status) = tokio::join!(answer, complain, child.wait());
    feed.abort();
    let exit = status.ok().and_then(|status| status.code()).unwrap_or(128);
    end(&writer, exit.unsigned_abs()).await;
}
