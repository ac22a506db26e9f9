//! `rust-1`: the root module of `lineman_abi`.

use std::path::Path;

use lineman_abi::{HostV1, LoadError, PluginRootRef, RErr, ROk, RResult, RSlice, RStr, RVec};

use super::Plugin;
use crate::worker::outbox;

static HOST: HostV1 = HostV1 { ctx: 0, emit, host_call };

struct Rust(PluginRootRef);

pub(super) fn load(library: &Path) -> Result<impl Plugin + use<>, LoadError> {
    lineman_abi::load(library).map(Rust)
}

impl Plugin for Rust {
    fn describe(&self) -> Vec<u8> {
        (self.0.describe())().into_vec()
    }

    fn submit(&self, call: u64, op: &str, request: &[u8]) -> u32 {
        (self.0.submit())(call, RStr::from_str(op), request.into(), &HOST)
    }

    fn cancel(&self, call: u64) {
        (self.0.cancel())(call);
    }

    fn shutdown(&self) {
        (self.0.shutdown())();
    }
}

extern "C" fn emit(_: usize, call: u64, kind: u32, body: RSlice<'_, u8>) -> u32 {
    outbox::emit(call, kind, Some(body.as_slice()))
}

extern "C" fn host_call(_: usize, call: u64, op: RStr<'_>, body: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>> {
    match outbox::host_call(call, op.as_str(), body.as_slice()) {
        true => ROk(RVec::new()),
        false => RErr(b"refused".as_slice().into()),
    }
}
