//! A plugin that keeps every promise but one: it exports a symbol that is not its door.

// The door, and all that is behind it, is that of the other plugin.
use lineman_misbehaving_nonconforming as _;

/// A name that another library may have, too.
#[unsafe(no_mangle)]
pub extern "C" fn connect_to_provider() -> i32 {
    0
}
