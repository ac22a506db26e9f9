//! The plugin of the SDK's front page does what its text says.

use lineman_lab::api::{Answer, Request, Response, Server};
use lineman_lab::net::ClosedPort;
use lineman_model::{Cause, Status};
use lineman_sdk::testing::{Harness, Seen};
use serde_json::json;

#[path = "../examples/acme.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own")]
mod acme;

use acme::Acme;

const SECRET: &str = "app-s3cret/of+acme";
const TOKEN: &str = "t0ken-issued-by-acme";

/// Acme, simulated.
fn acme(request: Request) -> Response {
    let refusal = |status, error: &str| Response::new(status).body(json!({ "error": error }).to_string());
    match request.path() {
        "/" => Response::new(200),
        "/login" => {
            let given =
                |name: &str| request.parameters().into_iter().find(|(key, _)| key == name).map(|(_, value)| value);
            match (given("id").as_deref(), given("secret").as_deref()) {
                (Some("ci"), Some(SECRET)) => Response::new(200).body(
                    json!({ "token": TOKEN, "expires_at": "2030-01-01T00:00:00Z", "scopes": ["projects:read"] })
                        .to_string(),
                ),
                (Some("ci-old"), _) => refusal(401, "token_expired"),
                // A careless server says back what it was sent.
                _ => Response::echo(401, &request),
            }
        }
        _ if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) => Response::echo(401, &request),
        "/projects/payments" => Response::new(200).body("{}"),
        "/projects/secret" => Response::echo(404, &request),
        _ => refusal(500, "what?"),
    }
}

fn harness(url: &str) -> Harness<Acme> {
    Harness::new()
        .settings(json!({ "project": "payments" }))
        .secret("app_id", "ci")
        .secret("app_secret", SECRET)
        .requires("read", json!({ "scope": "projects:read" }))
        .endpoint(url)
}

async fn check(harness: Harness<Acme>, name: &str, status: Status, cause: Option<Cause>) -> Seen {
    let seen = harness.check(name).await;
    assert_eq!((seen.status, seen.cause()), (status, cause.as_ref()), "{name}: {seen:?}");
    assert!(!harness.leaks(&format!("{seen:?}")), "{name}: {seen:?}");
    seen
}

#[tokio::test]
async fn what_works_passes_with_one_login() {
    let server = Server::http(acme).unwrap();
    let harness = harness(&server.url());
    for name in ["config", "reach", "identity", "scopes", "project"] {
        let seen = harness.check(name).await;
        assert_eq!(seen.status, Status::Pass, "{name}: {seen:?}");
    }
    assert_eq!(server.log().lines(), ["GET /", "POST /login", "GET /projects/payments"]);
    assert!(harness.leaks(TOKEN), "the token was registered");
    let expires = harness.check("identity").await.outcome.expires;
    assert_eq!(expires[0].at.to_string(), "2030-01-01T00:00:00Z");
}

#[tokio::test]
async fn what_is_broken_is_named() {
    let server = Server::http(acme).unwrap();
    let url = server.url();
    let setting = |project: &str| harness(&url).settings(json!({ "project": project }));
    check(setting("a/b"), "config", Status::Fail, Some(Cause::ConfigInvalid)).await;
    check(harness(&url).secret("app_secret", "wr0ng"), "project", Status::Fail, Some(Cause::CredentialInvalid)).await;
    check(harness(&url).secret("app_id", "ci-old"), "identity", Status::Fail, Some(Cause::CredentialExpired)).await;
    check(harness(&url).secret("app_secret", ""), "identity", Status::Fail, Some(Cause::CredentialMissing)).await;
    let lacking = harness(&url).requires("write", json!({ "scope": "projects:write" }));
    let seen = check(lacking, "scopes", Status::Fail, Some(Cause::PermissionInsufficient)).await;
    assert_eq!(
        json!(seen.outcome.requirements),
        json!([{"id": "read", "status": "pass"}, {"id": "write", "status": "fail"}])
    );
    let seen = check(setting("secret"), "project", Status::Fail, Some(Cause::ResourceNotFound)).await;
    assert!(format!("{seen:?}").contains("[redacted:token]"), "the echo is shown, without the token: {seen:?}");
}

#[tokio::test]
async fn a_provider_that_cannot_answer_says_nothing_of_the_credential() {
    let down = Server::http(|_| Response::new(503)).unwrap();
    check(harness(&down.url()), "identity", Status::Unknown, Some(Cause::ProviderOutage)).await;
    let silent = Server::http(|_| Answer::Close).unwrap();
    check(harness(&silent.url()), "identity", Status::Unknown, Some(Cause::NetworkReset)).await;
    let closed = ClosedPort::new().unwrap();
    let url = format!("http://{}", closed.address());
    check(harness(&url), "reach", Status::Fail, Some(Cause::NetworkRefused)).await;
    check(harness(&url), "identity", Status::Unknown, Some(Cause::NetworkRefused)).await;
}

#[test]
fn a_rejected_credential_is_not_tried_again() {
    let server = Server::http(acme).unwrap();
    let harness = harness(&server.url()).secret("app_secret", "wr0ng");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let names = ["identity", "scopes", "project"];
    runtime.block_on(futures_util::future::join_all(names.map(|name| harness.check(name))));
    assert_eq!(server.log().lines(), ["POST /login"]);
}

#[test]
fn it_is_short_and_safe_and_its_catalog_holds() {
    let text = include_str!("../examples/acme.rs");
    assert!(text.lines().count() < 150);
    for word in ["unsafe ", "extern \"C\"", "RVec", "RSlice", "HostV1", "abi"] {
        assert!(!text.contains(word), "{word}");
    }
    assert_eq!(Harness::<Acme>::new().catalog_problems(), Vec::<String>::new());
}
