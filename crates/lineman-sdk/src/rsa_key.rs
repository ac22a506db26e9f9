use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{Signer, SigningKey};
use serde_json::Value;

use crate::Secret;

/// An RSA private key that signs JSON Web Tokens, by which a program says who it is (RFC 7523).
pub struct RsaKey(std::sync::Arc<dyn SigningKey>);

impl RsaKey {
    /// Reads a key in PEM, PKCS#1 or PKCS#8, not encrypted.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the end of a sentence that begins with the key. It says nothing of
    /// what the text holds.
    ///
    /// ```
    /// use lineman_sdk::{RsaKey, Secret};
    ///
    /// let stored = Secret::new("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n");
    /// assert_eq!(RsaKey::read(&stored).err(), Some("is the public half"));
    /// ```
    pub fn read(pem: &Secret) -> Result<RsaKey, &'static str> {
        let pem = pem.expose();
        if let Some(flaw) = flaw(pem) {
            return Err(flaw);
        }
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "is cut off or damaged")?;
        let key = any_supported_type(&der)
            .ok()
            .map(RsaKey)
            .filter(|key| key.signer(SignatureScheme::RSA_PKCS1_SHA256).is_some());
        key.ok_or("is no RSA key of 2048 bits or more, or is damaged")
    }

    /// A token with a header and claims, signed with PS256 where the header's `alg` says so, and with
    /// RS256 otherwise (RFC 7518, sections 3.3 and 3.5). The header's `alg` and `typ` are added. Whoever holds the token is who it speaks of: give it
    /// to [`Cx::conceal`](crate::Cx::conceal) before it goes anywhere.
    pub fn token(&self, header: &Value, claims: &Value) -> Option<Secret> {
        let mut header = header.clone();
        let (algorithm, scheme) = match header["alg"].as_str() {
            Some("PS256") => ("PS256", SignatureScheme::RSA_PSS_SHA256),
            _ => ("RS256", SignatureScheme::RSA_PKCS1_SHA256),
        };
        header["alg"] = algorithm.into();
        header["typ"] = "JWT".into();
        let encode = |value: &Value| BASE64URL.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.signer(scheme)?.sign(signed.as_bytes()).ok()?;
        Some(Secret::new(format!("{signed}.{}", BASE64URL.encode(signature))))
    }

    /// The public half, as certificates hold it: DER of a `SubjectPublicKeyInfo` (RFC 5280).
    pub fn public(&self) -> Option<Vec<u8>> {
        Some(self.0.public_key()?.to_vec())
    }

    fn signer(&self, scheme: SignatureScheme) -> Option<Box<dyn Signer>> {
        self.0.choose_scheme(&[scheme])
    }
}

/// What can be told of a text that is no usable key without reading the key.
fn flaw(pem: &str) -> Option<&'static str> {
    if !pem.contains("PRIVATE KEY") {
        return Some(match pem {
            pem if pem.contains("PUBLIC KEY") => "is the public half",
            pem if pem.contains("CERTIFICATE") => "is a certificate",
            _ => "is no key in PEM",
        });
    }
    if pem.contains("\\n") {
        Some("has `\\n` where line ends should be")
    } else if pem.trim().lines().count() < 3 {
        Some("lost its line ends")
    } else if pem.contains("ENCRYPTED") {
        Some("is encrypted, and there is no passphrase for it")
    } else if pem.contains("BEGIN OPENSSH") || pem.contains("BEGIN EC ") {
        Some("is a key for something else, not an RSA key")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use lineman_lab::keys::{Format, Kind, generate_as};

    use super::*;

    #[test]
    fn keys_that_cannot_sign_say_why() {
        let check = |pem: &str, expect: Result<(), &str>| {
            let read = RsaKey::read(&Secret::new(pem)).map(drop);
            assert_eq!(read, expect, "{}", pem.chars().take(40).collect::<String>());
        };
        let pair = generate_as(Kind::Rsa, Format::Pem, None).unwrap();
        let pem = pair.private.as_str();
        check(pem, Ok(()));
        check(&generate_as(Kind::Rsa, Format::Pkcs8, None).unwrap().private, Ok(()));
        check(&pem.replace('\n', "\r\n"), Ok(()));
        check(&pem.replace('\n', "\\n"), Err("has `\\n` where line ends should be"));
        check(&pem.replace('\n', " "), Err("lost its line ends"));
        check(&pem[..pem.len() / 2], Err("is cut off or damaged"));
        let lines: Vec<&str> = pem.lines().collect();
        let short = [&lines[..8], &lines[9..]].concat().join("\n");
        check(&short, Err("is no RSA key of 2048 bits or more, or is damaged"));
        check("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n", Err("is the public half"));
        check(&pair.public, Err("is no key in PEM"));
        let other = generate_as(Kind::Ecdsa, Format::Pem, None).unwrap();
        check(&other.private, Err("is a key for something else, not an RSA key"));
    }
}
