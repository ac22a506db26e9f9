//! `azure/identity`: the token that Entra issues to the application, or why it does not.

use lineman_sdk::Url;
use lineman_sdk::prelude::*;

use crate::certificate::{self, CERTIFICATE};
use crate::cloud::{Api, login};
use crate::jwt::Claims;
use crate::{Azure, Secrets, api};

pub(crate) const OPERATION: &str = "POST /{tenant}/oauth2/v2.0/token";

pub(crate) const SECRET: &str = "/secrets/client_secret";
pub(crate) const FEDERATED: &str = "/secrets/federated_token";
/// How an assertion says that it is one (RFC 7523).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A token of the application.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    /// What it says of itself; nothing where it is no JSON Web Token.
    pub(crate) claims: Claims,
}

/// What the application proves itself with.
pub(crate) enum Credential<'a> {
    Secret(&'a Secret),
    Certificate,
    Federated(&'a Secret),
    Missing,
}

impl Credential<'_> {
    pub(crate) fn of(secrets: &Secrets) -> Credential<'_> {
        match (&secrets.client_secret, &secrets.certificate, &secrets.federated_token) {
            (Some(secret), _, _) => Credential::Secret(secret),
            (None, Some(_), _) => Credential::Certificate,
            (None, None, Some(token)) => Credential::Federated(token),
            (None, None, None) => Credential::Missing,
        }
    }

    fn pointer(&self) -> &'static str {
        match self {
            Credential::Certificate => CERTIFICATE,
            Credential::Federated(_) => FEDERATED,
            Credential::Secret(_) | Credential::Missing => SECRET,
        }
    }
}

/// A token for an API. The one for Resource Manager is the one attempt to authenticate: what needs
/// another asks for it once that one was accepted.
pub(crate) async fn token(cx: &Cx<Azure>, api: Api) -> Result<Token, Stop> {
    let session = cx.session();
    let manager = session.manager.get(Box::pin(request(cx, Api::Manager))).await?;
    match api {
        Api::Manager => Ok(manager),
        Api::Graph => session.graph.get(Box::pin(request(cx, Api::Graph))).await,
    }
}

async fn request(cx: &Cx<Azure>, api: Api) -> Result<Token, Stop> {
    #[derive(Deserialize)]
    struct Issued {
        access_token: Secret,
    }
    let settings = cx.settings();
    let url = api::address(login(cx)?, &format!("{}/oauth2/v2.0/token", settings.tenant_id), &[]);
    let credential = Credential::of(cx.secrets());
    let scope = api.scope(settings.cloud);
    let mut form =
        vec![("grant_type", "client_credentials"), ("client_id", &settings.client_id), ("scope", scope.as_str())];
    let assertion = proof(cx, &credential, &url)?;
    match &credential {
        Credential::Secret(secret) => form.push(("client_secret", secret.expose())),
        _ => form.extend([("client_assertion_type", ASSERTION), ("client_assertion", assertion.expose())]),
    }
    let http = cx.http()?;
    let answer =
        Box::pin(http.post(url).form(form).header("accept", "application/json").operation(OPERATION).send()).await?;
    let issued: Issued = api::read(&answer).map_err(|stop| stop.map(|finding| closer(cx, &credential, finding)))?;
    cx.conceal("access token", &issued.access_token);
    let claims = Claims::of(issued.access_token.expose()).unwrap_or_default();
    Ok(Token { secret: issued.access_token, claims })
}

/// The assertion that is sent in place of a secret.
fn proof(cx: &Cx<Azure>, credential: &Credential<'_>, endpoint: &Url) -> Result<Secret, Stop> {
    match credential {
        Credential::Secret(_) => Ok(Secret::new("")),
        Credential::Certificate => certificate::read(cx.secrets()).map_err(|wrong| *wrong)?.assertion(cx, endpoint),
        Credential::Federated(token) => Ok(Secret::new(token.expose().trim())),
        Credential::Missing => Err(Stop::missing_input("no credential is given")),
    }
}

/// A refusal together with what is known of the credential that was refused.
fn closer(cx: &Cx<Azure>, credential: &Credential<'_>, finding: Finding) -> Finding {
    let pointer = match finding.code.as_str() {
        "azure/tenant-not-found" | "azure/tenant-malformed" | "azure/other-cloud" => "/settings/tenant_id",
        "azure/application-not-found" | "azure/application-id-malformed" => "/settings/client_id",
        code if finding.cause.as_str().starts_with("credential.") || code.starts_with("azure/federation-") => {
            credential.pointer()
        }
        _ => return finding,
    };
    let mut finding = finding.pointer(pointer);
    if finding.code == "azure/assertion-time" && matches!(credential, Credential::Certificate) {
        // It was signed this very moment.
        finding.cause = Cause::ClockSkew;
    }
    let known = match credential {
        Credential::Certificate => certificate::read(cx.secrets()).ok().map(|pair| {
            let about = pair.about();
            format!(
                "The certificate that was used has the thumbprint {} and ends on {}.",
                pair.thumbprint(),
                about.not_after.strftime("%Y-%m-%d")
            )
        }),
        Credential::Federated(token) => Claims::of(token.expose().trim()).map(|claims| told(&claims)),
        Credential::Secret(_) | Credential::Missing => None,
    };
    if let Some(known) = known {
        finding.detail = Some(match finding.detail.take() {
            Some(detail) => format!("{detail} {known}"),
            None => known,
        });
    }
    finding
}

/// What a federated token says of itself, which a federated credential must match to the letter.
fn told(claims: &Claims) -> String {
    format!(
        "The token that was sent says: issuer `{}`, subject `{}`, audience `{}`.",
        claims.iss.as_deref().unwrap_or_default(),
        claims.sub.as_deref().unwrap_or_default(),
        claims.audiences().join("`, `")
    )
}

/// `azure/identity`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let token = token(&cx, Api::Manager).await?;
    let expected = &cx.settings().tenant_id;
    match &token.claims.tid {
        Some(actual) if crate::config::is_guid(expected) && !actual.eq_ignore_ascii_case(expected) => Err(cx
            .finding(
                "wrong-tenant",
                Cause::CredentialWrongAccount,
                format!("The credential is good, but for the tenant {actual} and not {expected}."),
            )
            .pointer("/settings/tenant_id")
            .into()),
        Some(_) => Ok(()),
        None => {
            cx.not_proved("that the token is of the tenant", "the token does not say for which tenant it is", None);
            Ok(())
        }
    }
}
