//! What no integration may do, whoever wrote it down.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use lineman_model::Status;
use lineman_tests::Outcome;
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, children, library_of, mark, marked};
use crate::isolation::{configuration, fate, integration, swap};

#[test]
fn secrets_do_not_go_where_an_included_file_sends_them() -> Result<()> {
    const CANARY: &str = "a-token-that-goes-nowhere-else";
    let bench = Bench::with(&["checks"])?;
    // Whatever is handed to this plugin ends its process.
    swap(&bench.plugin("checks"), &fs::read(library_of("exits-on-load"))?)?;
    let main = "version = 1\ninclude = [\"team.toml\"]\nplugins.enable = [\"misbehaving\"]\n[policy]\n\
                allow_endpoints = [\"*.example.com\", \"127.0.0.0/8\"]\ndeny_endpoints = [\"secret.example.com\"]\n";
    let check = |connection: &str, says: Option<&str>| -> Result<()> {
        let team = format!(
            "[integration.theirs]\nprovider = \"misbehaving\"\nsettings.behaviour = \"tell\"\n\
             secrets.token = {{ env = \"TOKEN\" }}\n[integration.theirs.connection]\n{connection}\n"
        );
        fs::write(bench.path().join("team.toml"), team)?;
        let outcome = Outcome::of(bench.checking(main)?.env("TOKEN", CANARY))?;
        let report = outcome.report()?;
        let refused = "fail config.endpoint-wrong lineman/endpoint-refused";
        let handed_over = "error plugin.crashed lineman/plugin-crashed";
        let expected = if says.is_some() { (1, refused) } else { (4, handed_over) };
        assert_eq!((outcome.exit, fate(integration(&report, "theirs")?)?.as_str()), expected, "{connection}");
        let says = says.unwrap_or_default();
        ensure!(outcome.stdout.contains(says), "{connection}: `{says}` is not said: {}", outcome.stdout);
        ensure!(!format!("{}{}", outcome.stdout, outcome.stderr).contains(CANARY), "{connection}: the token is shown");
        Ok(())
    };
    check("endpoint_url = \"http://127.0.0.1:1\"", None)?;
    check("endpoint_url = \"https://api.example.com\"", None)?;
    check("endpoint_url = \"https://192.0.2.1/\"", Some("192.0.2.1 is not among `policy.allow_endpoints`"))?;
    check("endpoint_url = \"https://secret.example.com\"", Some("`policy.deny_endpoints` has `secret.example.com`"))?;
    check("endpoint_url = \"http://169.254.169.254\"\n", Some("where no credential may be sent"))?;
    check(
        "endpoint_url = \"http://169.254.169.254\"\nallow_link_local = true",
        Some("169.254.169.254 is not among `policy.allow_endpoints`"),
    )?;
    check("proxy = \"http://192.0.2.1:3128\"", Some("192.0.2.1 is not among"))?;
    check("proxy = \"http://127.0.0.1:3128\"", None)
}

#[test]
fn an_included_file_says_nothing_of_policy_or_plugins() -> Result<()> {
    let bench = Bench::with(&["checks"])?;
    for table in
        ["[policy]\nallow_endpoints = []", "[plugins]\nenable = []", "[plugins.misbehaving]\nmemory = \"1GiB\""]
    {
        fs::write(bench.path().join("team.toml"), table)?;
        let main = "include = [\"team.toml\"]\n".to_owned() + &configuration(&[("one", "misbehaving", "well")]);
        let outcome = Outcome::of(&mut bench.checking(&main)?)?;
        ensure!(outcome.exit == 2 && outcome.stderr.contains("belongs in the main file"), "{table}: {outcome:?}");
    }
    Ok(())
}

#[test]
fn the_limits_of_a_plugin_are_lower() -> Result<()> {
    let bench = Bench::with(&["checks"])?;
    let of = |limits: &str, integrations: &[(&str, &str, &str)]| {
        configuration(integrations) + "[plugins.misbehaving]\n" + limits
    };
    // It passes, but later than that.
    let (outcome, report) = bench.check(&of("timeout = \"1s\"", &[("late", "misbehaving", "well-late")]))?;
    assert_eq!((outcome.exit, integration(&report, "late")?.verdict), (3, Status::Unknown));
    let (outcome, _) = bench.check(&of("timeout = \"20s\"\nmax_parallel = 1", &[("late", "misbehaving", "well")]))?;
    assert_eq!(outcome.exit, 0, "{}", outcome.stdout);

    // The process that it leaves behind tells that the worker has come so far.
    let settings = format!(
        "[integration.stays.settings]\nbehaviour = \"hang\"\n[integration.leaves.settings]\n\
         behaviour = \"leave-daemon\"\nmark = {:?}\n",
        mark(&bench)
    );
    let text = "version = 1\nplugins.enable = [\"misbehaving\"]\nplugins.misbehaving.memory = \"300MiB\"\n\
                [integration.stays]\nprovider = \"misbehaving\"\n[integration.leaves]\nprovider = \"misbehaving\"\n";
    let mut child = bench.checking(&(text.to_owned() + &settings))?.stdout(std::process::Stdio::null()).spawn()?;
    while marked(&mark(&bench)).is_empty() {
        std::thread::yield_now();
    }
    let worker = children(child.id()).into_iter().find(|pid| is_worker(*pid)).context("there is no worker")?;
    let limits = fs::read_to_string(format!("/proc/{}/limits", worker.as_raw_pid()))?;
    kill_process(Pid::from_child(&child), Signal::INT)?;
    child.wait()?;
    let data = limits.lines().find(|line| line.starts_with("Max data size")).context("no such limit")?;
    ensure!(data.split_whitespace().filter(|word| *word == "314572800").count() == 2, "{data}");
    Ok(())
}

fn is_worker(pid: Pid) -> bool {
    let arguments = fs::read(Path::new("/proc").join(pid.as_raw_pid().to_string()).join("cmdline"));
    arguments.is_ok_and(|arguments| arguments.split(|byte| *byte == 0).any(|argument| argument == b"__worker"))
}
