//! The checks on programs of the shell that say what monitoring plugins say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use lineman_sdk::testing::{Harness, Seen};
use serde_json::{Value, json};

use super::*;

const PASSWORD: &str = "pa55/w+rd=\u{e9}9Qw8";

/// A directory with programs in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, mode: u32, content: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    }

    fn harness(&self, settings: Value) -> Harness<Exec> {
        Harness::new().settings(settings).directory(self.0.path())
    }

    /// A program that a script of the shell is, and what its check comes to.
    async fn run(&self, script: &str, more: Value) -> Seen {
        let path = self.file("check_it", 0o755, &format!("#!/bin/sh\n{script}\n"));
        let mut settings = json!({ "program": path });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let harness = self.harness(settings).secret("password", PASSWORD);
        let level = more.get("level").and_then(Value::as_str).unwrap_or("reach").to_owned();
        let seen = harness.check(&level).await;
        assert!(!harness.leaks(&format!("{seen:?}")), "{script} shows a secret: {seen:?}");
        seen
    }
}

fn sources(seen: &Seen) -> Vec<(&str, Vec<&str>)> {
    let logs = seen.findings.iter().flat_map(|finding| &finding.evidence).filter_map(|evidence| match evidence {
        Evidence::Log { source, lines } => Some((source.as_str(), lines.iter().map(String::as_str).collect())),
        _ => None,
    });
    logs.collect()
}

#[test]
fn the_catalog_holds_to_its_examples() {
    assert_eq!(Harness::<Exec>::new().catalog_problems(), [""; 0]);
}

#[tokio::test]
async fn how_it_ends_says_how_bad_it_is() {
    let place = Place::new();
    let check = async |script: &str, status: Status, code: Option<&str>, cause: Option<Cause>| {
        let seen = place.run(script, json!({})).await;
        assert_eq!((seen.status, seen.code(), seen.cause()), (status, code, cause.as_ref()), "{script}: {seen:?}");
    };
    let undetermined = || Some(Cause::Undetermined);
    check("echo OK; exit 0", Status::Pass, None, None).await;
    check("exit 0", Status::Pass, None, None).await;
    check("echo so so; exit 1", Status::Warn, Some("exec/warning"), undetermined()).await;
    check("echo bad; exit 2", Status::Fail, Some("exec/critical"), undetermined()).await;
    check("exit 2", Status::Fail, Some("exec/critical"), undetermined()).await;
    check("echo what; exit 3", Status::Unknown, Some("exec/unknown"), undetermined()).await;
    check("exit 4", Status::Unknown, Some("exec/exit-status"), undetermined()).await;
    check("exit 255", Status::Unknown, Some("exec/exit-status"), undetermined()).await;
    check("exit 126", Status::Unknown, Some("exec/exit-126"), Some(Cause::ConfigInvalid)).await;
    check("exit 127", Status::Unknown, Some("exec/exit-127"), Some(Cause::HostToolMissing)).await;
    check("nobody-knows-this", Status::Unknown, Some("exec/command-missing"), Some(Cause::HostToolMissing)).await;
    check("kill -9 $$", Status::Unknown, Some("exec/killed"), undetermined()).await;
    // Words tell the cause; how bad it is stays what the program says.
    let refused = "echo 'connect to address 192.0.2.1 and port 80: Connection refused'; exit";
    for (exit, status) in [(1, Status::Warn), (2, Status::Fail), (3, Status::Unknown), (7, Status::Unknown)] {
        let cause = Some(Cause::NetworkRefused);
        check(&format!("{refused} {exit}"), status, Some("exec/connection-refused"), cause).await;
    }
    // Words on standard error count, and those that every program uses.
    let down = "echo 'HTTP CRITICAL: HTTP/1.1 503 Down' >&2; exit 2";
    check(down, Status::Fail, Some("exec/http-server-error"), Some(Cause::ProviderOutage)).await;
    let curl = "echo 'curl: (6) Could not resolve host: x.example.com'; exit 2";
    check(curl, Status::Fail, Some("network/dns"), Some(Cause::NetworkDns)).await;
}

#[tokio::test]
async fn what_it_said_is_shown() {
    let place = Place::new();
    let script =
        "printf 'LOAD CRITICAL - 5.2|load1=5.2;1;4 u=U\\nmore \\033[31mred\\n|t=3s;@1:5\\n'; echo hm >&2; exit 2";
    let seen = place.run(script, json!({})).await;
    let expect = [
        ("check_it (exit status 2)", vec!["LOAD CRITICAL - 5.2", "more red"]),
        ("check_it, standard error", vec!["hm"]),
        (
            "performance data",
            vec![
                "load1 = 5.2, a warning above 1, critical above 4",
                "u could not be measured",
                "t = 3s, a warning from 1 to 5",
            ],
        ),
    ];
    assert_eq!(sources(&seen), expect);
    assert_eq!(seen.findings[0].message, "`check_it` says: LOAD CRITICAL - 5.2");
    let detail = "load1 is 5.2, critical above 4; t is 3s, a warning from 1 to 5.";
    assert_eq!(seen.findings[0].detail.as_deref(), Some(detail));
    // However much it is.
    let seen = place.run("yes 'x | a=1' | head -c 9000000; exit 2", json!({})).await;
    assert!(format!("{seen:?}").len() < 8 << 10, "{}", format!("{seen:?}").len());
}

#[tokio::test]
async fn it_gets_what_the_settings_say_and_secrets_in_private() {
    let place = Place::new();
    let script = r#"
        test "$#" = 3 && test "$2" = '*; $HOME' || { echo "arguments: $*"; exit 2; }
        test "$(cat "$1")" = "password=$WORD" && { echo "the environment holds it"; exit 2; }
        test "$(stat -c %a "$1")" = 600 || { echo mode; exit 2; }
        test "$1" = "$HOME/.my.cnf" || { echo home; exit 2; }
        read -r line && test "password=$line" = "$(cat "$3")" || { echo "differs"; exit 2; }
        tr '\0' ' ' < /proc/$$/environ | grep -q "$line" && { echo "environment"; exit 2; }
        test "$GIVEN" = "at $1" && test "$LC_ALL" = C || { echo "env"; exit 2; }
        cat "$1"; exit 3"#;
    let more = json!({
        "args": ["{file:.my.cnf}", "*; $HOME", "{file:.my.cnf}"],
        "env": { "GIVEN": "at {file:.my.cnf}" },
        "files": { ".my.cnf": "password={secret:password}" },
        "stdin": "{secret:password}\n",
        "level": "identity",
    });
    let seen = place.run(script, more).await;
    assert_eq!((seen.status, sources(&seen)[0].1[0]), (Status::Unknown, "password=[redacted:password]"), "{seen:?}");
    // Nothing of it stays.
    let left: Vec<_> = fs::read_dir(place.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["check_it"]);
}

#[tokio::test]
async fn it_ends_in_time_with_all_that_it_started() {
    let place = Place::new();
    let path = place.file("check_it", 0o755, "#!/bin/sh\necho $$ > pid\n/bin/sleep 1000 & wait\n");
    let harness = place.harness(json!({ "program": path })).with(|one| one.connection.timeout_ms = Some(300));
    let check = async |harness: Harness<Exec>| {
        let seen = harness.check("reach").await;
        assert_eq!((seen.status, seen.code()), (Status::Unknown, Some("exec/timed-out")), "{seen:?}");
        assert_eq!(seen.cause(), Some(&Cause::NetworkTimeout));
    };
    check(harness).await;
    // The check's own deadline comes first.
    check(place.harness(json!({ "program": path })).deadline(Duration::from_millis(300))).await;
}

#[tokio::test]
async fn only_the_level_that_it_proves_runs_it() {
    let place = Place::new();
    let harness = place.harness(json!({ "program": "/bin/true", "level": "access" }));
    let check = async |check: &str, expect: Status| assert_eq!(harness.check(check).await.status, expect, "{check}");
    check("config", Status::Pass).await;
    check("access", Status::Pass).await;
    for other in ["reach", "identity", "dependency", "operation"] {
        check(other, Status::Skip).await;
    }
}

#[tokio::test]
async fn a_site_names_the_causes_of_its_own_checks() {
    let place = Place::new();
    let causes = json!({ "causes": { "critical": "credential.expired" } });
    let check = async |script: &str, expect: Cause| {
        assert_eq!(place.run(script, causes.clone()).await.cause(), Some(&expect), "{script}");
    };
    check("echo the token is over; exit 2", Cause::CredentialExpired).await;
    check("echo the token is nearly over; exit 1", Cause::Undetermined).await;
    check("echo CRITICAL - Socket timeout after 10 seconds; exit 2", Cause::NetworkTimeout).await;
}

#[tokio::test]
async fn settings_that_do_not_fit_are_named() {
    let place = Place::new();
    let plain = place.file("plain", 0o644, "");
    let check = async |settings: Value, expect: &[&str]| {
        let harness = place.harness(settings.clone()).secret("password", PASSWORD);
        let seen = harness.check("config").await;
        let codes: Vec<&str> = seen.findings.iter().map(|finding| finding.code.trim_start_matches("exec/")).collect();
        assert_eq!(codes, expect, "{settings}: {seen:?}");
    };
    let with = |key: &str, value: Value| {
        let mut settings = json!({ "program": "/bin/true", "files": { "used": "{secret:password}" } });
        match &mut settings[key] {
            Value::Object(fields) => fields.extend(value.as_object().unwrap().clone()),
            other => *other = value,
        }
        settings
    };
    check(with("args", json!(["-u", "/", "{}", "http@{file:used}"])), &[]).await;
    check(json!({ "program": "/bin/true" }), &["secret-unused"]).await;
    check(with("program", json!("/nowhere/check_x")), &["program-missing"]).await;
    check(with("program", json!("/bin/true -H x")), &["program-missing"]).await;
    check(with("program", json!(plain)), &["program-not-executable"]).await;
    check(with("program", json!("/")), &["program-not-executable"]).await;
    check(with("args", json!(["{secret:password}"])), &["secret-in-public"]).await;
    check(with("env", json!({ "X": "{secret:password}" })), &["secret-in-public"]).await;
    check(with("args", json!(["{file:none}"])), &["file-unknown"]).await;
    check(with("files", json!({ "a": "{secret:none}" })), &["secret-missing"]).await;
    check(with("files", json!({ "a/b": "" })), &["file-name"]).await;
    check(with("files", json!({ "..": "" })), &["file-name"]).await;
    check(with("args", json!(["-H", "$HOSTADDRESS$"])), &["macro-unfilled"]).await;
    check(with("args", json!(["--password", "hunter2"])), &["secret-in-arguments"]).await;
    check(with("args", json!(["--auth-token=hunter2"])), &["secret-in-arguments"]).await;
    check(with("args", json!(["--password-file", "/x", "--token", "-v", "--secret={file:used}"])), &[]).await;
    check(with("causes", json!({ "critical": "credential.old", "warning": "plugin.crashed" })), &["cause-unknown"; 2])
        .await;
    // The arguments went into the program's name.
    let seen = place.harness(json!({ "program": "/bin/true -H x" })).check("config").await;
    assert!(seen.findings[0].remedies[0].text.contains("`args`"), "{seen:?}");
}
