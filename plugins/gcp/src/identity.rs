//! `gcp/identity` and `gcp/impersonation`: whether Google takes the credential, and whose it is.

use lineman_sdk::Timestamp;
use lineman_sdk::prelude::*;

use crate::api::{self, Service};
use crate::credential::Credential;
use crate::token::{own, working};
use crate::{Gcp, googleapis};

/// What Google says of an access token. Times are seconds, as text.
#[derive(Deserialize)]
struct Info {
    email: Option<String>,
    exp: Option<String>,
    #[serde(default)]
    scope: String,
}

/// `gcp/identity`.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    let own = own(&cx).await?;
    let account = match Credential::of(&cx)? {
        Credential::Token(token) => of_token(&cx, &token).await?,
        _ => own.account,
    };
    match (&cx.settings().service_account, account) {
        (Some(expected), Some(actual)) if !expected.eq_ignore_ascii_case(&actual) => Err(cx
            .finding(
                "wrong-account",
                Cause::CredentialWrongAccount,
                format!("The credential is good, but {actual}'s and not {expected}'s."),
            )
            .pointer("/settings/service_account")
            .remedy(format!("Store a credential of {expected}, or correct `service_account`."))
            .into()),
        (Some(expected), None) => {
            let why = "the credential does not say whose it is";
            cx.not_proved(format!("that the credential is {expected}'s"), why, None);
            Ok(())
        }
        (None, Some(actual)) => {
            let why = "no `service_account` is configured to compare with";
            cx.not_proved(format!("that {actual} is the intended account"), why, Some("settings.service_account"));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Asks whose an access token is and until when. The token goes in the body: queries are logged.
async fn of_token(cx: &Cx<Gcp>, token: &Secret) -> Result<Option<String>, Stop> {
    let elsewhere = cx.settings().universe_domain != googleapis();
    if elsewhere && cx.connection().endpoint(Service::OAuth2.name()).is_none() {
        cx.not_proved("whose the access token is", "no other universe tells", None);
        return Ok(None);
    }
    let url = Service::OAuth2.address(cx, &["tokeninfo"])?;
    let http = cx.http()?;
    let request = http.post(url).form([("access_token", token.expose())]).operation("tokeninfo");
    let answer = Box::pin(request.send()).await?;
    let info: Info = api::read(&answer)?;
    if let Some(end) = info.exp.and_then(|exp| Timestamp::from_second(exp.parse().ok()?).ok()) {
        cx.expires("access token", end);
    }
    let broad = |scope: &str| scope.contains("/auth/cloud-platform");
    if !info.scope.split(' ').any(broad) {
        let message = "The access token has not the scope cloud-platform, so that most APIs refuse it.";
        cx.report(
            cx.finding("scope-missing", Cause::PermissionInsufficient, message)
                .severity(Severity::Warn)
                .pointer("/secrets/access_token")
                .detail(format!("It has {}.", if info.scope.is_empty() { "no scope" } else { &info.scope })),
        );
    }
    Ok(info.email)
}

/// `gcp/impersonation`.
pub(crate) async fn impersonation(cx: Cx<Gcp>) -> Outcome {
    if cx.settings().impersonate.is_none() {
        return Err(Stop::not_applicable("the platform acts as nobody else"));
    }
    working(&cx).await.map(drop)
}
