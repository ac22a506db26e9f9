//! How networks and subnetworks are named: alone, with their project, by path or by self-link.

use crate::config::{is_project, is_region};

/// A name, with what it says of where the thing is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reference<'a> {
    pub(crate) project: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) name: &'a str,
}

impl<'a> Reference<'a> {
    /// Reads what names a network.
    pub(crate) fn network(text: &'a str) -> Option<Reference<'a>> {
        let (project, name) = match parts(text).as_slice() {
            ["projects", project, "global", "networks", name] | [project, name] => (Some(*project), *name),
            [name] => (None, *name),
            _ => return None,
        };
        Reference { project, region: None, name }.good()
    }

    /// Reads what names a subnetwork.
    pub(crate) fn subnetwork(text: &'a str) -> Option<Reference<'a>> {
        let (project, region, name) = match parts(text).as_slice() {
            ["projects", project, "regions", region, "subnetworks", name] => (Some(*project), Some(*region), *name),
            ["regions", region, "subnetworks", name] => (None, Some(*region), *name),
            [project, name] => (Some(*project), None, *name),
            [name] => (None, None, *name),
            _ => return None,
        };
        Reference { project, region, name }.good()
    }

    fn good(self) -> Option<Reference<'a>> {
        let good = self.project.is_none_or(is_project) && self.region.is_none_or(is_region) && is_name(self.name);
        good.then_some(self)
    }

    /// Whether both may name one thing: what one of them does not say contradicts nothing, and
    /// projects have numbers beside their ids.
    pub(crate) fn agrees(&self, other: &Reference<'_>) -> bool {
        let number = |project: &str| project.bytes().all(|byte| byte.is_ascii_digit());
        let projects = self.project.zip(other.project);
        self.name == other.name && projects.is_none_or(|(one, two)| one == two || number(one) || number(two))
    }
}

/// The parts of a path, without the address and version that a self-link begins with.
fn parts(text: &str) -> Vec<&str> {
    let path = match text.strip_prefix("https://").and_then(|rest| rest.find("/projects/").map(|at| &rest[at + 1..])) {
        Some(path) => path,
        None => text,
    };
    path.split('/').collect()
}

/// As resources of Compute Engine are named (RFC 1035).
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(plain)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_where_things_are() {
        let check = |read: Option<Reference<'_>>, project: Option<&str>, region: Option<&str>, name: &str| {
            assert_eq!(read, Some(Reference { project, region, name }));
        };
        let link = "https://www.googleapis.com/compute/v1/projects/acme-host/regions/europe-west1/subnetworks/web";
        check(Reference::subnetwork(link), Some("acme-host"), Some("europe-west1"), "web");
        let below = "regions/europe-west1/subnetworks/web";
        check(Reference::subnetwork(below), None, Some("europe-west1"), "web");
        check(Reference::subnetwork("acme-host/web"), Some("acme-host"), None, "web");
        check(Reference::network("example.com:acme-host/main"), Some("example.com:acme-host"), None, "main");
        check(Reference::network("main"), None, None, "main");
        for bad in ["", "Main", "main-", "a/b/c", "projects/acme-host/regions/europe-west1/subnetworks/web"] {
            assert_eq!(Reference::network(bad), None, "{bad}");
        }
        for bad in ["projects/acme-host/global/networks/main", "regions/nowhere/subnetworks/web", "10.0.0.0/8"] {
            assert_eq!(Reference::subnetwork(bad), None, "{bad}");
        }
    }
}
