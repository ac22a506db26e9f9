//! `gcp/project`, `gcp/apis` and `gcp/billing`: the project, what is enabled in it, and who pays.

use std::collections::{BTreeMap, BTreeSet};

use lineman_sdk::prelude::*;

use crate::Gcp;
use crate::api::{self, Call, Service};
use crate::credential::Credential;
use crate::permissions::{self, api_disabled, list};
use crate::requires::Resource;
use crate::token::{Token, working};

/// How many APIs one question may name.
const AT_ONCE: usize = 30;

/// What is known of the project.
#[derive(Clone)]
pub(crate) struct Project {
    /// `projects/NUMBER`, or with the id where the number is not told.
    name: String,
}

#[derive(Deserialize)]
struct Shown {
    name: String,
    #[serde(default)]
    state: String,
}

fn id(cx: &Cx<Gcp>) -> Result<&str, Stop> {
    cx.settings().project_id.as_deref().ok_or_else(|| Stop::not_applicable("no `project_id` is configured"))
}

async fn project(cx: &Cx<Gcp>) -> Result<Project, Stop> {
    cx.session().project.get(Box::pin(find(cx))).await
}

/// `gcp/project`.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    id(&cx)?;
    project(&cx).await.map(drop)
}

async fn find(cx: &Cx<Gcp>) -> Result<Project, Stop> {
    let id = id(cx)?;
    let unnumbered = || Project { name: format!("projects/{id}") };
    let not_told = |why: &str, needs: &str| {
        cx.not_proved(format!("that the project {id} is active"), why, Some(needs));
        Ok(unnumbered())
    };
    let token = working(cx).await?;
    let path = ["v3", "projects", id];
    let call = Call::new(Service::ResourceManager, "cloudresourcemanager.projects.get", &path);
    let answer = call.ask(cx, &token.secret).await?;
    if answer.ok() {
        let Shown { name, state } = answer.json()?;
        return match state.as_str() {
            "DELETE_REQUESTED" | "DELETE_IN_PROGRESS" => Err(deleted(cx, id).evidence(answer.evidence()).into()),
            _ => Ok(Project { name }),
        };
    }
    let finding = api::refusal(&answer);
    match finding.cause {
        Cause::DependencyMissing => not_told(
            "the Resource Manager API is not enabled in the project of the credential",
            "cloudresourcemanager.googleapis.com",
        ),
        // What stands before every call says nothing of the project.
        _ if matches!(finding.code.as_str(), "gcp/quota-project-denied" | "gcp/scope-insufficient") => {
            Err(finding.into())
        }
        Cause::PermissionInsufficient | Cause::ResourceNotFound => {
            if has_to_do_with(cx, &token, id).await? {
                return not_told("the credential may not look at the project itself", "resourcemanager.projects.get");
            }
            Err(out_of_reach(cx, &token, id, finding).into())
        }
        _ => Err(finding.into()),
    }
}

/// Whether the credential has anything to do with a project that it may not look at: it lives
/// there, or has one of the permissions that are required.
async fn has_to_do_with(cx: &Cx<Gcp>, token: &Token, id: &str) -> Result<bool, Stop> {
    let home = match &cx.settings().impersonate {
        Some(account) => account
            .split_once('@')
            .and_then(|(_, domain)| domain.strip_suffix(".iam.gserviceaccount.com"))
            .map(str::to_owned),
        None => Credential::of(cx)?.home().map(str::to_owned),
    };
    if home.as_deref() == Some(id) {
        return Ok(true);
    }
    let required = cx.requires().iter().filter_map(|it| it.words.permissions(cx.settings()));
    let required = required.filter(|(on, _)| *on == Resource::Project(id.to_owned())).flat_map(|(_, wanted)| wanted);
    // Something that most roles hold, where nothing is required.
    let usual =
        ["resourcemanager.projects.get", "serviceusage.services.use", "storage.buckets.list", "compute.instances.list"];
    let probed: BTreeSet<&str> = required.chain(usual).collect();
    let probed: Vec<&str> = probed.into_iter().collect();
    match permissions::test(cx, token, &Resource::Project(id.to_owned()), &probed).await {
        Ok(tested) => Ok(tested.missing.len() + tested.unknown.len() < probed.len()),
        Err(stop) if is_hidden(&stop) => Ok(false),
        Err(stop) => Err(stop),
    }
}

/// Google answers alike for what is not there and for what may not be seen.
fn is_hidden(stop: &Stop) -> bool {
    stop.finding().is_some_and(|it| matches!(it.cause, Cause::PermissionInsufficient | Cause::ResourceNotFound))
}

fn out_of_reach(cx: &Cx<Gcp>, token: &Token, id: &str, refusal: Finding) -> Finding {
    let who = token.account.as_deref().unwrap_or("The credential");
    let message = format!("{who} has nothing to do with the project {id}, or there is no such project.");
    let mut finding = cx
        .finding("project-out-of-reach", Cause::CredentialWrongAccount, message)
        .confidence(Confidence::Likely)
        .or_else(Cause::ResourceNotFound, Confidence::Possible)
        .or_else(Cause::PermissionInsufficient, Confidence::Possible)
        .subject("project", id)
        .pointer("/settings/project_id");
    finding.evidence = refusal.evidence;
    finding
}

fn deleted(cx: &Cx<Gcp>, id: &str) -> Finding {
    let mut finding = cx
        .finding("project-deleted", Cause::ResourceNotFound, format!("The project {id} is being deleted."))
        .or_else(Cause::AccountSuspended, Confidence::Possible)
        .subject("project", id)
        .pointer("/settings/project_id");
    let argv = ["gcloud", "projects", "undelete", id].map(str::to_owned).to_vec();
    let who = Some("owner of the project".to_owned());
    finding.remedies.push(Remedy { argv, who, ..Remedy::new("Restore it within 30 days, or name another project.") });
    finding
}

#[derive(Deserialize)]
struct Services {
    #[serde(default)]
    services: Vec<ServiceShown>,
}

#[derive(Deserialize)]
struct ServiceShown {
    /// `projects/NUMBER/services/NAME`
    name: String,
    #[serde(default)]
    state: String,
}

/// `gcp/apis`: those that are required, and those of whatever else is.
pub(crate) async fn apis(cx: Cx<Gcp>) -> Outcome {
    let id = id(&cx)?;
    // Each with the requirements that name it; those that something else implies have none.
    let mut wanted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for requirement in cx.requires() {
        for api in requirement.words.apis(cx.settings()) {
            let named = requirement.words.named_api().as_ref() == Some(&api);
            wanted.entry(api).or_default().extend(named.then_some(requirement.id.as_str()));
        }
    }
    if wanted.is_empty() {
        return Err(Stop::not_applicable("no API is required"));
    }
    let (project, token) = (project(&cx).await?, working(&cx).await?);
    let mut disabled = Vec::new();
    let names: Vec<String> = wanted.keys().map(|api| format!("{}/services/{api}", project.name)).collect();
    for some in names.chunks(AT_ONCE) {
        let number = project.name.trim_start_matches("projects/");
        let path = ["v1", "projects", number, "services:batchGet"];
        let call = Call::new(Service::Usage, "serviceusage.services.batchGet", &path);
        let answer = call.query(some.iter().map(|name| ("names", name.as_str()))).ask(&cx, &token.secret).await?;
        let shown: Services = match api::read(&answer) {
            Ok(shown) => shown,
            Err(stop) if told_elsewhere(&stop) => {
                let why = "the credential may not ask which APIs are enabled";
                let what = format!("that {} are enabled", list(&wanted.keys().cloned().collect::<Vec<_>>()));
                cx.not_proved(what, why, Some("serviceusage.services.get"));
                wanted.values().flatten().for_each(|id| cx.requirement(id, Status::Unknown));
                return Ok(());
            }
            Err(stop) => return Err(stop),
        };
        let on = |name: &String| {
            shown
                .services
                .iter()
                .any(|it| it.name.rsplit('/').next() == name.rsplit('/').next() && it.state == "ENABLED")
        };
        disabled
            .extend(some.iter().filter(|name| !on(name)).filter_map(|name| name.rsplit('/').next().map(str::to_owned)));
    }
    for (api, ids) in &wanted {
        let status = if disabled.contains(api) { Status::Fail } else { Status::Pass };
        ids.iter().for_each(|id| cx.requirement(id, status));
    }
    if disabled.is_empty() {
        return Ok(());
    }
    let (verb, what) = if disabled.len() == 1 { ("is", "it") } else { ("are", "them") };
    let message = format!("{} {verb} not enabled in the project {id}.", list(&disabled));
    let mut finding =
        disabled.iter().fold(cx.finding("api-not-enabled", Cause::DependencyMissing, message), |finding, api| {
            finding.subject("API", api)
        });
    let words = ["gcloud", "services", "enable"].map(str::to_owned).into_iter();
    let argv = words.chain(disabled).chain(["--project".to_owned(), id.to_owned()]).collect();
    let who = Some("administrator of the project".to_owned());
    finding.remedies.push(Remedy { argv, who, ..Remedy::new(format!("Enable {what}, and wait some minutes.")) });
    Err(finding.into())
}

/// Whether all that is wrong is that the question itself is not allowed.
fn told_elsewhere(stop: &Stop) -> bool {
    let denied = stop.finding().is_some_and(|finding| finding.cause == Cause::PermissionInsufficient);
    denied || api_disabled(stop)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Billing {
    #[serde(default)]
    billing_enabled: bool,
    #[serde(default)]
    billing_account_name: String,
}

/// `gcp/billing`.
pub(crate) async fn billing(cx: Cx<Gcp>) -> Outcome {
    let id = id(&cx)?;
    let token = working(&cx).await?;
    let path = ["v1", "projects", id, "billingInfo"];
    let call = Call::new(Service::Billing, "cloudbilling.projects.getBillingInfo", &path);
    let answer = call.ask(&cx, &token.secret).await?;
    let billing: Billing = match api::read(&answer) {
        Ok(billing) => billing,
        Err(stop) if told_elsewhere(&stop) => {
            let why = "the credential may not ask, or the Cloud Billing API is not enabled";
            cx.not_proved(format!("that somebody pays for {id}"), why, Some("resourcemanager.projects.get"));
            return Ok(());
        }
        Err(stop) => return Err(stop),
    };
    if billing.billing_enabled {
        return Ok(());
    }
    let (cause, message, remedy) = match billing.billing_account_name.as_str() {
        "" => (
            Cause::DependencyMissing,
            format!("The project {id} has no billing account."),
            "Link the project to a billing account.",
        ),
        _ => (
            Cause::AccountSuspended,
            format!("The billing account of the project {id} is closed or suspended."),
            "Have the billing account opened again, or link another one.",
        ),
    };
    let mut finding = cx.finding("billing-disabled", cause, message).subject("project", id).evidence(answer.evidence());
    let who = Some("administrator of the billing account".to_owned());
    finding.remedies.push(Remedy { who, ..Remedy::new(remedy) });
    Err(finding.into())
}
