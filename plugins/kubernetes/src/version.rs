//! `kubernetes/api` and `kubernetes/version`: whether what answers is an API server, and whether its
//! version is one that is still mended and fits the client's.

use std::sync::LazyLock;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Timestamp};

use crate::Kubernetes;
use crate::api::{self, Status};

/// Until when each minor version is mended.
#[derive(Deserialize)]
struct Support {
    ends: std::collections::BTreeMap<String, Date>,
}

static SUPPORT: LazyLock<Option<Support>> = LazyLock::new(|| toml::from_str(include_str!("../versions.toml")).ok());

/// Major and minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// Reads `1.31`, `v1.31.2`, `v1.31.2-eks-1234`.
    pub(crate) fn read(text: &str) -> Option<Version> {
        let mut parts = text.trim().trim_start_matches('v').split('.');
        let mut number = || {
            let digits = parts.next()?;
            // Managed servers say `31+`.
            digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        Some(Version { major: number()?, minor: number()? })
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What an API server says at `/version` (`version.Info`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    major: String,
    minor: String,
    git_version: String,
}

impl Info {
    fn version(&self) -> Option<Version> {
        Version::read(&self.git_version).or_else(|| Version::read(&format!("{}.{}", self.major, self.minor)))
    }
}

/// `kubernetes/api`. Asked as nobody: a credential is for API servers alone.
pub(crate) async fn api(cx: Cx<Kubernetes>) -> Outcome {
    open_version(&cx).await.map(drop)
}

/// The version that the server tells everybody, where it does; an error where it is no API server.
pub(crate) async fn open_version(cx: &Cx<Kubernetes>) -> Result<Option<Version>, Stop> {
    let ask = async {
        let answer = api::ask(cx, "GET /version", &["version"]).await?;
        if let Ok(info) = answer.json::<Info>() {
            return Ok(info.version());
        }
        if Status::of(&answer).is_some() {
            // A `Status` is nobody else's. Refusals are for those who ask with a credential.
            return match answer.status() {
                401 | 403 => Ok(None),
                429 | 500..=599 => Err(api::refusal(&answer).into()),
                _ => Err(answer
                    .unexpected("a status, and not with its version: the path in the address is not that of an API")
                    .into()),
            };
        }
        Err(something_else(cx, &answer).into())
    };
    cx.session().version.get(Box::pin(ask)).await
}

/// What it is that answers in place of an API server.
fn something_else(cx: &Cx<Kubernetes>, answer: &Answer) -> Finding {
    let text = answer.text();
    let body = text.trim();
    let server = answer.header("server").unwrap_or_default().to_ascii_lowercase();
    let page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"))
        || body.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype"))
        || body.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("<html"));
    let what = match answer.status() {
        429 | 500..=599 => return answer.finding(),
        _ if body.contains("\"etcdserver\"") => "the version of an etcd, the store behind an API server",
        404 if body.starts_with("default backend") => "the default backend of an ingress controller",
        401 if answer.url().port() == Some(10250) => "the refusal of a kubelet, the agent of one node",
        404 if answer.url().port() == Some(10250) => "what a kubelet says, the agent of one node",
        300..=399 => "a redirect, as login pages do",
        404 if server.starts_with("nginx") => "nginx's page for what it does not have",
        _ if page => "a page for people, as login pages and portals are",
        401 | 403 => "a refusal that is not an API server's",
        _ => "something that is not the version of an API server",
    };
    let host = answer.url().host_str().unwrap_or_default();
    let port = answer.url().port_or_known_default().unwrap_or_default();
    cx.finding("not-the-api", Cause::ConfigEndpointWrong, format!("{host}:{port} answers with {what}."))
        .subject("host", host)
        .evidence(answer.evidence())
}

/// `kubernetes/version`.
pub(crate) async fn check(cx: Cx<Kubernetes>) -> Outcome {
    let open = open_version(&cx).await?;
    let version = match open {
        Some(version) => Some(version),
        // Told to those alone who are somebody.
        None => {
            let answer = api::get(&cx, "GET /version", &["version"], None, "application/json").await?;
            if answer.ok() { answer.json::<Info>()?.version() } else { None }
        }
    };
    let Some(version) = version else {
        cx.not_proved("that the version is supported", "the API server does not tell it", Some("get /version"));
        return Ok(());
    };
    too_old(&cx, version);
    skewed(&cx, version);
    Ok(())
}

fn too_old(cx: &Cx<Kubernetes>, version: Version) {
    let Some(support) = SUPPORT.as_ref() else { return };
    if let Some(least) = cx.settings().min_version.as_deref().and_then(Version::read) {
        if version < least {
            let message = format!("The cluster runs Kubernetes {version}, and the platform needs {least} or newer.");
            let finding = cx.finding("version-too-old", Cause::DependencyUnfit, message);
            cx.report(finding.pointer("/settings/min_version"));
        }
        return;
    }
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    // What is older than the list has ended, too; what is newer is not known to end.
    let oldest = support.ends.iter().filter_map(|(known, end)| Some((Version::read(known)?, *end))).min();
    let ended = match (support.ends.get(&version.to_string()), oldest) {
        (Some(end), _) => Some(*end).filter(|end| *end < today),
        (None, Some((oldest, end))) if version < oldest => Some(end),
        (None, _) => None,
    };
    if let Some(end) = ended {
        let message = format!("The cluster runs Kubernetes {version}, whose support ended by {end}.");
        cx.report(
            cx.finding("version-ended", Cause::DependencyUnfit, message)
                .severity(Severity::Warn)
                .detail("Providers of clusters may mend old versions for longer, under support of their own."),
        );
    }
}

/// kubectl and client libraries are supported one minor version around the server's.
fn skewed(cx: &Cx<Kubernetes>, server: Version) {
    let Some(client) = cx.settings().kubectl.as_deref().and_then(Version::read) else { return };
    let apart = server.minor.abs_diff(client.minor);
    if server.major != client.major || apart > 1 {
        let side = if client < server { "older" } else { "newer" };
        let message =
            format!("kubectl {client} is {apart} minor versions {side} than the cluster's {server}: one is supported.");
        cx.report(
            cx.finding("version-skew", Cause::DependencyUnfit, message)
                .severity(Severity::Warn)
                .pointer("/settings/kubectl")
                .remedy(format!("Give the platform a kubectl of version {server}, or one minor version beside it.")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_servers_and_people_write_them() {
        let check = |text: &str, expect: Option<(u32, u32)>| {
            assert_eq!(Version::read(text).map(|version| (version.major, version.minor)), expect, "{text}");
        };
        check("1.31", Some((1, 31)));
        check("v1.29.3-eks-adc7111", Some((1, 29)));
        check("1.27+", Some((1, 27)));
        check("v1.30.2+k3s1", Some((1, 30)));
        check("1", None);
        check("latest", None);
        check("v1.x", None);
    }

    #[test]
    fn the_list_of_supported_versions_can_be_read() {
        let support = SUPPORT.as_ref().unwrap();
        assert!(support.ends.len() > 10 && support.ends.keys().all(|version| Version::read(version).is_some()));
    }
}
