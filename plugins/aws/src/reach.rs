//! `aws/reach`, `aws/clock` and `aws/status`: the way to STS, whether its clock and ours agree, and
//! what AWS itself says.

use std::sync::Arc;
use std::time::Duration;

use lineman_sdk::prelude::*;
use lineman_sdk::{Feed, Scope, Walk};

use crate::Aws;
use crate::query::Service;

/// AWS refuses most signatures that are off by more than five minutes (IAM User Guide,
/// "Troubleshoot Signature Version 4 signing for AWS API requests").
const REFUSED: Duration = Duration::from_secs(300);
/// Worth a warning: it will not stop drifting by itself.
const DRIFTING: Duration = Duration::from_secs(60);

async fn walk(cx: &Cx<Aws>) -> Result<Arc<Walk>, Stop> {
    let (url, _) = Service::Sts.endpoint(cx)?;
    cx.session().walk.get(async { cx.reach(&url).await.map(Arc::new) }).await
}

/// `aws/reach`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    walk(&cx).await.map(drop)
}

/// `aws/clock`.
pub(crate) async fn clock(cx: Cx<Aws>) -> Outcome {
    let walk = walk(&cx).await?;
    if walk.skew.is_none() {
        cx.not_proved("that the clock is right", "the endpoint gives no date", None);
        return Ok(());
    }
    if let Some(finding) = cx.skew(&walk, REFUSED) {
        return Err(finding.severity(Severity::Fail).into());
    }
    if let Some(finding) = cx.skew(&walk, DRIFTING) {
        cx.report(finding);
    }
    Ok(())
}

/// `aws/status`.
pub(crate) async fn status(cx: Cx<Aws>) -> Outcome {
    let scope = Scope::components(["sts", "iam", "ec2", "s3"]).region(&cx.settings().region);
    let feed = Feed::health_events(
        "https://health.aws.amazon.com/public/currentevents",
        "https://health.aws.amazon.com/health/status",
    );
    cx.incidents(&feed, &scope).await
}
