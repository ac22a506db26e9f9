//! `lineman.lock`: what is read is written and read the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lineman_host::fuzzing::lock(data));
