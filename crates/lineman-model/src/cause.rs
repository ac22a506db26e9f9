use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! causes {
    ($($variant:ident = $word:literal, $holds:literal;)*) => {
        /// Why something is broken: a word of a closed list, the same in code, documents and output.
        ///
        /// The list is closed per schema version. Readers keep a word that they do not know as
        /// [`Cause::Other`], so that an older program can show a newer report.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $(#[doc = concat!("`", $word, "`: ", $holds, ".")] $variant,)*
            /// A cause of a newer schema version.
            Other(String),
        }

        impl Cause {
            /// Every cause of this schema version, in the order of the documentation.
            pub const ALL: &'static [Cause] = &[$(Cause::$variant),*];

            /// The word: kebab-case, dotted.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Cause::$variant => $word,)*
                    Cause::Other(word) => word,
                }
            }

            /// When the cause holds, as one clause.
            pub fn holds_when(&self) -> &'static str {
                match self {
                    $(Cause::$variant => $holds,)*
                    Cause::Other(_) => "a newer version of Lineman says what this means",
                }
            }

            fn from_word(word: &str) -> Option<Cause> {
                match word {
                    $($word => Some(Cause::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

causes! {
    CredentialMissing = "credential.missing", "no credential was given, found, or sent";
    CredentialMalformed = "credential.malformed", "the credential's shape is wrong, or secret and id do not belong together";
    CredentialInvalid = "credential.invalid", "the provider does not know the credential or rejects it, and gives no closer reason";
    CredentialExpired = "credential.expired", "the credential is past its date";
    CredentialExpiring = "credential.expiring", "the credential is near its date or due for rotation";
    CredentialRevoked = "credential.revoked", "the credential was good and has since been disabled, deleted or withdrawn";
    CredentialWrongAccount = "credential.wrong-account", "the credential is good, but for another account, tenant, project or organisation";
    CredentialChallengeRequired = "credential.challenge-required", "MFA, SSO authorisation, consent or conditional access stands before the credential";
    PermissionInsufficient = "permission.insufficient", "a named action or scope is missing";
    PermissionExcessive = "permission.excessive", "the credential may do far more than the requirements need";
    PermissionDeniedByPolicy = "permission.denied-by-policy", "an explicit deny stands above the identity, such as an organisation policy";
    NetworkDns = "network.dns", "the name does not resolve";
    NetworkRefused = "network.refused", "the connection is refused";
    NetworkTimeout = "network.timeout", "nothing answers in time";
    NetworkUnreachable = "network.unreachable", "there is no route to the address";
    NetworkReset = "network.reset", "the connection is cut off before an answer";
    NetworkProxy = "network.proxy", "the proxy is unreachable, wants credentials, or refuses the destination";
    NetworkTlsUntrusted = "network.tls-untrusted", "the certificate's issuer is not trusted";
    NetworkTlsIntercepted = "network.tls-intercepted", "the certificate was issued by an intercepting proxy";
    NetworkTlsExpired = "network.tls-expired", "the certificate is outside its dates";
    NetworkTlsHostname = "network.tls-hostname", "the certificate is for another name";
    NetworkTlsProtocol = "network.tls-protocol", "the two sides have no TLS version in common, or the port does not speak TLS";
    NetworkTlsClientCert = "network.tls-client-cert", "the server wants a client certificate";
    NetworkIpNotAllowed = "network.ip-not-allowed", "the provider refuses this source address";
    ClockSkew = "clock.skew", "the local clock is wrong";
    ProviderOutage = "provider.outage", "the provider cannot answer";
    ProviderMaintenance = "provider.maintenance", "the provider is in an announced maintenance window";
    ProviderRateLimited = "provider.rate-limited", "the provider throttles requests";
    ProviderCapacity = "provider.capacity", "the provider has no capacity for the resource";
    ProviderPropagation = "provider.propagation", "a recent change has not spread yet";
    AccountSuspended = "account.suspended", "billing, the subscription or the organisation is disabled";
    ConfigInvalid = "config.invalid", "a setting is wrong";
    ConfigEndpointWrong = "config.endpoint-wrong", "the host, region, site or path is wrong, or something else answers there";
    ResourceNotFound = "resource.not-found", "the thing acted on is absent, or hidden from this credential";
    ResourceConflict = "resource.conflict", "the thing exists already or is being changed";
    DependencyMissing = "dependency.missing", "something else that is needed is absent or not enabled";
    DependencyUnfit = "dependency.unfit", "something else that is needed exists and does not fit";
    QuotaExceeded = "quota.exceeded", "a limit of the account is reached";
    SshKeyFormat = "ssh.key-format", "the text is not a private key that OpenSSH reads";
    SshKeyEncrypted = "ssh.key-encrypted", "the private key is encrypted and its passphrase is absent or wrong";
    SshKeyFilePermissions = "ssh.key-file-permissions", "others may read the key file, so ssh refuses it";
    SshKeyRejected = "ssh.key-rejected", "the server does not accept the key";
    SshHostKeyUnknown = "ssh.host-key-unknown", "the server's host key has not been approved";
    SshHostKeyChanged = "ssh.host-key-changed", "the server's host key is not the approved one";
    SshAlgorithm = "ssh.algorithm", "client and server have no algorithm in common";
    RepoNoAccess = "repo.no-access", "the repository is absent or hidden from this credential";
    HostToolMissing = "host.tool-missing", "a program that the check needs is not on this machine";
    PluginCrashed = "plugin.crashed", "the plugin ended before it answered";
    PluginTimedOut = "plugin.timed-out", "the plugin did not answer in time";
    PluginIncompatible = "plugin.incompatible", "the plugin was built for another interface";
    PluginUntrusted = "plugin.untrusted", "the plugin is not the file that was approved";
    PluginBadOutput = "plugin.bad-output", "the plugin answered something that is not an answer";
    Undetermined = "undetermined", "the evidence does not decide";
}

impl Cause {
    /// Whether the cause lies with Lineman or a plugin, not with the integration.
    pub fn is_ours(&self) -> bool {
        self.as_str().starts_with("plugin.")
    }

    /// Whether the cause is a failing phase of the network path.
    pub fn is_network(&self) -> bool {
        self.as_str().starts_with("network.")
    }

    /// Whether trying again unchanged may succeed.
    pub fn is_transient(&self) -> bool {
        use Cause::*;
        matches!(
            self,
            NetworkTimeout
                | NetworkReset
                | ProviderOutage
                | ProviderRateLimited
                | ProviderCapacity
                | ProviderPropagation
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<&str> for Cause {
    fn from(word: &str) -> Cause {
        Cause::from_word(word).unwrap_or_else(|| Cause::Other(word.to_owned()))
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cause, D::Error> {
        Ok(Cause::from(String::deserialize(deserializer)?.as_str()))
    }
}

impl JsonSchema for Cause {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cause".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A pattern, not an enumeration: readers accept the causes of newer versions.
        json_schema!({
            "type": "string",
            "pattern": "^[a-z]+(-[a-z]+)*(\\.[a-z]+(-[a-z]+)*)?$",
            "description": "Why something is broken, e.g. \"credential.expired\".",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip_and_unknown_ones_are_kept() {
        for cause in Cause::ALL {
            assert_eq!(&Cause::from(cause.as_str()), cause);
        }
        let newer: Cause = serde_json::from_str("\"network.quantum\"").unwrap();
        assert_eq!(serde_json::to_string(&newer).unwrap(), "\"network.quantum\"");
        assert!(newer.is_network());
    }
}
