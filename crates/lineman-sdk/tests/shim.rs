//! The four functions that a host calls, called by hand: whatever becomes of a call, it is
//! answered exactly once, and nothing comes after.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use lineman_model::protocol::{event, submit};
use lineman_sdk::abi::{HostV1, ROk, RResult, RSlice, RStr, RVec};
use lineman_sdk::prelude::*;
use lineman_sdk::shim::Shim;
use serde_json::{Value, json};

/// No test waits that long unless it has failed.
const NEVER: Duration = Duration::from_secs(30);

/// Names that were said, for tests and checks to wait for.
#[derive(Default)]
struct Said {
    names: Mutex<HashSet<String>>,
    changed: Condvar,
}

static SAID: LazyLock<Said> = LazyLock::new(Said::default);

fn say(name: &str) {
    SAID.names.lock().unwrap().insert(name.to_owned());
    SAID.changed.notify_all();
}

fn wait_for(name: &str) {
    let names = SAID.names.lock().unwrap();
    let (_names, late) = SAID.changed.wait_timeout_while(names, NEVER, |names| !names.contains(name)).unwrap();
    assert!(!late.timed_out(), "nobody said {name}");
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Distinguishes the gates of one test from those of another.
    #[serde(default)]
    gate: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    token: Option<Secret>,
}

#[derive(Default)]
struct Session {
    uses: AtomicU32,
}

struct Probe;

impl Provider for Probe {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = Session;

    fn about() -> About {
        About::new("probe", "Probe", "1.0.0")
    }

    fn checks() -> Vec<Check<Probe>> {
        vec![
            Check::new("well", Level::Config, "It passes", async |_: Cx<Probe>| Ok(())),
            Check::new("skips", Level::Config, "It skips", async |_: Cx<Probe>| Err(Stop::not_applicable("no need"))),
            Check::new("counts", Level::Config, "It counts", counts),
            Check::new("panics", Level::Config, "It panics", panics),
            Check::new("panics-late", Level::Config, "It panics when it is dropped", panics_late),
            Check::new("waits", Level::Config, "It waits", waits),
            Check::new("holds", Level::Config, "It holds its thread", holds),
            Check::new("blocks", Level::Config, "It blocks, and says so", holds).blocking(),
            Check::new("obtains", Level::Config, "It obtains a secret", obtains),
        ]
    }
}

async fn counts(cx: Cx<Probe>) -> Outcome {
    let uses = cx.session().uses.fetch_add(1, Ordering::Relaxed);
    Err(cx.finding("count", Cause::Undetermined, format!("{uses}")).into())
}

async fn panics(cx: Cx<Probe>) -> Outcome {
    panic!("the token is {}", cx.secrets().token.as_ref().map_or("", Secret::expose))
}

async fn panics_late(_: Cx<Probe>) -> Outcome {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let _bomb = Bomb;
    std::future::pending().await
}

async fn waits(cx: Cx<Probe>) -> Outcome {
    say(&format!("{} waits", cx.settings().gate));
    std::future::pending().await
}

async fn holds(cx: Cx<Probe>) -> Outcome {
    let gate = &cx.settings().gate;
    say(&format!("{gate} holds"));
    wait_for(&format!("{gate} open"));
    cx.report(cx.finding("late", Cause::Undetermined, "It was held."));
    say(&format!("{gate} reported, cancelled: {}", cx.is_cancelled()));
    Ok(())
}

async fn obtains(cx: Cx<Probe>) -> Outcome {
    cx.conceal("obtained", &Secret::new("obtained-value"));
    cx.progress("using obtained-value");
    cx.not_proved("obtained-value", "obtained-value", Some("obtained-value"));
    cx.phase("call with obtained-value", async { Ok::<_, Stop>(()) }).await?;
    Err(Stop::missing_input("obtained-value is not enough"))
}

/// A host that writes down what it is told.
struct Host {
    table: &'static HostV1,
    told: &'static Told,
}

#[derive(Default)]
struct Told {
    events: Mutex<Vec<(u64, u32, Value)>>,
    calls: Mutex<Vec<(String, String)>>,
    changed: Condvar,
}

static HOSTS: Mutex<Vec<&'static Told>> = Mutex::new(Vec::new());

extern "C" fn emit(ctx: usize, call: u64, kind: u32, body: RSlice<'_, u8>) -> u32 {
    let told = HOSTS.lock().unwrap()[ctx];
    told.events.lock().unwrap().push((call, kind, serde_json::from_slice(body.as_slice()).unwrap()));
    told.changed.notify_all();
    0
}

extern "C" fn host_call(ctx: usize, _: u64, op: RStr<'_>, body: RSlice<'_, u8>) -> RResult<RVec<u8>, RVec<u8>> {
    let told = HOSTS.lock().unwrap()[ctx];
    told.calls.lock().unwrap().push((op.to_string(), String::from_utf8_lossy(body.as_slice()).into_owned()));
    told.changed.notify_all();
    ROk(RVec::new())
}

impl Host {
    fn new() -> Host {
        let told: &'static Told = Box::leak(Box::default());
        let mut hosts = HOSTS.lock().unwrap();
        hosts.push(told);
        let table = Box::leak(Box::new(HostV1 { ctx: hosts.len() - 1, emit, host_call }));
        Host { table, told }
    }

    fn submit(&self, shim: &Shim<Probe>, call: u64, op: &str, request: &Value) -> u32 {
        shim.submit(call, RStr::from_str(op), RSlice::from_slice(request.to_string().as_bytes()), self.table)
    }

    fn check(&self, shim: &Shim<Probe>, call: u64, name: &str, gate: &str) -> u32 {
        self.submit(shim, call, "check", &request(name, gate))
    }

    /// Kinds and bodies of a call's events, once the terminal one is there.
    fn events(&self, call: u64) -> Vec<(u32, Value)> {
        let of_call = |events: &MutexGuard<'_, Vec<(u64, u32, Value)>>| -> Vec<(u32, Value)> {
            events.iter().filter(|event| event.0 == call).map(|event| (event.1, event.2.clone())).collect()
        };
        let mut events = self.told.events.lock().unwrap();
        loop {
            let seen = of_call(&events);
            if seen.iter().any(|(kind, _)| is_terminal(*kind)) {
                return seen;
            }
            let (back, late) = self.told.changed.wait_timeout(events, NEVER).unwrap();
            assert!(!late.timed_out(), "call {call} has no terminal event: {seen:?}");
            events = back;
        }
    }

    /// The one terminal event of a call and how many others came before it.
    fn ended(&self, call: u64) -> (usize, u32, Value) {
        let mut events = self.events(call);
        let (kind, body) = events.pop().unwrap();
        assert!(is_terminal(kind) && !events.iter().any(|(kind, _)| is_terminal(*kind)), "{call}: {events:?}");
        (events.len(), kind, body)
    }
}

fn is_terminal(kind: u32) -> bool {
    kind == event::RESULT || kind == event::ERROR
}

fn request(name: &str, gate: &str) -> Value {
    json!({
        "check": format!("probe/{name}"),
        "session": gate.bytes().map(u64::from).sum::<u64>(),
        "deadline_ms": 60_000,
        "integration": { "name": "x", "provider": "probe", "settings": { "gate": gate } },
        "secrets": { "token": "t0k3n-value" },
        "unknown": "ignored",
    })
}

#[test]
fn each_end_is_one_event() {
    let (host, shim) = (Host::new(), Shim::<Probe>::new());
    let check = |call: u64, name: &str, kind: u32, part: &str| {
        assert_eq!(host.check(&shim, call, name, "ends"), submit::ACCEPTED);
        let (_, ended, body) = host.ended(call);
        assert!(ended == kind && body.to_string().contains(part), "{name}: {ended} {body}");
    };
    check(1, "well", event::RESULT, r#""skip":null"#);
    check(2, "skips", event::RESULT, r#""reason":"not-applicable","why":"no need""#);
    check(3, "counts", event::RESULT, "{");
    check(
        4,
        "panics",
        event::ERROR,
        r#"{"cause":"plugin.crashed","message":"the check panicked: the token is [redacted:token]"}"#,
    );

    let mut wrong = request("well", "ends");
    wrong["integration"]["settings"]["gate"] = json!(7);
    wrong["deadline_ms"] = json!(u64::MAX);
    assert_eq!(host.submit(&shim, 5, "check", &wrong), submit::ACCEPTED);
    assert_eq!(host.ended(5).0, 0, "an open session is not read again");
    wrong["session"] = json!(1);
    assert_eq!(host.submit(&shim, 6, "check", &wrong), submit::ACCEPTED);
    let events = host.events(6);
    assert_eq!(events[0].1["cause"], "config.invalid", "{events:?}");
    assert_eq!(host.ended(6).1, event::RESULT);

    let mut hurried = request("panics-late", "");
    hurried["deadline_ms"] = json!(60);
    assert_eq!(host.submit(&shim, 7, "check", &hurried), submit::ACCEPTED);
    let (_, kind, body) = host.ended(7);
    assert_eq!((kind, &body["cause"]), (event::ERROR, &json!("plugin.crashed")));
    shim.shutdown();
}

#[test]
fn what_is_no_call_is_refused_by_code() {
    let (host, shim) = (Host::new(), Shim::<Probe>::new());
    assert_eq!(host.submit(&shim, 1, "dance", &json!({})), submit::UNKNOWN_OPERATION);
    assert_eq!(host.submit(&shim, 2, "", &json!({})), submit::UNKNOWN_OPERATION);
    for malformed in [json!(null), json!([]), json!({}), json!({ "check": "probe/well", "session": -1 })] {
        assert_eq!(host.submit(&shim, 3, "check", &malformed), submit::BAD_REQUEST);
        assert_eq!(host.submit(&shim, 3, "close", &malformed), submit::BAD_REQUEST);
    }
    for bytes in [&b""[..], b"\xff\xfe", &[b'['; 100_000]] {
        assert_eq!(shim.submit(4, RStr::from_str("check"), bytes.into(), host.table), submit::BAD_REQUEST);
    }
    assert_eq!(host.check(&shim, 5, "no-such-check", ""), submit::BAD_REQUEST);
    assert_eq!(host.check(&shim, 6, "waits", "refused"), submit::ACCEPTED);
    assert_eq!(host.check(&shim, 6, "well", ""), submit::BAD_REQUEST, "the number is taken");
    shim.shutdown();
    assert_eq!(host.check(&shim, 7, "well", ""), submit::SHUTTING_DOWN);
    let events = host.told.events.lock().unwrap();
    assert!(events.iter().all(|event| event.0 == 6), "refused calls have no events: {events:?}");
}

#[test]
fn a_cancelled_call_is_answered_at_once_and_says_nothing_more() {
    for (name, gate, said) in [("waits", "c1", "c1 waits"), ("blocks", "c2", "c2 holds")] {
        let (host, shim) = (Host::new(), Shim::<Probe>::new());
        assert_eq!(host.check(&shim, 1, name, gate), submit::ACCEPTED);
        wait_for(said);
        shim.cancel(1);
        shim.cancel(1);
        shim.cancel(99);
        let (before, kind, body) = host.ended(1);
        assert_eq!((before, kind, &body["cause"]), (0, event::ERROR, &json!("plugin.timed-out")), "{name}");
        say(&format!("{gate} open"));
        if name == "blocks" {
            wait_for("c2 reported, cancelled: true");
        }
        assert_eq!(host.events(1).len(), 1, "{name}");
        shim.shutdown();
    }
}

#[test]
fn a_call_that_holds_its_thread_is_answered_when_it_gives_it_back() {
    let (host, shim) = (Host::new(), Shim::<Probe>::new());
    assert_eq!(host.check(&shim, 1, "holds", "held"), submit::ACCEPTED);
    wait_for("held holds");
    shim.cancel(1);
    assert_eq!(host.told.events.lock().unwrap().len(), 0, "the host must see that it is stuck");
    say("held open");
    wait_for("held reported, cancelled: true");
    host.ended(1);
    shim.shutdown();
    assert_eq!(host.events(1).len(), 2);
}

#[test]
fn shutting_down_answers_for_every_call_even_held_ones() {
    let (host, shim) = (Host::new(), Shim::<Probe>::new());
    let calls = [("waits", "s1", "s1 waits"), ("holds", "s2", "s2 holds"), ("blocks", "s3", "s3 holds")];
    for (call, (name, gate, said)) in (1..).zip(calls) {
        assert_eq!(host.check(&shim, call, name, gate), submit::ACCEPTED);
        wait_for(said);
    }
    shim.shutdown();
    for call in 1..=3 {
        assert_eq!(host.ended(call).1, event::ERROR);
    }
    shim.shutdown();
    say("s2 open");
    say("s3 open");
    wait_for("s2 reported, cancelled: true");
    wait_for("s3 reported, cancelled: true");
    assert_eq!(host.told.events.lock().unwrap().len(), 3, "nothing comes after");
}

#[test]
fn a_check_that_blocks_stalls_no_other_and_keeps_its_deadline() {
    let (host, shim) = (Host::new(), Shim::<Probe>::new());
    for call in 1..=8 {
        assert_eq!(host.check(&shim, call, "blocks", "b"), submit::ACCEPTED);
    }
    let mut hurried = request("blocks", "b");
    hurried["deadline_ms"] = json!(60);
    assert_eq!(host.submit(&shim, 9, "check", &hurried), submit::ACCEPTED);
    assert_eq!(host.check(&shim, 10, "well", "b"), submit::ACCEPTED);
    assert_eq!(host.ended(10).1, event::RESULT);
    let events = host.events(9);
    assert_eq!(events[0].1["code"], "probe/timed-out", "{events:?}");
    say("b open");
    for call in 1..=8 {
        let (findings, kind, _) = host.ended(call);
        assert_eq!((findings, kind), (1, event::RESULT));
    }
    shim.shutdown();
}

#[test]
fn the_author_hears_of_a_runtime_that_is_held() {
    let (host, shim) = (Host::new(), Arc::new(Shim::<Probe>::new()));
    for call in 1..=2 {
        assert_eq!(host.check(&shim, call, "holds", "w"), submit::ACCEPTED);
    }
    let calls = host.told.calls.lock().unwrap();
    let (calls, late) = host.told.changed.wait_timeout_while(calls, NEVER, |calls| calls.is_empty()).unwrap();
    assert!(!late.timed_out() && calls[0].0 == "log" && calls[0].1.contains(".blocking()"), "{calls:?}");
    drop(calls);
    // The threads are still held; the watchdog ends all the same.
    shim.shutdown();
    say("w open");
}

#[test]
fn what_a_check_obtained_is_told_to_the_host_and_nobody_else() {
    let (host, shim) = (Host::new(), Shim::<Probe>::new());
    assert_eq!(host.check(&shim, 1, "obtains", ""), submit::ACCEPTED);
    let events = host.events(1);
    let text = format!("{events:?}");
    assert!(!text.contains("obtained-value"), "{text}");
    assert_eq!(text.matches("[redacted:obtained]").count(), 6, "{text}");
    let calls = host.told.calls.lock().unwrap();
    assert_eq!(*calls, [("secret".to_owned(), r#"{"name":"obtained","value":"obtained-value"}"#.to_owned())]);
    shim.shutdown();
}

#[test]
fn a_session_lasts_until_it_is_closed() {
    let (host, shim) = (Host::new(), Shim::<Probe>::new());
    let count = |call: u64| {
        assert_eq!(host.check(&shim, call, "counts", ""), submit::ACCEPTED);
        host.events(call)[0].1["message"].clone()
    };
    assert_eq!([count(1), count(2)], ["0", "1"]);
    assert_eq!(host.submit(&shim, 3, "close", &json!({ "session": 0 })), submit::ACCEPTED);
    assert_eq!(host.ended(3).1, event::RESULT);
    assert_eq!(count(4), "0");
    shim.shutdown();
}

#[test]
fn the_description_is_the_same_every_time() {
    let described = |shim: &Shim<Probe>| shim.describe().to_vec();
    let shim = Shim::<Probe>::new();
    let first = described(&shim);
    assert_eq!((described(&shim), described(&Shim::new())), (first.clone(), first.clone()));
    let description: lineman_model::Description = serde_json::from_slice(&first).unwrap();
    assert_eq!(description.id, "probe");
    assert!(description.check("probe/well").is_some() && description.secrets["properties"]["token"].is_object());
    // Nobody has submitted anything: there is nothing to end.
    shim.cancel(1);
    shim.shutdown();
}
