//! The hour of a vendor: from an empty directory to a plugin that names a fault.
//!
//! The plugin is built as its author would build it, in release mode and outside the workspace;
//! what it is built of is kept below the target directory, so that only the first run is long.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lineman_lab::api::{Request, Response, Server};
use lineman_model::Cause;
use lineman_tests::{Outcome, Site, target_dir, workspace};

use crate::bench::Bench;

struct Vendor {
    directory: tempfile::TempDir,
}

impl Vendor {
    /// A command in an environment as its author has it, with Rust in it.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path());
        // What the workspace is built of is there, and nothing else is needed.
        command.env("CARGO_NET_OFFLINE", "true").env("CARGO_TERM_COLOR", "never");
        command.env("CARGO_TARGET_DIR", target_dir().join("end-to-end/vendor"));
        command
    }

    fn lineman(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command(Site::get().unwrap().program());
        Outcome::of(command.args(arguments)).unwrap()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// Lineman as its user has it, in an environment of their own.
    fn user(&self, arguments: &[&str], token: &str) -> Outcome {
        let mut command = Site::get().unwrap().command(self.directory.path());
        Outcome::of(command.args(arguments).env("ACME_TOKEN", token)).unwrap()
    }

    /// The configuration of the plugin's own README, with a server to ask.
    fn configure(&self, server: &Server) {
        let readme = fs::read_to_string(self.path("lineman-plugin-acme/README.md")).unwrap();
        let configuration = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let connection = format!("\n[integration.ours.connection]\nendpoint_url = \"{}\"\n", server.url());
        fs::write(self.path("lineman.toml"), configuration.to_owned() + &connection).unwrap();
    }
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Acme, simulated.
fn acme(request: Request) -> Response {
    match (request.path(), request.header("authorization")) {
        ("/", _) => Response::new(200),
        (_, Some("Bearer t0ken-of-last-year")) => Response::new(401).body(r#"{"error":"token_expired"}"#),
        ("/user" | "/projects/payments", Some("Bearer t0ken-of-acme")) => Response::new(200).body("{}"),
        _ => Response::new(404),
    }
}

#[test]
fn from_nothing_to_a_plugin_that_names_the_fault() {
    let vendor = Vendor { directory: tempfile::tempdir().unwrap() };
    let lineman = |arguments: &[&str]| {
        let outcome = vendor.lineman(arguments);
        assert_eq!(outcome.exit, 0, "lineman {arguments:?}\n{}{}", outcome.stdout, outcome.stderr);
        outcome.stdout
    };

    lineman(&["plugin", "new", "acme", "--sdk-path", workspace().to_str().unwrap()]);
    let source = vendor.path("lineman-plugin-acme");
    // The versions that Lineman itself was built with; a vendor gets the newest.
    fs::copy(workspace().join("Cargo.lock"), source.join("Cargo.lock")).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tested = Outcome::of(vendor.command(cargo).current_dir(&source).args(["test", "--release"])).unwrap();
    assert!(tested.exit == 0 && tested.stdout.contains("3 passed"), "{}{}", tested.stdout, tested.stderr);

    lineman(&["plugin", "pack", "lineman-plugin-acme"]);
    let shipped = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "description.json", "plugin.toml"];
    let shipped: BTreeSet<String> = shipped.map(str::to_owned).into_iter().collect();
    let mut there = names(&vendor.path("dist/acme"));
    assert!(there.remove("liblineman_plugin_acme.so"), "{there:?}");
    assert_eq!(there, shipped);
    let manifest = fs::read_to_string(vendor.path("dist/acme/plugin.toml")).unwrap();
    assert!(manifest.contains("licence = \"MIT OR Apache-2.0\""), "{manifest}");

    lineman(&["plugin", "verify", "dist/acme"]);

    let server = Server::http(acme).unwrap();
    vendor.configure(&server);
    let installed = vendor.user(&["plugin", "install", "dist/acme"], "");
    assert_eq!(installed.exit, 0, "{}{}", installed.stdout, installed.stderr);
    let check = ["check", "--locked", "--format", "json"];
    let outcome = vendor.user(&check, "t0ken-of-acme");
    assert_eq!(outcome.exit, 0, "{}{}", outcome.stdout, outcome.stderr);
    let outcome = vendor.user(&check, "t0ken-of-last-year");
    let report = outcome.report().unwrap();
    assert_eq!((outcome.exit, &report.causes[0].cause), (1, &Cause::CredentialExpired), "{}", outcome.stdout);
    assert_eq!(report.integrations[0].findings().next().unwrap().code, "acme/token-expired");

    // One bit, and it is not what was accepted.
    let library = vendor.path(".local/share/lineman/plugins/acme/liblineman_plugin_acme.so");
    let mut bytes = fs::read(&library).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&library, bytes).unwrap();
    let outcome = vendor.user(&check, "t0ken-of-acme");
    assert!(outcome.exit == 2 && outcome.stdout.is_empty(), "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn what_a_plugin_deprecates_is_told_beside_the_report() {
    let bench = Bench::with(&["raw"]).unwrap();
    let integration = |name: &str| {
        format!("[integration.{name}]\nprovider = \"raw\"\nsettings = {{ behaviour = \"well\", manners = \"good\" }}\n")
    };
    let text = format!("version = 1\nplugins.enable = [\"raw\"]\n{}{}", integration("one"), integration("two"));
    let (outcome, report) = bench.check(&text).unwrap();
    assert_eq!((outcome.exit, report.integrations.len()), (0, 2), "{}", outcome.stdout);
    let told = "lineman: warning: the setting `manners` is deprecated; use `behaviour` (used by `one`, `two`)";
    assert_eq!(outcome.stderr.lines().filter(|line| *line == told).count(), 1, "{}", outcome.stderr);
}

#[test]
fn a_tarball_is_one_directory_with_what_is_shipped() {
    let vendor = Vendor { directory: tempfile::tempdir().unwrap() };
    let library = workspace().join("tests/abi-1.0/plugin/liblineman_abi_1_0.so");
    let packed = vendor.lineman(&["plugin", "pack", library.to_str().unwrap(), "--out", "out/old.tgz"]);
    assert_eq!(packed.exit, 0, "{}", packed.stderr);
    let listed = Outcome::of(vendor.command("tar").args(["-tzf", "out/old.tgz"])).unwrap();
    let expected = ["description.json", "liblineman_abi_1_0.so", "plugin.toml"];
    let expected = expected.map(|file| format!("abi-1-0-1.0.0/{file}"));
    assert_eq!(listed.stdout.lines().collect::<Vec<_>>(), expected, "{}", listed.stderr);
}

#[test]
fn what_cannot_be_written_or_packed_is_refused_with_the_reason() {
    let vendor = Vendor { directory: tempfile::tempdir().unwrap() };
    let refused = |arguments: &[&str], reason: &str| {
        let outcome = vendor.lineman(arguments);
        assert!(outcome.exit == 2 && outcome.stderr.contains(reason), "lineman {arguments:?}\n{outcome:?}");
    };
    refused(&["plugin", "new", "Acme_Cloud"], "did you mean `acme-cloud`?");
    refused(&["plugin", "new", "acme", "--sdk-path", "."], "give the source tree of Lineman");
    fs::create_dir(vendor.path("mine")).unwrap();
    fs::write(vendor.path("mine/README.md"), "mine").unwrap();
    refused(&["plugin", "new", "acme", "--dir", "mine"], "mine/README.md is there already");
    assert_eq!(names(&vendor.path("mine")), BTreeSet::from(["README.md".to_owned()]), "nothing was written");
    refused(&["plugin", "pack", "mine"], "give the directory of a plugin's crate");
    refused(&["plugin", "pack", "mine/README.md"], "not-a-library");
    refused(&["plugin", "pack", workspace().to_str().unwrap()], "is a workspace");
    let model = workspace().join("crates/lineman-model");
    refused(&["plugin", "pack", model.to_str().unwrap()], "crate-type = [\"cdylib\"]");
}
