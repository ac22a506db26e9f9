//! Between the ABI and a [`Provider`]: what the [`export!`](crate::export) macro instantiates.
//!
//! Every function here is called by the host through the ABI. None lets a panic out, none waits,
//! and each accepted call gives exactly one terminal event, whatever becomes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use lineman_abi::{HostV1, RSlice, RStr, RVec};
use lineman_model::protocol::{CheckOutcome, CheckRequest, CloseRequest, op, submit};

use crate::Provider;
use crate::channel::Channel;
use crate::plugin::{Plugin, panic_message};
use crate::runtime::Calls;

/// One plugin in one process: the four functions of the ABI.
pub struct Shim<P: Provider> {
    state: OnceLock<State<P>>,
}

struct State<P: Provider> {
    plugin: Arc<Plugin<P>>,
    calls: Arc<Calls>,
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
        self.state.get_or_init(|| State { plugin: Arc::new(Plugin::new()), calls: Arc::default() })
    }

    /// The plugin's description as JSON, the same every time; empty when it cannot be made, and
    /// why is on stderr.
    pub fn describe(&self) -> RVec<u8> {
        catch_unwind(AssertUnwindSafe(|| serde_json::to_vec(self.state().plugin.description()).unwrap_or_default()))
            .unwrap_or_default()
            .into()
    }

    /// Takes a call over, or refuses it with one of the codes of `lineman_model::protocol::submit`.
    pub fn submit(&self, call: u64, op: RStr<'_>, request: RSlice<'_, u8>, host: &'static HostV1) -> u32 {
        catch_unwind(AssertUnwindSafe(|| self.take(call, op.as_str(), request.as_slice(), host)))
            .unwrap_or(submit::BAD_REQUEST)
    }

    /// Drops a call, which is answered for as soon as it gives its thread back: at once, if it
    /// awaits or declares that it blocks.
    pub fn cancel(&self, call: u64) {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if let Some(state) = self.state.get() {
                state.calls.cancel(call);
            }
        }));
    }

    /// Ends every call and thread, within a second: a thread that a check will not give back is
    /// left behind, its call answered for.
    pub fn shutdown(&self) {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if let Some(state) = self.state.get() {
                state.calls.shutdown();
            }
        }));
    }

    fn take(&self, id: u64, op: &str, request: &[u8], host: &'static HostV1) -> u32 {
        let State { plugin, calls } = self.state();
        match op {
            op::CHECK => {
                let Ok(request) = serde_json::from_slice::<CheckRequest>(request) else { return submit::BAD_REQUEST };
                let channel = Arc::new(Channel::new(id, host));
                let Some(call) = plugin.prepare(&request, Arc::<Channel>::clone(&channel)) else {
                    return submit::BAD_REQUEST;
                };
                let (plugin, running) = (Arc::clone(plugin), Arc::clone(&call));
                calls.start(id, call, channel, host, async move { plugin.run(&running, request).await })
            }
            op::CLOSE => {
                let Ok(request) = serde_json::from_slice::<CloseRequest>(request) else { return submit::BAD_REQUEST };
                plugin.close(request.session);
                Channel::new(id, host).end(&Ok(CheckOutcome::default()));
                submit::ACCEPTED
            }
            _ => submit::UNKNOWN_OPERATION,
        }
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

/// What the locks of this crate guard is whole between any two statements, so a panic in one
/// thread is no reason to fail in another.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
