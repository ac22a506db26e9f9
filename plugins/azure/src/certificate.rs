//! An application's certificate, and the assertion that its key signs.
//!
//! "Microsoft identity platform application authentication certificate credentials": PS256, the
//! SHA-256 thumbprint of the certificate as `x5t#S256`, `aud` the token endpoint, `iss` and `sub` the
//! application's id.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use lineman_sdk::prelude::*;
use lineman_sdk::{Certificate, ClientCertificate, RsaKey, Timestamp, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::{Azure, Secrets};

/// Seconds that an assertion is good for, as the Microsoft libraries have it.
const LIFE: i64 = 600;

pub(crate) const CERTIFICATE: &str = "/secrets/certificate";
const KEY: &str = "/secrets/private_key";

/// A certificate with its key.
pub(crate) struct Pair {
    key: RsaKey,
    der: CertificateDer<'static>,
    about: Certificate,
}

impl Pair {
    /// What the certificate says of itself.
    pub(crate) fn about(&self) -> &Certificate {
        &self.about
    }

    /// The thumbprint by which the portal lists certificates: SHA-1, in capitals.
    pub(crate) fn thumbprint(&self) -> String {
        Sha1::digest(&self.der).iter().fold(String::new(), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02X}");
            text
        })
    }

    /// An assertion that the application is who it says, good for some minutes.
    pub(crate) fn assertion(&self, cx: &Cx<Azure>, endpoint: &Url) -> Result<Secret, Stop> {
        let now = Timestamp::now().as_second();
        let id = &cx.settings().client_id;
        // An id that no other assertion has.
        let random = || RandomState::new().hash_one(now);
        let header = json!({ "alg": "PS256", "x5t#S256": BASE64URL.encode(Sha256::digest(&self.der)) });
        let claims = json!({
            "aud": endpoint.as_str(), "iss": id, "sub": id, "jti": format!("{:016x}{:016x}", random(), random()),
            "nbf": now, "iat": now, "exp": now + LIFE,
        });
        let assertion = self.key.token(&header, &claims);
        let assertion = assertion.ok_or_else(|| wrong("certificate-key", KEY, "The private key cannot sign."))?;
        cx.conceal("client assertion", &assertion);
        Ok(assertion)
    }
}

/// Reads the stored certificate and its key.
///
/// # Errors
///
/// What is wrong with what is stored.
pub(crate) fn read(secrets: &Secrets) -> Result<Pair, Box<Finding>> {
    let text = secrets.certificate.as_ref().map(Secret::expose).unwrap_or_default();
    if let Some(message) = not_a_certificate(text) {
        return Err(Box::new(wrong("certificate-shape", CERTIFICATE, format!("The certificate {message}."))));
    }
    let (key, pointer) = match &secrets.private_key {
        Some(key) => (key.expose(), KEY),
        None => (text, CERTIFICATE),
    };
    if secrets.private_key.is_none() && !key.contains("PRIVATE KEY") {
        let message = "The certificate is given without its private key.";
        let finding = wrong("certificate-key-missing", KEY, message);
        return Err(Box::new(Finding { cause: Cause::CredentialMissing, ..finding }));
    }
    let key = Secret::new(key);
    let signer = RsaKey::read(&key)
        .map_err(|wrongly| Box::new(wrong("certificate-key", pointer, format!("The private key {wrongly}."))))?;
    // It also holds the two against each other.
    let pair = ClientCertificate::from_pem(text, &key)
        .map_err(|other| Box::new(wrong("certificate-unusable", CERTIFICATE, other.message)))?;
    let der = CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|_| Box::new(wrong("certificate-shape", CERTIFICATE, "The certificate cannot be read.")))?;
    Ok(Pair { key: signer, der, about: pair.certificate().clone() })
}

/// What keeps a text from being a certificate in PEM.
fn not_a_certificate(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("is empty")
    } else if !text.contains("-----BEGIN") {
        // DER, and so PKCS#12, begins like this in base64.
        Some(if text.starts_with("MI") { "is DER or PKCS#12 in base64, not PEM" } else { "is no PEM" })
    } else if text.contains("\\n") {
        Some("has `\\n` where line ends should be")
    } else if text.trim().lines().count() < 3 {
        Some("lost its line ends")
    } else if !text.contains("CERTIFICATE-----") {
        Some("is missing: there is something else in PEM")
    } else {
        None
    }
}

fn wrong(code: &str, pointer: &str, message: impl Into<String>) -> Finding {
    Finding::new(format!("azure/{code}"), Cause::CredentialMalformed, message).pointer(pointer)
}
