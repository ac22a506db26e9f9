use lineman_sdk::prelude::*;
use lineman_sdk::testing::{Harness, Request, Response, Server, json};

use super::Template;

const TOKEN: &str = "token-for-tests-1";

/// Example, as its documentation says that it answers.
fn example(request: &Request) -> Response {
    let refusal = |status, error: &str| Response::json(status, &json!({ "error": error }));
    match (request.line().as_str(), request.bearer()) {
        ("GET /", _) => Response::new(200),
        (_, Some("token-for-tests-0")) => refusal(401, "token_expired"),
        (_, token) if token != Some(TOKEN) => refusal(401, "token_unknown"),
        ("GET /user", _) => Response::json(200, &json!({ "token_expires_at": "2030-01-01T00:00:00Z" })),
        ("GET /projects/payments", _) => Response::json(200, &json!({})),
        ("GET /projects/private", _) => refusal(403, "scope_missing"),
        _ => Response::new(404),
    }
}

fn harness(server: &Server) -> Harness<Template> {
    Harness::new().settings(json!({ "project": "payments" })).secret("token", TOKEN).endpoint(server.url())
}

#[tokio::test]
async fn what_works_passes() {
    let server = Server::start(example);
    let harness = harness(&server);
    for check in ["token", "reach", "identity", "project"] {
        let seen = harness.check(check).await;
        assert_eq!(seen.status, Status::Pass, "{check}: {seen:?}");
    }
    assert_eq!(server.requests(), ["GET /", "GET /user", "GET /projects/payments"]);
}

#[tokio::test]
async fn what_is_broken_is_named() {
    let server = Server::start(example);
    let good = || harness(&server);
    let project = |project: &str| good().settings(json!({ "project": project }));
    let rows = [
        (good().secret("token", "in two parts"), "token", Status::Fail, Cause::CredentialMalformed),
        (good().secret("token", "token-for-tests-0"), "identity", Status::Fail, Cause::CredentialExpired),
        (good().secret("token", "token-for-others"), "identity", Status::Fail, Cause::CredentialInvalid),
        (project("private"), "project", Status::Fail, Cause::PermissionInsufficient),
        (project("nowhere"), "project", Status::Fail, Cause::ResourceNotFound),
        // An address that nobody has says nothing of the token.
        (good().endpoint("http://api.invalid"), "identity", Status::Unknown, Cause::NetworkDns),
    ];
    for (harness, check, status, cause) in rows {
        let seen = harness.check(check).await;
        assert_eq!((seen.status, seen.cause()), (status, Some(&cause)), "{check}: {seen:?}");
        assert!(!harness.leaks(&format!("{seen:?}")), "{check}: {seen:?}");
    }
}

#[test]
fn the_catalog_holds_to_its_examples() {
    assert_eq!(Harness::<Template>::new().catalog_problems(), Vec::<String>::new());
}
