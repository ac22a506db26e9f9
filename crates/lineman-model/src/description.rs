use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Level;

/// What a plugin says of itself: read from its library in a worker, kept beside it as
/// `description.json`, so that planning, `explain` and `plugin info` load nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Description {
    /// The plugin's id, which is also the provider's: `aws`. Lower-case letters, digits, hyphens.
    pub id: String,
    /// Version of the plugin (semver); has nothing to do with the protocol's.
    pub version: String,
    /// The provider's name as people write it.
    pub title: String,
    /// Who ships the plugin.
    #[serde(default)]
    pub publisher: String,
    /// The protocol versions that it speaks.
    pub protocol: ProtocolRange,
    /// The operations that it accepts; `check` and `close` at least.
    pub operations: Vec<String>,
    /// The SDK it was built with; empty for a plugin built without.
    #[serde(default)]
    pub sdk_version: String,
    /// How many calls it takes at once; the host enforces it.
    #[serde(default = "default_parallel")]
    pub max_parallel: u32,
    /// Its checks, in the order in which they are shown.
    pub checks: Vec<CheckInfo>,
    /// JSON Schema of `[integration.NAME.settings]`.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// JSON Schema of `[integration.NAME.secrets]`, each property a string.
    #[serde(default)]
    pub secrets: Map<String, Value>,
    /// JSON Schema of an entry of `[[integration.NAME.requires]]`, without its `id`; empty where the
    /// plugin takes any words.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub requires: Map<String, Value>,
    /// Its table of known failures, in the format of `lineman-catalog`.
    #[serde(default)]
    pub catalog: Value,
    /// The services that `[integration.NAME.connection.endpoints]` may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceInfo>,
    /// The hosts and ports it talks to, settings in braces: `sts.{region}.amazonaws.com:443`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Environment variables that it wants to see; none is passed unless granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// Paths that it wants to read beyond its own directory and the settings of format `path`; `~/`
    /// is the user's home. None is open unless granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Programs that it runs; the host finds them and hands over their absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// A configuration to begin with: the text of a `lineman.toml`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub example: String,
    /// The plugin's own documentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs_url: Option<String>,
}

fn default_parallel() -> u32 {
    64
}

impl Description {
    /// The check of an id, with or without the plugin's prefix.
    pub fn check(&self, id: &str) -> Option<&CheckInfo> {
        self.checks.iter().find(|check| check.id == id)
    }
}

/// Protocol versions that a plugin speaks, both ends included; the highest common one is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProtocolRange {
    /// Lowest version.
    pub min: u32,
    /// Highest version.
    pub max: u32,
}

impl ProtocolRange {
    /// The highest version that both sides speak.
    pub fn common(self, other: ProtocolRange) -> Option<u32> {
        let highest = self.max.min(other.max);
        (highest >= self.min.max(other.min)).then_some(highest)
    }
}

/// One check that a plugin declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckInfo {
    /// `<plugin>/<kebab-case>`.
    pub id: String,
    /// What it proves, as a short statement: `The key is accepted`.
    pub title: String,
    /// How far up the line it proves.
    pub level: Level,
    /// Ids of the checks that must have passed before it makes sense.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Whether it counts for the verdict.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether it changes something at the provider, and so runs only when the configuration asks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writes: bool,
    /// Whether it looks for something that explains the failures of the others, such as an open
    /// incident at the provider. It runs when they are over, and only where there is something to
    /// explain or it is asked for by name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explains: bool,
    /// Whether it blocks its thread.
    #[serde(default)]
    pub blocking: Blocking,
    /// What it asks of the provider, and the permission each call needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ProviderCall>,
    /// Whether it is still there, and to be used no more. Settings and secrets say the same in
    /// their schema and rules in the catalog, with the same two words.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// Id of the check to use in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
}

fn yes() -> bool {
    true
}

/// How a check uses its thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blocking {
    /// It waits asynchronously.
    #[default]
    No,
    /// It blocks; the SDK runs it on a thread of its own.
    Yes,
}

/// One call that a check makes at the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderCall {
    /// As the provider spells it: `sts:GetCallerIdentity`, `GET /user`.
    pub call: String,
    /// The permission that the call needs; absent when it needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
}

/// A service of the provider whose endpoint the configuration may set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceInfo {
    /// Its name in `endpoints`.
    pub name: String,
    /// What it is for.
    pub about: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_protocol_is_chosen() {
        let range = |min, max| ProtocolRange { min, max };
        assert_eq!(range(1, 3).common(range(2, 5)), Some(3));
        assert_eq!(range(1, 1).common(range(2, 2)), None);
    }
}
