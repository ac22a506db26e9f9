//! `azure/secret`: when the client secret ends, where the application may read that of itself.
//!
//! Entra does not say it with the token; Graph lists an application's secrets with the first three
//! characters of each, by which the stored one is found.

use lineman_sdk::prelude::*;
use lineman_sdk::{Credential as Known, Timestamp};

use crate::cloud::Api;
use crate::identity::{self, Credential, SECRET};
use crate::{Azure, api};

pub(crate) const OPERATION: &str = "GET /v1.0/applications(appId='{appId}')";
pub(crate) const PERMISSION: &str = "Application.Read.All";

/// Days before its end from which a credential is due for renewal: Entra itself recommends to
/// renew what ends within thirty.
const DUE_DAYS: i64 = 30;
/// How much of a secret Graph shows.
const HINT: usize = 3;

/// A secret, as Graph shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    display_name: Option<String>,
    hint: Option<String>,
    start_date_time: Option<Timestamp>,
    end_date_time: Option<Timestamp>,
}

impl Listed {
    fn name(&self) -> &str {
        self.display_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("without a description")
    }
}

/// `azure/secret`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let Credential::Secret(secret) = Credential::of(cx.secrets()) else {
        return Err(Stop::not_applicable("the credential is no client secret"));
    };
    // A secret that Entra refuses is told by `azure/identity`; Graph is only asked with a good one.
    identity::token(&cx, Api::Manager).await?;
    let unknown = |why: String| cx.not_proved("when the client secret expires", why, Some(PERMISSION));
    let all = match listed(&cx).await {
        Ok(all) => all,
        Err(stop) => {
            let why = match stop.finding() {
                Some(_) if stop.is_denied() => "the application may not read itself in Graph".to_owned(),
                Some(finding) => format!("Graph does not tell: {}", finding.message.trim_end_matches('.')),
                None => "Graph was not asked".to_owned(),
            };
            unknown(why);
            return Ok(());
        }
    };
    let hint: String = secret.expose().chars().take(HINT).collect();
    let mut own: Vec<&Listed> = all.iter().filter(|listed| listed.hint.as_deref() == Some(&hint)).collect();
    own.sort_by_key(|listed| listed.end_date_time);
    // Ended ones were not accepted; of several that begin alike the first to end is the one to heed.
    let now = Timestamp::now();
    let Some((listed, end)) = own.iter().find_map(|it| Some((it, it.end_date_time.filter(|end| *end > now)?))) else {
        unknown("none of the secrets that Graph lists begins like the stored one".to_owned());
        return Ok(());
    };
    cx.expires("client secret", end);
    let newer = all.iter().filter(|it| it.end_date_time > Some(end)).max_by_key(|it| it.end_date_time);
    cx.credential(Known {
        secret: "client_secret".to_owned(),
        id: listed.display_name.clone().filter(|name| !name.is_empty()),
        created_at: listed.start_date_time,
        newer_active: Some(newer.is_some()),
        ..Known::default()
    });
    if let Some(finding) = due(&cx, "The client secret", SECRET, end) {
        let finding = finding.subject("client secret", listed.name());
        cx.report(match newer.and_then(|newer| Some((newer, newer.end_date_time?))) {
            Some((newer, until)) => finding.detail(format!(
                "The application has a newer secret already: {}, until {}.",
                newer.name(),
                until.strftime("%Y-%m-%d")
            )),
            None => finding,
        });
    }
    Ok(())
}

async fn listed(cx: &Cx<Azure>) -> Result<Vec<Listed>, Stop> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Application {
        #[serde(default)]
        password_credentials: Vec<Listed>,
    }
    let path = format!("v1.0/applications(appId='{}')", cx.settings().client_id);
    let query = [("$select", "id,displayName,passwordCredentials")];
    let answer = api::get(cx, Api::Graph, OPERATION, &path, &query).await?;
    Ok(api::read::<Application>(&answer)?.password_credentials)
}

/// A warning that a credential ends soon, or that it has ended.
pub(crate) fn due(cx: &Cx<Azure>, what: &str, pointer: &str, end: Timestamp) -> Option<Finding> {
    let left = end.duration_since(Timestamp::now());
    let days = left.as_hours() / 24;
    let day = end.strftime("%Y-%m-%d %H:%M UTC");
    let (code, cause, message) = match days {
        _ if !left.is_positive() => ("credential-ended", Cause::CredentialExpired, format!("{what} expired on {day}.")),
        days if days >= DUE_DAYS => return None,
        0 => ("credential-ends-soon", Cause::CredentialExpiring, format!("{what} expires within a day, on {day}.")),
        1 => ("credential-ends-soon", Cause::CredentialExpiring, format!("{what} expires tomorrow, on {day}.")),
        days => {
            ("credential-ends-soon", Cause::CredentialExpiring, format!("{what} expires in {days} days, on {day}."))
        }
    };
    Some(cx.finding(code, cause, message).pointer(pointer))
}
