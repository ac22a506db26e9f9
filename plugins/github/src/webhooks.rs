//! `github/webhooks`: the webhooks that are required are active, are sent what is wanted, and were
//! last answered well.
//!
//! What GitHub last heard from the other end is all that is asked for: a delivery would be a write.
//! Addresses of webhooks hold secrets more often than not, so none is shown that the configuration
//! does not name.

use std::collections::BTreeSet;

use lineman_sdk::prelude::*;
use lineman_sdk::{Judged, Url, bare};
use serde_json::Value;

use crate::app::working;
use crate::identity::identity;
use crate::repositories::repository;
use crate::requirement::{Webhook, Wish};
use crate::{GitHub, api, scopes};

const OPERATION: &str = "GET /repos/{owner}/{repo}/hooks";
/// How many webhooks stand on one page.
const PAGE: usize = 100;
/// The most pages that are read.
const MOST_PAGES: usize = 10;

/// A webhook as GitHub lists it.
#[derive(Deserialize)]
struct Hook {
    id: u64,
    active: bool,
    #[serde(default)]
    events: Vec<String>,
    config: Config,
    /// None where nothing was delivered in the last 30 days.
    last_response: Option<Response>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: String,
    /// `"1"`, or the number, where the certificate of the other end is not verified.
    #[serde(default)]
    insecure_ssl: Value,
}

/// What the other end answered.
#[derive(Deserialize)]
struct Response {
    code: Option<u32>,
    status: Option<String>,
    message: Option<String>,
}

impl Hook {
    /// Whether it goes to an address; a query that the requirement leaves out is anything.
    fn goes_to(&self, address: &Url) -> bool {
        let part = |url: &Url| {
            let (host, path) = (url.host_str().map(str::to_owned), url.path().to_owned());
            (url.scheme().to_owned(), host, url.port_or_known_default(), path)
        };
        let own = Url::parse(&self.config.url);
        own.is_ok_and(|own| {
            part(&own) == part(address) && (address.query().is_none() || address.query() == own.query())
        })
    }

    fn is_sent(&self, event: &str) -> bool {
        self.events.iter().any(|own| own == event || own == "*")
    }
}

/// `github/webhooks`.
pub(crate) async fn check(cx: Cx<GitHub>) -> Outcome {
    for (id, webhook) in
        cx.requiring("no webhook is required", |words| Wish::read(words, cx.settings()).ok()?.webhook())?
    {
        let mut judged = Judged::new(&cx, id);
        Box::pin(judge(&cx, &webhook, &mut judged)).await?;
        judged.record();
    }
    Ok(())
}

async fn judge(cx: &Cx<GitHub>, webhook: &Webhook<'_>, judged: &mut Judged<'_, GitHub>) -> Outcome {
    let name = repository(cx, webhook.repository).await?.full_name;
    let shown = bare(&webhook.address).to_string();
    let Some(hooks) = list(cx, &name).await? else {
        let needs = match identity(cx).await?.scopes {
            Some(granted) if scopes::hold(&granted, "read:repo_hook") => "the role admin",
            Some(_) => "admin:repo_hook, and the role admin",
            None => "repository_hooks:read",
        };
        let what = format!("that {name} has the webhook {shown}");
        judged.unproved(what, "the credential may not look at webhooks", Some(needs));
        return Ok(());
    };
    // Several may go there with different queries: one that works is enough.
    let found = hooks.iter().filter(|hook| hook.goes_to(&webhook.address)).max_by_key(|hook| hook.active);
    let Some(hook) = found else {
        judged.fails(missing(cx, &name, &shown, &hooks));
        return Ok(());
    };
    let unfit = |code: &str, message: String, remedy: &str| {
        finding(cx, code, Cause::DependencyUnfit, message, &name, &shown, remedy)
    };
    if !hook.active {
        let message = format!("The webhook {shown} of {name} is switched off.");
        judged.fails(unfit("webhook-inactive", message, "Tick Active in the settings of the webhook."));
    }
    let wanting: Vec<&str> = webhook.events.iter().map(String::as_str).filter(|event| !hook.is_sent(event)).collect();
    if !wanting.is_empty() {
        let message = format!("The webhook {shown} of {name} is not sent: {}.", wanting.join(", "));
        let has = format!("It is sent: {}.", hook.events.join(", "));
        judged
            .fails(unfit("webhook-events", message, "Choose these events in the settings of the webhook.").detail(has));
    }
    match &hook.last_response {
        Some(Response { code: Some(200..=299), .. }) => {}
        Some(last) if last.is_one() => {
            let said = last.told();
            let message = format!("What GitHub last sent to the webhook {shown} of {name} was not taken: {said}.");
            let remedy =
                "Mend what answers there, and redeliver from Recent Deliveries in the settings of the webhook.";
            let source = format!("last_response of the webhook {}", hook.id);
            let finding = unfit("webhook-failing", message, remedy).evidence(Evidence::log(source, &said));
            judged.fails(finding);
        }
        _ => {
            let why = "nothing was delivered in the last 30 days";
            judged.unproved(format!("that {shown} takes what GitHub sends"), why, None);
        }
    }
    if matches!(&hook.config.insecure_ssl, Value::String(text) if text == "1") || hook.config.insecure_ssl == 1 {
        let message = format!("GitHub does not verify who answers at the webhook {shown} of {name} (insecure_ssl).");
        let remedy = "Enable SSL verification in the settings of the webhook.";
        judged.warns(unfit("webhook-unverified", message, remedy));
    }
    Ok(())
}

impl Response {
    /// Whether anything was delivered.
    fn is_one(&self) -> bool {
        self.code.is_some() || self.status.as_deref().is_some_and(|status| status != "unused")
    }

    /// In GitHub's words: `502: Invalid HTTP Response: 502`.
    fn told(&self) -> String {
        let code = self.code.filter(|code| *code != 0).map(|code| code.to_string());
        let words = [code, self.status.clone(), self.message.clone()];
        words.into_iter().flatten().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
    }
}

/// The webhooks of a repository; none where the credential may not look. GitHub hides them from
/// users who may not.
async fn list(cx: &Cx<GitHub>, name: &str) -> Result<Option<Vec<Hook>>, Stop> {
    let (owner, repo) = name.split_once('/').unwrap_or_default();
    let token = working(cx).await?;
    let mut all = Vec::new();
    for page in 1..=MOST_PAGES {
        let query = format!("per_page={PAGE}&page={page}");
        let answer = api::get(cx, &token, OPERATION, &["repos", owner, repo, "hooks"], Some(&query)).await?;
        if !answer.ok() {
            let finding = api::refusal(&answer);
            return match finding.cause {
                Cause::PermissionInsufficient | Cause::ResourceNotFound | Cause::RepoNoAccess => Ok(None),
                _ => Err(finding.into()),
            };
        }
        let hooks: Vec<Hook> = answer.json()?;
        let last = hooks.len() < PAGE;
        all.extend(hooks);
        if last {
            break;
        }
    }
    Ok(Some(all))
}

fn missing(cx: &Cx<GitHub>, name: &str, shown: &str, hooks: &[Hook]) -> Finding {
    let hosts = hooks.iter().filter_map(|hook| Url::parse(&hook.config.url).ok()?.host_str().map(str::to_owned));
    let hosts: Vec<String> = hosts.collect::<BTreeSet<_>>().into_iter().collect();
    let detail = match hosts.as_slice() {
        [] => "It has no webhook of its own; those of its organisation are not looked at.".to_owned(),
        hosts => format!("Its own webhooks go to {}; those of its organisation are not looked at.", hosts.join(", ")),
    };
    let message = format!("{name} has no webhook to {shown}.");
    let remedy = "Add the webhook in the settings of the repository, or correct the address in the requirement.";
    finding(cx, "webhook-missing", Cause::DependencyMissing, message, name, shown, remedy).detail(detail)
}

fn finding(
    cx: &Cx<GitHub>,
    code: &str,
    cause: Cause,
    message: String,
    name: &str,
    shown: &str,
    remedy: &str,
) -> Finding {
    // What is wrong with each part of it has a cause of its own.
    let part = match code {
        "webhook-events" => "webhook events",
        "webhook-failing" => "webhook delivery",
        "webhook-unverified" => "webhook certificate",
        _ => "webhook",
    };
    let mut finding = cx.finding(code, cause, message).subject(part, format!("{name} {shown}"));
    finding.remedies.push(Remedy { who: Some(format!("administrator of {name}")), ..Remedy::new(remedy) });
    finding
}
