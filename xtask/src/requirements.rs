use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lineman_tests::{COMPONENTS, Component, Source, target_dir};

use crate::say;

/// Debian's packages start their daemons on installation; this file tells them not to.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs the components that are missing and can be installed here: packages of Debian as
/// root, packages of PyPI and npm below the target directory. With `all`, what has to be built is
/// built, which takes minutes, once.
///
/// A failure is told and not returned: what needs the component says that it could not run.
pub(crate) fn install_missing(all: bool) {
    let wanted = |component: &&Component| !component.is_present() && (all || component.built().is_none());
    let missing: Vec<&Component> = COMPONENTS.iter().filter(wanted).collect();
    let packages: Vec<&str> = missing.iter().flat_map(|component| debian(component)).copied().collect();
    if !packages.is_empty() {
        attempt(&format!("apt-get install {}", packages.join(" ")), || apt(&packages));
    }
    for component in missing {
        match component.source {
            Source::Pip(requirements) => {
                attempt(&format!("pip install {requirements} into target/venv"), || pip(requirements));
            }
            Source::Npm(package) => attempt(&format!("npm install {package} into target/npm"), || npm(package)),
            Source::Built { script, .. } => attempt(&format!("{script}, for some minutes"), || {
                run(&mut component.build().context("nothing builds it")?)
            }),
            Source::Apt(_) | Source::Machine(_) => {}
        }
    }
}

fn debian(component: &Component) -> &'static [&'static str] {
    match component.source {
        Source::Apt(packages) | Source::Built { packages, .. } => packages,
        Source::Pip(_) | Source::Npm(_) | Source::Machine(_) => &[],
    }
}

fn attempt(what: &str, install: impl FnOnce() -> Result<()>) {
    say(&format!("installing: {what}"));
    if let Err(error) = install() {
        say(&format!("not installed: {error:#}"));
    }
}

fn apt(packages: &[&str]) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "only root may install packages");
    let quiet_daemons = Policy::set()?;
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "DPkg::Lock::Timeout=120"]);
        command
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))?;
    drop(quiet_daemons);
    Ok(())
}

/// Keeps daemons from being started for as long as it lives.
struct Policy {
    ours: bool,
}

impl Policy {
    fn set() -> Result<Policy> {
        use std::os::unix::fs::PermissionsExt;

        let ours = !Path::new(POLICY).exists();
        if ours {
            fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Policy { ours })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            say(&format!("cannot remove {POLICY}: {error}"));
        }
    }
}

fn pip(requirements: &str) -> Result<()> {
    let venv = target_dir().join("venv");
    if !venv.join("bin/pip").is_file() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let mut pip = Command::new(venv.join("bin/pip"));
    run(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(requirements.split(' ')))
}

fn npm(package: &str) -> Result<()> {
    let options = ["install", "--silent", "--no-fund", "--no-audit", "--prefix"];
    run(Command::new("npm").args(options).arg(target_dir().join("npm")).arg(package))
}

/// Runs a command that must succeed; what it prints is shown only if it does not.
fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{program} failed ({}):\n{}", output.status, String::from_utf8_lossy(&said));
    Ok(())
}
