//! A plugin that breaks one promise at a time. Which one follows from the name of its file, which
//! a worker is told by its arguments; under a name that is none of these it keeps them all.
//!
//! Below is a healthy plugin of the SDK ([`healthy`]). What goes wrong goes wrong between it and
//! the host: in the four functions of the ABI, and in the events that pass through [`emit`].
//! Nothing here is an example to follow.

pub mod healthy;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use healthy::Nonconforming;
use lineman_abi::{Header, HostV1, PluginRoot, PluginRootRef, RResult, RSlice, RStr, RVec, RootResult};
use lineman_model::protocol::{CheckRequest, event, op, submit as answer};
use lineman_sdk::shim::Shim;
use serde_json::{Value, json};

/// What goes wrong.
pub fn mode() -> &'static str {
    static MODE: LazyLock<String> = LazyLock::new(|| {
        let library = std::env::args().nth(2).unwrap_or_default();
        std::path::Path::new(&library).file_stem().unwrap_or_default().to_string_lossy().into_owned()
    });
    &MODE
}

static SHIM: Shim<Nonconforming> = Shim::new();
static REAL: OnceLock<&'static HostV1> = OnceLock::new();
/// Stands between the plugin and the host.
static HOST: HostV1 = HostV1 { ctx: 0, emit, host_call };
/// Calls in flight: the check and the session of each, and the token that it was given.
static CALLS: Mutex<BTreeMap<u64, Call>> = Mutex::new(BTreeMap::new());
static SESSIONS: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
static SHUTDOWNS: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Default)]
struct Call {
    check: String,
    session: u64,
    token: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn say(call: u64, kind: u32, body: &[u8]) -> u32 {
    REAL.get().map_or(0, |host| (host.emit)(host.ctx, call, kind, body.into()))
}

extern "C" fn describe() -> RVec<u8> {
    let mut it: Value = serde_json::from_slice(&SHIM.describe()).unwrap_or_default();
    let check = |id: &str| json!({ "id": id, "title": "", "level": "access", "writes": true });
    match mode() {
        "describes-no-json" => return b"{ this is no JSON".to_vec().into(),
        "describes-half" => drop(it.as_object_mut().and_then(|it| it.remove("protocol"))),
        "nameless-version" => it["version"] = json!("newest"),
        "speaks-of-the-future" => it["protocol"] = json!({ "min": 7, "max": 9 }),
        "names-checks-badly" => {
            let more = [check("nonconforming/Not_Kebab"), check("other/one"), check("nonconforming/reach")];
            it["checks"].as_array_mut().into_iter().for_each(|checks| checks.extend(more.clone()));
        }
        "needs-in-a-circle" => it["checks"][1]["needs"] = json!(["nonconforming/config", "nonconforming/identity"]),
        "schema-elsewhere" => {
            it["settings"]["properties"]["theme"] =
                json!({ "description": "Of old.", "$ref": "https://lineman.example/s" });
        }
        "undocumented" => {
            it["secrets"]["properties"]["token"].as_object_mut().and_then(|it| it.remove("description"));
        }
        "links-in-clear" => it["docs_url"] = json!("http://lineman.example/nonconforming"),
        "catalog-that-lies" => it["catalog"]["rule"][0]["near_miss"] = it["catalog"]["rule"][0]["example"].clone(),
        "describes-by-chance" => it["title"] = json!(format!("Nonconforming {}", std::process::id())),
        "slow-to-describe" => std::thread::sleep(Duration::from_secs(4)),
        "asks-to-describe" => {
            if let Ok(socket) = std::net::UdpSocket::bind("0.0.0.0:0") {
                // The port of nobody, on this machine.
                let _ = socket.send_to(b"what am I?", "127.0.0.1:9");
            }
        }
        _ => {}
    }
    it.to_string().into_bytes().into()
}

extern "C" fn submit(call: u64, op: RStr<'_>, request: RSlice<'_, u8>, host: &'static HostV1) -> u32 {
    REAL.get_or_init(|| host);
    let done = || {
        say(call, event::RESULT, b"{}");
        answer::ACCEPTED
    };
    let bytes = request.as_slice();
    let value: Option<Value> = serde_json::from_slice(bytes).ok();
    let parsed: Option<CheckRequest> = serde_json::from_slice(bytes).ok().filter(|_| op.as_str() == op::CHECK);
    let is_check = parsed.is_some();
    match mode() {
        "takes-any-operation" if op.as_str() != op::CHECK && op.as_str() != op::CLOSE => return done(),
        "takes-anything" if op.as_str() == op::CHECK && !is_check => return done(),
        "aborts-on-garbage" if op.as_str() == op::CHECK && value.is_none() => std::process::abort(),
        "aborts-when-deep" if bytes.windows(1000).any(|part| part.iter().all(|byte| *byte == b'[')) => {
            std::process::abort()
        }
        "knows-every-field" if bytes.windows(15).any(|part| part == b"from_the_future") => return answer::BAD_REQUEST,
        "knows-every-check" if is_check && !known(&parsed) => return done(),
        "settings-of-any-type" if parsed.as_ref().is_some_and(|it| !it.integration.settings["project"].is_string()) => {
            return done();
        }
        "busy-early" if is_check && lock(&CALLS).len() >= 20 => return answer::BUSY,
        "works-after-shutdown" if is_check && SHUTDOWNS.load(Ordering::Relaxed) > 0 => return done(),
        "closes-once" if op.as_str() == op::CLOSE => {
            let session = value.as_ref().and_then(|it| it["session"].as_u64()).unwrap_or_default();
            if !lock(&SESSIONS).remove(&session) {
                return answer::BAD_REQUEST;
            }
        }
        "fights-over-sessions" => {
            let taken = |request: &CheckRequest| lock(&CALLS).values().any(|call| call.session == request.session);
            if parsed.as_ref().is_some_and(taken) {
                say(call, event::ERROR, br#"{"cause":"plugin.crashed","message":"the session is taken"}"#);
                return answer::ACCEPTED;
            }
        }
        _ => {}
    }
    let mut bytes = bytes.to_vec();
    if let Some(mut request) = parsed {
        let token = request.secrets.0.get("token").map(|token| token.expose().to_owned()).unwrap_or_default();
        lock(&SESSIONS).insert(request.session);
        lock(&CALLS).insert(call, Call { check: request.check.clone(), session: request.session, token });
        if mode() == "ignores-deadlines" && request.check == IDENTITY {
            request.deadline_ms = 30_000;
            bytes = serde_json::to_vec(&request).unwrap_or_default();
        }
    }
    let code = SHIM.submit(call, op, bytes[..].into(), &HOST);
    if code != answer::ACCEPTED {
        lock(&CALLS).remove(&call);
    }
    code
}

const IDENTITY: &str = "nonconforming/identity";

fn known(request: &Option<CheckRequest>) -> bool {
    let checks = ["nonconforming/config", "nonconforming/reach", IDENTITY];
    request.as_ref().is_some_and(|request| checks.contains(&request.check.as_str()))
}

/// What the plugin says, on its way to the host.
extern "C" fn emit(_: usize, call: u64, kind: u32, body: RSlice<'_, u8>) -> u32 {
    let known = lock(&CALLS).get(&call).cloned().unwrap_or_default();
    let mut body = body.as_slice().to_vec();
    if kind == event::RESULT || kind == event::ERROR {
        if mode() == "never-ends" && known.check == IDENTITY {
            return 0;
        }
        lock(&CALLS).remove(&call);
        let late = br#"{"code":"nonconforming/late","cause":"undetermined","message":"Too late."}"#;
        let told = say(call, kind, &body);
        match mode() {
            "ends-twice" => drop(say(call, event::RESULT, b"{}")),
            "talks-after-the-end" => drop(say(call, event::FINDING, late)),
            "answers-for-others" => drop(say(call + 1_000_000, event::RESULT, b"{}")),
            _ => {}
        }
        return told;
    }
    if kind == event::FINDING {
        let mut finding: Value = serde_json::from_slice(&body).unwrap_or_default();
        match mode() {
            "finds-nonsense" => finding = json!({ "a": 1 }),
            "names-findings-badly" => finding["code"] = json!("Network refused"),
            "gives-no-remedy" => finding["remedies"] = json!([]),
            "tells-secrets" => finding["detail"] = json!(known.token.get(..20)),
            "tells-its-environment" => finding["detail"] = json!(format!("{:?}", std::env::vars().collect::<Vec<_>>())),
            "passes-in-the-dark" if known.check == IDENTITY => return 0,
            "blames-the-credential" => finding["cause"] = json!("credential.invalid"),
            _ => {}
        }
        body = finding.to_string().into_bytes();
    }
    say(call, kind, &body)
}

extern "C" fn host_call(_: usize, call: u64, op: RStr<'_>, body: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>> {
    match REAL.get() {
        Some(host) => (host.host_call)(host.ctx, call, op, body),
        None => RResult::RErr(RVec::new()),
    }
}

extern "C" fn cancel(call: u64) {
    if mode() != "ignores-cancellation" {
        SHIM.cancel(call);
    }
}

extern "C" fn shutdown() {
    SHUTDOWNS.fetch_add(1, Ordering::Relaxed);
    if mode() == "hangs-on-shutdown" {
        std::thread::sleep(Duration::from_secs(3600));
    }
    SHIM.shutdown();
}

fn root() -> PluginRootRef {
    lineman_sdk::shim::quiet_panics();
    PluginRoot { describe, submit, cancel, shutdown }.leak()
}

extern "C" fn constructor() -> RootResult {
    lineman_abi::root(root)
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static HEADER: Header = lineman_abi::header(constructor);
