//! What it takes to manage a resource type of Terraform's AWS provider: `resources.toml`.

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
    /// The resource of CloudFormation that is the same thing, for the test of the table.
    #[serde(rename = "cloudformation")]
    _cloudformation: Option<String>,
    /// Where the provider does it.
    #[serde(rename = "source")]
    _source: String,
    #[serde(default)]
    create: Vec<String>,
    read: Vec<String>,
    #[serde(default)]
    update: Vec<String>,
    delete: Vec<String>,
}

impl Kind {
    /// The resource type of a name such as `aws_db_instance`.
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
        assert!(names().len() >= 60, "{}", names().len());
        let database = Kind::named("aws_db_instance").unwrap();
        assert!(database.actions(&Operation::ALL).contains("rds:CreateDBInstance"));
        let deleted = database.actions(&[Operation::Delete]);
        assert!(deleted.contains("rds:DeleteDBInstance") && deleted.contains("rds:DescribeDBInstances"));
        assert!(!deleted.contains("rds:CreateDBInstance"));
        assert!(Kind::named("aws_db_instanse").is_none());
    }
}
