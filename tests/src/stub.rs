use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::net::sockopt::set_socket_linger;

use crate::place::Names;
use crate::server::free_port;

/// How long a stub waits for its client.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends of a TCP connection that no healthy server is: kernel sockets in the states that a
/// firewall, a crashed service or a wrong port leave behind.
#[derive(Debug)]
pub struct Stubs {
    ports: Vec<(&'static str, u16)>,
    listeners: Vec<Arc<TcpListener>>,
    /// Fills the queue of the listener that answers nobody.
    _crowd: Vec<TcpStream>,
}

impl Stubs {
    /// Opens them all.
    pub fn start() -> Result<Stubs> {
        let mut stubs = Stubs { ports: vec![("closed", free_port()?)], listeners: Vec::new(), _crowd: Vec::new() };
        stubs.listen("silent")?;
        let full = stubs.listen("unanswered")?;
        stubs._crowd = crowd(&full)?;
        let reset = stubs.listen("reset")?;
        serve(reset, |mut stream| {
            // After the client's first word, so that connecting succeeds. With no time to linger,
            // closing sends a reset.
            let _ = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.read_exact(&mut [0]));
            let _ = set_socket_linger(&stream, Some(Duration::ZERO));
        });
        let garbage = stubs.listen("garbage")?;
        serve(garbage, |mut stream| {
            let line = [
                [0xff; 99].as_slice(),
                b"
",
            ]
            .concat();
            let _ = stream.write_all(&line.repeat(6)).and_then(|()| stream.shutdown(Shutdown::Write));
            // Closing with something unread would reset the connection instead.
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        Ok(stubs)
    }

    fn listen(&mut self, name: &'static str) -> Result<Arc<TcpListener>> {
        let port = free_port()?;
        let listener = Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?);
        self.ports.push((name, port));
        self.listeners.push(Arc::clone(&listener));
        Ok(listener)
    }

    /// Fills one `{stub.NAME}` for the port of each: `closed` (nobody listens), `silent` (accepts
    /// and says nothing), `unanswered` (a SYN gets no answer), `reset`, `garbage`.
    pub fn name(&self, names: &mut Names) {
        for (name, port) in &self.ports {
            names.set(format!("stub.{name}"), port);
        }
    }
}

impl Drop for Stubs {
    fn drop(&mut self) {
        for listener in &self.listeners {
            // Wakes the thread that accepts.
            let _ = rustix::net::shutdown(listener, rustix::net::Shutdown::Both);
        }
    }
}

fn serve(listener: Arc<TcpListener>, answer: impl Fn(TcpStream) + Send + 'static) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => answer(stream),
                Err(error) if error.kind() == ErrorKind::InvalidInput => return,
                Err(_) => {}
            }
        }
    });
}

/// Fills a listener's queue, so that the kernel drops every further SYN.
fn crowd(listener: &TcpListener) -> Result<Vec<TcpStream>> {
    rustix::net::listen(listener, 0)?;
    let address: SocketAddr = listener.local_addr()?;
    let mut crowd = Vec::new();
    for _ in 0..16 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            Ok(stream) => crowd.push(stream),
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(crowd),
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the kernel goes on answering for a listener whose queue is full")
}
