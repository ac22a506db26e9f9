//! The words of `[[integration.NAME.requires]]`: what the platform will do, use or need. An entry
//! has one subject; who judges it is said beside the words.

pub(crate) mod contradictions;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use lineman_sdk::prelude::*;
use lineman_sdk::{Operation, ResourceTypes};

use crate::arm::{self, Network};
use crate::{Azure, Settings};

/// What a requirement of an Azure integration has come to.
pub(crate) type Judged<'a> = lineman_sdk::Judged<'a, Azure>;

/// What it takes to manage a resource type of Terraform's azurerm provider.
pub(crate) static RESOURCE_TYPES: LazyLock<ResourceTypes> =
    LazyLock::new(|| ResourceTypes::read(include_str!("../resources.toml")));

/// An entry of `[[integration.NAME.requires]]` of an Azure integration: one thing that the platform
/// will do (`action`, `data_action`, `terraform`), use (`resource_provider`, `resource_group`,
/// `vnet`, `subnets`, `region`) or need (`sku`, `quota`, `policy`).
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// An action of Resource Manager, such as `Microsoft.Compute/virtualMachines/write`.
    #[schemars(example = "Microsoft.Compute/virtualMachines/write")]
    pub(crate) action: Option<String>,
    /// An action on data, such as `Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write`.
    pub(crate) data_action: Option<String>,
    /// A resource type of Terraform's azurerm provider, such as `azurerm_linux_virtual_machine`: the
    /// actions that it takes to manage one must be allowed.
    #[schemars(extend("enum" = RESOURCE_TYPES.names()))]
    pub(crate) terraform: Option<String>,
    /// What Terraform will do with it: `create`, `read`, `update`, `delete`; all of it unless set.
    #[schemars(length(min = 1))]
    pub(crate) operations: Option<Vec<Operation>>,
    /// Where the action, or the actions of `terraform`, must be allowed: the id of a resource,
    /// resource group, subscription or management group; the subscription of the settings, unless
    /// set.
    pub(crate) scope: Option<String>,
    /// A resource provider that must be registered, such as `Microsoft.ContainerService`.
    pub(crate) resource_provider: Option<String>,
    /// The name or id of a resource group that must exist, in `region` where it is set; or, with
    /// `vnet`, the one in which the network is.
    pub(crate) resource_group: Option<String>,
    /// The id of a virtual network that must exist, or its name in `resource_group`; in `region`
    /// where it is set.
    pub(crate) vnet: Option<String>,
    /// Ids of subnets that must exist, or their names in `vnet`, with free addresses.
    #[schemars(length(min = 1))]
    pub(crate) subnets: Option<Vec<String>>,
    /// The service that the subnets must be delegated to, such as `Microsoft.Web/serverFarms`.
    pub(crate) delegation: Option<String>,
    /// How many addresses must be free in each subnet; 1 unless set.
    pub(crate) free_addresses: Option<u32>,
    /// A size or SKU of Microsoft.Compute, such as `Standard_D4s_v5`, that must be offered to the
    /// subscription in `region`, or in each of its `zones`.
    pub(crate) sku: Option<String>,
    /// Availability zones of the region, such as `"1"`, in which the SKU must be offered.
    #[schemars(length(min = 1))]
    pub(crate) zones: Option<Vec<String>>,
    /// A region, such as `westeurope`: where the other words are meant; alone, one that the
    /// subscription must have.
    pub(crate) region: Option<String>,
    /// A quota that must leave room: `{ name = "standardDSv3Family", region = "westeurope", need = 16 }`.
    pub(crate) quota: Option<Quota>,
    /// A resource that Azure Policy must not deny:
    /// `{ type = "Microsoft.Compute/virtualMachines", region = "westeurope" }`.
    pub(crate) policy: Option<Wanted>,
}

/// A quota of Microsoft.Compute or Microsoft.Network, and how much of it will be needed on top of what
/// is in use.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Quota {
    /// Its name, such as `cores` or `standardDSv3Family`; `az vm list-usage` and
    /// `az network list-usages` list them.
    pub(crate) name: String,
    /// The region.
    pub(crate) region: String,
    /// How much will be needed; 1 unless set.
    pub(crate) need: Option<u32>,
}

/// A resource to be, as far as it is known.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Wanted {
    /// Its type, such as `Microsoft.Compute/virtualMachines`, or that of Terraform's azurerm provider.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The region that it will be in.
    pub(crate) region: String,
    /// The resource group that it will be in; anywhere in the subscription unless set.
    pub(crate) resource_group: Option<String>,
    /// All tags that it will have; unless set, which it needs is listed.
    pub(crate) tags: Option<BTreeMap<String, String>>,
}

impl Wanted {
    /// The type as Resource Manager has it.
    pub(crate) fn kind(&self) -> &str {
        RESOURCE_TYPES.about(&self.kind, "type").unwrap_or(&self.kind)
    }
}

/// Which of a role's lists an action stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plane {
    /// `actions`: on resources.
    Control,
    /// `dataActions`: on what they hold.
    Data,
}

/// An action that must be allowed, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wish<'a> {
    pub(crate) scope: String,
    pub(crate) plane: Plane,
    pub(crate) action: &'a str,
}

impl Requirement {
    /// The words that say what the requirement is about, of those that it has. Good ones have one,
    /// or several of the network.
    fn subjects(&self) -> Vec<&'static str> {
        let network = self.vnet.is_some() || self.subnets.is_some();
        let words = [
            ("action", self.action.is_some()),
            ("data_action", self.data_action.is_some()),
            ("terraform", self.terraform.is_some()),
            ("resource_provider", self.resource_provider.is_some()),
            ("vnet", self.vnet.is_some()),
            ("subnets", self.subnets.is_some()),
            // With a network it says where that is.
            ("resource_group", self.resource_group.is_some() && !network),
            ("sku", self.sku.is_some()),
            ("quota", self.quota.is_some()),
            ("policy", self.policy.is_some()),
        ];
        let found: Vec<&str> = words.into_iter().filter(|(_, said)| *said).map(|(word, _)| word).collect();
        if found.is_empty() && self.region.is_some() { vec!["region"] } else { found }
    }

    fn is_about(&self, word: &str) -> bool {
        self.subjects().contains(&word)
    }

    /// The actions that it wants to be allowed; nothing where it is about something else, or where
    /// `azure/config` tells what is wrong with it.
    pub(crate) fn wishes(&self, settings: &Settings) -> Option<Vec<Wish<'_>>> {
        let own = || settings.subscription_id.as_ref().map(|subscription| format!("/subscriptions/{subscription}"));
        let scope = match &self.scope {
            Some(scope) if arm::is_scope(scope) => scope.trim_end_matches('/').to_owned(),
            Some(_) => return None,
            None => own()?,
        };
        let wish = |plane: Plane, action| Wish { scope: scope.clone(), plane, action };
        let one = |plane: Plane, action| arm::is_type_or_action(action).then(|| vec![wish(plane, action)]);
        match (&self.action, &self.data_action, &self.terraform) {
            (Some(action), None, None) => one(Plane::Control, action),
            (None, Some(action), None) => one(Plane::Data, action),
            (None, None, Some(name)) => {
                let actions = RESOURCE_TYPES.takes(name, self.operations.as_deref())?;
                Some(actions.into_iter().map(|action| wish(Plane::Control, action)).collect())
            }
            _ => None,
        }
    }

    /// The resource group that must exist.
    pub(crate) fn group(&self) -> Option<&str> {
        self.is_about("resource_group").then(|| arm::group(self.resource_group.as_deref()?))?
    }

    /// The virtual networks that must exist, each with the subnets that must exist in it.
    pub(crate) fn networks(&self) -> Option<Vec<(Network<'_>, Vec<&str>)>> {
        let mut networks: Vec<(Network<'_>, Vec<&str>)> =
            self.network().map(|own| (own, Vec::new())).into_iter().collect();
        for subnet in self.subnets.iter().flatten() {
            let (network, name) = match Network::of(subnet) {
                Some(network) => (network, arm::part(subnet, "subnets")?),
                None => (self.network()?, subnet.as_str()),
            };
            match networks.iter_mut().find(|(known, _)| known.is(&network)) {
                Some((_, subnets)) => subnets.push(name),
                None => networks.push((network, vec![name])),
            }
        }
        (!networks.is_empty()).then_some(networks)
    }

    /// The network that `vnet` names.
    fn network(&self) -> Option<Network<'_>> {
        let vnet = self.vnet.as_deref()?;
        match Network::of(vnet) {
            Some(network) => Some(network),
            None if vnet.starts_with('/') => None,
            None => Some(Network { group: arm::group(self.resource_group.as_deref()?)?, name: vnet }),
        }
    }

    /// The region that must be there, or the SKU that must be offered in one.
    pub(crate) fn capacity(&self) -> Option<(String, Option<&str>)> {
        let region = arm::region(self.region.as_deref()?);
        (self.is_about("sku") || self.is_about("region")).then_some((region, self.sku.as_deref()))
    }
}

/// The subscription in which a requirement is meant; one that is about it and has none is told by
/// `azure/config`.
pub(crate) fn subscription(cx: &Cx<Azure>) -> Result<&str, Stop> {
    cx.settings().subscription_id.as_deref().ok_or_else(|| Stop::not_applicable("no subscription is configured"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a type is made with is its own: whoever may not write it cannot create it.
    #[test]
    fn every_type_writes_and_reads_what_it_is() {
        let names = RESOURCE_TYPES.names();
        assert!(names.len() >= 90, "{}", names.len());
        for name in names {
            let kind = RESOURCE_TYPES.about(name, "type").unwrap_or_else(|| panic!("{name} has no type"));
            let takes = |operation, kind: &str, verb: &str| {
                let action = format!("{kind}/{verb}");
                let all = RESOURCE_TYPES.takes(name, Some(&[operation])).unwrap();
                all.into_iter().any(|one| one.eq_ignore_ascii_case(&action))
            };
            assert!(takes(Operation::Create, kind, "write"), "{name} is not written");
            // An access policy is a part of its vault, and read with it.
            let read = if name == "azurerm_key_vault_access_policy" { "Microsoft.KeyVault/vaults" } else { kind };
            assert!(takes(Operation::Read, read, "read"), "{name} is not read");
            let gone = takes(Operation::Delete, kind, "delete") || takes(Operation::Delete, kind, "write");
            assert!(gone, "{name} is not deleted");
        }
    }
}
