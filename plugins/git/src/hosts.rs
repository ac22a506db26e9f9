//! What is published about the large hosts, as data: see `hosts.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::remote::Remote;

/// A host that many repositories are at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    pub(crate) title: String,
    /// The names it is reached by; a subdomain counts as the name.
    pub(crate) names: Vec<String>,
    /// The user that everyone is over SSH.
    pub(crate) user: Option<String>,
    /// The user name that goes with a token where none is given.
    pub(crate) token_user: Option<String>,
    /// Fingerprints of its host keys, as published.
    #[cfg_attr(not(test), expect(dead_code, reason = "the keys were compared with them, and are in every test run"))]
    #[serde(default)]
    pub(crate) fingerprints: Vec<String>,
    /// The page that publishes them.
    pub(crate) fingerprints_url: Option<String>,
    /// The host keys themselves.
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    /// Fingerprints of former host keys that must not be trusted any more.
    #[serde(default)]
    pub(crate) withdrawn: Vec<String>,
    /// Where it speaks SSH on a port that firewalls leave open.
    pub(crate) alternate: Option<Alternate>,
    /// Where it speaks SSH since it stopped doing so under a name.
    pub(crate) moved: Option<Moved>,
    /// What it says to a key that it accepts and that asks for a shell.
    pub(crate) greeting: Option<String>,
    /// The page on registering a credential.
    pub(crate) keys_url: Option<String>,
}

/// SSH on another name and port.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alternate {
    pub(crate) name: String,
    pub(crate) port: u16,
    /// The page that documents it.
    pub(crate) url: String,
}

/// A name under which SSH is no longer spoken.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moved {
    /// The former name.
    pub(crate) from: String,
    /// The name to use.
    pub(crate) to: String,
    /// The announced day, `YYYY-MM-DD`.
    pub(crate) on: String,
    /// The announcement.
    pub(crate) url: String,
}

impl Host {
    /// Whether an address is the one for ports that firewalls leave open.
    pub(crate) fn is_alternate(&self, remote: &Remote) -> bool {
        self.alternate.as_ref().is_some_and(|other| other.name == remote.host && other.port == remote.port)
    }
}

#[derive(Deserialize)]
struct Hosts {
    host: Vec<Host>,
}

static HOSTS: LazyLock<Vec<Host>> = LazyLock::new(|| {
    // Part of the program: the tests read it.
    let hosts: Result<Hosts, _> = toml::from_str(include_str!("hosts.toml"));
    hosts.map(|hosts| hosts.host).unwrap_or_default()
});

/// What is known of a host.
pub(crate) fn find(name: &str) -> Option<&'static Host> {
    let is = |known: &String| name == known || name.strip_suffix(known.as_str()).is_some_and(|sub| sub.ends_with('.'));
    // The longest name that fits: `ssh.dev.azure.com` is no subdomain of `dev.azure.com` here.
    let fitting = HOSTS
        .iter()
        .filter_map(|host| Some((host.names.iter().filter(|known| is(known)).map(String::len).max()?, host)));
    fitting.max_by_key(|(length, _)| *length).map(|(_, host)| host)
}

#[cfg(test)]
mod tests {
    use ssh_key::{HashAlg, PublicKey};

    use super::*;

    #[test]
    fn every_key_has_its_published_fingerprint() {
        assert_eq!(HOSTS.len(), 5);
        for host in HOSTS.iter() {
            let mut computed: Vec<String> = host
                .keys
                .iter()
                .map(|key| PublicKey::from_openssh(key).unwrap().fingerprint(HashAlg::Sha256).to_string())
                .collect();
            computed.sort();
            let mut published = host.fingerprints.clone();
            published.sort();
            assert_eq!(computed, published, "{}", host.title);
            assert!(host.withdrawn.iter().all(|withdrawn| !published.contains(withdrawn)), "{}", host.title);
            assert_eq!(host.keys.is_empty(), host.fingerprints_url.is_none(), "{}", host.title);
        }
    }

    #[test]
    fn a_host_is_found_by_its_names_and_their_subdomains() {
        let check = |name: &str, expect: Option<(&str, usize)>| {
            assert_eq!(find(name).map(|host| (host.title.as_str(), host.keys.len())), expect, "{name}");
        };
        check("github.com", Some(("GitHub", 3)));
        check("ssh.github.com", Some(("GitHub", 3)));
        check("notgithub.com", None);
        check("github.com.example", None);
        check("ssh.dev.azure.com", Some(("Azure DevOps", 1)));
        check("dev.azure.com", Some(("Azure DevOps", 0)));
        check("org.visualstudio.com", Some(("Azure DevOps", 0)));
        check("git.example.com", None);
    }
}
