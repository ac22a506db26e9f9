use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lineman_abi::{HostV1, RStr};
use lineman_model::Cause;
use lineman_model::protocol::{CheckOutcome, Failure, host_call, submit};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use crate::channel::{Channel, cut_off};
use crate::cx::Call;
use crate::shim::lock;

/// How long the runtime may leave a task waiting before the author hears of it.
const STALL: Duration = Duration::from_secs(1);
/// How long a shutdown waits for threads that are held by checks.
const LAST_CHANCE: Duration = Duration::from_millis(500);
/// One check that blocks a thread by mistake must not stop the others.
const THREADS: usize = 2;

/// The calls in flight and the threads that they run on. Threads start with the first call.
#[derive(Default)]
pub(crate) struct Calls {
    desk: Mutex<Desk>,
    /// Notified when a call begins and when everything ends.
    changed: Condvar,
}

#[derive(Default)]
struct Desk {
    runtime: Option<Runtime>,
    watchdog: Option<JoinHandle<()>>,
    running: HashMap<u64, Running>,
    ended: bool,
}

struct Running {
    call: Arc<Call>,
    channel: Arc<Channel>,
    task: AbortHandle,
}

impl Calls {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// Starts a call and returns the answer to `submit`. An accepted call gets its terminal event
    /// whatever becomes of the work.
    pub(crate) fn start(
        self: &Arc<Calls>,
        id: u64,
        call: Arc<Call>,
        channel: Arc<Channel>,
        host: &'static HostV1,
        work: impl Future<Output = Result<CheckOutcome, Failure>> + Send + 'static,
    ) -> u32 {
        let mut desk = self.desk();
        if desk.ended {
            return submit::SHUTTING_DOWN;
        }
        if desk.running.contains_key(&id) {
            return submit::BAD_REQUEST;
        }
        if desk.runtime.is_none() {
            let built = Builder::new_multi_thread().worker_threads(THREADS).enable_all().thread_name("plugin").build();
            let Ok(runtime) = built else { return submit::BUSY };
            desk.runtime = Some(runtime);
        }
        let Some(runtime) = &desk.runtime else { return submit::BUSY };
        let end = End { id, channel: Arc::clone(&channel), calls: Arc::clone(self) };
        // The desk stays locked until the call lies on it: a call that ends at once removes itself after.
        let task = runtime.spawn(async move {
            let end = end;
            end.channel.end(&work.await);
        });
        desk.running.insert(id, Running { call, channel, task: task.abort_handle() });
        if desk.watchdog.is_none() {
            let calls = Arc::clone(self);
            let watch = move || calls.watch(host);
            // Without the thread there is no warning, and everything else works.
            desk.watchdog = std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch).ok();
        }
        self.changed.notify_all();
        submit::ACCEPTED
    }

    /// Drops a call, which answers for it. A check that holds a thread of the runtime is not
    /// answered for: the host must learn that the plugin is stuck.
    pub(crate) fn cancel(&self, id: u64) {
        if let Some(running) = self.desk().running.get(&id) {
            running.call.cancel();
            running.task.abort();
        }
    }

    /// Ends every call and thread. A thread that a check holds is left behind after half a second.
    pub(crate) fn shutdown(&self) {
        let (runtime, watchdog) = {
            let mut desk = self.desk();
            desk.ended = true;
            desk.running.values().for_each(|running| running.call.cancel());
            (desk.runtime.take(), desk.watchdog.take())
        };
        self.changed.notify_all();
        if let Some(runtime) = runtime {
            runtime.shutdown_timeout(LAST_CHANCE);
        }
        let held: Vec<Running> = self.desk().running.drain().map(|(_, running)| running).collect();
        for running in held {
            running.channel.end(&Err(cut_off("the plugin was shut down")));
        }
        if let Some(watchdog) = watchdog {
            // It has nothing to fail with, and wakes up for the end.
            let _ = watchdog.join();
        }
    }

    /// Notices when the runtime's threads are all held by checks that block, which makes every
    /// other check wait, and says so in the host's log. It sleeps while nothing runs.
    fn watch(&self, host: &'static HostV1) {
        let mut desk = self.desk();
        loop {
            let idle = |desk: &mut Desk| desk.running.is_empty() && !desk.ended;
            desk = self.changed.wait_while(desk, idle).unwrap_or_else(PoisonError::into_inner);
            let Some(runtime) = &desk.runtime else { return };
            let awake = Arc::new(AtomicBool::new(false));
            let probe = Arc::clone(&awake);
            runtime.spawn(async move { probe.store(true, Ordering::Relaxed) });
            let mut told = false;
            loop {
                let waited = self.changed.wait_timeout_while(desk, STALL, |desk| !desk.ended);
                desk = waited.unwrap_or_else(PoisonError::into_inner).0;
                if desk.ended {
                    return;
                }
                if awake.load(Ordering::Relaxed) {
                    break;
                }
                // Once per stall.
                if !std::mem::replace(&mut told, true) {
                    drop(desk);
                    let text = "checks block all threads of the plugin; declare them `.blocking()`";
                    let _ = (host.host_call)(host.ctx, 0, RStr::from_str(host_call::LOG), text.as_bytes().into());
                    desk = self.desk();
                }
            }
        }
    }
}

/// Answers for a call whose task is dropped before its end.
struct End {
    id: u64,
    channel: Arc<Channel>,
    calls: Arc<Calls>,
}

impl Drop for End {
    fn drop(&mut self) {
        let failure = if std::thread::panicking() {
            Failure { cause: Cause::PluginCrashed, message: "the check panicked while it ended".to_owned() }
        } else {
            cut_off("the call was cancelled")
        };
        self.channel.end(&Err(failure));
        self.calls.desk().running.remove(&self.id);
    }
}
