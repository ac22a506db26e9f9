//! Plugins come, are replaced and go: whole or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lineman_tests::{Outcome, clean_command};
use minisign::KeyPair;
use serde_json::Value;

use crate::bench::{Bench, library_of};
use crate::isolation::{library_file, sha256, swap};

/// A user without plugins, and packages that were shipped to them.
struct User {
    bench: Bench,
}

impl User {
    fn new() -> Result<User> {
        let user = User { bench: Bench::with(&[])? };
        // The library takes its version from its file's name.
        fs::copy(library_of("raw"), user.file("other-description.so"))?;
        for (library, package) in [(library_of("raw"), "raw-1"), (user.file("other-description.so"), "raw-2")] {
            let packed = user.bench.pack(&library, &user.file(package))?;
            ensure!(packed.exit == 0, "{packed:?}");
        }
        user.tar("raw-1")?;
        Ok(user)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bench.path().join(name)
    }

    fn tar(&self, package: &str) -> Result<()> {
        let tarball = format!("{package}.tar.gz");
        let packed =
            Outcome::of(clean_command("tar").current_dir(self.bench.path()).args(["-czf", &tarball, package]))?;
        ensure!(packed.exit == 0, "{packed:?}");
        Ok(())
    }

    fn plugins(&self) -> PathBuf {
        self.file(".local/share/lineman/plugins")
    }

    /// What lies among the plugins, hidden or not.
    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.plugins()).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.bench.command();
        command.args(line.split_whitespace());
        command
    }

    /// Runs a command, which must say something, wherever its lines end.
    fn says(&self, line: &str, exit: i32, says: &[&str]) -> Result<String> {
        let outcome = Outcome::of(&mut self.command(line))?;
        let said = format!("{}{}", outcome.stdout, outcome.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(outcome.exit == exit, "`{line}` gives {}, not {exit}: {outcome:?}", outcome.exit);
        for words in says {
            ensure!(said.contains(words), "`{line}` does not say `{words}`: {said}");
        }
        let wide = outcome.stdout.lines().find(|line| line.chars().count() > 80 && line.contains("  "));
        ensure!(wide.is_none(), "`{line}` is too wide: {wide:?}");
        Ok(said)
    }

    fn listed(&self) -> Result<Value> {
        let listed = Outcome::of(&mut self.command("plugin list --format json"))?;
        let value: Value = serde_json::from_str(&listed.stdout)?;
        let plugins = value["plugins"].as_array().context("no plugins")?;
        Ok(plugins.iter().find(|plugin| plugin["id"] == "raw").context("it is not listed")?.clone())
    }
}

#[test]
fn a_plugin_comes_works_is_replaced_and_goes() -> Result<()> {
    let user = User::new()?;
    ensure!(user.listed().is_err(), "it is there already");
    user.says("plugin install raw-1.tar.gz", 0, &["Installed raw 1.0.0 into", "→ lineman plugin enable raw"])?;
    assert_eq!(user.entries(), ["raw"]);
    user.says("plugin list", 0, &["raw 1.0.0 not enabled 1"])?;
    user.says("plugin enable raw", 0, &["Wrote lineman.toml, which enables raw; accepted in lineman.lock."])?;
    let mut configuration = fs::read_to_string(user.file("lineman.toml"))?;
    configuration += "\n# Ours.\n[integration.one]\nprovider = \"raw\"\nsettings.behaviour = \"well\"\n";
    fs::write(user.file("lineman.toml"), &configuration)?;
    user.says("check --locked", 0, &["1 fine"])?;

    // It was enabled before: what is installed on purpose is accepted.
    let said = ["Installed raw 2.0.0 into", "in place of 1.0.0", "Accepted it in lineman.lock."];
    user.says("plugin install raw-2", 0, &said)?;
    user.says("check --locked", 0, &["1 fine"])?;
    let listed = user.listed()?;
    let library = library_file(&user.plugins().join("raw"))?;
    for (key, value) in [
        ("id", Value::from("raw")),
        ("version", "2.0.0".into()),
        ("state", "enabled".into()),
        ("checks", 1.into()),
        ("source", "directory raw-2".into()),
        ("sha256", sha256(&library)?.into()),
        ("size", fs::metadata(&library)?.len().into()),
        ("verified", true.into()),
        ("door", "rust-1".into()),
        ("problem", Value::Null),
    ] {
        assert_eq!(listed[key], value, "{key}");
    }
    let lock = fs::read_to_string(user.file("lineman.lock"))?;
    ensure!(lock.contains(&sha256(&library)?) && lock.contains("source = \"directory raw-2\""), "{lock}");

    let bare = format!("plugin install {} --plugin-dir {}", library_of("raw").display(), user.file("own").display());
    user.says(&bare, 0, &["Installed raw 1.0.0 into", "Accepted it"])?;
    ensure!(user.file("own/raw/plugin.toml").is_file(), "it is elsewhere");
    user.says(&format!("plugin remove raw --plugin-dir {}", user.file("own").display()), 0, &["takes its place"])?;
    user.says("check", 2, &["it is version 2.0.0, and 1.0.0 was accepted", "lineman plugin lock raw"])?;

    user.says("plugin remove raw", 0, &["Removed raw 2.0.0", "still enables it", "→ lineman plugin disable raw"])?;
    assert_eq!(user.entries(), Vec::<String>::new());
    user.says("plugin disable raw", 0, &["Disabled raw in lineman.toml."])?;
    assert_eq!(fs::read_to_string(user.file("lineman.toml"))?, configuration.replace("[\"raw\"]", "[]"));
    user.says("plugin remove raw", 2, &["no plugin is called `raw`"])?;
    Ok(())
}

#[test]
fn one_command_takes_a_package_all_the_way() -> Result<()> {
    let user = User::new()?;
    // However careless the umask: nobody else may write what is loaded.
    let program = user.command("").get_program().to_owned();
    let line = format!("umask 0 && {:?} plugin install raw-1.tar.gz --enable", program);
    let outcome = Outcome::of(
        clean_command("sh").args(["-c", &line]).current_dir(user.bench.path()).env("HOME", user.bench.path()),
    )?;
    ensure!(outcome.exit == 0 && outcome.stdout.contains("→ lineman plugin info raw"), "{outcome:?}");
    for file in ["lineman.toml", "lineman.lock"] {
        assert_eq!(fs::metadata(user.file(file))?.permissions().mode() & 0o022, 0, "{file}");
    }
    let more = "[integration.one]\nprovider = \"raw\"\nsettings.behaviour = \"well\"\n";
    fs::write(user.file("lineman.toml"), fs::read_to_string(user.file("lineman.toml"))? + more)?;
    user.says("check --locked", 0, &["1 fine"])?;
    Ok(())
}

/// Makes a package bad.
type Damage = fn(&User, &Path) -> Result<()>;

#[test]
fn a_package_that_is_not_what_it_says_is_refused_and_leaves_nothing() -> Result<()> {
    let rows: &[(&str, Damage, &str)] = &[
        (
            "another library",
            |_, it| Ok(fs::copy(library_of("no-symbol"), library_file(it)?).map(drop)?),
            "is not the file that the manifest names",
        ),
        (
            "another library, which the manifest names",
            |_, it| swap(it, &fs::read(library_of("no-symbol"))?),
            "cannot be loaded (no-symbol)",
        ),
        (
            "a library that ends its process",
            |_, it| swap(it, &fs::read(library_of("exits-on-load"))?),
            "cannot be loaded (died-on-load)",
        ),
        (
            "another description",
            |_, it| Ok(fs::write(it.join("description.json"), "{}")?),
            "is not the file that the manifest names",
        ),
        (
            "another description, which the manifest names",
            |user, it| {
                let (own, other) = (it.join("description.json"), user.file("raw-2/description.json"));
                let (old, new) = (sha256(&own)?, sha256(&other)?);
                fs::copy(other, own)?;
                let manifest = fs::read_to_string(it.join("plugin.toml"))?;
                Ok(fs::write(it.join("plugin.toml"), manifest.replace(&old, &new))?)
            },
            "does not describe itself as the description of its package says",
        ),
        ("no library", |_, it| Ok(fs::remove_file(library_file(it)?)?), "cannot be copied"),
        (
            "no library for this machine",
            |_, it| {
                let manifest = fs::read_to_string(it.join("plugin.toml"))?;
                Ok(fs::write(it.join("plugin.toml"), manifest.replace("-linux-", "-other-"))?)
            },
            "has no library for",
        ),
        (
            "an id that leads out",
            |_, it| {
                let manifest = fs::read_to_string(it.join("plugin.toml"))?;
                Ok(fs::write(it.join("plugin.toml"), manifest.replace("id = \"raw\"", "id = \"../raw\""))?)
            },
            "is not an id",
        ),
        ("no manifest", |_, it| Ok(fs::remove_file(it.join("plugin.toml"))?), "plugin.toml"),
    ];
    for (what, damage, says) in rows {
        let user = User::new()?;
        damage(&user, &user.file("raw-1"))?;
        user.tar("raw-1")?;
        for package in ["raw-1", "raw-1.tar.gz"] {
            user.says(&format!("plugin install {package} --enable"), 2, &[says, "nothing was installed"])
                .with_context(|| format!("{what} in {package}"))?;
        }
        assert_eq!(user.entries(), Vec::<String>::new(), "{what}: something is left");
        ensure!(!user.file("lineman.toml").exists(), "{what}: it is enabled");
        // What is there already stays.
        user.says("plugin install raw-2 --enable", 0, &[])?;
        user.says("plugin install raw-1", 2, &[says])?;
        assert_eq!(
            (user.entries(), &user.listed()?["state"]),
            (vec!["raw".to_owned()], &Value::from("enabled")),
            "{what}"
        );
    }
    let user = User::new()?;
    user.says("plugin install nowhere", 2, &["nowhere cannot be read"])?;
    user.says("plugin install lineman.toml", 2, &["lineman.toml cannot be read"])?;
    fs::write(user.file("text"), "no library")?;
    user.says("plugin install text", 2, &["(not-a-library)"])?;
    user.says("plugin install raw-1 --plugin-dir own", 2, &["--plugin-dir must be absolute, not `own`"])?;
    fs::create_dir_all(user.plugins().join("raw"))?;
    user.says("plugin install raw-1", 2, &["is in the way"])?;
    fs::set_permissions(user.plugins(), fs::Permissions::from_mode(0o777))?;
    user.says("plugin install raw-1", 2, &["plugins: may be written by others (mode 0777)", "nothing was installed"])?;
    assert_eq!(user.entries(), ["raw"]);
    Ok(())
}

#[test]
fn a_signature_is_asked_for_where_keys_are_trusted() -> Result<()> {
    let user = User::new()?;
    let keys = KeyPair::generate_unencrypted_keypair()?;
    let trusting = format!(
        "version = 1\n[plugins]\nenable = []\ntrusted_keys = [{:?}]\nrequire_signatures = true\n",
        keys.pk.to_base64()
    );
    fs::write(user.file("lineman.toml"), trusting)?;
    user.says("plugin install raw-1", 2, &["plugin.toml: is not signed", "nothing was installed"])?;
    let manifest = fs::File::open(user.file("raw-1/plugin.toml"))?;
    let signature = minisign::sign(Some(&keys.pk), &keys.sk, manifest, None, None)?;
    fs::write(user.file("raw-1/plugin.toml.minisig"), signature.to_string())?;
    user.tar("raw-1")?;
    let said = user.says("plugin install raw-1.tar.gz --enable", 0, &["signed by "])?;
    let key = said.split("signed by ").nth(1).and_then(|rest| rest.split('.').next()).context("no key")?;
    // As the tool itself names it, in the comment above the key.
    ensure!(keys.pk.to_box()?.to_string().contains(key), "{key} is not the key");
    user.says("plugin list", 0, &[&format!("raw is signed by {key}"), "enabled"])?;
    assert_eq!(user.listed()?["signer"], serde_json::json!({ "key": key, "trusted": true }));
    user.says("plugin info raw", 0, &[&format!("signed by {key}")])?;
    let elsewhere = "--config nowhere.toml";
    user.says(&format!("plugin list {elsewhere}"), 0, &[&format!("raw is signed, so it says, by {key}")])?;
    let mut flipped = fs::read(user.file("raw-1/plugin.toml.minisig"))?;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(user.file("raw-1/plugin.toml.minisig"), flipped)?;
    user.says("plugin install raw-1", 2, &["plugin.toml.minisig", "nothing was installed"])?;
    Ok(())
}
