//! Scenes with simulated clouds.

use std::any::Any;

use anyhow::Result;
use lineman_lab::api::{self, Request, Response};
use lineman_lab::tls::Tls;
use lineman_lab::{azure, gcp};
use serde_json::{Value, json};

use super::{Scene, echo};

const MINTED: &str = "ya29.Canary_minted-7Yh8Uj9Ik0Ol1Qa2Ws3Ed4Rf5Tg6";
const SUBJECT: &str = "eyJhbGciOiJub25lIn0.canarySubject_Zx1Cv2Bn3Mm4.As5Df6Gh7Jk8";

/// A Google Cloud that gives a token for a key, refuses everything else, and says back what it was
/// sent: the assertion, the token, and the token of an outside identity provider.
pub(super) fn gcp() -> Result<Scene> {
    let mut scene = Scene::new("gcp", &[])?;
    let lab = gcp::Server::start(Tls::Off, gcp::Variant::default())?;
    let key: Value = serde_json::from_str(&lab.key("deployer")?)?;
    let frame = |text: &str| {
        let error = json!({ "code": 403, "message": text, "status": "PERMISSION_DENIED" });
        json!({ "error": error }).to_string()
    };
    let server = api::Server::http(move |request| match request.path() {
        "/token" => Response::new(200).body(json!({ "access_token": MINTED }).to_string()),
        _ => echo(403, &request, frame),
    })?;
    // What begins every key of its kind gives nothing away.
    let pem = key["private_key"].as_str().unwrap_or_default();
    scene.canary("the private key", pem.lines().skip(2).collect::<Vec<_>>().join("\n").as_str());
    scene.canary("the access token", MINTED);
    scene.variable("SUBJECT", SUBJECT);
    scene.environment.push(("KEY", key.to_string()));
    scene.environment.push(("EXTERNAL", lab.external_account(&json!({}))));
    scene.configuration = "version = 1\nplugins.enable = [\"gcp\"]\n".to_owned();
    for (name, secrets) in [
        ("key", "service_account_key = { env = \"KEY\" }"),
        ("federated", "external_account = { env = \"EXTERNAL\" }\nsubject_token = { env = \"SUBJECT\" }"),
    ] {
        scene.configuration += &format!(
            "[integration.{name}]\nprovider = \"gcp\"\nsettings = {{ project_id = \"acme-prod\", state_bucket = \"acme-state\" }}\n\
             connection.endpoint_url = {:?}\n[integration.{name}.secrets]\n{secrets}\n",
            server.url()
        );
    }
    scene.asked.push(server.log().clone());
    scene._servers.push(Box::new(server));
    Ok(scene)
}

const AZURE_SECRET: &str = "cnr8Q~canary.4kJ9sL2mNbV6xC8zQ1wE3rT5yU";
/// A tenant whose id looks like no other part of a request.
const AZURE_TENANT: &str = "c1a7b3d4-e5f6-4789-8abc-def012345678";
/// What is issued: no real one, but it looks like a token of that tenant.
const AZURE_TOKEN: &str = "eyJ0eXAiOiJKV1QifQ.eyJ0aWQiOiJjMWE3YjNkNC1lNWY2LTQ3ODktOGFiYy1kZWYwMTIzNDU2NzgifQ.cHJldGVuZGVkLXNpZ25hdHVyZS1vZi1hLWNhbmFyeQ";

/// An Entra that refuses a client secret and a signed assertion, and one that issues a token to a
/// Resource Manager that refuses; each says back what it was sent.
pub(super) fn azure() -> Result<Scene> {
    let mut scene = Scene::new("azure", &[])?;
    let frame = |text: &str| json!({ "error": "invalid_client", "error_description": text }).to_string();
    let discovered = |request: &Request| {
        let document =
            r#"{"issuer":"https://login.microsoftonline.com/c/v2.0","cloud_instance_name":"microsoftonline.com"}"#;
        request.path().ends_with("openid-configuration").then(|| Response::new(200).body(document))
    };
    let refuses = api::Server::http(move |request| discovered(&request).unwrap_or_else(|| echo(401, &request, frame)))?;
    let issues = api::Server::http(move |request: Request| match request.path().ends_with("/token") {
        true => Response::new(200).body(json!({ "access_token": AZURE_TOKEN }).to_string()),
        false => discovered(&request).unwrap_or_else(|| echo(400, &request, frame)),
    })?;
    let real = azure::Server::start(Tls::Off, azure::Variant::default())?;
    scene.variable("AZURE_SECRET", AZURE_SECRET);
    scene.canary("the issued token", AZURE_TOKEN);
    let key = real.key();
    // The first line of an RSA key in PKCS#8 is the same in each.
    scene.canary("the private key", key.lines().skip(3).collect::<Vec<_>>().join("\n").as_str());
    scene.environment.push(("AZURE_KEY", key));
    scene.environment.push(("AZURE_CERTIFICATE", real.certificate("deployer")?));
    scene.configuration = "version = 1\nplugins.enable = [\"azure\"]\n".to_owned();
    let certificate = "certificate.env = \"AZURE_CERTIFICATE\"\nprivate_key.env = \"AZURE_KEY\"";
    let tenant = "c0000000-0000-4000-8000-000000000001";
    for (name, url, tenant, secrets) in [
        ("secret-refused", refuses.url(), tenant, "client_secret.env = \"AZURE_SECRET\""),
        ("assertion-refused", refuses.url(), tenant, certificate),
        ("token-refused", issues.url(), AZURE_TENANT, certificate),
        ("let-in", real.url(), tenant, certificate),
    ] {
        scene.configuration += &format!(
            "[integration.{name}]\nprovider = \"azure\"\nsettings.tenant_id = {tenant:?}\n\
             settings.client_id = \"a0000000-0000-4000-8000-000000000001\"\nsettings.subscription_id = \"50000000-0000-4000-8000-000000000001\"\n\
             connection.endpoint_url = {url:?}\n[integration.{name}.secrets]\n{secrets}\n"
        );
    }
    scene.passing.push("let-in");
    scene.asked.push(issues.log().clone());
    scene._servers.extend([Box::new(refuses) as Box<dyn Any>, Box::new(issues), Box::new(real)]);
    Ok(scene)
}

const AWS_ID: &str = "ASIACANARY7Q2WXERTYU";
const AWS_SECRET: &str = "cnrySecret/+q8Zx7Cv6Bn5Mm4Kk3Jj2Hh1Gg0Ff";
const AWS_TOKEN: &str = "IQoJCanarySession//////////wEaCXVzLWVhc3QtMSJHMEUCIQDx+Yz7Kq==";

/// An AWS that refuses, and says back what it was sent.
pub(super) fn aws() -> Result<Scene> {
    let mut scene = Scene::new("aws", &[])?;
    let frame = |text: &str| {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>{text}</Message></Error></ErrorResponse>"
        )
    };
    let server = api::Server::http(move |request| echo(403, &request, frame))?;
    scene.variable("AWS_ID", AWS_ID);
    scene.variable("AWS_SECRET", AWS_SECRET);
    scene.variable("AWS_TOKEN", AWS_TOKEN);
    scene.configuration = format!(
        "version = 1\nplugins.enable = [\"aws\"]\n[integration.echo]\nprovider = \"aws\"\nsettings.region = \"us-east-1\"\nconnection.endpoint_url = {:?}\n\
         [integration.echo.secrets]\naccess_key_id = {{ env = \"AWS_ID\" }}\nsecret_access_key = {{ env = \"AWS_SECRET\" }}\nsession_token = {{ env = \"AWS_TOKEN\" }}\n",
        server.url()
    );
    scene.asked.push(server.log().clone());
    scene._servers.push(Box::new(server));
    Ok(scene)
}
