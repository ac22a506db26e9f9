//! The words of `[[integration.NAME.requires]]`: what the platform will do, use or need. An entry
//! has one subject; who judges it is said beside the words.

pub(crate) mod contradictions;
pub(crate) mod reference;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use lineman_sdk::prelude::*;
use lineman_sdk::{Operation, ResourceTypes};

use crate::{Settings, products};

/// What it takes to manage a resource type of Terraform's Google provider.
pub(crate) static RESOURCE_TYPES: LazyLock<ResourceTypes> =
    LazyLock::new(|| ResourceTypes::read(include_str!("../resources.toml")));

/// An entry of `[[integration.NAME.requires]]` of a Google Cloud integration: one thing that the
/// platform will do (`permission`, `terraform`), use (`api`, `network`, `subnetwork`,
/// `service_account`, `bucket`) or need (`quota`).
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// A permission of IAM: `compute.instances.create`.
    pub(crate) permission: Option<String>,
    /// A resource type of Terraform's Google provider, such as `google_compute_instance`: the
    /// permissions that it takes to manage one must be had on the project.
    #[schemars(extend("enum" = RESOURCE_TYPES.names()))]
    pub(crate) terraform: Option<String>,
    /// What Terraform will do with it: `create`, `read`, `update`, `delete`; all of it unless set.
    #[schemars(length(min = 1))]
    pub(crate) operations: Option<Vec<Operation>>,
    /// What the permission is needed on: `project` (the integration's own, unless set),
    /// `projects/ID`, `bucket` (the state bucket) or `buckets/NAME`. Those of `terraform` are needed
    /// on a project.
    pub(crate) resource: Option<String>,
    /// An API that must be enabled in the project: `compute.googleapis.com`.
    pub(crate) api: Option<String>,
    /// A VPC network that must exist: its name, `HOST_PROJECT/NAME` for a shared one, or its path.
    pub(crate) network: Option<String>,
    /// A subnetwork that must exist in the region, in `network` where it is set, and that the
    /// credential must be allowed to use: its name, `HOST_PROJECT/NAME` for a shared one, or its path.
    pub(crate) subnetwork: Option<String>,
    /// The region of the subnetwork; that of the settings unless set.
    pub(crate) region: Option<String>,
    /// How many addresses must be free in the subnetwork's primary range.
    pub(crate) free_addresses: Option<u64>,
    /// The address of a service account that must exist and be enabled, and that the credential must
    /// be allowed to act as, such as one that machines run as.
    pub(crate) service_account: Option<String>,
    /// A quota of Compute Engine that must leave room:
    /// `{ metric = "CPUS", region = "europe-west1", need = 16 }`.
    pub(crate) quota: Option<Quota>,
    /// The name of a bucket of Cloud Storage that must exist.
    pub(crate) bucket: Option<String>,
    /// Where the bucket must lie: a region, or a multi-region or dual-region such as `EU`.
    pub(crate) location: Option<String>,
}

/// A quota of Compute Engine, and how much of it will be needed on top of what is in use.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Quota {
    /// The quota's metric, such as `CPUS`; `gcloud compute regions describe REGION` lists those of a
    /// region, `gcloud compute project-info describe` those of the project.
    #[schemars(regex(pattern = r"^[A-Z][A-Z0-9_]*$"))]
    pub(crate) metric: String,
    /// The region that it is counted in; it is the project's own unless set.
    pub(crate) region: Option<String>,
    /// How much will be needed, in the quota's own unit; 1 unless set.
    pub(crate) need: Option<u32>,
}

/// What permissions are needed on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Project(String),
    Bucket(String),
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Resource::Project(id) => write!(f, "the project {id}"),
            Resource::Bucket(name) => write!(f, "the bucket {name}"),
        }
    }
}

impl Requirement {
    /// The words that say what the requirement is about, of those that it has. Good ones have one,
    /// or both of the network.
    fn subjects(&self) -> Vec<&'static str> {
        let words = [
            ("permission", self.permission.is_some()),
            ("terraform", self.terraform.is_some()),
            ("api", self.api.is_some()),
            ("network", self.network.is_some()),
            ("subnetwork", self.subnetwork.is_some()),
            ("service_account", self.service_account.is_some()),
            ("quota", self.quota.is_some()),
            ("bucket", self.bucket.is_some()),
        ];
        words.into_iter().filter(|(_, said)| *said).map(|(word, _)| word).collect()
    }

    /// Itself, where it is about a network.
    pub(crate) fn network(&self) -> Option<&Requirement> {
        (self.network.is_some() || self.subnetwork.is_some()).then_some(self)
    }

    /// The permissions that it needs, and on what; nothing where it is about something else, or
    /// cannot be read, which `gcp/config` tells.
    pub(crate) fn permissions(&self, settings: &Settings) -> Option<(Resource, BTreeSet<&str>)> {
        let permissions = match (&self.permission, &self.terraform) {
            (Some(permission), _) => BTreeSet::from([permission.as_str()]),
            (None, Some(kind)) => RESOURCE_TYPES.takes(kind, self.operations.as_deref())?,
            (None, None) => return None,
        };
        Some((self.on(settings).ok()?, permissions))
    }

    /// What the permissions are needed on, or what is wrong with how it is said, as a clause.
    fn on(&self, settings: &Settings) -> Result<Resource, &'static str> {
        let (kind, name) = match self.resource.as_deref() {
            None | Some("project") => {
                ("projects", settings.project_id.as_deref().ok_or("takes the setting `project_id`")?)
            }
            Some("bucket") => ("buckets", settings.state_bucket.as_deref().ok_or("takes the setting `state_bucket`")?),
            Some(text) => text.split_once('/').unwrap_or_default(),
        };
        match kind {
            "projects" if !name.is_empty() => Ok(Resource::Project(name.to_owned())),
            "buckets" if !name.is_empty() => Ok(Resource::Bucket(name.to_owned())),
            _ => Err("names a `resource` that is no project and no bucket"),
        }
    }

    /// The APIs that it takes, by their full names, where they are known.
    pub(crate) fn apis(&self, settings: &Settings) -> BTreeSet<String> {
        let mut apis: BTreeSet<String> = self.named_api().into_iter().collect();
        let permissions = self.permissions(settings).map(|(_, permissions)| permissions);
        apis.extend(permissions.into_iter().flatten().filter_map(products::api_of));
        let compute = self.network().is_some() || self.quota.is_some();
        apis.extend(compute.then(|| "compute.googleapis.com".to_owned()));
        apis
    }

    /// The API that it is about, by its full name.
    pub(crate) fn named_api(&self) -> Option<String> {
        let api = self.api.as_deref()?;
        Some(if api.contains('.') { api.to_owned() } else { format!("{api}.googleapis.com") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_tells_what_it_takes() {
        let settings: Settings = serde_json::from_str(r#"{"project_id": "acme-prod"}"#).unwrap();
        let check = |json: &str, on: Option<Resource>, permissions: &[&str], apis: &[&str]| {
            let words: Requirement = serde_json::from_str(json).unwrap();
            let taken = words.permissions(&settings);
            assert_eq!(taken.as_ref().map(|(on, _)| on), on.as_ref(), "{json}");
            let had: Vec<&str> = taken.into_iter().flat_map(|(_, permissions)| permissions).collect();
            assert_eq!(had, permissions, "{json}");
            let apis: Vec<String> = apis.iter().map(|api| format!("{api}.googleapis.com")).collect();
            assert_eq!(words.apis(&settings).into_iter().collect::<Vec<_>>(), apis, "{json}");
        };
        let project = || Some(Resource::Project("acme-prod".to_owned()));
        let bucket = Some(Resource::Bucket("acme-state".to_owned()));
        let create = ["compute.instances.create"];
        check(r#"{"permission": "compute.instances.create"}"#, project(), &create, &["compute"]);
        check(r#"{"permission": "compute.instances.create", "resource": "project"}"#, project(), &create, &["compute"]);
        let get = r#"{"permission": "storage.objects.get", "resource": "buckets/acme-state"}"#;
        check(get, bucket, &["storage.objects.get"], &["storage"]);
        let read = r#"{"terraform": "google_sql_user", "operations": ["read"]}"#;
        check(read, project(), &["cloudsql.instances.get", "cloudsql.users.list"], &["sqladmin"]);
        check(r#"{"api": "compute"}"#, None, &[], &["compute"]);
        check(r#"{"api": "compute.googleapis.com"}"#, None, &[], &["compute"]);
        check(r#"{"network": "main"}"#, None, &[], &["compute"]);
    }

    #[test]
    fn every_resource_type_has_an_api() {
        let names = RESOURCE_TYPES.names();
        assert!(names.len() >= 40, "{}", names.len());
        for name in names {
            let taken = RESOURCE_TYPES.takes(name, None).unwrap();
            assert!(taken.iter().all(|permission| products::api_of(permission).is_some()), "{name}: {taken:?}");
        }
        assert!(RESOURCE_TYPES.takes("google_compute_instanse", None).is_none());
    }
}
