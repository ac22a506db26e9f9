//! `aws/capacity`: the regions that are required are enabled, and the instance types are offered.

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;

use crate::Aws;
use crate::credentials::{Credentials, working};
use crate::network::Items;
use crate::query::{self, Service};
use crate::requires::Requirement;

/// `aws/capacity`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let required = cx.requiring("no region and no instance type is required", Requirement::capacity)?;
    let credentials = working(&cx).await?;
    for (id, words) in required {
        let mut judged = Judged::new(&cx, id);
        if let Some(region) = words.region.as_deref() {
            judge_region(&cx, &credentials, region, &mut judged).await?;
        }
        if let Some(kind) = words.instance_type.as_deref() {
            let zones = words.zones.as_deref().unwrap_or_default();
            judge_type(&cx, &credentials, kind, zones, &mut judged).await?;
        }
        judged.record();
    }
    Ok(())
}

async fn judge_region(
    cx: &Cx<Aws>,
    credentials: &Credentials,
    region: &str,
    judged: &mut Judged<'_, Aws>,
) -> Result<(), Stop> {
    let parameters = [("AllRegions", "true"), ("Filter.1.Name", "region-name"), ("Filter.1.Value.1", region)];
    let seen: Result<Regions, Stop> =
        query::call(cx, Service::Ec2, "DescribeRegions", &parameters, Some(credentials)).await;
    let what = format!("that {region} is enabled for the account");
    let Some(seen) = judged.seen(&what, "ec2:DescribeRegions", seen)? else { return Ok(()) };
    let found = seen.set.items.iter().find(|found| found.name == region);
    let finding =
        |code: &str, cause: Cause, message: String| cx.finding(code, cause, message).subject("region", region);
    match found.map(|found| found.opted_in.as_str()) {
        Some("not-opted-in") => judged.fails(
            finding("region-disabled", Cause::DependencyMissing, format!("The account has not enabled {region}."))
                .command(
                    "Enable the region; it takes some minutes.",
                    ["aws", "account", "enable-region", "--region-name", region],
                ),
        ),
        Some(_) => {}
        None => judged.fails(finding("region-unknown", Cause::ConfigInvalid, format!("AWS has no region {region}."))),
    }
    Ok(())
}

async fn judge_type(
    cx: &Cx<Aws>,
    credentials: &Credentials,
    kind: &str,
    zones: &[String],
    judged: &mut Judged<'_, Aws>,
) -> Result<(), Stop> {
    // Zones have names, which each account has in another order, and ids, which are the same for all.
    let by_id = zones.iter().all(|zone| zone.contains("-az")) && !zones.is_empty();
    let location = if by_id { "availability-zone-id" } else { "availability-zone" };
    let parameters = [("LocationType", location), ("Filter.1.Name", "instance-type"), ("Filter.1.Value.1", kind)];
    let seen: Result<Offerings, Stop> =
        query::call(cx, Service::Ec2, "DescribeInstanceTypeOfferings", &parameters, Some(credentials)).await;
    let what = format!("that {kind} is offered");
    let Some(seen) = judged.seen(&what, "ec2:DescribeInstanceTypeOfferings", seen)? else { return Ok(()) };
    let offered: Vec<&str> = seen.set.items.iter().map(|offering| offering.location.as_str()).collect();
    let lacking: Vec<&str> = zones.iter().map(String::as_str).filter(|zone| !offered.contains(zone)).collect();
    let (cause, message) = match (offered.as_slice(), lacking.as_slice()) {
        ([], _) => (Cause::DependencyMissing, format!("{kind} is not offered in {}.", cx.settings().region)),
        (_, []) => {
            let why = "only launching an instance tells";
            cx.not_proved(format!("that there is capacity for {kind} at the moment"), why, None);
            return Ok(());
        }
        (_, lacking) => (Cause::DependencyUnfit, format!("{kind} is not offered in {}.", lacking.join(", "))),
    };
    let remedy = match offered.as_slice() {
        [] => "Correct the type, or choose one that the region offers.".to_owned(),
        offered => format!("Use zones that offer it ({}), or another type.", offered.join(", ")),
    };
    let list = ["aws", "ec2", "describe-instance-type-offerings", "--location-type", location];
    judged.fails(
        cx.finding("instance-type-not-offered", cause, message).subject("instance type", kind).command(remedy, list),
    );
    Ok(())
}

#[derive(Deserialize)]
struct Regions {
    #[serde(rename = "regionInfo", default)]
    set: Items<Region>,
}

#[derive(Deserialize)]
struct Region {
    #[serde(rename = "regionName")]
    name: String,
    #[serde(rename = "optInStatus", default)]
    opted_in: String,
}

#[derive(Deserialize)]
struct Offerings {
    #[serde(rename = "instanceTypeOfferingSet", default)]
    set: Items<Offering>,
}

#[derive(Deserialize)]
struct Offering {
    location: String,
}
