//! Certificates: an authority of the lab's own, and servers that are wrong in every usual way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// The names that a good certificate of the lab is for.
pub const NAMES: [&str; 4] = ["localhost", "*.localhost", "127.0.0.1", "::1"];

/// What a server shows to those who connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Good: signed by the authority, for [`NAMES`], in its dates.
    Good,
    /// Ended on 2 January 2020.
    Expired,
    /// Begins on 1 January 2090.
    NotYetValid,
    /// Good, but for `other.example`.
    WrongName,
    /// Signed by itself.
    SelfSigned,
    /// Signed by an authority that is not this one and is never shown.
    UnknownAuthority,
    /// Good, but refuses a client that shows no certificate of the same authority.
    ClientCertificateRequired,
}

/// How a server speaks TLS, if it does.
#[derive(Clone)]
pub enum Tls {
    /// Plain HTTP, and the URL says so.
    Off,
    /// Plain HTTP behind a URL that says `https`.
    PlainBehindHttps,
    /// TLS, as [`Authority::tls`] made it.
    On(Arc<rustls::ServerConfig>),
}

impl Tls {
    pub(crate) fn scheme(&self) -> &'static str {
        if matches!(self, Tls::Off) { "http" } else { "https" }
    }

    pub(crate) fn into_acceptor(self) -> Option<TlsAcceptor> {
        match self {
            Tls::On(config) => Some(TlsAcceptor::from(config)),
            Tls::Off | Tls::PlainBehindHttps => None,
        }
    }
}

/// A certificate authority, with files to give to clients.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    /// Makes a new authority, which nobody trusts yet.
    pub fn new() -> Result<Authority> {
        let issuer = authority("Lineman Lab CA")?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), issuer.pem())?;
        Ok(Authority { issuer, folder })
    }

    /// A PEM file that holds the authority's certificate, for a client to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The authority's certificate in PEM.
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// TLS for a server, right or wrong as `certificate` says.
    pub fn tls(&self, certificate: Certificate) -> Result<Tls> {
        let key = KeyPair::generate()?;
        let mut params = parameters(&NAMES, ExtendedKeyUsagePurpose::ServerAuth)?;
        match certificate {
            Certificate::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2020, 1, 2);
            }
            Certificate::NotYetValid => params.not_before = date_time_ymd(2090, 1, 1),
            Certificate::WrongName => {
                params = parameters(&["other.example"], ExtendedKeyUsagePurpose::ServerAuth)?;
            }
            _ => {}
        }
        let (chain, key): (Vec<CertificateDer<'static>>, _) = match certificate {
            Certificate::SelfSigned => (vec![params.self_signed(&key)?.into()], key),
            Certificate::UnknownAuthority => {
                let stranger = authority("Someone Else CA")?;
                (vec![params.signed_by(&key, &stranger)?.into()], key)
            }
            _ => (vec![params.signed_by(&key, &self.issuer)?.into()], key),
        };
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?;
        let builder = if certificate == Certificate::ClientCertificateRequired {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone())?;
            let provider = Arc::new(aws_lc_rs::default_provider());
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
            )
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = builder.with_single_cert(chain, key).context("the certificate does not fit its key")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls::On(Arc::new(config)))
    }

    /// A certificate and its key (PEM files) with which a client may show itself.
    pub fn client_files(&self) -> Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate()?;
        let certificate =
            parameters(&["client.example"], ExtendedKeyUsagePurpose::ClientAuth)?.signed_by(&key, &self.issuer)?;
        Ok((self.write("client.pem", &certificate.pem())?, self.write("client.key", &key.serialize_pem())?))
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path: &Path = self.folder.path();
        let path = path.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Lineman Lab");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn parameters(names: &[&str], usage: ExtendedKeyUsagePurpose) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, names[0]);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2095, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    Ok(params)
}
