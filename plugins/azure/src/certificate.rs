//! An application's certificate, and the assertion that its key signs.
//!
//! "Microsoft identity platform application authentication certificate credentials": PS256, the
//! SHA-256 thumbprint of the certificate as `x5t#S256`, `aud` the token endpoint, `iss` and `sub` the
//! application's id.

use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use lineman_sdk::prelude::*;
use lineman_sdk::{Certificate, ClientCertificate, Timestamp, Url};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::{Azure, Secrets};

/// Seconds that an assertion is good for, as the Microsoft libraries have it.
const LIFE: i64 = 600;

pub(crate) const CERTIFICATE: &str = "/secrets/certificate";
const KEY: &str = "/secrets/private_key";
const DOC: (&str, &str) = (
    "Application authentication certificate credentials",
    "https://learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials",
);

/// A certificate with its key.
pub(crate) struct Pair {
    key: Arc<dyn SigningKey>,
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
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": BASE64URL.encode(Sha256::digest(&self.der)) });
        let claims = json!({
            "aud": endpoint.as_str(), "iss": id, "sub": id, "jti": format!("{:016x}{:016x}", random(), random()),
            "nbf": now, "iat": now, "exp": now + LIFE,
        });
        let encode = |value: &serde_json::Value| BASE64URL.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self
            .key
            .choose_scheme(&[SignatureScheme::RSA_PSS_SHA256])
            .and_then(|signer| signer.sign(signed.as_bytes()).ok())
            .ok_or_else(|| wrong("certificate-key", KEY, "The private key cannot sign."))?;
        let assertion = Secret::new(format!("{signed}.{}", BASE64URL.encode(signature)));
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
    if let Some(message) = not_pem(text, "CERTIFICATE") {
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
    let damaged = |message: &str| Box::new(wrong("certificate-key", pointer, format!("The private key {message}.")));
    if let Some(message) = not_pem(key, "PRIVATE KEY") {
        return Err(damaged(message));
    }
    if key.contains("ENCRYPTED") {
        return Err(damaged("is encrypted, and there is nowhere to give its passphrase"));
    }
    let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| damaged("is cut off or damaged"))?;
    let signs = |key: &Arc<dyn SigningKey>| key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_some();
    let Some(signer) = any_supported_type(&der).ok().filter(signs) else {
        return Err(damaged("is no RSA key of 2048 bits or more, the only ones that Entra takes"));
    };
    // It also holds the two against each other.
    let pair = ClientCertificate::from_pem(text, &Secret::new(key))
        .map_err(|other| Box::new(wrong("certificate-unusable", CERTIFICATE, other.message)))?;
    let der = CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|_| Box::new(wrong("certificate-shape", CERTIFICATE, "The certificate cannot be read.")))?;
    Ok(Pair { key: signer, der, about: pair.certificate().clone() })
}

/// What keeps a text from being PEM of a kind.
fn not_pem(text: &str, kind: &str) -> Option<&'static str> {
    if !text.contains("-----BEGIN") {
        return Some(match text.trim() {
            "" => "is empty",
            // How DER, and so PKCS#12, begins in base64.
            text if text.starts_with("MI") => "is DER or PKCS#12 in base64, not PEM",
            _ => "is no PEM",
        });
    }
    if text.contains("\\n") {
        return Some("has `\\n` where line ends should be");
    }
    if text.trim().lines().count() < 3 {
        return Some("lost its line ends");
    }
    (!text.contains(&format!("{kind}-----"))).then_some(match kind {
        "CERTIFICATE" => "is missing: there is only a key",
        _ => "is something else in PEM",
    })
}

fn wrong(code: &str, pointer: &str, message: impl Into<String>) -> Finding {
    let (title, url) = DOC;
    Finding::new(format!("azure/{code}"), Cause::CredentialMalformed, message)
        .pointer(pointer)
        .remedy("Store certificate and private key as PEM, whole and with their line ends; best by `{ file = … }`.")
        .command(
            "Turn a PKCS#12 bundle into PEM.",
            ["openssl", "pkcs12", "-in", "bundle.pfx", "-out", "bundle.pem", "-nodes"],
        )
        .doc(title, url)
}
