//! Starts processes from one thread that lives as long as the host: the kernel ends a worker
//! when the *thread* that started it ends, not the process.

use std::io;
use std::sync::mpsc;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::strays;

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// The thread that starts processes.
pub(crate) struct Spawner {
    orders: mpsc::Sender<Order>,
}

impl Spawner {
    /// Starts the thread; processes belong to the runtime that this is called in.
    pub(crate) fn new() -> io::Result<Spawner> {
        strays::adopt()?;
        let (orders, inbox) = mpsc::channel::<Order>();
        let runtime = Handle::current();
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let _context = runtime.enter();
            while let Ok((mut command, reply)) = inbox.recv() {
                // Whoever asked may have gone; the child is then killed as it is dropped.
                let _ = reply.send(strays::spawn(&mut command));
            }
        })?;
        Ok(Spawner { orders })
    }

    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        self.orders.send((command, reply)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        child.await.map_err(|_| io::ErrorKind::BrokenPipe)?
    }
}
