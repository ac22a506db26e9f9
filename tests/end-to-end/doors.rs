//! The doors for other languages hold to what the first one does.
//!
//! The examples in C and in Python are built as their first lines say, packed, installed and used:
//! they name what is wrong at the stubs. Then plugins that misbehave behind these doors, in the
//! tables of [`crate::isolation`]: each pays alone, and is told by the same causes and codes.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use lineman_lab::api::{self, Response};
use lineman_tests::{Names, Outcome, Stubs, clean_command, require, workspace};

use crate::bench::Bench;
use crate::isolation::{
    BAD_OUTPUT, CANNOT_LOAD, CRASHED, Harm, TIMED_OUT, error, fate, integration, library_file, pass, suffer, swap,
    unloadable,
};

const INTERPRETER: &str = "python3";

/// The misbehaving program.
fn script() -> PathBuf {
    workspace().join("tests/end-to-end/doors/misbehaves.py")
}

/// Compiles a plugin in C as the example says it is done, with further words for the compiler.
fn compile(source: &Path, library: &Path, more: &[&str]) -> Result<()> {
    let mut cc = clean_command("cc");
    cc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-shared", "-pthread"]);
    cc.arg("-I").arg(workspace().join("crates/lineman-abi/include")).args(more).arg("-o").arg(library).arg(source);
    let outcome = Outcome::of(&mut cc)?;
    ensure!(outcome.exit == 0, "cc: {}", outcome.stderr);
    Ok(())
}

/// The misbehaving plugin in C.
fn library(bench: &Bench, more: &[&str]) -> Result<PathBuf> {
    let library = bench.path().join("misbehaves.so");
    compile(&workspace().join("tests/end-to-end/doors/misbehaves.c"), &library, more)?;
    Ok(library)
}

fn packed(bench: Bench, library: &Path, id: &str) -> Result<Bench> {
    let packed = bench.pack(library, &bench.plugin(id))?;
    ensure!(packed.exit == 0, "{id} cannot be packed: {}", packed.stderr);
    Ok(bench)
}

/// A place with these plugins and those of this module that stand behind a door.
pub(crate) fn place(libraries: &[&str], doors: &[&str]) -> Result<Bench> {
    let mut bench = Bench::with(libraries)?;
    for door in doors {
        let file = if *door == "c-door" { library(&bench, &[])? } else { script() };
        bench = packed(bench, &file, door)?;
    }
    Ok(bench)
}

/// A place with the examples, as their authors would have them installed.
fn examples() -> Result<Bench> {
    let bench = Bench::with(&[])?;
    let library = bench.path().join("libtcp.so");
    compile(&workspace().join("plugins/examples/c/tcp.c"), &library, &["-pedantic"])?;
    let bench = packed(bench, &library, "tcp")?;
    packed(bench, &workspace().join("plugins/examples/python/web.py"), "web")
}

/// The conformance kit finds nothing in them, and what it cannot ask it says.
#[test]
fn the_examples_keep_every_promise() -> Result<()> {
    if !require("doors-conformance", &["cc", INTERPRETER]) {
        return Ok(());
    }
    let bench = examples()?;
    for (id, not_asked) in [
        ("tcp", &["deadline", "cancellation", "not-stalled", "secrets", "compatible"][..]),
        (
            "web",
            &[
                "glibc",
                "exports",
                "malformed-requests",
                "huge-requests",
                "one-terminal-event",
                "silent-after-the-end",
                "own-calls-only",
                "events",
                "threads",
                "descriptors",
                "shutdown",
                "after-shutdown",
                "compatible",
            ],
        ),
    ] {
        let mut verify = bench.command();
        verify.args(["plugin", "verify", "--format", "json"]).arg(bench.plugin(id));
        if id == "tcp" {
            verify.arg("--settings").arg(given(&bench)?);
        }
        let outcome = Outcome::of(&mut verify)?;
        let report: serde_json::Value = serde_json::from_str(&outcome.stdout)?;
        let cases = report["cases"].as_array().context("no cases")?;
        let by = |status: &str| -> Vec<&str> {
            cases.iter().filter(|case| case["status"] == status).filter_map(|case| case["id"].as_str()).collect()
        };
        ensure!(outcome.exit == 0 && by("skip") == not_asked, "{id}: not judged: {:?}\n{}", by("skip"), outcome.stdout);
    }
    Ok(())
}

/// The settings that the conformance kit is to give the example in C.
pub(crate) fn given(bench: &Bench) -> Result<PathBuf> {
    let given = bench.path().join("given.toml");
    fs::write(&given, "[settings]\nhost = \"{host}\"\nport = \"{port}\"\n")?;
    Ok(given)
}

/// The example in C with a name that another library may have, too.
pub(crate) fn exporting_more(bench: &Bench) -> Result<PathBuf> {
    let (source, library) = (bench.path().join("more.c"), bench.path().join("exports-more.so"));
    fs::write(
        &source,
        "__attribute__((visibility(\"default\"))) int connect_to_provider(void);\n\
         int connect_to_provider(void) { return 0; }\n",
    )?;
    let more = source.to_str().context("its path is no text")?;
    compile(&workspace().join("plugins/examples/c/tcp.c"), &library, &[more])?;
    Ok(library)
}

#[test]
fn the_examples_name_what_is_wrong() -> Result<()> {
    if !require("doors-examples", &["cc", INTERPRETER]) {
        return Ok(());
    }
    let bench = examples()?;
    let (stubs, mut names) = (Stubs::start()?, Names::default());
    stubs.name(&mut names);
    let server = api::Server::http(|request| match request.target.as_str() {
        "/private" if request.header("authorization") == Some("Bearer right-token") => Response::new(200),
        "/private" => Response::new(401),
        "/broken" => Response::new(503),
        _ => Response::new(200),
    })?;
    names.set("site", server.address().port());

    let mut complaints = Vec::new();
    let mut check = |provider: &str, settings: &str, expect: &str, exit: i32, says: &str| -> Result<()> {
        let text = format!(
            "version = 1\nplugins.enable = [\"tcp\", \"web\"]\n[integration.it]\nprovider = {provider:?}\n{}\n",
            names.fill(settings)?
        );
        let outcome = Outcome::of(bench.checking(&text)?.args(["--timeout", "2s"]).env("TOKEN", "right-token"))?;
        let seen = fate(integration(&outcome.report()?, "it")?)?;
        if (seen.as_str(), outcome.exit) != (expect, exit) || !outcome.stdout.contains(says) {
            let exit = outcome.exit;
            complaints.push(format!("{provider} {settings}: {seen}, exit code {exit}, `{says}`\n{}", outcome.stdout));
        }
        Ok(())
    };
    let mut tcp = |host: &str, port: &str, expect: &str, exit: i32, says: &str| {
        check("tcp", &format!("settings.host = {host:?}\nsettings.port = {port}"), expect, exit, says)
    };
    tcp("127.0.0.1", "{site}", "pass", 0, "\"proved\": \"reach\"")?;
    tcp("localhost", "{stub.silent}", "pass", 0, "")?;
    tcp("127.0.0.1", "{stub.closed}", "fail network.refused tcp/refused", 1, "Connection refused")?;
    tcp("127.0.0.1", "{stub.unanswered}", "fail network.timeout tcp/timeout", 1, "Connection timed out")?;
    tcp("nobody.invalid", "80", "fail network.dns tcp/dns", 1, "\"kind\": \"dns\"")?;
    tcp("quote\"and\\slash.invalid", "80", "fail network.dns tcp/dns", 1, "quote\\\"and\\\\slash.invalid")?;

    let mut web = |scheme: &str, rest: &str, more: &str, expect: &str, exit: i32, says: &str| {
        let settings = format!("settings.url = \"{scheme}://127.0.0.1:{rest}\"\n{more}");
        check("web", &settings, expect, exit, says)
    };
    let token = "secrets.token.env = \"TOKEN\"";
    web("http", "{site}/", "", "pass", 0, "\"proved\": \"operation\"")?;
    web("http", "{site}/private", token, "pass", 0, "")?;
    web("http", "{site}/private", "", "fail credential.missing web/token-missing", 1, "\"status\": 401")?;
    web("http", "{site}/broken", "", "unknown provider.outage web/server-error", 3, "\"status\": 503")?;
    web("http", "{site}/", "settings.status = 204", "unknown undetermined web/other-status", 3, "200, not 204")?;
    web("https", "{site}/", "", "fail network.tls-protocol web/tls-protocol", 1, "")?;
    web("http", "{stub.closed}/", "", "fail network.refused web/refused", 1, "Connect call failed")?;
    web("http", "{stub.silent}/", "", "fail network.timeout web/timeout", 1, "during http")?;
    web("http", "{stub.unanswered}/", "", "fail network.timeout web/timeout", 1, "during tcp")?;
    web("http", "{stub.reset}/", "", "fail network.reset web/reset", 1, "closed the connection")?;
    web("http", "{stub.garbage}/", "", "fail config.endpoint-wrong web/no-http", 1, "does not speak HTTP")?;
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// The examples have a minute for a port that never answers, and take none of it when they are told
/// that nobody waits: the calls end as errors, which running out of time would not be.
#[test]
fn the_examples_end_a_call_when_they_are_told() -> Result<()> {
    if !require("doors-cancel", &["cc", INTERPRETER]) {
        return Ok(());
    }
    let (stubs, mut names) = (Stubs::start()?, Names::default());
    stubs.name(&mut names);
    let place = tempfile::tempdir()?;
    let driver = place.path().join("drives");
    let mut cc = clean_command("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-pthread", "-o"]).arg(&driver);
    cc.arg("-I").arg(workspace().join("crates/lineman-abi/include"));
    cc.arg(workspace().join("tests/end-to-end/doors/drives.c")).arg(workspace().join("plugins/examples/c/tcp.c"));
    let compiled = Outcome::of(&mut cc)?;
    ensure!(compiled.exit == 0, "cc: {}", compiled.stderr);
    let driven = Outcome::of(clean_command(&driver).arg(names.get("stub.unanswered")?))?;
    ensure!(driven.exit == 0, "{}", driven.stderr);

    let mut command = clean_command(workspace().join("plugins/examples/python/web.py"));
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
    let (mut to, mut from) = (program.stdin.take().context("no pipe")?, program.stdout.take().context("no pipe")?);
    let mut tell = |text: String| to.write_all(&frame(&text));
    let mut hear = || -> Result<serde_json::Value> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        from.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    };
    ensure!(hear()?["hello"]["description"]["id"] == "web");
    for (call, stub) in [(1, "stub.silent"), (2, "stub.unanswered")] {
        let request = serde_json::json!({
            "check": "web/answers", "deadline_ms": 60000,
            "integration": { "settings": { "url": format!("http://127.0.0.1:{}/", names.get(stub)?) }, "connection": {} },
        });
        tell(serde_json::json!({ "submit": { "call": call, "op": "check", "request": request } }).to_string())?;
        tell(serde_json::json!({ "cancel": { "call": call } }).to_string())?;
        let event = hear()?["event"].take();
        ensure!(event["call"] == call && event["kind"] == 4 && event["body"]["cause"] == "plugin.timed-out", "{event}");
    }
    tell(r#"{"submit":{"call":3,"op":"frobnicate","request":{}}}"#.to_owned())?;
    ensure!(hear()? == serde_json::json!({ "refused": { "call": 3, "code": 1 } }));
    tell(r#"{"a-newer-message":{}}"#.to_owned())?;
    tell(r#"{"shutdown":{}}"#.to_owned())?;
    let mut rest = Vec::new();
    from.read_to_end(&mut rest)?;
    ensure!(program.wait()?.success() && rest.is_empty(), "it did not end well");
    Ok(())
}

#[test]
fn plugins_are_listed_with_their_doors() -> Result<()> {
    if !require("doors-list", &["cc", INTERPRETER]) {
        return Ok(());
    }
    let bench = place(&["raw"], &["c-door", "exec-door"])?;
    let run = |words: &[&str]| {
        Outcome::of(bench.command().arg("plugin").args(words).arg("--plugin-dir").arg(bench.path().join("plugins")))
    };
    let listed = run(&["list"])?;
    for (id, door) in [("raw", "rust-1"), ("c-door", "c-1"), ("exec-door", "exec-1")] {
        let line = listed.stdout.lines().find(|line| line.trim_start().starts_with(id)).unwrap_or_default();
        ensure!(line.split_whitespace().any(|word| word == door), "{id}: {}", listed.stdout);
        let shown = run(&["info", id])?;
        ensure!(shown.stdout.contains(&format!("entered by {door}")), "{id}: {}", shown.stdout);
    }
    // One script for every machine; a library for this one.
    let manifest = |id: &str| fs::read_to_string(bench.plugin(id).join("plugin.toml"));
    ensure!(manifest("exec-door")?.contains("[target.any]") && !manifest("c-door")?.contains("[target.any]"));
    // A door of a newer version is refused by its name.
    let path = bench.plugin("raw").join("plugin.toml");
    fs::write(&path, manifest("raw")?.replace("rust-1", "wasm-1"))?;
    let refused = run(&["info", "raw"])?;
    ensure!(refused.exit == 2 && refused.stderr.contains("`wasm-1`, which this Lineman does not know"), "{refused:?}");
    // And only a program is for every target.
    fs::write(&path, manifest("raw")?.replace("wasm-1", "rust-1").replace("[target.", "[target.any] #"))?;
    let refused = run(&["info", "raw"])?;
    ensure!(refused.exit == 2 && refused.stderr.contains("only for any"), "{refused:?}");
    Ok(())
}

#[test]
fn what_is_entered_by_no_door_is_refused_in_one_line() -> Result<()> {
    if !require("doors-none", &["cc"]) {
        return Ok(());
    }
    let bench = Bench::with(&[])?;
    let whole = fs::read(library(&bench, &[])?)?;
    let other = library(&bench, &["-DNAME=table"])?;
    let files: &[(&str, &[u8], &str)] = &[
        ("text", b"this is text", "(not-a-library)"),
        ("empty", b"", "(not-a-library)"),
        ("truncated", &whole[..whole.len() / 2], "(not-a-library)"),
        ("another-library", &fs::read(&other)?, "(no-symbol)"),
        ("no-interpreter", b"#!/nowhere/python3 -I\n", "run by `/nowhere/python3 -I`: No such file"),
        ("says-nothing", b"#!/bin/sh\nexit 3\n", "(died-on-load)"),
        ("prints", b"#!/bin/sh\necho hello\n", "(bad-output)"),
    ];
    for (name, bytes, says) in files {
        let file = bench.path().join(name);
        fs::write(&file, bytes)?;
        let outcome = bench.pack(&file, &bench.plugin(name))?;
        ensure!(outcome.exit == 2 && outcome.stderr.contains(says), "{name}: {outcome:?}");
        ensure!(outcome.stderr.lines().count() == 1 && !bench.plugin(name).exists(), "{name}: {outcome:?}");
    }
    Ok(())
}

#[test]
fn a_c_plugin_that_misbehaves_costs_itself_and_nothing_else() -> Result<()> {
    if !require("doors-c", &["cc"]) {
        return Ok(());
    }
    let bench = place(&[], &["c-door"])?;
    suffer(
        &bench,
        "c-door",
        "well-in-a-while",
        &[],
        &[
            pass("well"),
            pass("print"),
            pass("two-results"),
            pass("unknown-kinds"),
            pass("unknown-host-call"),
            error("abort", CRASHED, "signal 6 (SIGABRT)"),
            error("segfault", CRASHED, "signal 11 (SIGSEGV)"),
            error("exit-zero", CRASHED, "exit status 0"),
            error("garbage", BAD_OUTPUT, "an event that is no JSON"),
            error("null-body", BAD_OUTPUT, "an event of more than"),
            error("length-of-everything", BAD_OUTPUT, "an event of more than"),
            error("flood-findings", BAD_OUTPUT, "more than 100 findings"),
            error("refuse", BAD_OUTPUT, "refused the call with code 3"),
        ],
    )?;
    suffer(
        &bench,
        "c-door",
        "well",
        &["--timeout", "1s"],
        &[error("no-result", TIMED_OUT, "did not answer c-door/act")],
    )
}

#[test]
fn a_c_plugin_whose_table_is_wrong_is_one_line_with_a_stable_code() -> Result<()> {
    if !require("doors-c-table", &["cc"]) {
        return Ok(());
    }
    let shared = Bench::with(&[])?;
    let build = |name: &str, more: &[&str]| -> Result<Vec<u8>> {
        let library = shared.path().join(name);
        compile(&workspace().join("tests/end-to-end/doors/misbehaves.c"), &library, more)?;
        Ok(fs::read(library)?)
    };
    let exports = "__attribute__((visibility(\"default\")))";
    let object = format!("-DINSTEAD={exports} const uint64_t small __asm__(\"lineman_plugin_c_v1\") = LINEMAN_MAGIC;");
    let function =
        format!("-DINSTEAD={exports} void function(void) __asm__(\"lineman_plugin_c_v1\"); void function(void) {{}}");
    let built: &[(&str, &[&str], &str)] = &[
        ("no-symbol", &["-DNAME=table"], "load error: no-symbol"),
        ("a-function", &["-DNAME=table", &function], "load error: other-magic"),
        ("a-small-object", &["-DNAME=table", &object], "has 8 bytes, fewer than the 64"),
        ("other-magic", &["-DMAGIC=0x1234"], "load error: other-magic"),
        ("other-major", &["-DMAJOR=2"], "built for ABI 2.0, this Lineman speaks ABI 1.0"),
        ("small-size", &["-DSIZE=8"], "load error: too-small"),
        ("null-function", &["-DNULL_SHUTDOWN"], "the function `shutdown` of `lineman_plugin_c_v1` is NULL"),
        ("unresolved", &["-DUNRESOLVED"], "undefined symbol: nobody_defines_this"),
        ("null-description", &["-DDATA=NULL"], "load error: bad-description"),
        ("description-of-everything", &["-DLENGTH=SIZE_MAX"], "load error: bad-description"),
        ("no-description", &["-DDESCRIPTION=\"}{\""], "load error: bad-description"),
        ("other-description", &["-DDESCRIPTION=\"{}\""], "load error: other-description"),
    ];
    let libraries: Vec<Vec<u8>> = built.iter().map(|(name, more, _)| build(name, more)).collect::<Result<_>>()?;
    let damages: Vec<_> =
        libraries.iter().map(|library| move |it: &Path| -> Result<()> { swap(it, library) }).collect();
    let truncate = |it: &Path| -> Result<()> {
        let whole = fs::read(library_file(it)?)?;
        swap(it, &whole[..whole.len() - 64])
    };
    let mut rows: Vec<Harm<'_>> = vec![("truncated", CANNOT_LOAD, "load error: not-a-library", &truncate)];
    for ((name, _, says), damage) in built.iter().zip(&damages) {
        rows.push((name, CANNOT_LOAD, says, damage));
    }
    unloadable("c-door", &|| place(&["checks"], &["c-door"]), &rows)
}

#[test]
fn a_program_that_misbehaves_costs_itself_and_nothing_else() -> Result<()> {
    if !require("doors-exec", &[INTERPRETER]) {
        return Ok(());
    }
    let bench = place(&[], &["exec-door"])?;
    suffer(
        &bench,
        "exec-door",
        "well-in-a-while",
        &[],
        &[
            pass("well"),
            pass("complain"),
            pass("two-results"),
            pass("unknown-kinds"),
            pass("another-hello"),
            pass("much-progress"),
            error("print", BAD_OUTPUT, "text where a frame should begin"),
            error("huge-frame", BAD_OUTPUT, "a frame of 2147483647 bytes"),
            error("no-json", BAD_OUTPUT, "a message that is no JSON"),
            error("unknown-message", BAD_OUTPUT, "a message that the protocol does not know"),
            error("too-deep", BAD_OUTPUT, "a message that is no JSON"),
            error("not-a-finding", BAD_OUTPUT, "an event that is not what it should be"),
            error("not-a-result", BAD_OUTPUT, "an event that is not what it should be"),
            error("huge-finding", BAD_OUTPUT, "an event of more than"),
            error("flood-findings", BAD_OUTPUT, "more than 100 findings"),
            error("flood-secrets", BAD_OUTPUT, "more than 100 secrets"),
            error("refuse", BAD_OUTPUT, "refused the call with code 3"),
            error("exit-zero", CRASHED, "exit status 0"),
            error("segfault", CRASHED, "signal 11 (SIGSEGV)"),
            error("half-a-frame", CRASHED, "exit status 0"),
            error("close-the-pipe", CRASHED, "signal 9 (SIGKILL)"),
            error("eat-memory", CRASHED, "exit status 9"),
        ],
    )?;
    let late = [error("no-result", TIMED_OUT, "did not answer exec-door/act")];
    suffer(&bench, "exec-door", "well", &["--timeout", "1s"], &late)
}

#[test]
fn a_program_that_cannot_be_used_is_one_line_with_a_stable_code() -> Result<()> {
    if !require("doors-exec-load", &[INTERPRETER]) {
        return Ok(());
    }
    const LOADS_BADLY: &str = "error plugin.bad-output lineman/plugin-bad-output";
    let program = std::fs::read("/bin/true")?;
    let mut foreign = program.clone();
    // The machine that it was compiled for.
    foreign[18] ^= 0xff;
    let programs: &[(&str, &str, &str, Vec<u8>)] = &[
        ("prints", LOADS_BADLY, "text where a frame should begin", sending(b"starting\n")),
        ("huge-frame", LOADS_BADLY, "a frame of 4294967295 bytes", sending(&[0xff; 4])),
        ("no-json", LOADS_BADLY, "a message that is no JSON", sending(&frame("}{"))),
        (
            "event-first",
            LOADS_BADLY,
            "another message before its hello",
            sending(&frame(r#"{"bad_event":{"call":1,"problem":""}}"#)),
        ),
        ("exits", CRASHED, "ended with exit status 0 while it loaded", program),
        ("mute", TIMED_OUT, "was not loaded within 10 s", sending(b"")),
        ("no-interpreter", CANNOT_LOAD, "load error: not-a-program", b"#!/nowhere/python3\n".to_vec()),
        ("no-program", CANNOT_LOAD, "load error: not-a-program", b"echo this is text".to_vec()),
        ("foreign", CANNOT_LOAD, "load error: not-a-program", foreign),
        ("another", CANNOT_LOAD, "load error: other-description", sending(&frame(r#"{"hello":{"description":{}}}"#))),
        (
            "refuses",
            CANNOT_LOAD,
            "load error: no-licence",
            sending(&frame(r#"{"not_loaded":{"code":"no-\u001b[1mlicence","message":"there is\nno licence"}}"#)),
        ),
    ];
    let damages: Vec<_> =
        programs.iter().map(|(.., program)| move |it: &Path| -> Result<()> { swap(it, program) }).collect();
    let mut rows: Vec<Harm<'_>> = Vec::new();
    for ((name, expected, says, _), damage) in programs.iter().zip(&damages) {
        rows.push((name, expected, says, damage));
    }
    unloadable("exec-door", &|| place(&["checks"], &["exec-door"]), &rows)
}

/// A message on the pipe.
fn frame(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap_or_default().to_le_bytes(), text.as_bytes()].concat()
}

/// A script that writes some bytes to its standard output and stays.
fn sending(bytes: &[u8]) -> Vec<u8> {
    let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("#!/bin/sh\nprintf '{octal}'\nexec sleep 1000\n").into_bytes()
}

/// A program is given what a library is given: no environment, an empty directory, and no
/// descriptors but the standard ones and itself.
#[test]
fn a_program_finds_nothing_that_is_not_meant_for_it() -> Result<()> {
    if !require("doors-environment", &[INTERPRETER]) {
        return Ok(());
    }
    let bench = place(&[], &["exec-door"])?;
    let text = crate::isolation::configuration(&[("it", "exec-door", "environment")]);
    let mut command: Command = bench.checking(&text)?;
    let report = Outcome::of(command.env("PLANTED", "1"))?.report()?;
    let findings = integration(&report, "it")?.checks.iter().flat_map(|check| &check.findings);
    let finding = findings.last().context("nothing was said")?;
    let (environment, files, descriptors): (Vec<String>, Vec<String>, Vec<String>) =
        serde_json::from_str(&finding.message)?;
    // Python itself says which encoding it takes where nobody does.
    ensure!(environment.iter().all(|name| name == "LC_CTYPE") && files.is_empty(), "{}", finding.message);
    // The standard streams, the script, and the directory that is being read.
    ensure!(descriptors.len() == 5, "{}", finding.message);
    Ok(())
}
