mod azure;
mod gcp;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};

use crate::fault::{Answer, Integration};
use crate::server::clean_command;

/// curl, and openssl for assertions, doing what an integration with a simulated provider is for: with
/// a forge, ask who the token is, look at the organisation and the repositories, list branches.
#[derive(Debug)]
pub struct ForgeClient {
    directory: PathBuf,
}

/// One question and what came back.
struct Said {
    good: bool,
    text: String,
    body: Value,
}

impl ForgeClient {
    /// A client that keeps its files in a directory.
    pub fn new(directory: &Path) -> Result<ForgeClient> {
        let directory = directory.join("forge-client");
        fs::create_dir_all(&directory)?;
        Ok(ForgeClient { directory })
    }

    /// Does what the integration is for. The first refusal is the answer.
    pub fn ask(&self, id: &str, integration: &Integration) -> Result<Answer> {
        let questions = match integration.provider.as_str() {
            "github" => self.github(id, integration),
            "gitlab" => self.gitlab(integration),
            "gcp" => self.gcp(id, integration),
            "azure" => self.azure(id, integration),
            other => anyhow::bail!("curl is not told how to speak to {other}"),
        };
        Ok(match questions? {
            Some(refusal) => Answer::Fails(refusal),
            None => Answer::Works,
        })
    }

    fn github(&self, id: &str, integration: &Integration) -> Result<Option<String>> {
        let header = |secret: &str| format!("Authorization: Bearer {secret}");
        let token = match (integration.secret("token")?, integration.secret("app_private_key")?) {
            (Some(token), _) => token,
            (None, Some(key)) => {
                // As "Generating a JSON Web Token for a GitHub App" says.
                let app = integration.settings.get("app_id").map(ToString::to_string).unwrap_or_default();
                let now = now()?;
                let claims = json!({ "iat": now - 60, "exp": now + 540, "iss": app.trim_matches('"') });
                let assertion = match self.assertion(id, &json!({}), &claims, &key)? {
                    Ok(assertion) => header(&assertion),
                    Err(refusal) => return Ok(Some(refusal)),
                };
                let app = self.curl(integration, &assertion, "/app", None)?;
                if !app.good {
                    return Ok(Some(app.text));
                }
                let installation = match integration.settings.get("installation_id") {
                    Some(id) => id.to_string(),
                    None => {
                        let organization = integration.setting("organization").unwrap_or_default();
                        let path = format!("/orgs/{organization}/installation");
                        let found = self.curl(integration, &assertion, &path, None)?;
                        if !found.good {
                            return Ok(Some(found.text));
                        }
                        found.body["id"].to_string()
                    }
                };
                let path = format!("/app/installations/{installation}/access_tokens");
                let minted = self.curl(integration, &assertion, &path, Some("{}"))?;
                match minted.body["token"].as_str() {
                    Some(token) => token.to_owned(),
                    None => return Ok(Some(minted.text)),
                }
            }
            (None, None) => String::new(),
        };
        let authorization = if token.is_empty() { String::new() } else { header(&token) };
        let mut questions = Vec::new();
        if integration.secret("app_private_key")?.is_none() {
            let installation = token.starts_with("ghs_");
            questions.push((if installation { "/installation/repositories" } else { "/user" }.to_owned(), None));
        }
        questions.extend(integration.setting("organization").map(|name| (format!("/orgs/{name}"), None)));
        let repositories = integration.settings.get("repositories").and_then(toml::Value::as_array);
        for name in repositories.into_iter().flatten().filter_map(toml::Value::as_str) {
            questions.push((format!("/repos/{name}"), None));
            questions.push((format!("/repos/{name}/branches"), None));
            let (owner, name) = name.split_once('/').unwrap_or_default();
            let query = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { id } }";
            let query = json!({ "query": query, "variables": { "owner": owner, "name": name } });
            questions.push(("/graphql".to_owned(), Some(query.to_string())));
        }
        let only = repositories.and_then(|names| match names.as_slice() {
            [only] => only.as_str(),
            _ => None,
        });
        for words in &integration.requires {
            let text = |word: &str| words.get(word).and_then(toml::Value::as_str).filter(|text| !text.is_empty());
            let Some(name) = text("repository").or(only).filter(|name| !name.contains(':')) else { continue };
            questions.extend(text("webhook").map(|_| (format!("/repos/{name}/hooks"), None)));
            let path = |name: &str, own: &str| format!("/repos/{name}/environments/{}", own.replace('/', "%2F"));
            questions.extend(text("environment").map(|own| (path(name, own), None)));
        }
        for (path, body) in questions {
            let said = self.curl(integration, &authorization, &path, body.as_deref())?;
            if !said.good {
                return Ok(Some(said.text));
            }
        }
        Ok(None)
    }

    fn gitlab(&self, integration: &Integration) -> Result<Option<String>> {
        let token = integration.secret("token")?.unwrap_or_default();
        let header = format!("Authorization: Bearer {token}");
        let mut questions = Vec::new();
        if integration.settings.contains_key("username") {
            questions.push("/api/v4/user".to_owned());
        }
        let projects = integration.settings.get("projects").and_then(toml::Value::as_array);
        for name in projects.into_iter().flatten().filter_map(toml::Value::as_str) {
            let project = format!("/api/v4/projects/{}", name.replace('/', "%2F"));
            questions.extend([project.clone(), format!("{project}/repository/branches")]);
        }
        let only = projects.and_then(|names| match names.as_slice() {
            [only] => only.as_str(),
            _ => None,
        });
        for words in &integration.requires {
            let text = |word: &str| words.get(word).and_then(toml::Value::as_str).filter(|text| !text.is_empty());
            let Some(name) = text("project").or(only).filter(|name| !name.contains(':')) else { continue };
            let project = format!("/api/v4/projects/{}", name.replace('/', "%2F"));
            questions.extend(text("webhook").map(|_| format!("{project}/hooks")));
            questions.extend(text("environment").map(|own| format!("{project}/environments?name={own}")));
        }
        for path in questions {
            let said = self.curl(integration, &header, &path, None)?;
            if !said.good {
                return Ok(Some(said.text));
            }
        }
        Ok(None)
    }

    /// A token that the key signs, or what openssl said.
    fn assertion(&self, id: &str, header: &Value, claims: &Value, key: &str) -> Result<Result<String, String>> {
        let mut header = header.clone();
        header["alg"] = "RS256".into();
        header["typ"] = "JWT".into();
        let encode = |value: &Value| BASE64URL.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let file = self.directory.join(format!("{id}.pem"));
        fs::write(&file, key)?;
        let mut command = clean_command("openssl");
        command.args(["dgst", "-sha256", "-sign"]).arg(&file);
        let (good, signature, error) = run(command, &signed)?;
        Ok(if good { Ok(format!("{signed}.{}", BASE64URL.encode(signature))) } else { Err(error) })
    }

    /// Asks one question. The header with the secret travels on standard input.
    fn curl(&self, integration: &Integration, header: &str, path: &str, body: Option<&str>) -> Result<Said> {
        let words: Vec<&str> = body.into_iter().flat_map(|body| ["--data", body]).collect();
        self.curl_with(integration, header, path, &words)
    }

    /// The same, with further words for curl.
    fn curl_with(&self, integration: &Integration, header: &str, path: &str, words: &[&str]) -> Result<Said> {
        let base = integration.connection("endpoint_url").context("the row gives an endpoint")?;
        let base = base.trim_end_matches('/');
        let url = match (path, base.strip_suffix("/v3")) {
            ("/graphql", Some(above)) => format!("{above}{path}"),
            _ => format!("{base}{path}"),
        };
        let mut command = clean_command("curl");
        command.args(["--silent", "--show-error", "--include", "--max-time", "5", "--noproxy", "", "--header", "@-"]);
        if let Some(file) = integration.connection("ca_file") {
            command.args(["--cacert", file]);
        }
        if let Some(proxy) = integration.connection("proxy") {
            command.args(["--proxy", proxy]);
        }
        command.args(words);
        let (good, output, error) = run(command.arg(url), header)?;
        let text = String::from_utf8_lossy(&output).into_owned();
        // The proxy's answer to CONNECT comes first.
        let (head, body) = text.rsplit_once("\r\n\r\n").unwrap_or((text.as_str(), ""));
        let head = head.rsplit("\r\n\r\n").next().unwrap_or_default();
        let status: u16 = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let good = good && (200..400).contains(&status) && !body.is_null() && body.get("errors").is_none();
        Ok(Said { good, body, text: text + &error })
    }
}

fn now() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}

/// Runs a command with an input, and gives whether it succeeded, its output and its errors.
fn run(
    mut command: impl std::borrow::BorrowMut<std::process::Command>,
    input: &str,
) -> Result<(bool, Vec<u8>, String)> {
    let command = command.borrow_mut();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("the command has an input")?;
    ensure!(input.len() < 4096, "the input fits into the pipe");
    // One that ends without reading is told by its own error.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    Ok((output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned()))
}
