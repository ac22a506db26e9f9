//! A plugin without the SDK: it speaks the ABI with its own mouth, and what it says is wrong, in
//! the way that its setting `behaviour` asks for. Nothing here is an example to follow.

use std::time::Duration;

use lineman_abi::{Header, HostV1, PluginRoot, PluginRootRef, RSlice, RStr, RVec, RootResult};
use lineman_model::protocol::{event, op, submit};
use serde_json::{Value, json};

/// What the library says of itself follows from the name of its file, which a worker is told by
/// its arguments.
extern "C" fn describe() -> RVec<u8> {
    let library = std::env::args().nth(2).unwrap_or_default();
    let text = if library.ends_with("no-json.so") {
        "{ this is no JSON".to_owned()
    } else {
        let version = if library.ends_with("other-description.so") { "2.0.0" } else { "1.0.0" };
        // Under another name it is another plugin.
        let id = if library.ends_with("raw-too.so") { "raw-too" } else { "raw" };
        let check = json!({ "id": format!("{id}/act"), "title": "It answers", "level": "config" });
        json!({
            "id": id,
            "version": version,
            "title": "Raw",
            "publisher": "Lineman's tests",
            "protocol": { "min": 1, "max": 1 },
            "operations": [op::CHECK, op::CLOSE],
            "checks": [check],
            "settings": { "type": "object", "properties": {
                "behaviour": { "type": "string" },
                "manners": { "type": "string", "deprecated": true, "replaced_by": "behaviour" },
            } },
        })
        .to_string()
    };
    text.into_bytes().into()
}

extern "C" fn submit(call: u64, op: RStr<'_>, request: RSlice<'_, u8>, host: &'static HostV1) -> u32 {
    let say = move |call: u64, kind: u32, body: &[u8]| (host.emit)(host.ctx, call, kind, body.into());
    let done = move || say(call, event::RESULT, b"{}");
    if op.as_str() != op::CHECK {
        done();
        return submit::ACCEPTED;
    }
    let request: Value = serde_json::from_slice(request.as_slice()).unwrap_or_default();
    let behaviour = request["integration"]["settings"]["behaviour"].as_str().unwrap_or_default();
    match behaviour {
        "well" => {
            done();
        }
        "well-in-a-while" => {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                done();
            });
        }
        "garbage" => {
            say(call, event::FINDING, &[0xff, 0xfe, 0x00, b'{']);
        }
        "garbage-result" => {
            say(call, event::RESULT, b"}{");
        }
        "not-a-finding" => {
            say(call, event::FINDING, br#"{"a":1}"#);
        }
        "not-a-result" => {
            say(call, event::RESULT, br#"[1, 2]"#);
        }
        "too-large" => {
            let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(2 << 20));
            say(call, event::PROGRESS, body.as_bytes());
        }
        "result-for-the-wrong-call" => {
            say(call + 1_000_000, event::RESULT, b"{}");
            say(u64::MAX, event::RESULT, b"{}");
        }
        "two-results" => {
            done();
            say(call, event::ERROR, br#"{"cause":"plugin.crashed","message":"a second word"}"#);
        }
        "result-and-then-a-finding" => {
            done();
            let finding = br#"{"code":"raw/late","cause":"credential.invalid","message":"Too late."}"#;
            say(call, event::FINDING, finding);
            say(call, event::FINDING, &[0xff]);
        }
        "no-result" => {}
        "unknown-kinds" => {
            say(call, 77, b"whatever");
            done();
        }
        "error-with-a-cause-of-others" => {
            say(call, event::ERROR, br#"{"cause":"credential.invalid","message":"it is not mine to say"}"#);
        }
        "skip-that-is-not-its-own" => {
            say(call, event::RESULT, br#"{"skip":{"reason":"blocked","why":"because"}}"#);
        }
        "panic-through-the-door" => panic!("this panic leaves the plugin"),
        "hold-the-door" => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        refusal => return refusal.strip_prefix("refuse-").and_then(|code| code.parse().ok()).unwrap_or(submit::BUSY),
    }
    submit::ACCEPTED
}

extern "C" fn cancel(_: u64) {}

extern "C" fn shutdown() {}

fn root() -> PluginRootRef {
    PluginRoot { describe, submit, cancel, shutdown }.leak()
}

extern "C" fn constructor() -> RootResult {
    lineman_abi::root(root)
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static HEADER: Header = lineman_abi::header(constructor);
