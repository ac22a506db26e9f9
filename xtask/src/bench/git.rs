//! The git checks short of `git/clone`, beside one `git ls-remote` over the same SSH.

use std::fs;
use std::path::Path;

use anyhow::Result;
use lineman_lab::keys::{self, Kind};
use lineman_lab::repository::{Repository, Right, git};
use lineman_lab::ssh;

use super::{Row, lineman, paired, succeed};
use crate::narration::Step;

const ROUNDS: usize = 15;

pub(super) fn measure(program: &Path, directory: &Path) -> Result<Row> {
    let mut step = Step::new("measuring the git checks");
    let repositories = directory.join("repositories");
    // What an earlier bench left.
    let _ = fs::remove_dir_all(&repositories);
    Repository::create(&repositories, "team/app.git")?;
    let key = keys::generate(Kind::Ed25519)?;
    let account = ssh::Account::new("bench", &key.public)?.everywhere(Right::Read);
    let server = ssh::Options::new(&repositories)?.account(account).start()?;
    let url = server.url("team/app.git");
    let (key_file, known_hosts) = (directory.join("key"), directory.join("known_hosts"));
    fs::write(&key_file, "")?;
    keys::restrict(&key_file)?;
    fs::write(&key_file, &key.private)?;
    fs::write(&known_hosts, server.known_hosts())?;
    let configuration = directory.join("git.toml");
    fs::write(
        &configuration,
        format!(
            "version = 1\n[plugins]\nenable = [\"git\"]\n[integration.bench]\nprovider = \"git\"\n\
             settings = {{ url = \"{url}\", known_hosts_file = \"known_hosts\" }}\n\
             secrets.ssh_key.file = \"key\"\n"
        ),
    )?;
    let ours =
        || succeed(lineman(program, directory).args(["check", "--skip", "git/clone", "--config"]).arg(&configuration));
    let ssh = format!(
        "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=yes \
         -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile='{}' -i '{}'",
        known_hosts.display(),
        key_file.display()
    );
    let peer = || succeed(git().args(["ls-remote", &url]).env("GIT_SSH_COMMAND", &ssh));
    let paired = paired(&mut step, ROUNDS, ours, peer)?;
    Ok(Row {
        what: "lineman check --skip git/clone, over SSH (peer: git ls-remote)".to_owned(),
        ours: paired.ours,
        peer: Some(paired.peer),
        ratio: format!("{:.2}", paired.ratio),
        budget: "≤ 1.00",
        ok: Some(paired.ratio <= 1.0),
    })
}
