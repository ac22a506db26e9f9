//! `gitlab/webhooks`: the webhooks that are required are there, are sent what is wanted, and GitLab
//! has not stopped sending to them, as it does when too much of it fails.
//!
//! Addresses of webhooks hold secrets more often than not, so none is shown that the configuration
//! does not name.

use std::collections::{BTreeMap, BTreeSet};

use lineman_sdk::prelude::*;
use lineman_sdk::{Judged, Timestamp, Url, bare};
use serde_json::Value;

use crate::requirement::{Webhook, Wish};
use crate::{GitLab, api};

const OPERATION: &str = "GET /projects/:id/hooks";
/// How many webhooks stand on one page.
const PAGE: usize = 100;
/// The most pages that are read.
const MOST_PAGES: usize = 10;
/// What ends the name of each field that is an event.
const EVENTS: &str = "_events";

/// A webhook as GitLab lists it.
#[derive(Deserialize)]
struct Hook {
    url: String,
    #[serde(default = "yes")]
    enable_ssl_verification: bool,
    /// `executable`, `temporarily_disabled` or `disabled`; GitLabs before 15.2 do not say.
    #[serde(default)]
    alert_status: Option<String>,
    #[serde(default)]
    disabled_until: Option<Timestamp>,
    /// Whether it is sent each event stands in a field of its own: `push_events`.
    #[serde(flatten)]
    fields: BTreeMap<String, Value>,
}

fn yes() -> bool {
    true
}

impl Hook {
    /// Whether it goes to an address; a query that the requirement leaves out is anything.
    fn goes_to(&self, address: &Url) -> bool {
        let part = |url: &Url| {
            let (host, path) = (url.host_str().map(str::to_owned), url.path().to_owned());
            (url.scheme().to_owned(), host, url.port_or_known_default(), path)
        };
        let own = Url::parse(&self.url);
        own.is_ok_and(|own| {
            part(&own) == part(address) && (address.query().is_none() || address.query() == own.query())
        })
    }

    /// Whether GitLab sends to it at all.
    fn is_live(&self) -> bool {
        self.alert_status.as_deref().is_none_or(|status| status == "executable")
    }

    /// Whether it is sent an event; none where GitLab knows no such event.
    fn is_sent(&self, event: &str) -> Option<bool> {
        let name = event.strip_suffix(EVENTS).unwrap_or(event);
        self.fields.get(&format!("{name}{EVENTS}"))?.as_bool()
    }

    /// The events that GitLab knows, and those that it is sent.
    fn events(&self, sent: bool) -> String {
        let events =
            self.fields.iter().filter_map(|(name, value)| Some((name.strip_suffix(EVENTS)?, value.as_bool()?)));
        let names: Vec<&str> = events.filter(|(_, is)| *is || !sent).map(|(name, _)| name).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    }
}

/// `gitlab/webhooks`.
pub(crate) async fn check(cx: Cx<GitLab>) -> Outcome {
    for (id, webhook) in
        cx.requiring("no webhook is required", |words| Wish::read(words, cx.settings()).ok()?.webhook())?
    {
        let mut judged = Judged::new(&cx, id);
        Box::pin(judge(&cx, &webhook, &mut judged)).await?;
        judged.record();
    }
    Ok(())
}

async fn judge(cx: &Cx<GitLab>, webhook: &Webhook<'_>, judged: &mut Judged<'_, GitLab>) -> Outcome {
    let (name, shown) = (webhook.project, bare(&webhook.address).to_string());
    let Some(hooks) = list(cx, name).await? else {
        let what = format!("that {name} has the webhook {shown}");
        judged.unproved(what, "the token may not look at webhooks", Some("the role maintainer"));
        return Ok(());
    };
    // Several may go there with different queries: one that works is enough.
    let found = hooks.iter().filter(|hook| hook.goes_to(&webhook.address)).max_by_key(|hook| hook.is_live());
    let Some(hook) = found else {
        judged.fails(missing(cx, name, &shown, &hooks));
        return Ok(());
    };
    let wrong = |code: &str, cause: Cause, message: String, remedy: &str| {
        finding(cx, code, cause, message, name, &shown, remedy)
    };
    if !hook.is_live() {
        let message = match (hook.alert_status.as_deref(), hook.disabled_until) {
            (Some("temporarily_disabled"), Some(until)) => {
                format!(
                    "GitLab sends nothing to the webhook {shown} of {name} until {until:.0}: too much of it failed."
                )
            }
            _ => format!("GitLab has disabled the webhook {shown} of {name}: too much that was sent to it failed."),
        };
        let remedy =
            "Mend what answers there, then send a test from the settings of the webhook: a good answer enables it.";
        judged.fails(wrong("webhook-disabled", Cause::DependencyUnfit, message, remedy));
    }
    let unknown: Vec<&str> =
        webhook.events.iter().map(String::as_str).filter(|one| hook.is_sent(one).is_none()).collect();
    if !unknown.is_empty() {
        let message = format!("This GitLab knows no such event of webhooks: {}.", unknown.join(", "));
        let detail = format!("It knows: {}.", hook.events(false));
        let finding = wrong("webhook-event-unknown", Cause::ConfigInvalid, message, "Correct `events`.");
        judged.fails(finding.detail(detail));
    }
    let wanting: Vec<&str> =
        webhook.events.iter().map(String::as_str).filter(|one| hook.is_sent(one) == Some(false)).collect();
    if !wanting.is_empty() {
        let message = format!("The webhook {shown} of {name} is not sent: {}.", wanting.join(", "));
        let remedy = "Tick these triggers in the settings of the webhook.";
        let finding = wrong("webhook-events", Cause::DependencyUnfit, message, remedy);
        judged.fails(finding.detail(format!("It is sent: {}.", hook.events(true))));
    }
    if !hook.enable_ssl_verification {
        let message = format!("GitLab does not verify who answers at the webhook {shown} of {name}.");
        let remedy = "Enable SSL verification in the settings of the webhook.";
        judged.warns(wrong("webhook-unverified", Cause::DependencyUnfit, message, remedy));
    }
    if judged.passes() {
        let why = "GitLab's list says that it sends there, and not what is answered";
        cx.not_proved(format!("that {shown} takes what GitLab sends"), why, None);
    }
    Ok(())
}

/// The webhooks of a project; none where the token may not look.
async fn list(cx: &Cx<GitLab>, name: &str) -> Result<Option<Vec<Hook>>, Stop> {
    let mut all = Vec::new();
    for page in 1..=MOST_PAGES {
        let query = format!("per_page={PAGE}&page={page}");
        let answer = api::get(cx, OPERATION, &["projects", name, "hooks"], Some(&query)).await?;
        let hooks: Vec<Hook> = match api::read(&answer) {
            Ok(hooks) => hooks,
            Err(stop) if stop.is_denied() => return Ok(None),
            Err(stop) => return Err(stop.map(|finding| finding.subject("project", name))),
        };
        let last = hooks.len() < PAGE;
        all.extend(hooks);
        if last {
            break;
        }
    }
    Ok(Some(all))
}

fn missing(cx: &Cx<GitLab>, name: &str, shown: &str, hooks: &[Hook]) -> Finding {
    let hosts = hooks.iter().filter_map(|hook| Url::parse(&hook.url).ok()?.host_str().map(str::to_owned));
    let hosts: Vec<String> = hosts.collect::<BTreeSet<_>>().into_iter().collect();
    let detail = match hosts.as_slice() {
        [] => "It has no webhook of its own; those of its groups are not looked at.".to_owned(),
        hosts => format!("Its own webhooks go to {}; those of its groups are not looked at.", hosts.join(", ")),
    };
    let message = format!("{name} has no webhook to {shown}.");
    let remedy = "Add the webhook in the settings of the project, or correct the address in the requirement.";
    finding(cx, "webhook-missing", Cause::DependencyMissing, message, name, shown, remedy).detail(detail)
}

fn finding(
    cx: &Cx<GitLab>,
    code: &str,
    cause: Cause,
    message: String,
    name: &str,
    shown: &str,
    remedy: &str,
) -> Finding {
    // What is wrong with each part of it has a cause of its own.
    let part = match code {
        "webhook-events" | "webhook-event-unknown" => "webhook events",
        "webhook-unverified" => "webhook certificate",
        _ => "webhook",
    };
    let mut finding = cx.finding(code, cause, message).subject(part, format!("{name} {shown}"));
    // The requirement is the reader's own.
    let who = (code != "webhook-event-unknown").then(|| format!("maintainer of {name}"));
    finding.remedies.push(Remedy { who, ..Remedy::new(remedy) });
    finding
}
