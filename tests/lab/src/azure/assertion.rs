//! Keys, certificates and the assertions that they sign.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize, SigningKey, date_time_ymd};
use rustls::pki_types::alg_id::{RSA_PKCS1_SHA256, RSA_PSS_SHA256};
use rustls::pki_types::{AlgorithmIdentifier, CertificateDer};
use serde_json::{Value, json};

use super::answers::entra;
use super::world::{Application, Federated};
use super::{Hub, Refusal};
use crate::api::Request;

/// Entra forgives clocks that are five minutes off.
const FORGIVEN: i64 = 300;

/// The keys of the simulation: one pair for all servers of the process, because making one takes its
/// time.
pub(super) struct Keys {
    /// Of all applications.
    pub(super) application: KeyPair,
    /// Of the other identity provider.
    pub(super) provider: KeyPair,
}

impl Keys {
    pub(super) fn get() -> Result<Arc<Keys>> {
        static KEYS: Mutex<Option<Arc<Keys>>> = Mutex::new(None);
        let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = &*keys {
            return Ok(Arc::clone(keys));
        }
        let generate = || KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
        Ok(Arc::clone(keys.insert(Arc::new(Keys { application: generate()?, provider: generate()? }))))
    }
}

/// A certificate that was uploaded to an application.
pub(super) struct Uploaded {
    pub(super) pem: String,
    /// SHA-256, as `x5t#S256` has it.
    thumbprint: String,
    live: bool,
}

impl Uploaded {
    pub(super) fn new(name: &str, days: i64) -> Result<Uploaded> {
        let keys = Keys::get()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        let day = (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_zoned(jiff::tz::TimeZone::UTC).date();
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(day.year().into(), u8::try_from(day.month())?, u8::try_from(day.day())?);
        let certificate = params.self_signed(&keys.application)?;
        let der: &CertificateDer<'_> = certificate.der();
        let digest = sha2_256(der).context("no SHA-256")?;
        Ok(Uploaded { pem: certificate.pem(), thumbprint: BASE64URL.encode(digest), live: days > 0 })
    }
}

/// By the TLS library, which has it anyway.
fn sha2_256(bytes: &[u8]) -> Option<Vec<u8>> {
    let suites = rustls::crypto::aws_lc_rs::default_provider().cipher_suites;
    let hash = suites.iter().find_map(|suite| {
        let common = &suite.tls13()?.common;
        (common.hash_provider.output_len() == 32).then_some(common.hash_provider)
    })?;
    Some(hash.hash(bytes).as_ref().to_vec())
}

/// A token of the other identity provider, signed by its key.
pub(super) fn federated(key: &KeyPair, token: &Federated) -> Result<String> {
    let now = Timestamp::now().as_second();
    let claims = json!({
        "iss": token.issuer, "sub": token.subject, "aud": token.audience,
        "nbf": now - 600, "iat": now - 600, "exp": now + 60 * token.minutes,
    });
    let encode = |value: &Value| BASE64URL.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({ "alg": "RS256", "typ": "JWT", "kid": "1" })), encode(&claims));
    Ok(format!("{signed}.{}", BASE64URL.encode(key.sign(signed.as_bytes())?)))
}

/// The header and the claims of a token.
fn read(token: &str) -> Option<(Value, Value)> {
    let mut parts = token.split('.').map(|part| serde_json::from_slice(&BASE64URL.decode(part).ok()?).ok());
    Some((parts.next()??, parts.next()??))
}

fn verified(token: &str, key: &KeyPair, by: AlgorithmIdentifier) -> bool {
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let Ok(signature) = BASE64URL.decode(signature) else { return false };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let algorithms = provider.signature_verification_algorithms.all;
    let algorithm = algorithms.iter().find(|algorithm| algorithm.signature_alg_id() == by);
    let good = |algorithm: &&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
        algorithm.verify_signature(key.public_key_raw(), signed.as_bytes(), &signature).is_ok()
    };
    algorithm.is_some_and(good)
}

impl Hub {
    /// Takes an assertion in place of a secret: the application's own, or one of the other provider.
    pub(super) fn asserted(
        &self,
        request: &Request,
        application: &Application,
        assertion: &str,
    ) -> Result<(), Refusal> {
        let invalid = |code: u32, words: &str| entra(401, "invalid_client", code, words);
        let (header, claims) = read(assertion).ok_or_else(|| invalid(50027, "JWT token is invalid or malformed."))?;
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        if text("iss") != application.id {
            return self.federated(application, assertion, &claims);
        }
        let thumbprint = header["x5t#S256"].as_str().unwrap_or_default();
        let uploaded = application.certificates.iter().filter_map(|name| self.uploaded.get(name));
        let Some(certificate) = uploaded.into_iter().find(|certificate| certificate.thumbprint == thumbprint) else {
            let words = "Client assertion contains an invalid signature. [Reason - The key was not found., Thumbprint of key used by client: '0123456789ABCDEF0123456789ABCDEF01234567'. Found keys: none.]";
            return Err(invalid(700_027, words));
        };
        let by = if header["alg"] == "PS256" { RSA_PSS_SHA256 } else { RSA_PKCS1_SHA256 };
        if !verified(assertion, &self.keys.application, by) {
            return Err(invalid(
                700_027,
                "Client assertion contains an invalid signature. [Reason - The provided signature value did not match the expected signature value.]",
            ));
        }
        if !certificate.live {
            return Err(invalid(
                700_027,
                "Client assertion contains an invalid signature. [Reason - The key used is expired., Found key 'Start=01/01/2024 00:00:00, End=01/01/2025 00:00:00']",
            ));
        }
        if text("sub") != application.id {
            return Err(invalid(
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter.",
            ));
        }
        let asked = request.header("host").map(|host| format!("://{host}{}", request.path())).unwrap_or_default();
        if !text("aud").ends_with(&asked) {
            return Err(invalid(700_023, "Client assertion audience claim does not match Realm issuer."));
        }
        self.timely(&claims)
    }

    fn timely(&self, claims: &Value) -> Result<(), Refusal> {
        let now = self.now().as_second();
        let (from, to) = (claims["nbf"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
        if from - FORGIVEN <= now && now < to + FORGIVEN {
            return Ok(());
        }
        let time = |second: i64| Timestamp::from_second(second).map(|at| at.to_string()).unwrap_or_default();
        let words = format!(
            "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry time of assertion {}. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
            time(now),
            time(from),
            time(to)
        );
        Err(entra(401, "invalid_client", 700_024, &words))
    }

    /// "Workload identity federation": issuer, subject and audience must match to the letter.
    fn federated(&self, application: &Application, token: &str, claims: &Value) -> Result<(), Refusal> {
        let text = |name: &str| claims[name].as_str().unwrap_or_default();
        let trusts = &application.trusts;
        let check = [
            (700_211, "issuer", text("iss"), trusts.iter().any(|trust| trust.issuer == text("iss"))),
            (700_213, "subject", text("sub"), trusts.iter().any(|trust| trust.subject == text("sub"))),
            (700_212, "audience", text("aud"), trusts.iter().any(|trust| trust.audience == text("aud"))),
        ];
        if let Some((code, what, value, _)) = check.into_iter().find(|(_, _, _, good)| !good) {
            let words = format!(
                "No matching federated identity record found for presented assertion {what} '{value}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
            );
            return Err(entra(401, "invalid_client", code, &words));
        }
        if !verified(token, &self.keys.provider, RSA_PKCS1_SHA256) {
            return Err(entra(401, "invalid_client", 50013, "Assertion failed signature validation."));
        }
        self.timely(claims)
    }
}
