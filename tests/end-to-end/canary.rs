//! No secret is seen anywhere.
//!
//! Canaries are planted in every field that holds a secret, with plugins that tell them and
//! servers that echo them. During each run the arguments, environments and files of everything
//! that Lineman started are searched, and after it all that it wrote: raw, URL-encoded, base64 and
//! escaped as in JSON, whole and in part. With redaction switched off the same search must find
//! them, or it would prove nothing.

mod clouds;
mod clusters;
mod forges;

use std::any::Any;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use lineman_lab::api::{self, Request, Response};
use lineman_lab::keys::{self, Kind};
use lineman_lab::repository::{Repository, Right};
use lineman_lab::{RequestLog, http, ssh, tls::Tls};
use lineman_model::{Report, Status};
use lineman_tests::{Outcome, clean_command, require};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::bench::{Bench, children};

/// A part of a secret that is as long as this gives it away.
const PART: usize = 12;

/// Every form in which a value is looked for, with its name.
fn forms(value: &str) -> Vec<(&'static str, String)> {
    let mut forms = Vec::new();
    let escape = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    // The frame of a key is the same in every key; what is between gives it away line by line.
    for line in value.lines().map(str::trim).filter(|line| line.len() >= PART && !line.starts_with("-----")) {
        let chars: Vec<char> = line.chars().collect();
        let parts = chars.windows(PART.min(chars.len()));
        forms.extend(parts.map(|part| ("in part", part.iter().collect())));
        let encoded = utf8_percent_encode(line, NON_ALPHANUMERIC).to_string();
        forms.extend([("url-encoded", encoded.to_lowercase()), ("url-encoded", encoded.replace("%20", "+"))]);
        forms.extend([("url-encoded", encoded), ("in JSON", escape(line)), ("in JSON in JSON", escape(&escape(line)))]);
        for offset in 0..3 {
            // What stands around the value decides the characters at its edges.
            let framed = [&vec![0; offset], line.as_bytes()].concat();
            let inner = (offset * 8).div_ceil(6)..framed.len() * 8 / 6;
            for text in [STANDARD_NO_PAD.encode(&framed), URL_SAFE_NO_PAD.encode(&framed)] {
                forms.push(("in base64", text[inner.clone()].to_owned()));
            }
        }
    }
    forms
}

/// A secret that was planted, and what it is called in the complaints.
struct Canary {
    name: &'static str,
    forms: Vec<(&'static str, String)>,
}

impl Canary {
    fn new(name: &'static str, value: &str) -> Canary {
        Canary { name, forms: forms(value) }
    }

    /// The first form of it in some bytes.
    fn seen_in(&self, bytes: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(bytes);
        let found = self.forms.iter().find(|(_, form)| text.contains(form))?;
        Some(format!("{} {}", self.name, found.0))
    }
}

/// An integration with canaries in it.
struct Scene {
    name: &'static str,
    bench: Bench,
    configuration: String,
    environment: Vec<(&'static str, String)>,
    canaries: Vec<Canary>,
    /// Integrations that must pass, so that everything runs that their secrets go through.
    passing: Vec<&'static str>,
    /// What servers were asked: the canaries must have reached them.
    asked: Vec<RequestLog>,
    _servers: Vec<Box<dyn Any>>,
}

impl Scene {
    fn new(name: &'static str, plugins: &[&str]) -> Result<Scene> {
        let bench = Bench::with(plugins)?;
        fs::create_dir(bench.path().join("given"))?;
        let (configuration, environment, canaries) = (String::new(), Vec::new(), Vec::new());
        Ok(Scene {
            name,
            bench,
            configuration,
            environment,
            canaries,
            passing: Vec::new(),
            asked: Vec::new(),
            _servers: Vec::new(),
        })
    }

    fn canary(&mut self, name: &'static str, value: &str) {
        self.canaries.push(Canary::new(name, value));
    }

    /// A secret that is referred to by a variable.
    fn variable(&mut self, variable: &'static str, value: &str) {
        self.canary(variable, value);
        self.environment.push((variable, value.to_owned()));
    }

    /// A file that the user made; nothing there is searched.
    fn given(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.bench.path().join("given").join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }

    /// Where the canaries are seen when Lineman runs in every way in which it tells.
    fn run(&self, unredacted: bool) -> Result<BTreeSet<String>> {
        let mut seen = BTreeSet::new();
        let checking = ["check", "--verbose", "--timeout", "10s"];
        let outputs = ["--output", "json=report.json", "--output", "human=report.txt", "--output", "ndjson=report.nd"];
        let commands = [
            [&checking[..], &outputs].concat(),
            [&checking[..], &["--format", "json"]].concat(),
            [&checking[..], &["--format", "ndjson"]].concat(),
            vec!["render", "report.json", "--verbose"],
            vec!["render", "report.json", "--format", "ndjson"],
            vec!["explain", "report.txt"],
            vec!["plan"],
            vec!["list", "--format", "json"],
        ];
        fs::write(self.bench.path().join("lineman.toml"), &self.configuration)?;
        for words in commands {
            let mut command = self.bench.command();
            command.args(&words).arg("--plugin-dir").arg(self.bench.path().join("plugins"));
            command.envs(self.environment.iter().map(|(name, value)| (name, value)));
            if unredacted {
                command.env(lineman_model::UNREDACTED, "1");
            }
            let (outcome, meanwhile) = self.watch(command)?;
            seen.extend(meanwhile);
            ensure!((0..=4).contains(&outcome.exit), "{words:?} ended with {}: {}", outcome.exit, outcome.stderr);
            for (stream, text) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
                seen.extend(self.search(&format!("{stream} of {}", words.join(" ")), text.as_bytes()));
            }
        }
        ensure!(self.bench.path().join("report.json").is_file(), "{}: no report was written", self.name);
        for file in files(self.bench.path()).filter(|file| !file.starts_with(self.bench.path().join("given"))) {
            seen.extend(self.search(&file.display().to_string(), &fs::read(&file)?));
        }
        Ok(seen)
    }

    fn search(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let found = self.canaries.iter().filter_map(|canary| canary.seen_in(bytes));
        found.map(|what| format!("{}: {what} in {place}", self.name)).collect()
    }

    /// Runs a command and looks at what it starts and writes as long as it runs.
    fn watch(&self, mut command: Command) -> Result<(Outcome, BTreeSet<String>)> {
        let run = self.bench.path().join("given/run");
        let file = |stream: &str| run.with_extension(stream);
        let mut child =
            command.stdout(fs::File::create(file("out"))?).stderr(fs::File::create(file("err"))?).spawn()?;
        let mut seen = BTreeSet::new();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            self.look_around(child.id(), &mut seen);
            // Short, so that little is missed, and not nothing, so that what is watched can run.
            std::thread::sleep(Duration::from_millis(2));
        };
        let read =
            |stream: &str| -> Result<String> { Ok(String::from_utf8_lossy(&fs::read(file(stream))?).into_owned()) };
        let exit = status.code().context("ended by a signal")?;
        Ok((Outcome { exit, stdout: read("out")?, stderr: read("err")? }, seen))
    }

    fn look_around(&self, lineman: u32, seen: &mut BTreeSet<String>) {
        let of = |pid: u32, what: &str| fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
        let own = of(lineman, "cmdline");
        seen.extend(self.search("the arguments of lineman", &own));
        let mut pids: Vec<u32> = children(lineman).into_iter().map(|pid| pid.as_raw_pid().cast_unsigned()).collect();
        while let Some(pid) = pids.pop() {
            pids.extend(children(pid).into_iter().map(|pid| pid.as_raw_pid().cast_unsigned()));
            let arguments = of(pid, "cmdline");
            // Between fork and exec a process still shows what its parent was given.
            if arguments.is_empty() || arguments == own {
                continue;
            }
            let name = String::from_utf8_lossy(&arguments).replace('\0', " ");
            seen.extend(self.search(&format!("the arguments of {name}"), &arguments));
            // A command that gives a secret may need what Lineman was given.
            if !name.contains("given/") {
                seen.extend(self.search(&format!("the environment of {name}"), &of(pid, "environ")));
            }
        }
        for file in files(&self.bench.temporary()) {
            // A key file is what ssh itself must read, and nobody else may.
            let mode = fs::metadata(&file).map_or(0, |seen| seen.permissions().mode());
            if mode & 0o077 != 0
                && let Ok(bytes) = fs::read(&file)
            {
                seen.extend(self.search(&format!("{} (mode {:03o})", file.display(), mode & 0o777), &bytes));
            }
        }
    }
}

/// Every file below a directory.
fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.into_iter()
}

/// Says everything back that a request holds, in every encoding.
fn echo(status: u16, request: &Request, frame: impl Fn(&str) -> String) -> Response {
    let basic = request.basic("authorization").or(request.basic("proxy-authorization"));
    let basic = basic.map(|(user, password)| format!("{user} {password}")).unwrap_or_default();
    let sensitive = |name: &str| name.contains("auth") || name.contains("token");
    let headers = request.headers.iter().filter(|(name, _)| sensitive(name));
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value}")).collect();
    let body = String::from_utf8_lossy(&request.body);
    let plain = format!("{basic} {} {} {body}", headers.join(" "), request.target);
    let text = format!(
        "{plain} {} {} {}",
        STANDARD.encode(&plain),
        utf8_percent_encode(&plain, NON_ALPHANUMERIC),
        serde_json::Value::from(plain.as_str())
    );
    Response::echo(status, request).body(frame(&text))
}

const TOLD: [&str; 3] =
    ["env-Canary\"7/+ q=\\9f\u{e9}-Kx4Tz", "file-Canary%41/+&'z9Qw8-LmNo5", "command-Canary~:@!Rt6Yu7-PqRs2"];

/// The misbehaving plugin tells its secret through every channel, however it came by it.
fn told() -> Result<Scene> {
    let mut scene = Scene::new("told", &["checks"])?;
    let [by_env, by_file, by_command] = TOLD;
    scene.variable("TOLD", by_env);
    scene.canary("file", by_file);
    scene.canary("command", by_command);
    let file = scene.given("file", &format!("{by_file}\n"))?;
    let command = scene.given("command", by_command)?;
    let references = [
        "{ env = \"TOLD\" }".to_owned(),
        format!("{{ file = {file:?} }}"),
        format!("{{ command = [\"cat\", {command:?}] }}"),
    ];
    scene.configuration = "version = 1\nplugins.enable = [\"misbehaving\"]\n".to_owned();
    for behaviour in ["tell", "tell-and-panic", "tell-and-skip"] {
        for (number, reference) in references.iter().enumerate() {
            scene.configuration += &format!(
                "[integration.{behaviour}-{number}]\nprovider = \"misbehaving\"\nsettings.behaviour = \"{behaviour}\"\nsecrets.token = {reference}\n"
            );
        }
    }
    Ok(scene)
}

/// Plugins in other languages do so, without an SDK that would take anything out.
fn told_in_other_languages() -> Result<Scene> {
    let mut scene = Scene::new("told in other languages", &[])?;
    scene.bench = crate::doors::place(&[], &["c-door", "exec-door"])?;
    fs::create_dir(scene.bench.path().join("given"))?;
    scene.variable("TOLD", TOLD[0]);
    scene.configuration = "version = 1\nplugins.enable = [\"c-door\", \"exec-door\"]\n".to_owned();
    for (provider, behaviour) in [
        ("c-door", "tell"),
        ("c-door", "tell-and-abort"),
        ("exec-door", "tell"),
        ("exec-door", "tell-and-fail"),
        ("exec-door", "tell-and-print"),
    ] {
        scene.configuration += &format!(
            "[integration.{provider}-{behaviour}]\nprovider = \"{provider}\"\nsettings.behaviour = \"{behaviour}\"\nsecrets.token.env = \"TOLD\"\n"
        );
    }
    Ok(scene)
}

const GIT_TOKEN: &str = "glpat-Canary_9Xw/8Vt+7Us=6Rq:5Po";

fn git(scene: &mut Scene, name: &str, url: &str, secrets: &str, more: &str) {
    if scene.configuration.is_empty() {
        scene.configuration = "version = 1\nplugins.enable = [\"git\"]\n".to_owned();
    }
    scene.configuration += &format!(
        "[integration.{name}]\nprovider = \"git\"\nsettings.url = {url:?}\n{more}[integration.{name}.secrets]\n{secrets}\n"
    );
}

/// A Git host that refuses, and says back what it was sent; and one that lets the token in, so
/// that git itself runs with it.
fn git_over_http() -> Result<Scene> {
    let mut scene = Scene::new("git-http", &[])?;
    let refuses = api::Server::http(|request: Request| match request.header("authorization") {
        None => Response::new(401).header("www-authenticate", "Basic realm=\"Git\"").body("who are you?"),
        Some(_) => echo(403, &request, str::to_owned),
    })?;
    let repositories = scene.bench.path().join("given/repositories");
    Repository::create(&repositories, "team/app.git")?;
    let lets_in =
        http::Server::start(&repositories, Tls::Off, [http::Account::token(GIT_TOKEN).everywhere(Right::Read)])?;
    scene.variable("GIT_TOKEN", GIT_TOKEN);
    let token = "token = { env = \"GIT_TOKEN\" }";
    git(&mut scene, "refused", &format!("{}/team/app.git", refuses.url()), token, "");
    git(&mut scene, "let-in", &lets_in.url("team/app.git"), token, "");
    scene.passing.push("let-in");
    scene.asked.extend([refuses.log().clone(), lets_in.log().clone()]);
    scene._servers.extend([Box::new(refuses) as Box<dyn Any>, Box::new(lets_in)]);
    Ok(scene)
}

/// An SSH host that lets a key in, so that ssh and git run with it.
fn git_over_ssh() -> Result<Scene> {
    let mut scene = Scene::new("git-ssh", &[])?;
    let repositories = scene.bench.path().join("given/repositories");
    Repository::create(&repositories, "team/app.git")?;
    let key = keys::generate(Kind::Ed25519)?;
    let account = ssh::Account::new("canary", &key.public)?.everywhere(Right::Read);
    let server = ssh::Options::new(&repositories)?.account(account).start()?;
    let known_hosts = scene.given("known_hosts", &server.known_hosts())?;
    // The lines of a key that hold the secret; those before hold the public half.
    scene.canary("the key", key.private.lines().skip(3).collect::<Vec<_>>().join("\n").as_str());
    scene.environment.push(("GIT_KEY", key.private));
    let more = format!("settings.known_hosts_file = {known_hosts:?}\n");
    git(&mut scene, "ssh", &server.url("team/app.git"), "ssh_key = { env = \"GIT_KEY\" }", &more);
    scene.passing.push("ssh");
    scene._servers.push(Box::new(server));
    Ok(scene)
}

const PROXY_PASSWORD: &str = "proxyCanary-8uY7tR6eW5q";
const OUTER_PASSWORD: &str = "outerCanary-1aS2dF3gH4j";

/// A proxy that refuses, and says back what it was sent: once by reference, once from the
/// environment of Lineman.
fn proxies() -> Result<Scene> {
    let mut scene = Scene::new("proxy", &[])?;
    let proxy = api::Server::http(|request: Request| {
        echo(407, &request, str::to_owned).header("proxy-authenticate", "Basic realm=\"proxy\"")
    })?;
    let url = |password: &str| format!("http://canary:{password}@{}", proxy.address());
    scene.canary("the proxy's password", PROXY_PASSWORD);
    scene.canary("the outer proxy's password", OUTER_PASSWORD);
    scene.variable("GIT_TOKEN", GIT_TOKEN);
    scene.environment.push(("PROXY", url(PROXY_PASSWORD)));
    scene.environment.push(("http_proxy", url(OUTER_PASSWORD)));
    scene.environment.push(("HTTPS_PROXY", url(OUTER_PASSWORD)));
    let token = "token = { env = \"GIT_TOKEN\" }";
    let by_reference = "connection.proxy = { env = \"PROXY\" }\n";
    for (name, more) in [("by-reference", by_reference), ("from-outside", "")] {
        git(&mut scene, &format!("{name}-plain"), "http://git.example.com/team/app.git", token, more);
        git(&mut scene, &format!("{name}-tls"), "https://git.example.com/team/app.git", token, more);
    }
    scene.asked.push(proxy.log().clone());
    scene._servers.push(Box::new(proxy));
    Ok(scene)
}

/// A program that gets its secret in every way there is, and tells it.
fn monitoring_plugin() -> Result<Scene> {
    let mut scene = Scene::new("exec", &[])?;
    scene.variable("PASSWORD", "monitorCanary/3+eD4rF5tG=6yH7u");
    scene.configuration = r#"
version = 1
plugins.enable = ["exec"]
[integration.tells]
provider = "exec"
settings.program = "/bin/sh"
settings.args = ["{file:script}", "{file:options}"]
settings.stdin = "{secret:password}"
secrets.password = { env = "PASSWORD" }
[integration.tells.settings.files]
script = 'cat "$1"; base64 -w0 "$1"; cat >&2; sleep 0.3; exit 2'
options = "password={secret:password}\n"
"#
    .to_owned();
    Ok(scene)
}

fn nowhere(scene: Result<Scene>) -> Result<()> {
    let scene = scene?;
    let seen = scene.run(false)?;
    ensure!(seen.is_empty(), "{seen:#?}");
    let report: Report = serde_json::from_slice(&fs::read(scene.bench.path().join("report.json"))?)?;
    for name in &scene.passing {
        let integration = report.integrations.iter().find(|it| it.name == *name).context("it is not in the report")?;
        ensure!(integration.verdict == Status::Pass, "{name}: {integration:#?}");
    }
    for log in &scene.asked {
        let headers = log.entries().into_iter().flat_map(|request| request.headers);
        let sent = headers.map(|(_, value)| value).collect::<Vec<_>>().join("\n");
        ensure!(!scene.search("a request", sent.as_bytes()).is_empty(), "{}: no canary was sent", scene.name);
    }
    Ok(())
}

#[test]
fn a_plugin_that_tells_its_secrets_is_not_heard() -> Result<()> {
    nowhere(told())
}

#[test]
fn plugins_in_other_languages_that_tell_their_secrets_are_not_heard() -> Result<()> {
    if !require("canary-doors", &["cc", "python3"]) {
        return Ok(());
    }
    nowhere(told_in_other_languages())
}

#[test]
fn what_aws_echoes_is_not_shown() -> Result<()> {
    nowhere(clouds::aws())
}

#[test]
fn what_google_cloud_echoes_is_not_shown() -> Result<()> {
    nowhere(clouds::gcp())
}

#[test]
fn what_azure_echoes_is_not_shown() -> Result<()> {
    nowhere(clouds::azure())
}

#[test]
fn what_forges_echo_is_not_shown() -> Result<()> {
    nowhere(forges::github())?;
    nowhere(forges::gitlab())
}

#[test]
fn what_a_git_host_echoes_is_not_shown_and_git_does_not_show_its_token() -> Result<()> {
    nowhere(git_over_http())
}

#[test]
fn ssh_does_not_show_its_key() -> Result<()> {
    nowhere(git_over_ssh())
}

#[test]
fn what_a_proxy_echoes_is_not_shown() -> Result<()> {
    nowhere(proxies())
}

#[test]
fn what_a_monitoring_plugin_tells_is_not_shown() -> Result<()> {
    nowhere(monitoring_plugin())
}

#[test]
fn what_an_api_server_echoes_is_not_shown() -> Result<()> {
    nowhere(clusters::kubernetes())
}

/// The same scenes, with redaction switched off, as a debug build can be told.
#[test]
#[cfg(debug_assertions)]
fn with_redaction_switched_off_the_canaries_are_seen() -> Result<()> {
    // Of what a proxy says nothing is shown in any case.
    let mut scenes = vec![
        told()?,
        clouds::aws()?,
        clouds::azure()?,
        clouds::gcp()?,
        forges::github()?,
        forges::gitlab()?,
        git_over_http()?,
        monitoring_plugin()?,
        clusters::kubernetes()?,
    ];
    if require("canary-doors-unredacted", &["cc", "python3"]) {
        scenes.push(told_in_other_languages()?);
    }
    for scene in scenes {
        let seen = scene.run(true)?;
        let stdout = seen.iter().any(|place| place.contains("in stdout of check"));
        let file = seen.iter().any(|place| place.contains("report.json"));
        ensure!(stdout && file, "{}: redaction is off, and nothing is seen: {seen:#?}", scene.name);
    }
    Ok(())
}

#[test]
fn the_search_finds_every_form() {
    let value = TOLD[0];
    let canary = Canary::new("it", value);
    let check = |text: String, form: &str| {
        assert_eq!(canary.seen_in(format!("before {text} after").as_bytes()), Some(format!("it {form}")), "{text}");
    };
    check(value.to_owned(), "in part");
    check(value[3..20].to_owned(), "in part");
    check(STANDARD.encode(value), "in base64");
    check(STANDARD.encode(format!("user:{value}")), "in base64");
    check(URL_SAFE_NO_PAD.encode(format!("u:{value}:tail")), "in base64");
    // Without what looks the same in every form.
    let odd = Canary::new("odd", "\"\\\"\\ \"\\\"\\ \"\\");
    let odd_text = "\"\\\"\\ \"\\\"\\ \"\\";
    let encoded = utf8_percent_encode(odd_text, NON_ALPHANUMERIC).to_string();
    assert_eq!(odd.seen_in(encoded.as_bytes()), Some("odd url-encoded".to_owned()));
    assert_eq!(odd.seen_in(encoded.to_lowercase().as_bytes()), Some("odd url-encoded".to_owned()));
    assert_eq!(odd.seen_in(serde_json::json!(odd_text).to_string().as_bytes()), Some("odd in JSON".to_owned()));
    assert_eq!(canary.seen_in(b"nothing of the kind"), None);
}

#[test]
fn the_search_finds_what_other_processes_are_given() -> Result<()> {
    let mut scene = Scene::new("control", &[])?;
    let [argument, variable, file] = TOLD;
    scene.canary("argument", argument);
    scene.canary("variable", variable);
    scene.canary("file", file);
    let path = scene.bench.temporary().join("open");
    // A process that starts another one with all of it, and waits for it.
    let mut command = clean_command("sh");
    command.args(["-c", "umask 022; printf %s \"$3\" > \"$2\"; sh -c 'sleep 1; :' it \"$1\"; :", "control"]);
    command.args([argument, &path.display().to_string(), file]).env("VARIABLE", variable);
    let (_, seen) = scene.watch(command)?;
    let places = [
        "control: argument in part in the arguments of sh -c sleep",
        "control: variable in part in the environment of sh -c sleep",
        "control: file in part in /",
    ];
    for place in places {
        ensure!(seen.iter().any(|seen| seen.starts_with(place)), "{place}: {seen:#?}");
    }
    Ok(())
}

/// A mistake shows the lines around it; what they hold may be secret.
#[test]
fn a_mistake_in_the_configuration_shows_no_secret() -> Result<()> {
    let value = "literalCanary-5tG6hJ7kL8z";
    let canary = Canary::new("the literal", value);
    let head = "version = 1\nplugins.enable = [\"misbehaving\"]\n[integration.x]\nprovider = \"misbehaving\"\n";
    for (mistake, says) in [
        (format!("{head}secrets.token = {value:?}\n"), "secret"),
        (format!("{head}secrets.token = {{ env = \"X\" }} # {value}\nsecrets.tokken = {value:?}\n"), "tokken"),
        (format!("{head}secrets.token = {{ value = {value:?} }}\n"), "value"),
        (format!("{head}secrets.token = \"{value}\nlabels = 1\n"), "lineman.toml"),
        (format!("{head}connection.proxy = \"http://u:{value}@proxy:1\"\n"), "proxy"),
        (format!("{head}connection.endpoint_url = \"http://u:{value}@host:1\"\n"), "endpoint_url"),
        (format!("{head}token = {value:?}\nsettings.behaviour = \"well\"\n"), "token"),
    ] {
        let bench = Bench::with(&["checks"])?;
        let outcome = Outcome::of(&mut bench.checking(&mistake)?)?;
        ensure!(outcome.exit == 2 && outcome.stderr.contains(says), "{mistake}\n{outcome:?}");
        let shown = [outcome.stdout.as_bytes(), outcome.stderr.as_bytes()].concat();
        ensure!(canary.seen_in(&shown).is_none(), "{mistake}\n{}", outcome.stderr);
    }
    Ok(())
}

/// A command that fails has said something, perhaps the secret.
#[test]
fn a_command_that_fails_does_not_show_what_it_gave() -> Result<()> {
    let value = "failingCanary-2wS3xE4dC5r";
    let canary = Canary::new("what the command gave", value);
    let mut scene = Scene::new("failing", &["checks"])?;
    let script = scene.given("fails", &format!("echo {value}; exit 3"))?;
    scene.configuration = format!(
        "version = 1\nplugins.enable = [\"misbehaving\"]\n[integration.x]\nprovider = \"misbehaving\"\nsettings.behaviour = \"well\"\n\
         secrets.token = {{ command = [\"sh\", {script:?}] }}\n"
    );
    scene.canaries.push(canary);
    let seen = scene.run(false)?;
    ensure!(seen.is_empty(), "{seen:#?}");
    Ok(())
}
