//! `gcp/permissions`: which permissions the credential has, by asking Google for all of them at
//! once.
//!
//! `testIamPermissions` needs no permission itself, and answers from what IAM grants: not from
//! perimeters of VPC Service Controls, nor from policies of the organisation.

use std::collections::{BTreeMap, BTreeSet};

use lineman_sdk::Answer;
use lineman_sdk::prelude::*;
use serde_json::json;

use crate::api::{self, Call, Service};
use crate::requires::{Requirement, Resource};
use crate::token::{Token, working};
use crate::{Gcp, bucket, role};

/// How many permissions one question may name.
const AT_ONCE: usize = 100;

/// How many permissions a sentence names before it counts the rest: the role below it has them all.
const NAMED: usize = 12;

/// What a question about permissions is answered with.
#[derive(Deserialize)]
pub(crate) struct Granted {
    #[serde(default)]
    pub(crate) permissions: Vec<String>,
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
    let wanted = |words| Requirement::permissions(words, cx.settings());
    let required = cx.requiring("no permission is required", wanted)?;
    let mut by_resource: BTreeMap<&Resource, BTreeSet<&str>> = BTreeMap::new();
    for (_, (resource, permissions)) in &required {
        by_resource.entry(resource).or_default().extend(permissions);
    }
    let token = working(&cx).await?;
    for (resource, permissions) in by_resource {
        let wishes: Vec<(&str, &BTreeSet<&str>)> =
            required.iter().filter(|(_, (on, _))| on == resource).map(|(id, (_, wanted))| (*id, wanted)).collect();
        let permissions: Vec<&str> = permissions.into_iter().collect();
        let tested = match test(&cx, &token, resource, &permissions).await {
            Ok(tested) => tested,
            Err(stop) if api_disabled(&stop) => {
                let why = "the API that tells is not enabled in the project of the credential";
                let needs = Some("cloudresourcemanager.googleapis.com");
                cx.not_proved(format!("{} on {resource}", named(&permissions)), why, needs);
                wishes.iter().for_each(|(id, _)| cx.requirement(id, Status::Unknown));
                continue;
            }
            Err(stop) => return Err(stop),
        };
        // What somebody wrote can be corrected; what a resource type takes is asked of those who can.
        let written: BTreeSet<&str> = cx.requires().iter().filter_map(|it| it.words.permission.as_deref()).collect();
        let (wrong, untold): (Vec<&str>, Vec<&str>) =
            tested.unknown.iter().map(String::as_str).partition(|name| written.contains(name));
        for (id, wanted) in &wishes {
            let has = |names: &[&str]| names.iter().any(|name| wanted.contains(name));
            let status = match tested.missing.iter().any(|name| wanted.contains(name.as_str())) || has(&wrong) {
                true => Status::Fail,
                false if has(&untold) => Status::Unknown,
                false => Status::Pass,
            };
            cx.requirement(id, status);
        }
        if !tested.missing.is_empty() {
            let finding = missing(&cx, &token, resource, &tested.missing);
            cx.report(finding.detail(by_requirement(&wishes, &tested.missing)));
        }
        if !wrong.is_empty() {
            let message = format!("{} cannot be granted on {resource}.", named(&wrong));
            cx.report(cx.finding("permission-unknown", Cause::ConfigInvalid, message).pointer("/requires"));
        }
        if !untold.is_empty() {
            cx.not_proved(format!("{} on {resource}", named(&untold)), "Google does not tell of them there", None);
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
    let names: Vec<&str> = missing.iter().map(String::as_str).collect();
    let message = format!("{who} lacks {} on {resource}.", named(&names));
    let mut finding = cx.finding("permission-missing", Cause::PermissionInsufficient, message);
    for permission in missing {
        finding = finding.subject("permission", permission);
    }
    finding.remedies = role::remedies(resource, cx.settings().project_id.as_deref(), token, missing);
    finding
}

/// What each requirement wants of these, a line for each.
fn by_requirement(wishes: &[(&str, &BTreeSet<&str>)], of: &[String]) -> String {
    let lines = wishes.iter().filter_map(|(id, wanted)| {
        let own: Vec<&str> = of.iter().map(String::as_str).filter(|name| wanted.contains(name)).collect();
        (!own.is_empty()).then(|| format!("{id}: {}", own.join(", ")))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Permissions in a sentence, which counts what would make it long.
fn named(names: &[&str]) -> String {
    match names.len().saturating_sub(NAMED) {
        0 | 1 => list(names),
        more => format!("{} and {more} more permissions", names[..NAMED].join(", ")),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
