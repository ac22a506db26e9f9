//! Between the ABI and a [`Provider`]: what the [`export!`](crate::export) macro instantiates.
//!
//! Every function here is called by the host through the ABI. None lets a panic out, none waits,
//! and each accepted call gives exactly one terminal event, whatever becomes of it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use lineman_abi::{HostV1, RSlice, RStr, RVec};
use lineman_model::protocol::{
    CheckRequest, CloseRequest, Failure, Progress, RegisteredSecret, emit, event, host_call, op, submit,
};
use lineman_model::{Cause, Finding, Secret};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use crate::Provider;
use crate::cx::{Call, Sink};
use crate::plugin::{Plugin, panic_message};

/// How long the runtime may leave a task waiting before the author hears of it.
const STALL: Duration = Duration::from_secs(1);

/// One plugin in one process.
pub struct Shim<P: Provider> {
    state: OnceLock<State<P>>,
}

struct State<P: Provider> {
    plugin: Arc<Plugin<P>>,
    runtime: Mutex<Option<Runtime>>,
    calls: Arc<Mutex<HashMap<u64, Running>>>,
    watchdog: Arc<Watchdog>,
}

struct Running {
    call: Arc<Call>,
    abort: Option<AbortHandle>,
}

impl<P: Provider> Default for Shim<P> {
    fn default() -> Shim<P> {
        Shim::new()
    }
}

impl<P: Provider> Shim<P> {
    /// A plugin that nobody has asked anything yet.
    pub const fn new() -> Shim<P> {
        Shim { state: OnceLock::new() }
    }

    fn state(&self) -> &State<P> {
        self.state.get_or_init(|| State {
            plugin: Arc::new(Plugin::new()),
            runtime: Mutex::new(None),
            calls: Arc::default(),
            watchdog: Arc::default(),
        })
    }

    /// The plugin's description as JSON; empty when it cannot be made.
    pub fn describe(&self) -> RVec<u8> {
        catch_unwind(AssertUnwindSafe(|| serde_json::to_vec(self.state().plugin.description()).unwrap_or_default()))
            .unwrap_or_default()
            .into()
    }

    /// Takes a call over.
    pub fn submit(&self, call: u64, op: RStr<'_>, request: RSlice<'_, u8>, host: &'static HostV1) -> u32 {
        catch_unwind(AssertUnwindSafe(|| self.take(call, op.as_str(), request.as_slice(), host)))
            .unwrap_or(submit::BAD_REQUEST)
    }

    /// Drops a call.
    pub fn cancel(&self, call: u64) {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if let Some(running) = lock(&self.state().calls).get(&call) {
                running.call.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
                if let Some(abort) = &running.abort {
                    abort.abort();
                }
            }
        }));
    }

    /// Ends every call and thread.
    pub fn shutdown(&self) {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let Some(state) = self.state.get() else { return };
            state.watchdog.stop();
            if let Some(runtime) = lock(&state.runtime).take() {
                runtime.shutdown_timeout(Duration::from_millis(500));
            }
        }));
    }

    fn take(&self, id: u64, op: &str, request: &[u8], host: &'static HostV1) -> u32 {
        let state = self.state();
        match op {
            op::CHECK => {
                let Ok(request) = serde_json::from_slice::<CheckRequest>(request) else { return submit::BAD_REQUEST };
                if !state.plugin.knows(&request.check) {
                    return submit::BAD_REQUEST;
                }
                state.check(id, request, host)
            }
            op::CLOSE => {
                let Ok(request) = serde_json::from_slice::<CloseRequest>(request) else { return submit::BAD_REQUEST };
                state.plugin.close(request.session);
                Terminal { id, host, done: false }.send(event::RESULT, &serde_json::json!({}));
                submit::ACCEPTED
            }
            _ => submit::UNKNOWN_OPERATION,
        }
    }
}

impl<P: Provider> State<P> {
    fn check(&self, id: u64, request: CheckRequest, host: &'static HostV1) -> u32 {
        let Ok(handle) = self.handle() else { return submit::BUSY };
        let sink = HostSink { id, host };
        let call = {
            let _context = handle.enter();
            let Some(call) = self.plugin.prepare(&request, Box::new(sink)) else { return submit::BAD_REQUEST };
            call
        };
        let calls = Arc::clone(&self.calls);
        lock(&calls).insert(id, Running { call: Arc::clone(&call), abort: None });
        self.watchdog.watch(&handle, host);
        // Made before the task, so that a task that is dropped unrun still answers.
        let mut end = End { id, calls: Arc::clone(&calls), terminal: Terminal { id, host, done: false } };
        let plugin = Arc::clone(&self.plugin);
        let blocks = plugin.blocks(&request.check);
        let work = async move {
            match plugin.run(&call, request).await {
                Ok(outcome) => end.terminal.send(event::RESULT, &outcome),
                Err(failure) => end.terminal.send(event::ERROR, &failure),
            }
        };
        let abort = if blocks {
            let inner = handle.clone();
            handle.spawn_blocking(move || inner.block_on(work)).abort_handle()
        } else {
            handle.spawn(work).abort_handle()
        };
        if let Some(running) = lock(&calls).get_mut(&id) {
            running.abort = Some(abort);
        }
        submit::ACCEPTED
    }

    fn handle(&self) -> std::io::Result<tokio::runtime::Handle> {
        let mut runtime = lock(&self.runtime);
        if runtime.is_none() {
            *runtime = Some(Builder::new_multi_thread().worker_threads(2).enable_all().thread_name("plugin").build()?);
        }
        Ok(runtime.as_ref().map(|runtime| runtime.handle().clone()).expect("it was made above"))
    }
}

/// The one terminal event of a call: sent, or sent as an error when the call is dropped.
struct Terminal {
    id: u64,
    host: &'static HostV1,
    done: bool,
}

impl Terminal {
    fn send(&mut self, kind: u32, body: &impl Serialize) {
        if !std::mem::replace(&mut self.done, true) {
            emit_event(self.host, self.id, kind, body);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let failure = Failure { cause: Cause::PluginTimedOut, message: "the call was cancelled".to_owned() };
        self.send(event::ERROR, &failure);
    }
}

struct End {
    id: u64,
    calls: Arc<Mutex<HashMap<u64, Running>>>,
    terminal: Terminal,
}

impl Drop for End {
    fn drop(&mut self) {
        lock(&self.calls).remove(&self.id);
    }
}

struct HostSink {
    id: u64,
    host: &'static HostV1,
}

impl Sink for HostSink {
    fn finding(&self, finding: &Finding) {
        emit_event(self.host, self.id, event::FINDING, finding);
    }

    fn progress(&self, progress: &Progress) {
        emit_event(self.host, self.id, event::PROGRESS, progress);
    }

    fn secret(&self, name: &str, secret: &Secret) {
        let registered = RegisteredSecret { name: name.to_owned(), value: secret.clone() };
        if let Ok(body) = serde_json::to_vec(&registered) {
            let body = Zeroizing::new(body);
            let _ = (self.host.host_call)(self.host.ctx, self.id, RStr::from_str(host_call::SECRET), body[..].into());
        }
    }
}

fn emit_event(host: &HostV1, call: u64, kind: u32, body: &impl Serialize) -> u32 {
    match serde_json::to_vec(body) {
        Ok(body) => (host.emit)(host.ctx, call, kind, body[..].into()),
        Err(_) => emit::UNKNOWN_CALL,
    }
}

/// Notices when the runtime's threads are all held by checks that block, which would make every
/// other check wait, and says so in the host's log. It sleeps while nothing runs.
#[derive(Default)]
struct Watchdog {
    thread: OnceLock<()>,
    stopped: Mutex<bool>,
    wake: Condvar,
}

impl Watchdog {
    fn watch(self: &Arc<Watchdog>, handle: &tokio::runtime::Handle, host: &'static HostV1) {
        self.thread.get_or_init(|| {
            let (watchdog, handle) = (Arc::clone(self), handle.clone());
            let run = move || watchdog.run(&handle, host);
            // Without the thread there is no warning, and everything else works.
            let _ = std::thread::Builder::new().name("watchdog".to_owned()).spawn(run);
        });
    }

    fn run(&self, handle: &tokio::runtime::Handle, host: &'static HostV1) {
        loop {
            let (answered, answer) = std::sync::mpsc::sync_channel(1);
            handle.spawn(async move {
                let _ = answered.try_send(());
            });
            if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = answer.recv_timeout(STALL) {
                let text = "a check blocks the plugin's runtime; declare it `.blocking()`";
                let _ = (host.host_call)(host.ctx, 0, RStr::from_str(host_call::LOG), text.as_bytes().into());
                // Once per stall: wait until the runtime answers again.
                let _ = answer.recv();
            }
            let stopped = lock(&self.stopped);
            let Ok((stopped, _)) = self.wake.wait_timeout_while(stopped, STALL, |stopped| !*stopped) else { return };
            if *stopped {
                return;
            }
        }
    }

    fn stop(&self) {
        *lock(&self.stopped) = true;
        self.wake.notify_all();
    }
}

/// Shows a panic's message on stderr, which the host captures, without a backtrace in between.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        // The hook cannot know the secrets; the host scrubs what it captures.
        #[expect(clippy::print_stderr, reason = "stderr is the one channel that a panic hook has")]
        {
            eprintln!("panic{place}: {}", panic_message(panic.payload()));
        }
    }));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Makes a library a Lineman plugin: `lineman_sdk::export!(Acme);`, once, where `Acme` is its
/// [`Provider`](crate::Provider).
#[macro_export]
macro_rules! export {
    ($provider:ty) => {
        #[cfg(panic = "abort")]
        compile_error!("a Lineman plugin must unwind: remove `panic = \"abort\"` from the profile");

        const _: () = {
            use $crate::abi;

            static SHIM: $crate::shim::Shim<$provider> = $crate::shim::Shim::new();

            extern "C" fn describe() -> abi::RVec<u8> {
                SHIM.describe()
            }

            extern "C" fn submit(
                call: u64,
                op: abi::RStr<'_>,
                request: abi::RSlice<'_, u8>,
                host: &'static abi::HostV1,
            ) -> u32 {
                SHIM.submit(call, op, request, host)
            }

            extern "C" fn cancel(call: u64) {
                SHIM.cancel(call)
            }

            extern "C" fn shutdown() {
                SHIM.shutdown()
            }

            fn root() -> abi::PluginRootRef {
                $crate::shim::quiet_panics();
                abi::PluginRoot { describe, submit, cancel, shutdown }.leak()
            }

            extern "C" fn constructor() -> abi::RootResult {
                abi::root(root)
            }

            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: abi::Header = abi::header(constructor);
        };
    };
}
