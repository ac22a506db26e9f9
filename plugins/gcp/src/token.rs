//! The tokens that the checks work with, each obtained once.

use lineman_sdk::Timestamp;
use lineman_sdk::prelude::*;
use serde_json::json;

use crate::api::{self, Call, Service};
use crate::credential::{Credential, External, Key};
use crate::{Gcp, external};

/// The scope of everything in Google Cloud; what the account may do, IAM decides.
pub(crate) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Seconds that an assertion is good for, of the hour that Google allows.
const LIFE: i64 = 3000;
/// Seconds that it is dated back, for a clock that is a little ahead.
const BACK: i64 = 30;

/// An access token.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    /// The service account that it speaks for, where that is known.
    pub(crate) account: Option<String>,
}

#[derive(Deserialize)]
struct Exchanged {
    access_token: Secret,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    access_token: Secret,
}

/// The token of the stored credential itself. This is the one attempt to authenticate with it.
pub(crate) async fn own(cx: &Cx<Gcp>) -> Result<Token, Stop> {
    let ask = async {
        let credential = Credential::of(cx)?;
        let account = credential.account().map(str::to_owned);
        let secret = match &credential {
            Credential::Token(token) => token.clone(),
            Credential::Key(key) => exchange(cx, key).await?,
            Credential::External(external) => federated(cx, external).await?,
        };
        Ok(Token { secret, account })
    };
    cx.session().own.get(Box::pin(ask)).await
}

/// The token to work with: that of the service account that the platform acts as, where it does.
pub(crate) async fn working(cx: &Cx<Gcp>) -> Result<Token, Stop> {
    let Some(account) = &cx.settings().impersonate else { return own(cx).await };
    let ask = async {
        let own = own(cx).await?;
        let secret = impersonate(cx, &own.secret, account).await?;
        Ok(Token { secret, account: Some(account.clone()) })
    };
    cx.session().acting.get(Box::pin(ask)).await
}

/// Exchanges an assertion that the key signs (RFC 7523). A token that the client signs itself would
/// look good whatever became of the key.
async fn exchange(cx: &Cx<Gcp>, key: &Key) -> Result<Secret, Stop> {
    let now = Timestamp::now().as_second() - BACK;
    let claims = json!({
        "iss": key.client_email,
        "scope": SCOPE,
        "aud": format!("https://oauth2.{}/token", cx.settings().universe_domain),
        "iat": now,
        "exp": now + LIFE,
    });
    let assertion = key.signing()?.token(&json!({ "kid": key.private_key_id }), &claims).ok_or_else(|| {
        cx.finding("key-shape", Cause::CredentialMalformed, "The private key in the key file cannot sign.")
            .pointer("/secrets/service_account_key")
    })?;
    cx.conceal("assertion", &assertion);
    let url = Service::OAuth2.address(cx, &["token"])?;
    let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.expose())];
    let answer = Box::pin(cx.http()?.post(url).form(form).operation("token").send()).await?;
    let Exchanged { access_token } = api::read(&answer)?;
    cx.conceal("access token", &access_token);
    Ok(access_token)
}

async fn federated(cx: &Cx<Gcp>, external: &External) -> Result<Secret, Stop> {
    let answer = external::exchange(cx, external).await?;
    let Exchanged { access_token } = api::read(&answer)?;
    cx.conceal("federated token", &access_token);
    match external.impersonated() {
        Some(account) => impersonate(cx, &access_token, account).await,
        None => Ok(access_token),
    }
}

/// Asks for a token of another service account.
async fn impersonate(cx: &Cx<Gcp>, token: &Secret, account: &str) -> Result<Secret, Stop> {
    let last = format!("{account}:generateAccessToken");
    let path = ["v1", "projects", "-", "serviceAccounts", &last];
    let operation = "iamcredentials.projects.serviceAccounts.generateAccessToken";
    let call = Call::new(Service::IamCredentials, operation, &path);
    let answer = call.body(json!({ "scope": [SCOPE], "lifetime": "3600s" })).ask(cx, token).await?;
    if !answer.ok() {
        let finding = api::refusal(&answer).subject("service account", account);
        return Err(match finding.cause {
            Cause::PermissionInsufficient => closer(cx, token, account, finding).await,
            _ => finding,
        }
        .into());
    }
    let Generated { access_token } = answer.json()?;
    cx.conceal("impersonated token", &access_token);
    Ok(access_token)
}

/// Google answers alike for an account that is not there and for one that may not be acted as. A
/// question that needs no permission tells which.
async fn closer(cx: &Cx<Gcp>, token: &Secret, account: &str, finding: Finding) -> Finding {
    const NEEDED: &str = "iam.serviceAccounts.getAccessToken";
    let last = format!("{account}:testIamPermissions");
    let path = ["v1", "projects", "-", "serviceAccounts", &last];
    let call = Call::new(Service::Iam, "iam.projects.serviceAccounts.testIamPermissions", &path);
    let Ok(answer) = call.body(json!({ "permissions": [NEEDED] })).ask(cx, token).await else { return finding };
    let (code, cause, message, remedy) = match answer.status() {
        200..=299 => (
            "impersonation-denied",
            Cause::PermissionInsufficient,
            format!("The credential may not act as {account}: it lacks {NEEDED} there."),
            format!(
                "Give it the role Service Account Token Creator on {account}; with workload identity federation, the role Workload Identity User."
            ),
        ),
        404 => (
            "impersonated-account-missing",
            Cause::ResourceNotFound,
            format!("There is no service account {account} to act as."),
            "Correct `impersonate`, or make the service account.".to_owned(),
        ),
        _ => return finding,
    };
    let mut closer = cx.finding(code, cause, message).subject("service account", account);
    closer.evidence = finding.evidence;
    closer.docs = finding.docs;
    closer.remedies.push(Remedy { who: Some(format!("administrator of {account}")), ..Remedy::new(remedy) });
    closer
}
