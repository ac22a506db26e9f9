//! `github/identity`: who GitHub thinks this is, until when, and with which scopes.

use jiff::tz::TimeZone;
use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Timestamp};

use crate::token::{self, Kind};
use crate::{GitHub, api, app};

/// Days before its end from which a token is due for renewal: GitHub itself writes seven days
/// before; a platform wants a working week more.
const DUE_DAYS: i64 = 14;
/// The part of the hourly quota below which other calls of the same credential are at risk.
const LOW_QUOTA: u64 = 20;

/// Who a credential is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The user's name; an installation has none.
    pub(crate) login: Option<String>,
    /// The scopes of a classic token or of an OAuth app; the others have permissions instead.
    pub(crate) scopes: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Covered {
    #[serde(rename = "total_count")]
    _count: u64,
}

/// The kind of the stored token; none where there is an app's key, or an unknown format.
pub(crate) fn kind(cx: &Cx<GitHub>) -> Option<Kind> {
    Kind::of(cx.secrets().token.as_ref()?.expose())
}

/// Asks GitHub once who the stored credential is. This is the one attempt to authenticate.
pub(crate) async fn identity(cx: &Cx<GitHub>) -> Result<Identity, Stop> {
    let Some(token) = &cx.secrets().token else {
        return app::app(cx).await.map(|_| Identity { login: None, scopes: None });
    };
    let ask = async {
        let installation = kind(cx) == Some(Kind::Installation);
        // An installation is no user, and may not ask for one.
        let (operation, path, query) = match installation {
            true => ("GET /installation/repositories", &["installation", "repositories"][..], Some("per_page=1")),
            false => ("GET /user", &["user"][..], None),
        };
        let answer = api::get(cx, token, operation, path, query).await?;
        let login = match installation {
            true => api::read::<Covered>(&answer).map(|_| None),
            false => api::read::<User>(&answer).map(|user| Some(user.login)),
        };
        let login = login.map_err(|stop| stop.map(|finding| closer(cx, &answer, finding, token.expose())))?;
        if let Some(at) = answer.header("github-authentication-token-expiration").and_then(expiry) {
            expires(cx, at);
        }
        quota(cx, &answer);
        let scopes = answer.header("x-oauth-scopes").map(|scopes| words(scopes).map(str::to_owned).collect());
        Ok(Identity { login, scopes })
    };
    cx.session().identity.get(Box::pin(ask)).await
}

/// `github/identity`.
pub(crate) async fn check(cx: Cx<GitHub>) -> Outcome {
    let identity = identity(&cx).await?;
    match (&cx.settings().login, &identity.login) {
        (Some(expected), Some(actual)) if !expected.eq_ignore_ascii_case(actual) => Err(cx
            .finding(
                "wrong-login",
                Cause::CredentialWrongAccount,
                format!("The token is good, but {actual}'s and not {expected}'s."),
            )
            .pointer("/settings/login")
            .remedy(format!("Store a token of {expected}, or correct `login`."))
            .into()),
        (Some(expected), None) => {
            let why = "an installation of an app belongs to no user";
            cx.not_proved(format!("that the credential is {expected}'s"), why, None);
            Ok(())
        }
        (None, Some(actual)) => {
            let why = "no `login` is configured to compare with";
            cx.not_proved(format!("that {actual} is the intended user"), why, Some("settings.login"));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// "Bad credentials" hides four causes; the token's own checksum leaves out one side or the other.
fn closer(cx: &Cx<GitHub>, answer: &Answer, mut finding: Finding, token: &str) -> Finding {
    if answer.status() == 404 {
        return answer.unexpected("404 to a question that every GitHub answers");
    }
    if finding.cause != Cause::CredentialInvalid {
        return finding;
    }
    match token::checksum(token) {
        Some(false) => {
            let message = "GitHub does not know the token, and its own checksum says that it was mistyped or cut.";
            let mut mistyped = cx.finding("token-mistyped", Cause::CredentialMalformed, message);
            mistyped.evidence = finding.evidence;
            mistyped.pointer("/secrets/token")
        }
        Some(true) => {
            finding.also_possible.retain(|other| other.cause != Cause::CredentialMalformed);
            finding.detail(
                "The checksum in the token is right, so it was issued and not mistyped: it has expired or was \
                 revoked, or another GitHub issued it than the one that was asked.",
            )
        }
        None => finding,
    }
}

fn expires(cx: &Cx<GitHub>, at: Timestamp) {
    cx.expires("token", at);
    let days = at.duration_since(Timestamp::now()).as_hours() / 24;
    if days >= DUE_DAYS {
        return;
    }
    let day = at.strftime("%Y-%m-%d %H:%M UTC");
    let message = match days {
        0 => format!("The token expires within a day, on {day}."),
        1 => format!("The token expires tomorrow, on {day}."),
        days => format!("The token expires in {days} days, on {day}."),
    };
    cx.report(cx.finding("token-expires-soon", Cause::CredentialExpiring, message).pointer("/secrets/token"));
}

/// GitHub writes the date in two ways: `2027-10-12 09:00:00 UTC` and `… +0000`.
fn expiry(header: &str) -> Option<Timestamp> {
    if let Some(utc) = header.trim().strip_suffix(" UTC") {
        return utc.parse::<jiff::civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
    }
    Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", header.trim()).ok()
}

/// Says when others have nearly used up what the credential may ask in this hour.
fn quota(cx: &Cx<GitHub>, answer: &Answer) {
    let number = |name: &str| answer.header(name)?.parse::<u64>().ok();
    let (Some(limit), Some(left)) = (number("x-ratelimit-limit"), number("x-ratelimit-remaining")) else { return };
    if limit == 0 || left.saturating_mul(LOW_QUOTA) >= limit {
        return;
    }
    let reset = number("x-ratelimit-reset").and_then(|at| Timestamp::from_second(i64::try_from(at).ok()?).ok());
    let until = reset.map(|at| format!(" until {}", at.strftime("%H:%M UTC"))).unwrap_or_default();
    let message = format!("Only {left} of {limit} calls are left{until}.");
    cx.report(
        cx.finding("quota-low", Cause::ProviderRateLimited, message)
            .severity(Severity::Warn)
            .evidence(answer.evidence()),
    );
}

/// The words of a list with commas.
pub(crate) fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_expiry_are_read_in_both_forms() {
        let check = |header: &str, expect: Option<&str>| {
            assert_eq!(expiry(header).map(|at| at.to_string()).as_deref(), expect, "{header}");
        };
        check("2027-10-12 09:00:00 UTC", Some("2027-10-12T09:00:00Z"));
        check("2027-10-12 09:00:00 +0000", Some("2027-10-12T09:00:00Z"));
        check("2027-10-12 09:00:00 -0700", Some("2027-10-12T16:00:00Z"));
        check("never", None);
    }
}
