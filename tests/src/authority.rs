use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// A certificate authority whose certificates say what a test wants them to say, dates included.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The certificates between this one and a root, its own first; empty for a root.
    chain: String,
    directory: PathBuf,
    /// Its certificate, for those who trust it.
    pub certificate: PathBuf,
}

/// When a certificate holds.
#[derive(Clone, Copy, Debug)]
pub enum Validity {
    /// Now.
    Current,
    /// Until 2020.
    Past,
    /// From 2099.
    Future,
}

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate and what stands between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// A root of a name, its files in a directory.
    pub fn root(directory: &Path, name: &str) -> Result<Authority> {
        let issuer = CertifiedIssuer::self_signed(authority(name), KeyPair::generate()?)?;
        Authority::keep(issuer, String::new(), directory, name)
    }

    /// An intermediate authority below this one.
    pub fn intermediate(&self, name: &str) -> Result<Authority> {
        let issuer = CertifiedIssuer::signed_by(authority(name), KeyPair::generate()?, &*self.issuer)?;
        let chain = issuer.pem() + &self.chain;
        Authority::keep(issuer, chain, &self.directory, name)
    }

    fn keep(
        issuer: CertifiedIssuer<'static, KeyPair>,
        chain: String,
        directory: &Path,
        name: &str,
    ) -> Result<Authority> {
        let certificate = directory.join(format!("{}.pem", name.to_lowercase().replace(' ', "-")));
        std::fs::write(&certificate, issuer.pem())?;
        Ok(Authority { issuer, chain, directory: directory.to_owned(), certificate })
    }

    /// A server's certificate for some names.
    pub fn issue(&self, file: &str, names: &[&str], validity: Validity) -> Result<Identity> {
        self.issue_with_chain(file, names, validity, &self.chain)
    }

    /// A server's certificate that comes without what stands between it and the root.
    pub fn issue_without_chain(&self, file: &str, names: &[&str]) -> Result<Identity> {
        self.issue_with_chain(file, names, Validity::Current, "")
    }

    fn issue_with_chain(&self, file: &str, names: &[&str], validity: Validity, chain: &str) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let certificate = leaf(names, validity)?.signed_by(&key, &*self.issuer)?;
        keep(&self.directory, file, &(certificate.pem() + chain), &key)
    }
}

/// A certificate that vouches for itself.
pub(crate) fn self_signed(directory: &Path, file: &str, names: &[&str]) -> Result<Identity> {
    let key = KeyPair::generate()?;
    let certificate = leaf(names, Validity::Current)?.self_signed(&key)?;
    keep(directory, file, &certificate.pem(), &key)
}

fn keep(directory: &Path, file: &str, certificate: &str, key: &KeyPair) -> Result<Identity> {
    let identity =
        Identity { certificate: directory.join(format!("{file}.crt")), key: directory.join(format!("{file}.key")) };
    std::fs::write(&identity.certificate, certificate).context("cannot keep a certificate")?;
    std::fs::write(&identity.key, key.serialize_pem()).context("cannot keep a key")?;
    Ok(identity)
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(names: &[&str], validity: Validity) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let subject = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = named(&subject);
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = match validity {
        Validity::Current => (date_time_ymd(2024, 1, 1), date_time_ymd(2098, 1, 1)),
        Validity::Past => (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1)),
        Validity::Future => (date_time_ymd(2099, 1, 1), date_time_ymd(2100, 1, 1)),
    };
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
