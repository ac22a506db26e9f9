//! A plugin of ABI 1.0 and protocol 1, as their first users might have written one without the SDK.
//!
//! Its binary is committed in `plugin/`, and every later Lineman must load it, describe it and run
//! its checks. `cargo xtask abi-plugin` builds it again; what is committed is never replaced. It
//! spells every number and word of the protocol itself, because they are what is promised.

use std::collections::BTreeMap;
use std::sync::Mutex;

use lineman_abi::{Header, HostV1, PluginRoot, PluginRootRef, RSlice, RStr, RVec, RootResult};
use serde_json::{Value, json};

/// Calls that wait until nobody wants their answer any more.
static WAITING: Mutex<BTreeMap<u64, &'static HostV1>> = Mutex::new(BTreeMap::new());

extern "C" fn describe() -> RVec<u8> {
    let check = |name: &str, title: &str, level: &str| {
        json!({ "id": format!("abi-1-0/{name}"), "title": title, "level": level })
    };
    let text = json!({
        "id": "abi-1-0",
        "version": "1.0.0",
        "title": "ABI 1.0",
        "publisher": "Lineman's tests",
        "protocol": { "min": 1, "max": 1 },
        "operations": ["check", "close"],
        "max_parallel": 4,
        "checks": [
            check("passes", "The settings came over", "config"),
            check("finds", "Findings and secrets come back", "identity"),
            check("waits", "A call can be cancelled", "operation"),
        ],
        "settings": { "type": "object", "properties": { "greeting": { "type": "string" } }, "required": ["greeting"] },
        "secrets": { "type": "object", "properties": { "token": { "type": "string" } }, "required": ["token"] },
    });
    text.to_string().into_bytes().into()
}

extern "C" fn submit(call: u64, op: RStr<'_>, request: RSlice<'_, u8>, host: &'static HostV1) -> u32 {
    let Ok(request) = serde_json::from_slice::<Value>(request.as_slice()) else { return 2 };
    match op.as_str() {
        "close" => end(call, host, &json!({})),
        "check" => match request["check"].as_str() {
            Some("abi-1-0/passes") => passes(call, &request, host),
            Some("abi-1-0/finds") => finds(call, &request, host),
            Some("abi-1-0/waits") => {
                lock().insert(call, host);
            }
            _ => return 2,
        },
        _ => return 1,
    }
    0
}

/// Says back what it was sent, as a fact of the result.
fn passes(call: u64, request: &Value, host: &HostV1) {
    let greeting = &request["integration"]["settings"]["greeting"];
    emit(call, 2, &json!({ "text": "reading the settings" }), host);
    let proved = json!({ "level": "config", "what": greeting, "why": "it is only a greeting" });
    end(call, host, &json!({ "phases": [{ "name": "read", "duration_ms": 1, "ok": true }], "not_proved": [proved] }));
}

/// Obtains a second secret, tells the host of it, and is careless with both.
fn finds(call: u64, request: &Value, host: &HostV1) {
    let token = request["secrets"]["token"].as_str().unwrap_or_default();
    let obtained: String = token.chars().rev().collect();
    let ask = |op: &str, body: Value| (host.host_call)(host.ctx, call, op.into(), body.to_string().as_bytes().into());
    let registered = ask("secret", json!({ "name": "obtained", "value": obtained })).is_ok();
    let logged = ask("log", json!("asked who this is")).is_ok();
    let finding = json!({
        "code": "abi-1-0/expired",
        "cause": "credential.expired",
        "message": "The token has expired.",
        "evidence": [
            { "kind": "log", "source": "abi-1-0", "lines": [token, obtained, format!("{registered} {logged}")] },
            { "kind": "of-its-own", "what": "is kept" },
        ],
        "remedies": [{ "text": "Create a new one." }],
    });
    emit(call, 1, &finding, host);
    end(call, host, &json!({ "expires": [{ "what": "token", "at": "2030-01-01T00:00:00Z" }] }));
}

extern "C" fn cancel(call: u64) {
    if let Some(host) = lock().remove(&call) {
        emit(call, 4, &json!({ "cause": "plugin.timed-out", "message": "nobody waits any more" }), host);
    }
}

extern "C" fn shutdown() {
    lock().clear();
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<u64, &'static HostV1>> {
    WAITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn end(call: u64, host: &HostV1, outcome: &Value) {
    emit(call, 3, outcome, host);
}

fn emit(call: u64, kind: u32, body: &Value, host: &HostV1) {
    (host.emit)(host.ctx, call, kind, body.to_string().as_bytes().into());
}

fn root() -> PluginRootRef {
    PluginRoot { describe, submit, cancel, shutdown }.leak()
}

extern "C" fn constructor() -> RootResult {
    lineman_abi::root(root)
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static HEADER: Header = lineman_abi::header(constructor);
