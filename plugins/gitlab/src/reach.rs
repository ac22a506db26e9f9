//! `gitlab/reach`, `gitlab/version` and `gitlab/status`: the way to the GitLab, how old it is, and
//! what GitLab.com says of itself.

use std::sync::Arc;

use lineman_sdk::prelude::*;
use lineman_sdk::{Feed, Scope};

use crate::{GitLab, api};

/// The oldest major version that is not long out of GitLab's maintenance policy, which gives fixes
/// to the three latest minor versions.
const MAINTAINED: u32 = 17;

#[derive(Deserialize)]
struct Version {
    version: String,
}

/// `gitlab/reach`.
pub(crate) async fn check(cx: Cx<GitLab>) -> Outcome {
    let url = api::base(&cx)?;
    cx.session().walk.get(async { cx.reach(&url).await.map(Arc::new) }).await.map(drop)
}

/// `gitlab/version`.
pub(crate) async fn version(cx: Cx<GitLab>) -> Outcome {
    let answer = api::get(&cx, "GET /version", &["version"], None).await?;
    let version = match api::read::<Version>(&answer) {
        Ok(Version { version }) => version,
        Err(stop) if stop.is_denied() => {
            cx.not_proved("the version of the GitLab", "the token may not ask for it", Some("read_user"));
            return Ok(());
        }
        Err(stop) => return Err(stop),
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < MAINTAINED) {
        cx.report(
            cx.finding("version-old", Cause::DependencyUnfit, format!("GitLab {version} gets no fixes any more."))
                .severity(Severity::Warn)
                .evidence(answer.evidence()),
        );
    }
    Ok(())
}

/// `gitlab/status`. The page is GitLab.com's: it knows nothing of a GitLab of one's own.
pub(crate) async fn status(cx: Cx<GitLab>) -> Outcome {
    if api::base(&cx)?.host_str() != Some("gitlab.com") && !cx.connection().endpoints.contains_key("status") {
        return Err(Stop::not_applicable("the page tells of GitLab.com alone"));
    }
    let feed = Feed::status_io("5b36dc6502d06804c08349f7", "https://status.gitlab.com");
    cx.incidents(&feed, &Scope::components(["API", "Git Operations"])).await
}
