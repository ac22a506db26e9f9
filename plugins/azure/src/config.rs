//! `azure/config`: what can be known of the credential and the settings without asking anybody.

use lineman_sdk::prelude::*;
use lineman_sdk::{Flaw, Timestamp};

use crate::certificate::{self, CERTIFICATE};
use crate::identity::{FEDERATED, SECRET};
use crate::jwt::Claims;
use crate::requires::contradictions;
use crate::{Azure, Secrets, Settings, secret};

const TENANT: &str = "/settings/tenant_id";

/// Reports everything that is wrong at once: each takes a change of the configuration.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let (settings, secrets) = (cx.settings(), cx.secrets());
    let faults = [tenant(settings), application(settings), subscription(settings), credential(settings, secrets)];
    faults.into_iter().flatten().for_each(|fault| cx.report(fault));
    for (index, required) in cx.requires().iter().enumerate() {
        contradictions::of(settings, index, &required.id, &required.words).into_iter().for_each(|it| cx.report(it));
    }
    if secrets.client_secret.is_none()
        && let Ok(pair) = certificate::read(secrets)
    {
        let (from, to) = (pair.about().not_before, pair.about().not_after);
        cx.expires("certificate", to);
        let early = (from > Timestamp::now()).then(|| {
            let message = format!("The certificate is good from {} on only.", from.strftime("%Y-%m-%d %H:%M UTC"));
            fault("certificate-early", Cause::CredentialInvalid, CERTIFICATE, message)
                .or_else(Cause::ClockSkew, Confidence::Possible)
        });
        early.or_else(|| secret::due(&cx, "The certificate", CERTIFICATE, to)).into_iter().for_each(|it| cx.report(it));
    }
    Ok(())
}

fn fault(code: &str, cause: Cause, pointer: &str, message: impl Into<String>) -> Finding {
    Finding::new(format!("azure/{code}"), cause, message).pointer(pointer)
}

/// Whether a text is an id as Azure writes them: 8-4-4-4-12 hexadecimal digits.
pub(crate) fn is_guid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn tenant(settings: &Settings) -> Option<Finding> {
    let tenant = settings.tenant_id.as_str();
    let wrong = |message: String, remedy: &str| {
        Some(fault("tenant-id-wrong", Cause::ConfigInvalid, TENANT, message).remedy(remedy))
    };
    let domain = |text: &str| {
        text.contains('.')
            && text.split('.').all(|label| !label.is_empty())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
    };
    match tenant {
        "common" | "organizations" | "consumers" => wrong(
            format!("`{tenant}` stands for many tenants, and an application signs in at one."),
            "Set `tenant_id` to the directory (tenant) id.",
        ),
        tenant if is_guid(tenant) && tenant.eq_ignore_ascii_case(&settings.client_id) => wrong(
            "`tenant_id` and `client_id` are the same.".to_owned(),
            "Set each to its own: the directory (tenant) id and the application (client) id.",
        ),
        tenant if is_guid(tenant) || domain(tenant) => None,
        tenant => wrong(
            format!("`{tenant}` is neither the id of a tenant nor a domain."),
            "Set the directory (tenant) id, such as `11111111-2222-3333-4444-555555555555`, alone.",
        ),
    }
}

fn application(settings: &Settings) -> Option<Finding> {
    let id = &settings.client_id;
    (!is_guid(id)).then(|| {
        fault("client-id-wrong", Cause::ConfigInvalid, "/settings/client_id", format!("`{id}` is no application id."))
    })
}

fn subscription(settings: &Settings) -> Option<Finding> {
    let id = settings.subscription_id.as_ref().filter(|id| !is_guid(id))?;
    let within = id.split('/').find(|part| is_guid(part));
    let remedy = match within {
        Some(within) => format!("Set `subscription_id = \"{within}\"`."),
        None => "Set the subscription's id; a name does not do.".to_owned(),
    };
    let message = format!("`{id}` is no id of a subscription.");
    Some(fault("subscription-id-wrong", Cause::ConfigInvalid, "/settings/subscription_id", message).remedy(remedy))
}

fn credential(settings: &Settings, secrets: &Secrets) -> Option<Finding> {
    let Secrets { client_secret, certificate, private_key, federated_token } = secrets;
    let given = [client_secret.is_some(), certificate.is_some(), federated_token.is_some()];
    match given.iter().filter(|given| **given).count() {
        0 if private_key.is_some() => {
            let message = "A private key is given without its certificate.";
            Some(fault("certificate-missing", Cause::CredentialMissing, CERTIFICATE, message))
        }
        0 => Some(fault("credential-missing", Cause::CredentialMissing, SECRET, "The integration has no credential.")),
        1 => match (client_secret, certificate, federated_token) {
            (Some(secret), _, _) => client_secret_fault(settings, secret.expose()),
            (_, Some(_), _) => certificate::read(secrets).err().map(|wrong| *wrong),
            (_, _, Some(token)) => federated(settings, token.expose()),
            _ => None,
        },
        _ => Some(fault("credential-unclear", Cause::ConfigInvalid, SECRET, "More than one credential is given.")),
    }
}

/// What is wrong with a client secret, as far as its text tells.
fn client_secret_fault(settings: &Settings, secret: &str) -> Option<Finding> {
    let malformed = |code: &str, message: &str| fault(code, Cause::CredentialMalformed, SECRET, message);
    if let Some(flaw) = Flaw::of(secret) {
        let (told, remedy) = flaw.told();
        let code = match flaw {
            Flaw::Empty => {
                let message = "The client secret is empty.";
                return Some(fault("credential-missing", Cause::CredentialMissing, SECRET, message).remedy(remedy));
            }
            Flaw::Placeholder => "secret-placeholder",
            Flaw::Whitespace => "secret-whitespace",
        };
        return Some(malformed(code, &format!("The client secret {told}.")));
    }
    Some(match secret {
        id if id.eq_ignore_ascii_case(&settings.client_id) => {
            malformed("secret-is-id", "The client id was stored in place of the client secret.")
                .remedy("Store the secret's value, which the portal shows once, when it is made.")
        }
        id if is_guid(id) => malformed("secret-is-id", "The id of the client secret was stored in place of its value."),
        pem if pem.starts_with("-----BEGIN") => {
            malformed("secret-is-pem", "A certificate or key was stored as the client secret.")
        }
        token if Claims::of(token).is_some() => {
            malformed("secret-is-token", "A token was stored as the client secret.")
        }
        _ => return None,
    })
}

/// What is wrong with the token of another identity provider, as far as it tells.
fn federated(settings: &Settings, token: &str) -> Option<Finding> {
    let malformed = |message: &str| fault("federated-token-shape", Cause::CredentialMalformed, FEDERATED, message);
    if let Some(flaw) = Flaw::of(token.trim()) {
        let (told, remedy) = flaw.told();
        return Some(malformed(&format!("The federated token {told}.")).remedy(remedy));
    }
    let Some(claims) = Claims::of(token.trim()) else {
        return Some(malformed("The federated token is no JSON Web Token."));
    };
    if let Some(end) = claims.end().filter(|end| *end <= Timestamp::now()) {
        let message = format!("The federated token expired on {}.", end.strftime("%Y-%m-%d %H:%M UTC"));
        return Some(
            fault("federated-token-expired", Cause::CredentialExpired, FEDERATED, message)
                .or_else(Cause::ClockSkew, Confidence::Possible),
        );
    }
    let (audiences, expected) = (claims.audiences(), settings.cloud.exchange());
    // A federated credential may be made for another audience, which Entra alone knows.
    (!audiences.is_empty() && !audiences.contains(&expected)).then(|| {
        let message = format!("The federated token is for `{}`, not for `{expected}`.", audiences.join("`, `"));
        fault("federated-token-audience", Cause::ConfigInvalid, FEDERATED, message)
            .severity(Severity::Warn)
            .confidence(Confidence::Possible)
            .remedy(format!("Ask the identity provider for a token with the audience `{expected}`, or look whether the federated credential of the application names the other one."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "11111111-2222-3333-4444-555555555555";
    const APP: &str = "66666666-7777-8888-9999-000000000000";

    #[test]
    fn settings_that_cannot_be_meant_are_found() {
        let check = |change: serde_json::Value, expect: &[&str]| {
            let mut settings = json!({ "tenant_id": ID, "client_id": APP, "subscription_id": ID });
            settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let settings: Settings = serde_json::from_value(settings).unwrap();
            let found = [tenant(&settings), application(&settings), subscription(&settings)];
            let found: Vec<String> = found.into_iter().flatten().map(|finding| finding.code).collect();
            assert_eq!(found, expect, "{change}");
        };
        check(json!({}), &[]);
        check(json!({ "tenant_id": "contoso.onmicrosoft.com" }), &[]);
        check(json!({ "tenant_id": "common" }), &["azure/tenant-id-wrong"]);
        check(json!({ "tenant_id": "contoso" }), &["azure/tenant-id-wrong"]);
        check(json!({ "tenant_id": "https://contoso.com" }), &["azure/tenant-id-wrong"]);
        check(json!({ "tenant_id": APP }), &["azure/tenant-id-wrong"]);
        check(json!({ "client_id": "my-app" }), &["azure/client-id-wrong"]);
        check(json!({ "subscription_id": format!("/subscriptions/{ID}") }), &["azure/subscription-id-wrong"]);
        check(json!({ "subscription_id": null }), &[]);
    }

    #[test]
    fn client_secrets_are_judged_by_their_shape() {
        let settings: Settings = serde_json::from_value(json!({ "tenant_id": ID, "client_id": APP })).unwrap();
        let check = |secret: &str, expect: Option<&str>| {
            let code = client_secret_fault(&settings, secret).map(|finding| finding.code);
            assert_eq!(code.as_deref(), expect, "{secret}");
        };
        check("abc8Q~lineman.0123456789_0123456789-abcde", None);
        check("old/style+secret=", None);
        check(ID, Some("azure/secret-is-id"));
        check(APP, Some("azure/secret-is-id"));
        check("***", Some("azure/secret-placeholder"));
        check("", Some("azure/credential-missing"));
        check("abc8Q~ line", Some("azure/secret-whitespace"));
        check("e30.eyJhIjoxfQ.c2ln", Some("azure/secret-is-token"));
    }
}
