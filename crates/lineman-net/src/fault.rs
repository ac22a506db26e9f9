use lineman_model::Cause;

macro_rules! faults {
    ($($fault:ident = $code:literal, $phase:literal, $cause:ident, $holds:literal;)*) => {
        /// What can be wrong on the path to an endpoint: a closed list, each with a code that
        /// never changes meaning, the phase that meets it and its cause.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fault {
            $(#[doc = concat!("`", $code, "`: ", $holds, ".")] $fault,)*
        }

        impl Fault {
            /// Every fault, in the order of the path.
            pub const ALL: &'static [Fault] = &[$(Fault::$fault),*];

            /// Kebab-case, for a finding's code after the plugin's id.
            pub fn code(self) -> &'static str {
                match self { $(Fault::$fault => $code,)* }
            }

            /// The phase that meets it: `config`, `dns`, `tcp`, `connect`, `tls` or `http`.
            pub fn phase(self) -> &'static str {
                match self { $(Fault::$fault => $phase,)* }
            }

            /// Its cause.
            pub fn cause(self) -> Cause {
                match self { $(Fault::$fault => Cause::$cause,)* }
            }

            /// When it holds, as one clause.
            pub fn holds_when(self) -> &'static str {
                match self { $(Fault::$fault => $holds,)* }
            }
        }
    };
}

faults! {
    EndpointInvalid = "endpoint-invalid", "config", ConfigInvalid, "the endpoint is not an address that can be contacted";
    ProxyInvalid = "proxy-invalid", "config", ConfigInvalid, "the proxy's address is not an address";
    ProxyUnsupported = "proxy-unsupported", "config", Undetermined, "the proxy speaks a protocol that is not walked";
    TrustUnreadable = "trust-unreadable", "config", ConfigInvalid, "the bundle of certificate authorities cannot be read";
    TrustEmpty = "trust-empty", "config", ConfigInvalid, "there is no certificate authority to trust";

    DnsNxdomain = "dns-nxdomain", "dns", NetworkDns, "the name does not exist";
    DnsEmpty = "dns-empty", "dns", NetworkDns, "the name exists and has no address";
    DnsServfail = "dns-servfail", "dns", NetworkDns, "the name servers failed";
    DnsRefused = "dns-refused", "dns", NetworkDns, "the name servers refuse to answer";
    DnsTimeout = "dns-timeout", "dns", NetworkDns, "no name server answers in time";
    DnsUnreachable = "dns-unreachable", "dns", NetworkDns, "no name server can be reached";
    DnsSystem = "dns-system", "dns", NetworkDns, "the name servers know the name and the system's resolver does not";
    DnsFailed = "dns-failed", "dns", NetworkDns, "the name could not be resolved for another reason";
    AddressRefused = "address-refused", "dns", ConfigEndpointWrong, "the address is link-local or a metadata service, which are not contacted";

    TcpRefused = "tcp-refused", "tcp", NetworkRefused, "nothing listens on the port";
    TcpTimeout = "tcp-timeout", "tcp", NetworkTimeout, "the address does not answer in time";
    TcpUnreachable = "tcp-unreachable", "tcp", NetworkUnreachable, "there is no route to the address";
    TcpDenied = "tcp-denied", "tcp", NetworkUnreachable, "this machine does not allow the connection";
    TcpReset = "tcp-reset", "tcp", NetworkReset, "the connection is reset";
    TcpFailed = "tcp-failed", "tcp", Undetermined, "the connection failed for another reason";

    ProxyUnresolved = "proxy-unresolved", "dns", NetworkProxy, "the proxy's name does not resolve";
    ProxyUnreachable = "proxy-unreachable", "tcp", NetworkProxy, "the proxy cannot be connected to";
    ProxyTls = "proxy-tls", "connect", NetworkProxy, "TLS to the proxy itself fails";
    ProxyAuthRequired = "proxy-auth-required", "connect", NetworkProxy, "the proxy wants credentials and none are configured";
    ProxyAuthRejected = "proxy-auth-rejected", "connect", NetworkProxy, "the proxy rejects the configured credentials";
    ProxyForbidden = "proxy-forbidden", "connect", NetworkProxy, "the proxy refuses the destination";
    ProxyUpstream = "proxy-upstream", "connect", NetworkProxy, "the proxy cannot reach the destination";
    ProxyRejected = "proxy-rejected", "connect", NetworkProxy, "the proxy does not open a tunnel for another reason";
    ProxyTimeout = "proxy-timeout", "connect", NetworkProxy, "the proxy does not answer in time";
    ProxyReset = "proxy-reset", "connect", NetworkProxy, "the proxy cuts the connection off";
    ProxyNotProxy = "proxy-not-a-proxy", "connect", NetworkProxy, "what answers at the proxy's address is not such a proxy";

    TlsIntercepted = "tls-intercepted", "tls", NetworkTlsIntercepted, "an intercepting proxy issued the certificate";
    TlsSelfSigned = "tls-self-signed", "tls", NetworkTlsUntrusted, "the certificate is signed by itself";
    TlsMissingIntermediate = "tls-missing-intermediate", "tls", NetworkTlsUntrusted, "the server does not send the certificate of its issuer";
    TlsUnknownIssuer = "tls-unknown-issuer", "tls", NetworkTlsUntrusted, "no trusted authority issued the certificate";
    TlsBadCertificate = "tls-bad-certificate", "tls", NetworkTlsUntrusted, "the certificate is not fit for a server";
    TlsExpired = "tls-expired", "tls", NetworkTlsExpired, "the certificate is past its last day";
    TlsNotYetValid = "tls-not-yet-valid", "tls", NetworkTlsExpired, "the certificate is before its first day";
    TlsHostname = "tls-hostname", "tls", NetworkTlsHostname, "the certificate is for other names";
    TlsNotTls = "tls-not-tls", "tls", NetworkTlsProtocol, "the port does not speak TLS";
    TlsVersion = "tls-version", "tls", NetworkTlsProtocol, "the two sides have no TLS version or cipher in common";
    TlsFailed = "tls-failed", "tls", NetworkTlsProtocol, "the handshake failed for another reason";
    TlsClientCert = "tls-client-cert", "tls", NetworkTlsClientCert, "the server wants a client certificate";
    TlsTimeout = "tls-timeout", "tls", NetworkTimeout, "the handshake is not finished in time";
    TlsReset = "tls-reset", "tls", NetworkReset, "the connection is cut off during the handshake";

    HttpTimeout = "http-timeout", "http", NetworkTimeout, "the server accepts the request and does not answer in time";
    HttpReset = "http-reset", "http", NetworkReset, "the connection is cut off before an answer";
    HttpNotHttp = "http-not-http", "http", ConfigEndpointWrong, "what answers does not speak HTTP/1";
    HttpWantsTls = "http-wants-tls", "http", ConfigEndpointWrong, "the port is for HTTPS";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_kebab_case() {
        let codes: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
        for code in codes {
            assert!(
                code.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase())),
                "{code}"
            );
        }
    }
}
