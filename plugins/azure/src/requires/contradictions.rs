//! Requirements that cannot be meant, or that the settings contradict: seen without asking anybody.

use lineman_sdk::Contradictions;
use lineman_sdk::prelude::*;

use super::{Quota, RESOURCE_TYPES, Requirement, Wanted};
use crate::Settings;
use crate::arm::{self, Network};

/// The subjects that are about what is allowed, and where.
const ALLOWED: [&str; 3] = ["action", "data_action", "terraform"];

/// The page that says how a word's value is spelled.
fn page(word: &str) -> Option<(&'static str, &'static str)> {
    Some(match word.split('/').next().unwrap_or_default() {
        "action" | "data_action" => (
            "Azure permissions",
            "https://learn.microsoft.com/en-us/azure/role-based-access-control/resource-provider-operations",
        ),
        "scope" => (
            "Understand scope for Azure RBAC",
            "https://learn.microsoft.com/en-us/azure/role-based-access-control/scope-overview",
        ),
        "resource_group" | "vnet" | "subnets" => (
            "Naming rules for Azure resources",
            "https://learn.microsoft.com/en-us/azure/azure-resource-manager/management/resource-name-rules",
        ),
        "region" | "zones" => {
            ("List of Azure regions", "https://learn.microsoft.com/en-us/azure/reliability/regions-list")
        }
        "sku" => (
            "Names of virtual machine sizes",
            "https://learn.microsoft.com/en-us/azure/virtual-machines/vm-naming-conventions",
        ),
        _ => return None,
    })
}

/// Everything that is wrong with one requirement, given its place among them and its id.
pub(crate) fn of(settings: &Settings, index: usize, id: &str, requirement: &Requirement) -> Vec<Finding> {
    let found = Contradictions::new("azure/requirement-wrong", index, id, &page);
    let mut found = Found { settings, found };
    found.subjects(requirement);
    found.permission(requirement);
    found.network(requirement);
    found.others(requirement);
    found.found.found()
}

struct Found<'a> {
    settings: &'a Settings,
    found: Contradictions<'a>,
}

impl Found<'_> {
    fn wrong(&mut self, word: &str, message: String, remedy: &str) {
        self.found.wrong(word, message, remedy);
    }

    fn subjects(&mut self, requirement: &Requirement) {
        let subjects = requirement.subjects();
        let Requirement { scope, operations, delegation, free_addresses, zones, region, sku, .. } = requirement;
        self.found.subjects(
            &subjects,
            &["vnet", "subnets"],
            "Say one thing: an `action`, a type of `terraform`, a `resource_group`, `subnets`, a `sku` and so on.",
            &[
                ("scope", scope.is_some(), &ALLOWED),
                ("operations", operations.is_some(), &["terraform"]),
                ("delegation", delegation.is_some(), &["subnets"]),
                ("free_addresses", free_addresses.is_some(), &["subnets"]),
                ("zones", zones.is_some(), &["sku"]),
                ("region", region.is_some(), &["region", "resource_group", "vnet", "subnets", "sku"]),
            ],
        );
        if sku.is_some() && region.is_none() {
            let message = "A requirement says `sku`, and has no `region`.".to_owned();
            self.wrong("sku", message, "Add the region, such as `region = \"westeurope\"`.");
        }
        let has_place = scope.is_some() && subjects.iter().any(|subject| ALLOWED.contains(subject));
        if let Some(first) = subjects.first().filter(|_| self.settings.subscription_id.is_none() && !has_place) {
            let message = format!("A requirement says `{first}`, and no `subscription_id` is set.");
            self.wrong(first, message, "Set `subscription_id`; what is allowed may have a `scope` of its own instead.");
        }
    }

    fn permission(&mut self, requirement: &Requirement) {
        let Requirement { action, data_action, scope, resource_provider, .. } = requirement;
        for (word, action) in [("action", action), ("data_action", data_action)] {
            if let Some(action) = action.as_deref().filter(|action| !arm::is_type_or_action(action)) {
                let message = format!("`{action}` is no single action.");
                let remedy = "Give one action, such as `Microsoft.Compute/virtualMachines/write`: whether a pattern is allowed has no answer.";
                self.wrong(word, message, remedy);
            }
        }
        if let Some(scope) = scope.as_deref().filter(|scope| !arm::is_scope(scope)) {
            let remedy = "Give an id, such as `/subscriptions/ID/resourceGroups/NAME`, or leave it out.";
            self.wrong("scope", format!("`{scope}` is no scope."), remedy);
        }
        if let Some(namespace) = resource_provider.as_deref().filter(|namespace| !arm::is_namespace(namespace)) {
            let message = format!("`{namespace}` is no resource provider.");
            self.wrong("resource_provider", message, "Give its namespace alone, such as `Microsoft.Compute`.");
        }
    }

    fn network(&mut self, requirement: &Requirement) {
        let Requirement { resource_group, vnet, subnets, delegation, free_addresses, .. } = requirement;
        if let Some(text) = resource_group.as_deref() {
            self.group("resource_group", text);
        }
        let own = requirement.network();
        if let Some(text) = vnet.as_deref() {
            self.own_subscription("vnet", text);
            if !text.starts_with('/') && resource_group.is_none() {
                let remedy = "Give its id, or the `resource_group` that it is in.";
                self.wrong("vnet", format!("Where the network `{text}` is, is not said."), remedy);
            } else if !own.as_ref().is_some_and(|own| arm::is_network_name(own.name)) {
                let remedy = "Give an id such as `/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.Network/virtualNetworks/NAME`, or its name in `resource_group`.";
                self.wrong("vnet", format!("`{text}` is no virtual network."), remedy);
            }
        }
        for (n, text) in subnets.iter().flatten().enumerate() {
            let word = &format!("subnets/{n}");
            self.own_subscription(word, text);
            let named = if text.starts_with('/') { arm::part(text, "subnets") } else { Some(text.as_str()) };
            if !named.is_some_and(arm::is_network_name) {
                let remedy = "Give the id of a subnet, or its name in `vnet`.";
                self.wrong(word, format!("`{text}` is no subnet."), remedy);
            } else if !text.starts_with('/') && vnet.is_none() {
                let remedy = "Give the subnet's id, or the `vnet` that it is in.";
                self.wrong(word, format!("In which network the subnet `{text}` is, is not said."), remedy);
            } else if let (Some(own), Some(other)) = (&own, Network::of(text))
                && !own.is(&other)
            {
                let message = format!("The subnet is of the network {other}, the requirement of {own}.");
                self.wrong(word, message, "Name a subnet of that network, or correct `vnet`.");
            }
        }
        if let Some(service) = delegation.as_deref().filter(|service| !arm::is_type_or_action(service)) {
            let remedy = "Give one such as `Microsoft.Web/serverFarms`.";
            self.wrong("delegation", format!("`{service}` is no service that subnets are delegated to."), remedy);
        }
        if *free_addresses == Some(0) {
            let remedy = "Set it to how many will be used, or remove it.";
            self.wrong("free_addresses", "No address is needed.".to_owned(), remedy);
        }
    }

    fn others(&mut self, requirement: &Requirement) {
        let Requirement { region, sku, zones, quota, policy, .. } = requirement;
        if let Some(region) = region.as_deref() {
            self.region("region", region);
        }
        let named =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        if let Some(sku) = sku.as_deref().filter(|sku| !named(sku)) {
            self.wrong("sku", format!("`{sku}` is no SKU of Azure."), "Give one such as `Standard_D4s_v5`.");
        }
        for (n, zone) in zones.iter().flatten().enumerate() {
            if zone.is_empty() || !zone.chars().all(|c| c.is_ascii_digit()) {
                let message = format!("`{zone}` is no availability zone.");
                self.wrong(
                    &format!("zones/{n}"),
                    message,
                    "Give its number, such as `\"1\"`; the region stands in `region`.",
                );
            }
        }
        if let Some(Quota { name, region, need }) = quota {
            if !named(name) {
                let message = format!("`{name}` is no name of a quota.");
                self.wrong(
                    "quota/name",
                    message,
                    "Give one such as `standardDSv3Family`, not what it is called in the portal.",
                );
            }
            self.region("quota/region", region);
            if *need == Some(0) {
                let message = "A quota is needed for nothing.".to_owned();
                self.wrong("quota/need", message, "Set `need` to how much will be used.");
            }
        }
        let Some(Wanted { kind, region, resource_group, .. }) = policy else { return };
        if RESOURCE_TYPES.takes(kind, None).is_none() && !arm::is_type_or_action(kind) {
            let message = format!("`{kind}` is no resource type that is known.");
            self.wrong("policy/type", message, "Give one such as `Microsoft.Compute/virtualMachines`.");
        }
        self.region("policy/region", region);
        if let Some(group) = resource_group {
            self.group("policy/resource_group", group);
        }
    }

    fn group(&mut self, word: &str, text: &str) {
        self.own_subscription(word, text);
        if !arm::group(text).is_some_and(arm::is_group_name) {
            let message = format!("`{text}` cannot be a resource group.");
            let remedy = "Give its name: letters, digits, `_`, `-`, `.` and brackets, up to 90, and no dot at the end.";
            self.wrong(word, message, remedy);
        }
    }

    fn region(&mut self, word: &str, text: &str) {
        if let Some(why) = arm::not_a_region(text, self.settings.cloud) {
            let remedy = "Give its name, such as `westeurope`; `az account list-locations` lists them.";
            self.wrong(word, format!("`{text}` cannot be a region: {why}."), remedy);
        }
    }

    /// What a platform puts into a network or a group, is of their subscription.
    fn own_subscription(&mut self, word: &str, id: &str) {
        let own = self.settings.subscription_id.as_deref();
        let (Some(own), Some(of)) = (own, arm::part(id, "subscriptions").filter(|_| id.starts_with('/'))) else {
            return;
        };
        if !own.eq_ignore_ascii_case(of) {
            let message = format!("`{id}` is of the subscription {of}, the integration of {own}.");
            self.wrong(word, message, "Name one of that subscription, or make an integration for the other.");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWN: &str = "50000000-0000-4000-8000-000000000001";

    fn check(subscription: Option<&str>, words: &str, expect: &[&str]) {
        let settings = json!({ "tenant_id": OWN, "client_id": OWN, "subscription_id": subscription });
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let words = words.replace(
            "$NET",
            &format!("/subscriptions/{OWN}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks"),
        );
        let requirement: Requirement = serde_json::from_str(&words).unwrap();
        let found = of(&settings, 3, "it", &requirement);
        let pointers = found.iter().map(|finding| finding.subject.as_ref().unwrap().pointer.clone().unwrap());
        let expect: Vec<String> = expect.iter().map(|word| format!("/requires/3/{word}")).collect();
        assert_eq!(pointers.collect::<Vec<_>>(), expect, "{words}: {found:?}");
    }

    #[test]
    fn what_can_be_meant_is_taken() {
        for good in [
            r#"{ "action": "Microsoft.Compute/virtualMachines/write" }"#,
            r#"{ "data_action": "Microsoft.Storage/a/b", "scope": "/subscriptions/2/resourceGroups/x/" }"#,
            r#"{ "terraform": "azurerm_subnet", "operations": ["create"] }"#,
            r#"{ "resource_provider": "Microsoft.Web" }"#,
            r#"{ "resource_group": "web", "region": "West Europe" }"#,
            r#"{ "resource_group": "net", "vnet": "main", "subnets": ["apps"], "free_addresses": 8 }"#,
            r#"{ "vnet": "$NET/main", "subnets": ["apps", "$NET/Main/subnets/data"], "region": "westeurope" }"#,
            r#"{ "subnets": ["$NET/main/subnets/apps", "$NET/other/subnets/b"], "delegation": "Microsoft.Web/serverFarms" }"#,
            r#"{ "sku": "Standard_D4s_v5", "region": "westeurope", "zones": ["1", "3"] }"#,
            r#"{ "region": "westeurope" }"#,
            r#"{ "quota": { "name": "cores", "region": "westeurope" } }"#,
            r#"{ "policy": { "type": "Microsoft.Compute/virtualMachines", "region": "westeurope", "resource_group": "web" } }"#,
            r#"{ "policy": { "type": "azurerm_subnet", "region": "westeurope" } }"#,
        ] {
            check(Some(OWN), good, &[]);
        }
        check(None, r#"{ "action": "A.B/c/read", "scope": "/subscriptions/2" }"#, &[]);
    }

    #[test]
    fn what_settings_contradict_is_found_without_asking() {
        let own = |words: &str, expect: &[&str]| check(Some(OWN), words, expect);
        own("{}", &["id"]);
        own(r#"{ "action": "A.B/c/read", "data_action": "A.B/c/read" }"#, &["data_action"]);
        own(r#"{ "sku": "Standard_B2s", "region": "westeurope", "resource_group": "web" }"#, &["sku"]);
        own(
            r#"{ "quota": { "name": "cores", "region": "westeurope" }, "region": "westeurope", "scope": "/subscriptions/2" }"#,
            &["scope", "region"],
        );
        own(r#"{ "action": "Microsoft.Web/*" }"#, &["action"]);
        own(r#"{ "action": "Microsoft.Web/sites/read", "scope": "my-group" }"#, &["scope"]);
        own(r#"{ "resource_provider": "Microsoft.Web/sites" }"#, &["resource_provider"]);
        own(r#"{ "resource_group": "web.", "region": "eu-west-1" }"#, &["resource_group", "region"]);
        own(r#"{ "resource_group": "/subscriptions/2/resourceGroups/web" }"#, &["resource_group"]);
        own(r#"{ "vnet": "main" }"#, &["vnet"]);
        own(r#"{ "vnet": "/subscriptions/50000000-0000-4000-8000-000000000001/resourceGroups/net" }"#, &["vnet"]);
        own(r#"{ "subnets": ["apps"] }"#, &["subnets/0"]);
        own(r#"{ "subnets": ["$NET/main"] }"#, &["subnets/0"]);
        own(r#"{ "vnet": "$NET/main", "subnets": ["$NET/other/subnets/apps"] }"#, &["subnets/0"]);
        own(
            r#"{ "subnets": ["/subscriptions/2/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/main/subnets/apps"] }"#,
            &["subnets/0"],
        );
        own(
            r#"{ "vnet": "$NET/main", "delegation": "x", "free_addresses": 0 }"#,
            &["delegation", "free_addresses", "delegation", "free_addresses"],
        );
        own(r#"{ "sku": "Standard_B2s" }"#, &["sku"]);
        own(
            r#"{ "sku": "m5.large", "region": "usgovvirginia", "zones": ["westeurope-1"] }"#,
            &["region", "sku", "zones/0"],
        );
        own(
            r#"{ "quota": { "name": "Total vCPUs", "region": "eu-west-1", "need": 0 } }"#,
            &["quota/name", "quota/region", "quota/need"],
        );
        own(
            r#"{ "policy": { "type": "virtualMachines", "region": "west", "resource_group": "a/b" } }"#,
            &["policy/type", "policy/region", "policy/resource_group"],
        );
        check(None, r#"{ "action": "A.B/c/read" }"#, &["action"]);
        check(None, r#"{ "resource_group": "web" }"#, &["resource_group"]);
    }
}
