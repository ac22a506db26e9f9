//! `gcp/permissions`: which permissions the credential has, by asking Google for all of them at
//! once.
//!
//! `testIamPermissions` needs no permission itself, and answers from what IAM grants: not from
//! perimeters of VPC Service Controls, nor from policies of the organisation.

use std::collections::BTreeMap;

use lineman_sdk::Answer;
use lineman_sdk::prelude::*;
use serde_json::json;

use crate::api::{self, Call, Service};
use crate::requirement::{Resource, Wish};
use crate::token::{Token, working};
use crate::{Gcp, bucket};

/// How many permissions one question may name.
const AT_ONCE: usize = 100;

const DOC: (&str, &str) = ("Test permissions", "https://cloud.google.com/iam/docs/testing-permissions");

#[derive(Deserialize)]
struct Granted {
    #[serde(default)]
    permissions: Vec<String>,
}

/// What was found out about the permissions on one resource.
#[derive(Default)]
pub(crate) struct Tested {
    pub(crate) missing: Vec<String>,
    /// Those that the resource does not know.
    pub(crate) unknown: Vec<String>,
}

/// `gcp/permissions`.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    let mut wanted: BTreeMap<Resource, Vec<(String, String)>> = BTreeMap::new();
    for requirement in cx.requires() {
        // One that cannot be read is told by `gcp/config`.
        if let Ok(Wish::Permission { permission, on }) = Wish::read(requirement, cx.settings()) {
            wanted.entry(on).or_default().push((permission, requirement.id.clone()));
        }
    }
    if wanted.is_empty() {
        return Err(Stop::not_applicable("no permission is required"));
    }
    let token = working(&cx).await?;
    for (resource, wishes) in wanted {
        let permissions: Vec<&str> = wishes.iter().map(|(permission, _)| permission.as_str()).collect();
        let tested = match test(&cx, &token, &resource, &permissions).await {
            Ok(tested) => tested,
            Err(stop) if api_disabled(&stop) => {
                let why = "the API that tells is not enabled in the project of the credential";
                for (permission, id) in &wishes {
                    cx.not_proved(
                        format!("{permission} on {resource}"),
                        why,
                        Some("cloudresourcemanager.googleapis.com"),
                    );
                    cx.requirement(id, Status::Unknown);
                }
                continue;
            }
            Err(stop) => return Err(stop),
        };
        for (permission, id) in &wishes {
            let bad = tested.missing.contains(permission) || tested.unknown.contains(permission);
            cx.requirement(id, if bad { Status::Fail } else { Status::Pass });
        }
        if !tested.missing.is_empty() {
            cx.report(missing(&cx, &token, &resource, &tested.missing));
        }
        if !tested.unknown.is_empty() {
            let message = format!("{} cannot be granted on {resource}.", list(&tested.unknown));
            cx.report(
                cx.finding("permission-unknown", Cause::ConfigInvalid, message)
                    .pointer("/requires")
                    .remedy("Correct the requirement: the name, or the `resource` that it is on.")
                    .doc("IAM permissions reference", "https://cloud.google.com/iam/docs/permissions-reference"),
            );
        }
    }
    let why = "it is not what IAM grants, and only a real call meets it";
    cx.not_proved("that no perimeter and no policy of the organisation is in the way", why, None);
    Ok(())
}

/// Whether the API that was asked is switched off: that is nothing about what was asked.
pub(crate) fn api_disabled(stop: &Stop) -> bool {
    stop.finding().is_some_and(|finding| finding.cause == Cause::DependencyMissing)
}

/// Which of some permissions the credential lacks on a resource.
pub(crate) async fn test(
    cx: &Cx<Gcp>,
    token: &Token,
    resource: &Resource,
    permissions: &[&str],
) -> Result<Tested, Stop> {
    let mut tested = Tested::default();
    for some in permissions.chunks(AT_ONCE) {
        let mut some = some.to_vec();
        let granted: Granted = loop {
            let answer = ask(cx, token, resource, &some).await?;
            // One that the resource does not know spoils the question; what is left is asked again.
            let said = if answer.status() == 400 { api::message(&answer).unwrap_or_default() } else { String::new() };
            let (unknown, known): (Vec<&str>, Vec<&str>) = some.iter().partition(|name| said.contains(**name));
            if unknown.is_empty() {
                break api::read(&answer)
                    .map_err(|stop| stop.map(|finding| finding.subject("resource", resource.to_string())))?;
            }
            tested.unknown.extend(unknown.into_iter().map(str::to_owned));
            if known.is_empty() {
                break Granted { permissions: Vec::new() };
            }
            some = known;
        };
        let lacking = some.iter().filter(|name| !granted.permissions.iter().any(|has| has == *name));
        let lacking = lacking.filter(|name| !tested.unknown.iter().any(|unknown| unknown == *name));
        tested.missing.extend(lacking.map(|name| (*name).to_owned()));
    }
    Ok(tested)
}

async fn ask(cx: &Cx<Gcp>, token: &Token, resource: &Resource, permissions: &[&str]) -> Result<Answer, Stop> {
    match resource {
        Resource::Project(id) => {
            let last = format!("{id}:testIamPermissions");
            let path = ["v3", "projects", &last];
            let operation = "cloudresourcemanager.projects.testIamPermissions";
            let call = Call::new(Service::ResourceManager, operation, &path);
            call.body(json!({ "permissions": permissions })).ask(cx, &token.secret).await
        }
        Resource::Bucket(name) => {
            let path = bucket::path(name, &["iam", "testPermissions"]);
            let call = Call::new(Service::Storage, "storage.buckets.testIamPermissions", &path);
            call.query(permissions.iter().map(|name| ("permissions", *name))).ask(cx, &token.secret).await
        }
    }
}

/// The finding that names all that is missing on a resource.
pub(crate) fn missing(cx: &Cx<Gcp>, token: &Token, resource: &Resource, missing: &[String]) -> Finding {
    let who = token.account.as_deref().unwrap_or("The credential");
    let message = format!("{who} lacks {} on {resource}.", list(missing));
    let mut finding = cx.finding("permission-missing", Cause::PermissionInsufficient, message);
    for permission in missing {
        finding = finding.subject("permission", permission);
    }
    let member = token.account.as_deref().map_or("MEMBER".to_owned(), |account| format!("serviceAccount:{account}"));
    let (kind, name) = match resource {
        Resource::Project(id) => (["projects"].as_slice(), id.clone()),
        Resource::Bucket(name) => (["storage", "buckets"].as_slice(), format!("gs://{name}")),
    };
    let (member, words) = (format!("--member={member}"), ["add-iam-policy-binding"]);
    let argv = [&["gcloud"], kind, &words].concat().into_iter().map(str::to_owned);
    let argv = argv.chain([name, member, "--role=ROLE".to_owned()]).collect();
    let text = format!("Grant a role that holds {}.", if missing.len() == 1 { "it" } else { "them" });
    let who = Some(format!("administrator of {resource}"));
    finding.remedies.push(Remedy { argv, who, ..Remedy::new(text) });
    finding.doc(DOC.0, DOC.1)
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
