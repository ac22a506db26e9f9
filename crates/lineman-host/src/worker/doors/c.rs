//! `c-1`: the table of `lineman_abi::c`.

use std::ffi::c_void;
use std::fs::File;
use std::mem::size_of;
use std::path::Path;

use lineman_abi::LoadError;
use lineman_abi::c::{self, Bytes, HostV1, PluginV1};
use lineman_model::protocol::{MAX_EVENT, MAX_FINDINGS, MAX_FRAME, emit as answer, event, submit};

use super::Plugin;
use crate::door::Exports;
use crate::worker::outbox;

static HOST: HostV1 = HostV1 { size: size_of::<HostV1>(), ctx: std::ptr::null_mut(), emit, host_call, free };

/// The longest name of an operation of the host, bytes.
const LONGEST_NAME: usize = 64;

// The header gives C programmers the numbers of the protocol.
const _: () = {
    assert!(c::EVENT_FINDING == event::FINDING && c::EVENT_PROGRESS == event::PROGRESS);
    assert!(c::EVENT_RESULT == event::RESULT && c::EVENT_ERROR == event::ERROR);
    assert!(c::SUBMIT_ACCEPTED == submit::ACCEPTED && c::SUBMIT_UNKNOWN_OPERATION == submit::UNKNOWN_OPERATION);
    assert!(c::SUBMIT_BAD_REQUEST == submit::BAD_REQUEST && c::SUBMIT_BUSY == submit::BUSY);
    assert!(c::SUBMIT_SHUTTING_DOWN == submit::SHUTTING_DOWN && c::EMIT_TAKEN == answer::TAKEN);
    assert!(c::EMIT_FULL == answer::FULL && c::EMIT_UNKNOWN_CALL == answer::UNKNOWN_CALL);
    assert!(c::MAX_DESCRIPTION == MAX_FRAME && c::MAX_EVENT == MAX_EVENT);
    assert!(c::MAX_FINDINGS as usize == MAX_FINDINGS);
};

struct C(c::Plugin);

/// Loads a library whose symbol was seen to be an object that is large enough.
pub(super) fn load(file: &File, path: &Path) -> Result<impl Plugin + use<>, LoadError> {
    let exports = Exports::read(file).map_err(|error| LoadError::NotALibrary { reason: error.to_string() })?;
    match exports.c {
        None => Err(LoadError::NoSymbol { symbol: c::SYMBOL }),
        Some((false, _)) => Err(LoadError::OtherMagic),
        Some((true, size)) if size < size_of::<PluginV1>() as u64 => {
            Err(LoadError::TooSmall { found: size as usize, expected: size_of::<PluginV1>() })
        }
        Some((true, _)) => c::load(path).map(C),
    }
}

impl Plugin for C {
    fn describe(&self) -> Vec<u8> {
        self.0.describe()
    }

    fn submit(&self, call: u64, op: &str, request: &[u8]) -> u32 {
        self.0.submit(call, op, request, &HOST)
    }

    fn cancel(&self, call: u64) {
        self.0.cancel(call);
    }

    fn shutdown(&self) {
        self.0.shutdown();
    }
}

extern "C" fn emit(_: *mut c_void, call: u64, kind: u32, body: Bytes) -> u32 {
    outbox::emit(call, kind, lent(body, MAX_EVENT))
}

extern "C" fn host_call(_: *mut c_void, call: u64, op: Bytes, body: Bytes, reply: *mut Bytes) -> u32 {
    if !reply.is_null() && reply.is_aligned() {
        // SAFETY: a plugin that wants no reply gives NULL; otherwise it gives a place for one.
        #[expect(unsafe_code, reason = "a reply goes where the plugin says")]
        unsafe {
            reply.write(Bytes::NONE);
        }
    }
    let op = lent(op, LONGEST_NAME).and_then(|op| str::from_utf8(op).ok());
    match (op, lent(body, MAX_EVENT)) {
        (Some(op), Some(body)) if outbox::host_call(call, op, body) => c::HOST_CALL_DONE,
        _ => c::HOST_CALL_REFUSED,
    }
}

/// Every reply is empty so far, and nothing was made for it.
extern "C" fn free(_: *mut c_void, _: Bytes) {}

/// What the plugin lends until the call returns; none where it is NULL or more than the limit.
fn lent<'a>(bytes: Bytes, limit: usize) -> Option<&'a [u8]> {
    // SAFETY: the plugin promises that so many bytes can be read there until the call returns.
    #[expect(unsafe_code, reason = "the plugin lends its memory")]
    unsafe {
        bytes.get(limit)
    }
}
