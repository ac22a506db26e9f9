//! The frozen layout of a Lineman plugin.
//!
//! A plugin is a dynamic library that exports one root module of four functions. Host and plugin
//! are compiled apart, by other people, with other compilers; this crate is all that they share
//! in memory. It is therefore the smallest thing that works, and it **never changes** within its
//! major version: only bytes, strings, integers and function pointers cross. What host and
//! plugin say to each other is JSON, and evolves there.
//!
//! - [`PluginRoot::describe`] gives the plugin's description.
//! - [`PluginRoot::submit`] hands over a call and returns at once. The plugin answers with events
//!   through [`HostV1::emit`], exactly one of which is terminal.
//! - [`PluginRoot::cancel`] says that nobody waits for a call any more.
//! - [`PluginRoot::shutdown`] ends everything; it returns when the plugin's threads have ended.
//!
//! Bytes are freed by whoever made them, which the types of `abi_stable` see to. A panic must
//! not leave any of these functions. A library is never unloaded.
//!
//! That is the door for plugins in Rust. [`c`] is another with the same meaning, for every language
//! that can export a C symbol.
//!
//! This is the only crate that names `abi_stable`; it knows nothing of providers, checks or JSON.

pub mod c;

use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::library::{
    CheckTypeLayout, LibHeader, LibraryError, RootModule, RootModuleError, RootModuleResult, lib_header_from_path,
};
use abi_stable::sabi_types::VersionStrings;

pub use abi_stable::std_types::{RErr, ROk, RResult, RSlice, RStr, RVec};

/// What the host offers to a plugin. Valid for as long as the process lives.
#[repr(C)]
#[derive(StableAbi)]
pub struct HostV1 {
    /// The host's own; handed back with every call.
    pub ctx: usize,
    /// Gives an event of a call to the host: `emit(ctx, call, kind, body)`. Copies the body,
    /// never waits, and may be called from any thread. What it returns is listed in
    /// `lineman_model::protocol::emit`.
    pub emit: extern "C" fn(ctx: usize, call: u64, kind: u32, body: RSlice<'_, u8>) -> u32,
    /// Asks something of the host: `host_call(ctx, call, op, body)`. Never waits, and may be
    /// called from any thread. The operations are listed in `lineman_model::protocol::host_call`.
    pub host_call:
        extern "C" fn(ctx: usize, call: u64, op: RStr<'_>, body: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>>,
}

/// The root module that a plugin exports: four functions, never extended.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRootRef, prefix_fields = PluginRootFields)))]
#[sabi(missing_field(panic))]
pub struct PluginRoot {
    /// The plugin's description, as JSON.
    pub describe: extern "C" fn() -> RVec<u8>,
    /// Takes a call over: `submit(call, op, request, host)`. What it returns is listed in
    /// `lineman_model::protocol::submit`; events follow only an accepted call.
    pub submit: extern "C" fn(call: u64, op: RStr<'_>, request: RSlice<'_, u8>, host: &'static HostV1) -> u32,
    /// Says that nobody waits for a call any more. Its terminal event may still come.
    pub cancel: extern "C" fn(call: u64),
    /// Ends every call and thread of the plugin.
    #[sabi(last_prefix_field)]
    pub shutdown: extern "C" fn(),
}

impl RootModule for PluginRootRef {
    abi_stable::declare_root_module_statics! {PluginRootRef}

    const BASE_NAME: &'static str = "lineman_plugin";
    const NAME: &'static str = "lineman_plugin";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}

/// The type of the one static that a plugin exports, under the name [`EXPORT_NAME`].
pub type Header = LibHeader;

/// What the constructor of a [`Header`] returns.
pub type RootResult = RootModuleResult;

/// The name under which `abi_stable` looks the [`Header`] up.
pub const EXPORT_NAME: &str = abi_stable::library::ROOT_MODULE_LOADER_NAME;

/// The header of a plugin whose root module `constructor` makes, with [`root`].
pub const fn header(constructor: extern "C" fn() -> RootResult) -> Header {
    // SAFETY: `from_constructor` relies on the constructor returning an erased `PluginRootRef`.
    // `RootResult` can only be had from `root`, which makes it of one.
    #[expect(unsafe_code, reason = "the header stands for abi_stable's own export attribute, which names that crate")]
    unsafe {
        LibHeader::from_constructor::<PluginRootRef>(constructor, CheckTypeLayout::Yes)
    }
}

/// What a constructor returns: the root module that `make` gives, or the news that it panicked.
pub fn root(make: fn() -> PluginRootRef) -> RootResult {
    abi_stable::library::__call_root_module_loader(make)
}

impl PluginRoot {
    /// Puts the root module where it stays for as long as the process lives.
    pub fn leak(self) -> PluginRootRef {
        use abi_stable::prefix_type::PrefixTypeTrait;
        self.leak_into_prefix()
    }
}

/// Loads a plugin's library into this process, for ever, and checks that its layout is the one
/// of this crate.
///
/// Loading runs code of the library, and a damaged file can end the process: only a worker does it.
pub fn load(library: &Path) -> Result<PluginRootRef, LoadError> {
    // `RootModule::load_from_*` keep one module per type and would return the first plugin again.
    let header = lib_header_from_path(library)?;
    Ok(header.init_root_module::<PluginRootRef>()?)
}

/// Why a library could not be loaded as a plugin. Each kind has a stable code; each message is
/// one line.
#[derive(Debug)]
pub enum LoadError {
    /// The dynamic linker refuses the file.
    NotALibrary {
        /// What it says.
        reason: String,
    },
    /// The library exports no plugin.
    NoSymbol {
        /// The symbol that was looked for.
        symbol: &'static str,
    },
    /// The plugin was built with another release line of the layout checker.
    OtherChecker,
    /// The plugin was built with another major version of the ABI.
    OtherVersion {
        /// The plugin's version.
        found: String,
        /// This version.
        expected: String,
    },
    /// The plugin's root module has another layout.
    OtherLayout,
    /// The plugin panicked while it was being loaded.
    Panicked,
    /// What the library exports for the C door is no plugin's table.
    OtherMagic,
    /// The table for the C door ends before its last function.
    TooSmall {
        /// Its size, bytes.
        found: usize,
        /// The size of this version's, bytes.
        expected: usize,
    },
    /// A function of the table for the C door is NULL.
    MissingFunction {
        /// Its name.
        name: &'static str,
    },
}

impl LoadError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            LoadError::NotALibrary { .. } => "not-a-library",
            LoadError::NoSymbol { .. } => "no-symbol",
            LoadError::OtherChecker => "other-checker",
            LoadError::OtherVersion { .. } => "other-version",
            LoadError::OtherLayout => "other-layout",
            LoadError::Panicked => "panicked-on-load",
            LoadError::OtherMagic => "other-magic",
            LoadError::TooSmall { .. } => "too-small",
            LoadError::MissingFunction { .. } => "missing-function",
        }
    }
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LoadError::NotALibrary { reason } => write!(f, "the file is no loadable library: {reason}"),
            LoadError::NoSymbol { symbol } => {
                write!(f, "the library exports no Lineman plugin (no symbol `{symbol}`)")
            }
            LoadError::OtherChecker => f.write_str("the plugin was built with another version of abi_stable"),
            LoadError::OtherVersion { found, expected } => {
                write!(f, "the plugin was built for ABI {found}, this Lineman speaks ABI {expected}")
            }
            LoadError::OtherLayout => f.write_str("the plugin's root module has another layout than this ABI's"),
            LoadError::Panicked => f.write_str("the plugin panicked while it was being loaded"),
            LoadError::OtherMagic => {
                write!(f, "what the library exports as `{}` is no plugin's table: LINEMAN_MAGIC is missing", c::SYMBOL)
            }
            LoadError::TooSmall { found, expected } => {
                write!(f, "the table `{}` has {found} bytes, fewer than the {expected} of this version", c::SYMBOL)
            }
            LoadError::MissingFunction { name } => write!(f, "the function `{name}` of `{}` is NULL", c::SYMBOL),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<LibraryError> for LoadError {
    fn from(error: LibraryError) -> LoadError {
        match error {
            LibraryError::OpenError { err, .. } => LoadError::NotALibrary { reason: one_line(&err) },
            LibraryError::GetSymbolError { .. } => LoadError::NoSymbol { symbol: EXPORT_NAME },
            LibraryError::InvalidAbiHeader(_) => LoadError::OtherChecker,
            LibraryError::IncompatibleVersionNumber { expected_version, actual_version, .. } => {
                LoadError::OtherVersion { found: actual_version.to_string(), expected: expected_version.to_string() }
            }
            LibraryError::RootModule { err: RootModuleError::Unwound, .. } => LoadError::Panicked,
            // Its text is hundreds of lines about types; what matters is that they differ.
            LibraryError::RootModule { .. }
            | LibraryError::ParseVersionError(_)
            | LibraryError::AbiInstability(_)
            | LibraryError::InvalidCAbi { .. }
            | LibraryError::Many(_) => LoadError::OtherLayout,
        }
    }
}

/// What a library says of a failure, on one line.
fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_export_name_is_the_one_that_plugins_are_built_with() {
        // The SDK's macro must spell it as a literal.
        assert_eq!(EXPORT_NAME, "_1as_0lib_1header_0root_bmodule_bloader");
    }

    #[test]
    fn errors_are_one_line_with_a_stable_code() {
        let error = load(Path::new("/nowhere/lib.so")).err().expect("there is no such file");
        assert_eq!(error.code(), "not-a-library");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}
