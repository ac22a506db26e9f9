//! The words of `[[integration.NAME.requires]]`: what the platform will do, use or need. An entry
//! has one subject; who judges it is said beside the words.

pub(crate) mod contradictions;

use std::sync::LazyLock;

use lineman_sdk::prelude::*;
use lineman_sdk::{Operation, ResourceTypes};

/// What it takes to manage a resource type of Terraform's AWS provider.
pub(crate) static RESOURCE_TYPES: LazyLock<ResourceTypes> =
    LazyLock::new(|| ResourceTypes::read(include_str!("../resources.toml")));

/// An entry of `[[integration.NAME.requires]]` of an AWS integration: one thing that the platform
/// will do (`action`, `terraform`), use (`vpc`, `subnets`, `security_groups`, `role`, `bucket`,
/// `kms_key`, `region`) or need (`instance_type`, `quota`).
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// An action that must be allowed, such as `s3:PutObject`.
    pub(crate) action: Option<String>,
    /// A resource type of Terraform's AWS provider, such as `aws_db_instance`: the actions that it
    /// takes to manage one must be allowed.
    #[schemars(extend("enum" = RESOURCE_TYPES.names()))]
    pub(crate) terraform: Option<String>,
    /// What Terraform will do with it: `create`, `read`, `update`, `delete`; all of it unless set.
    #[schemars(length(min = 1))]
    pub(crate) operations: Option<Vec<Operation>>,
    /// The ARN on which the action, or the actions of `terraform`, must be allowed; any resource
    /// unless set.
    pub(crate) resource: Option<String>,
    /// The id or ARN of a VPC that must exist in the region.
    pub(crate) vpc: Option<String>,
    /// Ids or ARNs of subnets that must exist in the region, in `vpc` where it is set, in one of
    /// the `zones`, and with free addresses.
    #[schemars(length(min = 1))]
    pub(crate) subnets: Option<Vec<String>>,
    /// Ids or ARNs of security groups that must exist in the region, in `vpc` where it is set.
    #[schemars(length(min = 1))]
    pub(crate) security_groups: Option<Vec<String>>,
    /// Availability zones: the subnets must lie in them and leave none out, or the instance type
    /// must be offered in each.
    #[schemars(length(min = 1))]
    pub(crate) zones: Option<Vec<String>>,
    /// How many addresses must be free in each subnet; 1 unless set.
    pub(crate) free_addresses: Option<u64>,
    /// The name or ARN of a role that must exist, such as one that is handed to a service.
    pub(crate) role: Option<String>,
    /// Who must be trusted to assume the role: a service such as `lambda.amazonaws.com`, or the ARN
    /// of a user, role or account.
    pub(crate) trusts: Option<String>,
    /// An instance type of EC2, such as `m7g.large`, that must be offered in the region, or in each
    /// of the `zones`.
    pub(crate) instance_type: Option<String>,
    /// A quota that must leave room: `{ service = "vpc", code = "L-F678F1CE", need = 2 }`.
    pub(crate) quota: Option<Quota>,
    /// The name of an S3 bucket that must exist in the region.
    pub(crate) bucket: Option<String>,
    /// The id, ARN or alias of a KMS key that must exist in the region and be enabled.
    pub(crate) kms_key: Option<String>,
    /// A region that must be enabled for the account.
    pub(crate) region: Option<String>,
}

/// A quota, and how much of it will be needed on top of what is in use.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Quota {
    /// The service's code in Service Quotas, such as `ec2`; `aws service-quotas list-services`
    /// lists them.
    pub(crate) service: String,
    /// The quota's code, such as `L-1216C47A`; `aws service-quotas list-service-quotas` lists them.
    #[schemars(regex(pattern = r"^L-[0-9A-F]{8}$"))]
    pub(crate) code: String,
    /// How much will be needed, in the quota's own unit; 1 unless set.
    pub(crate) need: Option<u32>,
}

/// The subjects that may stand in one requirement.
const NETWORK: [&str; 3] = ["vpc", "subnets", "security_groups"];

impl Requirement {
    /// The words that say what the requirement is about, of those that it has. Good ones have one,
    /// or several of the network.
    fn subjects(&self) -> Vec<&'static str> {
        let words = [
            ("action", self.action.is_some()),
            ("terraform", self.terraform.is_some()),
            ("vpc", self.vpc.is_some()),
            ("subnets", self.subnets.is_some()),
            ("security_groups", self.security_groups.is_some()),
            ("role", self.role.is_some()),
            ("instance_type", self.instance_type.is_some()),
            ("quota", self.quota.is_some()),
            ("bucket", self.bucket.is_some()),
            ("kms_key", self.kms_key.is_some()),
            ("region", self.region.is_some()),
        ];
        words.into_iter().filter(|(_, said)| *said).map(|(word, _)| word).collect()
    }

    /// Itself, where it is about any of these.
    fn about(&self, words: &[&str]) -> Option<&Requirement> {
        self.subjects().iter().any(|subject| words.contains(subject)).then_some(self)
    }

    /// Itself, where it is about a network.
    pub(crate) fn network(&self) -> Option<&Requirement> {
        self.about(&NETWORK)
    }

    /// Itself, where it is about what holds data.
    pub(crate) fn storage(&self) -> Option<&Requirement> {
        self.about(&["bucket", "kms_key"])
    }

    /// Itself, where it is about what a region has.
    pub(crate) fn capacity(&self) -> Option<&Requirement> {
        self.about(&["region", "instance_type"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_tells_what_it_takes() {
        let types = RESOURCE_TYPES.names().len();
        assert!(types >= 60, "{types}");
        assert!(RESOURCE_TYPES.takes("aws_db_instance", None).unwrap().contains("rds:CreateDBInstance"));
        let deleted = RESOURCE_TYPES.takes("aws_db_instance", Some(&[Operation::Delete])).unwrap();
        assert!(deleted.contains("rds:DeleteDBInstance") && deleted.contains("rds:DescribeDBInstances"));
        assert!(!deleted.contains("rds:CreateDBInstance"));
        assert!(RESOURCE_TYPES.takes("aws_db_instanse", None).is_none());
    }
}
