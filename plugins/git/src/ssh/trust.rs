//! Which host keys are approved, by whom, and what to make of the one that a server shows.

use std::fs;

use lineman_sdk::prelude::*;
use ssh_key::{HashAlg, PublicKey};

use crate::Git;
use crate::hosts::{self, Host};
use crate::known_hosts::{self, Entry, Trust};
use crate::remote::Remote;

const FILE: &str = "known_hosts_file";
/// Larger known_hosts files are not read.
const LARGEST: u64 = 8 << 20;

/// The host keys that are approved for one server.
#[derive(Debug, Default)]
pub(crate) struct Approvals {
    keys: Vec<Approved>,
    /// Fingerprints of the settings.
    fingerprints: Vec<String>,
    /// What a `known_hosts` file says beside that: authorities and revocations.
    marked: Vec<Entry>,
    /// Line and fingerprint of entries that the host itself has withdrawn.
    pub(crate) withdrawn: Vec<(usize, String)>,
    /// Numbers of the lines of the file that are no entries.
    pub(crate) unreadable: Vec<usize>,
    /// Whether the published keys are those of exactly this name and port.
    exact: bool,
}

#[derive(Debug)]
struct Approved {
    key: PublicKey,
    by: String,
}

/// What to make of a host key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Approved, by whom.
    Approved(String),
    /// It must not be trusted.
    Revoked,
    /// Others are approved for this server.
    Changed(Vec<String>),
    /// Nothing is approved for this server.
    Unknown,
}

impl Approvals {
    /// Collects the approvals of an integration: published keys, the file, the settings.
    pub(super) fn of(cx: &Cx<Git>, remote: &Remote) -> Result<Approvals, Stop> {
        let text = match &cx.settings().known_hosts_file {
            Some(path) => read(cx, path)?,
            None => String::new(),
        };
        Ok(Approvals::collect(remote, hosts::find(&remote.host), &text, &cx.settings().host_key_fingerprints))
    }

    fn collect(remote: &Remote, host: Option<&Host>, text: &str, fingerprints: &[String]) -> Approvals {
        let mut approvals = Approvals { fingerprints: fingerprints.to_vec(), ..Approvals::default() };
        if let Some(host) = host {
            let by = format!("published by {}", host.title);
            let keys = host.keys.iter().filter_map(|key| PublicKey::from_openssh(key).ok());
            approvals.keys.extend(keys.map(|key| Approved { key, by: by.clone() }));
            let listed = host.names.contains(&remote.host) && (remote.port == 22 || host.is_alternate(remote));
            approvals.exact = listed && !approvals.keys.is_empty();
        }
        for entry in known_hosts::lookup(text, &remote.host, remote.port) {
            let print = entry.fingerprint();
            if host.is_some_and(|host| host.withdrawn.contains(&print)) {
                approvals.withdrawn.push((entry.line, print));
            } else if entry.trust == Trust::Approved {
                approvals.keys.push(Approved { by: format!("{FILE}, line {}", entry.line), key: entry.key });
            } else {
                approvals.marked.push(entry);
            }
        }
        approvals.unreadable = known_hosts::unreadable(text);
        approvals
    }

    /// What `ssh` is to know of the server.
    pub(super) fn known_hosts(&self, name: &str) -> String {
        let line = |mark: &str, key: &PublicKey| format!("{mark}{name} {}\n", key.to_openssh().unwrap_or_default());
        let pinned = |key: &PublicKey| self.pins(&key.fingerprint(HashAlg::Sha256).to_string());
        let approved =
            self.keys.iter().filter(|approved| pinned(&approved.key)).map(|approved| line("", &approved.key));
        let marked = self.marked.iter().map(|entry| match entry.trust {
            Trust::Revoked => line("@revoked ", &entry.key),
            Trust::Authority => line("@cert-authority ", &entry.key),
            Trust::Approved => line("", &entry.key),
        });
        approved.chain(marked).collect()
    }

    /// Whether no key is known of those whose fingerprints the settings give.
    pub(super) fn are_only_fingerprints(&self) -> bool {
        let known = |approved: &Approved| self.pins(&approved.key.fingerprint(HashAlg::Sha256).to_string());
        !self.fingerprints.is_empty() && !self.keys.iter().any(known)
    }

    /// Those of the lines that a server's keys make in a known_hosts file that are approved.
    pub(super) fn approved_of(&self, shown: &str, name: &str) -> String {
        // Under its alias the server is known without its port.
        let entries = known_hosts::lookup(shown, name, 22);
        let approved = entries.iter().filter(|entry| self.fingerprints.contains(&entry.fingerprint()));
        approved.map(|entry| format!("{name} {}\n", entry.key.to_openssh().unwrap_or_default())).collect()
    }

    /// Whether the platform's own file knows a key. It counts for everyone but its `ssh` if not.
    pub(crate) fn in_file(&self, print: &str) -> bool {
        let is_it = |approved: &Approved| approved.key.fingerprint(HashAlg::Sha256).to_string() == print;
        self.keys.iter().any(|approved| is_it(approved) && approved.by.starts_with(FILE))
            || self.marked.iter().any(|entry| entry.trust == Trust::Authority)
    }

    /// Fingerprints of the settings are pins: where there are any, nothing else counts.
    fn pins(&self, print: &str) -> bool {
        self.fingerprints.is_empty() || self.fingerprints.iter().any(|approved| approved == print)
    }

    /// What to make of the key that the server shows.
    pub(crate) fn judge(&self, print: &str) -> Judgement {
        if self.marked.iter().any(|entry| entry.trust == Trust::Revoked && entry.fingerprint() == print) {
            return Judgement::Revoked;
        }
        if !self.pins(print) {
            return Judgement::Changed(self.fingerprints.clone());
        }
        let fingerprint = |approved: &Approved| approved.key.fingerprint(HashAlg::Sha256).to_string();
        if let Some(approved) = self.keys.iter().find(|approved| fingerprint(approved) == print) {
            return Judgement::Approved(approved.by.clone());
        }
        if self.fingerprints.iter().any(|approved| approved == print) {
            return Judgement::Approved("host_key_fingerprints".to_owned());
        }
        let of_this_server = |approved: &&Approved| self.exact || !approved.by.starts_with("published");
        let mut others: Vec<String> = self.keys.iter().filter(of_this_server).map(fingerprint).collect();
        others.extend(self.fingerprints.iter().cloned());
        if others.is_empty() { Judgement::Unknown } else { Judgement::Changed(others) }
    }
}

fn read(cx: &Cx<Git>, path: &str) -> Result<String, Stop> {
    let unreadable = |why: String| {
        cx.finding("known-hosts-unreadable", Cause::ConfigInvalid, format!("`known_hosts_file` cannot be read: {why}."))
            .pointer("/settings/known_hosts_file")
            .evidence(Evidence::File { path: path.to_owned(), seen: why })
    };
    let size = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > LARGEST {
        return Err(unreadable(format!("it is {size} bytes long")).into());
    }
    let bytes = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINNED: &str = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf";
    const OTHER_PRINT: &str = "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8";

    #[test]
    fn a_host_key_is_judged_by_all_approvals() {
        let check = |url: &str, text: &str, prints: &[&str], print: &str, expect: &str| {
            let remote = Remote::parse(url).unwrap();
            let prints: Vec<String> = prints.iter().map(|print| (*print).to_owned()).collect();
            let text = text.replace("OTHER", OTHER);
            let approvals = Approvals::collect(&remote, hosts::find(&remote.host), &text, &prints);
            let judged = match approvals.judge(print) {
                Judgement::Approved(by) => format!("approved: {by}"),
                Judgement::Changed(others) => format!("changed: {} others", others.len()),
                other => format!("{other:?}").to_lowercase(),
            };
            assert_eq!(judged, expect, "{url} {text} {prints:?}");
        };
        check("git@github.com:a/b", "", &[], PINNED, "approved: published by GitHub");
        check("git@github.com:a/b", "", &[], OTHER_PRINT, "changed: 3 others");
        check("git@github.com:a/b", "github.com OTHER", &[], OTHER_PRINT, "approved: known_hosts_file, line 1");
        check("git@github.com:a/b", "", &[OTHER_PRINT], OTHER_PRINT, "approved: host_key_fingerprints");
        check("ssh://git@ssh.github.com:443/a/b", "", &[], OTHER_PRINT, "changed: 3 others");
        // Not a name that the keys were published for.
        check("git@x.github.com:a/b", "", &[], PINNED, "approved: published by GitHub");
        check("git@x.github.com:a/b", "", &[], OTHER_PRINT, "unknown");
        check("git@host:a/b", "", &[], OTHER_PRINT, "unknown");
        check("git@host:a/b", "host OTHER", &[], OTHER_PRINT, "approved: known_hosts_file, line 1");
        check("git@host:a/b", "host OTHER", &[], PINNED, "changed: 1 others");
        check("git@host:a/b", "elsewhere OTHER", &[], PINNED, "unknown");
        check("git@host:a/b", "@revoked * OTHER", &[OTHER_PRINT], OTHER_PRINT, "revoked");
        check("git@host:a/b", "", &[PINNED], OTHER_PRINT, "changed: 1 others");
    }

    #[test]
    fn withdrawn_keys_are_not_trusted_whatever_the_file_says() {
        let old = "ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEAq2A7hRGmdnm9tUDbO9IDSwBK6TbQa+PXYPCPy6rbTrTtw7PHkccKrpp0yVhp5HdEIcKr6pLlVDBfOLX9QUsyCOV0wzfjIJNlGEYsdlLJizHhbn2mUjvSAHQqZETYP81eFzLQNnPHt4EVVUh7VfDESU84KezmD5QlWpXLmvU31/yMf+Se8xhHTvKSCZIFImWwoG6mbUoWf9nzpIoaSjB+weqqUUmpaaasXVal72J+UX2B+2RPW3RcT0eOzQgqlJL3RKrTJvdsjE3JEAvGq3lGHSZXy28G3skua2SmVi/w4yCE6gbODqnTWlg7+wC604ydGXA8VJiS5ap43JXiUFFAaQ==";
        let remote = Remote::parse("git@github.com:a/b").unwrap();
        let approvals = Approvals::collect(&remote, hosts::find("github.com"), &format!("github.com {old}"), &[]);
        let print = "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8";
        assert_eq!(approvals.withdrawn, [(1, print.to_owned())]);
        assert!(matches!(approvals.judge(print), Judgement::Changed(_)));
        assert!(!approvals.known_hosts("github.com").contains("AAAAB3NzaC1yc2EAAAABIwAAAQEAq2A7"));
    }
}
