//! `github/reach`, `github/clock` and `github/status`: the way to the API, whether its clock and ours
//! agree, and what GitHub itself says.

use std::sync::Arc;
use std::time::Duration;

use lineman_sdk::prelude::*;
use lineman_sdk::{Feed, Scope, Walk};

use crate::{GitHub, api};

/// An app's assertion may end ten minutes from now at most, by GitHub's clock, and begin a minute
/// ago ("Generating a JSON Web Token for a GitHub App"): a clock that is ahead dates it too far.
const REFUSED_AHEAD: Duration = Duration::from_secs(60);
/// One that is behind dates an assertion that has ended already.
const REFUSED_BEHIND: Duration = Duration::from_secs(600);
/// Worth a warning: it will not stop drifting by itself.
const DRIFTING: Duration = Duration::from_secs(30);

async fn walk(cx: &Cx<GitHub>) -> Result<Arc<Walk>, Stop> {
    let url = api::base(cx)?;
    cx.session().walk.get(async { cx.reach(&url).await.map(Arc::new) }).await
}

/// `github/reach`.
pub(crate) async fn check(cx: Cx<GitHub>) -> Outcome {
    walk(&cx).await.map(drop)
}

/// `github/clock`.
pub(crate) async fn clock(cx: Cx<GitHub>) -> Outcome {
    if cx.secrets().app_private_key.is_none() {
        return Err(Stop::not_applicable("only the assertions of an app are dated"));
    }
    let walk = walk(&cx).await?;
    let Some(skew) = walk.skew else {
        cx.not_proved("that the clock is right", "the API gives no date", None);
        return Ok(());
    };
    let refused = if skew.is_positive() { REFUSED_AHEAD } else { REFUSED_BEHIND };
    let finding = cx.skew(&walk, refused).map(|finding| finding.severity(Severity::Fail));
    if let Some(finding) = finding.or_else(|| cx.skew(&walk, DRIFTING)) {
        cx.report(finding.doc(
            "Generating a JSON Web Token for a GitHub App",
            "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app",
        ));
    }
    Ok(())
}

/// `github/status`. The page is GitHub.com's: it knows nothing of an Enterprise Server.
pub(crate) async fn status(cx: Cx<GitHub>) -> Outcome {
    if api::base(&cx)?.host_str() != Some("api.github.com") && !cx.connection().endpoints.contains_key("status") {
        return Err(Stop::not_applicable("the page tells of GitHub.com alone"));
    }
    let feed = Feed::statuspage("https://www.githubstatus.com");
    cx.incidents(&feed, &Scope::components(["API Requests", "Git Operations"])).await
}
