//! Calls of Resource Manager and Graph, and what a refusal is.

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cloud::Api;
use crate::identity::token;
use crate::{Azure, cloud};

/// The most pages of a list that are read.
const MOST_PAGES: usize = 20;

/// The address of something below a base; the segments of the path are encoded.
pub(crate) fn address(mut base: Url, path: &str, query: &[(&str, &str)]) -> Url {
    if let Ok(mut segments) = base.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/').filter(|segment| !segment.is_empty()));
    }
    base.query_pairs_mut().clear().extend_pairs(query);
    if query.is_empty() {
        base.set_query(None);
    }
    base
}

/// Asks an API for something. The operation is the one that the reference names.
///
/// # Errors
///
/// The finding for what failed on the way, or for a token that was refused; an answer of whatever
/// status is none.
pub(crate) async fn get(
    cx: &Cx<Azure>,
    api: Api,
    operation: &str,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Answer, Stop> {
    let url = address(api.base(cx)?, path, query);
    fetch(cx, api, operation, url).await
}

async fn fetch(cx: &Cx<Azure>, api: Api, operation: &str, url: Url) -> Result<Answer, Stop> {
    // Boxed, as what is awaited below: a check may have many of these futures inside its own.
    let token = Box::pin(token(cx, api)).await?;
    Box::pin(cx.http()?.get(url).bearer(&token.secret).operation(operation).send()).await
}

/// Asks Resource Manager for something that may not be there.
pub(crate) async fn find<T: DeserializeOwned>(
    cx: &Cx<Azure>,
    operation: &str,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Option<T>, Stop> {
    let answer = get(cx, Api::Manager, operation, path, query).await?;
    if answer.status() == 404 && is_azures(&answer) { Ok(None) } else { read(&answer).map(Some) }
}

/// Asks Resource Manager a question that has a body, and changes nothing.
pub(crate) async fn ask<T: DeserializeOwned>(
    cx: &Cx<Azure>,
    operation: &str,
    path: &str,
    query: &[(&str, &str)],
    body: &Value,
) -> Result<T, Stop> {
    let url = address(Api::Manager.base(cx)?, path, query);
    let token = Box::pin(token(cx, Api::Manager)).await?;
    let http = cx.http()?;
    read(&Box::pin(http.post(url).bearer(&token.secret).json(body).operation(operation).send()).await?)
}

/// Asks Resource Manager for something in nobody's name.
pub(crate) async fn get_anonymously(
    cx: &Cx<Azure>,
    operation: &str,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Answer, Stop> {
    let url = address(Api::Manager.base(cx)?, path, query);
    Box::pin(cx.http()?.get(url).operation(operation).send()).await
}

/// Asks Entra for something that it tells everybody.
pub(crate) async fn discover(cx: &Cx<Azure>, operation: &str, path: &str) -> Result<Answer, Stop> {
    let url = address(cloud::login(cx)?, path, &[]);
    Box::pin(cx.http()?.get(url).operation(operation).send()).await
}

/// Reads a list of Resource Manager to its end, page by page.
pub(crate) async fn list<T: DeserializeOwned>(
    cx: &Cx<Azure>,
    operation: &str,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Vec<T>, Stop> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", bound(deserialize = "T: DeserializeOwned"))]
    struct Page<T> {
        value: Vec<T>,
        next_link: Option<String>,
    }
    let base = Api::Manager.base(cx)?;
    let mut url = address(base.clone(), path, query);
    let mut all = Vec::new();
    for _ in 0..MOST_PAGES {
        let page: Page<T> = read(&fetch(cx, Api::Manager, operation, url).await?)?;
        all.extend(page.value);
        // The token goes nowhere but to the endpoint: a link to elsewhere leads there, too.
        let Some(next) = page.next_link.and_then(|link| Url::parse(&link).ok()) else { break };
        url = base.clone();
        url.set_path(next.path());
        url.set_query(next.query());
    }
    Ok(all)
}

/// Reads a good answer.
///
/// # Errors
///
/// What a refusal means, or that something else than Azure answers.
pub(crate) fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Stop> {
    if answer.ok() { answer.json() } else { Err(refusal(answer).into()) }
}

/// What a refusal means. One that does not name an error as Entra, Resource Manager and Graph do is
/// not theirs, whatever its status: a proxy, a gateway or another service answers, and knows nothing
/// of the credential.
pub(crate) fn refusal(answer: &Answer) -> Finding {
    let status = answer.status();
    if (400..=499).contains(&status) && status != 407 && status != 429 && !is_azures(answer) {
        return answer
            .recognised()
            .unwrap_or_else(|| answer.unexpected(&format!("a refusal that is not Azure's ({status})")));
    }
    answer.finding()
}

/// Whether a refusal names an error as Azure does.
fn is_azures(answer: &Answer) -> bool {
    let body: Value = serde_json::from_slice(answer.bytes()).unwrap_or_default();
    match &body["error"] {
        Value::String(_) => body["error_description"].is_string() || body["error_codes"].is_array(),
        error => error["code"].is_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_to_their_base() {
        let check = |base: &str, path: &str, query: &[(&str, &str)], expect: &str| {
            assert_eq!(address(Url::parse(base).unwrap(), path, query).as_str(), expect, "{base} {path}");
        };
        let arm = "https://management.azure.com";
        check(
            arm,
            "/subscriptions/1",
            &[("api-version", "2")],
            "https://management.azure.com/subscriptions/1?api-version=2",
        );
        check("http://127.0.0.1:1/below/", "a/b c", &[], "http://127.0.0.1:1/below/a/b%20c");
        check(arm, "../x?y", &[], "https://management.azure.com/x%3Fy");
        check("https://h/?z", "v1.0/applications(appId='1')", &[], "https://h/v1.0/applications(appId='1')");
    }
}
