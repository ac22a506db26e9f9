//! The TLS handshake, watched: whatever the verdict, the certificates that the server sent and
//! whether it asked for one are known afterwards.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lineman_model::{Cause, Certificate, Confidence, Evidence, clean_line};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, ProtocolVersion, SignatureScheme, sign::CertifiedKey};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::certificate::{Link, interceptor, read_chain};
use crate::failure::causes;
use crate::target::{shown, spell};
use crate::trust::Trust;
use crate::verdict::Handshake;
use crate::wire::{Tap, Wire};
use crate::{Fault, Outcome, PathFailure, Seen};

/// A TLS connection and what is remembered of its handshake.
pub(crate) struct Secured {
    pub(crate) wire: Wire,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) asked: Arc<Asked>,
}

pub(crate) async fn handshake(
    seen: &mut Seen,
    wire: Wire,
    host: &str,
    port: u16,
    trust: &Trust,
    budget: Duration,
) -> Outcome<Secured> {
    let name = ServerName::try_from(host.trim_end_matches('.').to_owned()).map_err(|_| {
        PathFailure::new(Fault::EndpointInvalid, format!("{} is not a name that TLS can verify.", shown(host)))
            .during("tls")
            .remedy("Correct the host in the endpoint.")
    })?;
    let witness = Arc::new(Witness { inner: trust.verifier(), chain: OnceLock::new() });
    let asked = Arc::new(Asked::default());
    let mut config = (*trust.client_config()).clone();
    config.dangerous().set_certificate_verifier(witness.clone());
    config.client_auth_cert_resolver = asked.clone();
    // A resumed session would show no certificates.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];

    let (tap, heard) = Tap::new(wire);
    let ended = timeout(budget, TlsConnector::from(Arc::new(config)).connect(name, tap)).await;

    let chain = witness.chain.get().map(|chain| read_chain(chain)).unwrap_or_default();
    let context = Handshake { host: Some(host), port, chain: &chain, trust: Some(trust), asked: asked.was(), heard };
    let (outcome, version) = match &ended {
        Ok(Ok(stream)) => ("ok".to_owned(), stream.get_ref().1.protocol_version().and_then(spelled)),
        Ok(Err(error)) => (clean_line(&error.to_string(), 300), None),
        Err(_) => (format!("no end within {}", spell(budget)), None),
    };
    seen.evidence.push(Evidence::Tls {
        server_name: shown(host),
        outcome,
        version: version.map(str::to_owned),
        chain: chain.iter().map(|link| link.certificate.clone()).collect(),
        trust: Some(trust.to_string()),
    });
    match ended {
        Ok(Ok(stream)) => {
            seen.notes.extend(interception(&chain, host));
            let certificate = chain.into_iter().next().map(|link| link.certificate);
            Ok(Secured { wire: Box::new(stream), certificate, asked })
        }
        Ok(Err(error)) => Err(failed(&context, &error)),
        Err(_) => Err(late(host, budget)),
    }
}

fn failed(context: &Handshake<'_>, error: &io::Error) -> Box<PathFailure> {
    match causes(error).find_map(|error| error.downcast_ref()) {
        Some(error) => context.judge(error),
        None if context.asked => {
            context.wants_certificate(Confidence::Likely).or_else(Cause::NetworkReset, Confidence::Possible)
        }
        None => reset(context.host.unwrap_or("the server")).detail(clean_line(&error.to_string(), 200)),
    }
}

pub(crate) fn reset(host: &str) -> Box<PathFailure> {
    PathFailure::new(Fault::TlsReset, format!("The connection to {} is cut off during the TLS handshake.", shown(host)))
        .remedy("Look for a firewall that filters by host name, and check that the port speaks TLS.")
        .or_else(Cause::NetworkTlsProtocol, Confidence::Possible)
        .or_else(Cause::NetworkProxy, Confidence::Possible)
}

fn late(host: &str, budget: Duration) -> Box<PathFailure> {
    let message = format!("The TLS handshake with {} did not end within {}.", shown(host), spell(budget));
    PathFailure::new(Fault::TlsTimeout, message)
        .remedy("Check that the port speaks TLS, and look for a firewall or a path with a smaller MTU on the way.")
        .or_else(Cause::NetworkTlsProtocol, Confidence::Possible)
}

/// The note on an interceptor that is trusted, so that nothing fails.
fn interception(chain: &[Link], host: &str) -> Option<String> {
    interceptor(chain).map(|product| format!("{product} intercepts the connection to {}; it is trusted.", shown(host)))
}

fn spelled(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
        ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
        _ => None,
    }
}

/// Remembers the chain and leaves the verdict to the verifier inside.
#[derive(Debug)]
struct Witness {
    inner: Arc<dyn ServerCertVerifier>,
    chain: OnceLock<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = [end_entity].into_iter().chain(intermediates);
        self.chain.get_or_init(|| chain.map(|certificate| certificate.clone().into_owned()).collect());
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Has no client certificate to give, and remembers that it was asked for one.
#[derive(Debug, Default)]
pub(crate) struct Asked(AtomicBool);

impl Asked {
    pub(crate) fn was(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
