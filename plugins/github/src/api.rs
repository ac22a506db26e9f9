//! Calls of the REST and GraphQL APIs, and what a refusal is.

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, RequestBuilder, Url};
use serde::de::DeserializeOwned;

use crate::GitHub;

/// The version of the REST API that the calls are written for.
const VERSION: &str = "2022-11-28";

/// The address of the REST API.
pub(crate) fn base(cx: &Cx<GitHub>) -> Result<Url, Stop> {
    cx.endpoint("api", &cx.settings().api_url)
}

/// The address of something in the API; the segments of its path are encoded.
pub(crate) fn address(cx: &Cx<GitHub>, path: &[&str], query: Option<&str>) -> Result<Url, Stop> {
    let mut url = base(cx)?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url.set_query(query);
    Ok(url)
}

/// Asks for something. The operation is the one that GitHub's reference names.
///
/// # Errors
///
/// The finding for what failed on the way; an answer of whatever status is none.
pub(crate) async fn get(
    cx: &Cx<GitHub>,
    token: &Secret,
    operation: &str,
    path: &[&str],
    query: Option<&str>,
) -> Result<Answer, Stop> {
    let url = address(cx, path, query)?;
    fetch(cx, token, operation, url).await
}

/// The same, at an address that GitHub gave.
pub(crate) async fn fetch(cx: &Cx<GitHub>, token: &Secret, operation: &str, url: Url) -> Result<Answer, Stop> {
    // Boxed, as what is awaited below: a check may have many of these futures inside its own.
    Box::pin(headed(cx.http()?.get(url), token).operation(operation).send()).await
}

/// Asks for a token of an installation. It changes nothing else.
pub(crate) async fn mint(cx: &Cx<GitHub>, assertion: &Secret, installation: u64) -> Result<Answer, Stop> {
    let url = address(cx, &["app", "installations", &installation.to_string(), "access_tokens"], None)?;
    let operation = "POST /app/installations/{installation_id}/access_tokens";
    Box::pin(headed(cx.http()?.post(url), assertion).operation(operation).send()).await
}

/// Asks the GraphQL API, which stands beside the REST API.
pub(crate) async fn graphql(cx: &Cx<GitHub>, token: &Secret, query: &serde_json::Value) -> Result<Answer, Stop> {
    let mut url = base(cx)?;
    let path = url.path().trim_end_matches('/');
    let path = format!("{}/graphql", path.strip_suffix("/v3").unwrap_or(path));
    url.set_path(&path);
    Box::pin(headed(cx.http()?.post(url), token).json(query).operation("POST /graphql").send()).await
}

fn headed<'a>(request: RequestBuilder<'a, GitHub>, token: &Secret) -> RequestBuilder<'a, GitHub> {
    request.header("accept", "application/vnd.github+json").header("x-github-api-version", VERSION).bearer(token)
}

/// Reads a good answer.
///
/// # Errors
///
/// What a refusal means, or that something else than GitHub answers.
pub(crate) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Stop> {
    if answer.ok() { answer.json() } else { Err(refusal(answer).into()) }
}

/// What a refusal means. One without GitHub's words is not GitHub's, whatever its status: a proxy,
/// a gateway or another service answers, and knows nothing of the credential.
pub(crate) fn refusal(answer: &Answer) -> Finding {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "message")]
        _message: String,
    }
    let status = answer.status();
    let ours = serde_json::from_slice::<Said>(answer.bytes()).is_ok();
    if (400..=499).contains(&status) && status != 407 && status != 429 && !ours {
        return answer
            .recognised()
            .unwrap_or_else(|| answer.unexpected(&format!("a refusal that is not GitHub's ({status})")));
    }
    answer.finding()
}

/// Whether a permission is all that was missing.
pub(crate) fn denied(stop: &Stop) -> bool {
    stop.finding().is_some_and(|finding| finding.cause == Cause::PermissionInsufficient)
}
