//! What a failed TLS handshake means.

use jiff::Timestamp;
use lineman_model::{Cause, Confidence, clean_line};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::certificate::{Link, interceptor};
use crate::target::shown;
use crate::trust::Trust;
use crate::wire::Heard;
use crate::{Fault, PathFailure};

/// What is known of a handshake beside its error.
#[derive(Default)]
pub(crate) struct Handshake<'a> {
    /// The name that the certificate had to match.
    pub(crate) host: Option<&'a str>,
    pub(crate) port: u16,
    pub(crate) chain: &'a [Link],
    pub(crate) trust: Option<&'a Trust>,
    /// Whether the server asked for a client certificate.
    pub(crate) asked: bool,
    /// What the server said first.
    pub(crate) heard: Heard,
}

impl Handshake<'_> {
    fn host(&self) -> String {
        self.host.map_or_else(|| "the server".to_owned(), shown)
    }

    /// The failure that an error of rustls means.
    pub(crate) fn judge(&self, error: &Error) -> Box<PathFailure> {
        let failure = match error {
            Error::InvalidCertificate(why) => return self.bad_certificate(why),
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
                self.not_tls()
            }
            Error::InvalidMessage(_) if self.heard.speaker().is_some_and(|speaker| speaker != "TLS") => self.not_tls(),
            Error::PeerIncompatible(_) => self.no_version_in_common(),
            Error::NoApplicationProtocol => self.no_version_in_common(),
            _ => PathFailure::new(Fault::TlsFailed, format!("The TLS handshake with {} failed.", self.host()))
                .remedy("Look for a middlebox on the way that interferes with TLS."),
        };
        match failure.detail {
            Some(_) => failure,
            None => failure.detail(clean_line(&error.to_string(), 300)),
        }
    }

    fn alert(&self, alert: AlertDescription) -> Box<PathFailure> {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateRequired => self.wants_certificate(Confidence::Confirmed),
            Alert::HandshakeFailure
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateUnknown
            | Alert::AccessDenied
            | Alert::NoCertificate
                if self.asked =>
            {
                self.wants_certificate(Confidence::Likely)
            }
            Alert::ProtocolVersion
            | Alert::HandshakeFailure
            | Alert::InsufficientSecurity
            | Alert::NoApplicationProtocol => self.no_version_in_common(),
            Alert::UnrecognisedName => PathFailure::new(
                Fault::TlsHostname,
                format!("What answers there does not serve the name {}.", self.host()),
            )
            .remedy("Correct the host in the endpoint, or the DNS entry that leads to this server.")
            .or_else(Cause::ConfigEndpointWrong, Confidence::Likely),
            _ => PathFailure::new(Fault::TlsFailed, format!("{} refuses the TLS handshake.", capital(&self.host())))
                .remedy("Look at the server's TLS log."),
        }
    }

    pub(crate) fn wants_certificate(&self, confidence: Confidence) -> Box<PathFailure> {
        let mut failure =
            PathFailure::new(Fault::TlsClientCert, format!("{} wants a client certificate.", capital(&self.host())))
                .remedy("Use an endpoint that does not want one, or have this client exempted.");
        failure.confidence = confidence;
        failure
    }

    fn no_version_in_common(&self) -> Box<PathFailure> {
        PathFailure::new(
            Fault::TlsVersion,
            format!("{} and this client have no TLS version or cipher in common.", capital(&self.host())),
        )
        .remedy("Enable TLS 1.2 or 1.3 with current ciphers on the server.")
    }

    fn not_tls(&self) -> Box<PathFailure> {
        let speaks = self.heard.speaker().filter(|&speaker| speaker != "TLS");
        let message = match speaks {
            Some(speaks) => format!("Port {} of {} speaks {speaks}, not TLS.", self.port, self.host()),
            None if self.port != 0 => format!("Port {} of {} does not speak TLS.", self.port, self.host()),
            None => format!("{} does not speak TLS on that port.", capital(&self.host())),
        };
        let failure = PathFailure::new(Fault::TlsNotTls, message);
        let failure = match speaks {
            Some("plain HTTP") => {
                failure.remedy("Use http:// for this port, or the server's port for HTTPS (usually 443).")
            }
            _ => failure.remedy("Correct the port in the endpoint."),
        };
        let said = self.heard.line();
        failure
            .detail(if speaks.is_some() && !said.is_empty() { format!("It said: {said}") } else { String::new() })
            .or_else(Cause::ConfigEndpointWrong, Confidence::Likely)
            .or_else(Cause::NetworkProxy, Confidence::Possible)
    }

    fn bad_certificate(&self, why: &CertificateError) -> Box<PathFailure> {
        use CertificateError as Why;
        match why {
            Why::Expired | Why::ExpiredContext { .. } => self.expired(),
            Why::NotValidYet | Why::NotValidYetContext { .. } => self.not_yet_valid(),
            Why::NotValidForName | Why::NotValidForNameContext { .. } => self.wrong_name(),
            // What the verifier objects to first need not be what is wrong: a certificate that is its
            // own authority is refused for being one before its issuer is looked at.
            _ if self.is_trusted_authority() => self.unfit("it is an authority's own certificate, which may not serve"),
            Why::UnknownIssuer | Why::BadSignature | Why::Other(_) => self.untrusted(),
            Why::Revoked => self.unfit("it is revoked"),
            Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => self.unfit("it is not meant for servers"),
            Why::BadEncoding => self.unfit("it is malformed"),
            other => self.unfit(&clean_line(&other.to_string(), 200)),
        }
    }

    fn is_trusted_authority(&self) -> bool {
        self.chain
            .first()
            .is_some_and(|leaf| leaf.is_authority && self.trust.is_some_and(|trust| trust.has_subject(&leaf.subject)))
    }

    fn unfit(&self, why: &str) -> Box<PathFailure> {
        PathFailure::new(Fault::TlsBadCertificate, format!("The certificate of {} is refused: {why}.", self.host()))
            .remedy("Give the server a certificate that a trusted authority issued for it.")
    }

    fn untrusted(&self) -> Box<PathFailure> {
        let host = self.host();
        let Some(leaf) = self.chain.first() else {
            return PathFailure::new(Fault::TlsUnknownIssuer, format!("The certificate of {host} is not trusted."))
                .or_else(Cause::NetworkTlsIntercepted, Confidence::Possible);
        };
        let issuer = &self.chain.last().unwrap_or(leaf).certificate.issuer;
        let issuer_is_sent = self.chain.iter().skip(1).any(|link| link.subject == leaf.issuer);
        let failure = if let Some(product) = interceptor(self.chain) {
            PathFailure::new(
                Fault::TlsIntercepted,
                format!("{product} intercepts the connection to {host}, and its authority is not trusted here."),
            )
            .likely()
            .remedy(format!("Have {host} exempted from interception."))
        } else if leaf.is_self_issued() {
            PathFailure::new(Fault::TlsSelfSigned, format!("The certificate of {host} is signed by itself."))
                .remedy("Give the server a certificate from an authority.")
                .or_else(Cause::ConfigEndpointWrong, Confidence::Possible)
        } else if !issuer_is_sent && (leaf.tells_issuer || self.chain.len() > 1) {
            PathFailure::new(
                Fault::TlsMissingIntermediate,
                format!("{} does not send the certificate of its issuer, {}.", capital(&host), leaf.certificate.issuer),
            )
            .likely()
            .remedy("Configure the server to send the whole chain (often called fullchain.pem).")
            .or_else(Cause::NetworkTlsIntercepted, Confidence::Possible)
        } else {
            PathFailure::new(
                Fault::TlsUnknownIssuer,
                format!("No trusted authority issued the certificate of {host}: it is from {issuer}."),
            )
            .or_else(Cause::NetworkTlsIntercepted, Confidence::Possible)
        };
        let failure = match self.trust {
            Some(trust) => {
                let last = self.chain.last().unwrap_or(leaf);
                let namesake = if trust.has_subject(&last.issuer) {
                    " An authority of that name is among them, with another key: it was renewed or is an impostor's."
                } else {
                    ""
                };
                failure.detail(format!("Trusted: {trust}.{namesake}")).remedy(trust.how_to_extend(issuer))
            }
            None => failure,
        };
        match self.host {
            Some(host) => {
                let address = crate::target::authority(host, self.port);
                failure.command("Look at the chain.", ["openssl", "s_client", "-showcerts", "-connect", &address])
            }
            None => failure,
        }
    }

    fn expired(&self) -> Box<PathFailure> {
        let now = Timestamp::now();
        let past = self.chain.iter().position(|link| link.certificate.not_after < now);
        PathFailure::new(
            Fault::TlsExpired,
            match past.map(|at| (at, &self.chain[at].certificate)) {
                Some((0, leaf)) => format!("The certificate of {} expired on {}.", self.host(), day(leaf.not_after)),
                Some((_, other)) => format!(
                    "A certificate in the chain of {} expired on {}: {}.",
                    self.host(),
                    day(other.not_after),
                    other.subject
                ),
                None => format!("The certificate of {} is expired.", self.host()),
            },
        )
        .likely()
        .detail(format!("This machine's clock says {}.", minute(now)))
        .remedy("Renew the server's certificate.")
        .remedy("Check this machine's clock.")
        .or_else(Cause::ClockSkew, Confidence::Possible)
    }

    fn not_yet_valid(&self) -> Box<PathFailure> {
        let now = Timestamp::now();
        let future = self.chain.iter().find(|link| link.certificate.not_before > now);
        PathFailure::new(
            Fault::TlsNotYetValid,
            match future {
                Some(link) => format!(
                    "The certificate of {} is valid only from {}.",
                    self.host(),
                    day(link.certificate.not_before)
                ),
                None => format!("The certificate of {} is not valid yet.", self.host()),
            },
        )
        .likely()
        .detail(format!("This machine's clock says {}.", minute(now)))
        .remedy("Check this machine's clock: a new certificate is seldom from the future.")
        .remedy("Replace the server's certificate.")
        .or_else(Cause::ClockSkew, Confidence::Likely)
    }

    fn wrong_name(&self) -> Box<PathFailure> {
        let host = self.host();
        let leaf = self.chain.first().map(|link| &link.certificate);
        let (message, detail) = match leaf {
            Some(leaf) if leaf.names.is_empty() => (
                format!("The certificate of {host} names no host."),
                format!("Its subject is {}; a common name alone no longer counts.", leaf.subject),
            ),
            Some(leaf) => {
                let more = leaf.names.len().saturating_sub(3);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                let first: Vec<_> = leaf.names.iter().take(3).map(String::as_str).collect();
                let all =
                    if leaf.names.len() > 3 { format!("Its names: {}.", leaf.names.join(", ")) } else { String::new() };
                (format!("The certificate of {host} is for other names: {}{more}.", first.join(", ")), all)
            }
            None => (format!("The certificate of {host} is for another name."), String::new()),
        };
        PathFailure::new(Fault::TlsHostname, message)
            .detail(detail)
            .remedy("Use a name that the certificate has, or give the server a certificate for this one.")
            .or_else(Cause::ConfigEndpointWrong, Confidence::Possible)
    }
}

fn day(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d").to_string()
}

fn minute(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%MZ").to_string()
}

fn capital(text: &str) -> String {
    // A host name keeps its spelling; only our own words begin a sentence.
    text.strip_prefix("the ").map_or_else(|| text.to_owned(), |rest| format!("The {rest}"))
}
