//! `kubernetes/namespace` and `kubernetes/read`: whether the namespaces are there, and a real read of
//! what may be read. Objects are asked for by their metadata alone, one at most.

use std::collections::BTreeSet;

use lineman_sdk::prelude::*;
use serde_json::Value;

use crate::access::access;
use crate::api::{self, METADATA, METADATA_LIST};
use crate::identity::identity;
use crate::requirement::Wish;
use crate::{Kubernetes, discovery, permissions};

/// `kubernetes/namespace`.
pub(crate) async fn namespaces(cx: Cx<Kubernetes>) -> Outcome {
    identity(&cx).await?;
    let access = access(&cx).await?;
    let wishes =
        cx.requires().iter().filter_map(|one| Wish::read(&one.words, cx.settings(), access.namespace.as_deref()).ok());
    let own = cx.settings().namespace.as_deref().or(access.namespace.as_deref());
    let names: BTreeSet<&str> = wishes.filter_map(|wish| wish.namespace()).chain(own).collect();
    if names.is_empty() {
        return Err(Stop::not_applicable("no namespace is named"));
    }
    for name in names {
        let path = ["api", "v1", "namespaces", name];
        let answer = api::get(&cx, "GET /api/v1/namespaces/{name}", &path, None, "application/json").await?;
        match answer.status() {
            404 if api::Status::of(&answer).is_some() => {
                let message = format!("The namespace {name} does not exist.");
                cx.report(
                    cx.finding("namespace-missing", Cause::ResourceNotFound, message)
                        .subject("namespace", name)
                        .evidence(answer.evidence())
                        .command(
                            "Make it, or correct the name; the context may be that of another cluster.",
                            ["kubectl", "create", "namespace", name],
                        ),
                );
            }
            403 => cx.not_proved(
                format!("that the namespace {name} exists"),
                "the credential may not look at it",
                Some("get namespaces"),
            ),
            _ => {
                let namespace: Value = api::read(&answer)?;
                if namespace.pointer("/status/phase").and_then(Value::as_str) == Some("Terminating") {
                    let message = format!("The namespace {name} is being deleted: nothing can be made in it.");
                    cx.report(
                        cx.finding("namespace-ending", Cause::ResourceConflict, message)
                            .subject("namespace", name)
                            .remedy("Wait until it is gone and make it again; look at its finalizers if it stays."),
                    );
                }
            }
        }
    }
    Ok(())
}

/// `kubernetes/read`.
pub(crate) async fn check(cx: Cx<Kubernetes>) -> Outcome {
    identity(&cx).await?;
    let access = access(&cx).await?;
    let mut read = false;
    for requirement in cx.requires() {
        let Ok(wish) = Wish::read(&requirement.words, cx.settings(), access.namespace.as_deref()) else { continue };
        let Wish::Act { verbs, resource, namespace, name } = &wish else { continue };
        // Objects of subresources are not of this kind; `*` is none.
        if resource.subresource.is_some() || resource.name == "*" || resource.group == "*" {
            continue;
        }
        let (verb, accept) = match name {
            Some(_) => ("get", METADATA),
            None => ("list", METADATA_LIST),
        };
        if !verbs.iter().any(|has| [verb, "*"].contains(has)) || !permissions::allowed(&cx, &wish, verb).await? {
            continue;
        }
        let group = discovery::group(&cx, resource.group).await?;
        let (Some(version), true) = (&group.version, group.resources.contains_key(resource.name)) else { continue };
        let mut path =
            if resource.group.is_empty() { vec!["api", "v1"] } else { vec!["apis", resource.group, version] };
        path.extend(namespace.iter().flat_map(|namespace| ["namespaces", *namespace]));
        path.push(resource.name);
        path.extend(*name);
        let query = name.is_none().then_some("limit=1");
        let operation = format!("{verb} {resource}");
        let answer = api::get(&cx, &operation, &path, query, accept).await?;
        read = true;
        if name.is_some() && answer.status() == 404 {
            let message = format!("There is no {}.", wish.object());
            cx.report(
                cx.finding("object-missing", Cause::ResourceNotFound, message)
                    .subject("object", wish.object())
                    .evidence(answer.evidence()),
            );
            continue;
        }
        api::read::<Value>(&answer)?;
    }
    if !read {
        // What everybody who is logged in may read.
        let answer = api::get(&cx, "GET /apis", &["apis"], None, "application/json").await?;
        if answer.status() == 403 {
            cx.not_proved("that anything can be read", "no requirement lists or gets anything", None);
            return Ok(());
        }
        api::read::<Value>(&answer)?;
    }
    Ok(())
}
