//! Calls of Google's REST APIs, and what a refusal is.

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Gcp;

/// A service that is called: each has a host of its own.
#[derive(Clone, Copy)]
pub(crate) enum Service {
    OAuth2,
    Sts,
    Certificates,
    Iam,
    IamCredentials,
    ResourceManager,
    Usage,
    Billing,
    Storage,
    Compute,
}

impl Service {
    pub(crate) const ALL: [Service; 10] = [
        Service::OAuth2,
        Service::Sts,
        Service::Certificates,
        Service::Iam,
        Service::IamCredentials,
        Service::ResourceManager,
        Service::Usage,
        Service::Billing,
        Service::Storage,
        Service::Compute,
    ];

    /// Its name under `connection.endpoints`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Certificates => "metadata-certificates",
            other => other.host(),
        }
    }

    /// Its host in every universe.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Service::OAuth2 => "oauth2",
            Service::Sts => "sts",
            Service::Certificates => "www",
            Service::Iam => "iam",
            Service::IamCredentials => "iamcredentials",
            Service::ResourceManager => "cloudresourcemanager",
            Service::Usage => "serviceusage",
            Service::Billing => "cloudbilling",
            Service::Storage => "storage",
            Service::Compute => "compute",
        }
    }

    pub(crate) fn about(self) -> &'static str {
        match self {
            Service::OAuth2 => "Exchanges keys for tokens",
            Service::Sts => "Exchanges tokens of outside identity providers",
            Service::Certificates => "Publishes the certificates of service accounts' keys",
            Service::Iam => "Identity and Access Management",
            Service::IamCredentials => "Gives tokens of other service accounts",
            Service::ResourceManager => "Projects, and who may do what in them",
            Service::Usage => "The APIs that a project has enabled",
            Service::Billing => "Who pays for a project",
            Service::Storage => "Cloud Storage",
            Service::Compute => "Compute Engine: networks and quotas",
        }
    }

    /// Where it is: what the connection says, else its host in the universe.
    pub(crate) fn base(self, cx: &Cx<Gcp>) -> Result<Url, Stop> {
        cx.endpoint(self.name(), &format!("https://{}.{}", self.host(), cx.settings().universe_domain))
    }

    /// The address of something in it; the segments of its path are encoded.
    pub(crate) fn address(self, cx: &Cx<Gcp>, path: &[&str]) -> Result<Url, Stop> {
        let mut url = self.base(cx)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Ok(url)
    }
}

/// One call. The operation is the method's id in Google's discovery documents.
pub(crate) struct Call<'a> {
    pub(crate) service: Service,
    pub(crate) operation: &'a str,
    pub(crate) path: &'a [&'a str],
    pub(crate) query: Vec<(&'a str, &'a str)>,
    /// Makes it a POST.
    pub(crate) body: Option<Value>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(service: Service, operation: &'a str, path: &'a [&'a str]) -> Call<'a> {
        Call { service, operation, path, query: Vec::new(), body: None }
    }

    pub(crate) fn body(self, body: Value) -> Call<'a> {
        Call { body: Some(body), ..self }
    }

    pub(crate) fn query(self, query: impl IntoIterator<Item = (&'a str, &'a str)>) -> Call<'a> {
        Call { query: query.into_iter().collect(), ..self }
    }

    /// Makes the call with a token.
    ///
    /// # Errors
    ///
    /// The finding for what failed on the way; an answer of whatever status is none.
    pub(crate) async fn ask(self, cx: &Cx<Gcp>, token: &Secret) -> Result<Answer, Stop> {
        let mut url = self.service.address(cx, self.path)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(self.query);
        }
        let http = cx.http()?;
        let request = match &self.body {
            Some(body) => http.post(url).json(body),
            None => http.get(url),
        };
        let request = match &cx.settings().quota_project {
            Some(project) => request.header("x-goog-user-project", project),
            None => request,
        };
        // Boxed, as what is awaited below: a check may have many of these futures inside its own.
        Box::pin(request.bearer(token).operation(self.operation).send()).await
    }
}

/// What came of looking for a thing.
pub(crate) enum Seen<T> {
    There(T),
    /// It is not there; with the refusal that says so.
    Missing(Box<Finding>),
    /// The credential may not look: why, and what would let it.
    Hidden(&'static str, String),
}

impl Call<'_> {
    /// Looks for a thing, which takes a permission.
    ///
    /// # Errors
    ///
    /// The finding for whatever else than the thing or the permission is in the way.
    pub(crate) async fn look<T: DeserializeOwned>(
        self,
        cx: &Cx<Gcp>,
        token: &Secret,
        permission: &str,
    ) -> Result<Seen<T>, Stop> {
        let service = self.service;
        let answer = self.ask(cx, token).await?;
        if answer.ok() {
            return answer.json().map(Seen::There);
        }
        let refusal = refusal(&answer);
        match refusal.cause {
            Cause::ResourceNotFound => Ok(Seen::Missing(Box::new(refusal))),
            Cause::PermissionInsufficient => Ok(Seen::Hidden("the credential may not look", permission.to_owned())),
            Cause::DependencyMissing => {
                let api = format!("{}.googleapis.com", service.host());
                Ok(Seen::Hidden("the API that tells is not enabled in the project of the credential", api))
            }
            _ => Err(refusal.into()),
        }
    }
}

/// Reads a good answer.
///
/// # Errors
///
/// What a refusal means, or that something else than Google answers.
pub(crate) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Stop> {
    if answer.ok() { answer.json() } else { Err(refusal(answer).into()) }
}

/// What a refusal means. One without Google's words is not Google's, whatever its status: a proxy,
/// a gateway or another service answers, and knows nothing of the credential.
pub(crate) fn refusal(answer: &Answer) -> Finding {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "error")]
        _error: Value,
    }
    let status = answer.status();
    let ours = serde_json::from_slice::<Said>(answer.bytes()).is_ok();
    if (400..=499).contains(&status) && status != 407 && status != 429 && !ours {
        return answer
            .recognised()
            .unwrap_or_else(|| answer.unexpected(&format!("a refusal that is not Google's ({status})")));
    }
    answer.finding()
}

/// What Google says went wrong, in its own field.
pub(crate) fn message(answer: &Answer) -> Option<String> {
    let body: Value = serde_json::from_slice(answer.bytes()).ok()?;
    Some(body["error"]["message"].as_str()?.to_owned())
}
