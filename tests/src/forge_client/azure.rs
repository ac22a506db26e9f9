//! What an integration with Azure is for: get a token, look at the subscription and its resource groups.

use std::fs;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};

use super::{ForgeClient, now, run};
use crate::fault::Integration;
use crate::server::clean_command;

impl ForgeClient {
    /// What an integration with Azure is for: look the tenant up, ask for a token, look at the
    /// subscription and list its resource groups.
    pub(super) fn azure(&self, id: &str, integration: &Integration) -> Result<Option<String>> {
        let tenant = integration.setting("tenant_id").unwrap_or_default();
        let discovery = format!("/{tenant}/v2.0/.well-known/openid-configuration");
        let found = self.curl_with(integration, "", &discovery, &[])?;
        if !found.good {
            return Ok(Some(found.text));
        }
        let path = format!("/{tenant}/oauth2/v2.0/token");
        let client = format!("client_id={}", integration.setting("client_id").unwrap_or_default());
        let mut words: Vec<String> = Vec::new();
        let mut field = |text: &str| words.extend(["--data-urlencode".to_owned(), text.to_owned()]);
        field("grant_type=client_credentials");
        field(&client);
        field("scope=https://management.azure.com/.default");
        // Secrets are read from files, so that no other process sees them.
        let kept = |name: &str, value: &str| -> Result<String> {
            let file = self.directory.join(format!("{id}.{name}"));
            fs::write(&file, value)?;
            Ok(format!("{name}@{}", file.display()))
        };
        let assertion = match integration.secret("certificate")? {
            Some(certificate) => match self.certificate_assertion(id, integration, &certificate, &path)? {
                Ok(assertion) => Some(assertion),
                Err(refusal) => return Ok(Some(refusal)),
            },
            None => integration.secret("federated_token")?,
        };
        if let Some(secret) = integration.secret("client_secret")? {
            field(&kept("client_secret", &secret)?);
        } else if let Some(assertion) = assertion {
            field("client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
            field(&kept("client_assertion", &assertion)?);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let issued = self.curl_with(integration, "", &path, &words)?;
        let Some(token) = issued.body["access_token"].as_str() else { return Ok(Some(issued.text)) };
        let authorization = format!("Authorization: Bearer {token}");
        if let Some(subscription) = integration.setting("subscription_id") {
            for path in ["?api-version=2022-12-01", "/resourcegroups?api-version=2021-04-01"] {
                let said =
                    self.curl_with(integration, &authorization, &format!("/subscriptions/{subscription}{path}"), &[])?;
                if !said.good {
                    return Ok(Some(said.text));
                }
            }
            for path in required(integration, subscription) {
                let said = self.curl_with(integration, &authorization, &path, &[])?;
                if !said.good {
                    return Ok(Some(said.text));
                }
            }
        }
        Ok(None)
    }

    /// An assertion as "Application authentication certificate credentials" has it; or what openssl
    /// said.
    fn certificate_assertion(
        &self,
        id: &str,
        integration: &Integration,
        certificate: &str,
        path: &str,
    ) -> Result<Result<String, String>> {
        let (pem, key) = (self.directory.join(format!("{id}.crt")), self.directory.join(format!("{id}.key")));
        fs::write(&pem, certificate)?;
        fs::write(&key, integration.secret("private_key")?.unwrap_or_default())?;
        let mut command = clean_command("openssl");
        command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&pem);
        let (good, output, error) = run(command, "")?;
        if !good {
            return Ok(Err(error));
        }
        let output = String::from_utf8(output)?;
        let (_, digits) = output.trim().split_once('=').context("no fingerprint")?;
        let thumbprint = digits.split(':').map(|pair| u8::from_str_radix(pair, 16)).collect::<Result<Vec<_>, _>>()?;
        let now = now()?;
        let client = integration.setting("client_id").unwrap_or_default();
        let base = integration.connection("endpoint_url").context("the row gives an endpoint")?;
        let claims = json!({
            "aud": format!("{}{path}", base.trim_end_matches('/')), "iss": client, "sub": client,
            "jti": format!("{id}-{now}"), "nbf": now, "exp": now + 600,
        });
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": BASE64URL.encode(thumbprint) });
        let encode = |value: &Value| BASE64URL.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut command = clean_command("openssl");
        command.args(["dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32", "-sign"]);
        let (good, signature, error) = run(command.arg(&key), &signed)?;
        Ok(if good { Ok(format!("{signed}.{}", BASE64URL.encode(signature))) } else { Err(error) })
    }
}

/// The resource groups and networks that are required, as whoever provisions asks for them first.
fn required(integration: &Integration, subscription: &str) -> Vec<String> {
    let asks = |words: &toml::Table| {
        let text = |word: &str| words.get(word).and_then(toml::Value::as_str);
        let subnet =
            words.get("subnets").and_then(|list| list.get(0)?.as_str()).filter(|subnet| subnet.starts_with('/'));
        let network = match (text("vnet"), text("resource_group"), subnet) {
            (Some(id), _, _) if id.starts_with('/') => id.to_owned(),
            (Some(name), Some(group), _) => format!(
                "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{name}"
            ),
            (None, Some(group), _) => {
                return Some(format!("/subscriptions/{subscription}/resourcegroups/{group}?api-version=2021-04-01"));
            }
            (None, None, Some(subnet)) => subnet.split("/subnets/").next()?.to_owned(),
            _ => return None,
        };
        Some(format!("{network}?api-version=2024-05-01"))
    };
    integration.requires.iter().filter_map(asks).collect()
}
