//! `azure/resource-groups`: the resource groups that are required exist, and will stay.

use lineman_sdk::prelude::*;

use crate::requires::{self, Judged};
use crate::{Azure, api, arm};

pub(crate) const OPERATION: &str = "GET /subscriptions/{subscriptionId}/resourcegroups/{resourceGroupName}";
pub(crate) const PERMISSION: &str = "Microsoft.Resources/subscriptions/resourceGroups/read";

/// A resource group, as Resource Manager shows it.
#[derive(Deserialize)]
struct Group {
    location: String,
    #[serde(default)]
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    provisioning_state: String,
}

/// `azure/resource-groups`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let required = cx.requiring("no resource group is required", |words| {
        Some((words.group()?, words.region.as_deref().map(arm::region)))
    })?;
    let subscription = requires::subscription(&cx)?;
    for (id, (name, region)) in required {
        let mut judged = Judged::new(&cx, id);
        let path = format!("/subscriptions/{subscription}/resourcegroups/{name}");
        let seen = api::find::<Group>(&cx, OPERATION, &path, &[("api-version", "2021-04-01")]).await;
        let what = format!("that the resource group {name} exists");
        match judged.seen(&what, PERMISSION, seen)? {
            None => {}
            Some(None) => judged.fails(missing(&cx, name, region.as_deref())),
            Some(Some(group)) => judge(&cx, name, region.as_deref(), &group, &mut judged),
        }
        judged.record();
    }
    Ok(())
}

fn missing(cx: &Cx<Azure>, name: &str, region: Option<&str>) -> Finding {
    let message = format!("There is no resource group {name} in the subscription.");
    let make = ["az", "group", "create", "--name", name, "--location", region.unwrap_or("LOCATION")];
    cx.finding("group-missing", Cause::DependencyMissing, message)
        .subject("resource group", name)
        .remedy("Correct the name, or the subscription.")
        .command("Or create it.", make)
}

fn judge(cx: &Cx<Azure>, name: &str, region: Option<&str>, group: &Group, judged: &mut Judged<'_>) {
    let about =
        |code: &str, cause: Cause, message: String| cx.finding(code, cause, message).subject("resource group", name);
    let lies_in = arm::region(&group.location);
    if let Some(region) = region.filter(|region| *region != lies_in) {
        let message = format!("The resource group {name} lies in {lies_in}, not in {region}.");
        judged.fails(about("group-region", Cause::DependencyUnfit, message));
    }
    if group.properties.provisioning_state.eq_ignore_ascii_case("Deleting") {
        let message = format!("The resource group {name} is being deleted, with everything in it.");
        judged.fails(about("group-being-deleted", Cause::ResourceConflict, message));
    }
}
