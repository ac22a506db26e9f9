//! The address that a run came from, held against those that the platform works from. A provider
//! may let the one in and not the other: what passes here is then not proved for the platform.

use std::net::IpAddr;

use ipnet::IpNet;
use lineman_model::{Cause, Finding, IntegrationReport, Level, NotProved};

/// Where the platform itself works from, as far as it is configured.
#[derive(Clone, Debug, Default)]
pub struct Platform {
    /// The addresses that providers see the platform come from.
    pub egress: Vec<IpNet>,
    /// Whether an endpoint was asked for the address of this run.
    pub asked: bool,
}

/// What is known of both.
pub(crate) struct Outlook<'a> {
    pub(crate) platform: &'a Platform,
    /// The address that the outside saw, where it was told.
    pub(crate) seen: Option<IpAddr>,
}

/// The address that the provider says it saw, where it refuses one.
pub(crate) fn told(finding: &Finding) -> Option<IpAddr> {
    let subject = finding.subject.as_ref().filter(|subject| subject.kind == "address")?;
    subject.name.parse().ok().filter(|_| finding.cause == Cause::NetworkIpNotAllowed)
}

impl Outlook<'_> {
    fn is_the_platforms(&self, address: IpAddr) -> bool {
        self.platform.egress.iter().any(|network| network.contains(&address))
    }

    fn networks(&self) -> String {
        let networks: Vec<String> = self.platform.egress.iter().map(ToString::to_string).collect();
        networks.join(", ")
    }

    /// Says of a refused address whose it is.
    pub(crate) fn explain(&self, finding: &mut Finding) {
        if finding.cause != Cause::NetworkIpNotAllowed {
            return;
        }
        let Some(address) = told(finding).or(self.seen) else { return };
        let whose = match () {
            () if self.platform.egress.is_empty() => String::new(),
            () if self.is_the_platforms(address) => ", one of the platform's addresses".to_owned(),
            () => format!(", none of the platform's addresses ({}): the platform may be let in", self.networks()),
        };
        let sentence = format!("This run was seen as {address}{whose}.");
        finding.detail = Some(match finding.detail.take() {
            Some(detail) => format!("{detail} {sentence}"),
            None => sentence,
        });
    }

    /// Lists what the address of this run leaves open.
    pub(crate) fn add_to(&self, report: &mut IntegrationReport) {
        let seen = report.findings().find_map(told).or(self.seen);
        let (why, needs) = match seen {
            _ if self.platform.egress.is_empty() => return,
            Some(address) if self.is_the_platforms(address) => return,
            Some(address) => (format!("this run came from {address}"), None),
            None if self.platform.asked => ("nobody told which address this run came from".to_owned(), None),
            None => ("which address this run came from is not known".to_owned(), Some("vantage.echo_url".to_owned())),
        };
        let what = format!("access from the platform's addresses ({})", self.networks());
        report.not_proved.push(NotProved { level: Level::Reach, what, why, needs });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(egress: &[&str], asked: bool) -> Platform {
        Platform { egress: egress.iter().map(|network| network.parse().unwrap()).collect(), asked }
    }

    #[test]
    fn a_refused_address_is_told_with_whose_it_is() {
        let check = |egress: &[&str], seen: Option<&str>, subject: Option<&str>, expect: Option<&str>| {
            let platform = platform(egress, true);
            let outlook = Outlook { platform: &platform, seen: seen.map(|seen| seen.parse().unwrap()) };
            let mut finding = Finding::new("x/y", Cause::NetworkIpNotAllowed, "m");
            if let Some(subject) = subject {
                finding = finding.subject("address", subject);
            }
            outlook.explain(&mut finding);
            assert_eq!(finding.detail.as_deref(), expect, "{egress:?} {seen:?} {subject:?}");
        };
        let ours = "This run was seen as 203.0.113.7, one of the platform's addresses.";
        let others = "This run was seen as 198.51.100.9, none of the platform's addresses (203.0.113.0/28): \
                      the platform may be let in.";
        check(&[], Some("198.51.100.9"), None, Some("This run was seen as 198.51.100.9."));
        check(&["203.0.113.0/28"], Some("203.0.113.7"), None, Some(ours));
        check(&["203.0.113.0/28"], Some("198.51.100.9"), None, Some(others));
        // What the provider saw is nearer than what somebody else saw.
        check(&["203.0.113.0/28"], Some("198.51.100.9"), Some("203.0.113.7"), Some(ours));
        check(&["203.0.113.0/28"], None, Some("not an address"), None);
        let mut other = Finding::new("x/y", Cause::PermissionInsufficient, "m").subject("address", "203.0.113.7");
        Outlook { platform: &platform(&[], true), seen: None }.explain(&mut other);
        assert_eq!((other.detail.clone(), told(&other)), (None, None));
    }

    #[test]
    fn what_another_address_leaves_open_is_listed() {
        let check = |egress: &[&str], asked: bool, seen: Option<&str>, expect: &[(&str, Option<&str>)]| {
            let platform = platform(egress, asked);
            let outlook = Outlook { platform: &platform, seen: seen.map(|seen| seen.parse().unwrap()) };
            let mut report: IntegrationReport = serde_json::from_value(serde_json::json!({
                "name": "n", "provider": "p", "plugin": { "id": "p" }, "verdict": "pass", "checks": [],
            }))
            .unwrap();
            outlook.add_to(&mut report);
            let listed: Vec<_> = report.not_proved.iter().map(|it| (it.why.as_str(), it.needs.as_deref())).collect();
            assert_eq!(listed, expect, "{egress:?} {asked} {seen:?}");
        };
        let egress = ["203.0.113.0/28", "2001:db8::/64"];
        check(&[], false, None, &[]);
        check(&[], true, Some("198.51.100.9"), &[]);
        check(&egress, true, Some("2001:db8::1"), &[]);
        check(&egress, true, Some("198.51.100.9"), &[("this run came from 198.51.100.9", None)]);
        check(&egress, true, None, &[("nobody told which address this run came from", None)]);
        let unknown = ("which address this run came from is not known", Some("vantage.echo_url"));
        check(&egress, false, None, &[unknown]);
    }
}
