use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::fault::{Answer, Integration};
use crate::namespace::Namespace;
use crate::repository::git_in;
use crate::server::wrap;

/// Seconds that the client may take: it has no limit of its own for most of what can hang.
const LIMIT: &str = "6";

/// The system's own git and ssh, doing what an integration is for with the same inputs.
#[derive(Debug)]
pub struct GitClient {
    directory: PathBuf,
    clone: PathBuf,
}

impl GitClient {
    /// A client that works in a directory and pushes from a clone.
    pub fn new(directory: &Path, clone: &Path) -> Result<GitClient> {
        let client = GitClient { directory: directory.join("client"), clone: clone.to_owned() };
        fs::create_dir_all(&client.directory)?;
        let ask = client.ask_program();
        fs::write(&ask, "#!/bin/sh\ncase \"$1\" in Username*) echo \"$NAME\" ;; *) echo \"$WORD\" ;; esac\n")?;
        fs::set_permissions(ask, fs::Permissions::from_mode(0o755))?;
        Ok(client)
    }

    /// Answers what git and ssh ask for on a terminal.
    fn ask_program(&self) -> PathBuf {
        self.directory.join("ask")
    }

    /// Lists the remote, clones it, and, where the integration means to write, pushes a branch as
    /// far as the server's permission to.
    pub fn ask(&self, id: &str, integration: &Integration, namespace: Option<&Namespace>) -> Result<Answer> {
        let url = integration.setting("url").context("a Git integration has a `url`")?;
        let own = self.directory.join(id);
        fs::create_dir_all(&own)?;
        let copy = own.join("copy.git");
        let copy = copy.to_string_lossy();
        let branch = integration.setting("ref").unwrap_or("HEAD");
        let mut steps = vec![
            vec!["ls-remote", "--exit-code", url, branch],
            vec!["clone", "--quiet", "--bare", "--depth=1", url, &copy],
        ];
        if integration.setting("access") == Some("write") {
            steps.push(vec!["push", "--dry-run", url, "HEAD:refs/heads/lineman-probe"]);
        }
        for step in steps {
            let mut command = self.command(&own, integration)?;
            command.args(&step);
            let mut limited = wrap(&["timeout", "--kill-after=1", LIMIT], &command);
            if let Some(namespace) = namespace {
                limited = namespace.enter(&limited);
            }
            let output = limited.output()?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                return Ok(Answer::Fails(format!("git {} ({}): {said}", step[0], output.status)));
            }
        }
        Ok(Answer::Works)
    }

    fn command(&self, own: &Path, integration: &Integration) -> Result<Command> {
        let mut git = git_in(&self.clone);
        git.env("HOME", own).env("GIT_TERMINAL_PROMPT", "0").envs(integration.variables());
        for (option, value) in [
            ("http.proxy", integration.connection("proxy")),
            ("http.sslCAInfo", integration.connection("ca_file")),
            // Neither has a default: a server that stops talking would be waited for.
            ("http.lowSpeedLimit", Some("1000")),
            ("http.lowSpeedTime", Some("2")),
        ] {
            if let Some(value) = value {
                git.args(["-c", &format!("{option}={value}")]);
            }
        }
        if let Some(hosts) = integration.connection("no_proxy") {
            git.env("no_proxy", hosts);
        }
        let passphrase = integration.secret("ssh_key_passphrase")?;
        if let Some(token) = integration.secret("token")? {
            let name = integration.secret("username")?.unwrap_or_else(|| "git".to_owned());
            git.env("GIT_ASKPASS", self.ask_program()).env("NAME", name).env("WORD", token);
        } else if let Some(passphrase) = &passphrase {
            git.env("SSH_ASKPASS", self.ask_program()).env("SSH_ASKPASS_REQUIRE", "force").env("WORD", passphrase);
        }
        let key = match integration.secret("ssh_key")? {
            Some(key) => {
                let path = own.join("key");
                fs::write(&path, key)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
                Some(path)
            }
            None => integration.setting("ssh_key_file").map(PathBuf::from),
        };
        let mut ssh = "ssh -F none -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=2 \
                       -o GlobalKnownHostsFile=none -o PreferredAuthentications=publickey -o IdentityAgent=none"
            .to_owned();
        let batch = if passphrase.is_some() { "no" } else { "yes" };
        let known = integration.setting("known_hosts_file").unwrap_or("none");
        let key = key.map_or_else(|| "none".into(), |key| key.to_string_lossy().into_owned());
        for (option, value) in [("BatchMode", batch), ("UserKnownHostsFile", known), ("IdentityFile", &key)] {
            ssh += &format!(" -o {option}='{value}'");
        }
        git.env("GIT_SSH_COMMAND", ssh);
        Ok(git)
    }
}
