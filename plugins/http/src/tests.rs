//! Each check against a server whose answers are one closure.

use std::time::Duration;

use lineman_lab::api::{Request, Response, Server};
use lineman_sdk::prelude::*;
use lineman_sdk::testing::{Harness, Seen};
use serde_json::{Value, json};

use crate::Http;

const TOKEN: &str = "t0ken-of-the-tests";

/// What came of a check, and what a pass did not prove.
fn summary(seen: &Seen) -> String {
    let not_proved = seen.outcome.not_proved.iter().filter(|_| seen.status == Status::Pass);
    seen.summary() + &not_proved.map(|entry| format!(" (not proved: {})", entry.what)).collect::<String>()
}

/// Each path answers in its own way; what looks at the credential wants the right one.
fn api() -> Server {
    let json = |status: u16, body: &str| {
        Response::new(status).header("content-type", "application/json").body(body.as_bytes().to_vec())
    };
    let html = |status: u16, body: &str| {
        Response::new(status).header("content-type", "text/html").body(body.as_bytes().to_vec())
    };
    Server::http(move |request: Request| {
        let credential = request.header("authorization").unwrap_or_default().to_owned();
        let form = String::from_utf8_lossy(&request.body).into_owned();
        match request.path() {
            "/me" if credential == format!("Bearer {TOKEN}") => json(200, r#"{"id":7,"state":"active"}"#),
            "/me" => json(401, r#"{"error":"unauthorized"}"#).header("www-authenticate", "Bearer"),
            "/basic" if credential == "Basic Y2k6dDBrZW4tb2YtdGhlLXRlc3Rz" => json(200, "{}"),
            "/basic" => json(401, "{}").header("www-authenticate", "Basic realm=\"x\""),
            "/expired" => json(401, "{}")
                .header("www-authenticate", "Bearer error=\"invalid_token\", error_description=\"The token expired\""),
            "/scope" => {
                json(403, "{}").header("www-authenticate", "Bearer error=\"insufficient_scope\", scope=\"orders.read\"")
            }
            "/key" if request.header("x-api-key") == Some(TOKEN) => json(200, "{}"),
            "/key" if request.target.contains(TOKEN) => json(200, "{}"),
            "/key" => json(401, r#"{"message":"Invalid API key"}"#),
            "/open" => json(200, r#"{"state":"open"}"#),
            "/login" => html(200, "<html><title>Sign in</title><input type=\"password\"></html>"),
            "/moved" => Response::new(302).header("location", "https://elsewhere.example.com/"),
            "/throttled" => json(429, "{}").header("retry-after", "30"),
            "/down" => json(503, "no healthy upstream"),
            "/address" => json(403, r#"{"message":"Your IP address is not allowed"}"#),
            "/teapot" => json(418, "{}"),
            "/token" if credential != "Basic Y2k6dDBrZW4tb2YtdGhlLXRlc3Rz" => {
                json(401, r#"{"error":"invalid_client"}"#)
            }
            "/token" if form.contains("scope=none") => json(400, r#"{"error":"invalid_scope"}"#),
            "/token" => json(
                200,
                &format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":300,"scope":"a"}}"#),
            ),
            "/echo" => Response::echo(401, &request),
            _ => json(404, "{}"),
        }
    })
    .unwrap()
}

/// `settings.url` is a path of the server; the one secret goes by the name that `auth` wants.
fn harness(server: &Server, path: &str, secret: &str, settings: Value) -> Harness<Http> {
    let mut all = json!({ "url": format!("{}{path}", server.url()), "token_url": format!("{}/token", server.url()) });
    if let (Value::Object(all), Value::Object(settings)) = (&mut all, settings) {
        all.extend(settings);
    }
    let name = match all["auth"].as_str() {
        Some("bearer") => "token",
        Some("basic" | "digest") => "password",
        Some("api-key") => "api_key",
        Some("oauth2-client-credentials") => "client_secret",
        _ => return Harness::new().settings(all),
    };
    Harness::new().settings(all).secret(name, secret).deadline(Duration::from_secs(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_check_finds_what_is_wrong_and_passes_what_is_not() {
    let server = api();
    let check = async |name: &str, path: &str, settings: Value, expect: &str| {
        let seen = harness(&server, path, TOKEN, settings.clone()).check(name).await;
        assert_eq!(summary(&seen), expect, "{name} of {path} with {settings}: {:?}", seen.findings);
    };
    let bearer = || json!({ "auth": "bearer" });
    let with = |mut settings: Value, more: Value| {
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    check("config", "/me", bearer(), "pass").await;
    check("config", "/me", json!({ "auth": "basic" }), "fail http/setting-missing config.invalid").await;
    check("config", "/me", json!({ "url": "api.example.com" }), "fail http/url-invalid config.invalid").await;
    check("config", "/me", json!({ "url": "https://ci:pw@api.example.com" }), "fail http/url-invalid config.invalid")
        .await;
    check(
        "config",
        "/me",
        with(bearer(), json!({ "url": "http://api.example.com" })),
        "warn http/unencrypted config.invalid",
    )
    .await;
    check(
        "config",
        "/me",
        with(bearer(), json!({ "expect_body": { "pointer": "state" } })),
        "fail http/pointer-invalid config.invalid",
    )
    .await;
    check("config", "/me", json!({ "body": {} }), "fail http/body-unused config.invalid").await;

    check("reach", "/me", json!({}), "pass").await;
    check("certificate", "/me", json!({}), "skip not-applicable").await;

    check("identity", "/me", json!({}), "skip not-applicable").await;
    check("identity", "/me", bearer(), "pass").await;
    check("identity", "/open", bearer(), "pass (not proved: that the credential is right)").await;
    check("identity", "/expired", bearer(), "fail http/bearer-expired credential.expired").await;
    check("identity", "/scope", bearer(), "fail http/bearer-scope permission.insufficient").await;
    check("identity", "/basic", bearer(), "fail http/other-scheme config.invalid").await;
    check("identity", "/login", bearer(), "fail http/login-page config.endpoint-wrong").await;
    check("identity", "/moved", bearer(), "fail http/redirected config.endpoint-wrong").await;
    check("identity", "/throttled", bearer(), "unknown http/rate-limited provider.rate-limited").await;
    check("identity", "/down", bearer(), "unknown http/unavailable provider.outage").await;
    check("identity", "/address", bearer(), "fail http/address-refused network.ip-not-allowed").await;
    let user = json!({ "auth": "basic", "username": "ci" });
    check("identity", "/basic", user.clone(), "pass").await;
    check("identity", "/basic", with(user, json!({ "username": "cd" })), "fail http/unauthorized credential.invalid")
        .await;
    check("identity", "/key", json!({ "auth": "api-key" }), "pass").await;
    check(
        "identity",
        "/key",
        json!({ "auth": "api-key", "api_key_header": "x-other" }),
        "fail http/key-invalid credential.invalid",
    )
    .await;
    check("identity", "/key", json!({ "auth": "api-key", "api_key_query": "key" }), "pass").await;
    let client = json!({ "auth": "oauth2-client-credentials", "client_id": "ci" });
    check("token", "/me", client.clone(), "pass").await;
    check("identity", "/me", client.clone(), "pass").await;
    check(
        "token",
        "/me",
        with(client.clone(), json!({ "client_id": "cd" })),
        "fail http/client-refused credential.invalid",
    )
    .await;
    check(
        "token",
        "/me",
        with(client.clone(), json!({ "scope": "none" })),
        "fail http/scope-refused permission.insufficient",
    )
    .await;
    check(
        "token",
        "/me",
        with(client, json!({ "scope": "a b" })),
        "fail http/scope-not-granted permission.insufficient",
    )
    .await;

    let unread = "pass (not proved: that the answer says what it should)";
    check("request", "/open", json!({}), unread).await;
    check("request", "/teapot", json!({}), "unknown http/unexpected-status undetermined").await;
    check("request", "/teapot", json!({ "expect_status": [418] }), unread).await;
    check("request", "/open", json!({ "expect_status": [204] }), "fail http/other-status config.endpoint-wrong").await;
    check("request", "/missing", json!({}), "fail http/not-found resource.not-found").await;
    check("request", "/login", json!({}), "fail http/login-page config.endpoint-wrong").await;
    let expect = |expect: Value| json!({ "expect_body": expect });
    check("request", "/open", expect(json!({ "contains": "open" })), "pass").await;
    check("request", "/open", expect(json!({ "contains": "shut" })), "fail http/other-body config.endpoint-wrong")
        .await;
    check("request", "/open", expect(json!({ "pointer": "/state", "equals": "open" })), "pass").await;
    check(
        "request",
        "/open",
        expect(json!({ "pointer": "/state", "equals": "shut" })),
        "fail http/other-body config.endpoint-wrong",
    )
    .await;
    check("request", "/open", expect(json!({ "pointer": "/nothing" })), "fail http/other-body config.endpoint-wrong")
        .await;
    check("request", "/open", json!({ "method": "POST" }), "skip not-applicable").await;
    check("submit", "/open", json!({ "method": "POST", "body": {} }), unread).await;
    check("submit", "/open", json!({}), "skip not-applicable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shape_that_is_wrong_is_told_before_anything_is_sent() {
    let server = api();
    let check = async |secret: &str, expect: &str| {
        let seen = harness(&server, "/me", secret, json!({ "auth": "bearer" })).check("config").await;
        assert_eq!(summary(&seen), expect, "{secret:?}");
    };
    check(" t0ken", "fail http/secret-malformed credential.malformed").await;
    check("Bearer t0ken", "fail http/secret-malformed credential.malformed").await;
    check("********", "fail http/secret-malformed credential.malformed").await;
    check("<your token>", "fail http/secret-malformed credential.malformed").await;
    check("  ", "fail http/secret-malformed credential.missing").await;
    check("t0ken", "pass").await;
    assert!(server.log().entries().is_empty(), "nothing is asked at the level config");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_is_shown_or_sent_twice_once_it_is_refused() {
    let server = api();
    for (auth, path) in [("bearer", "/echo"), ("api-key", "/echo"), ("basic", "/echo")] {
        let harness = harness(&server, path, TOKEN, json!({ "auth": auth, "username": "ci", "api_key_query": "key" }));
        let before = server.log().entries().len();
        for check in ["identity", "request", "identity"] {
            let seen = harness.check(check).await;
            assert_eq!(seen.cause(), Some(&Cause::CredentialInvalid), "{auth}");
            assert!(!harness.leaks(&format!("{seen:?}")), "{auth}");
        }
        assert_eq!(server.log().entries().len() - before, 1, "{auth}");
    }
}
