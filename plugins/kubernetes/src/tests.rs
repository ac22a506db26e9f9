//! Each check against simulated API servers of versions that cannot be had for real. The fault table
//! of the end-to-end tests goes through the causes at a real one, which is old.

use std::time::Duration;

use lineman_lab::kubernetes::{self, Server};
use lineman_lab::tls::Tls;
use lineman_sdk::prelude::Status;
use lineman_sdk::testing::{Harness, json};

use crate::Kubernetes;

fn harness(server: &str, token: &str) -> Harness<Kubernetes> {
    Harness::new()
        .settings(json!({ "server": server }))
        .secret("token", token)
        .directory(std::env::temp_dir())
        .deadline(Duration::from_secs(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_names_the_user_in_every_version_of_the_review() {
    for (id, asked) in [
        ("v1", &["GET /version", "POST /apis/authentication.k8s.io/v1/selfsubjectreviews"][..]),
        (
            "v1beta1",
            &[
                "GET /version",
                "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
                "POST /apis/authentication.k8s.io/v1beta1/selfsubjectreviews",
            ],
        ),
        ("closed", &["GET /version", "POST /apis/authentication.k8s.io/v1/selfsubjectreviews"]),
    ] {
        let server = Server::start(Tls::Off, id).unwrap();
        let check = async |user: &str, token: &str, expect: &str| {
            let settings = json!({ "server": server.url(), "user": user });
            let seen = harness("", token).settings(settings).check("identity").await;
            assert_eq!(seen.summary(), expect, "{id}: {:?}", seen.findings);
        };
        check("jane.doe", kubernetes::token(), "pass").await;
        assert_eq!(server.log().lines(), asked, "{id}");
        check("joe", kubernetes::token(), "fail kubernetes/wrong-user credential.wrong-account").await;
        check("jane.doe", "another-token-1", "fail kubernetes/unauthorized credential.invalid").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_shown_once_and_to_api_servers_alone() {
    let server = Server::start(Tls::Off, "v1").unwrap();
    let wrong = harness(&server.url(), "another-token-1");
    for check in ["identity", "permissions", "namespace", "read", "version"] {
        wrong.check(check).await;
    }
    let shown = server.log().entries().iter().filter(|request| request.header("authorization").is_some()).count();
    assert_eq!(shown, 1, "{:?}", server.log().lines());
    for id in ["kubelet", "login-page"] {
        let server = Server::start(Tls::Off, id).unwrap();
        let harness = harness(&server.url(), kubernetes::token());
        for check in ["api", "identity", "read"] {
            let seen = harness.check(check).await;
            assert_eq!(seen.summary(), "fail kubernetes/not-the-api config.endpoint-wrong", "{id} {check}");
        }
        assert!(server.log().entries().iter().all(|request| request.header("authorization").is_none()), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_take_the_place_of_the_kubeconfigs_user_and_its_impersonation_stays() {
    let server = Server::start(Tls::Off, "v1").unwrap();
    let config = |user: serde_json::Value| {
        let config = json!({
            "current-context": "it", "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
            "clusters": [{ "name": "it", "cluster": { "server": server.url() } }],
            "users": [{ "name": "it", "user": user }],
        });
        Harness::<Kubernetes>::new().secret("kubeconfig", &config.to_string())
    };
    // What would have to be told of the user is nothing where another one asks.
    for user in [json!({ "auth-provider": { "name": "gcp" } }), json!({ "client-key": "gone" }), json!({})] {
        let harness = config(user.clone()).secret("token", kubernetes::token());
        for check in ["config", "identity"] {
            let seen = harness.check(check).await;
            assert_eq!(seen.summary(), "pass", "{user} {check}: {:?}", seen.findings);
        }
    }
    let harness = config(json!({ "token": kubernetes::token(), "as": "jane" }));
    assert_eq!(harness.check("identity").await.summary(), "pass");
    let asked = server.log().entries();
    assert_eq!(asked.last().and_then(|request| request.header("impersonate-user")), Some("jane"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_may_not_count_is_listed_and_not_blamed() {
    let server = Server::start(Tls::Off, "v1").unwrap();
    let check = async |quota: serde_json::Value, status: Status, why: &str| {
        let harness = harness(&server.url(), kubernetes::token()).requires("r", json!({ "quota": quota }));
        let seen = harness.check("quota").await;
        let found = seen.outcome.requirements.first().map(|requirement| requirement.status);
        assert_eq!(found, Some(status), "{quota}: {:?}", seen.findings);
        let listed = seen.outcome.not_proved.first().map_or("", |it| it.why.as_str());
        assert_eq!(listed, why, "{quota}: {:?}", seen.findings);
    };
    let quota = |resource: &str, need: &str| json!({ "namespace": "metered", "resource": resource, "need": need });
    let nodes = "only scheduling a pod tells";
    check(quota("pods", "1"), Status::Pass, nodes).await;
    check(quota("requests.cpu", "64"), Status::Pass, nodes).await;
    check(quota("count/deployments.apps", "64"), Status::Pass, "").await;
    let scoped = "it has 1 of 2 pods in use, and counts for some objects alone: PriorityClass In urgent";
    check(quota("count/pods", "2"), Status::Unknown, scoped).await;
    let new = "what is in use of its 4Gi of requests.memory has not been counted yet";
    check(quota("memory", "4096Mi"), Status::Unknown, new).await;
    check(quota("memory", "4097Mi"), Status::Fail, "").await;
    check(quota("secrets", "6"), Status::Fail, "").await;
    let closed = json!({ "namespace": "closed", "resource": "pods" });
    check(closed, Status::Unknown, "the credential may not look at them").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requirements_are_held_against_what_the_server_says() {
    let server = Server::start(Tls::Off, "v1").unwrap();
    let check = async |name: &str, words: serde_json::Value, expect: &str| {
        let seen = harness(&server.url(), kubernetes::token()).requires("r", words.clone()).check(name).await;
        assert_eq!(seen.summary(), expect, "{name} {words}: {:?}", seen.findings);
    };
    let pods = json!({ "verb": "list", "resource": "pods", "namespace": "web" });
    check("permissions", pods.clone(), "fail kubernetes/permission-denied permission.denied-by-policy").await;
    check("resources", pods.clone(), "pass").await;
    check("namespace", pods, "fail kubernetes/namespace-ending resource.conflict").await;
    let watch = json!({ "verb": "watch", "resource": "pods" });
    check("resources", watch, "fail kubernetes/verb-unknown config.invalid").await;
    let gone = json!({ "crd": "certificates.cert-manager.io" });
    check("resources", gone, "fail kubernetes/resource-type-missing dependency.missing").await;
    let core = json!({ "verb": "get", "resource": "pods", "group": "apps" });
    check("resources", core, "fail kubernetes/resource-type-missing dependency.missing").await;
    check("version", json!({ "crd": "a.b" }), "pass").await;
    check("status", json!({ "crd": "a.b" }), "unknown kubernetes/not-ready provider.outage").await;
}
