use std::path::PathBuf;
use std::sync::Arc;

use lineman_model::{Cause, Certificate, Connection, Finding};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::Secret;

/// How the checks of one integration reach the provider: what the configuration says, and what a
/// plugin adds to it in [`Provider::transport`](crate::Provider::transport).
pub struct Transport {
    /// The connection, at first as it is configured. The path walk and the HTTP client use it.
    pub connection: Connection,
    /// The certificate that the HTTP client shows to servers that ask for one.
    pub client_certificate: Option<ClientCertificate>,
    /// The integration's private directory, for a bundle of authorities that must be a file.
    pub directory: PathBuf,
}

/// A certificate with its private key, by which a client is known to a server (TLS client
/// authentication, RFC 8446 section 4.4.2).
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    certificate: Certificate,
    resolver: Arc<SingleCertAndKey>,
}

impl ClientCertificate {
    /// Reads a certificate (with those that lead to its authority, if any, after it) and its
    /// private key, both PEM. The key is PKCS#1, PKCS#8 or SEC1, not encrypted.
    ///
    /// # Errors
    ///
    /// `credential.malformed`: what cannot be read, or that the two do not belong together. It says
    /// nothing of what the texts hold.
    pub fn from_pem(certificates: &str, key: &Secret) -> Result<ClientCertificate, Box<Finding>> {
        let malformed = |message: &str, remedy: &str| {
            Box::new(Finding::new("client-certificate-malformed", Cause::CredentialMalformed, message).remedy(remedy))
        };
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(certificates.as_bytes()).collect::<Result<_, _>>().unwrap_or_default();
        let Some(certificate) = chain.first().and_then(lineman_net::read_certificate) else {
            return Err(malformed(
                "The client certificate cannot be read.",
                "Store it as PEM: it begins with -----BEGIN CERTIFICATE-----.",
            ));
        };
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .ok()
            .and_then(|key| aws_lc_rs::default_provider().key_provider.load_private_key(key).ok())
            .ok_or_else(|| {
                malformed(
                    "The private key of the client certificate cannot be read.",
                    "Store it as PEM without a passphrase: it begins with -----BEGIN PRIVATE KEY-----.",
                )
            })?;
        let certified = CertifiedKey::new(chain, key);
        if certified.keys_match().is_err() {
            return Err(malformed(
                "The private key does not belong to the client certificate.",
                "Store certificate and key of the same pair; they are rotated together.",
            ));
        }
        Ok(ClientCertificate { certificate, resolver: Arc::new(SingleCertAndKey::from(certified)) })
    }

    /// What the certificate says of itself.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::<SingleCertAndKey>::clone(&self.resolver)
    }
}
