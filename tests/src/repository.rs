use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Names;
use crate::server::clean_command;

/// Bare repositories as a Git server holds them.
#[derive(Debug)]
pub struct Repositories {
    /// The directory they lie in.
    pub root: PathBuf,
    /// A clone with one commit, to push from.
    pub clone: PathBuf,
}

impl Repositories {
    /// Makes `team.git` with one commit on `main`, `empty.git` without any, and `damaged.git`,
    /// which lists a branch whose objects are gone.
    pub fn create(directory: &Path) -> Result<Repositories> {
        let repositories = Repositories { root: directory.join("repositories"), clone: directory.join("clone") };
        std::fs::create_dir_all(&repositories.root)?;
        let git = |at: &Path, arguments: &[&str]| run(git(at).args(arguments));
        git(directory, &["init", "--quiet", "--initial-branch=main", "clone"])?;
        git(&repositories.clone, &["commit", "--quiet", "--allow-empty", "--message=One"])?;
        std::fs::write(repositories.clone.join("README"), "A repository to test with.\n")?;
        git(&repositories.clone, &["add", "README"])?;
        git(&repositories.clone, &["commit", "--quiet", "--message=Two"])?;
        for name in ["team.git", "damaged.git"] {
            git(&repositories.root, &["clone", "--quiet", "--bare", "../clone", name])?;
        }
        git(&repositories.root, &["init", "--quiet", "--bare", "--initial-branch=main", "empty.git"])?;
        let objects = repositories.root.join("damaged.git/objects");
        let tree = output(git_in(&repositories.clone).args(["rev-parse", "HEAD^{tree}"]))?;
        let (folder, file) = tree.trim().split_at(2);
        std::fs::remove_file(objects.join(folder).join(file)).context("the object to damage")?;
        Ok(repositories)
    }

    /// Fills the placeholder `{repositories}`.
    pub fn name(&self, names: &mut Names) {
        names.set("repositories", self.root.display());
    }
}

/// The git command with an identity and nothing of the user's configuration.
pub(crate) fn git_in(directory: &Path) -> Command {
    let mut command = clean_command("git");
    command.current_dir(directory).env("HOME", directory).env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Tester").env(format!("GIT_{role}_EMAIL"), "tester@example.com");
    }
    command
}

fn git(directory: &Path) -> Command {
    git_in(directory)
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// What a command prints; it must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{command:?} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
