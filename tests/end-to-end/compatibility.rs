//! What was built with ABI 1.0 is loaded for ever.
//!
//! The plugin in `tests/abi-1.0/plugin` is a binary of that time, with the manifest and the
//! description that were written for it then. When this fails, Lineman has broken a promise: mend
//! Lineman, never the binary.

#![cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use lineman_model::{Cause, CheckReport, Evidence, Report, Status};
use lineman_tests::{Outcome, Site, workspace};

const TOKEN: &str = "t0ken-of-abi-1-0";

struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    /// A copy of the plugin, because what others may write is refused, and a checkout may be so.
    fn new() -> Bench {
        let bench = Bench { directory: tempfile::tempdir().unwrap() };
        let plugin = bench.directory.path().join("plugins/abi-1-0");
        fs::create_dir_all(&plugin).unwrap();
        fs::set_permissions(&plugin, Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(workspace().join("tests/abi-1.0/plugin")).unwrap() {
            let from = entry.unwrap();
            let to = plugin.join(from.file_name());
            fs::copy(from.path(), &to).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o644)).unwrap();
        }
        let configuration = r#"
            version = 1
            plugins.enable = ["abi-1-0"]
            [integration.old]
            provider = "abi-1-0"
            settings = { greeting = "good day" }
            secrets = { token = { env = "TOKEN" } }
        "#;
        fs::write(bench.directory.path().join("lineman.toml"), configuration).unwrap();
        bench
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = Site::get().unwrap().command(self.directory.path());
        command.args(arguments).arg("--plugin-dir").arg(self.directory.path().join("plugins")).env("TOKEN", TOKEN);
        Outcome::of(&mut command).unwrap()
    }
}

fn check<'a>(report: &'a Report, id: &str) -> &'a CheckReport {
    report.integrations[0].checks.iter().find(|check| check.id == id).unwrap()
}

#[test]
fn a_binary_of_abi_1_0_describes_itself_as_it_did() {
    let bench = Bench::new();
    let library = bench.directory.path().join("plugins/abi-1-0/liblineman_abi_1_0.so");
    let packed = bench.run(&["plugin", "pack", library.to_str().unwrap(), "--out", "again"]);
    assert_eq!(packed.exit, 0, "{}", packed.stderr);
    let description = |under: &str| fs::read(bench.directory.path().join(under).join("description.json")).unwrap();
    assert_eq!(description("again"), description("plugins/abi-1-0"));
    let info = bench.run(&["plugin", "info", "abi-1-0"]);
    assert!(info.exit == 0 && info.stdout.contains("abi-1-0/finds"), "{info:?}");
}

#[test]
fn a_binary_of_abi_1_0_runs_its_checks() {
    let bench = Bench::new();
    let outcome = bench.run(&["check", "--format", "json", "--skip", "abi-1-0/waits"]);
    let report = outcome.report().unwrap();
    assert_eq!(outcome.exit, 1, "{}", outcome.stdout);
    assert_eq!(check(&report, "abi-1-0/passes").status, Status::Pass);
    let integration = &report.integrations[0];
    assert!(integration.not_proved.iter().any(|it| it.what == "good day"), "the settings went over and came back");
    assert_eq!(integration.expires[0].at.to_string(), "2030-01-01T00:00:00Z");
    let [finding] = &check(&report, "abi-1-0/finds").findings[..] else { panic!("{}", outcome.stdout) };
    assert_eq!((finding.code.as_str(), &finding.cause), ("abi-1-0/expired", &Cause::CredentialExpired));
    let Evidence::Log { lines, .. } = &finding.evidence[0] else { panic!("{finding:?}") };
    assert_eq!(lines[..], ["[redacted:token]", "[redacted:obtained]", "true true"], "both secrets reached the host");
    assert!(matches!(&finding.evidence[1], Evidence::Other(fields) if fields["what"] == "is kept"), "{finding:?}");
}

#[test]
fn a_binary_of_abi_1_0_is_cancelled() {
    let outcome = Bench::new().run(&["check", "--format", "json", "--only", "abi-1-0/waits", "--timeout", "1s"]);
    let report = outcome.report().unwrap();
    assert_eq!(outcome.exit, 4, "{}", outcome.stdout);
    assert_eq!(check(&report, "abi-1-0/waits").findings[0].cause, Cause::PluginTimedOut);
}
