//! What is told of networks, subnetworks and quotas: "REST Resource: networks", "… subnetworks",
//! "… projects" and "… regions" of the Compute Engine API, v1.

use serde_json::{Value, json};

use super::answers::{disabled, older, said};
use super::world::{Project, address};
use super::{Caller, Cloud, Refusal, granted, missing};
use crate::api::{Request, Response};

const ROOT: &str = "https://www.googleapis.com/compute/v1";

impl Cloud {
    /// Answers below `/compute/v1/projects/ID`.
    pub(super) fn compute(&self, request: &Request, id: &str, rest: &[&str]) -> Result<Response, Refusal> {
        let caller = self.caller(request)?;
        self.consumer(request, &caller, "compute", "Compute Engine")?;
        let project = self.world.project(id).map(|(_, project)| project);
        let project =
            project.ok_or_else(|| older(404, "notFound", &format!("The resource 'projects/{id}' was not found")))?;
        let path = [&["projects", id], rest].concat().join("/");
        if !project.enabled("compute") {
            return Err(disabled("compute.googleapis.com", "Compute Engine", project.number));
        }
        match (request.method.as_str(), rest) {
            ("GET", []) => {
                may(&caller, "compute.projects.get", id, &path)?;
                Ok(said(200, &json!({ "kind": "compute#project", "name": id, "quotas": quotas(project, None) })))
            }
            ("GET", ["regions", region]) => {
                may(&caller, "compute.regions.get", id, &path)?;
                let known = project.quotas.contains_key(*region);
                let region = known.then_some(*region).ok_or_else(|| not_found(&path))?;
                Ok(said(
                    200,
                    &json!({ "kind": "compute#region", "name": region, "quotas": quotas(project, Some(region)) }),
                ))
            }
            ("GET", ["global", "networks", name]) => {
                may(&caller, "compute.networks.get", id, &path)?;
                let own = format!("{id}/{name}");
                self.world.network.contains(&own).then_some(()).ok_or_else(|| not_found(&path))?;
                let subnetworks = self.world.subnetwork.iter().filter(|(_, subnetwork)| subnetwork.network == own);
                let links: Vec<String> = subnetworks.map(|(place, _)| link(place)).collect();
                Ok(said(200, &json!({ "kind": "compute#network", "name": name, "subnetworks": links })))
            }
            ("GET", ["regions", region, "subnetworks", name]) => {
                may(&caller, "compute.subnetworks.get", id, &path)?;
                let found = self.world.subnetwork.get(&format!("{id}/{region}/{name}"));
                let subnetwork = found.ok_or_else(|| not_found(&path))?;
                let (project, network) = subnetwork.network.split_once('/').unwrap_or_default();
                let mut told = json!({
                    "kind": "compute#subnetwork", "name": name, "region": format!("{ROOT}/projects/{id}/regions/{region}"),
                    "network": format!("{ROOT}/projects/{project}/global/networks/{network}"),
                });
                if request.parameters().iter().any(|(key, value)| key == "views" && value == "WITH_UTILIZATION") {
                    let primary =
                        json!({ "rangeName": "", "totalAllocatedIp": "5", "totalFreeIp": subnetwork.free.to_string() });
                    let pods = json!({ "rangeName": "pods", "totalAllocatedIp": "0", "totalFreeIp": "65536" });
                    told["utilizationDetails"] = json!({ "ipv4Utilizations": [pods, primary] });
                }
                Ok(said(200, &told))
            }
            ("POST", ["regions", region, "subnetworks", name, "testIamPermissions"]) => {
                let found = self.world.subnetwork.get(&format!("{id}/{region}/{name}"));
                let subnetwork = found.ok_or_else(|| not_found(&path))?;
                let held = subnetwork.users.iter().any(|name| address(name) == caller.address);
                let held: Vec<String> = held.then(|| "compute.subnetworks.use".to_owned()).into_iter().collect();
                granted(request, &held)
            }
            _ => Err(missing()),
        }
    }
}

/// Compute Engine asks for the permission before it looks for the thing. Its words:
/// <https://github.com/hashicorp/terraform-provider-google/issues/8262>.
fn may(caller: &Caller<'_>, permission: &str, id: &str, path: &str) -> Result<(), Refusal> {
    let held = caller.account.on_project(id).iter().any(|it| it == permission);
    held.then_some(())
        .ok_or_else(|| older(403, "forbidden", &format!("Required '{permission}' permission for '{path}'")))
}

fn not_found(path: &str) -> Refusal {
    older(404, "notFound", &format!("The resource '{path}' was not found"))
}

/// `PROJECT/REGION/NAME` as a link.
fn link(place: &str) -> String {
    let parts: Vec<&str> = place.split('/').collect();
    match parts.as_slice() {
        [project, region, name] => format!("{ROOT}/projects/{project}/regions/{region}/subnetworks/{name}"),
        _ => String::new(),
    }
}

fn quotas(project: &Project, region: Option<&str>) -> Vec<Value> {
    let counted = project.quotas.get(region.unwrap_or("global"));
    let told = counted.into_iter().flatten();
    told.map(|(metric, [limit, usage])| json!({ "metric": metric, "limit": limit, "usage": usage })).collect()
}
