//! Events on their way to the host. The queue is bounded: progress is refused when it is full,
//! and each call has room for its findings and its one terminal event.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::panic::catch_unwind;
use std::sync::{Condvar, Mutex, MutexGuard};

use lineman_model::protocol::{FromWorker, MAX_EVENT, MAX_FINDINGS, emit as answer, event, host_call as calls};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::frame;

/// Progress is dropped while more than this many frames wait.
const PROGRESS_QUEUE: usize = 256;
/// How many events that belong to no call are told to the host.
const STRAYS_TOLD: usize = 32;
/// The most that may wait, bytes, before findings are refused too.
const MAX_WAITING: usize = 64 * 1024 * 1024;

struct Outbox {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Zeroizing<Vec<u8>>>,
    waiting: usize,
    /// Calls without a terminal event, with their number of findings.
    live: Option<HashMap<u64, usize>>,
    strays: usize,
    finished: bool,
}

static OUTBOX: Outbox = Outbox {
    state: Mutex::new(State { frames: VecDeque::new(), waiting: 0, live: None, strays: 0, finished: false }),
    wake: Condvar::new(),
};

fn lock() -> MutexGuard<'static, State> {
    OUTBOX.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl State {
    fn live(&mut self) -> &mut HashMap<u64, usize> {
        self.live.get_or_insert_with(HashMap::new)
    }

    fn push(&mut self, message: &FromWorker) {
        if let Ok(frame) = frame::encode(message) {
            self.waiting += frame.len();
            self.frames.push_back(frame);
            OUTBOX.wake.notify_one();
        }
    }

    /// Drops an event that belongs to no call. The ordinary host does not care, a probe does.
    fn stray(&mut self, call: u64, kind: u32) -> u32 {
        if self.strays < STRAYS_TOLD {
            self.strays += 1;
            self.push(&FromWorker::Stray { call, kind });
        }
        answer::UNKNOWN_CALL
    }

    /// Ends a call whose plugin answered something that is no answer.
    fn bad(&mut self, call: u64, problem: String) -> u32 {
        self.live().remove(&call);
        self.push(&FromWorker::BadEvent { call, problem });
        answer::TAKEN
    }
}

/// A call is about to be submitted.
pub(super) fn open(call: u64) {
    lock().live().insert(call, 0);
}

/// The plugin refused a call.
pub(super) fn refused(call: u64, code: u32) {
    let mut state = lock();
    state.live().remove(&call);
    state.push(&FromWorker::Refused { call, code });
}

/// Tells the host something that belongs to no call.
pub(super) fn tell(message: &FromWorker) {
    lock().push(message);
}

/// No more events come.
pub(super) fn finish() {
    lock().finished = true;
    OUTBOX.wake.notify_one();
}

/// Writes frames until there are no more.
pub(super) fn write_to(mut pipe: File) {
    loop {
        let frame = {
            let mut state = lock();
            loop {
                if let Some(frame) = state.frames.pop_front() {
                    state.waiting -= frame.len();
                    break frame;
                }
                if state.finished {
                    return;
                }
                state = OUTBOX.wake.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
            }
        };
        if frame::write(&mut pipe, &frame).is_err() {
            // The host is gone, and with it the reason to go on.
            std::process::exit(0);
        }
    }
}

/// An event of the plugin; none where its body is so large that nobody looked at it.
pub(super) fn emit(call: u64, kind: u32, body: Option<&[u8]>) -> u32 {
    catch_unwind(|| event(call, kind, body)).unwrap_or(answer::FULL)
}

fn event(call: u64, kind: u32, body: Option<&[u8]>) -> u32 {
    let mut state = lock();
    let Some(&findings) = state.live().get(&call) else { return state.stray(call, kind) };
    match kind {
        event::PROGRESS if state.frames.len() >= PROGRESS_QUEUE => return answer::FULL,
        event::FINDING if findings >= MAX_FINDINGS => {
            return state.bad(call, format!("more than {MAX_FINDINGS} findings"));
        }
        event::FINDING if state.waiting > MAX_WAITING => return answer::FULL,
        event::PROGRESS | event::FINDING | event::RESULT | event::ERROR => {}
        // A kind of a newer protocol.
        _ => return answer::TAKEN,
    }
    let Some(body) = body.filter(|body| body.len() <= MAX_EVENT) else {
        return state.bad(call, format!("an event of more than {MAX_EVENT} bytes"));
    };
    let Some(body) = json(body) else { return state.bad(call, "an event that is no JSON".to_owned()) };
    match kind {
        event::FINDING => *state.live().entry(call).or_default() += 1,
        event::RESULT | event::ERROR => {
            state.live().remove(&call);
        }
        _ => {}
    }
    state.push(&FromWorker::Event { call, kind, body });
    answer::TAKEN
}

/// A call of the plugin to the host; whether it is on its way.
pub(super) fn host_call(call: u64, op: &str, body: &[u8]) -> bool {
    let done = catch_unwind(|| {
        let body = match op {
            calls::LOG => {
                let text = lineman_model::clean_line(&String::from_utf8_lossy(body), 1000);
                serde_json::value::to_raw_value(&text).ok()
            }
            calls::SECRET if body.len() <= MAX_EVENT => json(body),
            _ => None,
        };
        let mut state = lock();
        match body {
            Some(body) if state.waiting <= MAX_WAITING => {
                state.push(&FromWorker::HostCall { call, op: op.to_owned(), body });
                true
            }
            _ => false,
        }
    });
    done.unwrap_or_default()
}

fn json(body: &[u8]) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(body.to_vec()).ok()?).ok()
}
