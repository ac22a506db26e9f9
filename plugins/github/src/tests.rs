//! Each check against the lab's simulated GitHub, which verifies assertions and plays what GitHub
//! is documented to answer. The fault table of the end-to-end tests goes through the causes; here
//! stands what a report's first cause does not show.

use std::time::Duration;

use lineman_lab::Fault;
use lineman_lab::github::{Server, Variant};
use lineman_lab::tls::Tls;
use lineman_sdk::prelude::*;
use lineman_sdk::testing::Harness;
use serde_json::{Value, json};

use crate::GitHub;

fn server() -> Server {
    Server::start(Tls::Off, Variant::default()).unwrap()
}

fn with_token(server: &Server, token: &str, settings: Value) -> Harness<GitHub> {
    Harness::new()
        .settings(settings)
        .secret("token", &server.token(token).unwrap())
        .endpoint(&server.url())
        .deadline(Duration::from_secs(20))
}

fn with_app(server: &Server, app: &str, settings: Value) -> Harness<GitHub> {
    Harness::new()
        .settings(settings)
        .secret("app_private_key", &server.key(app).unwrap())
        .endpoint(&server.url())
        .deadline(Duration::from_secs(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_credential_walks_the_whole_line() {
    let server = server();
    let settings = json!({ "organization": "acme", "repositories": ["acme/app"] });
    let app = json!({ "app_id": 4711, "organization": "acme", "repositories": ["acme/app"] });
    let harnesses = [
        ("platform", with_token(&server, "platform", settings.clone())),
        ("oauth", with_token(&server, "oauth", settings.clone())),
        ("fine", with_token(&server, "fine", settings.clone())),
        ("workflow", with_token(&server, "workflow", settings)),
        ("app", with_app(&server, "deployer", app)),
    ];
    for (name, harness) in &harnesses {
        for check in &harness.description().checks {
            let seen = harness.check(&check.id).await;
            assert!(seen.findings.is_empty(), "{name} {}: {:?}", check.id, seen.findings);
            assert!(!harness.leaks(&format!("{seen:?}")), "{name} {}", check.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_installation_is_found_by_what_is_configured() {
    let server = server();
    let check = async |settings: Value, expect: &str| {
        let seen = with_app(&server, "deployer", settings.clone()).check("installation").await;
        assert_eq!(seen.summary(), expect, "{settings}: {:?}", seen.findings);
    };
    check(json!({ "app_id": 4711, "installation_id": 101 }), "pass").await;
    check(json!({ "app_id": 4711, "organization": "acme" }), "pass").await;
    check(json!({ "app_id": 4711, "repositories": ["guarded/app"] }), "pass").await;
    check(json!({ "app_id": 4711 }), "fail github/installation-unclear config.invalid").await;
    check(json!({ "app_id": 4711, "installation_id": 7 }), "fail github/installation-missing dependency.missing").await;
    let seen = with_app(&server, "eager", json!({ "app_id": 4712 })).check("installation").await;
    assert_eq!(seen.summary(), "pass", "{:?}", seen.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn requirements_are_proved_denied_or_listed_as_not_proved() {
    let server = server();
    let settings = json!({ "organization": "acme", "repositories": ["acme/app"] });
    let check = async |token: &str, words: Value, status: Status, expect: &str| {
        let harness = match token {
            "app" => {
                let settings = json!({ "app_id": 4711, "organization": "acme", "repositories": ["acme/app"] });
                with_app(&server, "deployer", settings)
            }
            token => with_token(&server, token, settings.clone()),
        };
        let seen = harness.requires("r", words.clone()).check("permissions").await;
        assert_eq!(seen.summary(), expect, "{token} {words}: {:?} {:?}", seen.findings, seen.outcome.not_proved);
        let found = seen.outcome.requirements.first().map(|requirement| requirement.status);
        assert_eq!(found, Some(status), "{token} {words}");
        let listed = !seen.outcome.not_proved.is_empty();
        assert_eq!(listed, status == Status::Unknown, "{token} {words}: {:?}", seen.outcome.not_proved);
    };
    let permission = |word: &str| json!({ "permission": word });
    let missing = "fail github/permission-missing permission.insufficient";
    check("platform", permission("admin"), Status::Pass, "pass").await;
    check("platform", permission("contents:write"), Status::Pass, "pass").await;
    check("platform", permission("members:read"), Status::Pass, "pass").await;
    check("platform", permission("workflows:write"), Status::Fail, "fail github/scope-missing permission.insufficient")
        .await;
    check("platform", json!({ "scope": "public_repo" }), Status::Pass, "pass").await;
    check("reader", permission("issues:write"), Status::Fail, "fail github/role-missing permission.insufficient").await;
    check("fine", permission("pull"), Status::Pass, "pass").await;
    check("fine", permission("issues:read"), Status::Pass, "pass").await;
    check("fine", permission("contents:write"), Status::Unknown, "pass").await;
    check("fine", permission("push"), Status::Unknown, "pass").await;
    check("fine", json!({ "scope": "repo" }), Status::Unknown, "pass").await;
    check("fine", permission("sorcery:read"), Status::Unknown, "pass").await;
    check("narrow", permission("issues:write"), Status::Fail, missing).await;
    check("app", permission("contents:write"), Status::Pass, "pass").await;
    check("app", permission("push"), Status::Pass, "pass").await;
    check("app", permission("issues:write"), Status::Fail, missing).await;
    let hidden = json!({ "permission": "push", "repository": "acme/secret" });
    check("platform", hidden, Status::Fail, "pass").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_seen_of_webhooks_and_environments_is_listed_with_what_it_takes() {
    let server = server();
    let check = async |token: &str, name: &str, words: Value, expect: (Status, &str, &str)| {
        let harness = match token {
            "app" => with_app(&server, "deployer", json!({ "app_id": 4711, "repositories": ["acme/app"] })),
            token => with_token(&server, token, json!({ "repositories": ["acme/app"] })),
        };
        let seen = harness.requires("r", words.clone()).check(name).await;
        let status = seen.outcome.requirements.first().map(|requirement| requirement.status);
        let listed = seen.outcome.not_proved.first();
        let (why, needs) = listed.map_or(("", ""), |it| (it.why.as_str(), it.needs.as_deref().unwrap_or_default()));
        assert_eq!((status, why, needs), (Some(expect.0), expect.1, expect.2), "{token} {words}: {:?}", seen.findings);
        assert!(!format!("{seen:?}").contains("not-to-be-shown"), "{token} {words}: {seen:?}");
    };
    let hook = |address: &str| json!({ "webhook": address });
    let good = "https://ci.example.com/hook";
    let closed = "the credential may not look at webhooks";
    check("platform", "webhooks", hook(good), (Status::Pass, "", "")).await;
    check("reader", "webhooks", hook(good), (Status::Unknown, closed, "the role admin")).await;
    check("narrow", "webhooks", hook(good), (Status::Unknown, closed, "repository_hooks:read")).await;
    check("app", "webhooks", hook(good), (Status::Unknown, closed, "repository_hooks:read")).await;
    let unused = hook("https://ci.example.com/unused");
    check("fine", "webhooks", unused, (Status::Unknown, "nothing was delivered in the last 30 days", "")).await;
    check("fine", "webhooks", hook("https://ci.example.com/h"), (Status::Fail, "", "")).await;

    let environment = |name: &str| json!({ "environment": name });
    let holds = "it waits for 30 minutes; it waits for a review by octocat or Justice League, who is not the one that \
                 started it; only branches and tags that its patterns name get there";
    check("fine", "environments", environment("production"), (Status::Pass, holds, "")).await;
    check("app", "environments", environment("staging"), {
        (Status::Unknown, "the credential may not look at environments", "actions:read")
    })
    .await;
    check("platform", "environments", environment("staging"), (Status::Pass, "", "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bad_credentials_hides_is_narrowed_down_by_the_checksum() {
    let server = server();
    let whole = server.token("revoked").unwrap();
    let mistyped = format!("{}x", &whole[..whole.len() - 1]);
    let check = async |token: &str, cause: Cause, possible: bool| {
        let harness = Harness::<GitHub>::new().secret("token", token).endpoint(&server.url());
        let seen = harness.check("identity").await;
        assert_eq!(seen.cause(), Some(&cause), "{:?}", seen.findings);
        let also = &seen.findings[0].also_possible;
        assert_eq!(also.iter().any(|other| other.cause == Cause::CredentialRevoked), possible, "{also:?}");
        // A refused credential is not tried again.
        server.log().clear();
        harness.check("identity").await;
        assert_eq!(server.log().lines(), [""; 0]);
    };
    check(&whole, Cause::CredentialInvalid, true).await;
    check(&mistyped, Cause::CredentialMalformed, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_not_githubs_says_nothing_of_the_credential() {
    for (fault, check, expect) in [
        ("github/refused-by-a-gateway", "identity", "fail github/unexpected-answer config.endpoint-wrong"),
        ("github/login-page", "identity", "fail github/unexpected-answer config.endpoint-wrong"),
        ("github/rate-limited", "repositories", "unknown github/rate-limited provider.rate-limited"),
        ("github/server-error", "read", "unknown github/server-error provider.outage"),
    ] {
        let server = server();
        let harness = with_token(&server, "platform", json!({ "repositories": ["acme/app"] }));
        server.faults().always(Fault::named(fault).unwrap());
        let seen = harness.check(check).await;
        assert_eq!(seen.summary(), expect, "{fault}: {:?}", seen.findings);
    }
}
