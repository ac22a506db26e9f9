//! The C door of Lineman: what a plugin written in C, or in any language that can export a C
//! symbol, shares with its host.
//!
//! A plugin is a shared library that exports one constant object, `lineman_plugin_c_v1`. Its
//! first members say what it was built for, the others are five functions. The host loads the
//! library in a process of its own, asks it to describe itself, and hands calls over; the plugin
//! takes a call at once and answers later, with events. Descriptions, requests and events are
//! JSON in UTF-8; docs/other-languages.md says what stands in them.
//!
//! Memory
//!
//! - Bytes are freed by the side that made them, and by nobody else.
//! - Bytes that a function is given are lent to it until it returns: copy what is needed longer.
//!   That holds for `op` and `request` of `submit`, and for `body` of `emit` and `host_call`.
//! - Bytes that a function gives back are handed over once to be freed: those of `describe` to
//!   the plugin's `free`, a reply of `host_call` to the host's `free`.
//! - After the last byte of what the host lends stands a zero byte that `len` does not count.
//!   The host expects none of the plugin.
//! - `data` may be NULL where `len` is 0, and nowhere else.
//! - The host's table stays where it is for as long as the process lives. So must the plugin's:
//!   a library is never unloaded.
//! - A request holds secrets. Wipe the copies of them, and write them nowhere.
//!
//! Threads
//!
//! - The host calls the plugin from one thread, one function at a time. Each must return at once:
//!   what waits for a network belongs on a thread of the plugin's own.
//! - `emit` and `host_call` may be called from any thread, from several at a time, and before
//!   `submit` has returned. They never wait.
//! - A call that `submit` accepted ends with exactly one terminal event, a result or an error.
//!   Findings and progress come before it; what comes after it is dropped. A call that `submit`
//!   refused has no events.
//! - `cancel` says that nobody waits for a call any more. It still ends with its terminal event,
//!   within a quarter of a second: otherwise the process is ended, and with it every other call.
//! - `shutdown` ends every call and every thread of the plugin. The host gives it one second.
//!   When it has returned, the plugin must not call the host any more.
//! - Nothing may leave a function but its return: no exception, no longjmp. A process that ends
//!   before its calls is a crash, whatever its exit status.
//!
//! The process
//!
//! It has an empty environment, a private empty working directory, a limit on its memory, and no
//! other descriptors than its own. What the plugin prints, to either stream, is kept by the host
//! and shown when the plugin crashes.
//!
//! Versions
//!
//! `major` never grows here: another major version is another symbol. Within it, members are only
//! ever added at the end of a table, and then `minor` grows. `size` says how much of a table is
//! there: the host reads as much of the plugin's as both know, and a plugin must not touch a
//! member of the host's that lies beyond `size`. New abilities are new operations and new fields
//! of JSON: refuse an operation, and ignore a field or a kind, that you do not know.

use std::ffi::c_void;
use std::mem::{align_of, offset_of, size_of};
use std::path::Path;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::LoadError;

/// What `magic` holds: the bytes `LINEMAN1` on a little-endian machine.
pub const MAGIC: u64 = 0x314e_414d_454e_494c;
/// The major version of this interface. The host refuses every other.
pub const MAJOR: u32 = 1;
/// The minor version of this interface: how many times members were added.
pub const MINOR: u32 = 0;

/// `submit` answers: the call is taken, events follow.
pub const SUBMIT_ACCEPTED: u32 = 0;
/// `submit` answers: there is no such operation.
pub const SUBMIT_UNKNOWN_OPERATION: u32 = 1;
/// `submit` answers: the request is not what the operation takes.
pub const SUBMIT_BAD_REQUEST: u32 = 2;
/// `submit` answers: too many calls at once.
pub const SUBMIT_BUSY: u32 = 3;
/// `submit` answers: the plugin is shutting down.
pub const SUBMIT_SHUTTING_DOWN: u32 = 4;

/// Kind of an event: a finding. Something is wrong, or worth knowing.
pub const EVENT_FINDING: u32 = 1;
/// Kind of an event: progress. What is being done, in a few words.
pub const EVENT_PROGRESS: u32 = 2;
/// Kind of an event, terminal: the result. An empty object says that the check ran to its end.
pub const EVENT_RESULT: u32 = 3;
/// Kind of an event, terminal: the plugin itself failed.
pub const EVENT_ERROR: u32 = 4;

/// `emit` answers: the event is on its way.
pub const EMIT_TAKEN: u32 = 0;
/// `emit` answers: the queue is full, the event is dropped. Progress meets this when the host is
/// busy; terminal events never do.
pub const EMIT_FULL: u32 = 1;
/// `emit` answers: there is no such call, or it has ended.
pub const EMIT_UNKNOWN_CALL: u32 = 2;

/// `host_call` answers: done.
pub const HOST_CALL_DONE: u32 = 0;
/// `host_call` answers: refused, or no such operation.
pub const HOST_CALL_REFUSED: u32 = 1;

/// The most bytes that a description may have. A request has no more either.
pub const MAX_DESCRIPTION: usize = 8 << 20;
/// The most bytes that the body of one event, or of one `host_call`, may have. A larger event
/// ends its call as bad output.
pub const MAX_EVENT: usize = 1 << 20;
/// The most findings that one call may have. One more ends the call as bad output.
pub const MAX_FINDINGS: u32 = 100;

/// Some bytes, not necessarily text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first of them.
    pub data: *const u8,
    /// How many there are.
    pub len: usize,
}

/// What the host offers to a plugin. It is there for as long as the process lives.
#[repr(C)]
#[derive(Debug)]
pub struct HostV1 {
    /// How many bytes of this table there are.
    pub size: usize,
    /// The host's own; hand it back with every call.
    pub ctx: *mut c_void,
    /// Gives an event of a call to the host, which copies `body`. Never waits; from any thread.
    /// Answers one of LINEMAN_EMIT_….
    pub emit: unsafe extern "C" fn(ctx: *mut c_void, call: u64, kind: u32, body: Bytes) -> u32,
    /// Asks something of the host, in the course of a call or, with `call` 0, of none. Never
    /// waits; from any thread. Operations: `log` writes a line of text to the host's log, and
    /// `secret` has the host keep a secret that the plugin obtained out of every output; its body
    /// is `{"name": …, "value": …}`. Answers one of LINEMAN_HOST_CALL_…. Where `reply` is not NULL
    /// it is set, and what it is set to must be given to `free`.
    pub host_call: unsafe extern "C" fn(ctx: *mut c_void, call: u64, op: Bytes, body: Bytes, reply: *mut Bytes) -> u32,
    /// Frees what the host made: a reply of `host_call`.
    pub free: unsafe extern "C" fn(ctx: *mut c_void, bytes: Bytes),
}

// SAFETY: the host that makes the table promises that its functions may be called from any thread
// with its `ctx`; nothing in it changes.
#[expect(unsafe_code, reason = "a table of functions is shared by every thread of a plugin")]
unsafe impl Sync for HostV1 {}

/// What a plugin exports. None of the functions may be NULL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PluginV1 {
    /// LINEMAN_MAGIC.
    pub magic: u64,
    /// LINEMAN_MAJOR.
    pub major: u32,
    /// LINEMAN_MINOR.
    pub minor: u32,
    /// How many bytes of this table there are: its `sizeof`.
    pub size: usize,
    /// The plugin's description, as JSON: always the same. The host gives it to `free`.
    pub describe: Option<unsafe extern "C" fn() -> Bytes>,
    /// Takes a call over and returns at once. `call` names it in every event; no two calls have
    /// the same number. `op` is `check` or `close`, `request` its JSON. Answers one of
    /// LINEMAN_SUBMIT_…; events follow only an accepted call.
    pub submit: Option<unsafe extern "C" fn(call: u64, op: Bytes, request: Bytes, host: *const HostV1) -> u32>,
    /// Says that nobody waits for a call any more. The call may have ended meanwhile.
    pub cancel: Option<unsafe extern "C" fn(call: u64)>,
    /// Frees what the plugin made: a description.
    pub free: Option<unsafe extern "C" fn(bytes: Bytes)>,
    /// Ends every call and thread of the plugin, and returns when they have ended.
    pub shutdown: Option<unsafe extern "C" fn()>,
}

/// The name of the object that a plugin exports.
pub const SYMBOL: &str = "lineman_plugin_c_v1";

impl Bytes {
    /// No bytes.
    pub const NONE: Bytes = Bytes { data: std::ptr::null(), len: 0 };

    /// These bytes, lent to a plugin. The zero byte that ends them is not counted.
    fn lent(ended_by_zero: &[u8]) -> Bytes {
        Bytes { data: ended_by_zero.as_ptr(), len: ended_by_zero.len().saturating_sub(1) }
    }

    /// The bytes that the other side lends; none where they are NULL or more than `limit`.
    ///
    /// # Safety
    ///
    /// Where `data` is not NULL, `len` bytes can be read there, and do not change before `'a` is
    /// over.
    #[expect(unsafe_code, reason = "the other side lends its memory")]
    pub unsafe fn get<'a>(self, limit: usize) -> Option<&'a [u8]> {
        match self.len {
            0 => Some(&[]),
            length if self.data.is_null() || length > limit => None,
            // SAFETY: not NULL, and the rest is the caller's promise.
            length => Some(unsafe { std::slice::from_raw_parts(self.data, length) }),
        }
    }
}

/// A plugin that was entered by the C door. It stays for as long as the process lives.
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    describe: unsafe extern "C" fn() -> Bytes,
    submit: unsafe extern "C" fn(u64, Bytes, Bytes, *const HostV1) -> u32,
    cancel: unsafe extern "C" fn(u64),
    free: unsafe extern "C" fn(Bytes),
    shutdown: unsafe extern "C" fn(),
}

/// Loads a plugin's library into this process, for ever, and checks the table that it exports.
///
/// Loading runs code of the library, and a damaged file can end the process: only a worker does
/// it. That the symbol is an object at least as large as [`PluginV1`] cannot be seen here: whoever
/// calls this has read it from the file.
pub fn load(library: &Path) -> Result<Plugin, LoadError> {
    let not_a_library = |error: libloading::Error| LoadError::NotALibrary { reason: crate::one_line(&error) };
    // SAFETY: the library's constructors run, and may do anything; the caller is a worker, which
    // is there for that. Everything is resolved now: what is missing is refused, not met later.
    #[expect(unsafe_code, reason = "a library is loaded")]
    let library = unsafe { Library::open(Some(library), RTLD_NOW | RTLD_LOCAL) }.map_err(not_a_library)?;
    // SAFETY: the symbol is used as the address that it is; what stands there is checked below.
    #[expect(unsafe_code, reason = "a symbol is looked up")]
    let table = unsafe { library.get::<*const PluginV1>(SYMBOL.as_bytes()) }.map(|symbol| *symbol);
    // Its threads may outlive every handle.
    std::mem::forget(library);
    let table = table.map_err(|_| LoadError::NoSymbol { symbol: SYMBOL })?;
    // SAFETY: the address is that of an object of the library, which is never unloaded; that the
    // object is large enough is the caller's to have seen.
    #[expect(unsafe_code, reason = "the plugin's table is read")]
    unsafe {
        Plugin::read(table)
    }
}

impl Plugin {
    /// Checks a plugin's table, member by member: of what is no table of this version, no more is
    /// read than tells so.
    ///
    /// # Safety
    ///
    /// Where `table` is not NULL and is aligned, a [`PluginV1`] can be read there, and its
    /// functions, where they are not NULL, are what they are declared to be.
    #[expect(unsafe_code, reason = "the plugin's table is read")]
    unsafe fn read(table: *const PluginV1) -> Result<Plugin, LoadError> {
        if table.is_null() || !table.is_aligned() {
            return Err(LoadError::OtherMagic);
        }
        // SAFETY: the caller's promise. Nothing is read of the table as a whole before its size
        // is known.
        let (magic, major, minor, size) = unsafe { ((*table).magic, (*table).major, (*table).minor, (*table).size) };
        if magic != MAGIC {
            return Err(LoadError::OtherMagic);
        }
        if major != MAJOR {
            let (found, expected) = (format!("{major}.{minor}"), format!("{MAJOR}.{MINOR}"));
            return Err(LoadError::OtherVersion { found, expected });
        }
        if size < size_of::<PluginV1>() {
            return Err(LoadError::TooSmall { found: size, expected: size_of::<PluginV1>() });
        }
        // SAFETY: as above, and it is as large as it should be.
        let table = unsafe { table.read() };
        Ok(Plugin {
            describe: table.describe.ok_or(LoadError::MissingFunction { name: "describe" })?,
            submit: table.submit.ok_or(LoadError::MissingFunction { name: "submit" })?,
            cancel: table.cancel.ok_or(LoadError::MissingFunction { name: "cancel" })?,
            free: table.free.ok_or(LoadError::MissingFunction { name: "free" })?,
            shutdown: table.shutdown.ok_or(LoadError::MissingFunction { name: "shutdown" })?,
        })
    }

    /// The plugin's description; nothing where it gives NULL or more than [`MAX_DESCRIPTION`].
    #[expect(unsafe_code, reason = "calls the plugin")]
    pub fn describe(&self) -> Vec<u8> {
        // SAFETY: `describe` takes nothing; what it gives is its own until it is freed, which
        // happens once, after the copy.
        unsafe {
            let lent = (self.describe)();
            let copy = lent.get(MAX_DESCRIPTION).unwrap_or_default().to_vec();
            (self.free)(lent);
            copy
        }
    }

    /// Hands a call over. See `LINEMAN_SUBMIT_…` in the header for what it answers.
    #[expect(unsafe_code, reason = "calls the plugin")]
    pub fn submit(&self, call: u64, op: &str, request: &[u8], host: &'static HostV1) -> u32 {
        let [op, request] = [op.as_bytes(), request].map(|bytes| {
            let mut ended = Wiped(Vec::with_capacity(bytes.len() + 1));
            ended.0.extend_from_slice(bytes);
            ended.0.push(0);
            ended
        });
        // SAFETY: what is lent lives until `submit` returns, and the host's table for ever.
        unsafe { (self.submit)(call, Bytes::lent(&op.0), Bytes::lent(&request.0), host) }
    }

    /// Says that nobody waits for a call any more.
    #[expect(unsafe_code, reason = "calls the plugin")]
    pub fn cancel(&self, call: u64) {
        // SAFETY: it takes a number.
        unsafe { (self.cancel)(call) }
    }

    /// Ends every call and thread of the plugin.
    #[expect(unsafe_code, reason = "calls the plugin")]
    pub fn shutdown(&self) {
        // SAFETY: it takes nothing.
        unsafe { (self.shutdown)() }
    }
}

/// A request's copy: it holds secrets.
struct Wiped(Vec<u8>);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        // Or the compiler would see that nobody reads it any more.
        std::hint::black_box(&self.0);
    }
}

// The layout that plugins were built with: frozen, whatever this file comes to say.
const _: () = {
    let word = size_of::<usize>();
    assert!(size_of::<Bytes>() == 2 * word && align_of::<Bytes>() == word);
    assert!(offset_of!(PluginV1, magic) == 0 && offset_of!(PluginV1, major) == 8 && offset_of!(PluginV1, minor) == 12);
    assert!(offset_of!(PluginV1, size) == 16 && offset_of!(PluginV1, describe) == 16 + word);
    assert!(offset_of!(PluginV1, shutdown) == 16 + 5 * word && size_of::<PluginV1>() >= 16 + 6 * word);
    assert!(offset_of!(HostV1, ctx) == word && offset_of!(HostV1, emit) == 2 * word);
    assert!(offset_of!(HostV1, free) == 4 * word && size_of::<HostV1>() == 5 * word);
};

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn describe() -> Bytes {
        Bytes { data: std::ptr::null(), len: 7 }
    }
    extern "C" fn submit(_: u64, op: Bytes, request: Bytes, _: *const HostV1) -> u32 {
        // Both are ended by the zero byte that is promised.
        #[expect(unsafe_code, reason = "plays a plugin")]
        unsafe {
            u32::from(*op.data.add(op.len)) + u32::from(*request.data.add(request.len)) + op.len as u32
        }
    }
    extern "C" fn cancel(_: u64) {}
    extern "C" fn free(_: Bytes) {}
    extern "C" fn shutdown() {}

    const GOOD: PluginV1 = PluginV1 {
        magic: MAGIC,
        major: MAJOR,
        minor: MINOR,
        size: size_of::<PluginV1>(),
        describe: Some(describe),
        submit: Some(submit),
        cancel: Some(cancel),
        free: Some(free),
        shutdown: Some(shutdown),
    };

    #[expect(unsafe_code, reason = "plays a loader")]
    fn read(table: *const PluginV1) -> Result<Plugin, LoadError> {
        unsafe { Plugin::read(table) }
    }

    #[test]
    fn a_table_that_is_none_is_refused_by_what_is_wrong_with_it() {
        let check = |table: PluginV1, code: &str, says: &str| {
            let error = read(&table).expect_err(code);
            assert_eq!(error.code(), code);
            assert!(error.to_string().contains(says) && !error.to_string().contains('\n'), "{error}");
        };
        check(PluginV1 { magic: MAGIC.swap_bytes(), ..GOOD }, "other-magic", SYMBOL);
        check(PluginV1 { major: 2, minor: 5, ..GOOD }, "other-version", "ABI 2.5, this Lineman speaks ABI 1.0");
        check(PluginV1 { size: size_of::<PluginV1>() - 1, ..GOOD }, "too-small", "has 63 bytes, fewer than the 64");
        check(PluginV1 { describe: None, ..GOOD }, "missing-function", "`describe`");
        check(PluginV1 { submit: None, ..GOOD }, "missing-function", "`submit`");
        check(PluginV1 { cancel: None, ..GOOD }, "missing-function", "`cancel`");
        check(PluginV1 { free: None, ..GOOD }, "missing-function", "`free`");
        check(PluginV1 { shutdown: None, ..GOOD }, "missing-function", "`shutdown`");
        assert_eq!(read(std::ptr::null()).expect_err("null").code(), "other-magic");
        let table = GOOD;
        let odd = (&raw const table).wrapping_byte_add(1);
        assert_eq!(read(odd).expect_err("misaligned").code(), "other-magic");
    }

    #[test]
    fn a_newer_plugin_is_entered_and_what_it_lends_is_looked_at_before_it_is_read() {
        let newer = PluginV1 { minor: 9, size: size_of::<PluginV1>() + 64, ..GOOD };
        let plugin = read(&newer).expect("it has all that this version knows");
        assert!(plugin.describe().is_empty(), "NULL was read");
        static HOST: HostV1 =
            HostV1 { size: size_of::<HostV1>(), ctx: std::ptr::null_mut(), emit, host_call, free: free_reply };
        extern "C" fn emit(_: *mut c_void, _: u64, _: u32, _: Bytes) -> u32 {
            EMIT_TAKEN
        }
        extern "C" fn host_call(_: *mut c_void, _: u64, _: Bytes, _: Bytes, _: *mut Bytes) -> u32 {
            HOST_CALL_REFUSED
        }
        extern "C" fn free_reply(_: *mut c_void, _: Bytes) {}
        assert_eq!(plugin.submit(1, "check", b"{}", &HOST), 5);
    }
}
