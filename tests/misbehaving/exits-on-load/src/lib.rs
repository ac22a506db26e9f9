//! A library whose constructor ends the process with status 0: a host that loads it in its own
//! process reports nothing and looks green.
//!
//! Before that it tries to leave a file beside itself, where a worker must not let it.

extern "C" fn leave() {
    // A worker is told which library to load by the argument after its own name for itself.
    if let Some(library) = std::env::args_os().nth(2) {
        let mut mark = library;
        mark.push(".loaded");
        // The test looks for it.
        let _ = std::fs::write(mark, []);
    }
    std::process::exit(0);
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = leave;

/// By this it is taken for a plugin; nobody comes to look at it.
#[used]
#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static HEADER: [u64; 64] = [0; 64];
