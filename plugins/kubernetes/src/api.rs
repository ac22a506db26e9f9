//! Calls of the API, and what a refusal is.

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Kubernetes;
use crate::access::access;
use crate::login::{Login, login};

/// Objects by their metadata alone: what stands in a Secret is nobody's business here.
pub(crate) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// A list of them.
pub(crate) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// The address of something in the API; the segments of its path are encoded.
pub(crate) async fn address(cx: &Cx<Kubernetes>, path: &[&str], query: Option<&str>) -> Result<Url, Stop> {
    let mut url = cx.endpoint("api", &access(cx).await?.server)?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url.set_query(query);
    Ok(url)
}

/// Asks as nobody: for what has not yet shown that it is an API server.
pub(crate) async fn ask(cx: &Cx<Kubernetes>, operation: &str, path: &[&str]) -> Result<Answer, Stop> {
    let url = address(cx, path, None).await?;
    Box::pin(cx.http()?.get(url).operation(operation).header("accept", "application/json").send()).await
}

/// Asks for something. The operation is the path as the API's reference writes it.
///
/// # Errors
///
/// The finding for what failed on the way; an answer of whatever status is none.
pub(crate) async fn get(
    cx: &Cx<Kubernetes>,
    operation: &str,
    path: &[&str],
    query: Option<&str>,
    accept: &str,
) -> Result<Answer, Stop> {
    let url = address(cx, path, query).await?;
    let http = cx.http()?;
    let request = signed(cx, http.get(url)).await?;
    Box::pin(request.operation(operation).header("accept", accept).send()).await
}

/// Has something reviewed: a question in the form of an object, which is answered and not stored.
pub(crate) async fn review(cx: &Cx<Kubernetes>, path: &[&str], review: &Value) -> Result<Answer, Stop> {
    let url = address(cx, path, None).await?;
    let operation = format!("POST /{}", path.join("/"));
    let http = cx.http()?;
    let request = signed(cx, http.post(url)).await?;
    Box::pin(request.operation(&operation).header("accept", "application/json").json(review).send()).await
}

/// Says who asks, and in whose name.
async fn signed<'a>(
    cx: &Cx<Kubernetes>,
    request: RequestBuilder<'a, Kubernetes>,
) -> Result<RequestBuilder<'a, Kubernetes>, Stop> {
    let request = match login(cx).await? {
        Login::Certificate => request,
        Login::Token { token, .. } => request.bearer(&token),
        Login::Password(user, password) => request.basic(&user, &password),
    };
    Ok(match &access(cx).await?.acting_as {
        Some(user) => request.header("impersonate-user", user),
        None => request,
    })
}

/// What an API server says in place of what it was asked for (`meta/v1.Status`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    kind: String,
    pub(crate) message: String,
    pub(crate) reason: String,
}

impl Status {
    /// The status in an answer, where there is one: nothing but an API server answers with it.
    pub(crate) fn of(answer: &Answer) -> Option<Status> {
        let status: Status = serde_json::from_slice(answer.bytes()).ok()?;
        (status.kind == "Status").then_some(status)
    }

    /// The user that a refusal names.
    pub(crate) fn user(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("User \"")?;
        rest.split_once('"').map(|(user, _)| user)
    }
}

/// Reads a good answer.
///
/// # Errors
///
/// What a refusal means, or that something else than an API server answers.
pub(crate) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Stop> {
    if answer.ok() { answer.json() } else { Err(refusal(answer).into()) }
}

/// What a refusal means. One that is no `Status` is not the API server's, whatever its HTTP status:
/// a gateway or another service answers, and knows nothing of the credential.
pub(crate) fn refusal(answer: &Answer) -> Finding {
    let status = answer.status();
    let foreign = Status::of(answer).is_none();
    if (400..=499).contains(&status) && status != 407 && status != 429 && foreign {
        return answer
            .recognised()
            .unwrap_or_else(|| answer.unexpected(&format!("a refusal that is not an API server's ({status})")));
    }
    answer.finding()
}
