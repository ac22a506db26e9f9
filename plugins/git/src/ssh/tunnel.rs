//! A way for `ssh` through the connection's proxy.
//!
//! `ssh` knows proxies only as programs whose arguments everyone can read. So it connects to a
//! port on this machine, and what arrives there is passed on through the proxy, whose password
//! stays in memory.

use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lineman_sdk::Url;
use lineman_sdk::prelude::*;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::Git;
use crate::remote::Remote;

/// The longest answer of a proxy to `CONNECT`.
const LONGEST_ANSWER: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// A listening port that leads to the repository's host; gone when this is dropped.
pub(super) struct Tunnel {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tunnel {
    /// Opens a port for connections through an HTTP proxy.
    pub(super) async fn open(cx: &Cx<Git>, proxy: &Secret, remote: &Remote) -> Result<Tunnel, Stop> {
        let unusable = |why: String| {
            let message = format!("SSH cannot go through the proxy: {why}.");
            cx.finding("ssh-proxy-unusable", Cause::NetworkProxy, message).pointer("/connection/proxy")
        };
        let proxy = Proxy::parse(proxy, remote).map_err(unusable)?;
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| unusable(error.to_string()))?;
        let port = listener.local_addr().map_err(|error| unusable(error.to_string()))?.port();
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let proxy = proxy.clone();
                // A connection that fails is closed, which `ssh` reports.
                tokio::spawn(async move {
                    let mut server = tokio::time::timeout(PATIENCE, proxy.connect()).await.ok()??;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok()
                });
            }
        });
        Ok(Tunnel { port, task })
    }

    pub(super) fn address(&self) -> (String, u16) {
        (Ipv4Addr::LOCALHOST.to_string(), self.port)
    }
}

/// An HTTP proxy, and the words with which it is asked for the repository's host.
#[derive(Clone)]
pub(super) struct Proxy {
    host: String,
    port: u16,
    request: Zeroizing<String>,
}

impl Proxy {
    pub(super) fn parse(proxy: &Secret, remote: &Remote) -> Result<Proxy, String> {
        let url = Url::parse(proxy.expose()).map_err(|error| error.to_string())?;
        if url.scheme() != "http" {
            return Err(format!("{} is not supported for SSH", url.scheme()));
        }
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Proxy { host, port: url.port().unwrap_or(80), request: request(&url, remote) })
    }

    /// A connection that the proxy has agreed to.
    pub(super) async fn connect(&self) -> Option<TcpStream> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await.ok()?;
        stream.write_all(self.request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the answer is the server's.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == LONGEST_ANSWER {
                return None;
            }
            answer.push(stream.read_u8().await.ok()?);
        }
        let status = answer.split(|byte| *byte == b' ').nth(1)?;
        status.starts_with(b"2").then_some(stream)
    }
}

fn request(proxy: &Url, remote: &Remote) -> Zeroizing<String> {
    let target = remote.address();
    let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
    if !proxy.username().is_empty() {
        let decoded = |text: &str| Zeroizing::new(percent_decode_str(text).decode_utf8_lossy().into_owned());
        let (user, password) = (decoded(proxy.username()), decoded(proxy.password().unwrap_or_default()));
        let pair = Zeroizing::new(format!("{}:{}", user.as_str(), password.as_str()));
        request.push_str(&format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(pair.as_bytes())));
    }
    request.push_str("\r\n");
    request
}
