//! `http/reach`, `http/certificate` and `http/clock`: the way to the server.

use std::sync::Arc;
use std::time::Duration;

use lineman_sdk::prelude::*;
use lineman_sdk::{Timestamp, Walk};

use crate::Http;
use crate::config::{EXPIRES_SOON, url};

/// Signed tokens are good for minutes; a clock that is off by one will be off by more.
const DRIFTING: Duration = Duration::from_secs(60);

/// Walks to the server, once.
pub(crate) async fn walk(cx: &Cx<Http>) -> Result<Arc<Walk>, Stop> {
    let url = url(cx)?;
    cx.session().walk.get(async { cx.reach(&url).await.map(Arc::new) }).await
}

/// `http/reach`.
pub(crate) async fn check(cx: Cx<Http>) -> Outcome {
    walk(&cx).await.map(drop)
}

/// `http/certificate`. One that has expired is a finding of `http/reach`.
pub(crate) async fn certificate(cx: Cx<Http>) -> Outcome {
    let walk = walk(&cx).await?;
    let Some(certificate) = &walk.certificate else {
        return Err(Stop::not_applicable("the server is asked without TLS, or a proxy answers for it"));
    };
    cx.expires("server certificate", certificate.not_after);
    if certificate.not_after < Timestamp::now() + EXPIRES_SOON {
        let message = format!("The server's certificate expires on {:.0}.", certificate.not_after);
        let mut finding =
            cx.finding("certificate-expiring", Cause::NetworkTlsExpired, message).severity(Severity::Warn);
        finding.evidence.extend(walk.evidence.iter().filter(|seen| matches!(seen, Evidence::Tls { .. })).cloned());
        cx.report(finding);
    }
    Ok(())
}

/// `http/clock`.
pub(crate) async fn clock(cx: Cx<Http>) -> Outcome {
    let walk = walk(&cx).await?;
    if walk.skew.is_none() {
        return Err(Stop::not_applicable("the server gives no date"));
    }
    if let Some(finding) = cx.skew(&walk, DRIFTING) {
        cx.report(finding);
    }
    Ok(())
}
