//! Every case of the conformance kit finds what it is for, and nothing else.
//!
//! One plugin breaks one promise at a time, by the name of its file. Each row names what it does,
//! and exactly the cases that must find it; under a name that stands for nothing it must pass them
//! all, and so must the plugins of this repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use lineman_tests::{Outcome, profile_dir, require, workspace};
use serde_json::{Value, json};

use crate::bench::{Bench, library_of};
use crate::doors;
use crate::isolation::sha256;

/// How many plugins are judged at once: most of the time they wait.
const AT_ONCE: usize = 3;

/// What a plugin does, and the cases that find it: `case`, or `case!` where it ends the process,
/// or `case?` where it is a warning.
type Row = (&'static str, &'static [&'static str]);

/// The plugin that breaks the promise whose name its file bears.
const MODES: &[Row] = &[
    ("keeps-its-promises", &[]),
    ("describes-no-json", &["loads"]),
    ("describes-half", &["description"]),
    ("nameless-version", &["description"]),
    ("speaks-of-the-future", &["protocol"]),
    ("names-checks-badly", &["checks"]),
    ("needs-in-a-circle", &["needs"]),
    ("schema-elsewhere", &["schemas"]),
    ("undocumented", &["documented"]),
    ("links-in-clear", &["links"]),
    ("catalog-that-lies", &["catalog"]),
    ("describes-by-chance", &["stable"]),
    ("slow-to-describe", &["quick"]),
    ("asks-to-describe", &["offline"]),
    ("takes-any-operation", &["unknown-operation"]),
    ("takes-anything", &["malformed-requests"]),
    ("aborts-on-garbage", &["huge-requests!", "malformed-requests!"]),
    ("aborts-when-deep", &["huge-requests!"]),
    ("knows-every-field", &["unknown-fields"]),
    ("knows-every-check", &["unknown-check"]),
    ("settings-of-any-type", &["wrong-settings"]),
    ("never-ends", &["one-terminal-event", "deadline", "cancellation", "shutdown"]),
    ("ends-twice", &["one-terminal-event"]),
    ("talks-after-the-end", &["silent-after-the-end"]),
    ("answers-for-others", &["own-calls-only"]),
    ("finds-nonsense", &["events"]),
    ("names-findings-badly", &["finding-codes"]),
    ("gives-no-remedy", &["remedies?"]),
    ("ignores-deadlines", &["deadline"]),
    ("ignores-cancellation", &["cancellation"]),
    ("busy-early", &["parallel"]),
    ("one-at-a-time", &["not-stalled"]),
    ("closes-once", &["sessions"]),
    ("fights-over-sessions", &["shared-session"]),
    ("tells-secrets", &["secrets"]),
    ("prints-secrets", &["secrets", "output?"]),
    ("tells-its-environment", &["environment"]),
    ("prints", &["output?"]),
    ("passes-in-the-dark", &["no-network"]),
    ("blames-the-credential", &["credential-not-blamed"]),
    ("leaves-threads", &["threads"]),
    ("leaks-memory", &["memory"]),
    ("leaks-descriptors", &["descriptors"]),
    ("hangs-on-shutdown", &["shutdown"]),
    ("works-after-shutdown", &["after-shutdown"]),
    (
        "aborts-in-a-check",
        &[
            "unknown-fields!",
            "one-terminal-event!",
            "silent-after-the-end!",
            "own-calls-only!",
            "events!",
            "finding-codes!",
            "remedies!",
            "deadline!",
            "cancellation!",
            "not-stalled!",
            "shared-session!",
            "secrets!",
            "environment!",
            "output!",
            "no-network!",
            "credential-not-blamed!",
            "threads!",
            "shutdown!",
            "after-shutdown!",
        ],
    ),
];

/// Other libraries, and plugins that were tampered with after they were packed.
const OTHERS: &[Row] = &[
    ("packed", &[]),
    ("tarball", &[]),
    ("exports-more", &["exports"]),
    ("newer-glibc", &["glibc", "loads"]),
    ("exits-on-load", &["loads!"]),
    ("other-layout", &["loads"]),
    ("library-exchanged", &["manifest"]),
    ("description-exchanged", &["described-as-shipped"]),
    ("older-version-had-more", &["compatible"]),
];

/// What judges a plugin, and a place for the plugins.
struct Court {
    bench: Bench,
}

impl Court {
    fn verify(&self, plugin: &Path, more: &[&str]) -> Result<Outcome> {
        let mut command = self.bench.command();
        command.args(["plugin", "verify"]).arg(plugin).args(["--calls", "100", "--jobs", "16"]).args(more);
        Outcome::of(&mut command)
    }

    /// What a verification found: each case that is neither passed nor skipped, as rows spell it.
    fn found(&self, outcome: &Outcome) -> Result<BTreeSet<String>> {
        let report: Value = serde_json::from_str(&outcome.stdout).with_context(|| outcome.stderr.clone())?;
        ensure!(report["schema"] == "lineman.verification/1", "{report:#}");
        let cases = report["cases"].as_array().context("no cases")?;
        let found = cases.iter().filter_map(|case| {
            let mark = match case["status"].as_str()? {
                "fail" => "",
                "crash" => "!",
                "warn" => "?",
                _ => return None,
            };
            Some(format!("{}{mark}", case["id"].as_str()?))
        });
        Ok(found.collect())
    }

    /// Lays a plugin out, and says what else to ask of the judge.
    fn lay_out(&self, row: &str) -> Result<(PathBuf, Vec<String>)> {
        let library = library_of("nonconforming");
        let packed = || -> Result<PathBuf> {
            let directory = self.bench.path().join("packed").join(row);
            let outcome = self.bench.pack(&library, &directory)?;
            ensure!(outcome.exit == 0, "{}", outcome.stderr);
            Ok(directory)
        };
        let plugin = match row {
            "packed" => packed()?,
            "tarball" => {
                let tarball = self.bench.path().join("plugin.tar.gz");
                let tar = Outcome::of(
                    lineman_tests::clean_command("tar").arg("-czf").arg(&tarball).arg("-C").arg(packed()?).arg("."),
                )?;
                ensure!(tar.exit == 0, "{}", tar.stderr);
                tarball
            }
            "exits-on-load" | "other-layout" => library_of(row),
            "exports-more" => {
                let settings = doors::given(&self.bench)?.display().to_string();
                return Ok((doors::exporting_more(&self.bench)?, vec!["--settings".to_owned(), settings]));
            }
            "newer-glibc" => {
                // It asks for what no system has yet.
                let bytes = replaced(&fs::read(&library)?, b"GLIBC_2.34\0", b"GLIBC_2.99\0");
                let newer = self.bench.path().join("newer-glibc.so");
                fs::write(&newer, bytes)?;
                newer
            }
            "library-exchanged" => {
                let directory = packed()?;
                let library = directory.join(library.file_name().context("no name")?);
                // It still loads, and does the same: but it is not what was packed.
                fs::write(&library, [fs::read(&library)?, b"more".to_vec()].concat())?;
                directory
            }
            "description-exchanged" => {
                let directory = packed()?;
                let (description, manifest) = (directory.join("description.json"), directory.join("plugin.toml"));
                let before = sha256(&description)?;
                let text = fs::read_to_string(&description)?.replace("\"Nonconforming\"", "\"Conforming\"");
                fs::write(&description, text)?;
                fs::write(&manifest, fs::read_to_string(&manifest)?.replace(&before, &sha256(&description)?))?;
                directory
            }
            "older-version-had-more" => {
                let directory = packed()?;
                let mut older: Value = serde_json::from_slice(&fs::read(directory.join("description.json"))?)?;
                let check = json!({ "id": "nonconforming/scopes", "title": "Scopes", "level": "access" });
                older["checks"].as_array_mut().context("no checks")?.push(check);
                let path = self.bench.path().join("older.json");
                fs::write(&path, older.to_string())?;
                return Ok((directory, vec!["--against".to_owned(), path.display().to_string()]));
            }
            mode => {
                let copy = self.bench.path().join(format!("{mode}.so"));
                fs::copy(&library, &copy)?;
                copy
            }
        };
        Ok((plugin, Vec::new()))
    }

    /// The difference between what a row says and what was found; empty when there is none.
    fn judge(&self, (row, expect): &Row) -> Result<String> {
        let (plugin, more) = self.lay_out(row)?;
        let more: Vec<&str> = ["--format", "json"].into_iter().chain(more.iter().map(String::as_str)).collect();
        let outcome = self.verify(&plugin, &more)?;
        let found = self.found(&outcome)?;
        let expect: BTreeSet<String> = expect.iter().map(|case| (*case).to_owned()).collect();
        let exit = i32::from(expect.iter().any(|case| !case.ends_with('?')));
        if found == expect && outcome.exit == exit {
            return Ok(String::new());
        }
        let report: Value = serde_json::from_str(&outcome.stdout)?;
        let seen = report["cases"].as_array().into_iter().flatten().filter(|case| !case["seen"].is_null());
        let seen: String =
            seen.map(|case| format!("    {} {}: {}\n", case["status"], case["id"], case["seen"])).collect();
        Ok(format!("{row}: found {found:?}, expected {expect:?}, exit code {}\n{seen}", outcome.exit))
    }
}

/// Every place where bytes stand, with others of the same length.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut replaced = bytes.to_vec();
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, it)| *it == old).map(|(at, _)| at).collect();
    for at in places {
        replaced[at..at + new.len()].copy_from_slice(new);
    }
    replaced
}

#[test]
fn every_case_finds_what_it_is_for_and_nothing_else() -> Result<()> {
    let court = Court { bench: Bench::with(&[])? };
    let rows: Vec<&Row> = MODES.iter().chain(OTHERS).collect();
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let complaint = court.judge(row).unwrap_or_else(|error| format!("{}: {error:#}\n", row.0));
                    complaints.lock().unwrap().push(complaint);
                }
            });
        }
    });
    let complaints = complaints.into_inner()?.concat();
    ensure!(complaints.is_empty(), "{complaints}");
    Ok(())
}

/// A case that nothing fails may as well not be there.
#[test]
fn every_case_is_failed_by_somebody() -> Result<()> {
    let court = Court { bench: Bench::with(&[])? };
    let outcome = court.verify(&library_of("nonconforming"), &["--case", "nothing-of-the-sort"])?;
    ensure!(outcome.exit == 2, "{}", outcome.stderr);
    let flat = outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let listed = flat.split("there is no case `nothing-of-the-sort`; there is ").nth(1).context(flat.clone())?;
    let listed = listed.split(" For more").next().unwrap_or_default();
    let cases: BTreeSet<&str> = listed.split(", ").collect();
    let found = |case: &'static str| case.trim_end_matches(['!', '?']);
    let failed: BTreeSet<&str> =
        MODES.iter().chain(OTHERS).flat_map(|(_, cases)| *cases).map(|case| found(case)).collect();
    ensure!(cases == failed, "not failed by anybody: {:?}", cases.difference(&failed).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn the_plugins_of_this_repository_keep_every_promise() -> Result<()> {
    if !require("conformance-plugins", &["curl"]) {
        return Ok(());
    }
    let court = Court { bench: Bench::with(&[])? };
    for entry in fs::read_dir(workspace().join("plugins"))? {
        let entry = entry?;
        if !entry.path().join("Cargo.toml").is_file() {
            // Examples in other languages, which are judged with their doors.
            continue;
        }
        let id = entry.file_name().to_string_lossy().into_owned();
        let plugin = court.bench.path().join(&id);
        let library = format!("liblineman_plugin_{}.so", id.replace('-', "_"));
        let packed = court.bench.pack(&profile_dir().join(library), &plugin)?;
        ensure!(packed.exit == 0, "{}", packed.stderr);
        // What nobody can guess: the program that it runs, and which of its credentials is meant.
        let given = match id.as_str() {
            "exec" => "[settings]\nprogram = \"/usr/bin/curl\"\nargs = [\"-fsS\", \"{endpoint}\"]\n",
            "kubernetes" => {
                "[settings]\nserver = \"{endpoint}\"\n[secrets]\ntoken = \"KnYw7QzTokenOfTheVerification4tXb9\"\n"
            }
            _ => "",
        };
        let file = court.bench.path().join("given.toml");
        fs::write(&file, given)?;
        let file = file.display().to_string();
        let settings: &[&str] = if given.is_empty() { &[] } else { &["--settings", &file] };
        let outcome = court.verify(&plugin, &[&["--format", "json", "--fail-on", "warn"], settings].concat())?;
        ensure!(outcome.exit == 0, "{id}: {:?}\n{}", court.found(&outcome)?, outcome.stdout);
        // What was not judged does not count as kept.
        let report: Value = serde_json::from_str(&outcome.stdout)?;
        let skipped = report["cases"].as_array().into_iter().flatten().filter(|case| case["status"] == "skip");
        let skipped: Vec<&str> = skipped.filter_map(|case| case["id"].as_str()).collect();
        let expected: &[&str] = if id == "exec" { &["secrets", "compatible"] } else { &["compatible"] };
        ensure!(skipped == expected, "{id}: not judged: {skipped:?}");
    }
    Ok(())
}

#[test]
fn a_verification_can_be_read_by_people_and_by_ci() -> Result<()> {
    let court = Court { bench: Bench::with(&[])? };
    let (plugin, _) = court.lay_out("links-in-clear")?;
    let some = ["--case", "links", "--case", "checks", "--case", "manifest"];
    let human = court.verify(&plugin, &some)?;
    insta::assert_snapshot!("verification", human.stdout);
    let junit = court.verify(&plugin, &[&some[..], &["--format", "junit"]].concat())?;
    let times = |text: &str| {
        text.split("time=\"")
            .enumerate()
            .map(|(n, part)| match n {
                0 => part.to_owned(),
                _ => format!("time=\"…{}", part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')),
            })
            .collect::<String>()
    };
    insta::assert_snapshot!("verification-junit", times(&junit.stdout));
    ensure!((human.exit, junit.exit) == (1, 1));
    for wrong in ["nowhere", "."] {
        let outcome = court.verify(Path::new(wrong), &[])?;
        ensure!(outcome.exit == 2 && outcome.stdout.is_empty(), "{wrong}: {}", outcome.stderr);
    }
    Ok(())
}
