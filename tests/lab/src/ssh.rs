//! Git over SSH: real repositories served by git itself to the real ssh, behind keys, rights and
//! the manners of a forge (*simulated*, see [`Flavour`]).

mod flavour;
mod session;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred};

use crate::keys::{self, Kind};
use crate::log::RequestLog;
use crate::repository::{Right, Rights};
use crate::serving::Serving;

pub use flavour::Flavour;

/// A key, whose it is, and what it may do.
#[derive(Clone, Debug)]
pub struct Account {
    name: String,
    key: PublicKey,
    rights: Rights,
}

impl Account {
    /// The owner's name, as greeted, and the line of their public key; without any right yet.
    pub fn new(name: impl Into<String>, public_key: &str) -> Result<Account> {
        let key = PublicKey::from_openssh(public_key.trim()).context("not a line of a public key file")?;
        Ok(Account { name: name.into(), key, rights: Rights { others: Right::None, named: Vec::new() } })
    }

    /// What it may do with one repository (`team/app.git`).
    pub fn right(mut self, repository: impl Into<String>, right: Right) -> Account {
        self.rights.named.push((repository.into(), right));
        self
    }

    /// What it may do with every repository that is not named.
    pub fn everywhere(mut self, right: Right) -> Account {
        self.rights.others = right;
        self
    }
}

/// Which keys get in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acceptance {
    /// Those of the accounts.
    #[default]
    Accounts,
    /// None: whatever is offered, "Permission denied (publickey)".
    Nothing,
    /// Those of the accounts, but signatures with SHA-1 (`ssh-rsa`) alone, which ssh no longer makes.
    Sha1,
}

/// What a server is, before it runs.
#[derive(Clone, Debug)]
pub struct Options {
    root: PathBuf,
    accounts: Vec<Account>,
    login: String,
    acceptance: Acceptance,
    flavour: Flavour,
    host_keys: Vec<PrivateKey>,
    sha1_host_key: bool,
    banner: Option<String>,
}

impl Options {
    /// The bare repositories under `root`, for the login `git`, in the manner of GitHub.
    pub fn new(root: &Path) -> Result<Options> {
        Ok(Options {
            root: root.to_owned(),
            accounts: Vec::new(),
            login: "git".to_owned(),
            acceptance: Acceptance::Accounts,
            flavour: Flavour::named("github")?,
            host_keys: Vec::new(),
            sha1_host_key: false,
            banner: None,
        })
    }

    /// Lets one more key in.
    pub fn account(mut self, account: Account) -> Options {
        self.accounts.push(account);
        self
    }

    /// The user name that everyone logs in with, instead of `git`.
    pub fn login(mut self, login: impl Into<String>) -> Options {
        self.login = login.into();
        self
    }

    /// Which keys get in.
    pub fn acceptance(mut self, acceptance: Acceptance) -> Options {
        self.acceptance = acceptance;
        self
    }

    /// Whose manners it has.
    pub fn flavour(mut self, flavour: Flavour) -> Options {
        self.flavour = flavour;
        self
    }

    /// Adds a host key (an unencrypted OpenSSH private key). Without any, an Ed25519 key is made.
    pub fn host_key(mut self, private_key: &str) -> Result<Options> {
        self.host_keys.push(PrivateKey::from_openssh(private_key).context("not an OpenSSH private key")?);
        Ok(self)
    }

    /// Offers its RSA host key (one must be given) with SHA-1 alone, which ssh no longer takes.
    pub fn sha1_host_key(mut self) -> Options {
        self.sha1_host_key = true;
        self
    }

    /// A text shown before anyone is authenticated.
    pub fn banner(mut self, banner: impl Into<String>) -> Options {
        self.banner = Some(banner.into());
        self
    }

    /// Starts the server.
    pub fn start(mut self) -> Result<Server> {
        if self.host_keys.is_empty() {
            self = self.host_key(&keys::generate(Kind::Ed25519)?.private)?;
        }
        let log = RequestLog::default();
        let config = Arc::new(Mutex::new(Arc::new(self.config())));
        let host_keys = Mutex::new(self.host_keys.clone());
        let site = Arc::new(self);
        let (serve, record, configured) = (Arc::clone(&site), log.clone(), Arc::clone(&config));
        let serving = Serving::accepting(move |stream| {
            let config = Arc::clone(&configured.lock().unwrap_or_else(PoisonError::into_inner));
            session::run(config, stream, Arc::clone(&serve), record.clone())
        })?;
        Ok(Server { serving, site, config, host_keys, log })
    }

    fn config(&self) -> Config {
        let mut preferred = Preferred::default();
        let sha1 = |algorithm: &Algorithm| *algorithm == Algorithm::Rsa { hash: None };
        // The same list names the host key's algorithms and those that a user may sign with, so
        // for SHA-1 users other kinds stay in it and `session` refuses them when they are offered.
        preferred.key = if self.sha1_host_key {
            vec![Algorithm::Rsa { hash: None }].into()
        } else if self.acceptance == Acceptance::Sha1 {
            let rsa_sha2 =
                |a: &Algorithm| matches!(a, Algorithm::Rsa { hash: Some(HashAlg::Sha256 | HashAlg::Sha512) });
            preferred.key.iter().filter(|a| !rsa_sha2(a)).cloned().collect::<Vec<_>>().into()
        } else {
            preferred.key.iter().filter(|a| !sha1(a)).cloned().collect::<Vec<_>>().into()
        };
        Config {
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            auth_rejection_time: std::time::Duration::ZERO,
            keys: self.host_keys.clone(),
            preferred,
            nodelay: true,
            ..Config::default()
        }
    }
}

/// A running SSH server.
pub struct Server {
    serving: Serving,
    site: Arc<Options>,
    config: Arc<Mutex<Arc<Config>>>,
    host_keys: Mutex<Vec<PrivateKey>>,
    log: RequestLog,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// The URL of a repository: `ssh://git@127.0.0.1:PORT/team/app.git`.
    pub fn url(&self, repository: &str) -> String {
        format!("ssh://{}@{}/{repository}", self.site.login, self.address())
    }

    /// The lines for `known_hosts` under which the host keys that it has now are known.
    pub fn known_hosts(&self) -> String {
        let keys = self.host_keys.lock().unwrap_or_else(PoisonError::into_inner);
        let host = format!("[{}]:{}", self.address().ip(), self.address().port());
        let line = |key: &PrivateKey| {
            let public = key.public_key().to_openssh().unwrap_or_default();
            let mut fields = public.split(' ');
            format!("{host} {} {}\n", fields.next().unwrap_or_default(), fields.next().unwrap_or_default())
        };
        keys.iter().map(line).collect()
    }

    /// From now on shows this host key (an unencrypted OpenSSH private key) and no other.
    pub fn change_host_key(&self, private_key: &str) -> Result<()> {
        let changed = Options { host_keys: Vec::new(), ..Options::clone(&self.site) }.host_key(private_key)?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed.config());
        *self.host_keys.lock().unwrap_or_else(PoisonError::into_inner) = changed.host_keys;
        Ok(())
    }

    /// What it was asked: `publickey` with the login, `exec` with the command line, `shell`.
    pub fn log(&self) -> &RequestLog {
        &self.log
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use tempfile::TempDir;

    use super::*;
    use crate::keys::KeyPair;
    use crate::repository::{Repository, git};

    /// A home for one client: its key, what it knows of hosts, a clone.
    struct Client(TempDir);

    impl Client {
        fn new(key: &KeyPair, known_hosts: &str) -> Client {
            let home = tempfile::tempdir().unwrap();
            std::fs::write(home.path().join("key"), &key.private).unwrap();
            keys::restrict(&home.path().join("key")).unwrap();
            std::fs::write(home.path().join("known_hosts"), known_hosts).unwrap();
            Client(home)
        }

        /// The system's ssh with nobody's configuration.
        fn ssh(&self) -> String {
            let home = self.0.path().display();
            format!(
                "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none -i {home}/key \
                 -o UserKnownHostsFile={home}/known_hosts -o GlobalKnownHostsFile=/dev/null \
                 -o StrictHostKeyChecking=yes"
            )
        }

        fn git(&self, arguments: &[&str]) -> (bool, String) {
            let mut command = git();
            command.env("GIT_SSH_COMMAND", self.ssh()).current_dir(self.0.path()).args(arguments);
            told(command.output().unwrap())
        }

        fn shell(&self, server: &Server) -> (Option<i32>, String) {
            let address = server.address();
            let mut words = self.ssh();
            words.push_str(&format!(" -T -p {} git@{}", address.port(), address.ip()));
            let mut words = words.split_whitespace();
            let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
            (output.status.code(), told(output).1)
        }
    }

    fn told(output: Output) -> (bool, String) {
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    struct Site {
        root: TempDir,
        repository: Repository,
        key: KeyPair,
    }

    impl Site {
        fn new(kind: Kind) -> Site {
            let root = tempfile::tempdir().unwrap();
            let repository = Repository::create(root.path(), "team/app.git").unwrap();
            Repository::create(root.path(), "team/hidden.git").unwrap();
            Site { root, repository, key: keys::generate(kind).unwrap() }
        }

        fn options(&self, right: Right) -> Options {
            let account = Account::new("octocat", &self.key.public).unwrap().right("team/app", right);
            Options::new(self.root.path()).unwrap().account(account)
        }
    }

    #[track_caller]
    fn check((success, text): (bool, String), expect: bool, says: &str) {
        assert_eq!(success, expect, "{text}");
        assert!(text.contains(says), "{says:?} is not in: {text}");
    }

    #[test]
    fn git_lists_clones_and_pushes_with_the_systems_ssh() {
        for kind in [Kind::Ed25519, Kind::Rsa, Kind::Ecdsa] {
            let site = Site::new(kind);
            let server = site.options(Right::Write).start().unwrap();
            let client = Client::new(&site.key, &server.known_hosts());
            let url = server.url("team/app.git");
            check(client.git(&["ls-remote", &url]), true, &site.repository.commit("main").unwrap());
            check(client.git(&["clone", "--quiet", &url, "clone"]), true, "");
            let clone = client.0.path().join("clone");
            assert_eq!(std::fs::read_to_string(clone.join("README.md")).unwrap(), "A lab demo.\n");
            let clone = clone.display().to_string();
            check(client.git(&["-C", &clone, "push", "--dry-run", "origin", "HEAD:new"]), true, "[new branch]");
            check(client.git(&["-C", &clone, "push", "--quiet", "origin", "HEAD:new"]), true, "");
            assert!(site.repository.commit("new").is_ok(), "{kind:?}");
        }
    }

    #[test]
    fn a_forge_refuses_in_its_own_words() {
        let site = Site::new(Kind::Ed25519);
        for (flavour, unknown, write) in [
            ("github", "ERROR: Repository not found.", "marked as read only"),
            ("gitlab", "could not be found or you don't have permission", "not allowed to push"),
            ("gitolite", "DENIED by fallthru", "FATAL: W any team/app octocat DENIED"),
            ("git-shell", "does not appear to be a git repository", "unrecognized command"),
        ] {
            let flavour = Flavour::named(flavour).unwrap();
            let server = site.options(Right::Read).flavour(flavour.clone()).start().unwrap();
            let client = Client::new(&site.key, &server.known_hosts());
            let refused = |path: &str| client.git(&["ls-remote", &server.url(path)]);
            check(refused("team/nothing.git"), false, unknown);
            check(refused("team/hidden.git"), false, unknown);
            check(refused("../../etc"), false, unknown);
            let local = site.repository.path().display().to_string();
            let push = client.git(&["-C", &local, "push", "--dry-run", &server.url("team/app"), "main:new"]);
            check(push, false, write);
        }
        let server = site.options(Right::Read).start().unwrap();
        let (exit, text) = Client::new(&site.key, &server.known_hosts()).shell(&server);
        assert_eq!(exit, Some(1));
        assert!(text.starts_with("Hi octocat! You've successfully authenticated, but"), "{text}");
        assert_eq!(server.log().lines(), ["publickey git", "shell "]);
    }

    #[test]
    fn a_key_that_is_not_accepted_is_refused_as_publickey() {
        let site = Site::new(Kind::Rsa);
        let stranger = keys::generate(Kind::Ed25519).unwrap();
        for (acceptance, key) in
            [(Acceptance::Accounts, &stranger), (Acceptance::Nothing, &site.key), (Acceptance::Sha1, &site.key)]
        {
            let server = site.options(Right::Read).acceptance(acceptance).start().unwrap();
            let client = Client::new(key, &server.known_hosts());
            check(client.git(&["ls-remote", &server.url("team/app")]), false, "Permission denied (publickey)");
        }
        let server = site.options(Right::Read).acceptance(Acceptance::Sha1).start().unwrap();
        let mut client = Client::new(&site.key, &server.known_hosts());
        std::fs::write(client.0.path().join("known_hosts"), server.known_hosts()).unwrap();
        let old = format!("{} -o PubkeyAcceptedAlgorithms=+ssh-rsa", client.ssh());
        let mut command = git();
        command.env("GIT_SSH_COMMAND", old).args(["ls-remote", &server.url("team/app")]);
        check(told(command.output().unwrap()), true, "refs/heads/main");
        client = Client::new(&site.key, "");
        check(client.git(&["ls-remote", &server.url("team/app")]), false, "Host key verification failed");
    }

    #[test]
    fn host_keys_change_and_may_be_outdated() {
        let site = Site::new(Kind::Ed25519);
        let server = site.options(Right::Read).banner("Authorised use only\n").start().unwrap();
        let client = Client::new(&site.key, &server.known_hosts());
        check(client.git(&["ls-remote", &server.url("team/app")]), true, "Authorised use only");
        server.change_host_key(&keys::generate(Kind::Ed25519).unwrap().private).unwrap();
        check(client.git(&["ls-remote", &server.url("team/app")]), false, "REMOTE HOST IDENTIFICATION HAS CHANGED");

        let rsa = keys::generate(Kind::Rsa).unwrap();
        let server = site.options(Right::Read).host_key(&rsa.private).unwrap().sha1_host_key().start().unwrap();
        let client = Client::new(&site.key, "");
        check(
            client.git(&["ls-remote", &server.url("team/app")]),
            false,
            "no matching host key type found. Their offer: ssh-rsa",
        );
    }
}
