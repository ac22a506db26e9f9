use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use lineman_catalog::{EXPLANATION_SCHEMA, Explained, Explanation, Match, Matched, Occurrence};
use lineman_model::{Cause, Level, Severity};

/// Most different failures that are kept apart; of more, only those are counted whose code and
/// integration are known already.
const MOST: usize = 500;
/// Other resources that the same failure hit, kept beside the first.
const MOST_PLACES: usize = 20;

/// The same failure of the same integration, however often it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What it is, with the words of the first time.
    pub explained: Explained,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: Occurrence,
    /// The last time.
    pub last: Occurrence,
    /// The integration that it concerns, where the log tells.
    pub integration: Option<String>,
    /// The longest that the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// The resources of a provisioning tool that it hit.
    pub addresses: Vec<String>,
}

/// What a log tells.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    groups: Vec<Group>,
    index: HashMap<Key, usize>,
    /// Lines that were read.
    pub lines: u64,
    /// Bytes that were read, unpacked.
    pub bytes: u64,
    /// Failures of codes that came after too many others.
    pub uncounted: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    code: String,
    integration: Option<String>,
    /// None for all that came after too many different ones.
    message: Option<String>,
}

impl From<&Group> for Explained {
    fn from(group: &Group) -> Explained {
        Explained {
            count: Some(group.count),
            first: Some(group.first.clone()),
            last: Some(group.last.clone()),
            integration: group.integration.clone(),
            retry_after_ms: group.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            ..group.explained.clone()
        }
    }
}

impl Group {
    fn join(&mut self, later: Group) {
        self.count += later.count;
        self.retry_after = self.retry_after.max(later.retry_after);
        self.last = later.last;
        for address in later.addresses {
            self.add_address(address);
        }
    }

    fn add_address(&mut self, address: String) {
        if self.addresses.len() < MOST_PLACES && !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }
}

impl Summary {
    /// The failures, those of one cause together: the grave and frequent first.
    pub fn groups(&self) -> Vec<&Group> {
        let mut often: HashMap<&Cause, u64> = HashMap::new();
        self.groups.iter().for_each(|group| *often.entry(&group.explained.cause).or_default() += group.count);
        let mut groups: Vec<&Group> = self.groups.iter().collect();
        groups.sort_by_key(|group| {
            let cause = &group.explained.cause;
            let severity = Severity::of(cause, Level::Reach);
            let gravity = [Severity::Fail, Severity::Unknown, Severity::Warn, Severity::Info];
            let gravity = gravity.iter().position(|other| *other == severity);
            (gravity, Reverse(often.get(cause)), cause.as_str(), Reverse(group.count), group.first.line)
        });
        groups
    }

    /// The failures from the one of a number on, as they were first seen.
    pub fn since(&self, number: usize) -> &[Group] {
        self.groups.get(number..).unwrap_or_default()
    }

    /// Whether nothing was recognised.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How many failures there were.
    pub fn count(&self) -> u64 {
        self.groups.iter().map(|group| group.count).sum::<u64>() + self.uncounted
    }

    /// Adds what another log tells, as if it had been read after this one.
    pub fn join(&mut self, other: Summary) {
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.uncounted += other.uncounted;
        let mut keys: Vec<(usize, Key)> = other.index.into_iter().map(|(key, at)| (at, key)).collect();
        keys.sort_unstable_by_key(|(at, _)| *at);
        for ((_, key), group) in keys.into_iter().zip(other.groups) {
            match self.index.get(&key).and_then(|at| self.groups.get_mut(*at)) {
                Some(own) => own.join(group),
                None => {
                    self.index.insert(key, self.groups.len());
                    self.groups.push(group);
                }
            }
        }
    }

    /// What is printed as JSON.
    pub fn explanation(&self) -> Explanation {
        Explanation {
            schema: EXPLANATION_SCHEMA.to_owned(),
            matches: self.groups().into_iter().map(Explained::from).collect(),
        }
    }

    /// Adds a failure.
    pub(crate) fn add(
        &mut self,
        found: &Match<'_>,
        at: Occurrence,
        integration: Option<&str>,
        retry_after: Option<Duration>,
    ) {
        let mut key = Key {
            code: found.code.clone(),
            integration: integration.map(str::to_owned),
            message: Some(found.message.clone()),
        };
        if self.groups.len() >= MOST && !self.index.contains_key(&key) {
            key.message = None;
            if !self.index.contains_key(&key) && self.groups.len() >= 2 * MOST {
                self.uncounted += 1;
                return;
            }
        }
        let address = found.origin.as_ref().and_then(|origin| origin.address.clone());
        let explain = |line| {
            let explained = Explained::from(found);
            Explained { matched: Matched { line: Some(line), ..explained.matched }, ..explained }
        };
        match self.index.get(&key).and_then(|at| self.groups.get_mut(*at)) {
            Some(group) => {
                group.count += 1;
                group.retry_after = group.retry_after.max(retry_after);
                if let Some(address) = address {
                    group.add_address(address);
                }
                // Writers write between each other's lines, so what is told later may stand before.
                if is_before(&at, &group.first) {
                    group.explained = explain(at.line);
                    group.first = at;
                } else if !is_before(&at, &group.last) {
                    group.last = at;
                }
            }
            None => {
                self.index.insert(key, self.groups.len());
                self.groups.push(Group {
                    explained: explain(at.line),
                    count: 1,
                    first: at.clone(),
                    last: at,
                    integration: integration.map(str::to_owned),
                    retry_after,
                    addresses: address.into_iter().collect(),
                });
            }
        }
    }
}

/// Whether one place stands before the other in the same log.
fn is_before(one: &Occurrence, other: &Occurrence) -> bool {
    one.file == other.file && one.line < other.line
}

#[cfg(test)]
mod tests {
    use lineman_catalog::{Catalog, explain};

    use super::*;

    #[test]
    fn the_first_and_the_last_time_are_those_of_the_log() {
        let mut summary = Summary::default();
        for (file, line, host) in [("a", 5, "late"), ("a", 2, "early"), ("a", 4, "between"), ("b", 1, "other")] {
            let text = format!("curl: (6) Could not resolve host: {host}.example.org");
            let found = explain(&Catalog::shared(), &text);
            let at = Occurrence { file: Some(file.to_owned()), line, time: None };
            summary.add(&Match { message: "same".to_owned(), ..found[0].clone() }, at, None, None);
        }
        let [group] = summary.groups()[..] else { panic!("{summary:?}") };
        let place = |at: &Occurrence| (at.file.clone().unwrap_or_default(), at.line);
        assert_eq!((place(&group.first), place(&group.last)), (("a".to_owned(), 2), ("b".to_owned(), 1)));
        assert_eq!((group.count, group.explained.matched.line), (4, Some(2)));
        assert!(group.explained.matched.text.contains("early"), "{group:?}");
    }
}
