//! `gitlab/identity`: what GitLab says of the token itself, and whose it is.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use lineman_sdk::prelude::*;
use lineman_sdk::{Credential, Timestamp};

use crate::token::Kind;
use crate::{GitLab, api};

/// Days before its end from which a token is due for renewal. GitLab writes 60, 30 and 7 days
/// before; a platform wants a working week more than the last.
const DUE_DAYS: i64 = 14;

/// Who a token is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The user's name, where the token may ask for it.
    pub(crate) username: Option<String>,
    /// What the token may do; none where GitLab does not tell.
    pub(crate) scopes: Option<Vec<String>>,
}

/// `GET /personal_access_tokens/self`.
#[derive(Deserialize)]
struct Own {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    created_at: Option<Timestamp>,
    scopes: Vec<String>,
    #[serde(default)]
    revoked: bool,
    #[serde(default = "yes")]
    active: bool,
    expires_at: Option<Date>,
}

fn yes() -> bool {
    true
}

/// `GET /oauth/token/info`.
#[derive(Deserialize)]
struct Granted {
    #[serde(alias = "scopes")]
    scope: Vec<String>,
    /// Seconds.
    #[serde(alias = "expires_in_seconds")]
    expires_in: Option<i64>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

/// Asks GitLab once what the token is. This is the one attempt to authenticate.
pub(crate) async fn identity(cx: &Cx<GitLab>) -> Result<Identity, Stop> {
    cx.session().identity.get(Box::pin(ask(cx))).await
}

async fn ask(cx: &Cx<GitLab>) -> Result<Identity, Stop> {
    let kind = cx.secrets().token.as_ref().map_or(Kind::Unknown, |token| Kind::of(token.expose()));
    let scopes = if kind == Kind::OAuth { granted(cx).await? } else { own(cx).await? };
    let answer = api::get(cx, "GET /user", &["user"], None).await?;
    let username = match api::read::<User>(&answer) {
        Ok(user) => Some(user.username),
        // Good for something else: what was said of the token itself stands.
        Err(stop) if stop.is_denied() && scopes.is_some() => None,
        Err(stop) => return Err(stop),
    };
    Ok(Identity { username, scopes })
}

/// What GitLab says of an access token; nothing where it is too old to say something, or the token
/// is of a kind that it does not say it of.
async fn own(cx: &Cx<GitLab>) -> Result<Option<Vec<String>>, Stop> {
    let operation = "GET /personal_access_tokens/self";
    let answer = api::get(cx, operation, &["personal_access_tokens", "self"], None).await?;
    if matches!(answer.status(), 400 | 404) && api::is_gitlabs(&answer) {
        let why = "this GitLab says nothing of this token itself";
        cx.not_proved("which scopes the token has, and when it ends", why, Some("GitLab 15.5, and an access token"));
        return Ok(None);
    }
    let own: Own = api::read(&answer)?;
    let id = own.id.map(|id| format!("token {id}"));
    cx.credential(Credential { secret: "token".to_owned(), id, created_at: own.created_at, ..Credential::default() });
    let ended = own.expires_at.filter(|day| *day <= Timestamp::now().to_zoned(TimeZone::UTC).date());
    let dead = match (own.revoked, ended, own.active) {
        (true, ..) => Some(("token-revoked", Cause::CredentialRevoked, "The token was revoked.".to_owned())),
        (_, Some(day), _) => Some(("token-expired", Cause::CredentialExpired, format!("The token ended on {day}."))),
        (_, _, false) => {
            Some(("token-inactive", Cause::CredentialRevoked, "GitLab says that the token is not active.".to_owned()))
        }
        _ => None,
    };
    if let Some((code, cause, message)) = dead {
        let finding = cx.finding(code, cause, message).pointer("/secrets/token").evidence(answer.evidence());
        return Err(finding.remedy("Make a new token, store it, and test again.").into());
    }
    if let Some(at) = own.expires_at.and_then(|day| day.to_zoned(TimeZone::UTC).ok()) {
        expires(cx, at.timestamp());
    }
    Ok(Some(own.scopes))
}

async fn granted(cx: &Cx<GitLab>) -> Result<Option<Vec<String>>, Stop> {
    let answer = api::fetch(cx, "GET /oauth/token/info", &["oauth", "token", "info"], None).await?;
    let granted: Granted = api::read(&answer)?;
    if let Some(seconds) = granted.expires_in.filter(|seconds| *seconds > 0) {
        // Hours: whoever holds the refresh token renews it. Nothing is due.
        cx.expires(
            "access token",
            Timestamp::now() + jiff::SignedDuration::from_secs(seconds.min(i64::from(u32::MAX))),
        );
    }
    Ok(Some(granted.scope))
}

/// A token ends at midnight UTC, when its day begins.
fn expires(cx: &Cx<GitLab>, at: Timestamp) {
    cx.expires("token", at);
    let days = at.duration_since(Timestamp::now()).as_hours() / 24;
    if days >= DUE_DAYS {
        return;
    }
    let day = at.strftime("%Y-%m-%d 00:00 UTC");
    let message = match days {
        0 => format!("The token expires within a day, on {day}."),
        1 => format!("The token expires tomorrow, on {day}."),
        days => format!("The token expires in {days} days, on {day}."),
    };
    cx.report(cx.finding("token-expires-soon", Cause::CredentialExpiring, message).pointer("/secrets/token"));
}

/// `gitlab/identity`.
pub(crate) async fn check(cx: Cx<GitLab>) -> Outcome {
    let identity = identity(&cx).await?;
    match (&cx.settings().username, &identity.username) {
        (Some(expected), Some(actual)) if !expected.eq_ignore_ascii_case(actual) => Err(cx
            .finding(
                "wrong-user",
                Cause::CredentialWrongAccount,
                format!("The token is good, but {actual}'s and not {expected}'s."),
            )
            .pointer("/settings/username")
            .remedy(format!("Store a token of {expected}, or correct `username`."))
            .into()),
        (Some(expected), None) => {
            cx.not_proved(format!("that the token is {expected}'s"), "it may not ask whose it is", Some("read_user"));
            Ok(())
        }
        (None, Some(actual)) => {
            let why = "no `username` is configured to compare with";
            cx.not_proved(format!("that {actual} is the intended user"), why, Some("settings.username"));
            Ok(())
        }
        _ => Ok(()),
    }
}
