//! What an integration with Google Cloud is for: get a token, look at the project, list the state, look
//! at what is required.

use anyhow::Result;
use serde_json::{Value, json};

use super::{ForgeClient, Said};
use crate::fault::Integration;

impl ForgeClient {
    pub(super) fn gcp(&self, id: &str, integration: &Integration) -> Result<Option<String>> {
        let mut token = match self.google_token(id, integration)? {
            Ok(token) => token,
            Err(refusal) => return Ok(Some(refusal)),
        };
        if let Some(account) = integration.setting("impersonate") {
            match self.acting(integration, &token, account)? {
                Ok(acting) => token = acting,
                Err(refusal) => return Ok(Some(refusal)),
            }
        }
        let project = integration.setting("project_id").map(|id| format!("/v3/projects/{id}"));
        let bucket = integration.setting("state_bucket").map(|name| format!("/storage/v1/b/{name}/o?maxResults=1"));
        let required = integration.requires.iter().flat_map(|words| looked_at(integration, words));
        for path in project.into_iter().chain(bucket).chain(required) {
            let said = self.curl(integration, &bearer(integration, &token), &path, None)?;
            if !said.good {
                return Ok(Some(said.text));
            }
        }
        Ok(None)
    }

    /// An access token for the stored credential, or what was said instead.
    fn google_token(&self, id: &str, integration: &Integration) -> Result<Result<String, String>> {
        if let Some(token) = integration.secret("access_token")? {
            return Ok(Ok(token));
        }
        if let Some(account) = integration.secret("external_account")? {
            return self.federated(integration, &account);
        }
        let key = integration.secret("service_account_key")?.unwrap_or_default();
        let key: Value = match serde_json::from_str(&key) {
            Ok(key) => key,
            Err(error) => return Ok(Err(format!("the key file is no JSON: {error}"))),
        };
        let word = |name: &str| key[name].as_str().unwrap_or_default();
        if word("type") != "service_account" {
            return Ok(Err(format!("the key file is of the type {}", key["type"])));
        }
        let now = super::now()?;
        let claims = json!({
            "iss": word("client_email"), "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": "https://oauth2.googleapis.com/token", "iat": now - 30, "exp": now + 3000,
        });
        let assertion =
            match self.assertion(id, &json!({ "kid": word("private_key_id") }), &claims, word("private_key"))? {
                Ok(assertion) => assertion,
                Err(refusal) => return Ok(Err(refusal)),
            };
        let form = format!("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion={assertion}");
        Ok(field(self.curl(integration, "", "/token", Some(&form))?, "access_token"))
    }

    fn federated(&self, integration: &Integration, account: &str) -> Result<Result<String, String>> {
        let account: Value = serde_json::from_str(account)?;
        let source = &account["credential_source"];
        let subject = match (integration.secret("subject_token")?, source["file"].as_str()) {
            (Some(token), _) => token,
            (None, Some(file)) => std::fs::read_to_string(file)?,
            (None, None) => return Ok(Err("the external account has no source".to_owned())),
        };
        let body = json!({
            "audience": account["audience"], "subjectToken": subject, "subjectTokenType": account["subject_token_type"],
            "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
        });
        let said = self.curl(integration, "", "/v1/token", Some(&body.to_string()))?;
        let url = account["service_account_impersonation_url"].as_str().unwrap_or_default();
        match field(said, "access_token") {
            Ok(token) => {
                let target = url.rsplit('/').next().and_then(|last| last.split(':').next()).unwrap_or_default();
                self.acting(integration, &token, target)
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    fn acting(&self, integration: &Integration, token: &str, account: &str) -> Result<Result<String, String>> {
        let path = format!("/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
        let body = json!({ "scope": ["https://www.googleapis.com/auth/cloud-platform"] }).to_string();
        Ok(field(self.curl(integration, &bearer(integration, token), &path, Some(&body))?, "accessToken"))
    }
}

/// Where the things are that a requirement names.
fn looked_at(integration: &Integration, words: &toml::Table) -> Vec<String> {
    let word = |name: &str| words.get(name).and_then(toml::Value::as_str);
    let own = integration.setting("project_id").unwrap_or_default();
    let place = |text: &str| {
        let (project, name) = text.split_once('/').unwrap_or((own, text));
        (format!("/compute/v1/projects/{project}"), name.to_owned())
    };
    let region = word("region").or(integration.setting("region")).unwrap_or_default();
    let network = word("network").map(place).map(|(project, name)| format!("{project}/global/networks/{name}"));
    let subnetwork = word("subnetwork").map(place);
    let subnetwork = subnetwork.map(|(project, name)| format!("{project}/regions/{region}/subnetworks/{name}"));
    let account = word("service_account").map(|address| format!("/v1/projects/-/serviceAccounts/{address}"));
    let bucket = word("bucket").map(|name| format!("/storage/v1/b/{name}"));
    network.into_iter().chain(subnetwork).chain(account).chain(bucket).collect()
}

/// The header with the token, and the one with the project that pays.
fn bearer(integration: &Integration, token: &str) -> String {
    let project = integration.setting("quota_project").map(|id| format!("\nx-goog-user-project: {id}"));
    format!("Authorization: Bearer {token}{}", project.unwrap_or_default())
}

/// A field of an answer, or the answer where it has none.
fn field(said: Said, name: &str) -> Result<String, String> {
    match said.body[name].as_str() {
        Some(value) => Ok(value.to_owned()),
        None => Err(said.text),
    }
}
