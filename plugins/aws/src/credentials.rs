//! Whose name the calls are made in: the key pair of the configuration, or the session of a role.

use lineman_sdk::prelude::*;

use crate::Aws;
use crate::identity;
use crate::query::{self, Service};

/// The shortest session that STS gives, seconds; enough for a check.
const SHORTEST_SESSION: u32 = 900;

/// A key pair, and the token that comes with a temporary one.
#[derive(Clone)]
pub(crate) struct Credentials {
    id: Secret,
    secret: Secret,
    token: Option<Secret>,
}

impl Credentials {
    /// For the signer.
    pub(crate) fn for_signing(&self) -> aws_credential_types::Credentials {
        let token = self.token.as_ref().map(|token| token.expose().to_owned());
        aws_credential_types::Credentials::new(self.id.expose(), self.secret.expose(), token, None, "lineman")
    }

    /// Whether it is the long-lived key of a user.
    pub(crate) fn is_long_lived(&self) -> bool {
        self.id.expose().starts_with("AKIA")
    }

    /// The id of the key.
    pub(crate) fn id(&self) -> &str {
        self.id.expose()
    }
}

/// The credentials that the integration starts from: its key pair, else the role that its web
/// identity token gives.
pub(crate) async fn base(cx: &Cx<Aws>) -> Result<Credentials, Stop> {
    let secrets = cx.secrets();
    match (&secrets.access_key_id, &secrets.secret_access_key) {
        (Some(id), Some(secret)) => {
            let token = secrets.session_token.clone().filter(|token| !token.is_empty());
            Ok(Credentials { id: id.clone(), secret: secret.clone(), token })
        }
        _ => cx.session().web_identity.get(with_web_identity(cx)).await,
    }
}

/// The credentials that the platform works with: those of the configured role, else the base.
pub(crate) async fn working(cx: &Cx<Aws>) -> Result<Credentials, Stop> {
    match assumed(cx).await? {
        Some(assumed) => Ok(assumed),
        None => base(cx).await,
    }
}

/// The session of the configured role, where there is one to assume with keys.
pub(crate) async fn assumed(cx: &Cx<Aws>) -> Result<Option<Credentials>, Stop> {
    if cx.settings().role.is_none() || cx.secrets().access_key_id.is_none() {
        return Ok(None);
    }
    cx.session().assumed.get(assume(cx)).await.map(Some)
}

async fn assume(cx: &Cx<Aws>) -> Result<Credentials, Stop> {
    let settings = cx.settings();
    let caller = identity::caller(cx).await?;
    let role = settings.role.as_deref().unwrap_or_default();
    let arn = caller.role_arn(role);
    let duration = settings.session_duration.unwrap_or(SHORTEST_SESSION).to_string();
    let mut parameters =
        vec![("RoleArn", arn.as_str()), ("RoleSessionName", "lineman"), ("DurationSeconds", &duration)];
    if let Some(external_id) = &settings.external_id {
        parameters.push(("ExternalId", external_id));
    }
    let base = base(cx).await?;
    let answer: AssumeRoleResponse = query::call(cx, Service::Sts, "AssumeRole", &parameters, Some(&base))
        .await
        .map_err(|stop| stop.map(|finding| about_role(finding, &arn, settings.external_id.is_some())))?;
    Ok(answer.result.credentials.take(cx))
}

async fn with_web_identity(cx: &Cx<Aws>) -> Result<Credentials, Stop> {
    let settings = cx.settings();
    let path = settings.web_identity_token_file.as_deref().unwrap_or_default();
    let missing = |message: String| {
        Stop::from(
            cx.finding("web-identity-missing", Cause::CredentialMissing, message)
                .pointer("/settings/web_identity_token_file"),
        )
    };
    let token = tokio::fs::read_to_string(path)
        .await
        .map_err(|error| missing(format!("The web identity token in {path} cannot be read: {error}.")))?;
    let token = Secret::new(token.trim());
    if token.is_empty() {
        return Err(missing(format!("The file {path} holds no token.")));
    }
    cx.conceal("web identity token", &token);
    let role = settings.role.as_deref().unwrap_or_default();
    let parameters = [
        ("RoleArn", role),
        ("RoleSessionName", "lineman"),
        ("WebIdentityToken", token.expose()),
        ("DurationSeconds", "900"),
    ];
    let answer: WebIdentityResponse = query::call(cx, Service::Sts, "AssumeRoleWithWebIdentity", &parameters, None)
        .await
        .map_err(|stop| stop.map(|finding| about_role(finding, role, false)))?;
    Ok(answer.result.credentials.take(cx))
}

fn about_role(finding: Finding, arn: &str, external_id: bool) -> Finding {
    let mut finding = finding.subject("role", arn);
    if finding.cause == Cause::PermissionInsufficient && external_id {
        finding =
            finding.remedy("Compare `external_id` with the `sts:ExternalId` condition in the role's trust policy.");
    }
    finding
}

#[derive(Deserialize)]
struct AssumeRoleResponse {
    #[serde(rename = "AssumeRoleResult")]
    result: AssumeRoleResult,
}

#[derive(Deserialize)]
struct WebIdentityResponse {
    #[serde(rename = "AssumeRoleWithWebIdentityResult")]
    result: AssumeRoleResult,
}

#[derive(Deserialize)]
struct AssumeRoleResult {
    #[serde(rename = "Credentials")]
    credentials: Issued,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Issued {
    access_key_id: Secret,
    secret_access_key: Secret,
    session_token: Secret,
}

impl Issued {
    fn take(self, cx: &Cx<Aws>) -> Credentials {
        cx.conceal("assumed access key id", &self.access_key_id);
        cx.conceal("assumed secret access key", &self.secret_access_key);
        cx.conceal("assumed session token", &self.session_token);
        Credentials { id: self.access_key_id, secret: self.secret_access_key, token: Some(self.session_token) }
    }
}
