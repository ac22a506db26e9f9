use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use lineman_config::{Configured, Environment, Resolved, load, resolve};
use lineman_model::{Cause, Finding, Severity};
use serde_json::json;

use crate::{env, machine, write};

/// Long enough for any machine; no test waits for it.
const PLENTY: Duration = Duration::from_secs(60);

/// Integrations of a plugin with the secrets `key_id` and `key`, which it needs, and `session`.
/// `secrets` is the inside of a table; `$DIR` in it is a directory of its own.
struct Setup {
    directory: tempfile::TempDir,
    integrations: Vec<Configured>,
}

fn setup(integrations: &[(&str, &str)], files: &[(&str, &[u8])]) -> Setup {
    let mut text = "version = 1\nplugins.enable = [\"acme\"]\n[defaults.acme.settings]\naccount_id = \"123456789012\"\nregion = \"eu-west-1\"\n".to_owned();
    for (name, inside) in integrations {
        text += &format!("[integration.{name}]\nprovider = \"acme\"\n{inside}\n");
    }
    let mut all: Vec<(&str, &[u8])> = vec![("lineman.toml", b"")];
    all.extend(files);
    let (directory, main) = write(&all);
    std::fs::write(&main, text.replace("$DIR", directory.path().to_str().unwrap())).unwrap();
    let config = load(&main, &machine(), &env(&[])).unwrap_or_else(|error| panic!("{text}: {:?}", error.mistakes()));
    Setup { directory, integrations: config.integrations }
}

fn run(setup: &Setup, env: &dyn Environment, limit: Duration) -> BTreeMap<String, Result<Resolved, Vec<Finding>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let selected: Vec<&Configured> = setup.integrations.iter().collect();
    runtime.block_on(resolve(&selected, env, limit))
}

/// Resolves one secret, given as a reference; files are `plain`, `json`, … of the table below.
fn resolve_one(reference: &str, limit: Duration) -> Result<String, Box<Finding>> {
    let files: &[(&str, &[u8])] = &[
        ("plain", b"s3cret\n"),
        ("crlf", b"s3cret\r\n"),
        ("no-end", b"s3cret"),
        ("two-ends", b"s3cret\n\n"),
        ("spaces", b"  s3cret \n"),
        ("key", b"-----BEGIN X-----\nabc\n-----END X-----\n"),
        ("empty", b""),
        ("line-end", b"\n"),
        ("latin1", b"caf\xe9"),
        ("json", br#"{"data":{"token":"s3cret","n":42,"null":null,"list":["a"],"a/b":"slash"}}"#),
        ("huge", &[b'x'; 1024 * 1024 + 1]),
        ("long", &[b'x'; 32 * 1024 + 1]),
        ("directory/inner", b""),
    ];
    let secrets = format!("secrets.key_id = {{ env = \"ID\" }}\nsecrets.key = {reference}");
    let setup = setup(&[("x", &secrets)], files);
    let variables = env(&[("ID", "id"), ("KEY", "s3cret"), ("EMPTY", ""), ("JSON", "{\"a\":\"s3cret\"}")]);
    let resolved = run(&setup, &variables, limit).remove("x").unwrap();
    let directory = setup.directory.path().to_str().unwrap();
    match resolved {
        Ok(resolved) => {
            assert_eq!(resolved.secrets.0["key_id"].expose(), "id");
            Ok(resolved.secrets.0["key"].expose().to_owned())
        }
        Err(mut findings) => {
            assert_eq!(findings.len(), 1, "{findings:?}");
            findings[0].for_each_text(&mut |text| *text = text.replace(directory, "$DIR"));
            Err(Box::new(findings.remove(0)))
        }
    }
}

fn check_value(reference: &str, expect: &str) {
    let value = resolve_one(reference, PLENTY);
    assert_eq!(value.as_deref(), Ok(expect), "{reference}");
}

/// The message of the finding after the name of the secret, and whether the source failed.
fn check_finding(reference: &str, is_source_failed: bool, expect: &str) {
    check_finding_within(reference, PLENTY, is_source_failed, expect);
}

fn check_finding_within(reference: &str, limit: Duration, is_source_failed: bool, expect: &str) {
    let finding = resolve_one(reference, limit).expect_err(reference);
    let (code, word, severity) = match is_source_failed {
        false => ("lineman/secret-missing", "is missing", None),
        true => ("lineman/secret-source-failed", "cannot be had", Some(Severity::Unknown)),
    };
    assert_eq!(finding.message, format!("Secret `key` {word}: {expect}"), "{reference}");
    assert_eq!((finding.code.as_str(), finding.severity), (code, severity), "{reference}");
    assert_eq!(finding.cause, Cause::CredentialMissing);
    let subject = finding.subject.as_ref().unwrap();
    assert_eq!((&*subject.kind, &*subject.name, subject.pointer.as_deref()), ("secret", "key", Some("/secrets/key")));
    assert!(!finding.remedies.is_empty() && !finding.evidence.is_empty(), "{finding:?}");
    let shown = serde_json::to_string(&finding).unwrap();
    assert!(!shown.contains("s3cret") && !shown.contains("unshown"), "{shown}");
}

#[test]
fn values_are_taken_byte_for_byte() {
    check_value("{ env = \"KEY\" }", "s3cret");
    check_value("{ env = \"JSON\", json_pointer = \"/a\" }", "s3cret");
    check_value("{ file = \"plain\" }", "s3cret");
    check_value("{ file = \"$DIR/crlf\" }", "s3cret");
    check_value("{ file = \"no-end\" }", "s3cret");
    check_value("{ file = \"two-ends\" }", "s3cret\n\n");
    check_value("{ file = \"spaces\" }", "  s3cret ");
    check_value("{ file = \"key\" }", "-----BEGIN X-----\nabc\n-----END X-----\n");
    check_value("{ file = \"json\", json_pointer = \"/data/token\" }", "s3cret");
    check_value("{ file = \"json\", json_pointer = \"/data/n\" }", "42");
    check_value("{ file = \"json\", json_pointer = \"/data/a~1b\" }", "slash");
    check_value("{ command = [\"echo\", \"s3cret\"] }", "s3cret");
    check_value("{ command = [\"printf\", \"a\\nb\\n\"] }", "a\nb\n");
    check_value("{ command = [\"cat\", \"$DIR/json\"], json_pointer = \"/data/token\" }", "s3cret");
    // Complaints do not count while the program succeeds, however long they are.
    check_value("{ command = [\"sh\", \"-c\", \"yes complaint | head -c 300000 >&2; echo s3cret\"] }", "s3cret");
    // Nobody can be asked anything.
    check_value("{ command = [\"sh\", \"-c\", \"cat; echo s3cret\"] }", "s3cret");
}

#[test]
fn what_is_absent_or_empty_is_missing() {
    check_finding("{ env = \"NONE\" }", false, "environment variable NONE is not set");
    check_finding("{ env = \"EMPTY\" }", false, "environment variable EMPTY is empty");
    check_finding("{ file = \"none\" }", false, "file $DIR/none does not exist");
    check_finding("{ file = \"plain/none\" }", false, "file $DIR/plain/none does not exist");
    check_finding("{ file = \"empty\" }", false, "file $DIR/empty is empty");
    check_finding("{ file = \"line-end\" }", false, "file $DIR/line-end is empty");
    check_finding(
        "{ file = \"json\", json_pointer = \"/x\" }",
        false,
        "file $DIR/json holds nothing at the JSON pointer",
    );
    check_finding(
        "{ file = \"json\", json_pointer = \"/data/null\" }",
        false,
        "file $DIR/json holds nothing at the JSON pointer",
    );
    check_finding("{ command = [\"true\", \"unshown\"] }", false, "the output of true is empty");
}

#[test]
fn a_place_that_cannot_be_asked_leaves_the_secret_unknown() {
    check_finding("{ file = \"directory\" }", true, "file $DIR/directory is not a regular file");
    check_finding("{ file = \"/dev/zero\" }", true, "file /dev/zero is not a regular file");
    check_finding("{ file = \"huge\" }", true, "file $DIR/huge is larger than 1024 KiB");
    check_finding("{ file = \"long\" }", true, "file $DIR/long holds more than any secret");
    check_finding("{ file = \"latin1\" }", true, "file $DIR/latin1 holds bytes that are not UTF-8");
    check_finding("{ file = \"plain\", json_pointer = \"/x\" }", true, "file $DIR/plain does not hold a JSON document");
    check_finding(
        "{ file = \"json\", json_pointer = \"/data/list\" }",
        true,
        "file $DIR/json holds no text at the JSON pointer",
    );
    check_finding(
        "{ command = [\"lineman-no-such-program\"] }",
        true,
        "program lineman-no-such-program cannot be started: no such file or directory",
    );
    check_finding("{ command = [\"false\", \"unshown\"] }", true, "program false ended with exit status 1");
    check_finding("{ command = [\"sh\", \"-c\", \"kill -9 $$\"] }", true, "program sh was ended by signal 9");
    check_finding("{ command = [\"yes\"] }", true, "program yes printed more than 1024 KiB");
    let limit = Duration::from_millis(100);
    let reference = "{ command = [\"tail\", \"-f\", \"/dev/null\"] }";
    let finding = resolve_one(reference, limit).unwrap_err();
    assert!(finding.message.contains("program tail did not end within "), "{}", finding.message);
    check_finding_within(reference, Duration::ZERO, true, "program tail was not started before the time was up");
}

#[test]
fn a_complaint_is_shown_without_the_secrets_that_it_repeats() {
    let script = "echo s3cret-token-value; echo 'denied: s3cret-token-value and id-of-the-key \\u001b[31m' >&2; exit 3";
    let secrets =
        format!("secrets.key_id = {{ env = \"ID\" }}\nsecrets.key = {{ command = [\"sh\", \"-c\", \"{script}\"] }}");
    let setup = setup(&[("x", &secrets)], &[]);
    let findings = run(&setup, &env(&[("ID", "id-of-the-key")]), PLENTY).remove("x").unwrap().unwrap_err();
    assert_eq!(
        serde_json::to_value(&findings[0].evidence).unwrap(),
        json!([{ "kind": "log", "source": "sh", "lines": ["denied: [redacted:key] and [redacted:key_id] "] }])
    );
}

#[test]
fn a_complaint_that_is_cut_shows_no_part_of_a_secret() {
    // Six hundred digits, over and over: the last that is kept of them is no whole secret.
    let script = "s=$(seq -s '' 1 236); echo $s; for i in $(seq 200); do printf %s $s; done >&2; exit 1";
    let secrets =
        format!("secrets = {{ key_id = {{ env = \"ID\" }}, key = {{ command = [\"sh\", \"-c\", \"{script}\"] }} }}");
    let setup = setup(&[("x", &secrets)], &[]);
    let findings = run(&setup, &env(&[("ID", "id")]), PLENTY).remove("x").unwrap().unwrap_err();
    let shown = serde_json::to_string(&findings).unwrap();
    assert!(shown.contains("[redacted:key]") && !shown.contains("12345"), "{shown}");
}

#[test]
fn one_integration_without_its_secrets_stops_no_other() {
    let good = "secrets = { key_id = { env = \"ID\" }, key = { env = \"ID\" } }";
    let bad = "secrets = { key_id = { env = \"NONE\" }, session = { file = \"none\" } }";
    let setup = setup(&[("a", bad), ("b", good), ("c", "")], &[]);
    let resolved = run(&setup, &env(&[("ID", "id")]), PLENTY);
    let pointers = |name: &str| -> Vec<String> {
        let findings = resolved[name].as_ref().unwrap_err();
        findings.iter().filter_map(|finding| finding.subject.clone()?.pointer).collect()
    };
    assert!(resolved["b"].is_ok());
    assert_eq!(pointers("a"), ["/secrets/key_id", "/secrets/session", "/secrets/key"]);
    assert_eq!(pointers("c"), ["/secrets/key_id", "/secrets/key"]);
}

#[test]
fn a_program_runs_once_for_all_who_name_it() {
    let command = "{ command = [\"./count\", \"a\"] }";
    let secrets =
        format!("secrets = {{ key_id = {command}, key = {command}, session = {{ command = [\"./count\", \"b\"] }} }}");
    let setup = setup(&[("x", &secrets), ("y", &secrets)], &[("count", b"#!/bin/sh\necho $1 | tee -a \"$0.log\"\n")]);
    let program = setup.directory.path().join("count");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let resolved = run(&setup, &env(&[]), PLENTY);
    for name in ["x", "y"] {
        let secrets = &resolved[name].as_ref().unwrap().secrets.0;
        let values = ["key_id", "key", "session"].map(|secret| secrets[secret].expose());
        assert_eq!(values, ["a", "a", "b"]);
    }
    let mut runs: Vec<String> = read(&setup.directory.path().join("count.log")).lines().map(str::to_owned).collect();
    runs.sort();
    assert_eq!(runs, ["a", "b"]);
}

#[test]
fn a_proxy_may_be_a_secret() {
    let check = |value: &str, expect: Result<&str, &str>| {
        let secrets =
            "secrets = { key_id = { env = \"ID\" }, key = { env = \"ID\" } }\nconnection.proxy = { env = \"PROXY\" }";
        let setup = setup(&[("x", secrets)], &[]);
        let resolved = run(&setup, &env(&[("ID", "id"), ("PROXY", value)]), PLENTY).remove("x").unwrap();
        let found = match &resolved {
            Ok(resolved) => Ok(resolved.integration.connection.proxies[0].url.expose()),
            Err(findings) => {
                assert_eq!(findings[0].subject.as_ref().unwrap().pointer.as_deref(), Some("/connection/proxy"));
                assert!(!format!("{findings:?}").contains("hunter2"));
                Err(findings[0].code.as_str())
            }
        };
        assert_eq!(found, expect);
    };
    check("http://me:hunter2@proxy:3128\n", Ok("http://me:hunter2@proxy:3128"));
    check("", Err("lineman/secret-missing"));
    check("hunter2", Err("lineman/proxy-invalid"));
}

#[test]
fn a_program_that_is_given_up_ends_with_all_that_it_started() {
    let script = "exec 3>$DIR/alive; echo ready >&3; tail -f /dev/null & wait";
    let secrets = format!("secrets = {{ key = {{ command = [\"sh\", \"-c\", \"{script}\"] }} }}");
    let setup = setup(&[("x", &secrets)], &[]);
    let pipe: PathBuf = setup.directory.path().join("alive");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Whoever reads the pipe meets its end when the last process that holds it is gone.
    let (say, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut file = std::fs::File::open(pipe).unwrap();
        file.read_exact(&mut [0; 6]).unwrap();
        say.send("ready").unwrap();
        file.read_to_end(&mut Vec::new()).unwrap();
        say.send("gone").unwrap();
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let running = runtime.spawn(async move {
        let selected: Vec<&Configured> = setup.integrations.iter().collect();
        resolve(&selected, &env(&[]), PLENTY).await.len()
    });
    assert_eq!(heard.recv_timeout(PLENTY), Ok("ready"));
    running.abort();
    assert_eq!(heard.recv_timeout(PLENTY), Ok("gone"));
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
