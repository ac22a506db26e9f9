//! Programs run with nothing but what they are given, and end with the check.

use std::path::Path;
use std::time::{Duration, Instant};

use lineman_model::Evidence;
use lineman_sdk::prelude::*;
use lineman_sdk::testing::{Harness, Seen};
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct Settings {
    script: String,
    #[serde(default)]
    stdin: String,
}

struct Tools;

impl Provider for Tools {
    type Settings = Settings;
    type Secrets = Nothing;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = ();

    fn about() -> About {
        About::new("tools", "Tools", "1.0.0").program("sh")
    }

    fn checks() -> Vec<Check<Tools>> {
        vec![Check::new("run", Level::Operation, "It runs", run)]
    }
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

async fn run(cx: Cx<Tools>) -> Outcome {
    let Settings { script, stdin } = cx.settings();
    let program = cx.program("sh")?.args(["-c", script]).env("GIVEN", "given").stdin(stdin.as_str());
    let output = program.output().await?;
    let message = format!("{:?} {} {}", output.status, output.stdout.len(), output.stderr.len());
    let finding = cx.finding("ran", Cause::Undetermined, message);
    Err(finding.evidence(Evidence::log("sh", &String::from_utf8_lossy(&output.stdout))).into())
}

fn harness(script: &str, directory: &Path) -> Harness<Tools> {
    Harness::new()
        .settings(json!({ "script": script, "stdin": "from stdin" }))
        .program("sh", "/bin/sh")
        .directory(directory)
}

fn lines(seen: &Seen) -> Vec<&str> {
    match seen.findings[0].evidence.as_slice() {
        [Evidence::Log { lines, .. }] => lines.iter().map(String::as_str).collect(),
        other => panic!("{other:?}"),
    }
}

fn is_alive(pid: &str) -> bool {
    // A zombie has ended; whoever adopted it has yet to notice.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn it_sees_what_it_is_given_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let seen =
        harness("pwd -P; cat; echo; echo $GIVEN; echo home=$HOME cargo=$CARGO", directory.path()).check("run").await;
    let here = directory.path().canonicalize().unwrap().display().to_string();
    assert_eq!(lines(&seen), [here.as_str(), "from stdin", "given", "home= cargo="]);
    assert_eq!(
        seen.outcome.phases.iter().map(|phase| (phase.name.as_str(), phase.ok)).collect::<Vec<_>>(),
        [("sh", true)]
    );
}

#[tokio::test]
async fn what_it_writes_is_capped() {
    let directory = tempfile::tempdir().unwrap();
    let script = "head -c 6000000 /dev/zero | tr '\\0' x; head -c 5000000 /dev/zero | tr '\\0' '\\n' >&2; exit 3";
    let harness = harness(&format!("PATH=/usr/bin:/bin; {script}"), directory.path());
    let seen = harness.check("run").await;
    assert_eq!(seen.findings[0].message, format!("Some(3) {} {}", 4 << 20, 4 << 20));
    assert!(format!("{seen:?}").len() < 8 << 10);
}

#[tokio::test]
async fn it_ends_with_the_check_and_so_does_what_it_started() {
    let directory = tempfile::tempdir().unwrap();
    // It goes on for ever: the deadline ends it, and names it.
    let script = "echo $$ > parent; /bin/sleep 1000 & echo $! > child; wait";
    let seen = harness(script, directory.path()).deadline(Duration::from_millis(500)).check("run").await;
    assert_eq!((seen.status, seen.code()), (Status::Unknown, Some("tools/timed-out")), "{seen:?}");
    assert!(seen.findings[0].message.ends_with("waiting for sh."), "{seen:?}");
    // It ends, and leaves a process behind that holds its outputs open.
    let script = "/bin/sleep 1000 & echo $! > left; echo done";
    let seen = harness(script, directory.path()).check("run").await;
    assert_eq!(lines(&seen), ["done"]);
    for name in ["parent", "child", "left"] {
        let pid = std::fs::read_to_string(directory.path().join(name)).unwrap();
        // The signal is sent; the process may need a moment to be gone.
        let started = Instant::now();
        while is_alive(&pid) && started.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        assert!(!is_alive(&pid), "{name} {pid}");
    }
}

#[tokio::test]
async fn one_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let check = async |harness: Harness<Tools>, code: &str| {
        let seen = harness.check("run").await;
        assert_eq!(
            (seen.status, seen.cause(), seen.code()),
            (Status::Unknown, Some(&Cause::HostToolMissing), Some(code))
        );
    };
    check(harness("", directory.path()).program("sh", "/nowhere/sh"), "tools/tool-unusable").await;
    check(Harness::new().settings(json!({ "script": "" })), "tools/tool-missing").await;
}
