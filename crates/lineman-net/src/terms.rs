//! How the certificate of one host is judged where that is not as usual.

use std::sync::Arc;

use lineman_model::{Connection, HostTerms};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

/// The name that a server is asked for in TLS: the host's, or the one that the terms give it.
pub fn server_name<'a>(host: &'a str, connection: &'a Connection) -> &'a str {
    let other = connection.terms.as_ref().filter(|terms| terms.host == host).and_then(|terms| terms.name.as_deref());
    other.unwrap_or(host)
}

/// Judges certificates as usual, and those of one host by its terms.
#[derive(Debug)]
pub(crate) struct Particular {
    pub(crate) usual: Arc<WebPkiServerVerifier>,
    pub(crate) terms: HostTerms,
}

impl ServerCertVerifier for Particular {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let asked = server_name.to_str();
        let HostTerms { host, name, unverified } = &self.terms;
        let meant = asked.as_ref() == host || Some(asked.as_ref()) == name.as_deref();
        if meant && *unverified {
            return Ok(ServerCertVerified::assertion());
        }
        let name = match name.as_ref().filter(|_| meant) {
            Some(name) => &ServerName::try_from(name.as_str())
                .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::NotValidForName))?,
            None => server_name,
        };
        self.usual.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
