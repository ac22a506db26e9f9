use std::collections::{BTreeMap, BTreeSet};

use lineman_model::{Cause, Finding, Severity, Status};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Cx, Provider, Stop};

impl<P: Provider> Cx<P> {
    /// The requirements that have some words, each with its id.
    ///
    /// # Errors
    ///
    /// Where there are none: the check has nothing to do, for the reason given as a clause.
    pub fn requiring<'a, T>(
        &'a self,
        none: &str,
        words: impl Fn(&'a P::Requirement) -> Option<T>,
    ) -> Result<Vec<(&'a str, T)>, Stop> {
        let found = self.requires().iter().filter_map(|one| Some((one.id.as_str(), words(&one.words)?)));
        let found: Vec<(&str, T)> = found.collect();
        if found.is_empty() { Err(Stop::not_applicable(none)) } else { Ok(found) }
    }
}

/// What judging a requirement came to, so far.
pub struct Judged<'a, P: Provider> {
    cx: &'a Cx<P>,
    id: &'a str,
    status: Status,
}

impl<'a, P: Provider> Judged<'a, P> {
    /// A requirement against which nothing was found.
    pub fn new(cx: &'a Cx<P>, id: &'a str) -> Judged<'a, P> {
        Judged { cx, id, status: Status::Pass }
    }

    /// Something is missing or unfit.
    pub fn fails(&mut self, finding: Finding) {
        self.comes_to(Status::Fail);
        self.cx.report(finding);
    }

    /// Something will hurt, and does not stop what is meant to be done.
    pub fn warns(&mut self, finding: Finding) {
        self.comes_to(Status::Warn);
        self.cx.report(finding.severity(Severity::Warn));
    }

    /// Something was not proved: what, why, and the permission that would let it be.
    pub fn unproved(&mut self, what: impl Into<String>, why: impl Into<String>, needs: Option<&str>) {
        self.comes_to(Status::Unknown);
        self.cx.not_proved(what, why, needs);
    }

    /// What was seen, or nothing where the credential may not look: that is no fault of what was
    /// looked for.
    ///
    /// # Errors
    ///
    /// Whatever else was in the way.
    pub fn seen<T>(&mut self, what: &str, needs: &str, seen: Result<T, Stop>) -> Result<Option<T>, Stop> {
        match seen {
            Ok(seen) => Ok(Some(seen)),
            Err(stop) if stop.is_denied() => {
                self.unproved(what, "the credential may not look", Some(needs));
                Ok(None)
            }
            Err(stop) => Err(stop),
        }
    }

    /// Whether nothing was found against it.
    pub fn passes(&self) -> bool {
        self.status == Status::Pass
    }

    fn comes_to(&mut self, status: Status) {
        self.status = Status::worst([self.status, status]).unwrap_or(status);
    }

    /// Records what it came to.
    pub fn record(self) {
        self.cx.requirement(self.id, self.status);
    }
}

impl Stop {
    /// Whether the credential may not do what it tried.
    pub fn is_denied(&self) -> bool {
        let denied = |cause: &Cause| matches!(cause, Cause::PermissionInsufficient | Cause::PermissionDeniedByPolicy);
        self.finding().is_some_and(|finding| denied(&finding.cause))
    }
}

/// What a provisioning tool does with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Operation {
    /// It makes one.
    Create,
    /// It looks at one.
    Read,
    /// It changes one.
    Update,
    /// It removes one.
    Delete,
}

impl Operation {
    /// Everything that is done with a resource in its life.
    pub const ALL: [Operation; 4] = [Operation::Create, Operation::Read, Operation::Update, Operation::Delete];
}

/// A plugin's table of resource types: what its provider must allow for each operation on one.
///
/// ```
/// use lineman_sdk::{Operation, ResourceTypes};
///
/// let table = r#"
///     [acme_machine]
///     source = "machines/machine.go"      # any other word has a text
///     create = ["machines.create"]
///     read = ["machines.get"]
///     delete = ["machines.delete"]        # what is not written takes nothing
/// "#;
/// let types = ResourceTypes::read(table);
/// let taken = types.takes("acme_machine", Some(&[Operation::Delete])).unwrap();
/// assert!(taken.into_iter().eq(["machines.delete", "machines.get"]));
/// assert!(types.takes("acme_maschine", None).is_none());
/// assert_eq!(types.about("acme_machine", "source"), Some("machines/machine.go"));
/// ```
#[derive(Debug, Default, Deserialize)]
pub struct ResourceTypes(BTreeMap<String, ResourceType>);

#[derive(Debug, Deserialize)]
struct ResourceType {
    #[serde(default)]
    create: Vec<String>,
    read: Vec<String>,
    #[serde(default)]
    update: Vec<String>,
    #[serde(default)]
    delete: Vec<String>,
    /// A misspelt operation is a list, and so no word about the type.
    #[serde(flatten)]
    about: BTreeMap<String, String>,
}

impl ResourceTypes {
    /// Reads a table, in TOML. One that cannot be read has no types, which its plugin tests.
    pub fn read(table: &str) -> ResourceTypes {
        toml::from_str(table).unwrap_or_default()
    }

    /// The names of all types, in order: what the schema of a requirement enumerates, so that an
    /// unknown one is refused with the nearest.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// What another word of a type says.
    pub fn about(&self, name: &str, word: &str) -> Option<&str> {
        self.0.get(name)?.about.get(word).map(String::as_str)
    }

    /// What operations on a type take; all of them, where none are given. Whatever is done with a
    /// resource, it is read.
    pub fn takes(&self, name: &str, operations: Option<&[Operation]>) -> Option<BTreeSet<&str>> {
        let kind = self.0.get(name)?;
        let of = |operation: &Operation| match operation {
            Operation::Create => &kind.create,
            Operation::Read => &kind.read,
            Operation::Update => &kind.update,
            Operation::Delete => &kind.delete,
        };
        let operations = operations.unwrap_or(&Operation::ALL).iter();
        Some(operations.flat_map(of).chain(&kind.read).map(String::as_str).collect())
    }
}
