//! The engine, driven by a scripted executor under a clock that only the tests turn.

mod causes;
mod outcomes;
mod planning;
mod scripted;
mod time;
