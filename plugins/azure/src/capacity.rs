//! `azure/capacity`: the regions that are required are the subscription's, and the SKUs are offered to
//! it there.

use std::collections::BTreeMap;

use lineman_sdk::prelude::*;

use crate::requires::{self, Judged, Requirement};
use crate::{Azure, api};

pub(crate) const LOCATIONS: &str = "GET /subscriptions/{subscriptionId}/locations";
pub(crate) const LOCATIONS_PERMISSION: &str = "Microsoft.Resources/subscriptions/locations/read";
pub(crate) const SKUS: &str = "GET /subscriptions/{subscriptionId}/providers/Microsoft.Compute/skus";
pub(crate) const SKUS_PERMISSION: &str = "Microsoft.Compute/skus/read";

/// What a requirement wants of a region.
struct Wanted<'a> {
    id: &'a str,
    words: &'a Requirement,
    sku: Option<&'a str>,
}

/// `azure/capacity`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let required = cx.requiring("no region and no SKU is required", |words| Some((words, words.capacity()?)))?;
    let subscription = requires::subscription(&cx)?;
    // A region's list of SKUs is long: it is asked for once.
    let mut by_region: BTreeMap<(String, bool), Vec<Wanted<'_>>> = BTreeMap::new();
    for (id, (words, (region, sku))) in required {
        by_region.entry((region, sku.is_some())).or_default().push(Wanted { id, words, sku });
    }
    for ((region, has_sku), wanted) in by_region {
        if has_sku {
            skus(&cx, subscription, &region, &wanted).await?;
        } else {
            locations(&cx, subscription, &region, &wanted).await?;
        }
    }
    Ok(())
}

async fn locations(cx: &Cx<Azure>, subscription: &str, region: &str, wanted: &[Wanted<'_>]) -> Result<(), Stop> {
    #[derive(Deserialize)]
    struct Location {
        name: String,
    }
    let path = format!("/subscriptions/{subscription}/locations");
    let seen = api::list::<Location>(cx, LOCATIONS, &path, &[("api-version", "2022-12-01")]).await;
    let seen = unless_denied(seen)?;
    for Wanted { id, .. } in wanted {
        let mut judged = Judged::new(cx, id);
        match &seen {
            None => {
                let what = format!("that the subscription has the region {region}");
                judged.unproved(what, "the application may not look", Some(LOCATIONS_PERMISSION));
            }
            Some(seen) if seen.iter().any(|location| location.name == region) => {}
            Some(_) => {
                let message = format!("The subscription has no region {region}.");
                let finding = cx.finding("region-unknown", Cause::DependencyMissing, message);
                judged.fails(finding.subject("region", region));
            }
        }
        judged.record();
    }
    Ok(())
}

/// What was listed; nothing where the application may not list it.
fn unless_denied<T>(seen: Result<T, Stop>) -> Result<Option<T>, Stop> {
    match seen {
        Ok(seen) => Ok(Some(seen)),
        Err(stop) if stop.is_denied() => Ok(None),
        Err(stop) => Err(stop),
    }
}

async fn skus(cx: &Cx<Azure>, subscription: &str, region: &str, wanted: &[Wanted<'_>]) -> Result<(), Stop> {
    let path = format!("/subscriptions/{subscription}/providers/Microsoft.Compute/skus");
    let filter = format!("location eq '{region}'");
    let query = [("api-version", "2021-07-01"), ("$filter", filter.as_str())];
    let seen = unless_denied(api::list::<Sku>(cx, SKUS, &path, &query).await)?;
    for Wanted { id, words, sku } in wanted {
        let mut judged = Judged::new(cx, id);
        let name = sku.unwrap_or_default();
        match &seen {
            Some(seen) => judge(cx, seen, region, name, words.zones.as_deref().unwrap_or_default(), &mut judged),
            None => {
                let what = format!("that {name} is offered in {region}");
                judged.unproved(what, "the application may not look", Some(SKUS_PERMISSION));
            }
        }
        judged.record();
    }
    Ok(())
}

fn judge(cx: &Cx<Azure>, skus: &[Sku], region: &str, name: &str, zones: &[String], judged: &mut Judged<'_>) {
    let list = ["az", "vm", "list-skus", "--location", region, "--size", name, "--all", "--output", "table"];
    let finding = |code: &str, cause: Cause, message: String| cx.finding(code, cause, message).subject("SKU", name);
    let Some(sku) = skus.iter().find(|sku| sku.name.eq_ignore_ascii_case(name)) else {
        let message = format!("{name} is not offered in {region}.");
        let remedy = "Correct the name, or choose a size that the region offers.";
        let list = ["az", "vm", "list-skus", "--location", region, "--all", "--output", "table"];
        return judged.fails(finding("sku-not-offered", Cause::DependencyMissing, message).command(remedy, list));
    };
    let closed = |reason: &str| match reason {
        "QuotaId" => "the subscription's offer does not include it",
        _ => "it is not available to the subscription",
    };
    if let Some(restriction) = sku.restrictions.iter().find(|it| it.kind == "Location") {
        let message = format!("{name} is restricted in {region}: {}.", closed(&restriction.reason_code));
        let finding = finding("sku-restricted", Cause::DependencyUnfit, message)
            .or_else(Cause::ProviderCapacity, Confidence::Possible)
            .detail(format!("Azure's reason: {}.", restriction.reason_code))
            .command("Choose another size or region; these restrictions hold.", list)
            .remedy("Or ask Azure's support to open the size to the subscription.");
        return judged.fails(finding);
    }
    let offered: Vec<&str> = sku.location_info.iter().flat_map(|info| &info.zones).map(String::as_str).collect();
    let restricted: Vec<&str> =
        sku.restrictions.iter().flat_map(|it| &it.restriction_info.zones).map(String::as_str).collect();
    let open: Vec<&str> = offered.into_iter().filter(|zone| !restricted.contains(zone)).collect();
    let lacking: Vec<&str> = zones.iter().map(String::as_str).filter(|zone| !open.contains(zone)).collect();
    if !lacking.is_empty() {
        let message = format!("{name} is not available in zone {} of {region}.", lacking.join(" and "));
        let remedy = match open.as_slice() {
            [] => "Choose another size or region, or do without zones: none has it.".to_owned(),
            open => format!("Use zones that have it ({}), or another size.", sorted(open).join(", ")),
        };
        return judged.fails(finding("sku-not-in-zone", Cause::DependencyUnfit, message).command(remedy, list));
    }
    let why = "only creating one tells";
    cx.not_proved(format!("that there is capacity for {name} in {region} at the moment"), why, None);
}

fn sorted<'a>(zones: &[&'a str]) -> Vec<&'a str> {
    let mut zones = zones.to_vec();
    zones.sort_unstable();
    zones
}

/// A SKU of Microsoft.Compute in one region.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sku {
    name: String,
    #[serde(default)]
    location_info: Vec<LocationInfo>,
    #[serde(default)]
    restrictions: Vec<Restriction>,
}

#[derive(Deserialize)]
struct LocationInfo {
    #[serde(default)]
    zones: Vec<String>,
}

/// Where the subscription may not have it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Restriction {
    /// `Location` or `Zone`.
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason_code: String,
    #[serde(default)]
    restriction_info: RestrictionInfo,
}

#[derive(Default, Deserialize)]
struct RestrictionInfo {
    #[serde(default)]
    zones: Vec<String>,
}
