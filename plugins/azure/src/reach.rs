//! `azure/reach`, `azure/clock` and `azure/status`: the way to Entra and to Resource Manager, whether
//! Entra's clock and ours agree, and what Azure itself says.

use std::sync::Arc;
use std::time::Duration;

use lineman_sdk::prelude::*;
use lineman_sdk::{Feed, Scope, Walk};

use crate::Azure;
use crate::cloud::{Api, Cloud, login};
use crate::identity::Credential;

/// Entra forgives five minutes on either side of an assertion's dates. A clock that is ahead dates
/// it too far; one that is behind dates an assertion that has ended already, after ten minutes more.
const REFUSED_AHEAD: Duration = Duration::from_secs(300);
const REFUSED_BEHIND: Duration = Duration::from_secs(900);
/// Worth a warning: it will not stop drifting by itself.
const DRIFTING: Duration = Duration::from_secs(60);

async fn walk(cx: &Cx<Azure>) -> Result<Arc<Walk>, Stop> {
    let url = login(cx)?;
    cx.session().walk.get(async { cx.reach(&url).await.map(Arc::new) }).await
}

/// `azure/reach`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    walk(&cx).await?;
    let (login, manager) = (login(&cx)?, Api::Manager.base(&cx)?);
    if login.origin() != manager.origin() {
        cx.reach(&manager).await?;
    }
    Ok(())
}

/// `azure/clock`.
pub(crate) async fn clock(cx: Cx<Azure>) -> Outcome {
    let walk = walk(&cx).await?;
    let Some(skew) = walk.skew else {
        cx.not_proved("that the clock is right", "Entra gives no date", None);
        return Ok(());
    };
    let refused = if skew.is_positive() { REFUSED_AHEAD } else { REFUSED_BEHIND };
    let signs = matches!(Credential::of(cx.secrets()), Credential::Certificate);
    let finding = cx.skew(&walk, refused).filter(|_| signs).map(|finding| finding.severity(Severity::Fail));
    if let Some(finding) = finding.or_else(|| cx.skew(&walk, DRIFTING)) {
        cx.report(finding.doc(
            "Application authentication certificate credentials",
            "https://learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials",
        ));
    }
    Ok(())
}

/// `azure/status`. The page tells of wide incidents alone, and nothing of Azure in China.
pub(crate) async fn status(cx: Cx<Azure>) -> Outcome {
    if cx.settings().cloud == Cloud::China && !cx.connection().endpoints.contains_key("status") {
        return Err(Stop::not_applicable("the page tells nothing of Azure in China"));
    }
    let page = "https://azure.status.microsoft/en-us/status";
    let feed = Feed::rss("https://azure.status.microsoft/en-us/status/feed/", page);
    let services = ["Entra", "Active Directory", "Resource Manager", "Authentication", "Azure services", "Management"];
    cx.incidents(&feed, &Scope::components(services)).await
}
