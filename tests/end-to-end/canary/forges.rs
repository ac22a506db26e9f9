//! Scenes with simulated forges.

use anyhow::Result;
use lineman_lab::api::{self, Response};
use lineman_lab::github;
use lineman_lab::tls::Tls;
use serde_json::json;

use super::{Scene, echo};

/// Both are well made, or they would not be sent.
const PLATFORM: &str = "glpat-Canary8Zx7Cv6Bn5Mm4K";
const MINTED: &str = "ghs_4711_eyJhbGciOiJSUzI1NiJ9.canaryMinted7Yh8Uj9Ik.Ol1Qa2Ws3Ed4Rf5Tg6Yh7";

/// A GitHub that mints a token for an app, refuses everything else, and says back what it was sent:
/// a token, an app's assertion, the minted token.
pub(super) fn github() -> Result<Scene> {
    let mut scene = Scene::new("github", &[])?;
    let lab = github::Server::start(Tls::Off, github::Variant::default())?;
    let frame = |text: &str| json!({ "message": text }).to_string();
    let server = api::Server::http(move |request| match request.path() {
        "/app" => Response::new(200).body(json!({ "id": 4711, "slug": "deployer", "name": "deployer" }).to_string()),
        "/app/installations" => {
            let installation = json!({ "id": 1, "account": { "login": "acme" }, "repository_selection": "all" });
            Response::new(200).body(json!([installation]).to_string())
        }
        path if path.ends_with("/access_tokens") => {
            let minted = json!({ "token": MINTED, "expires_at": "2099-01-01T00:00:00Z", "permissions": {} });
            Response::new(201).body(minted.to_string())
        }
        _ => echo(403, &request, frame),
    })?;
    let key = lab.key("deployer")?;
    // What begins every key of its kind gives nothing away.
    scene.canary("the private key", key.lines().skip(2).collect::<Vec<_>>().join("\n").as_str());
    scene.canary("the minted token", MINTED);
    scene.variable("TOKEN", lab.token("platform")?.as_str());
    scene.environment.push(("KEY", key));
    scene.configuration = "version = 1\nplugins.enable = [\"github\"]\n".to_owned();
    for (name, settings, secret) in [
        ("token", "", "token = { env = \"TOKEN\" }"),
        ("app", "app_id = 4711, ", "app_private_key = { env = \"KEY\" }"),
    ] {
        scene.configuration += &format!(
            "[integration.{name}]\nprovider = \"github\"\n\
             settings = {{ {settings}organization = \"acme\", repositories = [\"acme/app\"] }}\n\
             connection.endpoint_url = {:?}\n[integration.{name}.secrets]\n{secret}\n",
            server.url()
        );
    }
    scene.asked.push(server.log().clone());
    scene._servers.push(Box::new(server));
    Ok(scene)
}

/// A GitLab that refuses, and says back what it was sent.
pub(super) fn gitlab() -> Result<Scene> {
    let mut scene = Scene::new("gitlab", &[])?;
    let server = api::Server::http(|request| {
        echo(403, &request, |text| json!({ "message": text }).to_string()).header("x-gitlab-meta", "{}")
    })?;
    scene.variable("TOKEN", PLATFORM);
    scene.configuration = format!(
        "version = 1\nplugins.enable = [\"gitlab\"]\n[integration.echo]\nprovider = \"gitlab\"\n\
         settings = {{ url = {:?}, projects = [\"acme/app\"] }}\nsecrets.token = {{ env = \"TOKEN\" }}\n",
        server.url()
    );
    scene.asked.push(server.log().clone());
    scene._servers.push(Box::new(server));
    Ok(scene)
}
