//! Scenes with simulated clouds.

use anyhow::Result;
use lineman_lab::api::{self, Response};
use lineman_lab::gcp;
use lineman_lab::tls::Tls;
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
