//! `gcp/reach`, `gcp/clock` and `gcp/status`: the way to the token endpoint, whether its clock and
//! ours agree, and what Google itself says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lineman_sdk::prelude::*;
use lineman_sdk::{Feed, Scope, Walk};

use crate::api::Service;
use crate::credential::Credential;
use crate::{Gcp, googleapis, products};

/// An assertion may not be dated in the future, and ours is dated half a minute back: what a clock
/// that is ahead may be off by ("Using OAuth 2.0 for Server to Server Applications": an hour at
/// most from `iat` to `exp`, in a reasonable time frame).
const REFUSED_AHEAD: Duration = Duration::from_secs(300);
/// A clock that is behind dates an assertion that has ended already.
const REFUSED_BEHIND: Duration = Duration::from_secs(2900);
/// Worth a warning: it will not stop drifting by itself.
const DRIFTING: Duration = Duration::from_secs(60);

async fn walk(cx: &Cx<Gcp>) -> Result<Arc<Walk>, Stop> {
    // Whatever is wrong with what is given: the way can be walked without it.
    let secrets = cx.secrets();
    let service = match (&secrets.external_account, &secrets.access_token) {
        (Some(_), _) => Service::Sts,
        (None, Some(_)) => Service::ResourceManager,
        (None, None) => Service::OAuth2,
    };
    let url = service.base(cx)?;
    cx.session().walk.get(async { cx.reach(&url).await.map(Arc::new) }).await
}

/// `gcp/reach`.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    walk(&cx).await.map(drop)
}

/// `gcp/clock`.
pub(crate) async fn clock(cx: Cx<Gcp>) -> Outcome {
    if !matches!(Credential::of(&cx)?, Credential::Key(_)) {
        return Err(Stop::not_applicable("only the assertions of a key are dated here"));
    }
    let walk = walk(&cx).await?;
    let Some(skew) = walk.skew else {
        cx.not_proved("that the clock is right", "the token endpoint gives no date", None);
        return Ok(());
    };
    let refused = if skew.is_positive() { REFUSED_AHEAD } else { REFUSED_BEHIND };
    let finding = cx.skew(&walk, refused).map(|finding| finding.severity(Severity::Fail));
    if let Some(finding) = finding.or_else(|| cx.skew(&walk, DRIFTING)) {
        cx.report(finding.doc(
            "Using OAuth 2.0 for server to server applications",
            "https://developers.google.com/identity/protocols/oauth2/service-account#jwt-error-codes",
        ));
    }
    Ok(())
}

/// `gcp/status`. The page is that of Google Cloud itself: it knows nothing of other universes.
pub(crate) async fn status(cx: Cx<Gcp>) -> Outcome {
    let settings = cx.settings();
    if settings.universe_domain != googleapis() && !cx.connection().endpoints.contains_key("status") {
        return Err(Stop::not_applicable("the page tells of googleapis.com alone"));
    }
    let mut products = BTreeSet::from(["Identity and Access Management", "Resource Manager API"]);
    if settings.state_bucket.is_some() || cx.requires().iter().any(|it| it.words.bucket.is_some()) {
        products.insert("Google Cloud Storage");
    }
    for requirement in cx.requires() {
        let apis = requirement.words.apis(settings);
        products.extend(apis.iter().filter_map(|api| products::product_of(api)));
    }
    let scope = Scope::components(products);
    let scope = settings.region.iter().fold(scope, |scope, region| scope.region(region));
    let feed =
        Feed::incident_history("https://status.cloud.google.com/incidents.json", "https://status.cloud.google.com");
    cx.incidents(&feed, &scope).await
}
