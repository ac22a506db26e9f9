//! What a server's certificates say of themselves.

use std::net::IpAddr;

use jiff::Timestamp;
use lineman_model::{Certificate, clean_line};
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS;
use x509_parser::prelude::FromDer;

/// More certificates, or names in one, tell no more.
const LONGEST_CHAIN: usize = 10;
const MOST_NAMES: usize = 100;

/// One certificate of a chain.
pub(crate) struct Link {
    pub(crate) certificate: Certificate,
    /// DER of the subject's name.
    pub(crate) subject: Vec<u8>,
    /// DER of the issuer's name.
    pub(crate) issuer: Vec<u8>,
    /// Whether it may sign others.
    pub(crate) is_authority: bool,
    /// Whether it says where its issuer's certificate is to be had.
    pub(crate) tells_issuer: bool,
}

impl Link {
    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    fn read(der: &CertificateDer<'_>) -> Option<Link> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let validity = parsed.validity();
        Some(Link {
            certificate: Certificate {
                subject: name(&parsed.subject().to_string()),
                issuer: name(&parsed.issuer().to_string()),
                names: names(&parsed),
                not_before: instant(validity.not_before.timestamp()),
                not_after: instant(validity.not_after.timestamp()),
            },
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            is_authority: parsed.is_ca(),
            tells_issuer: tells_issuer(&parsed),
        })
    }
}

/// What a certificate says of itself; none where it cannot be read.
pub fn read_certificate(der: &CertificateDer<'_>) -> Option<Certificate> {
    Link::read(der).map(|link| link.certificate)
}

/// The certificates that could be read, the server's own first.
pub(crate) fn read_chain(chain: &[CertificateDer<'_>]) -> Vec<Link> {
    chain.iter().take(LONGEST_CHAIN).filter_map(Link::read).collect()
}

fn name(text: &str) -> String {
    clean_line(text, 256)
}

fn instant(second: i64) -> Timestamp {
    let limit = if second < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(second).unwrap_or(limit)
}

fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = parsed.subject_alternative_name() else { return Vec::new() };
    let names = alternative.value.general_names.iter().filter_map(|general| match general {
        GeneralName::DNSName(dns) => Some(name(dns)),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*octets).map(IpAddr::from);
            v4.or(v6).ok().map(|address| address.to_string())
        }
        _ => None,
    });
    names.take(MOST_NAMES).collect()
}

fn tells_issuer(parsed: &X509Certificate<'_>) -> bool {
    parsed.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => {
            access.accessdescs.iter().any(|at| at.access_method == OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS)
        }
        _ => false,
    })
}

/// Products that put themselves between a client and a server, by what they write into the
/// certificates that they issue.
const INTERCEPTORS: &[(&str, &str)] = &[
    ("avast! web", "Avast"),
    ("avg web", "AVG"),
    ("barracuda", "Barracuda"),
    ("bitdefender", "Bitdefender"),
    ("blue coat", "Blue Coat"),
    ("bluecoat", "Blue Coat"),
    ("broadcom proxysg", "Blue Coat"),
    ("burp suite", "Burp Suite"),
    ("portswigger", "Burp Suite"),
    ("cato networks", "Cato Networks"),
    ("charles proxy", "Charles"),
    ("check point", "Check Point"),
    ("cisco umbrella", "Cisco Umbrella"),
    ("cisco secure access", "Cisco Secure Access"),
    ("ironport", "Cisco Web Security"),
    ("cloudflare gateway", "Cloudflare Gateway"),
    ("gateway ca - cloudflare", "Cloudflare Gateway"),
    ("contentkeeper", "ContentKeeper"),
    ("eset ssl filter", "ESET"),
    ("do_not_trust_fiddler", "Fiddler"),
    ("fiddlerroot", "Fiddler"),
    ("forcepoint", "Forcepoint"),
    ("websense", "Forcepoint"),
    ("fortigate", "Fortinet"),
    ("fortinet", "Fortinet"),
    ("iboss", "iboss"),
    ("kaspersky", "Kaspersky"),
    ("lightspeed systems", "Lightspeed"),
    ("mcafee web gateway", "Skyhigh (McAfee)"),
    ("skyhigh", "Skyhigh"),
    ("menlo security", "Menlo Security"),
    ("mitmproxy", "mitmproxy"),
    ("netskope", "Netskope"),
    ("goskope", "Netskope"),
    ("opnsense", "OPNsense"),
    ("zed attack proxy", "OWASP ZAP"),
    ("palo alto networks", "Palo Alto Networks"),
    ("prisma access", "Palo Alto Networks"),
    ("pfsense", "pfSense"),
    ("securly", "Securly"),
    ("smoothwall", "Smoothwall"),
    ("sonicwall", "SonicWall"),
    ("sophos", "Sophos"),
    ("squid", "Squid"),
    ("symantec web security", "Symantec Web Security"),
    ("cloud threat protection", "Symantec Web Security"),
    ("untangle", "Untangle"),
    ("watchguard", "WatchGuard"),
    ("zscaler", "Zscaler"),
];

/// The product that issued a chain's certificates, if it is one that intercepts.
pub(crate) fn interceptor(chain: &[Link]) -> Option<&'static str> {
    chain.iter().find_map(|link| {
        let issuer = link.certificate.issuer.to_lowercase();
        INTERCEPTORS.iter().find(|(word, _)| has_word(&issuer, word)).map(|&(_, product)| product)
    })
}

/// Whether a text has a word or words, and not as a part of others.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        // A long word may have others glued on ("ZscalerRoot"); a short one would be found in others.
        let glued = after.is_some_and(char::is_alphanumeric);
        !before.is_some_and(char::is_alphanumeric) && (!glued || word.len() > 5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interceptors_are_known_by_their_issuer() {
        let check = |issuer: &str, expect: Option<&str>| {
            let certificate = Certificate {
                subject: String::new(),
                issuer: issuer.to_owned(),
                names: Vec::new(),
                not_before: Timestamp::MIN,
                not_after: Timestamp::MAX,
            };
            let link =
                Link { certificate, subject: Vec::new(), issuer: Vec::new(), is_authority: false, tells_issuer: false };
            assert_eq!(interceptor(&[link]), expect, "{issuer}");
        };
        check("C=US, O=Zscaler Inc., CN=Zscaler Intermediate Root CA (zscaler.net)", Some("Zscaler"));
        check("CN=ZscalerRoot", Some("Zscaler"));
        check("O=mitmproxy, CN=mitmproxy", Some("mitmproxy"));
        check("CN=DO_NOT_TRUST_FiddlerRoot, O=DO_NOT_TRUST", Some("Fiddler"));
        check("CN=ca.acme.goskope.com, O=Acme", Some("Netskope"));
        check("O=Fortinet, CN=FG100FTK19001234", Some("Fortinet"));
        check("CN=squid.corp.example", Some("Squid"));
        check("O=Squidward Certificates", None);
        check("C=US, O=Let's Encrypt, CN=R11", None);
        check("C=US, O=DigiCert Inc, CN=DigiCert TLS RSA SHA256 2020 CA1", None);
    }
}
