//! Starts processes from one thread that lives as long as the host: the kernel ends a worker
//! when the *thread* that started it ends, not the process.

use std::io;
use std::sync::{Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::strays;

type Order = (Command, oneshot::Sender<io::Result<Child>>);

/// The thread that starts processes, and gives their ids when it ends.
pub(crate) struct Spawner {
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    thread: Mutex<Option<JoinHandle<Vec<u32>>>>,
}

impl Spawner {
    /// Starts the thread; processes belong to the runtime that this is called in.
    pub(crate) fn new() -> io::Result<Spawner> {
        strays::adopt()?;
        let (orders, inbox) = mpsc::channel::<Order>();
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let _context = runtime.enter();
            let mut started = Vec::new();
            while let Ok((mut command, reply)) = inbox.recv() {
                let child = strays::spawn(&mut command);
                started.extend(child.as_ref().ok().and_then(Child::id));
                // Whoever asked may have gone; the child is then killed as it is dropped.
                let _ = reply.send(child);
            }
            started
        })?;
        Ok(Spawner { orders: Mutex::new(Some(orders)), thread: Mutex::new(Some(thread)) })
    }

    /// Starts nothing any more; ends what still runs of what was started, and waits for that.
    pub(crate) fn end(&self) {
        drop(lock(&self.orders).take());
        let thread = lock(&self.thread).take();
        if let Some(started) = thread.and_then(|thread| thread.join().ok()) {
            strays::end_workers(&started);
        }
    }

    pub(crate) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = oneshot::channel();
        let orders = lock(&self.orders).clone().ok_or(io::ErrorKind::BrokenPipe)?;
        orders.send((command, reply)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        drop(orders);
        child.await.map_err(|_| io::ErrorKind::BrokenPipe)?
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
