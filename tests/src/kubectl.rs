use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::fault::{Answer, Integration};
use crate::kubernetes::program;
use crate::server::clean_command;
use crate::site::Outcome;

/// kubectl, doing what an integration with a cluster is for: ask as the user that it is, whether it
/// may do what is required, and look at the namespaces.
#[derive(Debug)]
pub struct Kubectl {
    directory: PathBuf,
}

impl Kubectl {
    /// The program, of the cluster's own version.
    pub fn program() -> PathBuf {
        program("kubectl")
    }

    /// A client that keeps its files in a directory.
    pub fn new(directory: &Path) -> Result<Kubectl> {
        let directory = directory.join("kubectl");
        fs::create_dir_all(&directory)?;
        Ok(Kubectl { directory })
    }

    /// Does what the integration is for. The first refusal is the answer.
    pub fn ask(&self, id: &str, integration: &Integration) -> Result<Answer> {
        let own = self.directory.join(id);
        fs::create_dir_all(&own)?;
        let text = |words: &toml::Table, key: &str| words.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        // What everybody who is logged in may read.
        let mut questions = vec![vec!["get".to_owned(), "--raw".to_owned(), "/apis".to_owned()]];
        for words in &integration.requires {
            let namespace = text(words, "namespace").or_else(|| integration.setting("namespace").map(str::to_owned));
            if let Some(crd) = text(words, "crd") {
                questions.push(vec!["get".to_owned(), crd]);
            }
            if let Some(quota) = words.get("quota").and_then(toml::Value::as_table) {
                questions.extend(brought(quota));
            }
            let (Some(verb), Some(resource)) = (text(words, "verb"), text(words, "resource")) else { continue };
            let mut question = vec!["auth".to_owned(), "can-i".to_owned(), verb, resource];
            question.extend(namespace.iter().map(|namespace| format!("--namespace={namespace}")));
            questions.push(question);
            questions.extend(namespace.map(|name| vec!["get".to_owned(), "namespace".to_owned(), name]));
        }
        for question in questions {
            let outcome = Outcome::of(self.command(&own, integration)?.args(question))?;
            if outcome.exit != 0 {
                return Ok(Answer::Fails(outcome.stdout + &outcome.stderr));
            }
        }
        Ok(Answer::Works)
    }

    fn command(&self, own: &Path, integration: &Integration) -> Result<Command> {
        let mut command = clean_command(Kubectl::program());
        command.env("HOME", own).current_dir(own).arg("--request-timeout=5s");
        let kubeconfig = match integration.secret("kubeconfig")? {
            Some(text) => {
                let file = own.join("config");
                fs::write(&file, text)?;
                Some(file.display().to_string())
            }
            None => integration.setting("kubeconfig").map(str::to_owned),
        };
        let server = integration.connection("endpoint_url").or(integration.setting("server"));
        let ca = integration.connection("ca_file").or(integration.setting("ca"));
        let mut option = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                command.arg(format!("--{name}={value}"));
            }
        };
        option("kubeconfig", kubeconfig.as_deref());
        option("context", integration.setting("context"));
        option("server", server);
        option("certificate-authority", ca);
        option("token", integration.secret("token")?.as_deref());
        for (key, name) in [("client_certificate", "client-certificate"), ("client_key", "client-key")] {
            let Some(pem) = integration.secret(key)? else { continue };
            let file = own.join(key);
            fs::write(&file, pem)?;
            option(name, Some(&file.display().to_string()));
        }
        if let Some(proxy) = integration.connection("proxy") {
            // kubectl never asks a proxy for a server on loopback, whatever the variables say: so does
            // no client in Go.
            command.env("HTTPS_PROXY", proxy);
        }
        Ok(command)
    }
}

/// Brings one object that takes what a quota must leave, as far as admission: the API server decides
/// about it, and stores nothing.
fn brought(quota: &toml::Table) -> Option<Vec<String>> {
    let text = |key: &str| quota.get(key).and_then(toml::Value::as_str);
    let (resource, need) = (text("resource")?, text("need").unwrap_or("1"));
    // A quota on requests wants every pod to say both.
    let requests = match resource {
        "requests.cpu" => format!("--requests=cpu={need},memory=1Mi"),
        "requests.memory" => format!("--requests=cpu=1m,memory={need}"),
        _ => "--requests=cpu=1m,memory=1Mi".to_owned(),
    };
    let words: &[&str] = match resource {
        "pods" | "requests.cpu" | "requests.memory" => &["run", "brought", "--image=none", &requests],
        "count/deployments.apps" => &["create", "deployment", "brought", "--image=none"],
        "services" => &["create", "service", "clusterip", "brought", "--tcp=80"],
        _ => return None,
    };
    let namespace = format!("--namespace={}", text("namespace")?);
    let words = words.iter().copied().chain(["--dry-run=server", &namespace]);
    Some(words.map(str::to_owned).collect())
}
