//! What it takes to manage a resource type of Terraform's azurerm provider: `resources.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;

static TABLE: LazyLock<BTreeMap<String, Kind>> = LazyLock::new(|| {
    // A table that cannot be read would name no type, and a test reads it.
    toml::from_str(include_str!("../resources.toml")).unwrap_or_default()
});

/// What is done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum Operation {
    Create,
    Read,
    Update,
    Delete,
}

impl Operation {
    /// Everything that is done with a resource in its life.
    pub(crate) const ALL: [Operation; 4] = [Operation::Create, Operation::Read, Operation::Update, Operation::Delete];
}

/// A resource type, with the actions that each operation takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kind {
    /// The type in Resource Manager.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Where the provider does it.
    #[serde(rename = "source")]
    _source: String,
    create: Vec<String>,
    read: Vec<String>,
    #[serde(default)]
    update: Vec<String>,
    delete: Vec<String>,
}

impl Kind {
    /// The resource type of a name such as `azurerm_subnet`.
    pub(crate) fn named(name: &str) -> Option<&'static Kind> {
        TABLE.get(name)
    }

    /// The actions that operations take. Whatever Terraform does with a resource, it reads it.
    pub(crate) fn actions(&self, operations: &[Operation]) -> BTreeSet<&str> {
        let of = |operation: &Operation| match operation {
            Operation::Create => &self.create,
            Operation::Read => &self.read,
            Operation::Update => &self.update,
            Operation::Delete => &self.delete,
        };
        operations.iter().flat_map(of).chain(&self.read).map(String::as_str).collect()
    }
}

/// The names of all resource types, in order.
pub(crate) fn names() -> Vec<&'static str> {
    TABLE.keys().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_tells_what_it_takes() {
        assert!(names().len() >= 90, "{}", names().len());
        let machine = Kind::named("azurerm_linux_virtual_machine").unwrap();
        assert!(machine.actions(&Operation::ALL).contains("Microsoft.Compute/virtualMachines/write"));
        let deleted = machine.actions(&[Operation::Delete]);
        assert!(deleted.contains("Microsoft.Compute/virtualMachines/delete"));
        assert!(deleted.contains("Microsoft.Compute/virtualMachines/read"));
        assert!(!deleted.contains("Microsoft.Compute/virtualMachines/write"));
        assert!(Kind::named("azurerm_linux_virtual_machin").is_none());
    }

    /// What a type is made with is its own: whoever may not write it cannot create it.
    #[test]
    fn every_type_writes_and_reads_what_it_is() {
        let same = |action: &String, kind: &str, verb: &str| action.eq_ignore_ascii_case(&format!("{kind}/{verb}"));
        for (name, kind) in TABLE.iter() {
            assert!(kind.create.iter().any(|action| same(action, &kind.kind, "write")), "{name} is not written");
            // An access policy is a part of its vault, and read with it.
            let read = if name == "azurerm_key_vault_access_policy" { "Microsoft.KeyVault/vaults" } else { &kind.kind };
            assert!(kind.read.iter().any(|action| same(action, read, "read")), "{name} is not read");
            let gone = |action| same(action, &kind.kind, "delete") || same(action, &kind.kind, "write");
            assert!(kind.delete.iter().any(gone), "{name} is not deleted");
        }
    }
}
