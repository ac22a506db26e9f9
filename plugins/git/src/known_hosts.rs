//! Looks a host up in the text of a `known_hosts` file, as OpenSSH does (sshd(8)).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use ssh_key::{HashAlg, PublicKey};

/// What a line says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The host has this key.
    Approved,
    /// The host may show a certificate of this authority.
    Authority,
    /// No host may have this key.
    Revoked,
}

/// A line that is about the host that was looked up.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) trust: Trust,
    pub(crate) key: PublicKey,
    /// Line number, from one.
    pub(crate) line: usize,
}

impl Entry {
    pub(crate) fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }
}

/// The lines about a host. For a port of its own, lines without a port count where none names it.
pub(crate) fn lookup(text: &str, host: &str, port: u16) -> Vec<Entry> {
    let host = host.to_ascii_lowercase();
    if port == 22 {
        return matching(text, &host);
    }
    let mut entries = matching(text, &format!("[{host}]:{port}"));
    if entries.iter().all(|entry| entry.trust == Trust::Revoked) {
        entries.extend(matching(text, &host));
    }
    entries
}

/// Numbers of the lines that are no entries: OpenSSH passes over them in silence.
pub(crate) fn unreadable(text: &str) -> Vec<usize> {
    lines(text).filter(|(_, line)| parse(line).is_none()).map(|(number, _)| number).collect()
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn matching(text: &str, name: &str) -> Vec<Entry> {
    let parsed = lines(text).filter_map(|(line, entry)| Some((line, parse(entry)?)));
    parsed
        .filter(|(_, (_, hosts, _))| is_about(hosts, name))
        .map(|(line, (trust, _, key))| Entry { trust, key, line })
        .collect()
}

fn parse(line: &str) -> Option<(Trust, &str, PublicKey)> {
    let mut words = line.split_whitespace().peekable();
    let trust = match words.next_if(|word| word.starts_with('@')) {
        None => Trust::Approved,
        Some("@cert-authority") => Trust::Authority,
        Some("@revoked") => Trust::Revoked,
        Some(_) => return None,
    };
    let (hosts, algorithm, blob) = (words.next()?, words.next()?, words.next()?);
    let key = PublicKey::from_openssh(&format!("{algorithm} {blob}")).ok()?;
    Some((trust, hosts, key))
}

fn is_about(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return is_hash_of(hashed, name).unwrap_or(false);
    }
    let mut about = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            // A negation that matches outweighs the rest of the line.
            Some(pattern) if fits(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => about |= fits(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()),
        }
    }
    about
}

/// `salt|hash`, both base64: the hash is an HMAC-SHA1 of the name under the salt.
fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&STANDARD.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&STANDARD.decode(hash).ok()?).is_ok())
}

/// `*` stands for any characters, `?` for one. Linear but for one step back to the last star.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((star_at, start)) => {
                    star = Some((star_at, start + 1));
                    (at, seen) = (star_at + 1, start + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf";

    #[test]
    fn lines_are_found_as_openssh_finds_them() {
        let check = |text: &str, host: &str, port: u16, expect: &[usize]| {
            let text = text.replace("ONE", ONE).replace("TWO", TWO);
            let found: Vec<usize> = lookup(&text, host, port).iter().map(|entry| entry.line).collect();
            assert_eq!(found, expect, "{host}:{port} in {text}");
            // `ssh-keygen -F` is the ground truth; it does not try again without the port.
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &text).unwrap();
            let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
            let arguments = ["-F", &name, "-f", file.path().to_str().unwrap()];
            let output = Command::new("ssh-keygen").args(arguments).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let truth: Vec<usize> = said
                .lines()
                .filter_map(|line| {
                    line.strip_prefix("# Host ")?.split_once(" found: line ")?.1.split(' ').next()?.parse().ok()
                })
                .collect();
            if port == 22 || !truth.is_empty() {
                assert_eq!(found, truth, "{host}:{port} in {text}");
            }
        };
        check("github.com ONE\n", "github.com", 22, &[1]);
        check("github.com ONE\n", "GitHub.com", 22, &[1]);
        check("github.com ONE\n", "gitlab.com", 22, &[]);
        check("# comment\n\n  a,github.com,b\tONE me@host\n", "github.com", 22, &[3]);
        check("*.example.com,!bad.example.com ONE\n", "git.example.com", 22, &[1]);
        check("*.example.com,!bad.example.com ONE\n", "bad.example.com", 22, &[]);
        check("*.example.com ONE\n", "example.com", 22, &[]);
        check("git?.example.com ONE\n", "git1.example.com", 22, &[1]);
        check("[host]:2222 ONE\nhost TWO\n", "host", 2222, &[1]);
        check("[host]:2222 ONE\nhost TWO\n", "host", 22, &[2]);
        check("host TWO\n", "host", 2222, &[1]);
        check("[::1]:2222 ONE\n::1 TWO\n", "::1", 2222, &[1]);
        check("@revoked host ONE\nhost TWO\n@cert-authority *.host ONE\n", "host", 22, &[1, 2]);
        check("host broken\nhost ONE\n", "host", 22, &[2]);
        check("@unknown host ONE\n", "host", 22, &[]);
        check("* ONE\n", "anything", 22, &[1]);
    }

    #[test]
    fn hashed_names_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known_hosts");
        std::fs::write(&path, format!("github.com {ONE}\n[host]:2222 {TWO}\n")).unwrap();
        let output = Command::new("ssh-keygen").args(["-H", "-f", path.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("|1|"), "{text}");
        let check = |host: &str, port: u16, expect: &[usize]| {
            let found: Vec<usize> = lookup(&text, host, port).iter().map(|entry| entry.line).collect();
            assert_eq!(found, expect, "{host}:{port}");
        };
        check("github.com", 22, &[1]);
        check("host", 2222, &[2]);
        check("host", 22, &[]);
    }

    #[test]
    fn marks_and_broken_lines_are_told() {
        let text = format!("@revoked a {ONE}\n@cert-authority a {ONE}\na {ONE}\nbroken\n#\na ssh-rsa AAAA\n");
        let trusts: Vec<Trust> = lookup(&text, "a", 22).iter().map(|entry| entry.trust).collect();
        assert_eq!(trusts, [Trust::Revoked, Trust::Authority, Trust::Approved]);
        assert_eq!(unreadable(&text), [4, 6]);
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let hosts = format!("{}b", "*a".repeat(200));
        assert!(!fits(hosts.as_bytes(), "a".repeat(4000).as_bytes()));
    }
}
