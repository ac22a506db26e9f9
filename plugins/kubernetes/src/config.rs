//! `kubernetes/config`: what can be told of the kubeconfig and the credential without asking anyone.

use jiff::SignedDuration;
use lineman_sdk::prelude::*;
use lineman_sdk::{Credential, Flaw, Timestamp, Url};

use crate::Kubernetes;
use crate::access::{self, Access, Bearer, access, fault};
use crate::requirement::{Wish, is_word};
use crate::token::Claims;
use crate::version::Version;

/// A certificate that ends sooner wants renewing.
pub(crate) const DUE: SignedDuration = SignedDuration::from_hours(21 * 24);
/// So does a stored token.
const TOKEN_DUE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Reports everything that is wrong at once: each takes a change of the configuration.
pub(crate) async fn check(cx: Cx<Kubernetes>) -> Outcome {
    if let Err(faults) = access::resolve(cx.settings(), cx.secrets()) {
        faults.into_iter().for_each(|fault| cx.report(fault));
        return Err(Stop::reported());
    }
    let access = access(&cx).await?;
    let settings = cx.settings();
    server(&cx, &access);
    certificate(&cx, &access);
    bearer(&cx, &access);
    if !access.has_login() {
        let message = "Nothing says who asks: there is no token, no certificate and no program.";
        cx.report(fault("credential-unset", Cause::CredentialMissing, access.pointer, message));
    }
    for (setting, value) in [("kubectl", &settings.kubectl), ("min_version", &settings.min_version)] {
        if let Some(value) = value.as_deref().filter(|value| Version::read(value).is_none()) {
            let message = format!("`{value}` is not a version of Kubernetes.");
            cx.report(fault("version-wrong", Cause::ConfigInvalid, &format!("/settings/{setting}"), message));
        }
    }
    if let Some(name) = settings.namespace.as_deref().filter(|name| !is_word(name) || name.contains('.')) {
        let message = format!("`{name}` is not the name of a namespace.");
        cx.report(fault("namespace-name", Cause::ConfigInvalid, "/settings/namespace", message));
    }
    if settings.context.is_some() && settings.kubeconfig.is_none() && cx.secrets().kubeconfig.is_none() {
        let message = "`context` is set, and there is no kubeconfig.";
        let unused = fault("context-unused", Cause::ConfigInvalid, "/settings/context", message);
        cx.report(unused.severity(Severity::Warn));
    }
    for (index, requirement) in cx.requires().iter().enumerate() {
        if let Err(what) = Wish::read(&requirement.words, settings, access.namespace.as_deref()) {
            let message = format!("The requirement `{}` {what}.", requirement.id);
            let pointer = format!("/requires/{index}");
            cx.report(
                fault("requirement-wrong", Cause::ConfigInvalid, &pointer, message).remedy(requirement.words.example()),
            );
        }
    }
    Ok(())
}

fn server(cx: &Cx<Kubernetes>, access: &Access) {
    let given = cx.connection().endpoint("api").is_some();
    if given {
        return;
    }
    let wrong = |cause: Cause, message: String, remedy: &str| {
        fault("server-wrong", cause, access.pointer, message).remedy(remedy)
    };
    let url = match Url::parse(&access.server) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "https" | "http") => url,
        _ => {
            let message = format!("`{}` is not the address of an API server.", access.server);
            return cx.report(wrong(Cause::ConfigInvalid, message, "Write it as https://HOST:6443."));
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        let message = "The address of the API server holds a user or a password, which no client sends.";
        return cx.report(wrong(
            Cause::ConfigInvalid,
            message.to_owned(),
            "Give the address alone, and the credential as a user of the kubeconfig.",
        ));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if url.scheme() == "http" && !local {
        let message = format!("The credential travels to {host} unencrypted.");
        cx.report(wrong(Cause::ConfigInvalid, message, "Use https://.").severity(Severity::Warn));
    }
    if access.unverified {
        let message = "The kubeconfig has clients take anybody for the API server (insecure-skip-tls-verify).";
        cx.report(
            fault("unverified", Cause::NetworkTlsUntrusted, access.pointer, message).severity(Severity::Warn).detail(
                "Whoever can get between reads the credential and every answer. Lineman does as the kubeconfig says.",
            ),
        );
    }
}

/// Whether the client certificate can be read, and until when it holds.
fn certificate(cx: &Cx<Kubernetes>, access: &Access) {
    let certificate = match access.client_certificate() {
        None => return,
        Some(Err(finding)) => return cx.report(*finding),
        Some(Ok(certificate)) => certificate,
    };
    let (certificate, now) = (certificate.certificate(), Timestamp::now());
    cx.expires("client certificate", certificate.not_after);
    remember(cx, access, &certificate.subject, Some(certificate.not_before));
    let (code, cause, message) = if certificate.not_after < now {
        let message = format!("The client certificate expired on {:.0}.", certificate.not_after);
        ("client-certificate-expired", Cause::CredentialExpired, message)
    } else if certificate.not_after < now + DUE {
        let message = format!("The client certificate expires on {:.0}.", certificate.not_after);
        ("client-certificate-expiring", Cause::CredentialExpiring, message)
    } else if certificate.not_before > now {
        let message = format!(
            "The client certificate holds from {:.0} on, which is to come by this machine's clock.",
            certificate.not_before
        );
        ("client-certificate-early", Cause::ClockSkew, message)
    } else {
        return;
    };
    cx.report(
        fault(code, cause, access.pointer, message)
            .detail(format!("It is of {}, issued by {}.", certificate.subject, certificate.issuer)),
    );
}

/// What a stored credential says of itself, for the history.
fn remember(cx: &Cx<Kubernetes>, access: &Access, id: &str, created_at: Option<Timestamp>) {
    if let Some(secret) = access.pointer.strip_prefix("/secrets/") {
        let (secret, id) = (secret.to_owned(), Some(id.to_owned()));
        cx.credential(Credential { secret, id, created_at, ..Credential::default() });
    }
}

/// What a token's own text tells.
fn bearer(cx: &Cx<Kubernetes>, access: &Access) {
    let (token, stored) = match &access.bearer {
        Bearer::Token(token) => (token, true),
        Bearer::Renewed(token) => (token, false),
        Bearer::Password(..) => {
            let message = "The kubeconfig logs in with a password, which API servers have not taken since 1.19.";
            let password = fault("password", Cause::ConfigInvalid, access.pointer, message);
            return cx.report(password.severity(Severity::Warn));
        }
        Bearer::None | Bearer::Program(_) => return,
    };
    let malformed = |code: &str, message: String, remedy: &str| {
        cx.report(fault(code, Cause::CredentialMalformed, access.pointer, message).remedy(remedy));
    };
    let text = token.expose();
    if let Some(flaw) = Flaw::of(text) {
        let (told, remedy) = flaw.told();
        if flaw == Flaw::Empty {
            return cx.report(fault("token-empty", Cause::CredentialMissing, access.pointer, "The token is empty."));
        }
        return malformed("token-malformed", format!("The token {told}."), remedy);
    }
    if text.starts_with("ZXlK") {
        let remedy = "Decode it first: `kubectl get secret NAME -o jsonpath='{.data.token}' | base64 -d`.";
        return malformed(
            "token-encoded",
            "The token is encoded once more in base64, as it stands in a Secret.".to_owned(),
            remedy,
        );
    }
    let Some(claims) = Claims::of(text) else { return };
    if let Some(subject) = &claims.sub {
        remember(cx, access, subject, claims.begins());
    }
    let now = Timestamp::now();
    if let Some(at) = claims.expires() {
        cx.expires("token", at);
        let remedy = "Have a new one issued: `kubectl create token SERVICE-ACCOUNT --duration=8760h`, or have the platform renew its own.";
        let finding = if at <= now {
            fault("token-expired", Cause::CredentialExpired, access.pointer, format!("The token expired on {at:.0}."))
        } else if stored && at < now + TOKEN_DUE {
            let message = format!("The token expires on {at:.0}, and nothing renews what is stored.");
            fault("token-expiring", Cause::CredentialExpiring, access.pointer, message)
        } else {
            return;
        };
        return cx.report(finding.detail(claims.told()).remedy(remedy));
    }
    if claims.never_expires() {
        let message =
            "The token never expires: it is one of those that Secrets hold, and good until its Secret is deleted.";
        cx.report(
            fault("token-everlasting", Cause::CredentialExpiring, access.pointer, message)
                .severity(Severity::Info)
                .detail(claims.told()),
        );
    }
}
