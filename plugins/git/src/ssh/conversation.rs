//! What `ssh -v` says of a connection.

use lineman_sdk::prelude::*;

use crate::Git;
use crate::remote::Remote;

/// One connection, from the first word to the exit status.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// The server's software: `OpenSSH_9.2p1`.
    pub(crate) software: Option<String>,
    /// Algorithm and fingerprint of the host key shown.
    pub(crate) host_key: Option<(String, String)>,
    /// Whether the host key was among the approved.
    pub(crate) host_approved: bool,
    /// Fingerprint of the key that was offered.
    pub(crate) offered: Option<String>,
    /// What the server lets one authenticate with.
    pub(crate) methods: Option<String>,
    pub(crate) authenticated: bool,
    /// The key was accepted, and the server wants something else on top.
    pub(crate) partial: bool,
    /// The key was not even offered: the server would have it sign with SHA-1 only.
    pub(crate) no_mutual_signature: bool,
    /// What `ssh` and the server wrote for people: banners, refusals, the service's errors.
    pub(crate) said: String,
    pub(crate) stdout: Vec<u8>,
    pub(crate) status: Option<i32>,
}

impl Conversation {
    /// Reads the debug lines; everything else was meant for people.
    pub(crate) fn read(stderr: &str, stdout: Vec<u8>, status: Option<i32>) -> Conversation {
        let mut conversation = Conversation { stdout, status, ..Conversation::default() };
        let mut said = Vec::new();
        for line in stderr.lines() {
            match line.strip_prefix("debug1: ") {
                Some(debug) => conversation.hear(debug),
                None if line.starts_with("Authenticated to ") => conversation.authenticated = true,
                None if line.starts_with("Authenticated using ") => conversation.hear(line),
                None if is_noise(line) => {}
                None => said.push(line.trim_end()),
            }
        }
        conversation.said = said.join("\n").trim().to_owned();
        conversation
    }

    fn hear(&mut self, line: &str) {
        if let Some((_, software)) = line.split_once("remote software version ") {
            self.software = Some(software.to_owned());
        } else if let Some(key) = line.strip_prefix("Server host key: ") {
            self.host_key = key.split_once(' ').map(|(algorithm, print)| (algorithm.to_owned(), print.to_owned()));
        } else if line.starts_with("Host '") && line.contains(" is known and matches the ") {
            self.host_approved = true;
        } else if let Some(key) = line.strip_prefix("Offering public key: ") {
            self.offered = key.split(' ').find(|word| word.starts_with("SHA256:")).map(str::to_owned);
        } else if let Some(methods) = line.strip_prefix("Authentications that can continue: ") {
            self.methods = Some(methods.to_owned());
        } else if line.contains("no mutual signature") {
            self.no_mutual_signature = true;
        } else if line.contains("with partial success") {
            self.partial = true;
        } else if line.starts_with("Authentication succeeded") {
            self.authenticated = true;
        }
    }

    /// Whether either side has judged the other.
    pub(super) fn is_decided(&self) -> bool {
        self.authenticated || self.no_mutual_signature || self.methods.is_some() || self.refuses_host()
    }

    fn refuses_host(&self) -> bool {
        self.host_key.is_some() && !self.host_approved
    }

    /// What it came to, in the catalog's words or none.
    pub(crate) fn finding(&self, cx: &Cx<Git>, remote: &Remote, operation: &str) -> Finding {
        let finding = cx.recognise(&self.said, Some(operation)).unwrap_or_else(|| {
            let message = format!("The connection to {} ended in a way that is not known here.", remote.host);
            cx.finding("ssh-failed", Cause::Undetermined, message)
        });
        finding.subject("host", remote.address()).evidence(self.evidence(&remote.address()))
    }

    /// The conversation as evidence.
    pub(crate) fn evidence(&self, address: &str) -> Evidence {
        // What was said for people comes first: short listings show no more.
        let mut lines: Vec<String> = self.said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        lines.extend(self.host_key.iter().map(|(algorithm, print)| format!("host key: {algorithm} {print}")));
        lines.extend(self.offered.iter().map(|print| format!("key offered: {print}")));
        if !self.authenticated {
            lines.extend(self.methods.iter().map(|methods| format!("the server goes on with: {methods}")));
        }
        lines.extend(self.software.iter().map(|software| format!("server: {software}")));
        Evidence::Ssh { address: address.to_owned(), lines, exit_status: self.status }
    }
}

/// Lines of `ssh` that tell nothing about this connection.
fn is_noise(line: &str) -> bool {
    // The last is the beginning of each line of the warning about key exchange.
    ["OpenSSH_", "Transferred: ", "Bytes per second: ", "** "].iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_kept_apart_from_what_was_done() {
        let stderr = "OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.19 27 Jan 2026\n\
            debug1: Reading configuration data /tmp/x/config\n\
            debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1\n\
            debug1: Server host key: ssh-ed25519 SHA256:0RLBnhc\n\
            debug1: Host 'host' is known and matches the ED25519 host key.\n\
            Welcome, all is logged.\n\
            debug1: Offering public key: /tmp/x/key ED25519 SHA256:abc explicit\n\
            debug1: Authentications that can continue: publickey,password\n\
            git@127.0.0.1: Permission denied (publickey).\n";
        let read = Conversation::read(stderr, Vec::new(), Some(255));
        assert_eq!(read.software.as_deref(), Some("OpenSSH_9.2p1"));
        assert_eq!(read.host_key, Some(("ssh-ed25519".into(), "SHA256:0RLBnhc".into())));
        assert!(read.host_approved && !read.authenticated && !read.no_mutual_signature);
        assert_eq!(read.offered.as_deref(), Some("SHA256:abc"));
        assert_eq!(read.methods.as_deref(), Some("publickey,password"));
        assert_eq!(read.said, "Welcome, all is logged.\ngit@127.0.0.1: Permission denied (publickey).");

        let read = Conversation::read(
            "debug1: send_pubkey_test: no mutual signature algorithm\n\
             Authenticated to 127.0.0.1 ([127.0.0.1]:22) using \"publickey\".\n",
            Vec::new(),
            Some(0),
        );
        assert!(read.authenticated && read.no_mutual_signature && read.said.is_empty());
    }
}
