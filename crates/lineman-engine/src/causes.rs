//! What follows from what: within an integration, and over all of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use lineman_model::{Cause, CauseGroup, Confidence, Evidence, Finding, IntegrationReport, Level, Status, Subject};

use crate::findings::counts;
use crate::hosts::authority;
use crate::line::Done;

/// Marks the findings of an integration that follow from another one further down its line.
///
/// The lowest finding that explains another is its cause; one that counts for nothing explains
/// nothing.
pub(crate) fn link(done: &mut [Done]) {
    let located = done.iter().flat_map(|it| it.report.findings.iter().map(|finding| (place(it), finding)));
    let mut below: Vec<(Place, Finding)> =
        located.filter(|(_, finding)| counts(finding)).map(|(place, finding)| (place, finding.clone())).collect();
    below.sort_by_key(|(place, _)| *place);

    for check in done {
        let own = place(check);
        for finding in &mut check.report.findings {
            let mut lower = below.iter().take_while(|(other, _)| *other < own);
            let cause = lower.find(|(place, other)| match place {
                Place::Beside => finding.cause.is_transient() || finding.cause.is_network(),
                Place::On(_) => explains(other, finding),
            });
            finding.caused_by = cause.map(|(_, other)| other.id.clone()).into_iter().collect();
        }
    }
}

/// Where a finding stands. What explains the failures of others stands below all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Beside,
    On(Level),
}

fn place(done: &Done) -> Place {
    if done.explains { Place::Beside } else { Place::On(done.report.level) }
}

/// Whether a finding further down the line is the reason for one further up:
///
/// - they have the same cause and are not about different things; or
/// - both are about the network, and not about different hosts; or
/// - the upper one is not sure of its cause, and says itself that it could be the lower one's.
fn explains(lower: &Finding, upper: &Finding) -> bool {
    let same_place = !differ(host(lower), host(upper));
    let network = lower.cause.is_network() && upper.cause.is_network() && same_place && !lower.status().is_good();
    let repeated = lower.cause == upper.cause && same_place && !differ(lower.subject.as_ref(), upper.subject.as_ref());
    let suspected = upper.confidence != Confidence::Confirmed
        && upper.also_possible.iter().any(|alternative| alternative.cause == lower.cause);
    network || repeated || suspected
}

fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    a.is_some() && b.is_some() && a != b
}

/// Groups what counts by what is to be mended, over all integrations: the root causes of the
/// report, worst first, and among equals the one that more integrations suffer from.
pub(crate) fn group(integrations: &[IntegrationReport]) -> Vec<CauseGroup> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places: BTreeMap<(&Cause, Blame<'_>), usize> = BTreeMap::new();
    for integration in integrations {
        let findings: BTreeMap<&str, &Finding> = integration.findings().map(|it| (it.id.as_str(), it)).collect();
        for finding in integration.findings().filter(|finding| counts(finding)) {
            let root = root(finding, &findings);
            let place = *places.entry((&root.cause, blame(root, integration))).or_insert_with(|| {
                groups.push(Group::new(root));
                groups.len() - 1
            });
            groups[place].add(finding, integration);
        }
    }
    groups.sort_by_key(|group| (group.rank, Reverse(group.integrations.len()), &group.root.cause, group.first()));
    groups.into_iter().map(Group::into_report).collect()
}

fn root<'a>(finding: &'a Finding, findings: &BTreeMap<&str, &'a Finding>) -> &'a Finding {
    let mut root = finding;
    // Each step goes down at least one level, so this ends.
    while let Some(cause) = root.caused_by.first().and_then(|id| findings.get(id.as_str())) {
        root = cause;
    }
    root
}

struct Group<'a> {
    root: &'a Finding,
    rank: u8,
    findings: Vec<&'a str>,
    integrations: BTreeSet<&'a str>,
}

impl<'a> Group<'a> {
    fn new(root: &'a Finding) -> Group<'a> {
        Group { root, rank: u8::MAX, findings: Vec::new(), integrations: BTreeSet::new() }
    }

    fn add(&mut self, finding: &'a Finding, integration: &'a IntegrationReport) {
        self.rank = self.rank.min(rank(finding.status()));
        self.findings.push(&finding.id);
        self.integrations.insert(&integration.name);
    }

    fn first(&self) -> Option<&'a str> {
        self.integrations.first().copied()
    }

    fn into_report(self) -> CauseGroup {
        CauseGroup {
            cause: self.root.cause.clone(),
            message: self.root.message.clone(),
            findings: self.findings.into_iter().map(str::to_owned).collect(),
            integrations: self.integrations.into_iter().map(str::to_owned).collect(),
        }
    }
}

fn rank(status: Status) -> u8 {
    match status {
        Status::Fail => 0,
        Status::Error => 1,
        Status::Unknown => 2,
        Status::Warn | Status::Pass | Status::Skip => 3,
    }
}

/// The thing that is to be mended. Two findings with the same cause that blame the same thing are
/// one problem, whichever integrations they turned up in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Blame<'a> {
    /// This machine.
    Machine(Option<&'a str>),
    /// A plugin.
    Plugin(&'a str, &'a str),
    /// A host on the network.
    Host(String),
    /// A provider as a whole.
    Provider(&'a str),
    /// A thing at a provider.
    Thing(&'a str, &'a str, &'a str),
    /// Something that the integration shares with no other, such as a setting.
    Own(&'a str, &'a str, Option<(&'a str, &'a str)>),
}

fn blame<'a>(finding: &'a Finding, integration: &'a IntegrationReport) -> Blame<'a> {
    let subject = finding.subject.as_ref();
    let provider = integration.provider.as_str();
    let host = || host(finding).map(Blame::Host);
    let own = || Blame::Own(&integration.name, &finding.code, subject.map(|it| (it.kind.as_str(), it.name.as_str())));
    match &finding.cause {
        Cause::ClockSkew => Blame::Machine(None),
        Cause::HostToolMissing => Blame::Machine(subject.map(|it| it.name.as_str())),
        cause if cause.is_ours() => Blame::Plugin(provider, &finding.code),
        cause if cause.is_network() => host().unwrap_or_else(own),
        Cause::ProviderOutage | Cause::ProviderMaintenance => host().unwrap_or(Blame::Provider(provider)),
        _ => match subject.filter(|subject| !is_local(subject)) {
            Some(subject) => Blame::Thing(provider, &subject.kind, &subject.name),
            None => own(),
        },
    }
}

/// Whether the thing is part of the integration itself: the next one has its own of that name.
fn is_local(subject: &Subject) -> bool {
    subject.pointer.is_some() || matches!(subject.kind.as_str(), "setting" | "secret" | "requirement")
}

/// The host that a finding is about, as it says itself or its evidence shows; without the port,
/// which some sources know and others do not.
fn host(finding: &Finding) -> Option<String> {
    let subject = finding.subject.as_ref().filter(|it| matches!(it.kind.as_str(), "host" | "endpoint" | "proxy"));
    let seen = |evidence: &Evidence| match evidence {
        Evidence::Dns { name, .. } => Some(name.clone()),
        Evidence::Tls { server_name, .. } => Some(server_name.clone()),
        Evidence::Http { url, .. } => Some(authority(url)),
        Evidence::Ssh { address, .. } | Evidence::Tcp { address, .. } => Some(address.clone()),
        _ => None,
    };
    let host = subject.map(|it| authority(&it.name)).or_else(|| finding.evidence.iter().find_map(seen))?;
    Some(match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name.to_owned(),
        _ => host,
    })
}
