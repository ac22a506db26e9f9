use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use lineman_model::Report;
use serde::Deserialize;

use crate::fault::Integration;
use crate::namespace::Namespace;
use crate::place::{profile_dir, target_dir, workspace};
use crate::server::clean_command;

/// An installed Lineman: the program and its plugins, in the layout that users have.
#[derive(Debug)]
pub struct Site {
    prefix: PathBuf,
    /// Shared by those who use the site, exclusive to who lays it out.
    _lock: File,
}

/// Everything that `cargo test --workspace` has built, and the programs and libraries beside it.
/// Cargo chooses the features of dependencies by what it builds together: without the test, or
/// with a part of the workspace, it would compile them again.
const AS_TESTS: [&str; 5] = ["--workspace", "--lib", "--bins", "--test", "end-to-end"];

/// What one run of Lineman came to.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; a negative one is the signal that ended it.
    pub exit: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Site {
    /// The site of this test run: the workspace is built in the profile of the tests, once, and
    /// installed below the target directory.
    pub fn get() -> Result<&'static Site> {
        static SITE: OnceLock<Result<Site, String>> = OnceLock::new();
        let site = SITE.get_or_init(|| Site::lay_out().map_err(|error| format!("{error:#}")));
        site.as_ref().map_err(|error| anyhow::anyhow!("Lineman cannot be installed: {error}"))
    }

    /// Installs at one place and moves the tree to another: it must not mind.
    fn lay_out() -> Result<Site> {
        let base = target_dir().join("end-to-end");
        let (fresh, prefix) = (base.join("fresh"), base.join("site"));
        fs::create_dir_all(&base)?;
        // Two test programs may come here at the same time.
        let lock = File::create(base.join("lock"))?;
        lock.lock()?;
        let silent = &mut |_: &str| ();
        build(&profile(), AS_TESTS, silent)?;
        for old in [&fresh, &prefix] {
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
        install(&fresh, &profile_dir(), &plugins()?, silent)?;
        fs::rename(&fresh, &prefix)?;
        lock.unlock()?;
        lock.lock_shared()?;
        Ok(Site { prefix, _lock: lock })
    }

    /// The program.
    pub fn program(&self) -> PathBuf {
        self.prefix.join("bin/lineman")
    }

    /// Lineman with an empty environment in a directory.
    pub fn command(&self, directory: &Path) -> Command {
        let mut command = clean_command(self.program());
        command.current_dir(directory).env("HOME", directory).stdin(Stdio::null());
        command
    }

    /// Runs `lineman check` on one integration.
    pub fn check(&self, directory: &Path, integration: &Integration, namespace: Option<&Namespace>) -> Result<Outcome> {
        self.check_with(directory, integration, namespace, &[])
    }

    /// The same, with further environment variables.
    pub fn check_with(
        &self,
        directory: &Path,
        integration: &Integration,
        namespace: Option<&Namespace>,
        variables: &[(&str, &str)],
    ) -> Result<Outcome> {
        let file = directory.join("lineman.toml");
        fs::write(&file, integration.configuration("row")?)?;
        let mut command = self.command(directory);
        command.args(["check", "--format", "json", "--config"]).arg(&file);
        command.envs(integration.variables()).envs(integration.secret_variables()).envs(variables.iter().copied());
        if let Some(namespace) = namespace {
            command = namespace.enter(&command);
        }
        Outcome::of(&mut command)
    }
}

/// Where the pages of the providers are kept.
pub const PROVIDER_PAGES: &str = "docs/providers";

/// The pages of the providers, as their plugins are now: file names and texts.
pub fn provider_pages() -> Result<BTreeMap<String, String>> {
    let site = Site::get()?;
    let nowhere = tempfile::tempdir()?;
    let mut pages = BTreeMap::new();
    for id in plugins()? {
        let mut info = site.command(nowhere.path());
        let page = Outcome::of(info.args(["plugin", "info", &id, "--format", "markdown"]))?;
        ensure!(page.exit == 0, "{id} has no page: {}", page.stderr);
        pages.insert(format!("{id}.md"), page.stdout);
    }
    Ok(pages)
}

impl Outcome {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Result<Outcome> {
        use std::os::unix::process::ExitStatusExt;

        let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
        let code = output.status.code().or(output.status.signal().map(|signal| -signal));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Outcome { exit: code.unwrap_or(i32::MIN), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    /// The report on standard output.
    pub fn report(&self) -> Result<Report> {
        serde_json::from_str(&self.stdout).with_context(|| {
            format!("exit code {}, and standard output is no report:\n{}\n{}", self.exit, self.stdout, self.stderr)
        })
    }
}

/// The cargo profile that the running program was built in.
fn profile() -> String {
    let directory = profile_dir();
    match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev".to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// Builds the program and these plugins, or all of the source tree, in a profile and puts them into
/// place. Gives back the program; `at` hears what is being made.
pub fn build_and_install(prefix: &Path, profile: &str, ids: &[String], mut at: impl FnMut(&str)) -> Result<PathBuf> {
    let ids = if ids.is_empty() { plugins()? } else { ids.to_owned() };
    let packages: Vec<String> = ids.iter().map(|id| format!("--package=lineman-plugin-{id}")).collect();
    build(profile, packages.iter().map(String::as_str).chain(["--package=lineman"]), &mut at)?;
    let directory = if profile == "dev" { "debug" } else { profile };
    install(prefix, &target_dir().join(directory), &ids, &mut at)
}

/// A line of `cargo build --message-format json`, as far as it matters.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Runs `cargo build`.
fn build<'a>(profile: &str, what: impl IntoIterator<Item = &'a str>, at: &mut dyn FnMut(&str)) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace()).args(["build", "--quiet", "--profile", profile]).args(what);
    command.args(["--message-format", "json-render-diagnostics"]).arg("--target-dir").arg(target_dir());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cargo cannot be started")?;
    let mut compiled = 0;
    for line in BufReader::new(child.stdout.take().context("cargo has no output")?).lines() {
        let Ok(Message { reason, target: Some(target) }) = serde_json::from_str(&line?) else { continue };
        if reason == "compiler-artifact" {
            compiled += 1;
            at(&format!("{compiled} compiled, {}", target.name));
        }
    }
    ensure!(child.wait()?.success(), "cargo build failed");
    Ok(())
}

/// Puts what a profile's directory holds into place: `bin/lineman` and, for each plugin,
/// `lib/lineman/plugins/<id>` with its manifest, its description and its library.
///
/// The tree holds no absolute path: it can be moved.
fn install(prefix: &Path, built: &Path, ids: &[String], at: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let program = prefix.join("bin/lineman");
    fs::create_dir_all(prefix.join("bin"))?;
    replace(&built.join("lineman"), &program)?;
    for id in ids {
        at(&format!("packing {id}"));
        let library = built.join(format!("liblineman_plugin_{}.so", id.replace('-', "_")));
        let to = prefix.join("lib/lineman/plugins").join(id);
        fs::create_dir_all(&to)?;
        let mut pack = clean_command(&program);
        pack.args(["plugin", "pack"]).arg(&library).arg("--out").arg(&to);
        let packed = Outcome::of(&mut pack)?;
        ensure!(packed.exit == 0, "{id} cannot be packed: {}{}", packed.stdout, packed.stderr);
        for file in ["plugin.toml", "description.json"] {
            ensure!(to.join(file).is_file(), "packing {id} made no {file}");
        }
    }
    Ok(program)
}

/// What `lineman plugin new` writes, which is of use to nobody as it is.
const TEMPLATE: &str = "template";

/// The ids of the plugins of the source tree.
fn plugins() -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(workspace().join("plugins"))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() && entry.file_name() != TEMPLATE {
            ids.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    if ids.is_empty() {
        bail!("there are no plugins");
    }
    ids.sort();
    Ok(ids)
}

/// Copies a file beside its place and renames it: a program that runs keeps its own.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let beside = to.with_extension("new");
    fs::copy(from, &beside).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::rename(beside, to)?;
    Ok(())
}
