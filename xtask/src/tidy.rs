//! The rules of the project that the compiler does not know, each with its reason. They run as
//! `cargo xtask tidy` and as a test, so that there are no rules that only CI knows.

mod crates;
mod sources;
mod tree;

use anyhow::{Result, ensure};

use crate::say;
use tree::Tree;

/// A rule: the places where the tree breaks it, one line each.
type Rule = fn(&Tree) -> Vec<String>;

const RULES: &[(&str, Rule)] = &[
    ("arrows between crates", crates::arrows),
    ("every dependency of the workspace is used and says why it is there", crates::declared_with_reason_and_used),
    ("every dependency of a crate is used by it", crates::used_where_declared),
    ("every crate takes the workspace's lints", crates::lints),
    ("plugins are libraries that forbid unsafe code", crates::plugins),
    ("crates open with prose", sources::prose),
    ("no crate names a provider", sources::providers),
    ("lints are expected with a reason, tests are never ignored", sources::silenced),
    ("files are short", sources::lengths),
    ("modules are named for the domain", sources::grab_bags),
    ("plugins are loaded from their header", sources::loaders),
    ("nothing names the machine that it was written on", sources::machine),
    ("the commands of the README exist", sources::readme),
    ("the C header says what its source says", sources::header),
];

/// Checks every rule.
pub(crate) fn run() -> Result<()> {
    let broken = check(&Tree::read()?);
    broken.iter().for_each(|line| say(line));
    ensure!(broken.is_empty(), "{} places are untidy", broken.len());
    Ok(())
}

fn check(tree: &Tree) -> Vec<String> {
    let broken = |(name, rule): &(&str, Rule)| -> Vec<String> {
        rule(tree).into_iter().map(|place| format!("{name}: {place}")).collect()
    };
    RULES.iter().flat_map(broken).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let broken = check(&Tree::read().unwrap());
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    /// Each rule finds what it is for: a tree with one thing wrong.
    #[test]
    fn every_rule_finds_what_it_is_for() {
        let check = |path: &str, text: &str, expect: &str| {
            let mut tree = Tree::read().unwrap();
            tree.put(path, text).unwrap();
            let broken = check(&tree);
            assert!(broken.iter().any(|line| line.contains(expect)), "{expect} is not among {broken:#?}");
        };
        let manifest = |name: &str, dependencies: &str| {
            format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n[dependencies]\n{dependencies}\n")
        };
        check(
            "crates/lineman-model/Cargo.toml",
            &manifest("lineman-model", "lineman-host.workspace = true"),
            "lineman-model -> lineman-host",
        );
        check("crates/new/Cargo.toml", &manifest("new", ""), "new is not in the list");
        check(
            "crates/lineman-abi/Cargo.toml",
            &manifest("lineman-abi", "serde.workspace = true"),
            "lineman-abi does not use serde",
        );
        check(
            "crates/lineman-abi/Cargo.toml",
            &manifest("lineman-abi", "serde = \"1\""),
            "lineman-abi declares serde itself",
        );
        check("crates/lineman-abi/Cargo.toml", "[package]\nname = \"lineman-abi\"", "lineman-abi does not take");
        check("Cargo.toml", "[workspace.dependencies]\nserde = \"1\"", "serde does not say why");
        let other = manifest("lineman-fuzz", "") + "[workspace.dependencies]\nserde = \"1\"";
        check("fuzz/Cargo.toml", &other, "serde does not say why");
        check("Cargo.toml", "[workspace.dependencies]\n# Not needed.\nnobody = \"1\"", "nobody is not used");
        check("plugins/git/src/lib.rs", "//! A plugin.", "lineman-plugin-git does not forbid");
        check("crates/lineman-net/src/lib.rs", "use std::io;", "crates/lineman-net/src/lib.rs");
        check("crates/lineman-net/src/x.rs", "fn f() { let host = \"Amazon\"; }", "x.rs:1 names amazon");
        check("crates/lineman-net/src/x.rs", concat!("#[", "ignore]"), "x.rs:1");
        check("crates/lineman-net/src/x.rs", concat!("#[", "allow(dead_code)]"), "x.rs:1");
        check("crates/lineman-net/src/x.rs", &"\n".repeat(601), "x.rs has 601 lines");
        check("crates/lineman-net/src/utils.rs", "", "utils.rs");
        check("crates/lineman-net/src/x.rs", concat!("load_from", "_file(path)"), "x.rs:1");
        check("docs/x.md", &format!("see {}", lineman_tests::workspace().display()), "docs/x.md:1");
        check(
            "crates/lineman-abi/include/lineman_plugin.h",
            "/* nothing */",
            "write it again with `cargo xtask header`",
        );
        check("README.md", "run `cargo xtask frobnicate`", "README.md:1: there is no `cargo xtask frobnicate`");
    }
}
