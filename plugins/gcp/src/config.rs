//! `gcp/config`: what can be known of the credential and the settings without asking anybody.

use lineman_sdk::prelude::*;

use crate::credential::{Credential, EXTERNAL, KEY, is_googles};
use crate::requires::contradictions::{self, zone};
use crate::{Gcp, Settings};

/// Reports everything that is wrong at once: each takes a change of the configuration.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    let settings = cx.settings();
    match Credential::read(cx.secrets()) {
        Ok(credential) => universe(&cx, &credential),
        Err(wrong) => cx.report(wrong.finding()),
    }
    names(settings).into_iter().for_each(|fault| cx.report(fault));
    let requires = cx.requires().iter().enumerate();
    let contradictions = requires.flat_map(|(index, one)| contradictions::of(settings, index, &one.id, &one.words));
    contradictions.for_each(|fault| cx.report(fault));
    Ok(())
}

fn fault(code: &str, pointer: &str, message: impl Into<String>) -> Finding {
    Finding::new(format!("gcp/{code}"), Cause::ConfigInvalid, message).pointer(pointer)
}

/// Whether the credential is one of the universe that the settings name, and sends its secrets
/// nowhere else.
fn universe(cx: &Cx<Gcp>, credential: &Credential) {
    let universe = &cx.settings().universe_domain;
    if let Some(made) = credential.universe().filter(|made| made != universe) {
        let message = format!("The credential is one of the universe {made}, and the setting says {universe}.");
        cx.report(
            fault("universe-wrong", "/settings/universe_domain", message)
                .remedy(format!("Set `universe_domain = \"{made}\"`, or store a credential of {universe}.")),
        );
        return;
    }
    for (field, address) in credential.addresses() {
        if !is_googles(address, universe) {
            let secret = if field == "token_uri" { KEY } else { EXTERNAL };
            let message = format!("The credential's `{field}` is no address of Google's.");
            cx.report(
                Finding::new("gcp/foreign-address", Cause::ConfigEndpointWrong, message)
                    .pointer(format!("/secrets/{secret}"))
                    .detail("A client that trusts it sends what proves its identity there; Lineman does not."),
            );
        }
    }
}

fn names(settings: &Settings) -> Vec<Finding> {
    let mut faults = Vec::new();
    for (key, project) in [("project_id", &settings.project_id), ("quota_project", &settings.quota_project)] {
        if let Some(project) = project.as_deref().filter(|project| !is_project(project)) {
            let message = format!("`{project}` is not the id of a project.");
            faults.push(fault("project-name", &format!("/settings/{key}"), message));
        }
    }
    for (key, account) in [("service_account", &settings.service_account), ("impersonate", &settings.impersonate)] {
        if let Some(account) = account.as_deref().filter(|account| !is_account(account)) {
            let message = format!("`{account}` is not the address of a service account.");
            faults.push(fault("account-name", &format!("/settings/{key}"), message));
        }
    }
    if let Some((bucket, why)) = settings.state_bucket.as_deref().and_then(|name| Some((name, bucket_name(name)?))) {
        let name = bucket.trim_start_matches("gs://").split('/').next().unwrap_or_default();
        let remedy = match bucket_name(name) {
            None => format!("Write `state_bucket = \"{name}\"`."),
            Some(_) => "Write the bucket's name alone.".to_owned(),
        };
        let message = format!("`{bucket}` cannot be the name of a bucket: {why}.");
        faults.push(fault("bucket-name", "/settings/state_bucket", message).remedy(remedy));
    }
    if let Some(region) = settings.region.as_deref().filter(|region| !is_region(region)) {
        let message = format!("`{region}` is not a region.");
        let remedy = match zone(region) {
            Some(region) => format!("Write `region = \"{region}\"`: that is a zone."),
            None => "Write a region, such as `europe-west1`.".to_owned(),
        };
        faults.push(fault("region-name", "/settings/region", message).remedy(remedy));
    }
    let universe = &settings.universe_domain;
    let domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    if !universe.contains('.') || !universe.bytes().all(domain) || universe.starts_with('.') {
        let message = format!("`{universe}` is not the domain of a universe.");
        faults.push(fault("universe-name", "/settings/universe_domain", message));
    }
    faults
}

/// An id of 6 to 30 characters, below a domain for old projects of an organisation, or a number.
pub(crate) fn is_project(text: &str) -> bool {
    let id = text.rsplit_once(':').map_or(text, |(_, id)| id);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    number
        || ((6..=30).contains(&id.len())
            && id.bytes().all(plain)
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && !id.ends_with('-'))
}

/// `NAME@PROJECT.iam.gserviceaccount.com`, and those that Google makes: below a domain, the project
/// of an organisation comes first.
pub(crate) fn is_account(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    text.split_once('@').is_some_and(|(name, domain)| {
        let project = domain.strip_suffix(".iam.gserviceaccount.com");
        let project = project.is_none_or(|below| is_project(below.split('.').next().unwrap_or_default()));
        !name.is_empty()
            && name.chars().all(plain)
            && domain.chars().all(plain)
            && domain.ends_with("gserviceaccount.com")
            && project
    })
}

/// Why a text cannot be the name of a bucket, if it cannot.
pub(crate) fn bucket_name(name: &str) -> Option<&'static str> {
    let ends = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    if !bytes.iter().all(|byte| ends(*byte) || b"-_.".contains(byte)) {
        return Some("it has other characters than lower-case letters, digits, hyphens, underscores and dots");
    }
    let longest = if name.contains('.') { 222 } else { 63 };
    if !(3..=longest).contains(&name.len()) || name.split('.').any(|part| part.is_empty() || part.len() > 63) {
        return Some("it is too short or too long, or has a part that is");
    }
    if ![bytes.first(), bytes.last()].into_iter().flatten().all(|byte| ends(*byte)) {
        return Some("it begins or ends with something else than a letter or a digit");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some("it looks like an address");
    }
    (name.starts_with("goog") || name.contains("google")).then_some("Google keeps `goog` and `google` for itself")
}

/// `europe-west1`, and the multi-regions.
pub(crate) fn is_region(text: &str) -> bool {
    let region = text.split_once('-').is_some_and(|(area, rest)| {
        let letters = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
        let name = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        letters(area) && letters(name) && name.len() < rest.len()
    });
    region || matches!(text, "us" | "eu" | "asia" | "global")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_meant_are_found() {
        let check = |json: &str, expect: &[&str]| {
            let settings: Settings = serde_json::from_str(json).unwrap();
            let found: Vec<String> = names(&settings)
                .iter()
                .map(|finding| format!("{} {}", finding.code, finding.remedies.first().map_or("", |it| &it.text)))
                .map(|told| told.trim_end().to_owned())
                .collect();
            assert_eq!(found, expect, "{json}");
        };
        check(r#"{"project_id": "acme-prod", "quota_project": "123456789012", "region": "europe-west1"}"#, &[]);
        check(r#"{"project_id": "example.com:acme-prod", "state_bucket": "acme-state", "region": "eu"}"#, &[]);
        check(r#"{"project_id": "Acme Prod"}"#, &["gcp/project-name"]);
        check(r#"{"project_id": "projects/acme-prod"}"#, &["gcp/project-name"]);
        check(r#"{"impersonate": "deployer"}"#, &["gcp/account-name"]);
        check(
            r#"{"state_bucket": "gs://acme-state/prefix"}"#,
            &["gcp/bucket-name Write `state_bucket = \"acme-state\"`."],
        );
        check(
            r#"{"region": "europe-west1-b"}"#,
            &["gcp/region-name Write `region = \"europe-west1\"`: that is a zone."],
        );
        check(r#"{"universe_domain": "https://googleapis.com"}"#, &["gcp/universe-name"]);
    }
}
