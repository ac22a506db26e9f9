//! Stages with simulated providers: what hosts them for real cannot be had in a test.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use lineman_lab::azure;
use lineman_lab::github::{self, Variant};
use lineman_lab::tls::{Authority, Certificate, Tls};
use lineman_lab::{api, faults, gcp, gitlab};
use lineman_tests::{Described, ForgeClient, Names, Outcome, Proxies, Site, Stubs, Table, require};
use serde_json::{Value, json};

use crate::stage::Stage;

impl Stage {
    /// A GitHub, an Enterprise Server behind a private authority, two whose clocks are off, and
    /// one for each documented fault.
    pub(crate) fn github(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::bare();
        let authority = Authority::new()?;
        let start = |variant: Variant| github::Server::start(Tls::Off, variant);
        let hub = start(Variant::default())?;
        let enterprise = Variant { enterprise: true, ..Variant::default() };
        let enterprise = github::Server::start(authority.tls(Certificate::Good)?, enterprise)?;
        let names = &mut stage.names;
        github_names(&hub, names)?;
        names.set("enterprise", enterprise.url());
        names.set("enterprise-website", enterprise.url().trim_end_matches("/api/v3"));
        names.set("ca", authority.ca_file().display());
        names.set("key.escaped", hub.key("deployer")?.replace('\n', "\\n"));
        let whole = hub.token("platform")?;
        names.set("token.mistyped", format!("{}x", &whole[..whole.len() - 1]));
        // Right by its checksum: GitHub's own example of one.
        names.set("token.foreign", "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");
        for (name, hours) in [("github-ahead", 2), ("github-behind", -2)] {
            let server = start(Variant { ahead: SignedDuration::from_hours(hours), ..Variant::default() })?;
            stage.names.set(name, server.url());
            stage = stage.with(server);
        }
        for fault in faults().iter().filter(|fault| fault.service == "github") {
            let server = start(Variant { fault: Some(&fault.id), ..Variant::default() })?;
            stage.names.set(fault.id.replace('/', "."), server.url());
            stage = stage.with(server);
        }
        stage.forge(directory).map(|stage| stage.with(hub).with(enterprise).with(authority))
    }

    /// A GitLab, one of one's own behind a private authority and below a path, an old one, and one
    /// for each documented fault.
    pub(crate) fn gitlab(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::bare();
        let authority = Authority::new()?;
        let start = |variant: gitlab::Variant| gitlab::Server::start(Tls::Off, variant);
        let current = start(gitlab::Variant::default())?;
        let own = gitlab::Variant { below_a_path: true, ..gitlab::Variant::default() };
        let own = gitlab::Server::start(authority.tls(Certificate::Good)?, own)?;
        let old = start(gitlab::Variant { version: Some("14.10.5"), ..gitlab::Variant::default() })?;
        let names = &mut stage.names;
        names.set("gitlab", current.url());
        names.set("gitlab-below-a-path", own.url());
        names.set("gitlab-website", own.url().trim_end_matches("/gitlab"));
        names.set("gitlab-old", old.url());
        names.set("ca", authority.ca_file().display());
        for name in current.tokens() {
            names.set(format!("token.{name}"), current.token(name)?);
        }
        for fault in faults().iter().filter(|fault| fault.service == "gitlab") {
            let server = start(gitlab::Variant { fault: Some(&fault.id), ..gitlab::Variant::default() })?;
            stage.names.set(fault.id.replace('/', "."), server.url());
            stage = stage.with(server);
        }
        stage.forge(directory).map(|stage| stage.with(current).with(own).with(old).with(authority))
    }

    /// A Google Cloud, one behind a private authority, two whose clocks are off, and one for each
    /// documented fault.
    pub(crate) fn gcp(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::bare();
        let authority = Authority::new()?;
        let start = |variant: gcp::Variant| gcp::Server::start(Tls::Off, variant);
        let cloud = start(gcp::Variant::default())?;
        let private = gcp::Server::start(authority.tls(Certificate::Good)?, gcp::Variant::default())?;
        let names = &mut stage.names;
        google_names(&cloud, directory, names)?;
        names.set("gcp-private", private.url());
        names.set("ca", authority.ca_file().display());
        for (name, hours) in [("gcp-ahead", 2), ("gcp-behind", -2)] {
            let server = start(gcp::Variant { ahead: SignedDuration::from_hours(hours), ..gcp::Variant::default() })?;
            stage.names.set(name, server.url());
            stage = stage.with(server);
        }
        for fault in faults().iter().filter(|fault| fault.service == "gcp") {
            let server = start(gcp::Variant { fault: Some(&fault.id), ..gcp::Variant::default() })?;
            stage.names.set(fault.id.replace('/', "."), server.url());
            stage = stage.with(server);
        }
        stage.forge(directory).map(|stage| stage.with(cloud).with(private).with(authority))
    }

    /// An Azure, one behind a private authority, two whose clocks are off, and one for each documented
    /// fault.
    pub(crate) fn azure(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::bare();
        let authority = Authority::new()?;
        let start = |variant: azure::Variant| azure::Server::start(Tls::Off, variant);
        let cloud = start(azure::Variant::default())?;
        let private = azure::Server::start(authority.tls(Certificate::Good)?, azure::Variant::default())?;
        let names = &mut stage.names;
        names.set("azure", cloud.url());
        names.set("azure-private", private.url());
        names.set("ca", authority.ca_file().display());
        cloud.ids().iter().for_each(|(name, id)| names.set(name.as_str(), id));
        let network = "resourceGroups/net/providers/Microsoft.Network/virtualNetworks/main";
        names.set("vnet.main", format!("/subscriptions/{}/{network}", names.get("subscription.prod")?));
        for name in cloud.secrets() {
            names.set(format!("secret.{name}"), cloud.secret(name)?);
        }
        for name in cloud.certificates() {
            names.set(format!("certificate.{name}"), cloud.certificate(name)?);
        }
        for name in cloud.federations() {
            names.set(format!("federated.{name}"), cloud.federated(name)?);
        }
        names.set("certificate-key", cloud.key());
        names.set("certificate-key-escaped", cloud.key().replace('\n', "\\n"));
        names.set("other-key", cloud.other_key());
        for (name, hours) in [("azure-ahead", 2), ("azure-behind", -2)] {
            let server = start(azure::Variant { ahead: SignedDuration::from_hours(hours), fault: None })?;
            stage.names.set(name, server.url());
            stage = stage.with(server);
        }
        for fault in faults().iter().filter(|fault| fault.service == "azure") {
            let server = start(azure::Variant { fault: Some(&fault.id), ..azure::Variant::default() })?;
            stage.names.set(fault.id.replace('/', "."), server.url());
            stage = stage.with(server);
        }
        stage.forge(directory).map(|stage| stage.with(cloud).with(private).with(authority))
    }

    /// What stages with forges have in common: proxies, broken ends, and a client.
    fn forge(mut self, directory: &Path) -> Result<Stage> {
        let (proxies, stubs) = (Proxies::start(directory)?, Stubs::start()?);
        proxies.name(&mut self.names);
        stubs.name(&mut self.names);
        self.forge = Some(ForgeClient::new(directory)?);
        Ok(self.with(proxies).with(stubs))
    }
}

fn github_names(hub: &github::Server, names: &mut Names) -> Result<()> {
    names.set("github", hub.url());
    for name in hub.tokens() {
        names.set(format!("token.{name}"), hub.token(name)?);
    }
    for app in ["deployer", "eager"] {
        names.set(format!("key.{app}"), hub.key(app)?);
    }
    Ok(())
}

fn google_names(cloud: &gcp::Server, directory: &Path, names: &mut Names) -> Result<()> {
    names.set("gcp", cloud.url());
    for name in cloud.keys() {
        names.set(format!("key.{name}"), cloud.key(name)?);
    }
    for name in cloud.tokens() {
        names.set(format!("token.{name}"), cloud.token(name)?);
    }
    for name in cloud.subjects() {
        names.set(format!("subject.{name}"), cloud.subject_token(name)?);
    }
    let key = cloud.key("deployer")?;
    let pem: Value = serde_json::from_str::<Value>(&key)?["private_key"].take();
    let pem = pem.as_str().unwrap_or_default().replace('\n', "\\n");
    names.set("key.cut", &key[..key.len() / 2]);
    names.set("key.in-base64", STANDARD.encode(&key));
    names.set("key.of-a-user", key.replace("service_account\"", "authorized_user\""));
    names.set("key.pem-cut", key.replace(&pem[200..], ""));
    names.set("key.escaped", key.replace("\\n", "\\\\n"));
    names.set("key.sent-elsewhere", key.replace("oauth2.googleapis.com/token", "oauth2.example.com/token"));
    let file = directory.join("subject-token");
    std::fs::write(&file, cloud.subject_token("workload")?)?;
    names.set("subject-file", file.display());
    let external = cloud.external_account(&json!({ "file": file.display().to_string() }));
    names.set("external.elsewhere", external.replace("providers/forge", "providers/frog"));
    names.set("external", external);
    names.set("external.program", cloud.external_account(&json!({ "executable": { "command": "/bin/true --now" } })));
    Ok(())
}

/// The lab answers what Google's documentation says in prose; here Google's descriptions for
/// machines are held against what the healthy integrations ask.
#[test]
fn google_describes_every_request_that_is_made() {
    if !require("google-described", &["google-discovery"]) {
        return;
    }
    let apis = [
        ("cloudbilling", "v1"),
        ("cloudresourcemanager", "v3"),
        ("compute", "v1"),
        ("iam", "v1"),
        ("iamcredentials", "v1"),
        ("serviceusage", "v1"),
        ("storage", "v1"),
        ("sts", "v1"),
    ];
    let described = Described::google(&apis).unwrap();
    let cloud = gcp::Server::start(Tls::Off, gcp::Variant::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut names = Names::default();
    google_names(&cloud, directory.path(), &mut names).unwrap();
    let table = Table::parse(include_str!("rows/gcp.toml")).unwrap();
    let required = Table::parse(include_str!("rows/gcp-requires.toml")).unwrap();
    // Those that need more servers than this one ask nothing else; the last is for the question that
    // follows a refusal.
    let twins =
        |table: &Table| -> Vec<_> { table.healthy.keys().filter_map(|name| table.twin(name, &names).ok()).collect() };
    let mut integrations = [twins(&table), twins(&required)].concat();
    let refused = table.fault.iter().find(|fault| fault.id == "impersonation-denied").unwrap();
    integrations.push(table.faulty(refused, &names).unwrap());
    for mut integration in integrations {
        // Each service has an endpoint of its own, so that its requests can be told from the others'.
        let own = |service: &&str| ((*service).to_owned(), format!("{}/{service}", cloud.url()).into());
        let endpoints: toml::Table = gcp::SERVICES.iter().map(own).collect();
        integration.connection.remove("endpoint_url");
        integration.connection.insert("endpoints".to_owned(), endpoints.into());
        let directory = tempfile::tempdir().unwrap();
        let outcome = Site::get().unwrap().check(directory.path(), &integration, None).unwrap();
        assert!(outcome.exit == 0 || integration.setting("impersonate").is_some(), "{}", outcome.stdout);
    }
    // The endpoints of OAuth 2.0 and the certificates are described in prose alone.
    let in_prose = ["/oauth2/token", "/oauth2/tokeninfo", "/metadata-certificates/"];
    let prose = |path: &str| {
        path.split('/').nth(2).is_none_or(str::is_empty) || in_prose.iter().any(|known| path.starts_with(known))
    };
    let asked = cloud.log().entries().into_iter().filter(|request| !prose(request.path()));
    let asked: BTreeMap<String, _> = asked.map(|request| (request.to_string(), request)).collect();
    let objections: Vec<String> = asked.values().filter_map(|request| described.objection(request)).collect();
    assert!(objections.is_empty(), "{objections:#?}");
    for (api, _) in apis {
        assert!(
            asked.values().any(|request| request.path().starts_with(&format!("/{api}/"))),
            "{api}: {:?}",
            asked.keys()
        );
    }
}

/// The lab answers what GitHub's documentation says in prose; here GitHub's description for
/// machines is held against what the healthy integrations ask.
#[test]
fn github_describes_every_request_that_is_made() {
    if !require("github-described", &["github-openapi"]) {
        return;
    }
    let described = Described::github().unwrap();
    let hub = github::Server::start(Tls::Off, Variant::default()).unwrap();
    let mut names = Names::default();
    github_names(&hub, &mut names).unwrap();
    let table = Table::parse(include_str!("rows/github.toml")).unwrap();
    // Those that need more servers than this one ask nothing else.
    for integration in table.healthy.keys().filter_map(|name| table.twin(name, &names).ok()) {
        let directory = tempfile::tempdir().unwrap();
        let outcome = Site::get().unwrap().check(directory.path(), &integration, None).unwrap();
        assert_eq!(outcome.exit, 0, "{}", outcome.stdout);
    }
    // GraphQL has a description of its own, of which a query is a part.
    let asked = hub.log().entries().into_iter().filter(|request| request.path() != "/graphql");
    let asked: BTreeMap<String, _> = asked.map(|request| (request.to_string(), request)).collect();
    let objections: Vec<String> = asked.values().filter_map(|request| described.objection(request)).collect();
    assert!(objections.is_empty(), "{objections:#?}");
    assert!(asked.len() >= 10, "{:?}", asked.keys());
}

/// An allow list refuses this machine; an endpoint tells which address the outside sees.
#[test]
fn the_address_that_the_outside_sees_is_held_against_the_platforms() {
    let hub = github::Server::start(Tls::Off, Variant::default()).unwrap();
    let echo = api::Server::http(|_| api::Response::new(200).body("192.0.2.10\n")).unwrap();
    let mute = api::Server::http(|_| api::Response::new(200).body("<html>hello</html>")).unwrap();
    let check = |repository: &str, vantage: &str, seen: Option<&str>, says: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lineman.toml");
        let configuration = format!(
            "version = 1\nplugins.enable = [\"github\"]\n[vantage]\n{vantage}\n[integration.hub]\nprovider = \"github\"\n\
             settings.repositories = [{repository:?}]\nsettings.login = \"octocat\"\n\
             secrets.token = {{ env = \"TOKEN\" }}\nconnection.endpoint_url = {:?}\n",
            hub.url()
        );
        std::fs::write(&file, configuration).unwrap();
        let mut command = Site::get().unwrap().command(directory.path());
        command.args(["check", "--format", "json", "--config"]).arg(&file);
        let outcome = Outcome::of(command.env("TOKEN", hub.token("platform").unwrap())).unwrap();
        let report = outcome.report().unwrap();
        assert_eq!(report.run.vantage.seen_ip.as_deref(), seen, "{vantage}");
        let integration = &report.integrations[0];
        let listed = integration.not_proved.iter().map(|it| format!("{}: {}", it.what, it.why));
        let details = integration.findings().filter_map(|finding| finding.detail.clone());
        let said: Vec<String> = listed.chain(details).collect();
        assert!(said.iter().any(|text| text.contains(says)), "{vantage}: {said:?}");
    };
    let (echo, mute) = (format!("echo_url = {:?}", echo.url()), format!("echo_url = {:?}", mute.url()));
    let ours = "egress_ips = [\"203.0.113.0/28\"]";
    check("acme/app", &format!("{ours}\n{echo}"), Some("192.0.2.10"), "this run came from 192.0.2.10");
    check("acme/app", &format!("{ours}\n{mute}"), None, "nobody told which address this run came from");
    check("acme/app", ours, None, "which address this run came from is not known");
    // GitHub's own answer tells the address that it saw.
    check("walled/app", ours, Some("198.51.100.7"), "seen as 198.51.100.7, none of the platform's addresses");
    check("walled/app", "egress_ips = [\"198.51.100.7\"]", Some("198.51.100.7"), "one of the platform's addresses");
}
