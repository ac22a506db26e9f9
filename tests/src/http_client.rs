use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::fault::{Answer, Integration};
use crate::server::clean_command;

/// curl, which does what an integration of the plugin `http` is for.
#[derive(Clone, Copy, Debug)]
pub struct HttpClient;

impl HttpClient {
    /// Asks as the integration is configured: it works when the answer is a good one.
    ///
    /// # Errors
    ///
    /// When the integration uses what curl is not told here.
    pub fn ask(self, integration: &Integration) -> Result<Answer> {
        let mut config = String::from("silent\nshow-error\nfail-with-body\nmax-time = 5\ninclude\n");
        let mut set = |option: &str, value: &str| {
            config += &format!("{option} = \"{}\"\n", value.replace('\\', "\\\\").replace('"', "\\\""));
        };
        let setting = |key: &str| integration.setting(key).unwrap_or_default();
        let auth = setting("auth");
        let user = setting("username");
        let secret = |key: &str| integration.secret(key).map(Option::unwrap_or_default);
        set("url", setting("url"));
        match auth {
            "" | "none" => {}
            "bearer" => set("header", &format!("Authorization: Bearer {}", secret("token")?)),
            "basic" => set("user", &format!("{user}:{}", secret("password")?)),
            "digest" => {
                set("user", &format!("{user}:{}", secret("password")?));
                config += "digest\n";
            }
            "api-key" => set("header", &format!("X-API-Key: {}", secret("api_key")?)),
            "mtls" => {
                for (option, key) in [("cert", "client_certificate"), ("key", "client_key")] {
                    let file = integration.secrets.get(key).and_then(|value| value.get("file")?.as_str());
                    set(option, file.unwrap_or_default());
                }
            }
            // The token server is what such rows are about.
            "oauth2-client-credentials" => {
                set("url", setting("token_url"));
                config = config.replacen(&format!("url = \"{}\"\n", setting("url")), "", 1);
                let mut set = |option: &str, value: &str| config += &format!("{option} = \"{value}\"\n");
                set("data", "grant_type=client_credentials");
                set("user", &format!("{}:{}", setting("client_id"), secret("client_secret")?));
                if let Some(scope) = integration.setting("scope") {
                    set("data", &format!("scope={scope}"));
                }
            }
            other => bail!("curl is not told here how to do `{other}`"),
        }
        for (option, key) in [("cacert", "ca_file"), ("proxy", "proxy")] {
            if let Some(value) = integration.connection(key) {
                config += &format!("{option} = \"{value}\"\n");
            }
        }
        let mut command = clean_command("curl");
        command.args(["--config", "-"]).envs(integration.variables());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // Closed when it is written, so that curl goes on.
        child.stdin.take().context("curl has an input")?.write_all(config.as_bytes())?;
        let output = child.wait_with_output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok(match output.status.success() {
            true => Answer::Works,
            false => Answer::Fails(String::from_utf8_lossy(&said).into_owned()),
        })
    }
}
