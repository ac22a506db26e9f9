//! Where the servers run: one runtime of the lab's own, so that callers may block and need no
//! runtime themselves, and one handle that ends a server with everything it holds open.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, JoinSet};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("lab")
        .enable_all()
        .build()
        .expect("the system starts two threads")
});

/// Loopback, on a port that the system chooses.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A server that runs until this is dropped.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    task: AbortHandle,
    ended: Mutex<Receiver<()>>,
}

impl Serving {
    /// Runs `future`, which owns the sockets of a server at `address`.
    pub(crate) fn new(address: SocketAddr, future: impl Future<Output = ()> + Send + 'static) -> Serving {
        let (alive, ended): (Sender<()>, _) = channel();
        let task = RUNTIME.spawn(async move {
            let _alive = alive;
            future.await;
        });
        Serving { address, task: task.abort_handle(), ended: Mutex::new(ended) }
    }

    /// Accepts connections on a fresh port and hands each to `connection`.
    pub(crate) fn accepting<F, C>(connection: F) -> Result<Serving>
    where
        F: Fn(TcpStream) -> C + Send + 'static,
        C: Future<Output = ()> + Send + 'static,
    {
        let listener = StdListener::bind(ANY_PORT).context("cannot listen on loopback")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = within(|| TcpListener::from_std(listener))?;
        Ok(Serving::new(address, async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        if let Ok((stream, _)) = accepted {
                            // Small answers are not held back to be sent with a later one.
                            let _ = stream.set_nodelay(true);
                            connections.spawn(connection(stream));
                        }
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        }))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
        // The port is closed once this returns; the bound only guards against a wedged machine.
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(Duration::from_secs(5));
    }
}

/// Calls what must register with the lab's runtime.
pub(crate) fn within<T>(f: impl FnOnce() -> T) -> T {
    let _entered = RUNTIME.enter();
    f()
}
