//! A library that is no plugin.

/// Something else than a plugin.
#[unsafe(no_mangle)]
pub extern "C" fn not_a_plugin() -> u32 {
    7
}
