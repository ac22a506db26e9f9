//! Lineman plugin: Kubernetes.
//!
//! Walks from the kubeconfig to a list of pods: which cluster and user does the context name, are
//! its files there and its certificates and tokens still good, does something answer and is it an
//! API server, who does the server take the credential for, may it do what the platform means to
//! do, are the resources and namespaces there, do quotas leave room, is the version one that is still mended.
//!
//! Speaks the API over the SDK's HTTP client, so that what is contacted is what was walked. The
//! credential is shown to nothing that has not answered as an API server, and a program that a
//! kubeconfig names is run only where a setting grants it. Nothing is written: reviews are answered
//! and not stored, and objects are asked for by their metadata alone.

#![forbid(unsafe_code)]

mod access;
mod api;
mod config;
mod discovery;
mod exec;
mod identity;
mod kubeconfig;
mod login;
mod permissions;
mod quantity;
mod quota;
mod reach;
mod read;
mod requirement;
#[cfg(test)]
mod tests;
mod token;
mod version;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lineman_sdk::prelude::*;
use lineman_sdk::{Once, Transport, Walk};

use crate::access::Access;
use crate::discovery::Group;
use crate::identity::Identity;
use crate::login::Login;
use crate::requirement::Requirement;
use crate::version::Version;

/// `[integration.NAME.settings]` of a Kubernetes integration.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The path of a kubeconfig; or give its content as the secret `kubeconfig`, or `server`.
    #[schemars(extend("format" = "path"))]
    kubeconfig: Option<String>,
    /// The context of the kubeconfig; its current one unless set.
    context: Option<String>,
    /// The address of the API server, in place of a kubeconfig.
    #[schemars(example = "https://10.0.0.1:6443")]
    server: Option<String>,
    /// The path of the authorities of `server`, in PEM.
    #[schemars(extend("format" = "path"))]
    ca: Option<String>,
    /// The namespace that the platform works in; the one of the context unless set.
    namespace: Option<String>,
    /// The user that the credential must belong to, as the API server names it:
    /// `system:serviceaccount:ci:deployer`.
    user: Option<String>,
    /// The path of the program that the kubeconfig may run to log in, such as
    /// `/usr/local/bin/aws`: the grant without which it is not run.
    #[schemars(extend("format" = "path"))]
    exec_program: Option<String>,
    /// The version of kubectl, or of the client library, that the platform uses: `1.31`.
    kubectl: Option<String>,
    /// The oldest version of Kubernetes that the platform works with: `1.28`. Unless set, a version
    /// whose support has ended is worth a warning.
    min_version: Option<String>,
}

/// `[integration.NAME.secrets]` of a Kubernetes integration.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// The content of a kubeconfig.
    kubeconfig: Option<Secret>,
    /// A bearer token; takes the place of the kubeconfig's user.
    token: Option<Secret>,
    /// A client certificate in PEM; takes the place of the kubeconfig's user.
    client_certificate: Option<Secret>,
    /// Its private key in PEM.
    client_key: Option<Secret>,
}

/// What the checks of one integration share: each is obtained once.
#[derive(Default)]
struct Session {
    access: Once<Arc<Access>>,
    walk: Once<Arc<Walk>>,
    version: Once<Option<Version>>,
    login: Once<Login>,
    identity: Once<Identity>,
    groups: Mutex<BTreeMap<String, Arc<Once<Group>>>>,
}

struct Kubernetes;

impl Provider for Kubernetes {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = Requirement;
    type Session = Session;

    fn about() -> About {
        let about = About::new("kubernetes", "Kubernetes", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"))
            .service("api", "The API server")
            .service("status", "The public feed of the incidents of whoever runs the cluster")
            .host("{server}");
        // What programs that log in read; nothing of it is open unless granted.
        let wanted = ["~/.kube", "~/.minikube", "~/.aws", "~/.azure", "~/.config/gcloud"];
        let about = wanted.into_iter().fold(about, About::path);
        ["HOME", "PATH", "AWS_PROFILE", "AWS_REGION", "CLOUDSDK_CONFIG"].into_iter().fold(about, About::environment)
    }

    fn transport(settings: &Settings, secrets: &Secrets, way: &mut Transport) -> Result<(), Box<Finding>> {
        // What is wrong with them is told by `kubernetes/config`, all at once.
        if let Ok(access) = access::resolve(settings, secrets) {
            access.lead(way)?;
        }
        Ok(())
    }

    fn checks() -> Vec<Check<Kubernetes>> {
        let self_access = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        vec![
            Check::new("config", Level::Config, "The kubeconfig is whole and its credential in date", config::check),
            Check::new("reach", Level::Reach, "The API server answers", reach::check).needs(["config"]),
            Check::new("certificate", Level::Reach, "The API server's certificate lasts", reach::certificate)
                .needs(["reach"])
                .optional(),
            Check::new("clock", Level::Reach, "The clock agrees with the API server's", reach::clock)
                .needs(["reach"])
                .optional(),
            Check::new("api", Level::Reach, "What answers is a Kubernetes API server", version::api)
                .needs(["reach"])
                .calls("GET /version", None),
            Check::new("identity", Level::Identity, "The API server accepts the credential", identity::check)
                .needs(["api"])
                .calls("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", None)
                .calls(self_access, None)
                .calls("POST /apis/authentication.k8s.io/v1/tokenreviews", "create tokenreviews, where granted"),
            Check::new("permissions", Level::Access, "The credential may do what is required", permissions::check)
                .needs(["identity"])
                .calls(self_access, None),
            Check::new("resources", Level::Dependency, "The required kinds of resources exist", discovery::check)
                .needs(["identity"])
                .calls("GET /api/v1", None)
                .calls("GET /apis/{group}/{version}", None),
            Check::new("namespace", Level::Dependency, "The namespaces exist and are not ending", read::namespaces)
                .needs(["identity"])
                .calls("GET /api/v1/namespaces/{name}", "get namespaces"),
            Check::new(
                "quota",
                Level::Dependency,
                "The namespaces' quotas leave the room that is required",
                quota::check,
            )
            .needs(["namespace"])
            .calls("GET /api/v1/namespaces/{namespace}/resourcequotas", "list resourcequotas"),
            Check::new("version", Level::Dependency, "The version is supported and fits the client's", version::check)
                .needs(["identity"])
                .calls("GET /version", None),
            Check::new("read", Level::Operation, "What may be read can be read", read::check)
                .needs(["permissions", "resources"])
                .calls("GET /api/v1/namespaces/{namespace}/{resource}", "list of each resource required to be read"),
            Check::new("status", Level::Reach, "No failing component and no incident explains it", reach::status)
                .explains()
                .calls("GET /readyz", None),
        ]
    }
}

lineman_sdk::export!(Kubernetes);
