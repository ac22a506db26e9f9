//! What was not accepted is not loaded.
//!
//! The plugin of these tests ends its process when it is loaded, so that a run that loads it says
//! so. Then something is tampered with, and the run must stop with the plugin's name and a remedy,
//! and without having made the directory that every worker is given.

use std::fs::{self, Permissions};
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lineman_tests::Outcome;
use minisign::KeyPair;

use crate::bench::{Bench, library_of};
use crate::isolation::{configuration, fate, integration, library_file, sha256, swap};

/// A plugin that was accepted.
struct Place {
    bench: Bench,
    keys: KeyPair,
}

impl Place {
    /// With a plugin that ends its process when it is loaded, perhaps is signed by a trusted key,
    /// and was accepted.
    fn new(signed: bool) -> Result<Place> {
        let place = Place { bench: Bench::with(&["raw"])?, keys: KeyPair::generate_unencrypted_keypair()? };
        swap(&place.plugin(), &fs::read(library_of("exits-on-load"))?)?;
        let mut text = configuration(&[("one", "raw", "well")]);
        if signed {
            let key = place.keys.pk.to_base64();
            text =
                text.replace("[plugins]", &format!("[plugins]\ntrusted_keys = [{key:?}]\nrequire_signatures = true"));
            place.sign(&place.keys)?;
        }
        fs::write(place.config(), text)?;
        let locked = place.run(&["plugin", "lock"])?;
        ensure!(locked.exit == 0, "{locked:?}");
        place.loads(&["check"])?;
        Ok(place)
    }

    fn plugin(&self) -> PathBuf {
        self.bench.plugin("raw")
    }

    fn config(&self) -> PathBuf {
        self.bench.path().join("lineman.toml")
    }

    fn lock(&self) -> PathBuf {
        self.bench.path().join("lineman.lock")
    }

    fn signature(&self) -> PathBuf {
        self.plugin().join("plugin.toml.minisig")
    }

    fn sign(&self, keys: &KeyPair) -> Result<()> {
        let manifest = Cursor::new(fs::read(self.plugin().join("plugin.toml"))?);
        let signature = minisign::sign(Some(&keys.pk), &keys.sk, manifest, None, None)?;
        Ok(fs::write(self.signature(), signature.to_string())?)
    }

    fn run(&self, words: &[&str]) -> Result<Outcome> {
        let mut command = self.bench.command();
        command.env("LINEMAN_PLUGIN_PATH", self.bench.path().join("plugins"));
        Outcome::of(command.args(words))
    }

    /// A run loads the plugin; gives what it says on standard error.
    fn loads(&self, words: &[&str]) -> Result<String> {
        let outcome = self.fresh(words)?;
        let loaded = outcome.exit == 4 && outcome.stdout.contains("while it loaded the plugin");
        ensure!(loaded && self.has_started(), "it was not loaded: {outcome:?}");
        Ok(outcome.stderr)
    }

    /// Runs a command so that it can be seen whether it starts a worker.
    fn fresh(&self, words: &[&str]) -> Result<Outcome> {
        fs::remove_dir_all(self.bench.temporary())?;
        fs::create_dir(self.bench.temporary())?;
        self.run(words)
    }

    /// Whether anything was started: for what is, a directory is made first.
    fn has_started(&self) -> bool {
        fs::read_dir(self.bench.temporary()).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// A run stops before anything starts, and says so.
    fn refuses(&self, words: &[&str], says: &[&str]) -> Result<()> {
        let outcome = self.fresh(words)?;
        let said = outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(outcome.exit == 2 && outcome.stdout.is_empty(), "{says:?} was expected: {outcome:?}");
        for words in says {
            ensure!(said.contains(words), "`{words}` is not said: {said}");
        }
        ensure!(!self.has_started(), "a worker was started all the same: {said}");
        Ok(())
    }
}

fn edit(file: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(file)?;
    ensure!(text.contains(from), "{} does not hold `{from}`", file.display());
    Ok(fs::write(file, text.replacen(from, to, 1))?)
}

fn open(path: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// Tampers with something.
type Damage = fn(&Place) -> Result<()>;

const ACCEPT: &str = "accept it with `lineman plugin lock raw`";
const INSTALL: &str = "install it again with `lineman plugin install PACKAGE`";
const SIGN: &str = "install it with a signature of its publisher";

#[test]
fn whatever_is_tampered_with_nothing_starts() -> Result<()> {
    let unsigned: &[(&str, Damage, &[&str])] = &[
        (
            "another library, which the manifest names",
            |it| swap(&it.plugin(), &fs::read(library_of("no-symbol"))?),
            &["`raw`", "its library is not the one that was accepted as version 1.0.0", ACCEPT],
        ),
        (
            "another library, which nobody names",
            |it| {
                let file = library_file(&it.plugin())?;
                Ok(fs::copy(library_of("no-symbol"), file).map(drop)?)
            },
            &["`raw`", "is not the library that the manifest names", INSTALL],
        ),
        (
            "another version",
            |it| edit(&it.plugin().join("plugin.toml"), "version = \"1.0.0\"", "version = \"1.0.1\""),
            &["`raw`", "it is version 1.0.1, and 1.0.0 was accepted", ACCEPT],
        ),
        (
            "another description, which the manifest names",
            |it| {
                let (description, manifest) = (it.plugin().join("description.json"), it.plugin().join("plugin.toml"));
                let old = sha256(&description)?;
                edit(&description, "It answers", "It answered")?;
                edit(&manifest, &old, &sha256(&description)?)
            },
            &["`raw`", "its description is not the one that was accepted", ACCEPT],
        ),
        (
            "another publisher",
            |it| edit(&it.plugin().join("plugin.toml"), "Lineman's tests", "Somebody else"),
            &["`raw`", "its manifest is not the one that was accepted", ACCEPT],
        ),
        (
            "a plugin that was never accepted",
            |it| {
                edit(&it.lock(), "plugin.raw", "plugin.other")
                    .and_then(|()| edit(&it.lock(), "plugin.raw", "plugin.other"))
            },
            &["the plugin `raw` is not in lineman.lock", ACCEPT],
        ),
        (
            "another machine's target",
            |it| edit(&it.lock(), "-linux-", "-other-"),
            &["`raw`", "it was not accepted for", ACCEPT],
        ),
        (
            "a lock file that is none",
            |it| Ok(fs::write(it.lock(), "version = 1\n[plugin.raw]\nversion = 1\n")?),
            &["lineman.lock: is wrong in line 3", "`lineman plugin lock`"],
        ),
        ("a lock file of the future", |it| edit(&it.lock(), "version = 1", "version = 2"), &["is of version 2"]),
        (
            "a lock file that everybody may write",
            |it| open(&it.lock(), 0o666),
            &["lineman.lock: may be written by others (mode 0666)", "chmod o-w"],
        ),
        (
            "a configuration that everybody may write",
            |it| open(&it.config(), 0o666),
            &["lineman.toml: may be written by others (mode 0666)", "chmod o-w"],
        ),
        (
            "a description that others may write",
            |it| open(&it.plugin().join("description.json"), 0o664),
            &["`raw`", "description.json: may be written by others (mode 0664)", "chmod go-w"],
        ),
        (
            "a library that others may write",
            |it| open(&library_file(&it.plugin())?, 0o757),
            &["`raw`", ".so: may be written by others", "chmod go-w"],
        ),
        (
            "a plugin that others may replace",
            |it| open(&it.bench.path().join("plugins"), 0o777),
            &["`raw`", "plugins: may be written by others (mode 0777)", "chmod go-w"],
        ),
    ];
    let signed: &[(&str, Damage, &[&str])] = &[
        ("no signature", |it| Ok(fs::remove_file(it.signature())?), &["`raw`", "plugin.toml: is not signed", SIGN]),
        (
            "somebody else's signature",
            |it| it.sign(&KeyPair::generate_unencrypted_keypair()?),
            &["`raw`", "no signature of a trusted key", SIGN],
        ),
        (
            "a signature of something else",
            |it| {
                edit(&it.plugin().join("plugin.toml"), "Lineman's tests", "Somebody else")?;
                ensure!(it.run(&["plugin", "lock"])?.exit == 2, "what is wrongly signed was accepted");
                Ok(())
            },
            &["`raw`", "no signature of a trusted key", SIGN],
        ),
        (
            "no signature at all",
            |it| Ok(fs::write(it.signature(), "signed, me")?),
            &["`raw`", "is not a signature", SIGN],
        ),
    ];
    for (rows, is_signed) in [(unsigned, false), (signed, true)] {
        for (what, damage, says) in rows {
            let place = Place::new(is_signed)?;
            damage(&place).with_context(|| (*what).to_owned())?;
            place.refuses(&["check"], says).with_context(|| (*what).to_owned())?;
            place.refuses(&["check", "--locked"], says).with_context(|| format!("{what}, --locked"))?;
        }
    }
    Ok(())
}

#[test]
fn one_flipped_bit_anywhere_stops_the_run() -> Result<()> {
    let place = Place::new(true)?;
    let library = library_file(&place.plugin())?;
    let size = fs::read(&library)?.len();
    let text = fs::read_to_string(place.signature())?;
    // The first line of a signature is a remark that nobody signed.
    let signed = text.find('\n').context("one line")? + 1;
    for (file, from, step) in [
        (place.plugin().join("plugin.toml"), 0, 13),
        (place.plugin().join("description.json"), 0, 29),
        (library, 0, size / 7),
        (place.signature(), signed, 11),
    ] {
        let whole = fs::read(&file)?;
        for at in (from..whole.len()).step_by(step).chain([whole.len() - 2]) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&file, bytes)?;
            place.refuses(&["check"], &["raw"]).with_context(|| format!("byte {at} of {}", file.display()))?;
        }
        fs::write(&file, whole)?;
    }
    place.loads(&["check"]).map(drop)
}

#[test]
fn what_is_swapped_after_it_was_hashed_is_not_loaded() -> Result<()> {
    let bench = Bench::with(&["checks"])?;
    let library = library_file(&bench.plugin("checks"))?;
    // Secrets are fetched when the host has hashed the library, and before a worker loads it.
    let steal = format!("cp {:?} {library:?} && echo a-token", library_of("exits-on-load"));
    let token = format!("[integration.one.secrets]\ntoken = {{ command = [\"sh\", \"-c\", {steal:?}] }}\n");
    let (outcome, report) = bench.check(&(configuration(&[("one", "misbehaving", "well")]) + &token))?;
    assert_eq!(fs::read(&library)?, fs::read(library_of("exits-on-load"))?, "nothing was swapped");
    assert_eq!(fate(integration(&report, "one")?)?, "error plugin.untrusted lineman/plugin-untrusted");
    assert_eq!(outcome.exit, 4);
    Ok(())
}

#[test]
fn the_first_run_writes_the_lock_file_and_says_so_once() -> Result<()> {
    let place = Place::new(false)?;
    let accepted = fs::read_to_string(place.lock())?;
    fs::remove_file(place.lock())?;
    place.refuses(&["check", "--locked"], &["there is no lineman.lock", "write it with `lineman plugin lock`"])?;
    ensure!(!place.lock().exists(), "--locked has written");
    for command in [&["list"][..], &["plan"], &["plugin", "list"], &["explain", "credential.expired"]] {
        ensure!(place.run(command)?.exit == 0 && !place.lock().exists(), "{command:?} has written");
    }
    let said = place.loads(&["check"])?;
    ensure!(said.starts_with("lineman: wrote lineman.lock, which holds the hashes of raw;"), "{said}");
    assert_eq!((said.lines().count(), fs::read_to_string(place.lock())?), (1, accepted));
    for words in [&["check"][..], &["check", "--locked"]] {
        let said = place.loads(words)?;
        ensure!(said.is_empty(), "{said}");
    }
    // A library that is not what its manifest says is not what anybody meant to accept.
    fs::remove_file(place.lock())?;
    fs::copy(library_of("no-symbol"), library_file(&place.plugin())?)?;
    place.refuses(&["check"], &["`raw`", "is not the library that the manifest names", INSTALL])?;
    ensure!(!place.lock().exists(), "it was accepted");
    Ok(())
}

#[test]
fn a_lock_file_that_cannot_be_written_is_told_and_stops_no_run() -> Result<()> {
    let place = Place::new(false)?;
    let mut command = place.bench.command();
    command.env("LINEMAN_PLUGIN_PATH", place.bench.path().join("plugins")).stdin(fs::File::open(place.config())?);
    // Beside that no file can be made, by nobody.
    let outcome = Outcome::of(command.args(["check", "--config", "/proc/self/fd/0"]))?;
    ensure!(outcome.exit == 4 && outcome.stdout.contains("while it loaded the plugin"), "{outcome:?}");
    ensure!(outcome.stderr.contains("/proc/self/fd/0.lock cannot be written"), "{outcome:?}");
    Ok(())
}

#[test]
fn what_is_locked_can_be_changed_on_purpose() -> Result<()> {
    let place = Place::new(false)?;
    let says = |words: &[&str], exit: i32, says: &str| -> Result<()> {
        let outcome = place.run(words)?;
        let said = format!("{}{}", outcome.stdout, outcome.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(outcome.exit == exit && said.contains(says), "`{says}` was expected: {outcome:?}");
        Ok(())
    };
    let before = fs::read_to_string(place.lock())?;
    says(&["plugin", "lock"], 0, "raw 1.0.0 as before lineman.lock is up to date.")?;
    says(&["plugin", "lock", "nobody"], 2, "lineman.toml does not enable `nobody`")?;
    says(&["plugin", "lock", "--config", "nowhere.toml"], 2, "there is no configuration `nowhere.toml`")?;
    assert_eq!(fs::read_to_string(place.lock())?, before);

    edit(&place.plugin().join("plugin.toml"), "version = \"1.0.0\"", "version = \"1.0.1\"")?;
    says(&["plugin", "list"], 0, "not accepted")?;
    says(&["plugin", "lock", "raw"], 0, "raw 1.0.1 accepted in place of 1.0.0 Wrote lineman.lock")?;
    swap(&place.plugin(), &fs::read(library_of("no-symbol"))?)?;
    says(&["check"], 2, "its library is not the one that was accepted as version 1.0.1")?;
    says(&["plugin", "lock"], 0, "raw 1.0.1 accepted with other bytes")?;
    says(&["check"], 4, "exports no Lineman plugin")?;

    // What is not enabled any more is forgotten, and accepted anew when it is enabled again.
    says(&["plugin", "disable", "raw"], 0, "Disabled raw in lineman.toml.")?;
    ensure!(!fs::read_to_string(place.lock())?.contains("raw"), "it is still locked");
    says(&["plugin", "disable", "raw"], 2, "lineman.toml does not enable `raw`")?;
    says(&["plugin", "enable", "raw"], 0, "Enabled raw in lineman.toml; accepted in lineman.lock.")?;
    says(&["check", "--locked"], 4, "exports no Lineman plugin")?;
    says(&["plugin", "enable", "nobody"], 2, "no plugin `nobody` is installed")
}
