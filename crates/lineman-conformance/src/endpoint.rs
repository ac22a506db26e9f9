//! The servers of the kit, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// The most that is read of one request, bytes.
const REQUEST_LIMIT: usize = 256 * 1024;
/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server does with whoever connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Nobody listens there.
    Closed,
    /// Takes the connection and never says a word.
    Silent,
    /// Answers every request with a status, and repeats the request.
    Repeats(u16),
    /// Says something that is no answer in any protocol.
    Garbage,
}

/// A server of the kit; it ends when this is dropped.
pub(crate) struct Endpoint {
    /// Its address: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    visitors: watch::Receiver<usize>,
    server: Option<JoinHandle<()>>,
    /// Holds the port of which nobody listens.
    _closed: Option<TcpSocket>,
}

impl Endpoint {
    pub(crate) async fn start(manner: Manner) -> std::io::Result<Endpoint> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (seen, visitors) = watch::channel(0);
        let at = |address: SocketAddr| format!("http://{address}");
        if manner == Manner::Closed {
            let socket = TcpSocket::new_v4()?;
            socket.bind(any)?;
            return Ok(Endpoint { url: at(socket.local_addr()?), visitors, server: None, _closed: Some(socket) });
        }
        let listener = TcpListener::bind(any).await?;
        let url = at(listener.local_addr()?);
        let server = tokio::spawn(async move {
            // Kept, so that nobody is hung up on.
            let mut silent = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                seen.send_modify(|seen| *seen += 1);
                match manner {
                    Manner::Silent | Manner::Closed => silent.push(stream),
                    Manner::Repeats(status) => drop(tokio::spawn(repeat(stream, status))),
                    Manner::Garbage => drop(tokio::spawn(babble(stream))),
                }
            }
        });
        Ok(Endpoint { url, visitors, server: Some(server), _closed: None })
    }

    /// Waits until somebody has connected.
    pub(crate) async fn visited(&self, until: Instant) -> bool {
        let mut visitors = self.visitors.clone();
        matches!(timeout_at(until, visitors.wait_for(|visitors| *visitors > 0)).await, Ok(Ok(_)))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// Answers one request with a status and with everything that was sent, as careless servers do.
async fn repeat(mut stream: TcpStream, status: u16) {
    let mut request = Vec::new();
    let _ = timeout(PATIENCE, receive(&mut stream, &mut request)).await;
    let head = format!(
        "HTTP/1.1 {status} Conformance\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        request.len()
    );
    // Whoever asked may have gone.
    let _ = stream.write_all(&[head.as_bytes(), &request].concat()).await;
    let _ = stream.shutdown().await;
}

/// Reads a request: to the end of its head, and of its body where the head gives a length.
async fn receive(stream: &mut TcpStream, request: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    while request.len() < REQUEST_LIMIT {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if request.len() >= end + 4 + length.unwrap_or(0usize) {
                return;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
}

async fn babble(mut stream: TcpStream) {
    let _ = stream.write_all(b"\x00\xff\xfe{]]> this is no answer \r\n\r\n\r\n").await;
    let _ = stream.shutdown().await;
}
