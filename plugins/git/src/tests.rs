//! The checks against servers that speak the real protocols to the real `ssh` and `git`.

use std::fs;
use std::path::{Path, PathBuf};

use lineman_lab::api::{Response, Server as Web};
use lineman_lab::keys::{self, Format, KeyPair, Kind};
use lineman_lab::net::{Blackhole, ClosedPort, Credentials, HangUp, Proxy, Reset, Silence};
use lineman_lab::repository::{Repository, Right};
use lineman_lab::ssh::{Acceptance, Account, Options, Server};
use lineman_lab::tls::{Authority, Certificate, Tls};
use lineman_lab::{Fault, http, ssh};
use lineman_sdk::testing::{Harness, Seen};
use serde_json::{Value, json};

use super::*;

const REPOSITORY: &str = "team/app.git";
const CHECKS: [&str; 8] = ["config", "ssh-key", "reach", "host-key", "auth", "read", "clone", "write"];
const TOKEN: &str = "glpat-0123456789abcdef0123";

fn program(name: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("these tests need {name}")).display().to_string()
}

/// A directory with a repository in it, and room for the integration.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("work")).unwrap();
        Repository::create(&directory.path().join("repositories"), REPOSITORY).unwrap();
        Place { directory }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("repositories")
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        keys::restrict(&path).unwrap();
        path.display().to_string()
    }

    fn harness(&self, settings: Value) -> Harness<Git> {
        Harness::<Git>::new()
            .settings(settings)
            .program("ssh", &program("ssh"))
            .program("git", &program("git"))
            .directory(self.directory.path().join("work"))
    }

    /// What is left where the integration worked.
    fn leftovers(&self) -> usize {
        fs::read_dir(self.directory.path().join("work")).unwrap().count()
    }
}

fn key() -> KeyPair {
    keys::generate(Kind::Ed25519).unwrap()
}

fn reader(key: &KeyPair) -> Account {
    Account::new("deploy", &key.public).unwrap().everywhere(Right::Read)
}

/// Runs all checks in order and tells each that is not a plain pass: `name: status code`.
async fn run(harness: &Harness<Git>) -> Vec<String> {
    let mut said = Vec::new();
    for check in CHECKS {
        let seen = harness.check(check).await;
        assert!(!leaks(harness, &seen), "{check} shows a secret: {seen:?}");
        let codes: Vec<&str> = seen.findings.iter().map(|finding| finding.code.trim_start_matches("git/")).collect();
        if seen.status != Status::Pass || !codes.is_empty() {
            said.push(format!("{check}: {} {}", seen.status, codes.join(" ")).trim_end().to_owned());
        }
        // What needs it is not run by the host.
        if matches!(seen.status, Status::Fail | Status::Unknown | Status::Error) {
            break;
        }
    }
    said
}

/// Everything before a check passes or does not apply, and the check fails with a cause.
async fn fails_at(harness: &Harness<Git>, expect: &(&str, Cause)) {
    for check in CHECKS {
        let seen = harness.check(check).await;
        assert!(!leaks(harness, &seen), "{check} shows a secret: {seen:?}");
        if check == expect.0 {
            assert_eq!((seen.status, seen.cause()), (Status::Fail, Some(&expect.1)), "{check}: {seen:?}");
            return;
        }
        assert!(matches!(seen.status, Status::Pass | Status::Skip), "{check}: {seen:?}");
    }
    panic!("there is no check {}", expect.0);
}

fn leaks(harness: &Harness<Git>, seen: &Seen) -> bool {
    harness.leaks(&format!("{seen:?}"))
}

fn server(place: &Place, options: impl FnOnce(Options) -> Options) -> Server {
    options(Options::new(&place.root()).unwrap()).start().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_key_walks_all_the_way_on_one_authentication_and_a_clone() {
    let (place, key) = (Place::new(), key());
    let server = server(&place, |options| options.account(reader(&key)));
    let known_hosts = place.file("known_hosts", &server.known_hosts());
    let harness = place
        .harness(json!({ "url": server.url(REPOSITORY), "known_hosts_file": known_hosts, "ref": "main" }))
        .secret("ssh_key", &key.private);
    assert_eq!(run(&harness).await, ["write: skip"]);
    let execs: Vec<String> = server.log().lines().into_iter().filter(|line| line.starts_with("exec")).collect();
    assert_eq!(execs.len(), 2, "one for host key, authentication and read, one for the clone: {execs:?}");
    drop(harness);
    assert_eq!(place.leftovers(), 0, "the private directories are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_stored_key_reaches_the_repository() {
    let place = Place::new();
    let formats = [
        (Kind::Ed25519, Format::OpenSsh, Some("open sesame")),
        (Kind::Rsa, Format::Pem, None),
        (Kind::Rsa, Format::Pem, Some("open sesame")),
        (Kind::Ecdsa, Format::Pkcs8, Some("open sesame")),
    ];
    for (kind, format, passphrase) in formats {
        let key = keys::generate_as(kind, format, passphrase).unwrap();
        let server = server(&place, |options| options.account(reader(&key)));
        let known_hosts = place.file("known_hosts", &server.known_hosts());
        let harness = place
            .harness(json!({ "url": server.url(REPOSITORY), "known_hosts_file": known_hosts }))
            .secret("ssh_key", &key.private)
            .secret("ssh_key_passphrase", passphrase.unwrap_or_default());
        assert_eq!(run(&harness).await, ["write: skip"], "{kind:?} {format:?} {passphrase:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_key_is_judged_before_anything_is_offered() {
    let (place, key) = (Place::new(), key());
    let server = server(&place, |options| options.account(reader(&key)));
    let approved = server.known_hosts();
    let print = fingerprint(approved.split_once(' ').unwrap().1);
    let known_hosts = place.file("known_hosts", &approved);
    let check = async |more: Value, expect: &[&str], authentications: bool| {
        let mut settings = json!({ "url": server.url(REPOSITORY) });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let asked = server.log().entries().len();
        let harness = place.harness(settings).secret("ssh_key", &key.private);
        assert_eq!(run(&harness).await, expect, "{more}");
        let tried = server.log().entries()[asked..].iter().any(|request| request.method == "publickey");
        assert_eq!(tried, authentications, "{more}");
    };
    check(json!({}), &["host-key: fail host-key-unknown"], false).await;
    check(json!({ "host_key_fingerprints": [print] }), &["write: skip"], true).await;
    check(json!({ "known_hosts_file": known_hosts }), &["write: skip"], true).await;
    let other = format!("SHA256:{}", "A".repeat(43));
    check(json!({ "host_key_fingerprints": [other] }), &["host-key: fail host-key-changed"], false).await;
    let revoked = place.file("revoked", &format!("@revoked {approved}"));
    check(json!({ "known_hosts_file": revoked }), &["host-key: fail host-key-revoked"], false).await;
    check(
        json!({ "known_hosts_file": place.file("empty", "not an entry\n"), "host_key_fingerprints": [print] }),
        &["host-key: warn known-hosts-broken host-key-not-in-file", "write: skip"],
        true,
    )
    .await;
    server.change_host_key(&keys::generate(Kind::Ed25519).unwrap().private).unwrap();
    check(json!({ "known_hosts_file": known_hosts }), &["host-key: fail host-key-changed"], false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_offered_once_and_told() {
    let (place, key) = (Place::new(), key());
    let server = server(&place, |options| options.acceptance(Acceptance::Nothing));
    let known_hosts = place.file("known_hosts", &server.known_hosts());
    let harness = place
        .harness(json!({ "url": server.url(REPOSITORY), "known_hosts_file": known_hosts }))
        .secret("ssh_key", &key.private);
    let seen = harness.check("auth").await;
    assert_eq!((seen.status, seen.cause()), (Status::Fail, Some(&Cause::SshKeyRejected)), "{seen:?}");
    assert!(format!("{seen:?}").contains(&fingerprint(&key.public)), "the finding names the key: {seen:?}");
    harness.check("auth").await;
    harness.check("read").await;
    let offered = server.log().entries().iter().filter(|request| request.method == "publickey").count();
    assert_eq!(offered, 1);
}

fn fingerprint(public: &str) -> String {
    let key = ssh_key::PublicKey::from_openssh(public).unwrap();
    key.fingerprint(ssh_key::HashAlg::Sha256).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_over_ssh_have_their_causes() {
    let place = Place::new();
    let check = async |kind: Kind,
                       repository: &str,
                       settings: Value,
                       options: &dyn Fn(Options, &KeyPair) -> Options,
                       expect: (&str, Cause)| {
        let key = keys::generate(kind).unwrap();
        let server = server(&place, |base| options(base, &key));
        let known_hosts = place.file("known_hosts", &server.known_hosts());
        let mut all = json!({ "url": server.url(repository), "known_hosts_file": known_hosts });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let harness = place.harness(all).secret("ssh_key", &key.private);
        fails_at(&harness, &expect).await;
    };
    let account = |options: Options, key: &KeyPair| options.account(reader(key));
    let named = |flavour: &'static str| {
        move |options: Options, key: &KeyPair| {
            options.account(reader(key)).flavour(ssh::Flavour::named(flavour).unwrap())
        }
    };
    check(
        Kind::Rsa,
        REPOSITORY,
        json!({}),
        &|options, key| account(options, key).acceptance(Acceptance::Sha1),
        ("auth", Cause::SshAlgorithm),
    )
    .await;
    let sha1_host =
        |options: Options, key: &KeyPair| account(options, key).host_key(&key.private).unwrap().sha1_host_key();
    check(Kind::Rsa, REPOSITORY, json!({}), &sha1_host, ("host-key", Cause::SshAlgorithm)).await;
    check(Kind::Ed25519, REPOSITORY, json!({ "ref": "gone" }), &account, ("read", Cause::ResourceNotFound)).await;
    for (flavour, cause) in [
        ("github", Cause::RepoNoAccess),
        ("gitlab", Cause::RepoNoAccess),
        ("gitolite", Cause::RepoNoAccess),
        ("git-shell", Cause::ConfigInvalid),
    ] {
        check(Kind::Ed25519, "team/gone.git", json!({}), &named(flavour), ("read", cause)).await;
    }
    for flavour in ["github", "gitlab", "gitolite"] {
        check(
            Kind::Ed25519,
            REPOSITORY,
            json!({ "access": "write" }),
            &named(flavour),
            ("write", Cause::PermissionInsufficient),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_in_the_place_of_ssh_is_told() {
    let (place, key) = (Place::new(), key());
    let check = async |address: std::net::SocketAddr, expect: Cause| {
        let settings = json!({ "url": format!("ssh://git@{address}/{REPOSITORY}") });
        let harness = place.harness(settings).secret("ssh_key", &key.private).with(|integration| {
            integration.connection.timeout_ms = Some(1500);
        });
        let seen = harness.deadline(std::time::Duration::from_secs(2)).check("reach").await;
        assert_eq!((seen.status, seen.cause()), (Status::Fail, Some(&expect)), "{address}: {seen:?}");
    };
    let web = Web::http(|_| Response::new(200)).unwrap();
    check(ClosedPort::new().unwrap().address(), Cause::NetworkRefused).await;
    check(Blackhole::new(Silence::Accepting).unwrap().address(), Cause::NetworkTimeout).await;
    check(Reset::new(HangUp::AtOnce).unwrap().address(), Cause::NetworkReset).await;
    // It waits for a request, like one that has nothing to say.
    check(web.address(), Cause::NetworkTimeout).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_goes_through_the_proxy_with_its_password() {
    let (place, key) = (Place::new(), key());
    let server = server(&place, |options| options.account(reader(&key)));
    let proxy = Proxy::with().credentials(Credentials::basic("me", "p@ss:w/rd")).start().unwrap();
    let known_hosts = place.file("known_hosts", &server.known_hosts());
    let check = async |url: String, expect: &[&str]| {
        let settings = json!({ "url": server.url(REPOSITORY), "known_hosts_file": known_hosts });
        let harness = place.harness(settings).secret("ssh_key", &key.private).with(|integration| {
            integration.connection.proxies = vec![lineman_model_proxy(&url)];
        });
        assert_eq!(run(&harness).await, expect, "{url}");
    };
    check(format!("http://me:p%40ss%3Aw%2Frd@{}", proxy.address()), &["write: skip"]).await;
    assert!(proxy.log().lines().iter().filter(|line| line.starts_with("CONNECT")).count() >= 3);
    check(format!("http://me:wrong@{}", proxy.address()), &["reach: fail proxy-auth-rejected"]).await;
}

fn lineman_model_proxy(url: &str) -> lineman_model::Proxy {
    lineman_model::Proxy { scheme: "all".into(), url: Secret::new(url), chosen_by: "connection.proxy".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_files_are_read_where_ssh_reads_them() {
    use std::os::unix::fs::PermissionsExt;
    let (place, key) = (Place::new(), key());
    let server = server(&place, |options| options.account(reader(&key)));
    let (file, known_hosts) = (place.file("id", &key.private), place.file("known_hosts", &server.known_hosts()));
    let settings = json!({ "url": server.url(REPOSITORY), "known_hosts_file": known_hosts, "ssh_key_file": file });
    assert_eq!(run(&place.harness(settings.clone())).await, ["write: skip"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(run(&place.harness(settings.clone())).await, ["ssh-key: fail key-too-open"]);
    fs::remove_file(&file).unwrap();
    assert_eq!(run(&place.harness(settings)).await, ["ssh-key: fail key-file-missing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_walks_all_the_way_over_https() {
    let place = Place::new();
    let authority = Authority::new().unwrap();
    let tls = authority.tls(Certificate::Good).unwrap();
    let account = http::Account::token(TOKEN).everywhere(Right::Write);
    let server = http::Server::start(&place.root(), tls, [account]).unwrap();
    let trusting = |harness: Harness<Git>, ca: &Path| {
        let file = ca.display().to_string();
        harness.with(|integration| {
            integration.connection.ca = Some(lineman_model::CaBundle {
                file: Some(file),
                directory: None,
                chosen_by: "connection.ca_file".into(),
            });
        })
    };
    let settings = json!({ "url": server.url(REPOSITORY), "access": "write", "ref": "v1.0" });
    let harness = trusting(place.harness(settings.clone()), &authority.ca_file()).secret("token", TOKEN);
    assert_eq!(run(&harness).await, ["ssh-key: skip", "host-key: skip"]);
    drop(harness);
    assert_eq!(place.leftovers(), 0, "the credential file is gone");

    let harness = trusting(place.harness(settings.clone()), &authority.ca_file()).secret("token", "glpat-wrong");
    let seen = harness.check("auth").await;
    assert_eq!((seen.status, seen.cause()), (Status::Fail, Some(&Cause::CredentialInvalid)), "{seen:?}");

    let harness = place.harness(settings).secret("token", TOKEN);
    assert_eq!(run(&harness).await, ["ssh-key: skip", "reach: fail tls-unknown-issuer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_over_http_have_their_causes() {
    let place = Place::new();
    let reader = http::Account::token(TOKEN).user("deploy").everywhere(Right::Read);
    let server = http::Server::start(&place.root(), Tls::Off, [reader]).unwrap();
    let check = async |settings: Value, token: Option<&str>, expect: (&str, Cause)| {
        let mut all = json!({ "url": server.url(REPOSITORY) });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let mut harness = place.harness(all.clone()).secret("username", "deploy");
        if let Some(token) = token {
            harness = harness.secret("token", token);
        }
        fails_at(&harness, &expect).await;
    };
    check(json!({}), None, ("auth", Cause::CredentialMissing)).await;
    check(json!({}), Some("wrong"), ("auth", Cause::CredentialInvalid)).await;
    check(json!({ "url": server.url("team/gone.git") }), Some(TOKEN), ("read", Cause::RepoNoAccess)).await;
    check(json!({ "ref": "gone" }), Some(TOKEN), ("read", Cause::ResourceNotFound)).await;
    check(json!({ "access": "write" }), Some(TOKEN), ("write", Cause::PermissionInsufficient)).await;
    check(json!({ "access": "write" }), None, ("config", Cause::CredentialMissing)).await;
    check(json!({}), Some("******"), ("config", Cause::CredentialMalformed)).await;
    check(json!({}), Some("to ken"), ("config", Cause::CredentialMalformed)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_program_is_proved_without() {
    let (place, key) = (Place::new(), key());
    let server = server(&place, |options| options.account(reader(&key)));
    let settings = json!({ "url": server.url(REPOSITORY) });
    let harness = Harness::<Git>::new()
        .settings(settings)
        .secret("ssh_key", &key.private)
        .directory(place.directory.path().join("work"));
    assert_eq!(run(&harness).await, ["host-key: unknown tool-missing"]);

    let reader = http::Account::token(TOKEN).everywhere(Right::Read);
    let server = http::Server::start(&place.root(), Tls::Off, [reader]).unwrap();
    let harness = Harness::<Git>::new()
        .settings(json!({ "url": server.url(REPOSITORY) }))
        .secret("token", TOKEN)
        .directory(place.directory.path().join("work"));
    assert_eq!(run(&harness).await, ["ssh-key: skip", "host-key: skip", "clone: unknown tool-missing"]);
}

#[tokio::test]
async fn settings_that_do_not_fit_are_named() {
    let place = Place::new();
    let check = async |settings: Value, secrets: &[(&str, &str)], expect: &[&str]| {
        let harness =
            secrets.iter().fold(place.harness(settings.clone()), |harness, (name, value)| harness.secret(name, value));
        let seen = harness.check("config").await;
        let codes: Vec<&str> = seen.findings.iter().map(|finding| finding.code.trim_start_matches("git/")).collect();
        assert_eq!(codes, expect, "{settings}: {seen:?}");
        assert!(!leaks(&harness, &seen), "{settings}");
    };
    let (key, token) = (("ssh_key", "x"), ("token", TOKEN));
    check(json!({ "url": "git@host:a/b" }), &[key], &[]).await;
    check(json!({ "url": "https://host/a/b" }), &[token], &[]).await;
    check(json!({ "url": "https://host/a/b" }), &[], &[]).await;
    check(json!({ "url": "file:///srv/x" }), &[], &["url-refused"]).await;
    check(json!({ "url": "git@host:a/b", "ssh_key_file": "/x" }), &[key], &["two-keys"]).await;
    check(json!({ "url": "git@host:a/b" }), &[key, token], &["credential-unused"]).await;
    check(json!({ "url": "https://host/a/b" }), &[key, token], &["credential-unused"]).await;
    check(json!({ "url": "git@host:2222/a/b" }), &[key], &["port-in-path"]).await;
    check(json!({ "url": "git@bitbucket.org:a/b" }), &[key], &["host-moved"]).await;
    check(json!({ "url": "http://host/a/b" }), &[token], &["token-in-clear"]).await;
    check(json!({ "url": "https://host/a/b" }), &[("token", "<token>")], &["token-placeholder"]).await;
    check(json!({ "url": "git@host:a/b", "ref": "a..b" }), &[key], &["ref-invalid"]).await;
    check(json!({ "url": "git@host:a/b", "ref": "-x" }), &[key], &["ref-invalid"]).await;
    check(json!({ "url": "git@host:a/b", "ref": "feature/x-1" }), &[key], &[]).await;
    check(json!({ "url": "git@host:a/b", "host_key_fingerprints": ["SHA256:x"] }), &[key], &["fingerprint-invalid"])
        .await;
    let print = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";
    check(json!({ "url": "git@host:a/b", "host_key_fingerprints": [print] }), &[key], &[]).await;
}

/// A reference advertisement of one branch.
fn advertised() -> String {
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let id = "1f7391f92b6a3792204e07e99f71f643cc35e7e1";
    line("# service=git-upload-pack\n") + "0000" + &line(&format!("{id} refs/heads/main\0agent=git/2\n")) + "0000"
}

fn git_answer() -> Response {
    Response::new(200).header("content-type", "application/x-git-upload-pack-advertisement").body(advertised())
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_answers_over_http_are_told_apart() {
    let place = Place::new();
    type Answer = fn(&lineman_lab::Request) -> Response;
    let check = async |answer: Answer, expect: &[&str]| {
        let server = Web::http(move |request| answer(&request)).unwrap();
        let settings = json!({ "url": format!("{}/{REPOSITORY}", server.url()) });
        let harness = place.harness(settings).secret("token", TOKEN);
        let mut said = Vec::new();
        for check in ["auth", "read"] {
            let seen = harness.check(check).await;
            assert!(!leaks(&harness, &seen), "{seen:?}");
            said.extend(seen.findings.iter().map(|finding| format!("{check} {} {}", seen.status, finding.cause)));
            said.extend(seen.outcome.not_proved.iter().map(|what| format!("{check} not proved: {}", what.what)));
        }
        assert_eq!(said, expect);
    };
    let private: Answer = |request| match request.header("authorization") {
        Some(_) => git_answer(),
        None => Response::new(401),
    };
    check(private, &[]).await;
    check(|_| git_answer(), &["auth not proved: that the token is good"]).await;
    check(|_| Response::new(404), &["auth not proved: that the token is good", "read fail repo.no-access"]).await;
    let page: Answer = |_| Response::new(200).header("content-type", "text/html").body("<h1>Sign in</h1>");
    check(page, &["auth fail config.endpoint-wrong", "read fail config.endpoint-wrong"]).await;
    check(|_| Response::new(503), &["auth unknown provider.outage", "read unknown provider.outage"]).await;
    check(|_| Response::new(429), &["auth unknown provider.rate-limited", "read unknown provider.rate-limited"]).await;
    let moved: Answer = |request| match (request.path().starts_with("/new/"), request.header("authorization")) {
        (_, None) => Response::new(401),
        (true, _) => git_answer(),
        (false, _) => Response::new(301).header("location", format!("/new{}", request.target)),
    };
    check(moved, &["read warn config.endpoint-wrong"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_follows_no_redirect_to_another_host() {
    let place = Place::new();
    let thief = Web::http(|_| git_answer()).unwrap();
    let elsewhere = thief.url().replace("127.0.0.1", "localhost");
    let server =
        Web::http(move |request| Response::new(302).header("location", format!("{elsewhere}{}", request.target)))
            .unwrap();
    let settings = json!({ "url": format!("{}/{REPOSITORY}", server.url()) });
    let harness = place.harness(settings).secret("token", TOKEN);
    assert_eq!(harness.check("auth").await.cause(), Some(&Cause::ConfigEndpointWrong));
    assert!(thief.log().entries().is_empty());
}

/// The budget rests on this: what each check asks of the server, and that a retry asks again.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_asked_again_and_a_rejection_is_not() {
    let place = Place::new();
    let reader = http::Account::token(TOKEN).everywhere(Right::Read);
    let server = http::Server::start(&place.root(), Tls::Off, [reader]).unwrap();
    let with_credential =
        || server.log().entries().iter().filter(|request| request.header("authorization").is_some()).count();
    let settings = json!({ "url": server.url(REPOSITORY) });
    server.faults().next(Fault::named("git/service-unavailable").unwrap(), 2);
    let harness = place.harness(settings.clone()).secret("token", TOKEN);
    assert_eq!(harness.check("auth").await.status, Status::Unknown);
    assert_eq!(harness.check("auth").await.status, Status::Pass);
    assert_eq!(harness.check("read").await.status, Status::Pass);
    assert_eq!(with_credential(), 2);

    let harness = place.harness(settings).secret("token", "wrong");
    for _ in 0..2 {
        assert_eq!(harness.check("auth").await.cause(), Some(&Cause::CredentialInvalid));
    }
    assert_eq!(with_credential(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_refusals_of_forges_have_their_causes() {
    let place = Place::new();
    let reader = http::Account::token(TOKEN).everywhere(Right::Read);
    let server = http::Server::start(&place.root(), Tls::Off, [reader]).unwrap();
    let check = async |fault: &str, status: Status, cause: Cause| {
        server.faults().clear();
        server.faults().always(Fault::named(fault).unwrap());
        let harness = place.harness(json!({ "url": server.url(REPOSITORY) })).secret("token", TOKEN);
        let mut seen = harness.check("auth").await;
        if seen.findings.is_empty() {
            seen = harness.check("read").await;
        }
        assert_eq!((seen.status, seen.cause()), (status, Some(&cause)), "{fault}: {seen:?}");
    };
    use Status::{Fail, Unknown};
    check("git/unauthorized", Fail, Cause::CredentialInvalid).await;
    check("git/password-removed", Fail, Cause::CredentialInvalid).await;
    check("git/forbidden", Fail, Cause::PermissionInsufficient).await;
    check("git/not-found", Fail, Cause::RepoNoAccess).await;
    check("git/sso-required", Fail, Cause::CredentialChallengeRequired).await;
    check("git/ip-not-allowed", Fail, Cause::NetworkIpNotAllowed).await;
    check("git/account-suspended", Fail, Cause::AccountSuspended).await;
    check("git/rate-limited", Unknown, Cause::ProviderRateLimited).await;
    check("git/service-unavailable", Unknown, Cause::ProviderOutage).await;
    check("git/server-error", Unknown, Cause::ProviderOutage).await;
    check("git/redirect-to-login", Fail, Cause::ConfigEndpointWrong).await;
    check("git/login-page", Fail, Cause::ConfigEndpointWrong).await;
    check("git/signin-203", Fail, Cause::CredentialInvalid).await;
    check("git/empty-reply", Unknown, Cause::NetworkReset).await;
}
