use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::{cache_dir, target_dir, workspace};
use crate::server::clean_command;

/// A program, or an ability of the machine, that some tests need.
#[derive(Debug)]
pub struct Component {
    /// The name under which tests require it.
    pub name: &'static str,
    /// Where it comes from.
    pub source: Source,
    /// A command that succeeds where the component is there; `{target}` is cargo's target
    /// directory, `{cache}` where what is [built](Source::Built) is kept.
    pub probe: &'static [&'static str],
}

/// Where a component comes from.
#[derive(Debug)]
pub enum Source {
    /// Packages of Debian.
    Apt(&'static [&'static str]),
    /// Requirements of PyPI, installed into the virtual environment `target/venv`.
    Pip(&'static str),
    /// A package of npm, installed into `target/npm`.
    Npm(&'static str),
    /// Something that Debian has the source of alone: built once by a script, given by its path in
    /// the source tree, which fills `{cache}/<name>-<version>`.
    Built {
        /// Its version.
        version: &'static str,
        /// The script; its argument is the directory to make.
        script: &'static str,
        /// Packages of Debian that it takes.
        packages: &'static [&'static str],
    },
    /// An ability of the machine that nothing installs; the text says what it takes.
    Machine(&'static str),
}

const fn apt(name: &'static str, packages: &'static [&'static str], probe: &'static [&'static str]) -> Component {
    Component { name, source: Source::Apt(packages), probe }
}

/// Every component. Versions are Debian 12's; what comes from PyPI is pinned.
pub const COMPONENTS: &[Component] = &[
    apt("git", &["git"], &["git", "--version"]),
    apt("ssh", &["openssh-client"], &["ssh", "-V"]),
    apt("sshd", &["openssh-server"], &["test", "-x", "/usr/sbin/sshd"]),
    apt("gitolite", &["gitolite3"], &["test", "-x", "/usr/bin/gitolite"]),
    apt("nginx", &["nginx-light"], &["nginx", "-v"]),
    apt("fcgiwrap", &["fcgiwrap"], &["fcgiwrap", "-h"]),
    apt("squid", &["squid"], &["squid", "-v"]),
    apt("tinyproxy", &["tinyproxy"], &["tinyproxy", "-v"]),
    apt("unbound", &["unbound"], &["unbound", "-V"]),
    apt("monitoring-plugins", &["monitoring-plugins-basic"], &["test", "-x", "/usr/lib/nagios/plugins/check_http"]),
    apt("ip", &["iproute2"], &["ip", "-V"]),
    // Beside it the reading of logs is measured.
    apt("ripgrep", &["ripgrep"], &["rg", "--version"]),
    apt("curl", &["curl"], &["curl", "--version"]),
    apt("openssl", &["openssl"], &["openssl", "version"]),
    apt("sqlite3", &["sqlite3"], &["sqlite3", "--version"]),
    apt("faketime", &["faketime"], &["faketime", "--version"]),
    apt("cc", &["gcc", "libc6-dev"], &["cc", "--version"]),
    // The interpreter that scripts name: they run without a `PATH`.
    apt("python3", &["python3"], &["/usr/bin/python3", "-c", "import asyncio; asyncio.timeout"]),
    apt("python", &["python3", "python3-venv"], &["python3", "-c", "import venv, ensurepip"]),
    Component {
        name: "moto",
        source: Source::Pip("moto[server]==5.2.5"),
        probe: &["{target}/venv/bin/python", "-c", "import moto.server, flask"],
    },
    Component {
        name: "cfn-lint",
        source: Source::Pip("cfn-lint==1.58.0"),
        probe: &["{target}/venv/bin/python", "-c", "import cfnlint"],
    },
    apt("apache", &["apache2"], &["test", "-x", "/usr/sbin/apache2"]),
    apt("haproxy", &["haproxy"], &["test", "-x", "/usr/sbin/haproxy"]),
    apt("node", &["nodejs", "npm"], &["npm", "--version"]),
    Component {
        name: "oidc-provider",
        source: Source::Npm("oidc-provider@9.13.3"),
        probe: &["test", "-f", "{target}/npm/node_modules/oidc-provider/package.json"],
    },
    apt("kubectl", &["kubernetes-client"], &["kubectl", "version", "--client"]),
    apt("etcd", &["etcd-server"], &["etcd", "--version"]),
    Component {
        name: "kubernetes",
        source: Source::Built {
            version: "1.20.2",
            script: "tests/src/kubernetes/build.sh",
            packages: &[
                "golang-go",
                "golang-github-json-iterator-go-dev",
                "golang-github-modern-go-reflect2-dev",
                "jq",
                "make",
                "rsync",
            ],
        },
        probe: &["test", "-x", "{cache}/kubernetes-1.20.2/kube-apiserver"],
    },
    // GitHub's own description of its API.
    Component {
        name: "github-openapi",
        source: Source::Npm("@octokit/openapi@23.0.2"),
        probe: &["test", "-f", "{target}/npm/node_modules/@octokit/openapi/generated/api.github.com.json"],
    },
    Component {
        name: "aws-cli",
        source: Source::Pip("awscli==1.46.3"),
        probe: &["{target}/venv/bin/aws", "--version"],
    },
    Component {
        name: "terraform",
        source: Source::Machine("OpenTofu or Terraform on the search path"),
        probe: &["sh", "-c", "tofu version || terraform version"],
    },
    // Google's own descriptions of its APIs.
    Component {
        name: "google-discovery",
        source: Source::Pip("google-api-python-client==2.202.0"),
        probe: &["{target}/venv/bin/python", "-c", "import googleapiclient.discovery_cache"],
    },
    // Microsoft's own clients of Resource Manager, for the services that Terraform's types are of.
    Component {
        name: "azure-mgmt",
        source: Source::Pip(
            "azure-mgmt-appcontainers==5.1.0 azure-mgmt-applicationinsights==4.1.0 azure-mgmt-authorization==4.0.0 \
             azure-mgmt-compute==39.0.0 azure-mgmt-containerregistry==15.0.0 azure-mgmt-containerservice==41.8.0 \
             azure-mgmt-cosmosdb==10.0.0 azure-mgmt-dns==9.0.0 azure-mgmt-eventhub==12.0.0 azure-mgmt-keyvault==14.1.0 \
             azure-mgmt-loganalytics==14.0.0 azure-mgmt-monitor==7.0.0 azure-mgmt-msi==7.1.0 \
             azure-mgmt-mysqlflexibleservers==1.0.0 azure-mgmt-network==33.1.0 azure-mgmt-policyinsights==1.0.1 \
             azure-mgmt-postgresqlflexibleservers==3.0.0 azure-mgmt-privatedns==2.0.0 azure-mgmt-redis==14.5.0 \
             azure-mgmt-resource==26.0.0 azure-mgmt-resource-subscriptions==1.0.0 azure-mgmt-servicebus==10.0.0 \
             azure-mgmt-sql==4.0.0 azure-mgmt-storage==25.3.0 azure-mgmt-web==11.0.1",
        ),
        probe: &["{target}/venv/bin/python", "-c", "import azure.mgmt.core, azure.mgmt.dns, azure.mgmt.web"],
    },
    Component {
        name: "namespaces",
        source: Source::Machine("root, or `sysctl kernel.unprivileged_userns_clone=1`"),
        probe: &["sh", "-c", "unshare -mn true || unshare -rmn true"],
    },
];

impl Component {
    /// Whether it is there.
    pub fn is_present(&self) -> bool {
        let (target, cache) = (target_dir(), cache_dir());
        let fill = |word: &&str| {
            word.replace("{target}", &target.to_string_lossy()).replace("{cache}", &cache.to_string_lossy())
        };
        let words: Vec<String> = self.probe.iter().map(fill).collect();
        let status = clean_command(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    /// What installs it, as one line.
    pub fn how_to_install(&self) -> String {
        match self.source {
            Source::Apt(packages) => format!("apt-get install {}", packages.join(" ")),
            Source::Pip(requirements) => {
                let quoted: Vec<String> = requirements.split(' ').map(|one| format!("'{one}'")).collect();
                format!("target/venv/bin/pip install {}", quoted.join(" "))
            }
            Source::Npm(package) => format!("npm install --prefix target/npm {package}"),
            Source::Built { script, packages, .. } => format!(
                "apt-get install {}; {script} {}",
                packages.join(" "),
                self.built().unwrap_or_default().display()
            ),
            Source::Machine(needs) => format!("needs {needs}"),
        }
    }

    /// Where it is kept, if it is one that is built.
    pub fn built(&self) -> Option<PathBuf> {
        match self.source {
            Source::Built { version, .. } => Some(cache_dir().join(format!("{}-{version}", self.name))),
            _ => None,
        }
    }

    /// The command that builds it, if it is one that is built.
    pub fn build(&self) -> Option<Command> {
        let Source::Built { script, .. } = self.source else { return None };
        let mut command = Command::new(workspace().join(script));
        command.arg(self.built()?);
        Some(command)
    }
}

/// The components of these names that are missing here.
pub fn missing(names: &[&str]) -> Vec<&'static Component> {
    let wanted = |component: &&Component| names.contains(&component.name);
    COMPONENTS.iter().filter(wanted).filter(|component| !component.is_present()).collect()
}

/// Whether a test has the components that it needs.
///
/// Where it has not, the test must not look as if it had passed: with `LINEMAN_TEST_ALL=1` this
/// panics, and otherwise it leaves a note that `cargo xtask test` shows at its end.
pub fn require(test: &str, names: &[&str]) -> bool {
    for name in names {
        assert!(COMPONENTS.iter().any(|component| component.name == *name), "no component is called {name}");
    }
    let note = notes_dir().join(test);
    // The note of an earlier run says nothing about this one.
    let _ = fs::remove_file(&note);
    let missing = missing(names);
    if missing.is_empty() {
        return true;
    }
    let lines: Vec<String> = missing
        .iter()
        .map(|component| format!("{} is missing: {}", component.name, component.how_to_install()))
        .collect();
    let text = lines.join("; ");
    assert!(std::env::var_os("LINEMAN_TEST_ALL").is_none(), "{test} could not run: {text}");
    let written = fs::create_dir_all(notes_dir()).and_then(|()| fs::write(&note, &text));
    assert!(written.is_ok(), "{test} could not run, and {} cannot be written: {text}", note.display());
    false
}

/// The tests that could not run since the notes were last cleared, each with the reason.
pub fn not_run() -> Vec<(String, String)> {
    let read = |path: &Path| Some((path.file_name()?.to_string_lossy().into_owned(), fs::read_to_string(path).ok()?));
    let mut notes: Vec<_> =
        fs::read_dir(notes_dir()).into_iter().flatten().filter_map(|entry| read(&entry.ok()?.path())).collect();
    notes.sort();
    notes
}

/// One file for each test that could not run.
pub fn notes_dir() -> PathBuf {
    target_dir().join("not-run")
}
