//! `kubernetes/resources`: whether the kinds of resources that are required exist. A permission says
//! nothing of that: whoever may do everything may also do it to what is not there.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use lineman_sdk::Judged;
use lineman_sdk::Once;
use lineman_sdk::prelude::*;

use crate::access::access;
use crate::identity::identity;
use crate::requirement::{Resource, Wish};
use crate::{Kubernetes, api};

/// What an API group has, in the version that the server prefers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// The version; none where the server has no such group.
    pub(crate) version: Option<String>,
    /// Its resources by name.
    pub(crate) resources: BTreeMap<String, Kind>,
}

/// A kind of resource, as the server has it (`meta/v1.APIResource`).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Kind {
    name: String,
    #[serde(default)]
    pub(crate) namespaced: bool,
    #[serde(default)]
    pub(crate) verbs: Vec<String>,
}

#[derive(Deserialize)]
struct Resources {
    #[serde(default)]
    resources: Vec<Kind>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroup {
    preferred_version: Option<Preferred>,
    #[serde(default)]
    versions: Vec<Preferred>,
}

#[derive(Clone, Deserialize)]
struct Preferred {
    version: String,
}

/// What a group has, once.
pub(crate) async fn group(cx: &Cx<Kubernetes>, name: &str) -> Result<Group, Stop> {
    let once = {
        let mut groups = cx.session().groups.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(groups.entry(name.to_owned()).or_default())
    };
    let once: Arc<Once<Group>> = once;
    once.get(Box::pin(discover(cx, name))).await
}

async fn discover(cx: &Cx<Kubernetes>, name: &str) -> Result<Group, Stop> {
    const JSON: &str = "application/json";
    let (version, answer) = if name.is_empty() {
        ("v1".to_owned(), api::get(cx, "GET /api/v1", &["api", "v1"], None, JSON).await?)
    } else {
        let answer = api::get(cx, "GET /apis/{group}", &["apis", name], None, JSON).await?;
        if answer.status() == 404 && api::Status::of(&answer).is_some() {
            return Ok(Group::default());
        }
        // An API server answers with plain text for a path that nothing has.
        if answer.status() == 404 && answer.text().trim() == "404 page not found" {
            return Ok(Group::default());
        }
        let ApiGroup { preferred_version, versions } = api::read(&answer)?;
        let Some(Preferred { version }) = preferred_version.or_else(|| versions.first().cloned()) else {
            return Ok(Group::default());
        };
        let path = ["apis", name, version.as_str()];
        let answer = api::get(cx, "GET /apis/{group}/{version}", &path, None, JSON).await?;
        (version, answer)
    };
    let Resources { resources } = api::read(&answer)?;
    let resources = resources.into_iter().map(|kind| (kind.name.clone(), kind)).collect();
    Ok(Group { version: Some(version), resources })
}

/// `kubernetes/resources`.
pub(crate) async fn check(cx: Cx<Kubernetes>) -> Outcome {
    identity(&cx).await?;
    let access = access(&cx).await?;
    let context = access.namespace.as_deref();
    let kind = |words| {
        let wish = Wish::read(words, cx.settings(), context).ok()?;
        let resource = wish.resource().filter(|resource| resource.name != "*" && resource.group != "*")?;
        Some((wish, resource))
    };
    for (id, (wish, resource)) in cx.requiring("no kind of resource is required", kind)? {
        let mut judged = Judged::new(&cx, id);
        let group = group(&cx, resource.group).await;
        let group = judged.seen(&format!("that {resource} exist"), "system:discovery", group)?;
        if let Some(fault) = group.and_then(|group| missing(&cx, &group, resource, &wish)) {
            judged.fails(fault);
        }
        // Of verbs on it, `kubernetes/permissions` tells more.
        if matches!(wish, Wish::Defined(_)) {
            judged.record();
        }
    }
    Ok(())
}

/// What is wrong with a resource that is required.
fn missing(cx: &Cx<Kubernetes>, group: &Group, resource: Resource<'_>, wish: &Wish<'_>) -> Option<Finding> {
    let path = match resource.subresource.filter(|sub| *sub != "*") {
        Some(sub) => format!("{}/{sub}", resource.name),
        None => resource.name.to_owned(),
    };
    let Some(kind) = group.resources.get(&path) else {
        let message = format!("The cluster has no resource type {resource}.");
        let finding = cx
            .finding("resource-type-missing", Cause::DependencyMissing, message)
            .subject("resource", resource.to_string());
        return Some(match (&group.version, resource.group) {
            (None, name) => finding.detail(format!("It has no API group {name} at all.")),
            (Some(version), name) => finding.detail(match name {
                "" => "The core group has none of that name.".to_owned(),
                name => format!("The group {name} is there in the version {version}, and has none of that name."),
            }),
        });
    };
    // Verbs such as `impersonate`, `bind` and `use` are for permissions alone.
    const OF_RESOURCES: [&str; 8] = ["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"];
    let unknown =
        wish.verbs().iter().find(|verb| OF_RESOURCES.contains(verb) && !kind.verbs.iter().any(|has| has == *verb));
    if let Some(verb) = unknown {
        let message = format!("Nobody can {verb} {resource}: the resource has no such verb.");
        return Some(
            cx.finding("verb-unknown", Cause::ConfigInvalid, message)
                .subject("resource", resource.to_string())
                .detail(format!("It has: {}.", kind.verbs.join(", "))),
        );
    }
    let scoped = wish.namespace().is_some() && !kind.namespaced && matches!(wish, Wish::Act { .. });
    scoped.then(|| {
        let message = format!("{resource} live in no namespace, and the requirement is about one.");
        cx.finding("resource-clusterwide", Cause::ConfigInvalid, message)
            .severity(Severity::Warn)
            .subject("resource", resource.to_string())
    })
}
