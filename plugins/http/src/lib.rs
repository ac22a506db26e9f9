//! The plugin for HTTP APIs that have none of their own: does the way to the server stand, does its
//! certificate last, does it take the credential (and look at it at all), does it answer what it
//! should.

#![forbid(unsafe_code)]

mod auth;
mod config;
mod exchange;
mod expect;
mod reach;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, ClientCertificate, Once, Transport, Walk};
use serde_json::Value;

use crate::auth::Token;

/// `[integration.NAME.settings]` of an HTTP integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The address to ask, such as `https://api.example.com/v1/me`: best one that needs the credential.
    #[schemars(example = "https://api.example.com/v1/me")]
    url: String,
    /// How to ask. A POST may change something, so it is sent by `http/submit` alone, which must be
    /// allowed with `allow_writes`.
    #[serde(default)]
    method: Method,
    /// The body of a POST, as JSON.
    body: Option<Value>,
    /// The statuses that are right; any 2xx unless given.
    #[serde(default)]
    expect_status: Vec<u16>,
    /// What the body must say.
    expect_body: Option<ExpectBody>,
    /// How the server knows who asks.
    #[serde(default)]
    auth: Auth,
    /// The user name, for `basic` and `digest`.
    username: Option<String>,
    /// The header that carries the key, for `api-key`.
    #[serde(default = "api_key_header")]
    api_key_header: String,
    /// The parameter of the query that carries the key instead, for `api-key`.
    api_key_query: Option<String>,
    /// Where tokens are issued, for `oauth2-client-credentials`.
    #[schemars(example = "https://login.example.com/oauth2/token")]
    token_url: Option<String>,
    /// The client's id, for `oauth2-client-credentials`.
    client_id: Option<String>,
    /// The scopes to ask for, separated by blanks, for `oauth2-client-credentials`.
    scope: Option<String>,
    /// The API that the token is for, where the token server asks for it.
    audience: Option<String>,
    /// How the token server is told the client's secret (RFC 6749, section 2.3.1).
    #[serde(default)]
    client_auth: ClientAuth,
}

fn api_key_header() -> String {
    "X-API-Key".to_owned()
}

/// How to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    #[default]
    Get,
    Head,
    Options,
    Post,
}

/// What a body must say.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExpectBody {
    /// A text that it contains.
    contains: Option<String>,
    /// Where to look in a JSON body (RFC 6901), such as `/status`.
    pointer: Option<String>,
    /// What stands there; without it, anything but null.
    equals: Option<Value>,
}

/// How the server knows who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Auth {
    /// It does not.
    #[default]
    None,
    /// A token in the header Authorization (RFC 6750); secret `token`.
    Bearer,
    /// User name and password (RFC 7617); secret `password`.
    Basic,
    /// User name and password, of which only a hash is sent (RFC 7616); secret `password`.
    Digest,
    /// A key in a header or the query; secret `api_key`.
    ApiKey,
    /// A token that is obtained for the client itself (RFC 6749, section 4.4); secret `client_secret`.
    Oauth2ClientCredentials,
    /// A client certificate (RFC 8446); secrets `client_certificate` and `client_key`.
    Mtls,
}

/// How the token server is told the client's secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ClientAuth {
    /// In the header Authorization.
    #[default]
    Basic,
    /// In the body.
    Post,
}

/// `[integration.NAME.secrets]` of an HTTP integration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// The token, for `bearer`.
    token: Option<Secret>,
    /// The password, for `basic` and `digest`.
    password: Option<Secret>,
    /// The key, for `api-key`.
    api_key: Option<Secret>,
    /// The client's secret, for `oauth2-client-credentials`.
    client_secret: Option<Secret>,
    /// The certificate as PEM, with those that lead to its authority after it, for `mtls`.
    client_certificate: Option<Secret>,
    /// Its private key as PEM, for `mtls`.
    client_key: Option<Secret>,
}

/// What the checks of one integration share: each is obtained once.
#[derive(Default)]
struct Session {
    walk: Once<Arc<Walk>>,
    token: Once<Token>,
    answer: Once<Arc<Answer>>,
}

struct Http;

impl Provider for Http {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = Session;

    fn about() -> About {
        About::new("http", "HTTP API", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"))
            .host("{url}")
            .host("{token_url}")
    }

    fn transport(settings: &Settings, secrets: &Secrets, way: &mut Transport) -> Result<(), Box<Finding>> {
        if let (Auth::Mtls, Some(certificate), Some(key)) =
            (settings.auth, &secrets.client_certificate, &secrets.client_key)
        {
            let read = ClientCertificate::from_pem(certificate.expose(), key);
            let read = read.map_err(|finding| Box::new(finding.pointer("/secrets/client_certificate")))?;
            way.client_certificate = Some(read);
        }
        Ok(())
    }

    fn checks() -> Vec<Check<Http>> {
        vec![
            Check::new("config", Level::Config, "Address, authentication and secrets go together", config::check),
            Check::new("reach", Level::Reach, "The server answers", reach::check).needs(["config"]),
            Check::new("certificate", Level::Reach, "The server's certificate lasts", reach::certificate)
                .needs(["reach"])
                .optional(),
            Check::new("clock", Level::Reach, "The clock agrees with the server's", reach::clock)
                .needs(["reach"])
                .optional(),
            Check::new("token", Level::Identity, "The token server issues a token", auth::issue)
                .needs(["config"])
                .calls("POST {token_url}", None),
            Check::new("identity", Level::Identity, "The server accepts the credential", exchange::identity)
                .needs(["reach", "token"])
                .calls("{method} {url}", None),
            Check::new("request", Level::Operation, "The answer is the expected one", exchange::request)
                .needs(["reach", "identity"])
                .calls("{method} {url}", None),
            Check::new("submit", Level::Operation, "A POST is answered as expected", exchange::submit)
                .needs(["reach", "token"])
                .writes()
                .calls("POST {url}", None),
        ]
    }
}

lineman_sdk::export!(Http);
