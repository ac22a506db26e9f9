//! What stands in a kubeconfig, as far as it decides where the cluster is and who asks.
//!
//! The format is `k8s.io/client-go/tools/clientcmd/api/v1`; fields that are not known are passed
//! over, as kubectl does. It is YAML, or JSON, and hostile: it is cut off at a size, aliases have a
//! budget, and no message quotes a value of it.

use lineman_sdk::Secret;
use serde::Deserialize;

/// No honest kubeconfig is larger, bytes: Kubernetes' own objects are limited to 1.5 MiB.
pub(crate) const LARGEST: usize = 2 << 20;

/// A kubeconfig.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Kubeconfig {
    kind: Option<String>,
    #[serde(alias = "apiVersion")]
    api_version: Option<String>,
    current_context: Option<String>,
    clusters: Option<Vec<Named<Cluster>>>,
    contexts: Option<Vec<Named<Context>>>,
    users: Option<Vec<Named<User>>>,
}

/// An entry of one of the lists.
#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "context", alias = "user")]
    entry: Option<T>,
}

/// Which cluster, which user, which namespace.
#[derive(Deserialize)]
struct Context {
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    user: String,
    namespace: Option<String>,
}

/// Where a cluster is, and how it is known to be the right one.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Cluster {
    pub(crate) server: Option<String>,
    pub(crate) certificate_authority: Option<String>,
    pub(crate) certificate_authority_data: Option<String>,
    pub(crate) insecure_skip_tls_verify: Option<bool>,
    pub(crate) tls_server_name: Option<String>,
    pub(crate) proxy_url: Option<Secret>,
}

/// Who asks.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct User {
    pub(crate) token: Option<Secret>,
    #[serde(rename = "tokenFile")]
    pub(crate) token_file: Option<String>,
    pub(crate) client_certificate: Option<String>,
    pub(crate) client_certificate_data: Option<String>,
    pub(crate) client_key: Option<String>,
    pub(crate) client_key_data: Option<Secret>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) auth_provider: Option<AuthProvider>,
    pub(crate) exec: Option<Exec>,
    #[serde(rename = "as")]
    pub(crate) acting_as: Option<String>,
    pub(crate) as_groups: Option<Vec<String>>,
}

/// A way to log in that was built into clients until 1.25.
#[derive(Deserialize)]
pub(crate) struct AuthProvider {
    #[serde(default)]
    pub(crate) name: String,
}

/// A program that prints a credential.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exec {
    #[serde(default)]
    pub(crate) api_version: String,
    #[serde(default)]
    pub(crate) command: String,
    pub(crate) args: Option<Vec<String>>,
    pub(crate) env: Option<Vec<Variable>>,
    pub(crate) install_hint: Option<String>,
    #[serde(default)]
    pub(crate) provide_cluster_info: bool,
    pub(crate) interactive_mode: Option<String>,
}

/// A variable of its environment.
#[derive(Clone, Deserialize)]
pub(crate) struct Variable {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) value: Secret,
}

/// What a context comes to.
pub(crate) struct Selected {
    pub(crate) cluster: Cluster,
    pub(crate) user: User,
    pub(crate) namespace: Option<String>,
}

/// Why a kubeconfig leads nowhere: the code, the sentence, and what to do where the catalog cannot say it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) remedy: Option<String>,
}

fn unusable(code: &'static str, message: impl Into<String>, remedy: Option<String>) -> Unusable {
    Unusable { code, message: message.into(), remedy }
}

impl Kubeconfig {
    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Kubeconfig, Unusable> {
        let malformed = |what: &str| unusable("kubeconfig-malformed", format!("The kubeconfig {what}."), None);
        if text.len() > LARGEST {
            return Err(malformed("is larger than any that is honest"));
        }
        if text.trim().is_empty() {
            return Err(unusable("kubeconfig-empty", "The kubeconfig is empty.", None));
        }
        if text.starts_with("-----BEGIN") || text.starts_with("eyJ") {
            return Err(malformed("is none: it is a key or a token, which has a secret of its own"));
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_events: 100_000, max_nodes: 50_000, max_documents: 1 },
            alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        };
        let read: Kubeconfig = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            // The error itself may quote what it could not read.
            let at = error.location().filter(|at| at.line() > 0);
            match at {
                Some(at) => malformed(&format!("cannot be read at line {}, column {}", at.line(), at.column())),
                None => malformed("cannot be read"),
            }
        })?;
        match read.kind.as_deref() {
            None | Some("" | "Config") => {}
            Some(_) => return Err(malformed("is of another kind: `kind` is not `Config`")),
        }
        match read.api_version.as_deref() {
            None | Some("" | "v1") => Ok(read),
            Some(_) => Err(malformed("is of a version that is not known: `apiVersion` is not `v1`")),
        }
    }

    /// What a context comes to: the one that is asked for, else the current one.
    pub(crate) fn select(self, asked: Option<&str>) -> Result<Selected, Unusable> {
        let current = self.current_context.as_deref().filter(|name| !name.is_empty());
        let Some(name) = asked.or(current) else {
            return Err(unusable(
                "context-unset",
                "The kubeconfig has no current context, and `context` is not set.",
                Some(format!("Set `context`{}.", one_of(self.contexts.as_deref()))),
            ));
        };
        let there = one_of(self.contexts.as_deref());
        let Some(context) = find(self.contexts, name) else {
            return Err(unusable(
                "context-missing",
                format!("The kubeconfig has no context `{name}`."),
                Some(match asked {
                    Some(_) => format!("Correct `context`{there}."),
                    None => format!("Correct `current-context` in the kubeconfig, or set `context`{there}."),
                }),
            ));
        };
        let dangling = |code, kind: &str, missing: &str, there: String| {
            unusable(
                code,
                format!("The context `{name}` names the {kind} `{missing}`, which the kubeconfig has not."),
                Some(format!("Add the {kind} to the kubeconfig, or correct the context{there}.")),
            )
        };
        let there = one_of(self.clusters.as_deref());
        let Some(cluster) = find(self.clusters, &context.cluster) else {
            return Err(dangling("cluster-missing", "cluster", &context.cluster, there));
        };
        let there = one_of(self.users.as_deref());
        let user = match find(self.users, &context.user) {
            Some(user) => user,
            // A context without a user asks as nobody.
            None if context.user.is_empty() => User::default(),
            None => return Err(dangling("user-missing", "user", &context.user, there)),
        };
        Ok(Selected { cluster, user, namespace: context.namespace.filter(|name| !name.is_empty()) })
    }
}

/// The first entry of a name, as clients take it.
fn find<T>(list: Option<Vec<Named<T>>>, name: &str) -> Option<T> {
    list?.into_iter().find(|named| named.name == name)?.entry
}

/// The names that there are, as the end of an instruction.
fn one_of<T>(list: Option<&[Named<T>]>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<String> = list.into_iter().flatten().take(SHOWN).map(|named| format!("`{}`", named.name)).collect();
    if names.is_empty() { String::new() } else { format!("; there is {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "
apiVersion: v1
kind: Config
preferences: {}
current-context: prod
clusters:
- name: prod
  cluster: {server: 'https://10.0.0.1:6443', certificate-authority: ca.crt}
contexts:
- name: prod
  context: {cluster: prod, user: ci, namespace: web}
- {name: nobody, context: {cluster: prod, user: ''}}
- {name: stray, context: {cluster: gone, user: ci}}
- {name: lost, context: {cluster: prod, user: gone}}
users:
- name: ci
  user: {token: 12345, client-key-data: aGk=}
";

    #[test]
    fn a_context_is_followed_to_its_cluster_and_user() {
        let check = |text: &str, context: Option<&str>, expect: Result<&str, &str>| {
            let selected = Kubeconfig::parse(text).and_then(|config| config.select(context));
            let seen = selected.as_ref().map(|one| one.cluster.server.as_deref().unwrap_or_default());
            assert_eq!(seen.map_err(|error| error.code), expect, "{context:?}");
        };
        check(WHOLE, None, Ok("https://10.0.0.1:6443"));
        check(WHOLE, Some("nobody"), Ok("https://10.0.0.1:6443"));
        check(WHOLE, Some("other"), Err("context-missing"));
        check(WHOLE, Some("stray"), Err("cluster-missing"));
        check(WHOLE, Some("lost"), Err("user-missing"));
        check(&WHOLE.replace("current-context: prod", ""), None, Err("context-unset"));
        let json = r#"{"apiVersion":"v1","kind":"Config","current-context":"a","contexts":[{"name":"a","context":{"cluster":"c","user":""}}],"clusters":[{"name":"c","cluster":{"server":"https://h"}}],"users":null}"#;
        check(json, None, Ok("https://h"));
        check("apiVersion: v1\nclusters: null\ncontexts: null\n", None, Err("context-unset"));
        let selected = Kubeconfig::parse(WHOLE).unwrap().select(None).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(selected.user.token.unwrap().expose(), "12345");
    }

    #[test]
    fn what_is_none_is_refused_by_its_place_and_never_quoted() {
        let check = |text: &str, expect: &str| {
            let error = Kubeconfig::parse(text).err().unwrap_or_else(|| panic!("{text} is read"));
            assert!(error.message.contains(expect), "{text}: {}", error.message);
            assert!(!error.message.contains("s3cret"), "{}", error.message);
        };
        check("  \n", "is empty");
        check("users:\n- name: a\n  user: [s3cret", "line");
        check("users: s3cret", "line 1");
        check("clusters: s3cret\n", "line 1");
        check("kind: Pod\napiVersion: v1\n", "another kind");
        check("apiVersion: v2\n", "apiVersion");
        check("eyJhbGciOiJSUzI1NiJ9.e30.x", "a token");
        check("just words", "cannot be read");
        check(&format!("a: {}", "x".repeat(LARGEST)), "larger");
        check(&"[".repeat(100_000), "cannot be read");
        let bomb = (1..30).fold("a0: &a0 [x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
            let before = format!("*a{}", n - 1);
            format!("{text}a{n}: &a{n} [{}]\n", [before.as_str(); 8].join(","))
        });
        check(&format!("{bomb}clusters: *a29\n"), "cannot be read");
    }
}
