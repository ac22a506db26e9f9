//! What the platform means to do, in the words of `[[integration.NAME.requires]]`.

use std::fmt;

use lineman_sdk::prelude::*;
use serde_json::{Value, json};

use crate::Settings;
use crate::quantity::Quantity;

/// An entry of `[[integration.NAME.requires]]` of a Kubernetes integration: verbs on a resource, a
/// resource that must have been defined, or room that quotas must leave.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// A verb, or several: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, …
    verb: Option<Verbs>,
    /// A resource, as kubectl knows it: `pods`, `pods/log`, `deployments.apps`; or a path of the API
    /// that is none, such as `/metrics`.
    resource: Option<String>,
    /// The resource's API group, where `resource` does not hold it; `""` is the core group.
    group: Option<String>,
    /// The namespace; the one of the settings or the context unless set, `*` for all of them.
    namespace: Option<String>,
    /// One object of that name; any unless set.
    name: Option<String>,
    /// A custom resource that must be defined: `certificates.cert-manager.io`.
    crd: Option<String>,
    /// What the quotas of a namespace must leave room for: `{ resource = "requests.cpu", need = "4" }`.
    quota: Option<Quota>,
}

/// What will be needed of a resource on top of what is in use.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Quota {
    /// The namespace; the one of the settings or the context unless set.
    namespace: Option<String>,
    /// The resource, as quotas name it: `requests.cpu`, `requests.memory`, `pods`,
    /// `count/deployments.apps`.
    resource: String,
    /// How much will be needed, as Kubernetes writes quantities: `"4"`, `"500m"`, `"8Gi"`; 1 unless
    /// set.
    need: Option<String>,
}

/// A verb, or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Verbs {
    One(String),
    Many(Vec<String>),
}

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resource<'a> {
    pub(crate) name: &'a str,
    pub(crate) subresource: Option<&'a str>,
    /// The API group; empty for the core group.
    pub(crate) group: &'a str,
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        self.subresource.map_or(Ok(()), |sub| write!(f, "/{sub}"))
    }
}

/// What a requirement asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish<'a> {
    /// Verbs on a resource, in a namespace or, without one, in all of the cluster.
    Act { verbs: Vec<&'a str>, resource: Resource<'a>, namespace: Option<&'a str>, name: Option<&'a str> },
    /// Verbs on a path that is no resource.
    Path { verbs: Vec<&'a str>, path: &'a str },
    /// A resource that must have been defined.
    Defined(Resource<'a>),
    /// Room that the quotas of a namespace must leave.
    Room(Need<'a>),
}

/// What will be needed of a resource in a namespace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Need<'a> {
    pub(crate) namespace: &'a str,
    /// The resource, as quotas name it.
    pub(crate) resource: &'a str,
    pub(crate) quantity: Quantity,
    /// The quantity as it is written.
    pub(crate) asked: &'a str,
}

impl fmt::Display for Need<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} more {}", self.asked, self.resource)
    }
}

impl<'a> Need<'a> {
    fn read(quota: &'a Quota, usual: &'a str) -> Result<Need<'a>, String> {
        let Quota { namespace, resource, need } = quota;
        let namespace = namespace.as_deref().unwrap_or(usual);
        if !is_word(namespace) {
            return Err(format!("names no namespace: `{namespace}`"));
        }
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'/' | b'_');
        if resource.is_empty() || resource.len() > 317 || !resource.bytes().all(known) {
            return Err(format!("names no resource of quotas: `{resource}`"));
        }
        let asked = need.as_deref().unwrap_or("1");
        match Quantity::read(asked).filter(|quantity| *quantity > Quantity::ZERO) {
            Some(quantity) => Ok(Need { namespace, resource, quantity, asked }),
            None => Err(format!("needs `{asked}`, which is no quantity: write it as `4`, `500m` or `8Gi`")),
        }
    }
}

/// Resources that come with Kubernetes, with their group, and whether they live in a namespace.
/// Source: `kubectl api-resources` of 1.34, and the API reference.
const BUILT_IN: &[(&str, &[&str], bool)] = &[
    (
        "",
        &[
            "bindings",
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "persistentvolumeclaims",
            "pods",
            "podtemplates",
            "replicationcontrollers",
            "resourcequotas",
            "secrets",
            "serviceaccounts",
            "services",
        ],
        true,
    ),
    ("", &["componentstatuses", "namespaces", "nodes", "persistentvolumes"], false),
    ("apps", &["controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"], true),
    ("batch", &["cronjobs", "jobs"], true),
    ("autoscaling", &["horizontalpodautoscalers"], true),
    ("policy", &["poddisruptionbudgets"], true),
    ("networking.k8s.io", &["ingresses", "networkpolicies"], true),
    ("networking.k8s.io", &["ingressclasses"], false),
    ("rbac.authorization.k8s.io", &["roles", "rolebindings"], true),
    ("rbac.authorization.k8s.io", &["clusterroles", "clusterrolebindings"], false),
    ("coordination.k8s.io", &["leases"], true),
    ("discovery.k8s.io", &["endpointslices"], true),
    ("storage.k8s.io", &["csinodes", "csidrivers", "storageclasses", "volumeattachments"], false),
    ("apiextensions.k8s.io", &["customresourcedefinitions"], false),
    ("apiregistration.k8s.io", &["apiservices"], false),
    ("scheduling.k8s.io", &["priorityclasses"], false),
    (
        "admissionregistration.k8s.io",
        &["mutatingwebhookconfigurations", "validatingwebhookconfigurations", "validatingadmissionpolicies"],
        false,
    ),
    ("certificates.k8s.io", &["certificatesigningrequests"], false),
];

/// Group and scope of a resource that comes with Kubernetes.
fn built_in(name: &str, group: Option<&str>) -> Option<(&'static str, bool)> {
    let known =
        BUILT_IN.iter().find(|(known, names, _)| names.contains(&name) && group.is_none_or(|group| group == *known));
    known.map(|(group, _, namespaced)| (*group, *namespaced))
}

impl<'a> Wish<'a> {
    /// Reads the words of a requirement; `context` is the namespace of the kubeconfig's context. An
    /// error is a clause that the requirement begins, and is told by `kubernetes/config`.
    pub(crate) fn read(
        words: &'a Requirement,
        settings: &'a Settings,
        context: Option<&'a str>,
    ) -> Result<Wish<'a>, String> {
        let usual = settings.namespace.as_deref().or(context).unwrap_or("default");
        if let Some(quota) = &words.quota {
            return match words.only_quota() {
                true => Need::read(quota, usual).map(Wish::Room),
                false => Err("is about a quota and something else: make two of it".to_owned()),
            };
        }
        let (verb, resource) = match (&words.verb, words.resource.as_deref(), words.crd.as_deref()) {
            (Some(verb), Some(resource), None) => (verb, resource),
            (None, None, Some(crd)) => {
                return match crd.split_once('.') {
                    Some((name, group)) if words.only_crd() && is_word(name) && is_word(group) => {
                        Ok(Wish::Defined(Resource { name, subresource: None, group }))
                    }
                    _ => Err("names no custom resource: write it as `certificates.cert-manager.io`".to_owned()),
                };
            }
            _ => return Err("needs `verb` and `resource`, or `crd` or `quota` alone".to_owned()),
        };
        let verbs: Vec<&str> = match verb {
            Verbs::One(verb) => vec![verb],
            Verbs::Many(verbs) => verbs.iter().map(String::as_str).collect(),
        };
        if verbs.is_empty() || verbs.iter().any(|verb| *verb != "*" && !is_word(verb)) {
            return Err("names no verb, such as `get`, `list` or `create`".to_owned());
        }
        if resource.starts_with('/') {
            return match (&words.group, &words.namespace, &words.name) {
                (None, None, None) => Ok(Wish::Path { verbs, path: resource }),
                _ => Err(format!("is about the path {resource}, which has no group, namespace or name")),
            };
        }
        let (full, subresource) = match resource.split_once('/') {
            Some((full, subresource)) => (full, Some(subresource)),
            None => (resource, None),
        };
        let (name, named) = match full.split_once('.') {
            Some((name, group)) => (name, Some(group)),
            None => (full, None),
        };
        if (name != "*" && !is_word(name)) || subresource.is_some_and(|sub| sub != "*" && !is_word(sub)) {
            return Err(format!(
                "names no resource: `{resource}`. Write it as `pods`, `pods/log` or `deployments.apps`"
            ));
        }
        let given = match (named, words.group.as_deref()) {
            (Some(named), Some(group)) if named != group => {
                return Err(format!("names two groups, `{named}` and `{group}`"));
            }
            (named, group) => named.or(group),
        };
        let known = built_in(name, given);
        let resource =
            Resource { name, subresource, group: given.or(known.map(|(group, _)| group)).unwrap_or_default() };
        let clusterwide = known.is_some_and(|(_, namespaced)| !namespaced);
        let namespace = match words.namespace.as_deref() {
            Some("*") => None,
            Some(named) if clusterwide => {
                return Err(format!("names the namespace `{named}`, and {resource} live in none"));
            }
            Some(named) => Some(named),
            None if clusterwide => None,
            None => Some(usual),
        };
        Ok(Wish::Act { verbs, resource, namespace, name: words.name.as_deref() })
    }

    /// The namespace that it is about.
    pub(crate) fn namespace(&self) -> Option<&'a str> {
        match self {
            Wish::Act { namespace, .. } => *namespace,
            Wish::Room(need) => Some(need.namespace),
            Wish::Path { .. } | Wish::Defined(_) => None,
        }
    }

    /// The resource that it is about.
    pub(crate) fn resource(&self) -> Option<Resource<'a>> {
        match self {
            Wish::Act { resource, .. } | Wish::Defined(resource) => Some(*resource),
            Wish::Path { .. } | Wish::Room(_) => None,
        }
    }

    /// The verbs that it takes.
    pub(crate) fn verbs(&self) -> &[&'a str] {
        match self {
            Wish::Act { verbs, .. } | Wish::Path { verbs, .. } => verbs,
            Wish::Defined(_) | Wish::Room(_) => &[],
        }
    }

    /// One verb of it, as a review asks (`SelfSubjectAccessReviewSpec`).
    pub(crate) fn review(&self, verb: &str) -> Value {
        let spec = match self {
            Wish::Act { resource, namespace, name, .. } => json!({ "resourceAttributes": {
                "verb": verb,
                "group": resource.group,
                "resource": resource.name,
                "subresource": resource.subresource.unwrap_or_default(),
                "namespace": namespace.unwrap_or_default(),
                "name": name.unwrap_or_default(),
            } }),
            Wish::Path { path, .. } => json!({ "nonResourceAttributes": { "verb": verb, "path": path } }),
            Wish::Defined(_) | Wish::Room(_) => json!({}),
        };
        json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec })
    }

    /// What it is about, after a verb: `pods in the namespace web`.
    pub(crate) fn object(&self) -> String {
        match self {
            Wish::Act { resource, namespace, name, .. } => {
                let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
                match namespace {
                    Some(namespace) => format!("{resource}{name} in the namespace {namespace}"),
                    None => format!("{resource}{name} in the whole cluster"),
                }
            }
            Wish::Path { path, .. } => (*path).to_owned(),
            Wish::Defined(resource) => resource.to_string(),
            Wish::Room(need) => format!("{need} in the namespace {}", need.namespace),
        }
    }
}

impl Requirement {
    fn only_crd(&self) -> bool {
        self.group.is_none() && self.namespace.is_none() && self.name.is_none()
    }

    fn only_quota(&self) -> bool {
        self.verb.is_none() && self.resource.is_none() && self.crd.is_none() && self.only_crd()
    }

    /// How to write what was meant.
    pub(crate) fn example(&self) -> &'static str {
        match self.quota {
            Some(_) => {
                "Write `quota = { resource = \"requests.cpu\", need = \"4\" }`, with `namespace` in it where it is not the usual one."
            }
            None => {
                "Write `verb = \"create\"` and `resource = \"deployments.apps\"`, with `namespace` where it is not the usual one."
            }
        }
    }
}

/// A name as the API has them: lower-case letters, digits, hyphens, dots.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_in_the_plugins_words() {
        let settings = Settings::default();
        let check = |words: &str, expect: Result<&str, &str>| {
            let requirement = serde_json::from_str(words).unwrap();
            let read = Wish::read(&requirement, &settings, Some("web"));
            let shown = read.as_ref().map(|wish| format!("{} {}", wish.verbs().join(","), wish.object()));
            match (shown, expect) {
                (Ok(shown), Ok(expect)) => assert_eq!(shown, expect, "{words}"),
                (Err(why), Err(expect)) => assert!(why.contains(expect), "{words}: {why}"),
                (read, _) => panic!("{words}: {read:?}"),
            }
        };
        check(r#"{"verb":"get","resource":"pods"}"#, Ok("get pods in the namespace web"));
        check(r#"{"verb":["get","list"],"resource":"pods/log"}"#, Ok("get,list pods/log in the namespace web"));
        check(r#"{"verb":"create","resource":"deployments"}"#, Ok("create deployments.apps in the namespace web"));
        check(
            r#"{"verb":"patch","resource":"deployments.apps/scale","namespace":"ci"}"#,
            Ok("patch deployments.apps/scale in the namespace ci"),
        );
        check(
            r#"{"verb":"get","resource":"certificates","group":"cert-manager.io","name":"tls"}"#,
            Ok("get certificates.cert-manager.io `tls` in the namespace web"),
        );
        check(r#"{"verb":"list","resource":"nodes"}"#, Ok("list nodes in the whole cluster"));
        check(r#"{"verb":"list","resource":"pods","namespace":"*"}"#, Ok("list pods in the whole cluster"));
        check(
            r#"{"verb":"list","resource":"events","group":"events.k8s.io"}"#,
            Ok("list events.events.k8s.io in the namespace web"),
        );
        check(r#"{"verb":"get","resource":"/metrics"}"#, Ok("get /metrics"));
        check(r#"{"crd":"certificates.cert-manager.io"}"#, Ok(" certificates.cert-manager.io"));
        check(
            r#"{"quota":{"resource":"requests.cpu","need":"500m"}}"#,
            Ok(" 500m more requests.cpu in the namespace web"),
        );
        check(
            r#"{"quota":{"resource":"count/deployments.apps","namespace":"ci"}}"#,
            Ok(" 1 more count/deployments.apps in the namespace ci"),
        );
        check(r#"{"quota":{"resource":"requests.cpu","need":"4 CPUs"}}"#, Err("no quantity"));
        check(r#"{"quota":{"resource":"pods","need":"-1"}}"#, Err("no quantity"));
        check(r#"{"quota":{"resource":"the CPU"}}"#, Err("no resource of quotas"));
        check(r#"{"quota":{"resource":"pods","namespace":"Web"}}"#, Err("no namespace"));
        check(r#"{"quota":{"resource":"pods"},"verb":"get"}"#, Err("something else"));
        check(r#"{"quota":{"resource":"pods"},"namespace":"ci"}"#, Err("something else"));
        check(r#"{"crd":"certificates"}"#, Err("no custom resource"));
        check(r#"{"verb":"get"}"#, Err("needs `verb` and `resource`"));
        check(r#"{"verb":"get","resource":"pods","crd":"a.b"}"#, Err("or `quota` alone"));
        check(r#"{"verb":"Get","resource":"pods"}"#, Err("names no verb"));
        check(r#"{"verb":[],"resource":"pods"}"#, Err("names no verb"));
        check(r#"{"verb":"get","resource":"Pod"}"#, Err("names no resource"));
        check(r#"{"verb":"get","resource":"nodes","namespace":"web"}"#, Err("live in none"));
        check(r#"{"verb":"get","resource":"a.b","group":"c"}"#, Err("two groups"));
        check(r#"{"verb":"get","resource":"/x","name":"y"}"#, Err("has no group"));
    }
}
