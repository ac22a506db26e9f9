//! A scene with a simulated cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use lineman_lab::api::{self, Response};
use serde_json::{Value, json};

use super::{Scene, echo};

/// An API server that says back what it is shown: a token that is stored, one that stands in a
/// kubeconfig of which the host knows the path alone, and one that a program prints.
pub(super) fn kubernetes() -> Result<Scene> {
    let mut scene = Scene::new("kubernetes", &[])?;
    let server = api::Server::http(|request| match request.path() {
        "/version" => Response::new(200).body(r#"{"major":"1","minor":"34","gitVersion":"v1.34.1"}"#),
        _ => echo(401, &request, |text| {
            json!({ "kind": "Status", "reason": "Unauthorized", "message": text }).to_string()
        }),
    })?;
    let [stored, embedded, printed] =
        ["storedCanary/8+uJ7yH6=tG5&rF4", "embeddedCanary-3.eD4_rF5%tG6yH", "printedCanary+2wS3/xE4=dC5rF6"];
    scene.variable("TOKEN", stored);
    scene.canary("the token in the kubeconfig", embedded);
    scene.canary("the token of the program", printed);
    let version = "client.authentication.k8s.io/v1";
    let issued = json!({ "apiVersion": version, "kind": "ExecCredential", "status": { "token": printed } });
    let login = scene.given("login", &format!("#!/bin/sh\necho '{issued}'\n"))?;
    fs::set_permissions(&login, fs::Permissions::from_mode(0o700))?;
    let given = |name: &str, user: Value| {
        let config = json!({
            "current-context": "it", "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
            "clusters": [{ "name": "it", "cluster": { "server": server.url() } }],
            "users": [{ "name": "it", "user": user }],
        });
        scene.given(name, &config.to_string())
    };
    let held = given("held", json!({ "token": embedded }))?;
    let runs = given("runs", json!({ "exec": { "apiVersion": version, "command": login } }))?;
    scene.configuration = format!(
        "version = 1\nplugins.enable = [\"kubernetes\"]\n\
         [integration.stored]\nprovider = \"kubernetes\"\nsettings.server = {:?}\nsecrets.token.env = \"TOKEN\"\n\
         [integration.held]\nprovider = \"kubernetes\"\nsettings.kubeconfig = {held:?}\n\
         [integration.runs]\nprovider = \"kubernetes\"\nsettings.kubeconfig = {runs:?}\nsettings.exec_program = {login:?}\n",
        server.url()
    );
    scene.asked.push(server.log().clone());
    scene._servers.push(Box::new(server));
    Ok(scene)
}
