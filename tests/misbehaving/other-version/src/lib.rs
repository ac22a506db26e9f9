//! A plugin that was built for another major version of the ABI.

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RStr, RVec};

/// Another idea of a root module.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = OtherRootRef, prefix_fields = OtherRootFields)))]
#[sabi(missing_field(panic))]
pub struct OtherRoot {
    /// A description.
    pub describe: extern "C" fn() -> RVec<u8>,
    /// Whatever that version has.
    #[sabi(last_prefix_field)]
    pub submit: extern "C" fn(u64) -> u32,
}

impl RootModule for OtherRootRef {
    abi_stable::declare_root_module_statics! {OtherRootRef}

    const BASE_NAME: &'static str = "lineman_plugin";
    const NAME: &'static str = "lineman_plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings { version: RStr::from_str("2.0.0") };
}

extern "C" fn describe() -> RVec<u8> {
    RVec::new()
}

extern "C" fn submit(_: u64) -> u32 {
    0
}

/// The root module.
#[abi_stable::export_root_module]
pub fn root() -> OtherRootRef {
    OtherRoot { describe, submit }.leak_into_prefix()
}
