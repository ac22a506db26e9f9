//! `http/config`: what can be told without asking anyone.

use std::net::IpAddr;

use lineman_sdk::prelude::*;
use lineman_sdk::{Timestamp, Url};

use crate::{Auth, Http, Method};

/// A certificate that ends sooner wants renewing.
pub(crate) const EXPIRES_SOON: jiff::SignedDuration = jiff::SignedDuration::from_hours(21 * 24);

/// What `settings.url` or `settings.token_url` says.
pub(crate) fn address(cx: &Cx<Http>, setting: &str, text: &str) -> Result<Url, Stop> {
    let invalid = |why: String| -> Stop {
        cx.finding("url-invalid", Cause::ConfigInvalid, format!("`{setting}` is not the address of a server: {why}."))
            .pointer(format!("/settings/{setting}"))
            .into()
    };
    let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid("it does not begin with https:// or http:// and a host".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it holds a user name or password, which belong into `username` and the secrets".into()));
    }
    Ok(url)
}

/// The address to ask: an `endpoint_url` of the connection replaces scheme, host and port.
pub(crate) fn url(cx: &Cx<Http>) -> Result<Url, Stop> {
    let url = address(cx, "url", &cx.settings().url)?;
    match &cx.connection().endpoint_url {
        None => Ok(url),
        Some(_) => {
            let mut replaced = cx.endpoint("", url.as_str())?;
            replaced.set_path(url.path());
            replaced.set_query(url.query());
            Ok(replaced)
        }
    }
}

/// The names of the secrets, and of the settings, that a way to authenticate cannot do without.
fn needed(auth: Auth) -> (&'static [&'static str], &'static [&'static str]) {
    match auth {
        Auth::None => (&[], &[]),
        Auth::Bearer => (&["token"], &[]),
        Auth::Basic | Auth::Digest => (&["password"], &["username"]),
        Auth::ApiKey => (&["api_key"], &[]),
        Auth::Oauth2ClientCredentials => (&["client_secret"], &["token_url", "client_id"]),
        Auth::Mtls => (&["client_certificate", "client_key"], &[]),
    }
}

/// `http/config`.
pub(crate) async fn check(cx: Cx<Http>) -> Outcome {
    let (settings, secrets) = (cx.settings(), cx.secrets());
    let target = url(&cx)?;
    let token_url = settings.token_url.as_deref().map(|text| address(&cx, "token_url", text)).transpose()?;
    let given = [
        ("token", &secrets.token),
        ("password", &secrets.password),
        ("api_key", &secrets.api_key),
        ("client_secret", &secrets.client_secret),
        ("client_certificate", &secrets.client_certificate),
        ("client_key", &secrets.client_key),
    ];
    let (wanted, wanted_settings) = needed(settings.auth);
    let way = format!("{:?}", settings.auth);
    for (name, secret) in given {
        match (secret, wanted.contains(&name)) {
            (None, true) => {
                let message = format!("The secret `{name}` is not given, and `auth` needs it.");
                let missing = cx.finding("secret-missing", Cause::CredentialMissing, message);
                cx.report(
                    missing
                        .pointer(format!("/secrets/{name}"))
                        .remedy("Give it by reference, such as { env = \"NAME\" }."),
                );
            }
            (Some(_), false) => {
                let message = format!("The secret `{name}` is given, and `auth` does not use it.");
                let unused = cx.finding("secret-unused", Cause::ConfigInvalid, message).severity(Severity::Warn);
                cx.report(unused.pointer(format!("/secrets/{name}")));
            }
            (Some(secret), true) => {
                if let Some(finding) = misshapen(&cx, name, secret) {
                    cx.report(finding);
                }
            }
            (None, false) => {}
        }
    }
    for name in wanted_settings {
        let missing = match *name {
            "username" => settings.username.is_none(),
            "client_id" => settings.client_id.is_none(),
            _ => token_url.is_none(),
        };
        if missing {
            let message = format!("`{name}` is not set, and `auth` needs it.");
            let finding = cx.finding("setting-missing", Cause::ConfigInvalid, message);
            cx.report(finding.pointer(format!("/settings/{name}")).remedy(format!("Set `{name}`.")));
        }
    }
    if let Some(pointer) = settings.expect_body.as_ref().and_then(|expect| expect.pointer.as_deref())
        && !pointer.is_empty()
        && !pointer.starts_with('/')
    {
        let message = format!("`{pointer}` is no JSON pointer: it does not begin with a slash.");
        let finding = cx.finding("pointer-invalid", Cause::ConfigInvalid, message);
        cx.report(finding.pointer("/settings/expect_body/pointer"));
    }
    if settings.body.is_some() && settings.method != Method::Post {
        let finding = cx.finding("body-unused", Cause::ConfigInvalid, "`body` is set, and only a POST has one.");
        cx.report(finding.pointer("/settings/body"));
    }
    for url in token_url.iter().chain([&target]).filter(|_| settings.auth != Auth::None) {
        if url.scheme() == "http" && !is_local(url) {
            let message = format!("The credential travels to {} unencrypted.", url.host_str().unwrap_or_default());
            let finding = cx.finding("unencrypted", Cause::ConfigInvalid, message).severity(Severity::Warn);
            cx.report(finding.detail(format!("`auth` is {way} and the address begins with http://.")));
        }
    }
    lifetime(&cx);
    Ok(())
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// What is wrong with a secret's shape, whoever it is for.
fn misshapen(cx: &Cx<Http>, name: &str, secret: &Secret) -> Option<Finding> {
    let text = secret.expose();
    let pem = matches!(name, "client_certificate" | "client_key");
    let (what, remedy) = if text.trim().is_empty() {
        ("is empty", "Look at what the reference leads to.")
    } else if text.trim() != text && !pem {
        ("begins or ends with white space", "Store it without; a copied line end is the usual reason.")
    } else if text.trim().bytes().all(|byte| byte == b'*') || (text.starts_with('<') && text.ends_with('>')) {
        ("is a placeholder", "Store the real value; masked values are what pipelines and consoles show instead.")
    } else if name == "token" && text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        ("begins with the word Bearer, which is sent anyway", "Store the token alone.")
    } else {
        return None;
    };
    let cause = if text.trim().is_empty() { Cause::CredentialMissing } else { Cause::CredentialMalformed };
    let finding = cx.finding("secret-malformed", cause, format!("The secret `{name}` {what}."));
    Some(finding.pointer(format!("/secrets/{name}")).remedy(remedy))
}

/// Says until when the client certificate holds.
fn lifetime(cx: &Cx<Http>) {
    let Some(certificate) = cx.client_certificate() else { return };
    let (until, now) = (certificate.certificate().not_after, Timestamp::now());
    cx.expires("client certificate", until);
    let finding = if until < now {
        cx.finding(
            "client-certificate-expired",
            Cause::CredentialExpired,
            format!("The client certificate expired on {until:.0}."),
        )
    } else if until < now + EXPIRES_SOON {
        cx.finding(
            "client-certificate-expiring",
            Cause::CredentialExpiring,
            format!("The client certificate expires on {until:.0}."),
        )
    } else {
        return;
    };
    cx.report(finding.pointer("/secrets/client_certificate"));
}
