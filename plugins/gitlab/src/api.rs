//! Calls of the REST API, and what a refusal is.

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Url};
use serde::de::DeserializeOwned;

use crate::GitLab;

/// The address of the GitLab.
pub(crate) fn base(cx: &Cx<GitLab>) -> Result<Url, Stop> {
    cx.endpoint("gitlab", &cx.settings().url)
}

/// Asks the API for something. The segments of the path are encoded; the operation is the one
/// that GitLab's reference names.
///
/// # Errors
///
/// The finding for what failed on the way; an answer of whatever status is none.
pub(crate) async fn get(cx: &Cx<GitLab>, operation: &str, path: &[&str], query: Option<&str>) -> Result<Answer, Stop> {
    let path = [&["api", "v4"], path].concat();
    fetch(cx, operation, &path, query).await
}

/// The same beside the API.
pub(crate) async fn fetch(
    cx: &Cx<GitLab>,
    operation: &str,
    path: &[&str],
    query: Option<&str>,
) -> Result<Answer, Stop> {
    let mut url = base(cx)?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url.set_query(query);
    let Some(token) = &cx.secrets().token else { return Err(Stop::missing_input("no token is given")) };
    let request = cx.http()?;
    let request = request.get(url).header("accept", "application/json").bearer(token).operation(operation);
    // Boxed: a check may have many of these futures inside its own.
    Box::pin(request.send()).await
}

/// Reads a good answer.
///
/// # Errors
///
/// What a refusal means, or that something else than GitLab answers.
pub(crate) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Stop> {
    if answer.ok() { answer.json() } else { Err(refusal(answer).into()) }
}

/// What a refusal means. One without GitLab's words is not GitLab's, whatever its status: a proxy,
/// a gateway or another service answers, and knows nothing of the credential.
pub(crate) fn refusal(answer: &Answer) -> Finding {
    let status = answer.status();
    if (400..=499).contains(&status) && status != 407 && status != 429 && !is_gitlabs(answer) {
        return answer
            .recognised()
            .unwrap_or_else(|| answer.unexpected(&format!("a refusal that is not GitLab's ({status})")));
    }
    answer.finding()
}

/// Whether a refusal has the form of the API's: an object with a `message` or an `error`.
pub(crate) fn is_gitlabs(answer: &Answer) -> bool {
    let body: serde_json::Value = serde_json::from_slice(answer.bytes()).unwrap_or_default();
    body.get("message").or(body.get("error")).is_some()
}
