//! `github/read` and `github/graphql`: a real operation on each of the two APIs.

use lineman_sdk::prelude::*;
use serde_json::{Value, json};

use crate::app::working;
use crate::repositories::{names, repository};
use crate::{GitHub, api};

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "name")]
    _name: String,
}

/// `github/read`.
pub(crate) async fn branches(cx: Cx<GitHub>) -> Outcome {
    let token = working(&cx).await?;
    for name in present(&cx).await? {
        let Some((owner, repo)) = name.split_once('/') else { continue };
        let operation = "GET /repos/{owner}/{repo}/branches";
        let path = ["repos", owner, repo, "branches"];
        let answer = api::get(&cx, &token, operation, &path, Some("per_page=1")).await?;
        let branches: Vec<Branch> =
            api::read(&answer).map_err(|stop| stop.map(|finding| finding.subject("repository", &name)))?;
        if branches.is_empty() {
            cx.not_proved(format!("that {name} can be read"), "it has no branch yet", None);
        }
    }
    Ok(())
}

/// `github/graphql`.
pub(crate) async fn graphql(cx: Cx<GitHub>) -> Outcome {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default)]
        data: Value,
        #[serde(default)]
        errors: Vec<Said>,
    }
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    const QUERY: &str =
        "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { nameWithOwner } }";

    let token = working(&cx).await?;
    for name in present(&cx).await? {
        let Some((owner, repo)) = name.split_once('/') else { continue };
        let query = json!({ "query": QUERY, "variables": { "owner": owner, "name": repo } });
        let answer = api::graphql(&cx, &token, &query).await?;
        let reply: Reply = api::read(&answer)?;
        // GraphQL says what is wrong inside a good answer.
        if let Some(said) = reply.errors.first() {
            let unknown = || {
                let message = format!("The GraphQL API refuses the query: {}", said.message);
                cx.finding("graphql-refused", Cause::Undetermined, message).evidence(answer.evidence())
            };
            return Err(answer.recognised().unwrap_or_else(unknown).subject("repository", &name).into());
        }
        if reply.data.pointer("/repository/nameWithOwner").is_none() {
            return Err(answer.unexpected("something that is not the answer to a GraphQL query").into());
        }
    }
    Ok(())
}

/// The present names of the repositories.
async fn present(cx: &Cx<GitHub>) -> Result<Vec<String>, Stop> {
    let mut present = Vec::new();
    for name in names(cx) {
        present.push(repository(cx, name).await?.full_name);
    }
    if present.is_empty() {
        return Err(Stop::not_applicable("no repository is configured"));
    }
    Ok(present)
}
