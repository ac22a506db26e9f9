//! Small Git repositories, the same to the byte each time, and git itself in a clean environment.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// One commit with one file on `main`, and the annotated tag `v1.0` on it.
const HISTORY: &str = "\
commit refs/heads/main
mark :1
committer Lab <lab@example.com> 1700000000 +0000
data 6
First
M 100644 inline README.md
data 12
A lab demo.

tag v1.0
from :1
tagger Lab <lab@example.com> 1700000000 +0000
data 4
1.0
";

/// A bare repository under the root of a server.
#[derive(Clone, Debug)]
pub struct Repository {
    path: PathBuf,
}

impl Repository {
    /// Makes `name` (such as `team/app.git`) under `root`, with the branch `main` and the tag
    /// `v1.0`. Pushing over HTTP is enabled: the server decides who may.
    pub fn create(root: &Path, name: &str) -> Result<Repository> {
        let repository = Repository { path: root.join(name) };
        std::fs::create_dir_all(&repository.path)?;
        repository.run(&["init", "--quiet", "--bare", "--initial-branch=main", "."], "")?;
        repository.run(&["config", "http.receivepack", "true"], "")?;
        repository.run(&["fast-import", "--quiet"], HISTORY)?;
        Ok(repository)
    }

    /// Where it is on disk.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The commit that a revision names.
    pub fn commit(&self, revision: &str) -> Result<String> {
        let output = self.run(&["rev-parse", "--verify", &format!("{revision}^{{commit}}")], "")?;
        Ok(output.trim().to_owned())
    }

    fn run(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = git()
            .args(arguments)
            .current_dir(&self.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("git is not on PATH")?;
        child.stdin.take().context("git has no standard input")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {}: {}", arguments.join(" "), errors.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// git as it is without anyone's configuration: no user or system settings, no prompts, no
/// variables but `PATH`, dates and names that never change.
pub fn git() -> Command {
    let mut command = Command::new("git");
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.envs([
        ("HOME", "/nonexistent"),
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "Lab"),
        ("GIT_AUTHOR_EMAIL", "lab@example.com"),
        ("GIT_AUTHOR_DATE", "1700000000 +0000"),
        ("GIT_COMMITTER_NAME", "Lab"),
        ("GIT_COMMITTER_EMAIL", "lab@example.com"),
        ("GIT_COMMITTER_DATE", "1700000000 +0000"),
        // Repositories of the lab may belong to another user, as in a container.
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ]);
    command
}

/// The repository that a client's path names under `root`, if it stays there and exists.
///
/// A leading `/` or `~/` and a missing `.git` are as forges take them.
pub(crate) fn find(root: &Path, path: &str) -> Option<PathBuf> {
    let name = name(path)?;
    [format!("{name}.git"), name].into_iter().map(|name| root.join(name)).find(|path| path.join("HEAD").is_file())
}

/// What a client's path calls the repository: `team/app` for `/team/app.git/`.
pub(crate) fn name(path: &str) -> Option<String> {
    let path = path.strip_prefix("/~/").or(path.strip_prefix("~/")).unwrap_or(path).trim_matches('/');
    let inside = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0']);
    (path.split('/').all(inside)).then(|| path.strip_suffix(".git").unwrap_or(path).to_owned())
}

/// What an account may do with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Nothing: most forges then say that it does not exist.
    None,
    /// Clone and fetch.
    Read,
    /// Clone, fetch and push.
    Write,
}

/// Rights per repository, with one for all the others.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    pub(crate) others: Right,
    pub(crate) named: Vec<(String, Right)>,
}

impl Rights {
    pub(crate) fn on(&self, path: &str) -> Right {
        let Some(wanted) = name(path) else { return Right::None };
        let right = self.named.iter().find(|(repository, _)| name(repository).as_ref() == Some(&wanted));
        right.map_or(self.others, |(_, right)| *right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_repository_under_the_root_or_nothing() {
        #[track_caller]
        fn check(path: &str, expect: Option<&str>) {
            assert_eq!(name(path).as_deref(), expect, "{path}");
        }
        check("/team/app.git", Some("team/app"));
        check("team/app", Some("team/app"));
        check("~/app.git", Some("app"));
        check("/~/app.git/", Some("app"));
        check("../secret.git", None);
        check("/team/../../etc", None);
        check("team/.git", None);
        check("a//b", None);
        check("", None);
    }

    #[test]
    fn repositories_are_the_same_each_time() {
        let root = tempfile::tempdir().unwrap();
        let one = Repository::create(root.path(), "team/one.git").unwrap();
        let two = Repository::create(root.path(), "two").unwrap();
        assert_eq!(one.commit("main").unwrap(), two.commit("v1.0").unwrap());
        assert_eq!(find(root.path(), "/team/one").as_deref(), Some(one.path()));
        assert_eq!(find(root.path(), "/two.git").as_deref(), Some(two.path()));
        assert_eq!(find(root.path(), "team"), None);
    }
}
