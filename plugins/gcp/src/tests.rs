//! Each check against the lab's simulated Google Cloud, which verifies assertions and plays what
//! Google is documented to answer. The fault table of the end-to-end tests goes through the causes;
//! here stands what a report's first cause does not show.

use std::time::Duration;

use lineman_lab::Fault;
use lineman_lab::gcp::{Server, Variant};
use lineman_lab::tls::Tls;
use lineman_sdk::prelude::*;
use lineman_sdk::testing::{Harness, Response};
use serde_json::{Value, json};

use crate::Gcp;

fn server() -> Server {
    Server::start(Tls::Off, Variant::default()).unwrap()
}

fn harness(server: &Server, secret: &str, value: &str, settings: Value) -> Harness<Gcp> {
    Harness::new().settings(settings).secret(secret, value).endpoint(&server.url()).deadline(Duration::from_secs(120))
}

fn with_key(server: &Server, key: &str, settings: Value) -> Harness<Gcp> {
    harness(server, "service_account_key", &server.key(key).unwrap(), settings)
}

fn prod() -> Value {
    json!({ "project_id": "acme-prod", "state_bucket": "acme-state" })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_credential_walks_the_whole_line() {
    let server = server();
    let runner = "runner@acme-prod.iam.gserviceaccount.com";
    let acting = json!({ "project_id": "acme-prod", "state_bucket": "acme-state", "impersonate": runner });
    let external = server.external_account(&json!({ "url": "http://127.0.0.1:1/unused" }));
    let subject = server.subject_token("workload").unwrap();
    let harnesses = [
        ("key", with_key(&server, "deployer", prod())),
        ("impersonation", with_key(&server, "deployer", acting)),
        ("token", harness(&server, "access_token", &server.token("operator").unwrap(), prod())),
        ("federation", harness(&server, "external_account", &external, prod()).secret("subject_token", &subject)),
    ];
    for (name, harness) in harnesses {
        let permission = json!({ "permission": "compute.instances.list" });
        let harness = harness.requires("list", permission).requires("api", json!({ "api": "compute" }));
        for check in &harness.description().checks {
            let seen = harness.check(&check.id).await;
            assert!(seen.findings.is_empty(), "{name} {}: {:?}", check.id, seen.findings);
            assert!(!harness.leaks(&format!("{seen:?}")), "{name} {}", check.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_missing_permission_is_named_at_once() {
    let server = server();
    let check = async |key: &str, wanted: &[&str], resource: &str, expect: &str, message: &str| {
        let mut harness = with_key(&server, key, prod());
        for permission in wanted {
            harness = harness.requires(permission, json!({ "permission": permission, "resource": resource }));
        }
        let seen = harness.check("permissions").await;
        assert_eq!(seen.summary(), expect, "{wanted:?}: {:?}", seen.findings);
        let said = seen.findings.first().map_or("", |finding| finding.message.as_str());
        assert_eq!(said, message);
        for requirement in &seen.outcome.requirements {
            let missing = seen.findings.iter().any(|finding| finding.message.contains(&requirement.id));
            assert_eq!(requirement.status, if missing { Status::Fail } else { Status::Pass }, "{}", requirement.id);
        }
        assert_eq!(seen.outcome.requirements.len(), wanted.len());
    };
    let missing = "fail gcp/permission-missing permission.insufficient";
    check("deployer", &["compute.instances.create", "compute.instances.list"], "project", "pass", "").await;
    check(
        "reader",
        &["compute.instances.create", "compute.instances.list", "compute.networks.get"],
        "project",
        missing,
        "reader@acme-prod.iam.gserviceaccount.com lacks compute.instances.create and compute.networks.get on the project acme-prod.",
    )
    .await;
    check(
        "reader",
        &["storage.objects.create", "storage.objects.get"],
        "bucket",
        missing,
        "reader@acme-prod.iam.gserviceaccount.com lacks storage.objects.create on the bucket acme-state.",
    )
    .await;
    // One that no role can hold does not spoil what is said of the others.
    check(
        "deployer",
        &["sorcery.spells.cast", "compute.instances.list"],
        "project",
        "fail gcp/permission-unknown config.invalid",
        "sorcery.spells.cast cannot be granted on the project acme-prod.",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_permissions_than_one_question_holds_are_all_asked_for() {
    let server = server();
    let mut harness = with_key(&server, "deployer", prod());
    for number in 0..250 {
        let permission = json!({ "permission": format!("compute.things.do{number}") });
        harness = harness.requires(&format!("r{number}"), permission);
    }
    let seen = harness.check("permissions").await;
    assert_eq!((seen.outcome.requirements.len(), seen.findings.len()), (250, 1));
    let role = seen.findings[0].remedies.iter().flat_map(|remedy| &remedy.argv);
    let named: usize = role.map(|word| word.matches("compute.things.").count()).sum();
    assert_eq!(named, 250);
    let asked = server.log().lines().iter().filter(|line| line.ends_with(":testIamPermissions")).count();
    assert_eq!(asked, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_together_with_the_role_that_grants_it() {
    let server = server();
    let seen = with_key(&server, "provisioner", prod())
        .requires("topics", json!({ "terraform": "google_pubsub_topic" }))
        .requires("addresses", json!({ "terraform": "google_compute_network_peering", "operations": ["delete"] }))
        .requires("zone", json!({ "permission": "dns.managedZones.get" }))
        .check("permissions")
        .await;
    let [finding] = seen.findings.as_slice() else { panic!("{:?}", seen.findings) };
    let lacks = "compute.globalOperations.get, compute.networks.removePeering and dns.managedZones.get";
    let who = "provisioner@acme-prod.iam.gserviceaccount.com";
    assert_eq!(finding.message, format!("{who} lacks {lacks} on the project acme-prod."));
    let detail = "addresses: compute.globalOperations.get, compute.networks.removePeering\nzone: dns.managedZones.get";
    assert_eq!(finding.detail.as_deref(), Some(detail));
    let commands: Vec<String> = finding.remedies.iter().map(|remedy| remedy.argv.join(" ")).collect();
    let list = "compute.globalOperations.get,compute.networks.removePeering,dns.managedZones.get";
    assert_eq!(
        commands,
        [
            format!("gcloud iam roles create lineman --project acme-prod --permissions {list}"),
            format!(
                "gcloud projects add-iam-policy-binding acme-prod --member serviceAccount:{who} --role projects/acme-prod/roles/lineman"
            ),
        ]
    );
    let statuses: Vec<String> = seen.outcome.requirements.iter().map(|it| format!("{} {}", it.id, it.status)).collect();
    assert_eq!(statuses, ["topics pass", "addresses fail", "zone fail"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_looked_at_is_not_proved_and_no_fault() {
    let server = server();
    let check = async |check: &str, words: Value, needs: &[Option<&str>]| {
        let seen = with_key(&server, "runner", prod()).requires("r", words.clone()).check(check).await;
        let listed: Vec<Option<&str>> = seen.outcome.not_proved.iter().map(|it| it.needs.as_deref()).collect();
        assert_eq!(listed, needs, "{words}: {:?}", seen.findings);
        assert!(seen.findings.is_empty(), "{words}: {:?}", seen.findings);
        let status = seen.outcome.requirements.first().map(|it| it.status);
        assert_eq!(status, Some(if needs.is_empty() { Status::Pass } else { Status::Unknown }), "{words}");
    };
    let web = json!({ "network": "main", "subnetwork": "web", "region": "europe-west1" });
    check("network", web, &[Some("compute.networks.get"), Some("compute.subnetworks.get")]).await;
    let cpus = |region: Option<&str>| json!({ "quota": { "metric": "CPUS", "region": region } });
    check("quota", cpus(Some("europe-west1")), &[Some("compute.regions.get")]).await;
    check("quota", cpus(None), &[Some("compute.projects.get")]).await;
    check("storage", json!({ "bucket": "acme-state" }), &[Some("storage.buckets.get")]).await;
    // The account itself may be acted as, and not be looked at.
    let own = json!({ "service_account": "reader@acme-prod.iam.gserviceaccount.com" });
    check("service-account", own, &[Some("iam.serviceAccounts.get")]).await;
    // Google may leave out what it could not get.
    server.faults().always(Fault::named("gcp/quota-status-warning").unwrap());
    check("quota", cpus(Some("europe-west1")), &[None]).await;

    let seen = with_key(&server, "worker", json!({ "project_id": "acme-bare" }))
        .requires("r", json!({ "network": "main" }))
        .check("network")
        .await;
    assert_eq!(seen.status, Status::Pass, "{:?}", seen.findings);
    assert_eq!(seen.outcome.not_proved[0].needs.as_deref(), Some("compute.googleapis.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_one_thing_lacks_is_one_finding() {
    let server = server();
    let words = json!({ "network": "main", "subnetwork": "full", "region": "europe-west1", "free_addresses": 4 });
    let seen = with_key(&server, "provisioner", prod()).requires("r", words).check("network").await;
    let [finding] = seen.findings.as_slice() else { panic!("{:?}", seen.findings) };
    let lacks = "The subnetwork full belongs to the network other, not to main; it has no free address.";
    assert_eq!(finding.message, lacks);
    assert_eq!((finding.code.as_str(), finding.remedies.len()), ("gcp/other-network", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_foreign_text_names_is_opened_or_run_when_a_setting_names_it_too() {
    let server = server();
    let directory = tempfile::tempdir().unwrap();
    let (file, program) = (directory.path().join("token"), directory.path().join("program"));
    let token = server.subject_token("workload").unwrap();
    std::fs::write(&file, json!({ "value": token }).to_string()).unwrap();
    let answer = json!({ "version": 1, "success": true, "token_type": "urn:ietf:params:oauth:token-type:jwt", "id_token": token });
    std::fs::write(&program, format!("#!/bin/sh\n[ \"$1\" = --for ] && cat <<'END'\n{answer}\nEND\n")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&program, mode).unwrap();
    let check = async |source: Value, granted: Option<&str>, expect: &str| {
        let account = server.external_account(&source);
        let settings = granted.map_or(json!({}), |path| json!({ "credential_source": path }));
        let harness = harness(&server, "external_account", &account, settings);
        let harness = harness.directory(directory.path());
        let seen = harness.check("identity").await;
        assert_eq!(seen.summary(), expect, "{source}: {:?}", seen.findings);
        assert!(!harness.leaks(&format!("{seen:?}")), "{source}");
    };
    let (file, program) = (file.to_str().unwrap(), program.to_str().unwrap());
    let json_file = json!({ "file": file, "format": { "type": "json", "subject_token_field_name": "value" } });
    let not_granted = "fail gcp/credential-source-not-granted config.invalid";
    check(json_file.clone(), Some(file), "pass").await;
    check(json_file.clone(), None, not_granted).await;
    check(json_file, Some("/etc/hostname"), not_granted).await;
    let other_field = json!({ "file": file, "format": { "type": "json", "subject_token_field_name": "other" } });
    check(other_field, Some(file), "fail gcp/subject-token-unreadable dependency.unfit").await;
    let executable = json!({ "executable": { "command": format!("{program} --for it") } });
    check(executable.clone(), Some(program), "pass").await;
    check(executable, None, not_granted).await;
    let silent = json!({ "executable": { "command": format!("{program} --silent") } });
    check(silent, Some(program), "fail gcp/executable-failed dependency.unfit").await;
    check(json!({ "environment_id": "aws1" }), None, "skip missing-input").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_asked_is_asked_as_the_file_says_and_within_policy() {
    let server = server();
    let token = server.subject_token("workload").unwrap();
    let source = lineman_sdk::testing::Server::start(move |request| match request.header("metadata") {
        Some("true") => Response::new(200).body(token.clone()),
        _ => Response::new(403),
    });
    let check = async |source: Value, expect: &str| {
        let account = server.external_account(&source);
        let seen = harness(&server, "external_account", &account, json!({})).check("identity").await;
        assert_eq!(seen.summary(), expect, "{source}: {:?}", seen.findings);
    };
    check(json!({ "url": source.url(), "headers": { "Metadata": "true" } }), "pass").await;
    check(json!({ "url": source.url() }), "fail gcp/subject-token-refused dependency.unfit").await;
    let metadata = json!({ "url": "http://169.254.169.254/metadata/identity/oauth2/token" });
    check(metadata, "fail gcp/address-refused config.endpoint-wrong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_file_that_is_no_key_says_what_it_is() {
    let server = server();
    let key = server.key("deployer").unwrap();
    let check = async |stored: &str, code: &str, says: &str| {
        let seen = harness(&server, "service_account_key", stored, json!({})).check("config").await;
        let said = seen.findings.first().map(|finding| (finding.code.as_str(), finding.message.as_str()));
        assert!(said.is_some_and(|(found, said)| found == code && said.contains(says)), "{says}: {said:?}");
    };
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut file: Value = serde_json::from_str(&key).unwrap();
        edit(&mut file);
        file.to_string()
    };
    check("", "gcp/credential-placeholder", "is empty").await;
    check("***", "gcp/credential-placeholder", "placeholder").await;
    check(&key[..200], "gcp/key-no-json", "was cut off").await;
    check("/etc/key.json", "gcp/key-no-json", "name of a file").await;
    check(&edited(&|file| file["type"] = "authorized_user".into()), "gcp/key-type", "a user's own login").await;
    check(r#"{"installed": {}}"#, "gcp/key-type", "OAuth client").await;
    check(&edited(&|file| file["client_email"] = "".into()), "gcp/key-incomplete", "`client_email`").await;
    let pem: Value = serde_json::from_str::<Value>(&key).unwrap()["private_key"].clone();
    let pem = pem.as_str().unwrap();
    check(pem, "gcp/key-no-json", "private key alone").await;
    let cut = pem[..600].to_owned();
    check(&edited(&|file| file["private_key"] = cut.clone().into()), "gcp/key-shape", "cut off or damaged").await;
    let escaped = pem.replace('\n', "\\n");
    check(&edited(&|file| file["private_key"] = escaped.clone().into()), "gcp/key-shape", "line ends").await;
    let elsewhere = "https://oauth2.example.com/token";
    check(&edited(&|file| file["token_uri"] = elsewhere.into()), "gcp/foreign-address", "`token_uri`").await;
    check(&edited(&|file| file["universe_domain"] = "example.goog".into()), "gcp/universe-wrong", "example.goog").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_follow_the_universe_and_each_can_be_replaced() {
    let server = server();
    let key = server.key("deployer").unwrap();
    for service in crate::api::Service::ALL {
        let (name, url) = (service.name(), format!("{}/elsewhere", server.url()));
        let settings = json!({ "universe_domain": "example.invalid" });
        let harness = Harness::<Gcp>::new().settings(settings).secret("service_account_key", &key);
        let own = harness.with(|it| drop(it.connection.endpoints.insert(name.to_owned(), url.clone())));
        assert!(own.description().services.iter().any(|it| it.name == name), "{name}");
    }
    // Nothing is replaced, so that the walk goes to the host of the universe, which is none.
    let harness = Harness::<Gcp>::new()
        .settings(json!({ "universe_domain": "example.invalid" }))
        .secret("service_account_key", &key.replace("googleapis.com", "example.invalid"));
    let seen = harness.check("reach").await;
    let subject = seen.findings.first().map(|finding| format!("{finding:?}")).unwrap_or_default();
    assert!(subject.contains("oauth2.example.invalid"), "{subject}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_key_is_tried_once_and_an_outage_is_no_rejection() {
    let server = server();
    let harness = with_key(&server, "orphan", json!({}));
    for _ in 0..3 {
        assert_eq!(harness.check("identity").await.summary(), "fail gcp/service-account-unknown credential.revoked");
    }
    assert_eq!(server.log().lines().iter().filter(|line| *line == "POST /token").count(), 1);
    server.faults().next(Fault::named("gcp/token-endpoint-down").unwrap(), 1);
    let harness = with_key(&server, "deployer", json!({}));
    assert_eq!(harness.check("identity").await.summary(), "unknown gcp/unavailable provider.outage");
    assert_eq!(harness.check("identity").await.summary(), "pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_keys_that_cannot_be_had_says_nothing_of_the_key() {
    let server = server();
    server.faults().always(Fault::named("gcp/certificates-unreachable").unwrap());
    let seen = with_key(&server, "deployer", json!({})).check("key").await;
    assert_eq!(seen.summary(), "pass");
    assert!(seen.outcome.not_proved.iter().any(|it| it.what == "that the key still exists"), "{:?}", seen.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_count_where_they_touch_what_is_used() {
    let feed = |product: &str, region: &str| {
        json!([{
            "id": "x", "begin": "2026-11-20T10:00:00+00:00", "external_desc": "Things fail", "status_impact": "SERVICE_OUTAGE",
            "uri": "incidents/x", "affected_products": [{ "title": product, "id": "p" }],
            "currently_affected_locations": [{ "title": region, "id": region }],
        }])
    };
    let server = server();
    let check = async |product: &str, region: &str, expect: &str| {
        let body = feed(product, region).to_string();
        let page = lineman_sdk::testing::Server::start(move |_| Response::new(200).body(body.clone()));
        let settings = json!({ "project_id": "acme-prod", "region": "europe-west1" });
        let harness = with_key(&server, "deployer", settings)
            .requires("r", json!({ "permission": "compute.instances.create" }))
            .with(|it| drop(it.connection.endpoints.insert("status".to_owned(), page.url().to_owned())));
        assert_eq!(harness.check("status").await.summary(), expect, "{product} {region}");
    };
    let incident = "warn gcp/incident provider.outage";
    check("Google Compute Engine", "europe-west1", incident).await;
    check("Identity and Access Management", "global", incident).await;
    check("Google Compute Engine", "us-east1", "pass").await;
    check("Google BigQuery", "europe-west1", "pass").await;
}
