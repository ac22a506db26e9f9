//! A place of its own for each test to run Lineman in, and what can be seen of it from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use lineman_model::Report;
use lineman_tests::{Outcome, Site, clean_command, profile_dir};
use rustix::process::Pid;

/// A place to run Lineman in, with plugins of its own and its own directory for temporary files.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    /// With these misbehaving plugins installed: `checks` is called `misbehaving`, `raw` is `raw`.
    pub(crate) fn with(libraries: &[&str]) -> Result<Bench> {
        let bench = Bench { directory: tempfile::tempdir()? };
        fs::create_dir(bench.temporary())?;
        for library in libraries {
            let packed = bench.pack(&library_of(library), &bench.plugin(library))?;
            ensure!(packed.exit == 0, "{library} cannot be packed: {}", packed.stderr);
        }
        Ok(bench)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.path().join("tmp")
    }

    pub(crate) fn plugin(&self, library: &str) -> PathBuf {
        self.path().join("plugins").join(library)
    }

    pub(crate) fn pack(&self, library: &Path, out: &Path) -> Result<Outcome> {
        Outcome::of(self.command().args(["plugin", "pack"]).arg(library).arg("--out").arg(out))
    }

    /// Lineman, in this place.
    pub(crate) fn command(&self) -> Command {
        let mut command = clean_command(Site::get().expect("Lineman can be built").program());
        command.current_dir(self.path()).env("HOME", self.path()).env("TMPDIR", self.temporary()).stdin(Stdio::null());
        command
    }

    /// `lineman check` of a configuration.
    pub(crate) fn checking(&self, configuration: &str) -> Result<Command> {
        fs::write(self.path().join("lineman.toml"), configuration)?;
        let mut command = self.command();
        command.args(["check", "--format", "json", "--plugin-dir"]).arg(self.path().join("plugins"));
        Ok(command)
    }

    pub(crate) fn check(&self, configuration: &str) -> Result<(Outcome, Report)> {
        let outcome = Outcome::of(&mut self.checking(configuration)?)?;
        let report = outcome.report()?;
        Ok((outcome, report))
    }
}

/// A misbehaving plugin as it was built.
pub(crate) fn library_of(name: &str) -> PathBuf {
    profile_dir().join(format!("liblineman_misbehaving_{}.so", name.replace('-', "_")))
}

/// A word that no other process has in its arguments.
pub(crate) fn mark(bench: &Bench) -> String {
    format!("left-behind-in-{}", bench.path().display())
}

/// Processes whose last argument is this.
pub(crate) fn marked(mark: &str) -> Vec<Pid> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let bears = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.strip_suffix(b"\0").is_some_and(|arguments| arguments.ends_with(mark.as_bytes()))
    };
    pids.filter(bears).filter_map(Pid::from_raw).collect()
}

/// The children of every thread of a process.
pub(crate) fn children(of: u32) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let parse =
        |list: String| list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>();
    lists.flat_map(parse).collect()
}
