//! The checks of repositories that are reached over HTTP.

use std::path::Path;

use lineman_lab::Fault;
use lineman_lab::api::{Response, Server as Web};
use lineman_lab::tls::{Authority, Certificate, Tls};

use super::*;

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
            integration.connection.ca = Some(lineman_sdk::CaBundle {
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
