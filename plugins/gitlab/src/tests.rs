//! Each check against the lab's simulated GitLab. The fault table of the end-to-end tests goes
//! through the causes; here stands what a report's first cause does not show.

use std::time::Duration;

use lineman_lab::Fault;
use lineman_lab::gitlab::{Server, Variant};
use lineman_lab::tls::Tls;
use lineman_sdk::prelude::*;
use lineman_sdk::testing::Harness;
use serde_json::{Value, json};

use crate::GitLab;

fn server() -> Server {
    Server::start(Tls::Off, Variant::default()).unwrap()
}

fn harness(server: &Server, token: &str, settings: Value) -> Harness<GitLab> {
    Harness::new()
        .settings(settings)
        .secret("token", &server.token(token).unwrap())
        .endpoint(&server.url())
        .deadline(Duration::from_secs(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_token_walks_the_whole_line() {
    let server = server();
    for (token, project) in
        [("platform", "acme/platform/tools"), ("reader", "acme/app"), ("bot", "42"), ("oauth", "acme/app")]
    {
        let harness = harness(&server, token, json!({ "projects": [project] }));
        for check in &harness.description().checks {
            let seen = harness.check(&check.id).await;
            assert!(seen.findings.is_empty(), "{token} {}: {:?}", check.id, seen.findings);
            assert!(!harness.leaks(&format!("{seen:?}")), "{token} {}", check.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gitlab_does_not_tell_of_a_token_is_listed_as_not_proved() {
    let old = Server::start(Tls::Off, Variant { version: Some("14.10.5"), ..Variant::default() }).unwrap();
    let settings = json!({ "projects": ["acme/app"], "username": "platform" });
    let harness = harness(&old, "platform", settings).requires("r", json!({ "scope": "api" }));
    let seen = harness.check("identity").await;
    assert_eq!((seen.summary().as_str(), seen.outcome.not_proved.len()), ("pass", 1), "{:?}", seen.outcome);
    let seen = harness.check("permissions").await;
    assert_eq!(seen.outcome.requirements.first().map(|requirement| requirement.status), Some(Status::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_seen_of_webhooks_and_environments_is_listed_with_what_it_takes() {
    let server = server();
    let check = async |token: &str, name: &str, words: Value, expect: (Status, &str, &str)| {
        let harness = harness(&server, token, json!({ "projects": ["acme/app"] }));
        let seen = harness.requires("r", words.clone()).check(name).await;
        let status = seen.outcome.requirements.first().map(|requirement| requirement.status);
        let listed = seen.outcome.not_proved.first();
        let (why, needs) = listed.map_or(("", ""), |it| (it.why.as_str(), it.needs.as_deref().unwrap_or_default()));
        assert_eq!((status, why, needs), (Some(expect.0), expect.1, expect.2), "{token} {words}: {:?}", seen.findings);
        assert!(!format!("{seen:?}").contains("not-to-be-shown"), "{token} {words}: {seen:?}");
    };
    let hook = |address: &str| json!({ "webhook": address });
    let answered = "GitLab's list says that it sends there, and not what is answered";
    check("platform", "webhooks", hook("https://ci.example.com/hook"), (Status::Pass, answered, "")).await;
    check("platform", "webhooks", hook("https://ci.example.com/paused"), (Status::Fail, "", "")).await;
    let closed = "the token may not look at webhooks";
    check("bot", "webhooks", hook("https://ci.example.com/hook"), (Status::Unknown, closed, "the role maintainer"))
        .await;

    let environment = |name: &str| json!({ "environment": name });
    let holds = "it is protected: Maintainers may deploy there; it waits for 2 approvals";
    check("platform", "environments", environment("production"), (Status::Pass, holds, "")).await;
    check("platform", "environments", environment("review/42"), (Status::Pass, "", "")).await;
    check("platform", "environments", environment("demo"), (Status::Warn, "", "")).await;
    let protection = "the token may not look at its protection";
    check("reader", "environments", environment("production"), (Status::Pass, protection, "the role maintainer")).await;
    let closed = "the token may not look at environments";
    let elsewhere = json!({ "environment": "production", "project": "acme/closed-code" });
    check("reader", "environments", elsewhere, (Status::Unknown, closed, "the role reporter")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_something_else_is_told_by_what_it_may_not_do() {
    let server = server();
    let check = async |token: &str, name: &str, expect: &str| {
        let seen = harness(&server, token, json!({ "projects": ["acme/app"] })).check(name).await;
        assert_eq!(seen.summary(), expect, "{token} {name}: {:?}", seen.findings);
    };
    let missing = "fail gitlab/scope-insufficient permission.insufficient";
    check("git-only", "identity", "pass").await;
    check("git-only", "version", "pass").await;
    check("git-only", "projects", missing).await;
    check("read-user", "identity", "pass").await;
    check("read-user", "read", missing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_explains_for_gitlab_com_alone() {
    let body = r#"{"result":{"status_overall":{"status":"Operational","status_code":100},"status":[],"incidents":[],"maintenance":{"active":[],"upcoming":[]}}}"#;
    let feed = lineman_lab::api::Server::http(move |_| lineman_lab::api::Response::new(200).body(body)).unwrap();
    let public =
        Harness::<GitLab>::new().with(|it| _ = it.connection.endpoints.insert("status".to_owned(), feed.url()));
    assert_eq!(public.check("status").await.summary(), "pass");
    assert_eq!(feed.log().lines().len(), 1);
    let own = Harness::<GitLab>::new().settings(json!({ "url": "https://git.acme.example" }));
    assert_eq!(own.check("status").await.summary(), "skip not-applicable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_not_gitlabs_says_nothing_of_the_token() {
    for (fault, expect) in [
        ("gitlab/refused-by-a-gateway", "fail gitlab/unexpected-answer config.endpoint-wrong"),
        ("gitlab/login-page", "fail gitlab/unexpected-answer config.endpoint-wrong"),
        ("gitlab/not-responding", "unknown gitlab/starting provider.outage"),
        ("gitlab/rate-limited", "unknown gitlab/rate-limited provider.rate-limited"),
    ] {
        let server = server();
        server.faults().always(Fault::named(fault).unwrap());
        let seen = harness(&server, "platform", json!({})).check("identity").await;
        assert_eq!(seen.summary(), expect, "{fault}: {:?}", seen.findings);
    }
}
