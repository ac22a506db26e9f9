//! The program that a kubeconfig names to log in (`client.authentication.k8s.io`): whoever writes
//! a kubeconfig could have anything run, so it is run only where the setting `exec_program` grants
//! it.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lineman_sdk::prelude::*;
use lineman_sdk::{ProgramOutput, Timestamp};
use serde_json::json;

use crate::Kubernetes;
use crate::access::{Access, fault};
use crate::kubeconfig::Exec;

/// Where programs find others, where no `PATH` is granted.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Longer than any login takes that nobody has to answer.
const PATIENCE: Duration = Duration::from_secs(30);
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// What is wrong with it before it is run.
pub(crate) fn unusable(exec: &Exec) -> Option<Finding> {
    let wrong = |code: &str, message: &str| Some(fault(code, Cause::ConfigInvalid, "", message));
    if exec.command.is_empty() {
        return wrong("exec-empty", "The kubeconfig's `exec` names no command.");
    }
    if !VERSIONS.contains(&exec.api_version.as_str()) {
        let said = if exec.api_version.is_empty() { "no version" } else { &exec.api_version };
        let message = format!("The kubeconfig's `exec` speaks {said}, which clients no longer do.");
        return wrong("exec-version", &message);
    }
    if exec.interactive_mode.as_deref() == Some("Always") {
        let message = format!("`{}` asks somebody to log in, and nobody is there in a check.", name(exec));
        return wrong("exec-interactive", &message);
    }
    None
}

/// What people call it.
pub(crate) fn name(exec: &Exec) -> &str {
    exec.command.rsplit('/').next().unwrap_or(&exec.command)
}

/// What it answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    kind: String,
    api_version: String,
    status: Option<Issued>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    token: Option<Secret>,
    client_certificate_data: Option<String>,
    expiration_timestamp: Option<Timestamp>,
}

/// Runs it and reads the token that it prints.
///
/// # Errors
///
/// That it is not granted, not there, failed, or printed something else.
pub(crate) async fn run(cx: &Cx<Kubernetes>, access: &Access, exec: &Exec) -> Result<Secret, Stop> {
    let program = granted(cx, exec)?;
    let info = json!({ "apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec(access, exec) });
    let mut program = cx
        .program_at(program)
        .args(exec.args.iter().flatten())
        .env("PATH", PATH)
        .env("HOME", cx.directory())
        .env("KUBERNETES_EXEC_INFO", info.to_string());
    // A worker's environment is what `allow_env` grants.
    for (name, value) in std::env::vars_os() {
        program = program.env(name, value);
    }
    for variable in exec.env.iter().flatten() {
        // As the kubeconfig says, and as every other client of it does.
        program = program.env(&variable.name, variable.value.expose());
    }
    let time = PATIENCE.min(cx.time_left().mul_f64(0.9));
    let output = match tokio::time::timeout(time, Box::pin(program.output())).await {
        Ok(output) => output?,
        Err(_) => {
            let message = format!("`{}` did not end within {time:.0?}, and was ended.", name(exec));
            return Err(cx.finding("exec-late", Cause::NetworkTimeout, message).confidence(Confidence::Likely).into());
        }
    };
    read(cx, exec, &output)
}

/// The program, where the settings grant it.
fn granted<'a>(cx: &'a Cx<Kubernetes>, exec: &Exec) -> Result<&'a str, Stop> {
    let granted = cx.settings().exec_program.as_deref();
    let command = std::iter::once(exec.command.as_str()).chain(exec.args.iter().flatten().map(String::as_str));
    let command = command.collect::<Vec<_>>().join(" ");
    let refused = |message: String, remedy: String| -> Stop {
        let hint = exec.install_hint.as_deref().map(str::trim).filter(|hint| !hint.is_empty());
        let finding = cx
            .finding("exec-not-granted", Cause::ConfigInvalid, message)
            // The platform may run it and be well; here nothing is known of the credential.
            .severity(Severity::Unknown)
            .subject("program", name(exec))
            .pointer("/settings/exec_program")
            .detail(match hint {
                Some(hint) => format!("The command is: {command}\nThe kubeconfig says of it: {hint}"),
                None => format!("The command is: {command}"),
            });
        finding.remedy(remedy).into()
    };
    let same = |granted: &str| match exec.command.starts_with('/') {
        true => granted == exec.command,
        false => Path::new(granted).file_name() == Path::new(&exec.command).file_name(),
    };
    match granted {
        Some(program) if same(program) => Ok(program),
        Some(program) => Err(refused(
            format!(
                "The kubeconfig logs in by running `{}`, and `exec_program` grants another: {program}.",
                exec.command
            ),
            format!("Set `exec_program` to the path of `{}`, if Lineman may run it.", exec.command),
        )),
        None => Err(refused(
            format!(
                "The kubeconfig logs in by running `{}`, which Lineman does only where that is granted.",
                exec.command
            ),
            format!(
                "Set `exec_program` to the path of `{}`, and grant what it reads in `plugins.kubernetes.allow_env` and `allow_paths`; or store a token.",
                exec.command
            ),
        )),
    }
}

/// What it is told of the cluster, where it asks.
fn spec(access: &Access, exec: &Exec) -> serde_json::Value {
    if !exec.provide_cluster_info {
        return json!({ "interactive": false });
    }
    let mut cluster = json!({ "server": access.server });
    if let Some((pem, _)) = &access.authorities {
        cluster["certificate-authority-data"] = STANDARD.encode(pem).into();
    }
    if let Some(name) = &access.server_name {
        cluster["tls-server-name"] = name.as_str().into();
    }
    if access.unverified {
        cluster["insecure-skip-tls-verify"] = true.into();
    }
    json!({ "interactive": false, "cluster": cluster })
}

fn read(cx: &Cx<Kubernetes>, exec: &Exec, output: &ProgramOutput) -> Result<Secret, Stop> {
    let name = name(exec);
    let said = Evidence::log(name, &output.stderr);
    if !output.ok() {
        let how = match (output.status, output.signal) {
            (Some(status), _) => format!("with status {status}"),
            (None, Some(signal)) => format!("by signal {signal}"),
            (None, None) => "for no known reason".to_owned(),
        };
        let unknown = || {
            let message = format!("`{name}`, which the kubeconfig logs in with, ended {how}.");
            cx.finding("exec-failed", Cause::CredentialMissing, message)
                .confidence(Confidence::Likely)
                .or_else(Cause::CredentialExpired, Confidence::Possible)
                .or_else(Cause::DependencyMissing, Confidence::Possible)
        };
        let known = cx.recognise(&output.stderr, None).or_else(|| cx.recognise_network(&output.stderr));
        return Err(known.unwrap_or_else(unknown).subject("program", name).evidence(said).into());
    }
    let unfit = |why: &str| -> Stop {
        let message = format!("`{name}`, which the kubeconfig logs in with, prints {why}.");
        cx.finding("exec-output", Cause::DependencyUnfit, message)
            .subject("program", name)
            .evidence(said.clone())
            .remedy("Update it, or write the kubeconfig again with its provider's tool.")
            .into()
    };
    let Ok(credential) = serde_json::from_slice::<Credential>(&output.stdout) else {
        return Err(unfit("something that is not an ExecCredential"));
    };
    if credential.kind != "ExecCredential" || credential.api_version != exec.api_version {
        return Err(unfit("a credential of another version than the kubeconfig asks for"));
    }
    let Some(Issued { token, client_certificate_data, expiration_timestamp }) = credential.status else {
        return Err(unfit("an ExecCredential without a status"));
    };
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        if client_certificate_data.is_some() {
            return Err(cx
                .finding(
                    "exec-certificate",
                    Cause::Undetermined,
                    format!("`{name}` prints a client certificate, which Lineman takes from a kubeconfig alone."),
                )
                .subject("program", name)
                .into());
        }
        return Err(unfit("an ExecCredential without a token"));
    };
    cx.conceal("token of the program", &token);
    if let Some(at) = expiration_timestamp {
        cx.expires("token of the program", at);
        if at <= Timestamp::now() {
            let message = format!("The token that `{name}` prints expired on {at:.0}.");
            return Err(cx
                .finding("exec-expired", Cause::CredentialExpired, message)
                .subject("program", name)
                .or_else(Cause::ClockSkew, Confidence::Possible)
                .into());
        }
    }
    Ok(token)
}
