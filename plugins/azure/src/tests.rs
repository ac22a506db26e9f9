//! Each check against the lab's simulated Azure, which verifies assertions and plays what Microsoft
//! documents. The fault table of the end-to-end tests goes through the causes; here stands what a
//! report's first cause does not show.

use std::time::Duration;

use lineman_lab::Fault;
use lineman_lab::azure::{Server, Variant};
use lineman_lab::tls::Tls;
use lineman_sdk::prelude::*;
use lineman_sdk::testing::Harness;
use serde_json::{Value, json};

use crate::Azure;

const TENANT: &str = "c0000000-0000-4000-8000-000000000001";
const DEPLOYER: &str = "a0000000-0000-4000-8000-000000000001";
const NARROW: &str = "a0000000-0000-4000-8000-000000000002";
const PROD: &str = "50000000-0000-4000-8000-000000000001";

fn server() -> Server {
    Server::start(Tls::Off, Variant::default()).unwrap()
}

fn bare(server: &Server, change: Value) -> Harness<Azure> {
    let mut settings = json!({ "tenant_id": TENANT, "client_id": DEPLOYER, "subscription_id": PROD });
    if let (Value::Object(settings), Value::Object(change)) = (&mut settings, change) {
        settings.extend(change);
    }
    Harness::new().settings(settings).endpoint(&server.url()).deadline(Duration::from_secs(20))
}

fn with_secret(server: &Server, secret: &str, change: Value) -> Harness<Azure> {
    bare(server, change).secret("client_secret", &server.secret(secret).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_credential_walks_the_whole_line() {
    let server = server();
    let certificate = server.certificate("deployer").unwrap();
    let harnesses = [
        ("secret", with_secret(&server, "current", json!({}))),
        ("domain", with_secret(&server, "current", json!({ "tenant_id": "contoso.onmicrosoft.com" }))),
        (
            "certificate",
            bare(&server, json!({})).secret("certificate", &certificate).secret("private_key", &server.key()),
        ),
        ("one file", bare(&server, json!({})).secret("certificate", &format!("{}{certificate}", server.key()))),
        ("federated", bare(&server, json!({})).secret("federated_token", &server.federated("main").unwrap())),
    ];
    for (name, harness) in harnesses {
        let harness = harness
            .requires("write", json!({ "action": "Microsoft.Compute/virtualMachines/write" }))
            .requires("network", json!({ "resource_provider": "Microsoft.Network" }));
        for check in &harness.description().checks {
            let seen = harness.check(&check.id).await;
            assert!(seen.findings.is_empty(), "{name} {}: {:?}", check.id, seen.findings);
            assert!(!harness.leaks(&format!("{seen:?}")), "{name} {}", check.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_is_not_tried_again() {
    let server = server();
    let harness = bare(&server, json!({})).secret("client_secret", "abc8Q~lineman.0123456789_0123456789-abcde");
    let seen = harness.check("identity").await;
    assert_eq!(seen.summary(), "fail azure/secret-wrong credential.invalid", "{:?}", seen.findings);
    assert_eq!(seen.findings[0].subject.as_ref().and_then(|it| it.pointer.as_deref()), Some("/secrets/client_secret"));
    server.log().clear();
    for check in ["identity", "secret", "subscription", "resources"] {
        harness.check(check).await;
    }
    assert_eq!(server.log().lines(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requirements_are_proved_denied_or_listed_as_not_proved() {
    let server = server();
    let check = async |application: &str, words: Value, status: Status, expect: &str| {
        let harness = match application {
            "narrow" => with_secret(&server, "narrow", json!({ "client_id": NARROW })),
            _ => with_secret(&server, "current", json!({})),
        };
        let seen = harness.requires("r", words.clone()).check("permissions").await;
        assert_eq!(seen.summary(), expect, "{words}: {:?} {:?}", seen.findings, seen.outcome.not_proved);
        let found = seen.outcome.requirements.first().map(|requirement| requirement.status);
        assert_eq!(found, Some(status), "{words}");
        if status == Status::Unknown {
            assert!(!seen.outcome.not_proved.is_empty(), "{words}");
        }
    };
    let action = |word: &str, group: &str| json!({ "action": word, "scope": format!("/subscriptions/{PROD}{group}") });
    let data =
        |word: &str, group: &str| json!({ "data_action": word, "scope": format!("/subscriptions/{PROD}{group}") });
    let missing = "fail azure/action-missing permission.insufficient";
    let left_out = "fail azure/action-left-out permission.insufficient";
    let denied = "fail azure/deny-assignment permission.denied-by-policy";
    let write = "Microsoft.Compute/virtualMachines/write";
    check("", action(write, ""), Status::Pass, "pass").await;
    check("", action("microsoft.compute/virtualmachines/WRITE", "/resourceGroups/web"), Status::Pass, "pass").await;
    check("", action("Microsoft.Authorization/roleAssignments/write", ""), Status::Fail, left_out).await;
    check("", action(write, "/resourceGroups/managed"), Status::Fail, denied).await;
    check("", action("Microsoft.Compute/virtualMachines/read", "/resourceGroups/managed"), Status::Pass, "pass").await;
    let blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";
    check("", data(&format!("{blobs}/write"), ""), Status::Pass, "pass").await;
    check("", data(&format!("{blobs}/delete"), ""), Status::Fail, left_out).await;
    let secret = "Microsoft.KeyVault/vaults/secrets/getSecret/action";
    check("", data(secret, ""), Status::Fail, missing).await;
    check("", data(secret, "/resourceGroups/guarded"), Status::Unknown, "pass").await;
    check("narrow", action("Microsoft.Network/virtualNetworks/write", "/resourceGroups/web"), Status::Pass, "pass")
        .await;
    check("narrow", action(write, "/resourceGroups/web"), Status::Fail, missing).await;
    check("narrow", action(write, "/resourceGroups/managed"), Status::Unknown, "pass").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_actions_come_together_with_the_smallest_role() {
    let server = server();
    let web = format!("/subscriptions/{PROD}/resourceGroups/web");
    let harness = with_secret(&server, "narrow", json!({ "client_id": NARROW }))
        .requires("disk", json!({ "terraform": "azurerm_managed_disk", "operations": ["create"], "scope": web }))
        .requires("keys", json!({ "data_action": "Microsoft.KeyVault/vaults/secrets/getSecret/action", "scope": web }))
        .requires("net", json!({ "terraform": "azurerm_virtual_network", "scope": web }));
    let seen = harness.check("permissions").await;
    assert_eq!(seen.summary(), "fail azure/action-missing permission.insufficient", "{:?}", seen.findings);
    let finding = &seen.findings[0];
    let expect = format!(
        "2 required actions are not allowed: Microsoft.Compute/disks/write, \
         Microsoft.KeyVault/vaults/secrets/getSecret/action in {web}."
    );
    assert_eq!(finding.message, expect);
    let detail = "disk: Microsoft.Compute/disks/write\nkeys: Microsoft.KeyVault/vaults/secrets/getSecret/action";
    assert_eq!(finding.detail.as_deref(), Some(detail));
    let [make, assign] = finding.remedies.as_slice() else { panic!("{:?}", finding.remedies) };
    assert_eq!(make.argv[..5], ["az", "role", "definition", "create", "--role-definition"]);
    let role: Value = serde_json::from_str(&make.argv[5]).unwrap();
    assert_eq!(role["Actions"], json!(["Microsoft.Compute/disks/write"]));
    assert_eq!(role["DataActions"], json!(["Microsoft.KeyVault/vaults/secrets/getSecret/action"]));
    assert_eq!(role["AssignableScopes"], json!([web]));
    assert!(
        assign.argv.ends_with(&["--scope".to_owned(), web]) && assign.argv.iter().any(|word| role["Name"] == *word)
    );
    let statuses: Vec<(&str, Status)> =
        seen.outcome.requirements.iter().map(|one| (one.id.as_str(), one.status)).collect();
    assert_eq!(statuses, [("disk", Status::Fail), ("keys", Status::Fail), ("net", Status::Pass)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_looked_at_is_listed_with_what_would_let_it_be() {
    let server = server();
    let net = format!("/subscriptions/{PROD}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/main");
    for (check, words, needs) in [
        (
            "resource-groups",
            json!({ "resource_group": "net" }),
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ),
        ("network", json!({ "vnet": net, "subnets": ["apps"] }), "Microsoft.Network/virtualNetworks/read"),
        ("capacity", json!({ "region": "westeurope" }), "Microsoft.Resources/subscriptions/locations/read"),
        ("capacity", json!({ "sku": "Standard_D4s_v5", "region": "westeurope" }), "Microsoft.Compute/skus/read"),
        (
            "quota",
            json!({ "quota": { "name": "cores", "region": "westeurope" } }),
            "Microsoft.Compute/locations/usages/read",
        ),
        (
            "policy",
            json!({ "policy": { "type": "azurerm_subnet", "region": "westeurope" } }),
            "Microsoft.PolicyInsights/checkPolicyRestrictions/read",
        ),
    ] {
        let harness = with_secret(&server, "narrow", json!({ "client_id": NARROW })).requires("r", words);
        let seen = harness.check(check).await;
        assert_eq!(seen.summary(), "pass", "{check}: {:?}", seen.findings);
        let listed: Vec<Option<&str>> = seen.outcome.not_proved.iter().map(|it| it.needs.as_deref()).collect();
        assert_eq!(listed, [Some(needs)], "{check}");
        assert_eq!(seen.outcome.requirements[0].status, Status::Unknown, "{check}");
    }
}

/// What a report's first cause does not show of networks and policies.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_thing_is_told_together_and_what_depends_is_listed() {
    let server = server();
    let check = async |check: &str, words: Value| {
        with_secret(&server, "current", json!({})).requires("r", words).check(check).await
    };
    let net = format!("/subscriptions/{PROD}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/main");
    let words = json!({ "vnet": net, "subnets": ["full"], "delegation": "Microsoft.Web/serverFarms" });
    let seen = check("network", words).await;
    assert_eq!(seen.summary(), "fail azure/subnet-delegation dependency.unfit", "{:?}", seen.findings);
    let expect = "The subnet full is delegated to no service, and Microsoft.Web/serverFarms is needed; \
                  it has no free address of 3.";
    assert_eq!(seen.findings[0].message, expect);
    assert_eq!(seen.findings[0].remedies.len(), 2);
    // Azure does not count a gateway's subnet.
    let seen = check("network", json!({ "vnet": net, "subnets": ["GatewaySubnet"] })).await;
    assert_eq!((seen.summary().as_str(), seen.outcome.requirements[0].status), ("pass", Status::Unknown));
    // The machine may not be in that region, and the assignment is named with its id.
    let seen = check("policy", json!({ "policy": { "type": "Microsoft.Web/sites", "region": "eastus" } })).await;
    let named = format!("/subscriptions/{PROD}/providers/microsoft.authorization/policyassignments/allowed-locations");
    assert_eq!(seen.findings[0].subject.as_ref().map(|it| it.name.as_str()), Some(named.as_str()));
    assert!(seen.findings[0].message.ends_with("location must not be eastus."), "{:?}", seen.findings);
    // What a policy makes of a tag or a property that is not given is not known.
    for (kind, by) in [
        ("azurerm_storage_account", "tags.owner must be set"),
        ("azurerm_key_vault", "Microsoft.KeyVault/vaults/publicNetworkAccess"),
    ] {
        let seen = check("policy", json!({ "policy": { "type": kind, "region": "westeurope" } })).await;
        assert_eq!((seen.summary().as_str(), seen.outcome.requirements[0].status), ("pass", Status::Unknown));
        assert!(seen.outcome.not_proved[0].why.contains(by), "{:?}", seen.outcome.not_proved);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_secret_does_not_say_is_listed() {
    let server = server();
    let seen = with_secret(&server, "current", json!({})).check("secret").await;
    assert_eq!(seen.outcome.expires.iter().map(|it| it.what.as_str()).collect::<Vec<_>>(), ["client secret"]);
    let seen = with_secret(&server, "ending", json!({})).check("secret").await;
    assert_eq!(seen.summary(), "warn azure/credential-ends-soon credential.expiring");
    let detail = seen.findings[0].detail.as_deref().unwrap_or_default();
    assert!(detail.contains("newer secret already: current"), "{detail}");
    let known = seen.outcome.credentials.first().expect("it is known");
    assert_eq!((known.id.as_deref(), known.newer_active), (Some("ending"), Some(true)));
    let seen = with_secret(&server, "narrow", json!({ "client_id": NARROW })).check("secret").await;
    assert_eq!(seen.summary(), "pass", "{:?}", seen.findings);
    let not_proved = seen.outcome.not_proved.first().expect("it is listed");
    assert_eq!(not_proved.needs.as_deref(), Some("Application.Read.All"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_says_why() {
    let server = server();
    let certificate = server.certificate("deployer").unwrap();
    let key = server.key();
    let check = async |certificate: &str, key: Option<&str>, expect: &str| {
        let mut harness = bare(&server, json!({})).secret("certificate", certificate);
        if let Some(key) = key {
            harness = harness.secret("private_key", key);
        }
        let seen = harness.check("config").await;
        assert_eq!(seen.summary(), expect, "{:?}", seen.findings);
        assert!(!harness.leaks(&format!("{seen:?}")));
    };
    let malformed = |code: &str| format!("fail azure/{code} credential.malformed");
    check(&certificate, Some(&key), "pass").await;
    check(&certificate, None, "fail azure/certificate-key-missing credential.missing").await;
    check(&certificate, Some(&server.other_key()), &malformed("certificate-unusable")).await;
    check(&certificate, Some(&key[..key.len() / 2]), &malformed("certificate-key")).await;
    check(&certificate.replace('\n', "\\n"), Some(&key), &malformed("certificate-shape")).await;
    check(&certificate.replace('\n', " "), Some(&key), &malformed("certificate-shape")).await;
    check("MIIKcQIBAzCCCjcGCSqGSIb3DQEHAaCCCigEggok", None, &malformed("certificate-shape")).await;
    check(&key, None, &malformed("certificate-shape")).await;
    let elliptic =
        lineman_lab::keys::generate_as(lineman_lab::keys::Kind::Ecdsa, lineman_lab::keys::Format::Pkcs8, None);
    check(&certificate, Some(&elliptic.unwrap().private), &malformed("certificate-key")).await;
    let ending = server.certificate("ending").unwrap();
    check(&ending, Some(&key), "warn azure/credential-ends-soon credential.expiring").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_refused_assertion_is_told() {
    let server = server();
    let stranger = server.certificate("stranger").unwrap();
    let harness = bare(&server, json!({})).secret("certificate", &stranger).secret("private_key", &server.key());
    let seen = harness.check("identity").await;
    assert_eq!(seen.summary(), "fail azure/certificate-unknown credential.invalid", "{:?}", seen.findings);
    let detail = seen.findings[0].detail.as_deref().unwrap_or_default();
    assert!(detail.contains("has the thumbprint "), "{detail}");
    let branch = server.federated("branch").unwrap();
    let seen = bare(&server, json!({})).secret("federated_token", &branch).check("identity").await;
    assert_eq!(seen.summary(), "fail azure/federation-subject dependency.missing", "{:?}", seen.findings);
    let said = format!("{} {}", seen.findings[0].message, seen.findings[0].detail.as_deref().unwrap_or_default());
    assert!(said.contains("refs/heads/feature") && said.contains("issuer `https://token.ci.example`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_subscription_those_that_are_visible_are_named() {
    let server = server();
    let seen = with_secret(&server, "current", json!({ "subscription_id": null })).check("subscription").await;
    assert_eq!(seen.summary(), "pass", "{:?}", seen.findings);
    let why = &seen.outcome.not_proved.first().expect("it is listed").why;
    assert!(why.contains("sees 5"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_incidents_are_told() {
    let check = async |body: &'static str, cloud: &str, expect: &str| {
        let feed = lineman_lab::api::Server::http(move |_| lineman_lab::api::Response::new(200).body(body)).unwrap();
        let settings = json!({ "tenant_id": TENANT, "client_id": DEPLOYER, "cloud": cloud });
        let harness = Harness::<Azure>::new()
            .settings(settings)
            .with(|it| _ = it.connection.endpoints.insert("status".to_owned(), feed.url()));
        assert_eq!(harness.check("status").await.summary(), expect, "{body}");
    };
    check(
        "<rss version=\"2.0\"><channel><title>Azure Status</title><item><title>Microsoft Entra ID - Errors signing in</title><description>-</description></item></channel></rss>",
        "public",
        "warn azure/incident provider.outage",
    )
    .await;
    let elsewhere = "<rss version=\"2.0\"><channel><title>Azure Status</title><item><title>Azure Maps - Slow tiles</title><description>-</description></item></channel></rss>";
    check(elsewhere, "usgovernment", "pass").await;
    let china = json!({ "tenant_id": TENANT, "client_id": DEPLOYER, "cloud": "china" });
    assert_eq!(Harness::<Azure>::new().settings(china).check("status").await.summary(), "skip not-applicable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_not_azures_says_nothing_of_the_credential() {
    for (fault, check, expect) in [
        ("azure/refused-by-a-gateway", "identity", "fail azure/unexpected-answer config.endpoint-wrong"),
        ("azure/login-page", "tenant", "fail azure/unexpected-answer config.endpoint-wrong"),
        ("azure/throttled", "identity", "unknown azure/throttled provider.rate-limited"),
        ("azure/manager-throttled", "subscription", "unknown azure/rate-limited-subscription provider.rate-limited"),
        ("azure/entra-down", "tenant", "unknown azure/unavailable provider.outage"),
    ] {
        let server = server();
        let harness = with_secret(&server, "current", json!({}));
        server.faults().always(Fault::named(fault).unwrap());
        let seen = harness.check(check).await;
        assert_eq!(seen.summary(), expect, "{fault}: {:?}", seen.findings);
    }
}

/// What the assertion and the issued token were, the harness knows from what was registered.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_echoed_of_assertions_and_tokens_is_not_told() {
    let lab = server();
    let echo = |status: u16| {
        lineman_lab::api::Server::http(move |request| {
            let told = lineman_lab::api::Response::echo(status, &request).body;
            let told = String::from_utf8_lossy(&told).into_owned();
            let good = request.path().ends_with("/token") && status == 403;
            let body = match good {
                true => json!({ "access_token": "e30.eyJ0aWQiOiJjMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEifQ.canary" }),
                false => json!({ "error": "invalid_client", "error_description": told, "error_codes": [1] }),
            };
            lineman_lab::api::Response::new(if good { 200 } else { status }).body(body.to_string())
        })
        .unwrap()
    };
    for (status, check) in [(401, "identity"), (403, "resources"), (403, "subscription")] {
        let server = echo(status);
        let harness = bare(&lab, json!({}))
            .endpoint(&server.url())
            .secret("certificate", &lab.certificate("deployer").unwrap())
            .secret("private_key", &lab.key());
        let seen = format!("{:?}", harness.check(check).await);
        assert!(!harness.leaks(&seen), "{check}: {seen}");
        let said = |request: &lineman_lab::Request| {
            format!("{:?} {}", request.headers, String::from_utf8_lossy(&request.body))
        };
        let sent: String = server.log().entries().iter().map(said).collect();
        assert!(harness.leaks(&sent), "{check}: nothing was sent that could leak");
    }
}
