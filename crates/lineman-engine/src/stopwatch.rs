use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an integration has been worked on: the time during which at least one of its checks
/// ran. Waiting for a free place is not its fault and does not count.
#[derive(Default)]
pub(crate) struct Stopwatch(Mutex<State>);

#[derive(Default)]
struct State {
    started: bool,
    running: usize,
    since: Option<Instant>,
    spent: Duration,
}

/// Runs while it lives.
pub(crate) struct Running<'a>(&'a Stopwatch);

impl Stopwatch {
    pub(crate) fn start(&self) -> Running<'_> {
        let mut state = lock(&self.0);
        state.started = true;
        state.running += 1;
        state.since.get_or_insert_with(Instant::now);
        Running(self)
    }

    pub(crate) fn was_started(&self) -> bool {
        lock(&self.0).started
    }

    pub(crate) fn spent(&self) -> Duration {
        let state = lock(&self.0);
        state.spent + state.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.0);
        state.running -= 1;
        if state.running == 0
            && let Some(since) = state.since.take()
        {
            state.spent += since.elapsed();
        }
    }
}

/// Nothing panics while it holds one of the engine's locks, so a poisoned one is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
