//! The pipe between host and worker, at the other end of which a plugin may write what it likes.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lineman_host::fuzzing::frames(data));
