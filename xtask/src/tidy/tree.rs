use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lineman_tests::workspace;
use serde::Deserialize;

/// The source tree as git knows it.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Texts by path, relative to the root.
    files: BTreeMap<String, String>,
    /// The crates by directory.
    crates: BTreeMap<String, Manifest>,
}

/// What the rules read of a `Cargo.toml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Manifest {
    /// `[package]`.
    pub(crate) package: Package,
    /// `[lib]`.
    pub(crate) lib: Option<Library>,
    /// `[lints]`.
    #[serde(default)]
    pub(crate) lints: toml::Table,
    /// There in a crate that stands for itself, below the workspace and no part of it.
    workspace: Option<toml::Table>,
    #[serde(default)]
    dependencies: toml::Table,
    #[serde(default)]
    dev_dependencies: toml::Table,
    #[serde(default)]
    build_dependencies: toml::Table,
}

/// `[package]`.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// The name.
    pub(crate) name: String,
}

/// `[lib]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Library {
    /// `crate-type`.
    #[serde(default)]
    pub(crate) crate_type: Vec<String>,
}

impl Manifest {
    /// Whether a dependency is there for tests and nothing else.
    pub(crate) fn is_for_tests_only(&self, name: &str) -> bool {
        !self.dependencies.contains_key(name) && !self.build_dependencies.contains_key(name)
    }

    /// Every dependency, for whatever it is needed, and how it is declared.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = (&str, &toml::Value)> {
        let all = [&self.dependencies, &self.dev_dependencies, &self.build_dependencies];
        all.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }
}

/// The workspace within the tree that is not the tree's own: it is built in another way.
pub(crate) const FUZZ: &str = "fuzz";

impl Tree {
    /// Reads every text file that git tracks or would track.
    pub(crate) fn read() -> Result<Tree> {
        let mut git = Command::new("git");
        git.current_dir(workspace()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let output = git.output().context("cannot run git")?;
        ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
        let mut tree = Tree { files: BTreeMap::new(), crates: BTreeMap::new() };
        for path in String::from_utf8_lossy(&output.stdout).split_terminator('\0') {
            // What is deleted and not yet committed has no text, and what is binary none to read.
            if let Ok(text) = std::fs::read_to_string(workspace().join(path)) {
                tree.put(path, &text)?;
            }
        }
        Ok(tree)
    }

    /// Adds a file, or puts another text in its place.
    pub(crate) fn put(&mut self, path: &str, text: &str) -> Result<()> {
        if let Some(directory) = path.strip_suffix("/Cargo.toml") {
            let manifest: Manifest = toml::from_str(text).with_context(|| format!("cannot read {path}"))?;
            // The binary that is kept for ever is built from a crate of its own; fuzz targets are ours.
            if manifest.workspace.is_none() || directory == FUZZ {
                self.crates.insert(directory.to_owned(), manifest);
            }
        }
        self.files.insert(path.to_owned(), text.to_owned());
        Ok(())
    }

    /// Every file: path and text.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every file of Rust: path and text.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// The text of a file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Every crate: its directory and its manifest.
    pub(crate) fn crates(&self) -> impl Iterator<Item = (&str, &Manifest)> {
        self.crates.iter().map(|(directory, manifest)| (directory.as_str(), manifest))
    }

    /// The Rust files of a crate: those below its directory and not below another crate's, and those
    /// that it takes in from elsewhere, `#[path = "…"]`.
    pub(crate) fn rust_of<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let inside =
            |path: &str, directory: &str| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        let nested = move |path: &str| self.crates.keys().any(|other| inside(other, directory) && inside(path, other));
        let own = move |path: &str| inside(path, directory) && !nested(path);
        let taken: Vec<String> =
            self.rust().filter(|(path, _)| own(path)).flat_map(|(_, text)| taken_in(text)).collect();
        self.rust().filter(move |(path, _)| own(path) || taken.iter().any(|taken| path.starts_with(taken)))
    }
}

/// What a file takes in from another place of the tree.
fn taken_in(text: &str) -> impl Iterator<Item = String> {
    let paths = text.lines().filter_map(|line| line.trim().strip_prefix("#[path = \"../../")?.strip_suffix("\"]"));
    paths.map(str::to_owned)
}
