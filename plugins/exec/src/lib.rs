//! Lineman plugin: the checks of Nagios, Icinga and their kin.
//!
//! Whatever follows the Monitoring Plugins guidelines is a check here: a program that ends with 0
//! for OK, 1 for WARNING, 2 for CRITICAL and 3 for UNKNOWN, and writes one line, more lines, and
//! performance data. The program says how bad it is; the catalog, which knows the words of the
//! programs that everybody has, says why.
//!
//! The program gets what the settings say and nothing else: no shell, no environment but the one
//! written down, an empty directory. Secrets reach it in private files or on its standard input,
//! never in its arguments or environment, which other processes can read.
//!
//! What the program does is its own: this plugin cannot tell where it connects, nor that it only
//! reads.

#![forbid(unsafe_code)]

mod config;
mod invocation;
mod judgement;
mod perfdata;
mod placeholder;
mod said;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use lineman_sdk::prelude::*;

/// `[integration.NAME.settings]` of a check that a program makes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The program, such as `/usr/lib/nagios/plugins/check_http`; no shell reads it. It ends with
    /// 0 for OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. After `connection.timeout` it is ended, with
    /// all that it started. What it reads outside of /usr, /lib, /bin and /etc, such as `/proc`
    /// for check_procs and check_load, stands in `plugins.exec.allow_paths`.
    #[schemars(extend("format" = "path"))]
    program: String,
    /// Its arguments, one text for each: `["-H", "www.example.com", "-t", "5"]`. `{file:NAME}` is
    /// the path of a file of `files`. Other processes can read them: no secret goes here.
    #[serde(default)]
    args: Vec<String>,
    /// Its environment, beside PATH, HOME (where `files` are) and LC_ALL=C. `{file:NAME}` works
    /// here as well. Other processes can read it: no secret goes here.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Files written for it, by name, for its user alone and gone when it ends. `{secret:NAME}`
    /// is a secret of the integration. A password for check_http is
    /// `opts = "[http]\nauthorization=USER:{secret:password}\n"` with the argument
    /// `--extra-opts=http@{file:opts}`; for check_mysql it is a `.my.cnf`, and so on.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// What it reads on standard input; `{secret:NAME}` and `{file:NAME}` work here.
    stdin: Option<String>,
    /// How far up the line an OK proves: what the program looks at.
    #[serde(default)]
    level: Proves,
    /// The cause to name where the words of the output tell none, by status.
    #[serde(default)]
    causes: Causes,
}

/// What an OK of the program proves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum Proves {
    /// Something answers.
    #[default]
    Reach,
    /// The credential is accepted.
    Identity,
    /// It may do what is needed.
    Access,
    /// What else is needed is there.
    Dependency,
    /// A real operation succeeds.
    Operation,
}

impl Proves {
    fn as_str(self) -> &'static str {
        match self {
            Proves::Reach => "reach",
            Proves::Identity => "identity",
            Proves::Access => "access",
            Proves::Dependency => "dependency",
            Proves::Operation => "operation",
        }
    }
}

/// The causes of a site's own checks.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
struct Causes {
    /// For WARNING.
    warning: Option<Cause>,
    /// For CRITICAL.
    critical: Option<Cause>,
    /// For UNKNOWN.
    unknown: Option<Cause>,
}

/// Secrets of any name, which `{secret:NAME}` puts into `files` and `stdin`.
#[derive(Deserialize, JsonSchema)]
struct Secrets(BTreeMap<String, Secret>);

struct Exec;

impl Provider for Exec {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = ();

    fn about() -> About {
        About::new("exec", "Monitoring plugins", env!("CARGO_PKG_VERSION"))
            .publisher("Lineman")
            .catalog(include_str!("../catalog.toml"))
            .example(include_str!("../example.toml"))
            // What programs read is theirs to say; `allow_paths` grants it.
            .path("/")
            // Programs are heavier than calls.
            .max_parallel(32)
    }

    fn checks() -> Vec<Check<Exec>> {
        let run = |name, level, title, proves| {
            Check::new(name, level, title, move |cx| judgement::check(cx, proves)).needs(["config"])
        };
        vec![
            Check::new("config", Level::Config, "The program is there and its arguments are whole", config::check),
            run("reach", Level::Reach, "The program finds that something answers", Proves::Reach),
            run("identity", Level::Identity, "The program finds the credential accepted", Proves::Identity),
            run("access", Level::Access, "The program finds that it may do what is needed", Proves::Access),
            run("dependency", Level::Dependency, "The program finds what else is needed", Proves::Dependency),
            run("operation", Level::Operation, "The program's operation succeeds", Proves::Operation),
        ]
    }
}

/// The last part of the program's path: what people call it.
fn name(cx: &Cx<Exec>) -> &str {
    let program = &cx.settings().program;
    program.rsplit('/').next().unwrap_or(program)
}

lineman_sdk::export!(Exec);
