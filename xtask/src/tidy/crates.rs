use std::collections::BTreeSet;

use regex::Regex;

use super::tree::{FUZZ, Manifest, Tree};

/// Which crates of the workspace a crate may depend on. A new arrow is the most expensive change
/// there is: it belongs here first, with a reason in the commit.
const ARROWS: &[(&str, &[&str])] = &[
    ("lineman-model", &[]),
    ("lineman-abi", &[]),
    ("lineman-catalog", &["lineman-model"]),
    ("lineman-net", &["lineman-model"]),
    ("lineman-sdk", &["lineman-abi", "lineman-catalog", "lineman-model", "lineman-net"]),
    ("lineman-host", &["lineman-abi", "lineman-model"]),
    // The judge of plugins drives them as the host does, and holds their catalogs to their examples.
    ("lineman-conformance", &["lineman-catalog", "lineman-host", "lineman-model"]),
    // It knows nothing of ours.
    ("lineman-guard", &[]),
    ("lineman-engine", &["lineman-model"]),
    ("lineman-config", &["lineman-model"]),
    ("lineman-report", &["lineman-catalog", "lineman-model"]),
    ("lineman-history", &["lineman-model"]),
    // What reads logs asks the catalogs; nothing of the host, so that whatever has bytes can use it.
    ("lineman-logs", &["lineman-catalog", "lineman-model"]),
    (
        "lineman",
        &[
            "lineman-catalog",
            "lineman-config",
            "lineman-conformance",
            "lineman-engine",
            "lineman-guard",
            "lineman-history",
            "lineman-host",
            "lineman-logs",
            "lineman-model",
            "lineman-net",
            "lineman-report",
        ],
    ),
    ("lineman-plugin-*", &["lineman-sdk"]),
    // Nothing but one symbol more than the other has.
    // Broken plugins: some go round the SDK to be broken where it would not let them.
    ("lineman-misbehaving-*", &["lineman-abi", "lineman-model", "lineman-sdk"]),
    (
        "lineman-fuzz",
        &["lineman-catalog", "lineman-config", "lineman-engine", "lineman-host", "lineman-logs", "lineman-model"],
    ),
    ("lineman-lab", &["lineman-model"]),
    ("lineman-tests", &["lineman-lab", "lineman-model"]),
    ("xtask", &["lineman-lab", "lineman-model", "lineman-tests"]),
];

/// In-process servers to test on.
const LAB: &str = "lineman-lab";

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    ARROWS.iter().find(|(pattern, _)| fits(pattern)).map(|(_, to)| *to)
}

pub(super) fn arrows(tree: &Tree) -> Vec<String> {
    let ours: BTreeSet<&str> = tree.crates().map(|(_, manifest)| manifest.package.name.as_str()).collect();
    let mut broken = Vec::new();
    for (_, manifest) in tree.crates() {
        let name = &manifest.package.name;
        let Some(allowed) = allowed(name) else {
            broken.push(format!("{name} is not in the list"));
            continue;
        };
        let arrows = manifest.dependencies().map(|(to, _)| to).filter(|to| ours.contains(to));
        // Whoever likes may be tested on the lab.
        let tested = |to: &&str| *to == LAB && manifest.is_for_tests_only(to);
        broken.extend(arrows.filter(|to| !allowed.contains(to) && !tested(to)).map(|to| format!("{name} -> {to}")));
    }
    broken
}

pub(super) fn declared_with_reason_and_used(tree: &Tree) -> Vec<String> {
    let own = declared(tree, "Cargo.toml", |directory| directory != FUZZ);
    own.into_iter().chain(declared(tree, "fuzz/Cargo.toml", |directory| directory == FUZZ)).collect()
}

/// The same for the workspace of a manifest, whose crates are those in these directories.
fn declared(tree: &Tree, manifest: &str, is_member: impl Fn(&str) -> bool) -> Vec<String> {
    let text = tree.text(manifest).unwrap_or_default();
    let (_, section) = text.split_once("[workspace.dependencies]").unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let members = tree.crates().filter(|(directory, _)| is_member(directory));
    let used: BTreeSet<&str> =
        members.flat_map(|(_, manifest)| manifest.dependencies()).map(|(name, _)| name).collect();
    let mut broken = Vec::new();
    let mut above = "";
    for line in section.lines() {
        if let Some((name, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            // Our own crates say why they exist on their first page.
            if !value.contains("path =") {
                if !above.starts_with('#') {
                    broken.push(format!("{name} does not say why it is there"));
                }
                if !used.contains(name) {
                    broken.push(format!("{name} is not used"));
                }
            }
        }
        above = line;
    }
    broken
}

pub(super) fn used_where_declared(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (directory, manifest) in tree.crates() {
        let owner = &manifest.package.name;
        for (name, declared) in manifest.dependencies() {
            if declared.get("workspace").is_none() {
                broken.push(format!("{owner} declares {name} itself"));
            }
            let word = Regex::new(&format!(r"\b{}\b", name.replace('-', "_")));
            // The code that a derived schema is made of names its crate, and nobody else does.
            let derived = name == "schemars" && tree.rust_of(directory).any(|(_, text)| text.contains("JsonSchema"));
            let is_used =
                derived || word.is_ok_and(|word| tree.rust_of(directory).any(|(_, text)| word.is_match(text)));
            if !is_used {
                broken.push(format!("{owner} does not use {name}"));
            }
        }
    }
    broken
}

pub(super) fn lints(tree: &Tree) -> Vec<String> {
    let takes = |manifest: &Manifest| manifest.lints.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    // What misbehaves does what the lints forbid.
    let well_behaved = tree.crates().filter(|(_, manifest)| !manifest.package.name.starts_with("lineman-misbehaving-"));
    let without = well_behaved.filter(|(_, manifest)| !takes(manifest));
    without.map(|(_, manifest)| format!("{} does not take them", manifest.package.name)).collect()
}

pub(super) fn plugins(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (directory, manifest) in tree.crates().filter(|(directory, _)| directory.starts_with("plugins/")) {
        let name = &manifest.package.name;
        let kinds = manifest.lib.as_ref().map_or(&[][..], |library| &library.crate_type);
        if kinds != ["cdylib"] {
            broken.push(format!("{name} is not a `cdylib` and nothing else"));
        }
        if directory.strip_prefix("plugins/") != name.strip_prefix("lineman-plugin-") {
            broken.push(format!("{directory} holds {name}"));
        }
        let front = tree.text(&format!("{directory}/src/lib.rs")).unwrap_or_default();
        if !front.contains("#![forbid(unsafe_code)]") {
            broken.push(format!("{name} does not forbid unsafe code"));
        }
    }
    broken
}
