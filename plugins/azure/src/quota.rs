//! `azure/quota`: the quotas that are required leave room for what will be needed.

use lineman_sdk::prelude::*;

use crate::requires::{self, Judged, Quota};
use crate::{Azure, api, arm};

pub(crate) const COMPUTE: &str =
    "GET /subscriptions/{subscriptionId}/providers/Microsoft.Compute/locations/{location}/usages";
pub(crate) const COMPUTE_PERMISSION: &str = "Microsoft.Compute/locations/usages/read";
pub(crate) const NETWORK: &str =
    "GET /subscriptions/{subscriptionId}/providers/Microsoft.Network/locations/{location}/usages";
pub(crate) const NETWORK_PERMISSION: &str = "Microsoft.Network/locations/usages/read";

/// Who counts: the provider, the operation, the action that it takes, and the version of the API.
const COUNTERS: [(&str, &str, &str, &str); 2] = [
    ("Microsoft.Compute", COMPUTE, COMPUTE_PERMISSION, "2024-07-01"),
    ("Microsoft.Network", NETWORK, NETWORK_PERMISSION, "2024-05-01"),
];

/// `azure/quota`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let required = cx.requiring("no quota is required", |words| words.quota.as_ref())?;
    let subscription = requires::subscription(&cx)?;
    for (id, quota) in required {
        let mut judged = Judged::new(&cx, id);
        judge(&cx, subscription, quota, &mut judged).await?;
        judged.record();
    }
    Ok(())
}

/// Looks for the quota at one provider after the other: their names are different.
async fn judge(cx: &Cx<Azure>, subscription: &str, quota: &Quota, judged: &mut Judged<'_>) -> Result<(), Stop> {
    let Quota { name, need, .. } = quota;
    let region = arm::region(&quota.region);
    let mut barred = None;
    for (provider, operation, permission, version) in COUNTERS {
        let scope = format!("/subscriptions/{subscription}/providers/{provider}/locations/{region}");
        let usages = api::list::<Usage>(cx, operation, &format!("{scope}/usages"), &[("api-version", version)]).await;
        let usages = match usages {
            Ok(usages) => usages,
            Err(stop) if stop.is_denied() => {
                barred = barred.or(Some(permission));
                continue;
            }
            Err(stop) => return Err(stop.map(|finding| finding.subject("quota", name))),
        };
        if let Some(usage) = usages.iter().find(|usage| usage.name.value.eq_ignore_ascii_case(name)) {
            let need = f64::from(need.unwrap_or(1));
            // A negative limit is none.
            if usage.limit >= 0.0 && usage.limit - usage.current_value < need {
                judged.fails(short(cx, &scope, usage, &region, need));
            }
            return Ok(());
        }
    }
    if barred.is_some() {
        let what = format!("that the quota {name} in {region} leaves room");
        judged.unproved(what, "the application may not look", barred);
        return Ok(());
    }
    let message = format!("There is no quota {name} in {region}.");
    let list = ["az", "vm", "list-usage", "--location", &region, "--query", "[].name.value", "--output", "tsv"];
    judged.fails(
        cx.finding("quota-unknown", Cause::ConfigInvalid, message)
            .subject("quota", name)
            .command("Look the name up; `az network list-usages` has those of networks.", list),
    );
    Ok(())
}

fn short(cx: &Cx<Azure>, scope: &str, usage: &Usage, region: &str, need: f64) -> Finding {
    let Usage { name, current_value, limit } = usage;
    let message = format!(
        "The quota {} ({}) in {region} is {limit}, {current_value} of it in use, and {need} more will be needed.",
        name.value, name.localized_value
    );
    let wanted = format!("value={}", current_value + need);
    let ask = ["az", "quota", "update", "--resource-name", &name.value, "--scope", scope, "--limit-object", &wanted];
    cx.finding("quota-short", Cause::QuotaExceeded, message)
        .subject("quota", &name.value)
        .command("Ask for a higher quota; that may take days.", ask)
        .remedy("Remove what is no longer used, or go to another region.")
}

/// One of the usages that Microsoft.Compute and Microsoft.Network list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    name: Name,
    current_value: f64,
    limit: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Name {
    value: String,
    #[serde(default)]
    localized_value: String,
}
