//! A GitHub App: the assertion that its key signs, its installation, and the token of that.
//!
//! "Generating a JSON Web Token (JWT) for a GitHub App": RS256, `iat` a minute ago, `exp` within
//! ten minutes, `iss` the app's id or client id.

use std::collections::BTreeMap;

use lineman_sdk::prelude::*;
use lineman_sdk::{RsaKey, Timestamp};
use serde_json::json;

use crate::{GitHub, api};

/// Seconds that an assertion is dated back, for a clock that is a little ahead.
const BACK: i64 = 60;
/// Seconds that it is good for.
const LIFE: i64 = 540;

const KEY: &str = "/secrets/app_private_key";

/// A user or an organisation.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) login: String,
}

/// The app itself, as `GET /app` shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct App {
    /// Its name in addresses.
    pub(crate) slug: String,
    /// What it asks installations for.
    #[serde(default)]
    pub(crate) permissions: BTreeMap<String, String>,
}

/// One installation of the app.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    /// Where it is installed.
    pub(crate) account: Account,
    /// `all` or `selected` repositories.
    #[serde(default)]
    pub(crate) repository_selection: String,
    /// What the account has granted.
    #[serde(default)]
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) suspended_at: Option<Timestamp>,
}

/// A token of the installation.
#[derive(Clone, Deserialize)]
pub(crate) struct Minted {
    pub(crate) token: Secret,
}

/// What `github/config` says of a key that cannot sign.
pub(crate) fn malformed(wrong: &str) -> Finding {
    Finding::new("github/app-key-shape", Cause::CredentialMalformed, format!("The app's private key {wrong}."))
        .pointer(KEY)
}

/// An assertion that the app is who it says, good for some minutes.
fn assertion(cx: &Cx<GitHub>) -> Result<Secret, Stop> {
    let (Some(pem), Some(id)) = (&cx.secrets().app_private_key, &cx.settings().app_id) else {
        return Err(Stop::missing_input("the app's id and private key are not both given"));
    };
    let key = RsaKey::read(pem).map_err(malformed)?;
    let now = Timestamp::now().as_second();
    let claims = json!({ "iat": now - BACK, "exp": now + LIFE, "iss": id.to_string() });
    let assertion = key.token(&json!({}), &claims).ok_or_else(|| malformed("cannot sign"))?;
    cx.conceal("app assertion", &assertion);
    Ok(assertion)
}

/// The app that the key belongs to. This is the one attempt to authenticate with it.
pub(crate) async fn app(cx: &Cx<GitHub>) -> Result<App, Stop> {
    let ask = async {
        let answer = api::get(cx, &assertion(cx)?, "GET /app", &["app"], None).await?;
        api::read(&answer)
    };
    cx.session().app.get(Box::pin(ask)).await
}

/// The installation that the platform works with.
pub(crate) async fn installation(cx: &Cx<GitHub>) -> Result<Installation, Stop> {
    cx.session().installation.get(Box::pin(find(cx))).await
}

async fn find(cx: &Cx<GitHub>) -> Result<Installation, Stop> {
    let app = app(cx).await?;
    let settings = cx.settings();
    let owned;
    let (operation, path, what): (_, Vec<&str>, _) = if let Some(id) = settings.installation_id {
        owned = id.to_string();
        let path = vec!["app", "installations", &owned];
        ("GET /app/installations/{installation_id}", path, format!("with the id {id}"))
    } else if let Some(organization) = &settings.organization {
        let path = vec!["orgs", organization, "installation"];
        ("GET /orgs/{org}/installation", path, format!("in {organization}"))
    } else if let Some((owner, name)) = settings.repositories.first().and_then(|name| name.split_once('/')) {
        let path = vec!["repos", owner, name, "installation"];
        ("GET /repos/{owner}/{repo}/installation", path, format!("that covers {owner}/{name}"))
    } else {
        return only(cx, &app).await;
    };
    let answer = api::get(cx, &assertion(cx)?, operation, &path, None).await?;
    if answer.status() == 404 {
        return Err(missing(cx, &app, &what).evidence(answer.evidence()).into());
    }
    api::read(&answer)
}

/// The app's only installation, where nothing says which one is meant.
async fn only(cx: &Cx<GitHub>, app: &App) -> Result<Installation, Stop> {
    let answer = api::get(cx, &assertion(cx)?, "GET /app/installations", &["app", "installations"], None).await?;
    let mut all: Vec<Installation> = api::read(&answer)?;
    match (all.pop(), all.len()) {
        (Some(installation), 0) => Ok(installation),
        (Some(_), others) => {
            let message = format!("The app {} has {} installations, and no setting says which.", app.slug, others + 1);
            Err(cx
                .finding("installation-unclear", Cause::ConfigInvalid, message)
                .pointer("/settings/installation_id")
                .into())
        }
        (None, _) => Err(missing(cx, app, "anywhere").into()),
    }
}

fn missing(cx: &Cx<GitHub>, app: &App, what: &str) -> Finding {
    let message = format!("The app {} has no installation {what}.", app.slug);
    let mut finding = cx
        .finding("installation-missing", Cause::DependencyMissing, message)
        .subject("app", &app.slug)
        .or_else(Cause::ConfigInvalid, Confidence::Possible);
    let text = format!("Install the app: https://github.com/apps/{}/installations/new", app.slug);
    let who = Some("owner of the organisation or repository".to_owned());
    finding.remedies.push(Remedy { who, ..Remedy::new(text) });
    finding.remedy("Correct `installation_id`, `organization` and `repositories`.")
}

/// The id of the installation that covers a repository, whichever it is.
pub(crate) async fn covering(cx: &Cx<GitHub>, owner: &str, repo: &str) -> Result<Option<u64>, Stop> {
    let path = ["repos", owner, repo, "installation"];
    let answer = api::get(cx, &assertion(cx)?, "GET /repos/{owner}/{repo}/installation", &path, None).await?;
    match answer.status() {
        404 => Ok(None),
        // Moved: the repository itself tells where to, and is covered by what covered it.
        301 | 307 | 308 => installation(cx).await.map(|installation| Some(installation.id)),
        _ => api::read::<Installation>(&answer).map(|installation| Some(installation.id)),
    }
}

/// The token to work with: the stored one, or one of the app's installation.
pub(crate) async fn working(cx: &Cx<GitHub>) -> Result<Secret, Stop> {
    if let Some(token) = &cx.secrets().token {
        return Ok(token.clone());
    }
    let mint = async {
        let installation = installation(cx).await?;
        let answer = api::mint(cx, &assertion(cx)?, installation.id).await?;
        let minted: Minted = api::read(&answer)?;
        cx.conceal("installation token", &minted.token);
        Ok(minted)
    };
    cx.session().minted.get(Box::pin(mint)).await.map(|minted| minted.token)
}

/// `github/installation`.
pub(crate) async fn check(cx: Cx<GitHub>) -> Outcome {
    if cx.secrets().token.is_some() {
        return Err(Stop::not_applicable("the credential is a token, not an app's key"));
    }
    let installation = installation(&cx).await?;
    let account = &installation.account.login;
    if let Some(at) = installation.suspended_at {
        let message = format!("The app's installation in {account} is suspended since {}.", at.strftime("%Y-%m-%d"));
        let mut finding = cx.finding("installation-suspended", Cause::AccountSuspended, message);
        let text = "Unsuspend the app in the settings of the organisation, under GitHub Apps.";
        finding.remedies.push(Remedy { who: Some(format!("owner of {account}")), ..Remedy::new(text) });
        return Err(finding.subject("installation", installation.id.to_string()).into());
    }
    match &cx.settings().organization {
        Some(expected) if !expected.eq_ignore_ascii_case(account) => {
            let message = format!("The installation {} is {account}'s, not {expected}'s.", installation.id);
            return Err(cx
                .finding("wrong-installation", Cause::CredentialWrongAccount, message)
                .pointer("/settings/installation_id")
                .into());
        }
        Some(_) => {}
        None => {
            let why = "no `organization` is configured to compare with";
            cx.not_proved(format!("that {account} is the intended account"), why, Some("settings.organization"));
        }
    }
    working(&cx).await.map(drop)
}
