//! What goes wrong before any protocol is spoken: ports that refuse, hang or hang up, proxies,
//! slow lines and resolvers.

mod dns;
mod proxy;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::serving::{ANY_PORT, Serving, within};

pub use dns::{Dns, Resolution};
pub use proxy::{Credentials, Options as ProxyOptions, Proxy};

/// A port where connections are refused; nobody else gets it while this lives.
pub struct ClosedPort {
    address: SocketAddr,
    // Bound, never listening.
    _socket: TcpSocket,
}

impl ClosedPort {
    /// Takes a port.
    pub fn new() -> Result<ClosedPort> {
        let socket = within(TcpSocket::new_v4)?;
        socket.bind(ANY_PORT)?;
        Ok(ClosedPort { address: socket.local_addr()?, _socket: socket })
    }

    /// Where nothing listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// How a silent server is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It accepts connections, reads what comes and never says anything.
    Accepting,
    /// Its queue is full: new connections are not even established (on Linux).
    Full,
}

/// A server that never answers.
pub struct Blackhole(Serving);

impl Blackhole {
    /// Starts to be silent.
    pub fn new(silence: Silence) -> Result<Blackhole> {
        match silence {
            Silence::Accepting => Serving::accepting(async |mut stream: TcpStream| {
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }),
            Silence::Full => full(),
        }
        .map(Blackhole)
    }

    /// Where nothing answers.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

/// A listener with the shortest queue there is, which one connection of its own fills.
fn full() -> Result<Serving> {
    let socket = within(TcpSocket::new_v4)?;
    socket.bind(ANY_PORT)?;
    let listener = within(|| socket.listen(0))?;
    let address = listener.local_addr()?;
    let filler = std::net::TcpStream::connect(address)?;
    Ok(Serving::new(address, async move {
        std::future::pending::<()>().await;
        drop((listener, filler));
    }))
}

/// When a server hangs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// As soon as the connection is made.
    AtOnce,
    /// Once the first bytes have come.
    AfterRequest,
}

/// A server that resets every connection.
pub struct Reset(Serving);

impl Reset {
    /// Starts to hang up.
    pub fn new(when: HangUp) -> Result<Reset> {
        Serving::accepting(move |mut stream| async move {
            if when == HangUp::AfterRequest {
                let _ = stream.read(&mut [0; 1024]).await;
            }
            // Closing with nothing lingering sends a reset instead of an orderly end.
            let _ = stream.set_zero_linger();
        })
        .map(Reset)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

/// A slow line to another server: whatever that one says arrives later.
pub struct Delay(Serving);

impl Delay {
    /// Forwards to `upstream`, holding back each piece of its answers for `by`.
    pub fn new(upstream: SocketAddr, by: Duration) -> Result<Delay> {
        Serving::accepting(move |stream| async move {
            let Ok(server) = TcpStream::connect(upstream).await else { return };
            let _ = server.set_nodelay(true);
            let (mut from_client, mut to_client) = stream.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let there = async {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                let _ = to_server.shutdown().await;
            };
            let back = async {
                let _ = trickle(&mut from_server, &mut to_client, by).await;
                let _ = to_client.shutdown().await;
            };
            tokio::join!(there, back);
        })
        .map(Delay)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

async fn trickle(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    by: Duration,
) -> std::io::Result<()> {
    let mut piece = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        tokio::time::sleep(by).await;
        to.write_all(&piece[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;
    use crate::api::{Response, Server};

    /// Long enough to be a verdict, short enough to wait for.
    const PATIENCE: Duration = Duration::from_millis(300);

    #[test]
    fn each_fault_is_what_it_says() {
        let closed = ClosedPort::new().unwrap();
        assert_eq!(TcpStream::connect(closed.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);

        let full = Blackhole::new(Silence::Full).unwrap();
        let error = TcpStream::connect_timeout(&full.address(), PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);

        let silent = Blackhole::new(Silence::Accepting).unwrap();
        let mut stream = TcpStream::connect(silent.address()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);

        for when in [HangUp::AtOnce, HangUp::AfterRequest] {
            let reset = Reset::new(when).unwrap();
            let mut stream = TcpStream::connect(reset.address()).unwrap();
            if when == HangUp::AfterRequest {
                stream.write_all(b"hello").unwrap();
            }
            assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset, "{when:?}");
        }
    }

    #[test]
    fn a_dropped_server_is_gone() {
        let silent = Blackhole::new(Silence::Accepting).unwrap();
        let address = silent.address();
        let mut stream = TcpStream::connect(address).unwrap();
        drop(silent);
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_slow_line_loses_nothing() {
        let server = Server::http(|_| Response::new(200).body("late")).unwrap();
        let delay = Delay::new(server.address(), Duration::from_millis(1)).unwrap();
        let mut stream = TcpStream::connect(delay.address()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("late"), "{answer}");
    }
}
