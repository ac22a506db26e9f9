//! `kubernetes/reach`, `kubernetes/certificate`, `kubernetes/clock` and `kubernetes/status`: the way
//! to the API server, and what it says of its own health.

use std::sync::Arc;
use std::time::Duration;

use lineman_sdk::prelude::*;
use lineman_sdk::{Feed, Scope, Timestamp, Walk};

use crate::access::{Access, access};
use crate::config::DUE;
use crate::{Kubernetes, api};

/// Tokens and certificates are dated; a clock that is off by a minute will be off by more.
const DRIFTING: Duration = Duration::from_secs(60);

pub(crate) async fn walk(cx: &Cx<Kubernetes>) -> Result<Arc<Walk>, Stop> {
    let url = api::address(cx, &[], None).await?;
    let access = access(cx).await?;
    let walked = cx.session().walk.get(async { cx.reach(&url).await.map(Arc::new) }).await;
    walked.map_err(|stop| stop.map(|finding| closer(&access, finding)))
}

/// Says where the kubeconfig has the word that decides.
fn closer(access: &Access, mut finding: Finding) -> Finding {
    const CA: (&str, &str) =
        ("Troubleshooting kubectl", "https://kubernetes.io/docs/tasks/debug/debug-cluster/troubleshoot-kubectl/");
    match finding.cause {
        Cause::NetworkTlsUntrusted => {
            let remedy = match access.authorities {
                Some((_, chosen_by)) => format!(
                    "Correct {chosen_by}: the cluster's is what `kubectl get configmap kube-root-ca.crt -o jsonpath='{{.data.ca\\.crt}}'` prints. A cluster that was made again has a new one."
                ),
                None => "Give the cluster's authority: `certificate-authority-data` in the kubeconfig, or the setting `ca`.".to_owned(),
            };
            finding.remedies.insert(0, Remedy::new(remedy));
            finding.remedies.truncate(1);
            finding.doc(CA.0, CA.1)
        }
        Cause::NetworkTlsHostname => finding
            .remedy("Or set `tls-server-name` in the kubeconfig to a name that the certificate has, such as `kubernetes.default.svc`."),
        _ => finding,
    }
}

/// `kubernetes/reach`.
pub(crate) async fn check(cx: Cx<Kubernetes>) -> Outcome {
    walk(&cx).await.map(drop)
}

/// `kubernetes/certificate`. One that has expired is a finding of `kubernetes/reach`.
pub(crate) async fn certificate(cx: Cx<Kubernetes>) -> Outcome {
    let walk = walk(&cx).await?;
    let Some(certificate) = &walk.certificate else {
        return Err(Stop::not_applicable("the API server is asked without TLS, or a proxy answers for it"));
    };
    let end = certificate.not_after;
    cx.expires("certificate of the API server", end);
    if end < Timestamp::now() + DUE {
        let message = format!("The API server's certificate expires on {end:.0}.");
        let mut finding =
            cx.finding("certificate-expiring", Cause::NetworkTlsExpired, message).severity(Severity::Warn);
        finding.evidence.extend(walk.evidence.iter().filter(|seen| matches!(seen, Evidence::Tls { .. })).cloned());
        cx.report(finding);
    }
    Ok(())
}

/// `kubernetes/clock`.
pub(crate) async fn clock(cx: Cx<Kubernetes>) -> Outcome {
    let walk = walk(&cx).await?;
    if walk.skew.is_none() {
        return Err(Stop::not_applicable("the API server gives no date"));
    }
    if let Some(finding) = cx.skew(&walk, DRIFTING) {
        cx.report(finding);
    }
    Ok(())
}

/// `kubernetes/status`. The API server tells everybody which of its parts fail; who runs it may have
/// a page of incidents.
pub(crate) async fn status(cx: Cx<Kubernetes>) -> Outcome {
    if let Ok(answer) = api::ask(&cx, "GET /readyz", &["readyz"]).await
        && matches!(answer.status(), 500..=599)
    {
        let text = answer.text();
        let failing = text.lines().filter_map(|line| line.strip_prefix("[-]")?.split_whitespace().next());
        let failing: Vec<&str> = failing.take(10).collect();
        if !failing.is_empty() {
            let message = format!("The API server says that it is not ready: {} fails.", failing.join(", "));
            cx.report(cx.finding("not-ready", Cause::ProviderOutage, message).evidence(answer.evidence()));
        }
    }
    let url = api::address(&cx, &[], None).await?;
    match feed(url.host_str().unwrap_or_default()) {
        Some((feed, scope)) => cx.incidents(&feed, &scope).await,
        None if cx.has_findings() => Ok(()),
        None => Err(Stop::not_applicable("who runs the cluster is not known to have a feed of incidents")),
    }
}

/// The feed of whoever runs a cluster of this address.
fn feed(host: &str) -> Option<(Feed, Scope)> {
    let region = |place: usize| host.split('.').nth(place).unwrap_or_default();
    if host.ends_with(".eks.amazonaws.com") {
        let feed = Feed::health_events(
            "https://health.aws.amazon.com/public/currentevents",
            "https://health.aws.amazon.com/health/status",
        );
        // NAME.XYZ.REGION.eks.amazonaws.com
        return Some((feed, Scope::components(["eks"]).region(region(2))));
    }
    if host.ends_with(".azmk8s.io") {
        let page = "https://azure.status.microsoft/en-us/status";
        // NAME.hcp.REGION.azmk8s.io
        return Some((Feed::rss(&format!("{page}/feed/"), page), Scope::components(["Kubernetes"]).region(region(2))));
    }
    if host.ends_with(".gke.goog") {
        let page = "https://status.cloud.google.com";
        let feed = Feed::incident_history(&format!("{page}/incidents.json"), page);
        return Some((feed, Scope::components(["Google Kubernetes Engine"])));
    }
    if host.ends_with(".k8s.ondigitalocean.com") {
        return Some((Feed::statuspage("https://status.digitalocean.com"), Scope::components(["Kubernetes"])));
    }
    None
}
