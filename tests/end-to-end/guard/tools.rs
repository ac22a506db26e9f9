//! The tools that people provision with, as they are.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use lineman_tests::{Kubectl, Kubernetes, Names, Outcome, Screen, require, target_dir};

use super::{THROTTLED, bench, flat, guarded, guarding, lineman};

#[test]
fn git_is_explained() -> Result<()> {
    if !require("guard-git", &["git"]) {
        return Ok(());
    }
    let bench = bench()?;
    // A port below 1024 that nobody listens on.
    let outcome = guarded(&bench, "git ls-remote https://127.0.0.1:1/acme/app.git")?;
    let said = flat(&outcome.stderr);
    ensure!(outcome.exit == 128 && said.contains("network.refused"), "{outcome:?}");
    ensure!(said.contains("fatal: unable to access"), "{outcome:?}");
    let mut guard = lineman(&bench);
    guard.args(["guard", "--for", "good", "code", "--level", "config", "--", "git", "clone", "/no/such/repository"]);
    let outcome = Outcome::of(&mut guard)?;
    let said = flat(&outcome.stderr);
    ensure!(outcome.exit == 128 && said.contains("repo.no-access"), "{outcome:?}");
    ensure!(said.contains("lineman check code"), "{outcome:?}");
    Ok(())
}

#[test]
fn aws_is_explained() -> Result<()> {
    if !require("guard-aws", &["aws-cli"]) {
        return Ok(());
    }
    let bench = bench()?;
    let aws = target_dir().join("venv/bin/aws");
    let ask = |endpoint: &str, key: &str| -> Result<Outcome> {
        let mut guard = guarding(&bench, &[]);
        guard.arg(&aws).args(["sts", "get-caller-identity", "--region", "eu-west-1", "--endpoint-url", endpoint]);
        guard
            .args(["--cli-connect-timeout", "5"])
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        if !key.is_empty() {
            guard.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", "x");
        }
        Outcome::of(&mut guard)
    };
    let outcome = ask("http://127.0.0.1:1", "")?;
    ensure!(outcome.exit > 0 && flat(&outcome.stderr).contains("credential.missing"), "{outcome:?}");
    let outcome = ask("http://127.0.0.1:1", "AKIAIOSFODNN7EXAMPLE")?;
    ensure!(outcome.exit > 0 && flat(&outcome.stderr).contains("aws/endpoint-unreachable"), "{outcome:?}");
    Ok(())
}

#[test]
fn kubectl_is_explained() -> Result<()> {
    if !require("guard-kubectl", &["kubectl"]) {
        return Ok(());
    }
    let bench = bench()?;
    let outcome = guarded(&bench, "kubectl --server=https://127.0.0.1:1 --token=any get namespaces")?;
    ensure!(outcome.exit == 1 && flat(&outcome.stderr).contains("network.refused"), "{outcome:?}");
    Ok(())
}

#[test]
fn a_refused_apply_is_explained() -> Result<()> {
    if !require("guard-kubectl-apply", &["haproxy", "openssl", "etcd", "kubernetes"]) {
        return Ok(());
    }
    let bench = bench()?;
    let mut names = Names::default();
    let kubernetes = Kubernetes::shared()?;
    kubernetes.name(&mut names);
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";
    fs::write(bench.path().join("settings.yaml"), manifest)?;
    let apply = |token: &str| -> Result<Outcome> {
        let mut guard = guarding(&bench, &[]);
        guard.arg(Kubectl::program()).args(["apply", "--filename=settings.yaml"]);
        for option in ["--server=https://127.0.0.1:{k8s}", "--certificate-authority={k8s.ca}", token] {
            guard.arg(names.fill(option)?);
        }
        Outcome::of(&mut guard)
    };
    let outcome = apply("--token={k8s.token.viewer}")?;
    let said = flat(&outcome.stderr);
    let (own, cause) = (said.find("Error from server (Forbidden)"), said.find("permission.insufficient"));
    ensure!(outcome.exit == 1 && own.is_some() && own < cause, "{outcome:?}");
    let outcome = apply("--token={k8s.token.admin}")?;
    ensure!(outcome.exit == 0 && outcome.stdout.contains("configmap/settings created"), "{outcome:?}");
    Ok(())
}

/// OpenTofu where it is there, else Terraform.
fn terraform() -> &'static str {
    match Command::new("tofu").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => "tofu",
        _ => "terraform",
    }
}

#[test]
fn terraform_runs_as_alone() -> Result<()> {
    if !require("guard-terraform", &["terraform"]) {
        return Ok(());
    }
    let bench = bench()?;
    // A resource that no provider is downloaded for, and whose making fails as a cloud's does.
    let script = format!("echo >>runs; test $(wc -l <runs) -gt 2 || {{ echo '{THROTTLED}' >&2; exit 254; }}");
    fs::write(bench.path().join("make.sh"), script)?;
    let made = |command: &str| {
        let text = format!(
            "resource \"terraform_data\" \"bucket\" {{\n  provisioner \"local-exec\" {{\n    command = \"{command}\"\n  }}\n}}\n"
        );
        fs::write(bench.path().join("main.tf"), text)
    };
    made("sh make.sh")?;
    let guard = |arguments: &[&str]| {
        let mut guard = lineman(&bench);
        guard.args(["guard", "--for", "good", "--retry", "3", "--retry-delay", "1ms", "--", terraform()]);
        guard.args(arguments).env("CHECKPOINT_DISABLE", "1").env("TERM", "xterm");
        guard
    };
    let outcome = Outcome::of(&mut guard(&["init"]))?;
    ensure!(outcome.exit == 0, "{outcome:?}");
    let outcome = Outcome::of(&mut guard(&["apply", "-auto-approve", "-no-color"]))?;
    ensure!(outcome.exit == 0 && outcome.stdout.contains("Apply complete!"), "{outcome:?}");
    ensure!(fs::read(bench.path().join("runs"))?.len() == 3, "{outcome:?}");

    // It asks, and is interrupted: once, it ends by itself.
    made("echo at work; sleep 1000")?;
    let mut screen = Screen::start(guard(&["apply", "-replace=terraform_data.bucket"]))?;
    screen.until("Enter a value:")?;
    screen.press("yes\n")?;
    screen.until("Provisioning with 'local-exec'")?;
    screen.until("at work")?;
    screen.until("at work")?;
    screen.press("\u{3}")?;
    screen.until("Gracefully shutting down")?;
    let (exit, shown) = screen.end()?;
    ensure!(exit == 1 && !shown.contains("Two interrupts received"), "{exit}: {shown}");
    ensure!(!shown.contains("so again in"), "{shown}");
    Ok(())
}
