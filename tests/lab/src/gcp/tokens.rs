//! How tokens are given out, and what is published of the keys that they are given for.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::{SignedDuration, Timestamp};
use rcgen::CertificateParams;
use rustls::pki_types::alg_id::RSA_PKCS1_SHA256;
use serde_json::{Value, json};

use super::answers::{oauth, refused, said};
use super::world::{Key, access_token, address};
use super::{Caller, Cloud, Refusal};
use crate::api::{Request, Response};

impl Cloud {
    /// An assertion for a token: "Using OAuth 2.0 for Server to Server Applications".
    pub(super) fn exchange(&self, request: &Request) -> Result<Response, Refusal> {
        let form: BTreeMap<String, String> = request.parameters().into_iter().collect();
        if form.get("grant_type").map(String::as_str) != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
            return Err(oauth(400, "unsupported_grant_type", "Invalid grant_type: "));
        }
        let assertion = form.get("assertion").map(String::as_str).unwrap_or_default();
        let part = |number: usize| -> Option<Value> {
            serde_json::from_slice(&BASE64URL.decode(assertion.split('.').nth(number)?).ok()?).ok()
        };
        let (Some(header), Some(claims)) = (part(0), part(1)) else {
            return Err(oauth(400, "invalid_grant", "Invalid JWT: must be a non-empty string."));
        };
        let issuer = claims["iss"].as_str().unwrap_or_default();
        let Some(account) = self.world.account(issuer) else {
            return Err(oauth(400, "invalid_grant", "Invalid grant: account not found"));
        };
        let verified = || {
            let listed = |(name, key): &(&String, &Key)| {
                key.is_listed() && header["kid"] == key.id(name).as_str() && address(&key.account) == issuer
            };
            let (name, _) = self.world.key.iter().find(listed)?;
            let (signed, signature) = assertion.rsplit_once('.')?;
            let signature = BASE64URL.decode(signature).ok()?;
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            let algorithms = provider.signature_verification_algorithms.all;
            let algorithm = algorithms.iter().find(|algorithm| algorithm.signature_alg_id() == RSA_PKCS1_SHA256)?;
            algorithm.verify_signature(self.keys[name].public_key_raw(), signed.as_bytes(), &signature).ok()
        };
        verified().ok_or_else(|| oauth(400, "invalid_grant", "Invalid JWT Signature."))?;
        if account.disabled {
            return Err(oauth(400, "invalid_grant", "Robot is disabled."));
        }
        let (now, issued, end) = (self.now(), claims["iat"].as_i64(), claims["exp"].as_i64());
        let in_time = issued.zip(end).is_some_and(|(issued, end)| issued <= now && end > now && end - issued <= 3600);
        if !in_time {
            let words = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.";
            return Err(oauth(400, "invalid_grant", words));
        }
        if claims["aud"] != "https://oauth2.googleapis.com/token" {
            let words = "Invalid JWT: Failed audience check. The right audience is https://oauth2.googleapis.com/token";
            return Err(oauth(400, "invalid_grant", words));
        }
        if claims["scope"].as_str().is_none_or(str::is_empty) {
            return Err(oauth(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided."));
        }
        let body = json!({ "access_token": self.mint("key", issuer), "expires_in": 3599, "token_type": "Bearer" });
        Ok(said(200, &body))
    }

    fn mint(&self, kind: &str, account: &str) -> String {
        let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        let token = access_token(kind, &format!("{account} {}", minted.len()));
        minted.insert(token.clone(), account.to_owned());
        token
    }

    pub(super) fn token_info(&self, request: &Request) -> Result<Response, Refusal> {
        let form: BTreeMap<String, String> = request.parameters().into_iter().collect();
        let secret = form.get("access_token").map(String::as_str).unwrap_or_default();
        let known = self.world.token.iter().find(|(name, _)| access_token("operator", name) == secret);
        let Some((_, token)) = known.filter(|(_, token)| !token.expired) else {
            return Err(oauth(400, "invalid_token", "Invalid Value"));
        };
        let end = self.now() + 1800;
        Ok(said(
            200,
            &json!({
                "azp": "103456789012345678901", "aud": "103456789012345678901", "scope": token.scopes.join(" "),
                "exp": end.to_string(), "expires_in": "1800", "email": address(&token.account),
                "email_verified": "true", "access_type": "online",
            }),
        ))
    }

    /// A token of the outside identity provider for one of Google's (RFC 8693).
    pub(super) fn federate(&self, request: &Request) -> Result<Response, Refusal> {
        let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let pool = &self.world.pool;
        if asked["grantType"] != "urn:ietf:params:oauth:grant-type:token-exchange" {
            return Err(oauth(400, "unsupported_grant_type", "The grant type is not supported."));
        }
        if asked["audience"] != pool.audience.as_str() {
            let words = "The target service indicated by the \"audience\" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn't exist.";
            return Err(oauth(400, "invalid_target", words));
        }
        let claims = asked["subjectToken"].as_str().and_then(|token| token.split('.').nth(1));
        let claims = claims.and_then(|part| BASE64URL.decode(part).ok());
        let claims: Option<Value> = claims.and_then(|json| serde_json::from_slice(&json).ok());
        let Some(claims) = claims else {
            return Err(oauth(400, "invalid_grant", "Unable to parse the ID Token."));
        };
        let word = |name: &str| claims[name].as_str().unwrap_or_default();
        if word("iss") != pool.issuer {
            let words =
                format!("The issuer in ID Token {} does not match the expected ones: {}.", word("iss"), pool.issuer);
            return Err(oauth(400, "invalid_grant", &words));
        }
        let expected = format!("https:{}", pool.audience);
        if word("aud") != expected {
            let words =
                format!("The audience in ID Token [{}] does not match the expected audience {expected}.", word("aud"));
            return Err(oauth(400, "invalid_grant", &words));
        }
        if claims["exp"].as_i64().is_none_or(|end| end <= self.now()) {
            let words = format!("ID Token issued at {} is stale to sign-in.", claims["iat"]);
            return Err(oauth(400, "invalid_grant", &words));
        }
        let subject = word("sub");
        if !subject.starts_with(&pool.condition) {
            return Err(oauth(
                400,
                "unauthorized_client",
                "The given credential is rejected by the attribute condition.",
            ));
        }
        let pool_of = pool.audience.trim_start_matches("//").split("/providers/").next().unwrap_or_default();
        let token = self.mint("federated", &format!("principal://{pool_of}/subject/{subject}"));
        Ok(said(
            200,
            &json!({
                "access_token": token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                "token_type": "Bearer", "expires_in": 3599,
            }),
        ))
    }

    /// What is published of an account's keys.
    pub(super) fn certificates(&self, account: &str) -> Result<Response, Refusal> {
        if self.world.account(account).is_none() {
            return Err(refused(404, "NOT_FOUND", &format!("Service account {account} does not exist."), None));
        }
        let mut published = serde_json::Map::new();
        for (name, key) in &self.world.key {
            if address(&key.account) == account && key.is_listed() {
                published.insert(key.id(name), self.certificate(name, key).into());
            }
        }
        Ok(said(200, &published.into()))
    }

    fn certificate(&self, name: &str, key: &Key) -> String {
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
        if let Some(days) = key.days {
            let end = Timestamp::now() + SignedDuration::from_hours(24 * days + 1);
            params.not_after = std::time::SystemTime::from(end).into();
        }
        params.self_signed(&*self.keys[name]).map(|certificate| certificate.pem()).unwrap_or_default()
    }

    /// A token of another service account.
    pub(super) fn generate(&self, caller: &Caller<'_>, target: &str) -> Result<Response, Refusal> {
        if self.world.account(target).is_none() || !caller.account.acts_as(target) {
            // Google does not tell an account that is not there from one that may not be acted as.
            let words = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
            let metadata = json!({ "permission": "iam.serviceAccounts.getAccessToken" });
            let reason = Some(("IAM_PERMISSION_DENIED", "iam.googleapis.com", metadata));
            return Err(refused(403, "PERMISSION_DENIED", words, reason));
        }
        let end = Timestamp::from_second(self.now() + 3600).unwrap_or_default().to_string();
        Ok(said(200, &json!({ "accessToken": self.mint("acting", target), "expireTime": end })))
    }
}
