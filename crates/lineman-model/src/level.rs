use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far up the line a check proves; ordered from the configuration file to a real operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The settings make sense, offline.
    Config,
    /// The network path to the endpoint works.
    Reach,
    /// The provider accepts the credential and it is the expected account.
    Identity,
    /// The permissions and scopes that the requirements need are granted.
    Access,
    /// Roles, networks, enabled APIs and buckets exist and fit.
    Dependency,
    /// A real, read-only operation succeeded.
    Operation,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Level; 6] =
        [Level::Config, Level::Reach, Level::Identity, Level::Access, Level::Dependency, Level::Operation];

    /// The level's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Config => "config",
            Level::Reach => "reach",
            Level::Identity => "identity",
            Level::Access => "access",
            Level::Dependency => "dependency",
            Level::Operation => "operation",
        }
    }

    /// What a pass at this level proves, as a clause.
    pub fn proves(self) -> &'static str {
        match self {
            Level::Config => "the settings make sense",
            Level::Reach => "the endpoint answers",
            Level::Identity => "the provider accepts the credential",
            Level::Access => "the permissions that are required are granted",
            Level::Dependency => "the things it depends on exist and fit",
            Level::Operation => "a real, read-only operation succeeds",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no level.
#[derive(Debug, thiserror::Error)]
#[error("unknown level `{0}`; the levels are config, reach, identity, access, dependency, operation")]
pub struct UnknownLevel(String);

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(word: &str) -> Result<Level, UnknownLevel> {
        Level::ALL.into_iter().find(|level| level.as_str() == word).ok_or_else(|| UnknownLevel(word.to_owned()))
    }
}
