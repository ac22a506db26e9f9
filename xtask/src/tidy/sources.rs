use std::sync::LazyLock;

use clap::CommandFactory;
use lineman_tests::workspace;
use regex::Regex;

use super::tree::Tree;
use crate::{Arguments, header};

/// Longer files hold more than one idea.
const MOST_LINES: usize = 600;

/// Providers by the words that code would use for them.
static PROVIDERS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(amazon|amazonaws|aws|atlassian|azure|bitbucket|datadog|gcp|github|gitlab|google|googleapis|kubernetes|mongodb|slack|terraform)\b",
    )
    .expect("a regular expression that does not change")
});

/// Where the word of a provider means something else.
const NOT_PROVIDERS: &[(&str, &str)] = &[
    // `--format github` prints annotations in the format of a CI system.
    ("crates/lineman-report/", "github"),
    ("crates/lineman/", "github"),
    // A tool whose own failures are data like the network's, and through which every provider speaks.
    ("crates/lineman-catalog/", "terraform"),
];

/// Modules whose names say nothing.
const GRAB_BAGS: &[&str] = &["utils", "util", "helpers", "helper", "common", "core", "types", "misc"];

/// A rule about lines: whatever of a file's lines a test says yes to.
fn lines(files: &mut dyn Iterator<Item = (&str, &str)>, wrong: impl Fn(&str) -> bool) -> Vec<String> {
    files
        .flat_map(|(path, text)| text.lines().enumerate().map(move |(index, line)| (path, index + 1, line)))
        .filter(|(_, _, line)| wrong(line))
        .map(|(path, number, line)| format!("{path}:{number}: {}", line.trim()))
        .collect()
}

pub(super) fn prose(tree: &Tree) -> Vec<String> {
    let opens = |path: &&str| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    let silent = tree.rust().filter(|(path, text)| opens(path) && !text.trim_start().starts_with("//!"));
    silent.map(|(path, _)| path.to_owned()).collect()
}

pub(super) fn providers(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| path.starts_with("crates/") && path.contains("/src/")) {
        // Tests need examples, and so do comments.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (index, line) in code.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in PROVIDERS.find_iter(code).map(|found| found.as_str().to_lowercase()) {
                if !NOT_PROVIDERS.iter().any(|(place, known)| path.starts_with(place) && *known == word) {
                    broken.push(format!("{path}:{} names {word}", index + 1));
                }
            }
        }
    }
    broken
}

pub(super) fn silenced(tree: &Tree) -> Vec<String> {
    let patterns = [concat!("#[", "allow("), concat!("#![", "allow("), concat!("#[", "ignore")];
    lines(&mut tree.rust(), |line| patterns.iter().any(|pattern| line.trim_start().starts_with(pattern)))
}

pub(super) fn lengths(tree: &Tree) -> Vec<String> {
    let long = tree.rust().map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > MOST_LINES);
    long.map(|(path, lines)| format!("{path} has {lines} lines")).collect()
}

pub(super) fn grab_bags(tree: &Tree) -> Vec<String> {
    let says_nothing = |path: &&str| {
        let path = path.strip_suffix("/mod.rs").or(path.strip_suffix(".rs")).unwrap_or(path);
        GRAB_BAGS.contains(&path.rsplit('/').next().unwrap_or_default())
    };
    tree.rust().map(|(path, _)| path).filter(says_nothing).map(str::to_owned).collect()
}

pub(super) fn loaders(tree: &Tree) -> Vec<String> {
    // They remember one module per type: the second plugin loaded would be the first one again.
    let calls = [concat!("load_from", "_file("), concat!("load_from", "_directory(")];
    lines(&mut tree.rust(), |line| calls.iter().any(|call| line.contains(call)))
}

pub(super) fn machine(tree: &Tree) -> Vec<String> {
    let root = workspace().to_string_lossy().into_owned();
    let cargo = std::env::var("CARGO_HOME").ok();
    let paths: Vec<String> = [Some(root), cargo].into_iter().flatten().filter(|path| path.len() > 1).collect();
    lines(&mut tree.files(), |line| paths.iter().any(|path| line.contains(path.as_str())))
}

pub(super) fn readme(tree: &Tree) -> Vec<String> {
    let command = Arguments::command();
    let chores: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let mut broken = Vec::new();
    for (index, line) in tree.text("README.md").unwrap_or_default().lines().enumerate() {
        for named in line.split("cargo xtask ").skip(1) {
            let end =
                named.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').unwrap_or(named.len());
            let chore = &named[..end];
            if !chores.contains(&chore) {
                broken.push(format!("README.md:{}: there is no `cargo xtask {chore}`", index + 1));
            }
        }
    }
    broken
}

pub(super) fn header(tree: &Tree) -> Vec<String> {
    let problem = match header::generate() {
        Ok(header) if tree.text(header::HEADER) == Some(header.as_str()) => return Vec::new(),
        Ok(_) => "write it again with `cargo xtask header`".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    vec![format!("{}: {problem}", header::HEADER)]
}
