//! A library whose constructor ends the process with status 0: a host that loads it in its own
//! process reports nothing and looks green.
//!
//! Before that it leaves a file beside itself, so that the tests see that it was loaded.

extern "C" fn leave() {
    // A worker is told which library to load by the argument after its own name for itself.
    if let Some(library) = std::env::args_os().nth(2) {
        let mut mark = library;
        mark.push(".loaded");
        // Where this fails, the test that looks for the file does.
        let _ = std::fs::write(mark, []);
    }
    std::process::exit(0);
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = leave;
