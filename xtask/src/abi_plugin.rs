//! Builds the plugin of ABI 1.0 as the binary in `tests/abi-1.0/plugin` was built.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lineman_tests::{Site, target_dir, workspace};

use crate::release::shown;
use crate::say;

pub(crate) fn run() -> Result<()> {
    let crate_directory = workspace().join("tests/abi-1.0");
    let out = target_dir().join("abi-1.0");
    // The same bytes wherever the tree and cargo's sources lie.
    let home = |name: &str, usual: &str| {
        std::env::var(name).unwrap_or_else(|_| format!("{}/{usual}", std::env::var("HOME").unwrap_or_default()))
    };
    let remap = [(workspace().display().to_string(), "lineman"), (home("CARGO_HOME", ".cargo"), "cargo")];
    let flags: Vec<String> = remap.map(|(from, to)| format!("--remap-path-prefix={from}={to}")).into();
    let mut pack = Command::new(Site::get()?.program());
    pack.args(["plugin", "pack"]).arg(&crate_directory).arg("--out").arg(&out);
    // Its own lock file holds the versions of what it is built of.
    pack.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env("CARGO_TARGET_DIR", out.join("target"));
    ensure!(pack.status().context("lineman cannot be started")?.success(), "the plugin cannot be packed");
    let library = "liblineman_abi_1_0.so";
    let same = fs::read(out.join(library))? == fs::read(crate_directory.join("plugin").join(library))?;
    say(&format!(
        "{} is {} the one that is kept, which was built with Rust 1.95.0 against glibc 2.36 and asks for 2.34.",
        shown(&out.join(library)),
        if same { "byte for byte" } else { "another binary than" },
    ));
    Ok(())
}
