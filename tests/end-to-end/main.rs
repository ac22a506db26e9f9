//! End-to-end tests: planted faults on real servers.
//!
//! `rows/*.toml` are tables of faults. Each row is a healthy integration with one thing wrong,
//! and says what Lineman must make of it: the first cause, the check, the level, the exit code.
//! The healthy integration is the row's twin and must pass, so that no row can be right by
//! blaming everything.
//!
//! Every table is run three times. In [`clients`] the system's own client does what the
//! integration is for: it must fail with the words that the row gives, which proves that the fault
//! is real. In [`findings`] an installed Lineman must name it. In [`catalogs`] Lineman runs with
//! the plugins' catalogs emptied, and must miss the rows that say so.

mod assertions;
mod bench;
mod canary;
mod command_line;
mod compatibility;
mod confinement;
mod conformance;
mod containment;
mod documents;
mod doors;
mod forges;
mod guard;
mod history;
mod install;
mod isolation;
mod logs;
mod policy;
mod requires;
mod stage;
mod story;
mod trust;
mod vendor;

use stage::Stage;

/// Declares the tests of one table: the table's file, and what its servers need.
macro_rules! tables {
    ($($name:ident: $file:literal, $start:path, $needs:expr;)*) => {
        /// The system's own clients agree with the tables.
        mod clients {
            $(#[test]
            fn $name() {
                crate::stage::play(concat!("clients-", stringify!($name)), $needs, $start, include_str!($file), crate::Stage::client_agrees);
            })*
        }

        /// What rests on the plugins' catalogs is missed without them, and nothing else is.
        mod catalogs {
            $(#[test]
            fn $name() {
                crate::stage::play(concat!("catalogs-", stringify!($name)), $needs, $start, include_str!($file), crate::Stage::catalog_matters);
            })*
        }

        /// Lineman names every planted fault, and nothing in a healthy integration.
        mod findings {
            $(#[test]
            fn $name() {
                crate::stage::play(concat!("findings-", stringify!($name)), $needs, $start, include_str!($file), crate::Stage::lineman_agrees);
            })*
        }
    };
}

tables! {
    git_over_ssh: "rows/git-ssh.toml", crate::Stage::ssh, &["git", "ssh", "sshd", "gitolite"];
    git_over_https: "rows/git-https.toml", crate::Stage::https, &["git", "nginx", "fcgiwrap"];
    proxies: "rows/proxies.toml", crate::Stage::proxies, &["git", "nginx", "fcgiwrap", "tinyproxy", "squid", "moto"];
    names_and_routes: "rows/names-and-routes.toml", crate::Stage::networks,
        &["git", "nginx", "fcgiwrap", "unbound", "ip", "namespaces", "monitoring-plugins"];
    http: "rows/http.toml", crate::Stage::apis,
        &["git", "nginx", "fcgiwrap", "tinyproxy", "squid", "curl", "apache", "haproxy", "node", "oidc-provider"];
    github: "rows/github.toml", crate::Stage::github, &["curl", "openssl", "tinyproxy", "squid"];
    gcp: "rows/gcp.toml", crate::Stage::gcp, &["curl", "openssl", "tinyproxy", "squid"];
    gcp_requirements: "rows/gcp-requires.toml", crate::Stage::gcp, &["curl", "openssl", "tinyproxy", "squid"];
    azure: "rows/azure.toml", crate::Stage::azure, &["curl", "openssl", "tinyproxy", "squid"];
    azure_requirements: "rows/azure-requires.toml", crate::Stage::azure, &["curl", "openssl", "tinyproxy", "squid"];
    gitlab: "rows/gitlab.toml", crate::Stage::gitlab, &["curl", "tinyproxy", "squid"];
    kubernetes: "rows/kubernetes.toml", crate::Stage::kubernetes,
        &["git", "nginx", "fcgiwrap", "tinyproxy", "squid", "haproxy", "openssl", "etcd", "kubernetes"];
    monitoring_plugins: "rows/exec.toml", crate::Stage::exec,
        &["git", "ssh", "sshd", "gitolite", "nginx", "fcgiwrap", "monitoring-plugins"];
    aws: "rows/aws.toml", crate::Stage::aws, &["git", "nginx", "fcgiwrap", "moto", "faketime"];
    aws_requirements: "rows/aws-requires.toml", crate::Stage::aws_requirements, &["moto"];
}
