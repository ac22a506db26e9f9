//! `kubernetes/identity`: who the API server takes the credential for.
//!
//! A `SelfSubjectReview` tells (`authentication.k8s.io`, since 1.26; v1 since 1.28). Older servers
//! are asked whether anything at all is allowed, which nobody but a user that was accepted may ask:
//! that proves the login. Then a `TokenReview` names the user, where it is granted; else the
//! credential's own words do, which the server has just believed.

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Timestamp};
use serde_json::{Value, json};

use crate::access::{Access, access};
use crate::api::{self, Status};
use crate::login::{Login, login};
use crate::token::Claims;
use crate::{Kubernetes, reach};

const REVIEWS: &str = "authentication.k8s.io";
const ANONYMOUS: &str = "system:anonymous";

/// Who the API server takes the credential for.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The user, where it is known.
    pub(crate) user: Option<String>,
    /// Whether the server named it, and not the credential itself.
    named_by_server: bool,
}

impl Identity {
    /// What it is called in a sentence.
    pub(crate) fn name(&self) -> &str {
        self.user.as_deref().unwrap_or("the credential")
    }
}

/// Who the API server takes the credential for, once: a rejected credential is not shown again.
pub(crate) async fn identity(cx: &Cx<Kubernetes>) -> Result<Identity, Stop> {
    cx.session().identity.get(Box::pin(ask(cx))).await
}

async fn ask(cx: &Cx<Kubernetes>) -> Result<Identity, Stop> {
    #[derive(Deserialize)]
    struct Reviewed {
        status: Told,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        user_info: User,
    }
    // Before anything is shown to it: what answers is an API server.
    crate::version::open_version(cx).await?;
    for version in ["v1", "v1beta1", "v1alpha1"] {
        let review = json!({ "apiVersion": format!("{REVIEWS}/{version}"), "kind": "SelfSubjectReview" });
        let answer = api::review(cx, &["apis", REVIEWS, version, "selfsubjectreviews"], &review).await?;
        if answer.ok() {
            let Reviewed { status: Told { user_info } } = answer.json()?;
            return accepted(cx, &answer, user_info.username, true).await;
        }
        match (answer.status(), Status::of(&answer)) {
            (404, Some(_)) => continue,
            // An older server does not know the review, and so has granted it to few: it names whom it refuses.
            (403, Some(status)) if status.user().is_some_and(|user| user != ANONYMOUS) => {
                let user = status.user().unwrap_or_default().to_owned();
                return accepted(cx, &answer, user, true).await;
            }
            _ => return Err(refused(cx, &answer).await),
        }
    }
    older(cx).await
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

/// Servers before 1.26.
async fn older(cx: &Cx<Kubernetes>) -> Result<Identity, Stop> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "nonResourceAttributes": { "path": "/api", "verb": "get" } },
    });
    let answer = api::review(cx, &["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"], &review).await?;
    if !answer.ok() {
        return match Status::of(&answer) {
            Some(status) if answer.status() == 403 && status.user().is_some_and(|user| user != ANONYMOUS) => {
                accepted(cx, &answer, status.user().unwrap_or_default().to_owned(), true).await
            }
            _ => Err(refused(cx, &answer).await),
        };
    }
    let (access, login) = (access(cx).await?, login(cx).await?);
    if !access.has_login() {
        return Err(anonymous(cx, &answer, &access));
    }
    if access.acting_as.is_none()
        && let Login::Token { token, .. } = &login
        && let Some(user) = token_review(cx, token).await
    {
        return accepted(cx, &answer, user, true).await;
    }
    let own_words = match (&login, cx.client_certificate()) {
        (Login::Token { token, .. }, _) => Claims::of(token.expose()).and_then(|claims| claims.sub),
        (_, Some(certificate)) => common_name(&certificate.certificate().subject).map(str::to_owned),
        _ => None,
    };
    Ok(Identity { user: own_words, named_by_server: false })
}

/// What the server says of a token, where the credential may ask that.
async fn token_review(cx: &Cx<Kubernetes>, token: &Secret) -> Option<String> {
    let review = json!({
        "apiVersion": format!("{REVIEWS}/v1"),
        "kind": "TokenReview",
        "spec": { "token": token.expose() },
    });
    let answer = api::review(cx, &["apis", REVIEWS, "v1", "tokenreviews"], &review).await.ok()?;
    let review: Value = answer.ok().then(|| answer.json()).and_then(Result::ok)?;
    let user = review.pointer("/status/user/username")?.as_str()?;
    (!user.is_empty()).then(|| user.to_owned())
}

/// The CN of a distinguished name, which is the user of a client certificate.
fn common_name(subject: &str) -> Option<&str> {
    subject.split(',').find_map(|part| part.trim().strip_prefix("CN=")).filter(|name| !name.is_empty())
}

async fn accepted(cx: &Cx<Kubernetes>, answer: &Answer, user: String, named_by_server: bool) -> Result<Identity, Stop> {
    if user == ANONYMOUS {
        let access = access(cx).await?;
        return Err(anonymous(cx, answer, &access));
    }
    Ok(Identity { user: Some(user).filter(|user| !user.is_empty()), named_by_server })
}

/// The server answers, and has seen no credential.
fn anonymous(cx: &Cx<Kubernetes>, answer: &Answer, access: &Access) -> Stop {
    let finding = if access.has_login() {
        let message = "The API server takes the request for anonymous: it has not seen the credential.";
        cx.finding("credential-unseen", Cause::CredentialMissing, message)
            .confidence(Confidence::Likely)
            .or_else(Cause::NetworkProxy, Confidence::Possible)
    } else {
        let message = "There is no credential: the API server takes the request for anonymous.";
        cx.finding("credential-unset", Cause::CredentialMissing, message)
    };
    finding.pointer(access.pointer).evidence(answer.evidence()).into()
}

/// What a refusal means, with what the credential says of itself.
async fn refused(cx: &Cx<Kubernetes>, answer: &Answer) -> Stop {
    let (access, login) = match (access(cx).await, login(cx).await) {
        (Ok(access), Ok(login)) => (access, login),
        (Err(stop), _) | (_, Err(stop)) => return stop,
    };
    let status = Status::of(answer);
    if status.as_ref().and_then(Status::user) == Some(ANONYMOUS) || (answer.status() == 401 && !access.has_login()) {
        return anonymous(cx, answer, &access);
    }
    let mut finding = api::refusal(answer);
    if answer.status() != 401 || status.is_none() {
        return finding.into();
    }
    finding = finding.pointer(access.pointer);
    let claims = match &login {
        Login::Token { token, .. } => Claims::of(token.expose()),
        _ => None,
    };
    let certificate = cx.client_certificate().map(|certificate| certificate.certificate().clone());
    let skew = reach::walk(cx).await.ok().and_then(|walk| walk.skew);
    match (claims, certificate, &login) {
        (Some(claims), _, Login::Token { .. }) => {
            let now = Timestamp::now();
            if claims.expires().is_some_and(|at| at <= now) {
                let mut expired = cx.finding(
                    "token-expired",
                    Cause::CredentialExpired,
                    "The API server refuses the token, which has expired.",
                );
                expired.evidence = finding.evidence;
                return expired.detail(claims.told()).pointer(access.pointer).remedy(NEW_TOKEN).into();
            }
            if claims.begins().is_some_and(|at| at > now)
                || skew.is_some_and(|skew| skew.as_secs().unsigned_abs() > 120)
            {
                finding = finding.or_else(Cause::ClockSkew, Confidence::Likely);
            }
            finding = finding.detail(format!(
                "{} Another cluster than this one may have issued it, or its service account was deleted.",
                claims.told()
            ));
        }
        (_, Some(certificate), Login::Certificate) => {
            finding = finding.detail(format!(
                "The client certificate is of {}, issued by {}: the API server must trust that issuer (--client-ca-file).",
                certificate.subject, certificate.issuer
            ));
        }
        _ => {}
    }
    if let Login::Token { program: Some(program), .. } = &login {
        finding = finding.or_else(Cause::CredentialWrongAccount, Confidence::Likely).remedy(format!(
            "Ask who `{program}` logs in as: that identity must be known to the cluster, such as by an access entry or aws-auth on EKS."
        ));
    }
    finding.into()
}

const NEW_TOKEN: &str = "Have a new one issued: `kubectl create token SERVICE-ACCOUNT --duration=8760h`, or keep the platform's own renewed.";

/// `kubernetes/identity`.
pub(crate) async fn check(cx: Cx<Kubernetes>) -> Outcome {
    let identity = identity(&cx).await?;
    if !identity.named_by_server {
        let who = identity.user.as_deref().map_or("nobody", |user| user);
        let why = format!("the server is older than 1.26; by its own words the credential is of {who}");
        cx.not_proved("who the API server takes the credential for", why, Some("create tokenreviews"));
    }
    match (cx.settings().user.as_deref(), identity.user.as_deref()) {
        (Some(expected), Some(actual)) if expected != actual => {
            let message = format!("The credential is good, but {actual}'s and not {expected}'s.");
            let confidence = if identity.named_by_server { Confidence::Confirmed } else { Confidence::Likely };
            Err(cx
                .finding("wrong-user", Cause::CredentialWrongAccount, message)
                .confidence(confidence)
                .pointer("/settings/user")
                .remedy(format!("Store a credential of {expected}, choose another context, or correct `user`."))
                .into())
        }
        (Some(expected), None) => {
            cx.not_proved(format!("that the credential is {expected}'s"), "the API server does not tell", None);
            Ok(())
        }
        (None, Some(actual)) => {
            let what = format!("that {actual} is the intended user");
            cx.not_proved(what, "no `user` is configured to compare with", Some("settings.user"));
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_a_certificate_is_its_common_name() {
        let check = |subject: &str, expect: Option<&str>| assert_eq!(common_name(subject), expect, "{subject}");
        check("CN=admin, O=system:masters", Some("admin"));
        check("O=system:masters, CN=admin", Some("admin"));
        check("O=nobody", None);
    }
}
