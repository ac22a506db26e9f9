//! Git over HTTP and HTTPS: real repositories served by git's own `http-backend`, behind the
//! tokens and refusals of a forge (*simulated* from its documentation).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use percent_encoding::percent_decode_str;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::api::{self, Answer, Request, Response};
use crate::faults::{Fault, Injection};
use crate::log::RequestLog;
use crate::repository::{self, Right, Rights};
use crate::tls::Tls;

/// Where the fault `git/redirect-to-login` sends its victims.
const LOGIN: &str = "/users/sign_in";

/// A token, and what it may do.
#[derive(Clone, Debug)]
pub struct Account {
    user: Option<String>,
    token: String,
    rights: Rights,
    expired: bool,
}

impl Account {
    /// A token that any user name may go with, without any right yet.
    pub fn token(token: impl Into<String>) -> Account {
        let rights = Rights { others: Right::None, named: Vec::new() };
        Account { user: None, token: token.into(), rights, expired: false }
    }

    /// The token goes with this user name alone.
    pub fn user(mut self, user: impl Into<String>) -> Account {
        self.user = Some(user.into());
        self
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

    /// Past its date: refused like a wrong one, as forges do.
    pub fn expired(mut self) -> Account {
        self.expired = true;
        self
    }
}

/// A running Git server.
pub struct Server {
    http: api::Server,
    forge: Arc<Forge>,
}

struct Forge {
    root: PathBuf,
    accounts: Mutex<Vec<Account>>,
    faults: Injection,
}

impl Server {
    /// Serves the bare repositories under `root` to those `accounts`; nobody else may read.
    pub fn start(root: &Path, tls: Tls, accounts: impl IntoIterator<Item = Account>) -> Result<Server> {
        let forge = Arc::new(Forge {
            root: root.to_owned(),
            accounts: Mutex::new(accounts.into_iter().collect()),
            faults: Injection::default(),
        });
        let serve = Arc::clone(&forge);
        let http = api::Server::start(tls, move |request| {
            let forge = Arc::clone(&serve);
            async move { forge.answer(request).await }
        })?;
        Ok(Server { http, forge })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The URL of a repository.
    pub fn url(&self, repository: &str) -> String {
        format!("{}/{repository}", self.http.url())
    }

    /// Replaces the accounts, as when a token is rotated.
    pub fn set_accounts(&self, accounts: impl IntoIterator<Item = Account>) {
        *self.forge.accounts.lock().unwrap_or_else(PoisonError::into_inner) = accounts.into_iter().collect();
    }

    /// Faults of the service `git` to play instead of serving.
    pub fn faults(&self) -> &Injection {
        &self.forge.faults
    }

    /// What it was asked.
    pub fn log(&self) -> &RequestLog {
        self.http.log()
    }
}

impl Forge {
    async fn answer(&self, request: Request) -> Answer {
        if request.path() == LOGIN {
            return documented("git/login-page");
        }
        let service = service(&request);
        if let Some(fault) = self.faults.take("git", service) {
            return played(&fault);
        }
        let path = percent_decode_str(request.path()).decode_utf8_lossy().into_owned();
        let Some((repository, rest)) = split(&path) else { return documented("git/not-found") };
        let Some(account) = self.authenticate(&request) else { return documented("git/unauthorized") };
        let right = account.rights.on(repository);
        let Some(directory) = repository::find(&self.root, repository).filter(|_| right > Right::None) else {
            return documented("git/not-found");
        };
        if service == "git-receive-pack" && right < Right::Write {
            return documented("git/write-denied");
        }
        match backend(&directory, rest, &request, &account).await {
            Ok(response) => Answer::Send(response),
            Err(error) => Answer::Send(Response::new(500).body(format!("the lab's git failed: {error:#}"))),
        }
    }

    fn authenticate(&self, request: &Request) -> Option<Account> {
        let (user, token) = request.basic("authorization")?;
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = accounts.iter().find(|account| account.token == token)?;
        (!known.expired && known.user.as_ref().is_none_or(|wanted| *wanted == user)).then(|| known.clone())
    }
}

/// What is asked of git: `git-upload-pack` to read, `git-receive-pack` to write.
fn service(request: &Request) -> &'static str {
    let writes = request.path().ends_with("/git-receive-pack")
        || request.parameters().iter().any(|(name, value)| name == "service" && value == "git-receive-pack");
    if writes { "git-receive-pack" } else { "git-upload-pack" }
}

/// The repository in a path and what is asked of it, for the smart protocol alone.
fn split(path: &str) -> Option<(&str, &str)> {
    ["/info/refs", "/git-upload-pack", "/git-receive-pack"]
        .into_iter()
        .find_map(|end| path.strip_suffix(end).map(|repository| (repository, end)))
}

fn documented(id: &str) -> Answer {
    match Fault::named(id) {
        Ok(fault) => played(&fault),
        Err(error) => Answer::Send(Response::new(500).body(error.to_string())),
    }
}

fn played(fault: &Fault) -> Answer {
    let mut response = Response::new(fault.status).body(fault.body.clone());
    for (name, value) in &fault.headers {
        response = response.header(name, value);
    }
    fault.answer(response)
}

/// Runs `git http-backend` as CGI (RFC 3875) on one repository.
async fn backend(directory: &Path, rest: &str, request: &Request, account: &Account) -> Result<Response> {
    let mut command = Command::from(repository::git());
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", directory)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", rest)
        .env("QUERY_STRING", request.query())
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("REMOTE_USER", account.user.as_deref().unwrap_or("token"))
        .env("REMOTE_ADDR", "127.0.0.1");
    for (variable, header) in [
        ("CONTENT_TYPE", "content-type"),
        ("HTTP_CONTENT_ENCODING", "content-encoding"),
        ("GIT_PROTOCOL", "git-protocol"),
    ] {
        if let Some(value) = request.header(header) {
            command.env(variable, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("git is not on PATH")?;
    let mut input = child.stdin.take().context("git has no standard input")?;
    let feed = async {
        // git may answer before it has read everything.
        let _ = input.write_all(&request.body).await;
        drop(input);
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    let output = output?.stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").context("http-backend sent no headers")?;
    let mut response = Response::new(200).body(&output[end + 4..]);
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => {
                response.status = status.split(' ').next().unwrap_or_default().parse().context("a status")?;
            }
            Some((name, value)) => response = response.header(name, value),
            None => {}
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::repository::{Repository, git};
    use crate::tls::{Authority, Certificate};

    struct Site {
        root: TempDir,
        repository: Repository,
    }

    impl Site {
        fn new() -> Site {
            let root = tempfile::tempdir().unwrap();
            let repository = Repository::create(root.path(), "team/app.git").unwrap();
            Site { root, repository }
        }

        fn serve(&self, tls: Tls) -> Server {
            let accounts = [
                Account::token("writer").right("team/app.git", Right::Write),
                Account::token("reader").user("amy").everywhere(Right::Read),
                Account::token("nobody"),
                Account::token("old").everywhere(Right::Write).expired(),
            ];
            Server::start(self.root.path(), tls, accounts).unwrap()
        }
    }

    /// git with a token (`user:token`, or none), and certificates to trust.
    fn run(login: &str, ca: Option<&Path>, arguments: &[&str]) -> (bool, String) {
        let mut command = git();
        if let Some(ca) = ca {
            command.env("GIT_SSL_CAINFO", ca);
        }
        if let Some((user, token)) = login.split_once(':') {
            let helper = format!("credential.helper=!f() {{ echo username={user}; echo password={token}; }}; f");
            command.args(["-c", &helper]);
        }
        let output = command.args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    #[track_caller]
    fn check((success, text): (bool, String), expect: bool, says: &str) {
        assert_eq!(success, expect, "{text}");
        assert!(text.contains(says), "{says:?} is not in: {text}");
    }

    #[test]
    fn a_token_opens_what_it_has_a_right_to() {
        let site = Site::new();
        let server = site.serve(Tls::Off);
        let url = server.url("team/app.git");
        let list = |login: &str| run(login, None, &["ls-remote", &url]);
        check(list("any:writer"), true, &site.repository.commit("main").unwrap());
        check(list("amy:reader"), true, "refs/tags/v1.0");
        check(list("bob:reader"), false, "Authentication failed");
        check(list("any:old"), false, "Authentication failed");
        check(list(""), false, "terminal prompts disabled");
        check(list("any:nobody"), false, "not found");
        check(run("amy:reader", None, &["ls-remote", &server.url("team/none.git")]), false, "not found");

        let clone = tempfile::tempdir().unwrap();
        let clone = clone.path().display().to_string();
        check(run("any:writer", None, &["clone", "--quiet", &url, &clone]), true, "");
        let push = |login: &str| run(login, None, &["-C", &clone, "push", "--dry-run", "origin", "HEAD:new"]);
        check(push("any:writer"), true, "[new branch]");
        check(push("amy:reader"), false, "Write access to repository not granted");
        check(run("any:writer", None, &["-C", &clone, "push", "--quiet", "origin", "HEAD:new"]), true, "");
        assert!(site.repository.commit("new").is_ok());
    }

    #[test]
    fn certificates_are_wrong_in_the_way_that_they_say() {
        let site = Site::new();
        let authority = Authority::new().unwrap();
        let try_with = |tls: Tls| {
            let server = site.serve(tls);
            run("any:writer", Some(&authority.ca_file()), &["ls-remote", &server.url("team/app")])
        };
        for (certificate, expect, says) in [
            (Certificate::Good, true, "refs/heads/main"),
            (Certificate::Expired, false, "expired"),
            (Certificate::NotYetValid, false, "not yet valid"),
            (Certificate::WrongName, false, "does not match"),
            (Certificate::SelfSigned, false, "self-signed certificate"),
            (Certificate::UnknownAuthority, false, "issuer"),
            (Certificate::ClientCertificateRequired, false, "certificate required"),
        ] {
            let (success, text) = try_with(authority.tls(certificate).unwrap());
            assert_eq!(success, expect, "{certificate:?}: {text}");
            // The words are those of git's TLS library, which differs from system to system.
            let openssl = text.contains("SSL") || text.contains("OpenSSL");
            assert!(success || !openssl || text.contains(says), "{certificate:?}: {text}");
        }
        assert!(!try_with(Tls::PlainBehindHttps).0);

        let server = site.serve(authority.tls(Certificate::ClientCertificateRequired).unwrap());
        let (certificate, key) = authority.client_files().unwrap();
        let shown = [format!("http.sslCert={}", certificate.display()), format!("http.sslKey={}", key.display())];
        let arguments = ["-c", &shown[0], "-c", &shown[1], "ls-remote", &server.url("team/app")];
        check(run("any:writer", Some(&authority.ca_file()), &arguments), true, "refs/heads/main");
    }

    #[test]
    fn forges_fail_as_documented() {
        let site = Site::new();
        let server = site.serve(Tls::Off);
        let list = || run("any:writer", None, &["ls-remote", &server.url("team/app.git")]);
        for (fault, says) in [
            ("git/sso-required", "SAML SSO"),
            ("git/ip-not-allowed", "IP allow list"),
            ("git/password-removed", "Support for password authentication was removed"),
            ("git/rate-limited", "429"),
            ("git/service-unavailable", "503"),
            ("git/app-password-gone", "410"),
            ("git/empty-reply", "Empty reply from server"),
            ("git/redirect-to-login", "unable to update url base from redirection"),
        ] {
            server.faults().always(Fault::named(fault).unwrap());
            check(list(), false, says);
            server.faults().clear();
        }
        check(list(), true, "refs/heads/main");
    }
}
