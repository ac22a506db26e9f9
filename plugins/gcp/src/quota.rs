//! `gcp/quota`: the quotas of Compute Engine that are required leave room for what will be needed.
//!
//! The project and each region tell limit and use of their quotas together. Quotas of other
//! services, and those of Compute Engine that are counted otherwise, are not among them.

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;

use crate::Gcp;
use crate::api::{Call, Seen, Service};
use crate::requires::Quota;
use crate::token::{Token, working};

const REGIONS: (&str, &str) = ("Regions and zones", "https://cloud.google.com/compute/docs/regions-zones");

/// A project or a region: what there is of either.
#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    quotas: Vec<Shown>,
    /// Why there are none, where Compute Engine could not get them.
    #[serde(rename = "quotaStatusWarning")]
    warning: Option<Warning>,
}

#[derive(Deserialize)]
struct Warning {}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    metric: String,
    #[serde(default)]
    limit: f64,
    #[serde(default)]
    usage: f64,
}

/// `gcp/quota`.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    let required = cx.requiring("no quota is required", |words| words.quota.as_ref())?;
    // Without one, `gcp/config` has told.
    let Some(project) = cx.settings().project_id.as_deref() else { return Ok(()) };
    let token = working(&cx).await?;
    for (id, quota) in required {
        let mut judged = Judged::new(&cx, id);
        judge(&cx, &token, project, quota, &mut judged).await?;
        judged.record();
    }
    Ok(())
}

async fn judge(
    cx: &Cx<Gcp>,
    token: &Token,
    project: &str,
    quota: &Quota,
    judged: &mut Judged<'_, Gcp>,
) -> Result<(), Stop> {
    let Quota { metric, region, need } = quota;
    let (mut path, mut operation) = (vec!["compute", "v1", "projects", project], "compute.projects.get");
    let mut place = format!("the project {project}");
    if let Some(region) = region {
        path.extend(["regions", region]);
        operation = "compute.regions.get";
        place = format!("{region} of the project {project}");
    }
    let what = format!("that the quota {metric} of {place} leaves room");
    let call = Call::new(Service::Compute, operation, &path);
    let Counted { quotas, warning } = match call.look(cx, &token.secret, operation).await? {
        Seen::There(counted) => counted,
        Seen::Missing(refusal) => {
            let message = format!("There is no such thing as {place}.");
            let finding = cx.finding("quota-unknown", Cause::ConfigInvalid, message).subject("quota", metric);
            let finding = finding.remedy("Correct `region`, or `project_id`.").doc(REGIONS.0, REGIONS.1);
            judged.fails(Finding { evidence: refusal.evidence, ..finding });
            return Ok(());
        }
        Seen::Hidden(why, needs) => {
            judged.unproved(what, why, Some(&needs));
            return Ok(());
        }
    };
    let Some(Shown { limit, usage, .. }) = quotas.iter().find(|shown| shown.metric == *metric) else {
        if warning.is_some() {
            judged.unproved(what, "Compute Engine could not get its quotas", None);
            return Ok(());
        }
        let message = format!("Compute Engine counts no {metric} for {place}.");
        let finding = cx.finding("quota-unknown", Cause::ConfigInvalid, message).subject("quota", metric);
        let finding = match region {
            Some(region) => {
                let argv = ["gcloud", "compute", "regions", "describe", region, "--project", project];
                finding.command("Look the metric up; those of the project itself take no `region`.", argv)
            }
            None => {
                let argv = ["gcloud", "compute", "project-info", "describe", "--project", project];
                finding.command("Look the metric up; those of a region, such as CPUS, take `region` beside them.", argv)
            }
        };
        judged.fails(finding);
        return Ok(());
    };
    let need = f64::from(need.unwrap_or(1));
    if need <= limit - usage {
        return Ok(());
    }
    let message =
        format!("The quota {metric} of {place} is {limit}, {usage} of it in use, and {need} more will be needed.");
    let finding = cx
        .finding("quota-short", Cause::QuotaExceeded, message)
        .subject("quota", metric)
        .remedy(format!("Ask for {} on the console's page of quotas; that may take days.", need + usage))
        .remedy("Remove what is no longer used, or take another region.");
    judged.fails(finding);
    Ok(())
}
