//! An assertion that Lineman signs is good for others than the lab, which was written beside it.

use std::fs;

use anyhow::{Result, ensure};
use lineman_lab::azure::{self, Variant};
use lineman_lab::tls::Tls;
use lineman_model::Status;
use lineman_tests::{Listen, Outcome, Server, Site, clean_command, free_port, require, target_dir};

const TENANT: &str = "c0000000-0000-4000-8000-000000000001";
const CLIENT: &str = "a0000000-0000-4000-8000-000000000001";
const SCOPE: &str = "https://management.azure.com/.default";

/// `oidc-provider` checks signature, audience, issuer, subject and times.
#[test]
fn an_independent_token_server_takes_the_assertion_of_a_certificate() -> Result<()> {
    if !require("assertions", &["node", "oidc-provider"]) {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let lab = azure::Server::start(Tls::Off, Variant::default())?;
    let certificate = directory.path().join("certificate.pem");
    fs::write(&certificate, lab.certificate("deployer")?)?;
    // Node looks for packages beside the script.
    let script = target_dir().join("npm/assertions.mjs");
    fs::write(&script, include_str!("assertions.mjs"))?;
    let port = free_port()?;
    let mut command = clean_command("node");
    command.arg(&script).arg(port.to_string()).args([TENANT, CLIENT]).arg(&certificate).arg(SCOPE);
    let _server = Server::start("assertions", directory.path(), command, &[Listen::Tcp(port)])?;

    let check = |client: &str, expect: Status| -> Result<()> {
        let file = directory.path().join("lineman.toml");
        let configuration = format!(
            "version = 1\nplugins.enable = [\"azure\"]\n[integration.it]\nprovider = \"azure\"\n\
             settings = {{ tenant_id = \"{TENANT}\", client_id = \"{client}\" }}\n\
             connection.endpoint_url = \"http://127.0.0.1:{port}\"\n[integration.it.secrets]\n\
             certificate = {{ env = \"CERTIFICATE\" }}\nprivate_key = {{ env = \"KEY\" }}\n"
        );
        fs::write(&file, configuration)?;
        let mut command = Site::get()?.command(directory.path());
        command.args(["check", "--only", "azure/identity", "--format", "json", "--config"]).arg(&file);
        command.env("CERTIFICATE", lab.certificate("deployer")?).env("KEY", lab.key());
        let outcome = Outcome::of(&mut command)?;
        let report = outcome.report()?;
        let checks = report.integrations.iter().flat_map(|it| &it.checks);
        let seen = checks.into_iter().find(|check| check.id == "azure/identity").map(|check| check.status);
        ensure!(seen == Some(expect), "{client}: {}\n{}", outcome.stdout, outcome.stderr);
        Ok(())
    };
    check(CLIENT, Status::Pass)?;
    // And it does not take just anything.
    check("a0000000-0000-4000-8000-00000000ffff", Status::Fail)
}
