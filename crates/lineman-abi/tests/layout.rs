//! ABI 1 never changes. A plugin that was built against it runs for ever; where the layout differs
//! it is refused or, worse, is not. What can be said in types stands here and fails to compile;
//! sizes and offsets are spelt out in `layout.txt`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::mem::offset_of;

use abi_stable::StableAbi;
use abi_stable::type_layout::TypeLayout;
use lineman_abi::{EXPORT_NAME, Header, HostV1, PluginRoot, PluginRootRef, RResult, RSlice, RStr, RVec};

/// Nothing is added, taken away or given other arguments.
#[test]
fn the_functions_are_those_of_abi_1() {
    extern "C" fn describe() -> RVec<u8> {
        RVec::new()
    }
    extern "C" fn submit(_: u64, _: RStr<'_>, _: RSlice<'_, u8>, _: &'static HostV1) -> u32 {
        0
    }
    extern "C" fn cancel(_: u64) {}
    extern "C" fn shutdown() {}
    let PluginRoot { describe, submit, cancel, shutdown } = PluginRoot { describe, submit, cancel, shutdown };
    let _: extern "C" fn() -> RVec<u8> = describe;
    let _: extern "C" fn(u64, RStr<'_>, RSlice<'_, u8>, &'static HostV1) -> u32 = submit;
    let _: extern "C" fn(u64) = cancel;
    let _: extern "C" fn() = shutdown;

    type HostCall = extern "C" fn(usize, u64, RStr<'_>, RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>>;
    extern "C" fn emit(_: usize, _: u64, _: u32, _: RSlice<'_, u8>) -> u32 {
        0
    }
    extern "C" fn host_call(_: usize, _: u64, _: RStr<'_>, body: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>> {
        RResult::ROk(body.to_rvec())
    }
    let HostV1 { ctx, emit, host_call } = HostV1 { ctx: 7, emit, host_call };
    let _: extern "C" fn(usize, u64, u32, RSlice<'_, u8>) -> u32 = emit;
    let host_call: HostCall = host_call;
    assert_eq!(host_call(ctx, 0, "log".into(), b"x"[..].into()).unwrap().as_slice(), b"x");
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_layout_is_that_of_abi_1() {
    let mut text = format!("major version {}\n", env!("CARGO_PKG_VERSION").split('.').next().unwrap());
    writeln!(text, "exports {EXPORT_NAME}, {} bytes", size_of::<Header>()).unwrap();
    let root = [
        ("describe", offset_of!(PluginRoot, describe)),
        ("submit", offset_of!(PluginRoot, submit)),
        ("cancel", offset_of!(PluginRoot, cancel)),
        ("shutdown", offset_of!(PluginRoot, shutdown)),
    ];
    let host = [
        ("ctx", offset_of!(HostV1, ctx)),
        ("emit", offset_of!(HostV1, emit)),
        ("host_call", offset_of!(HostV1, host_call)),
    ];
    for (name, size, fields) in
        [("PluginRoot", size_of::<PluginRoot>(), &root[..]), ("HostV1", size_of::<HostV1>(), &host)]
    {
        writeln!(text, "\n{name}: {size} bytes").unwrap();
        fields.iter().for_each(|(field, at)| writeln!(text, "  {at:2} {field}").unwrap());
    }
    let seen = &mut BTreeSet::new();
    spell(<PluginRootRef as StableAbi>::LAYOUT, seen, &mut text);
    spell(<RVec<u8> as StableAbi>::LAYOUT, seen, &mut text);
    spell(<RSlice<'_, u8> as StableAbi>::LAYOUT, seen, &mut text);
    spell(<RStr<'_> as StableAbi>::LAYOUT, seen, &mut text);
    spell(<RResult<RVec<u8>, RVec<u8>> as StableAbi>::LAYOUT, seen, &mut text);
    assert_eq!(text, include_str!("layout.txt"), "\nABI 1 is frozen, and this is something else:\n\n{text}");
}

/// A type that crosses, and the types that it is made of.
fn spell(layout: &'static TypeLayout, seen: &mut BTreeSet<String>, text: &mut String) {
    let name = one_line(layout.full_type());
    if !seen.insert(name.clone()) {
        return;
    }
    writeln!(text, "\n{name}: {} bytes, aligned to {}", layout.size(), layout.alignment()).unwrap();
    let fields: Vec<_> = layout.get_fields().into_iter().flat_map(|fields| fields.to_vec()).collect();
    for field in &fields {
        writeln!(text, "     {}: {}", field.name(), one_line(field.full_type())).unwrap();
    }
    fields.into_iter().for_each(|field| spell(field.layout(), seen, text));
}

fn one_line(text: impl ToString) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
