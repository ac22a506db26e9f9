//! Which certificate authorities are trusted, and who chose them.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lineman_model::{CaBundle, Connection, HostTerms, clean_line};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};

use crate::terms::Particular;
use crate::{Fault, Outcome, PathFailure};

/// No honest bundle is larger.
const LARGEST_BUNDLE: u64 = 16 << 20;

/// The certificate authorities of a connection, loaded. Cheap to clone.
#[derive(Clone)]
pub struct Trust(Arc<Store>);

struct Store {
    bundle: Option<CaBundle>,
    terms: Option<HostTerms>,
    roots: Arc<RootCertStore>,
    verifier: Arc<dyn ServerCertVerifier>,
    client: Arc<ClientConfig>,
}

impl Trust {
    /// The file or directory, or that it is the system's store.
    pub fn source(&self) -> String {
        source(self.0.bundle.as_ref())
    }

    /// The setting or environment variable that chose it; none for the system's store.
    pub fn chosen_by(&self) -> Option<&str> {
        self.0.bundle.as_ref().map(|bundle| bundle.chosen_by.as_str())
    }

    /// How many authorities there are.
    pub fn certificates(&self) -> usize {
        self.0.roots.len()
    }

    /// A client's TLS configuration with these authorities: what the walk itself uses, without
    /// ALPN and without a client certificate.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.0.client.clone()
    }

    pub(crate) fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        self.0.verifier.clone()
    }

    /// Whether a certificate of this subject (DER) is among the authorities.
    pub(crate) fn has_subject(&self, subject: &[u8]) -> bool {
        self.0.roots.subjects().iter().any(|root| root.as_ref() == subject)
    }

    /// What to do for an authority to be trusted.
    pub(crate) fn how_to_extend(&self, issuer: &str) -> String {
        match &self.0.bundle {
            Some(bundle) => {
                format!("Add the certificate of {issuer} to {} (chosen by {}).", self.source(), bundle.chosen_by)
            }
            None => format!(
                "If {issuer} is to be trusted, add its certificate to the system's store, or name a bundle that has it in connection.ca_file or SSL_CERT_FILE."
            ),
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = self.certificates();
        write!(f, "{} ({many} {})", self.source(), if many == 1 { "authority" } else { "authorities" })?;
        self.chosen_by().map_or(Ok(()), |by| write!(f, ", chosen by {by}"))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({self})")
    }
}

/// The certificate authorities of a connection: its own bundle, else the system's store.
///
/// A store is read once per process and shared: a thousand integrations trust the same one.
///
/// # Errors
///
/// `trust-unreadable` or `trust-empty`, naming the bundle and who chose it.
pub fn trust(connection: &Connection) -> Result<Trust, Box<PathFailure>> {
    static LOADED: Mutex<Vec<Trust>> = Mutex::new(Vec::new());
    // Held while loading: whoever wants the same store would otherwise read it again.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(trust) =
        loaded.iter().find(|Trust(store)| store.bundle == connection.ca && store.terms == connection.terms)
    {
        return Ok(trust.clone());
    }
    let trust = load(connection.ca.as_ref(), connection.terms.as_ref())?;
    loaded.push(trust.clone());
    Ok(trust)
}

fn load(bundle: Option<&CaBundle>, terms: Option<&HostTerms>) -> Outcome<Trust> {
    let found = match bundle {
        Some(bundle) => {
            let (file, directory) = (bundle.file.as_deref().map(Path::new), bundle.directory.as_deref().map(Path::new));
            if let Some(file) = file {
                readable(file).map_err(|why| unreadable(bundle, &why))?;
            }
            load_certs_from_paths(file, directory)
        }
        None => load_native_certs(),
    };
    let CertificateResult { certs, errors, .. } = found;
    let whys: Vec<_> = errors.iter().map(|error| clean_line(&error.to_string(), 300)).collect();
    // One damaged file in a directory of many leaves the rest good; a bundle is one thing.
    if let Some(bundle) = bundle
        && (certs.is_empty() || bundle.directory.is_none())
        && let Some(why) = whys.first()
    {
        return Err(unreadable(bundle, why));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certs);
    if roots.is_empty() {
        return Err(empty(bundle).detail(whys.join("\n")));
    }
    build(bundle.cloned(), terms.cloned(), roots).map_err(|error| {
        PathFailure::new(Fault::TrustUnreadable, format!("{} cannot be used: {error}.", capital(&source(bundle))))
    })
}

/// Refuses what would block or flood: a pipe, a device, a file far too large.
fn readable(file: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(file).map_err(|error| error.to_string())?;
    match metadata {
        _ if !metadata.is_file() => Err("it is not a file".to_owned()),
        _ if metadata.len() > LARGEST_BUNDLE => Err("it is too large for a bundle of certificates".to_owned()),
        _ => Ok(()),
    }
}

fn build(
    bundle: Option<CaBundle>,
    terms: Option<HostTerms>,
    roots: RootCertStore,
) -> Result<Trust, Box<dyn std::error::Error>> {
    let roots = Arc::new(roots);
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let usual = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> = match terms.clone() {
        Some(terms) => Arc::new(Particular { usual, terms }),
        None => usual,
    };
    let client = builder.dangerous().with_custom_certificate_verifier(verifier.clone()).with_no_client_auth();
    Ok(Trust(Arc::new(Store { bundle, terms, roots, verifier, client: Arc::new(client) })))
}

fn source(bundle: Option<&CaBundle>) -> String {
    match bundle {
        None => "the system's trust store".to_owned(),
        Some(bundle) => match (&bundle.file, &bundle.directory) {
            (Some(file), Some(directory)) => format!("{file} and {directory}"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => "an unnamed bundle".to_owned(),
        },
    }
}

fn unreadable(bundle: &CaBundle, why: &str) -> Box<PathFailure> {
    let source = source(Some(bundle));
    PathFailure::new(
        Fault::TrustUnreadable,
        format!("The certificate authorities in {source} (chosen by {}) cannot be read.", bundle.chosen_by),
    )
    .detail(clean_line(why, 300))
    .remedy(format!("Correct {}: a PEM file that this user may read.", bundle.chosen_by))
}

fn empty(bundle: Option<&CaBundle>) -> Box<PathFailure> {
    match bundle {
        Some(bundle) => PathFailure::new(
            Fault::TrustEmpty,
            format!("There is no certificate in {} (chosen by {}).", source(Some(bundle)), bundle.chosen_by),
        )
        .remedy(format!("Correct {}: a PEM file begins with -----BEGIN CERTIFICATE-----.", bundle.chosen_by)),
        None => PathFailure::new(Fault::TrustEmpty, "This machine trusts no certificate authority.")
            .remedy("Install the system's certificates (the package is usually called ca-certificates), or name a bundle in connection.ca_file."),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
