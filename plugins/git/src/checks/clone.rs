//! `git/clone`: the system's git clones the repository, with this credential and nothing else.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use lineman_sdk::prelude::*;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{read, remote};
use crate::remote::{Remote, Transport};
use crate::ssh::Client;
use crate::{Git, http, open_path};

pub(crate) async fn check(cx: Cx<Git>) -> Outcome {
    let remote = remote(&cx)?;
    let advertisement = read::advertisement(&cx, &remote).await?;
    let git = cx.program("git")?;
    let failed = |error: std::io::Error| {
        cx.finding(
            "directory-unwritable",
            Cause::Undetermined,
            format!("The private directory cannot be written: {error}."),
        )
    };
    let directory = tempfile::Builder::new().prefix("clone-").tempdir_in(cx.directory()).map_err(failed)?;
    let ssh = configure(&cx, &remote, &directory).await?;

    let mut git = git
        .args(["clone", "--quiet", "--bare", "--depth=1", "--single-branch", "--no-tags", "--template="])
        .args(advertisement.filters().then_some("--filter=blob:none"));
    // Only branches and tags can be cloned by name; of the rest, that it exists must do.
    let name = cx.settings().reference.as_deref().and_then(|name| advertisement.find(name));
    let name = name.and_then(|name| name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")));
    if let Some(name) = name {
        git = git.arg(format!("--branch={name}"));
    }
    let output = environment(git, directory.path(), ssh.as_deref())
        .arg("--")
        .arg(remote.for_git())
        .arg(directory.path().join("repository"))
        .output()
        .await?;
    if output.ok() {
        return Ok(());
    }
    let finding = cx.recognise(&output.stderr, Some("git clone")).unwrap_or_else(|| {
        cx.finding("clone-failed", Cause::Undetermined, format!("git does not clone {}.", remote.repository()))
    });
    Err(finding.subject("repository", remote.repository()).evidence(Evidence::log("git clone", &output.stderr)).into())
}

/// No configuration but ours, no prompt, no transport but the address's, plain messages.
fn environment(git: lineman_sdk::Program, directory: &Path, ssh: Option<&str>) -> lineman_sdk::Program {
    let git = git
        .env("HOME", directory)
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", directory.join("gitconfig"))
        .env("GIT_TERMINAL_PROMPT", "0");
    match ssh {
        Some(command) => git.env("GIT_SSH_COMMAND", command).env("GIT_SSH_VARIANT", "ssh"),
        None => git,
    }
}

/// Writes the only configuration that git sees. Gives the command for SSH.
async fn configure(cx: &Cx<Git>, remote: &Remote, directory: &TempDir) -> Result<Option<String>, Stop> {
    let failed = |error: std::io::Error| {
        cx.finding(
            "directory-unwritable",
            Cause::Undetermined,
            format!("The private directory cannot be written: {error}."),
        )
    };
    let directory = directory.path();
    let transport = match remote.transport {
        Transport::Ssh => "ssh",
        Transport::Https => "https",
        Transport::Http => "http",
    };
    let mut config = Zeroizing::new(format!(
        "[protocol]\n\tallow = never\n[protocol \"{transport}\"]\n\tallow = always\n\
         [core]\n\thooksPath = /dev/null\n\taskPass =\n\tfsmonitor = false\n\
         [gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n[submodule]\n\trecurse = false\n\
         [credential]\n\thelper =\n"
    ));
    let ssh = match remote.transport {
        Transport::Ssh => {
            let client = Client::of(cx, remote).await?;
            let program = cx.program("ssh")?;
            Some(format!("{} -F {}", quoted(program.path()), quoted(&client.config())))
        }
        Transport::Https | Transport::Http => {
            let walk = open_path(cx, remote).await?;
            let proxy = walk.proxy.as_ref().map(|proxy| proxy.url().expose()).unwrap_or_default();
            over_http(cx, remote, directory, proxy, &mut config).map_err(failed)?;
            None
        }
    };
    write(&directory.join("gitconfig"), &config).map_err(failed)?;
    Ok(ssh)
}

/// Proxy, authorities and credential: in files, since arguments and environment are public.
fn over_http(cx: &Cx<Git>, remote: &Remote, directory: &Path, proxy: &str, config: &mut String) -> std::io::Result<()> {
    if let Some(token) = &cx.secrets().token {
        let encoded = |text: &str| Zeroizing::new(utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
        let address = remote.for_git();
        let Some((scheme, place)) = address.split_once("://") else { return Ok(()) };
        let line = Zeroizing::new(format!(
            "{scheme}://{}:{}@{}\n",
            encoded(&http::user(cx, remote)).as_str(),
            encoded(token.expose()).as_str(),
            place.split('/').next().unwrap_or_default()
        ));
        let path = directory.join("credentials");
        write(&path, &line)?;
        config.push_str(&format!("\thelper = {}\n", value(&format!("store --file={}", quoted(&path))).as_str()));
    }
    config.push_str(&format!(
        "[http]\n\tproxy = {}\n\tfollowRedirects = initial\n\tlowSpeedLimit = 1\n\tlowSpeedTime = 20\n",
        value(proxy).as_str()
    ));
    if let Some(ca) = &cx.connection().ca {
        let files = ca.file.iter().map(|file| ("sslCAInfo", file));
        for (name, path) in files.chain(ca.directory.iter().map(|directory| ("sslCAPath", directory))) {
            config.push_str(&format!("\t{name} = {}\n", value(path).as_str()));
        }
    }
    Ok(())
}

/// A value of git-config(1).
fn value(text: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// A word of the shell that git hands the command to.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

fn write(path: &Path, content: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content.as_bytes())
}
