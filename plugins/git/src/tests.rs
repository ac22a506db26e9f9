//! The checks against servers that speak the real protocols to the real `ssh` and `git`.

mod over_http;

use std::fs;
use std::path::PathBuf;

use lineman_lab::api::{Response, Server as Web};
use lineman_lab::keys::{self, Format, KeyPair, Kind};
use lineman_lab::net::{Blackhole, ClosedPort, Credentials, HangUp, Proxy, Reset, Silence};
use lineman_lab::repository::{Repository, Right};
use lineman_lab::ssh::{Acceptance, Account, Options, Server};
use lineman_lab::tls::Tls;
use lineman_lab::{http, ssh};
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
    for flavour in ["github", "gitlab", "gitolite", "git-shell"] {
        check(Kind::Ed25519, "team/gone.git", json!({}), &named(flavour), ("read", Cause::RepoNoAccess)).await;
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
    check(web.address(), Cause::ConfigEndpointWrong).await;
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
            integration.connection.proxies = vec![proxy_at(&url)];
        });
        assert_eq!(run(&harness).await, expect, "{url}");
    };
    check(format!("http://me:p%40ss%3Aw%2Frd@{}", proxy.address()), &["write: skip"]).await;
    assert!(proxy.log().lines().iter().filter(|line| line.starts_with("CONNECT")).count() >= 3);
    check(format!("http://me:wrong@{}", proxy.address()), &["reach: fail proxy-auth-rejected"]).await;
}

fn proxy_at(url: &str) -> lineman_sdk::Proxy {
    lineman_sdk::Proxy { scheme: "all".into(), url: Secret::new(url), chosen_by: "connection.proxy".into() }
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

#[tokio::test(flavor = "multi_thread")]
async fn no_program_is_sent_where_no_credential_may_go() {
    let (place, key) = (Place::new(), key());
    for url in [format!("ssh://git@169.254.169.254/{REPOSITORY}"), format!("https://169.254.169.254/{REPOSITORY}")] {
        let harness = place.harness(json!({ "url": url })).secret("ssh_key", &key.private).secret("token", TOKEN);
        for check in ["reach", "host-key", "auth", "clone", "write"] {
            let seen = harness.check(check).await;
            let refused = seen.cause() == Some(&Cause::ConfigEndpointWrong);
            assert!(refused || seen.status == Status::Skip, "{url} {check}: {seen:?}");
        }
    }
}
