//! Requirements that cannot be meant, or that the settings contradict: seen without asking anybody.

use lineman_sdk::Contradictions;
use lineman_sdk::prelude::*;

use super::reference::Reference;
use super::{Quota, Requirement, Resource};
use crate::Settings;
use crate::config::{bucket_name, is_account, is_project, is_region};

/// Everything that is wrong with one requirement, given its place among them and its id.
pub(crate) fn of(settings: &Settings, index: usize, id: &str, requirement: &Requirement) -> Vec<Finding> {
    let found = Contradictions::new("gcp/requirement-wrong", index, id, &page);
    let mut found = Found { settings, id, found };
    found.subjects(requirement);
    found.permission(requirement);
    found.network(requirement);
    found.others(requirement);
    found.found.found()
}

struct Found<'a> {
    settings: &'a Settings,
    id: &'a str,
    found: Contradictions<'a>,
}

impl Found<'_> {
    fn wrong(&mut self, word: &str, message: String, remedy: &str) {
        self.found.wrong(word, message, remedy);
    }

    fn subjects(&mut self, requirement: &Requirement) {
        let Requirement { resource, operations, region, free_addresses, location, .. } = requirement;
        self.found.subjects(
            &requirement.subjects(),
            &["network", "subnetwork"],
            "Say one thing: a `permission`, a type of `terraform`, an `api`, a `network` and so on.",
            &[
                ("resource", resource.is_some(), &["permission", "terraform"]),
                ("operations", operations.is_some(), &["terraform"]),
                ("region", region.is_some(), &["subnetwork"]),
                ("free_addresses", free_addresses.is_some(), &["subnetwork"]),
                ("location", location.is_some(), &["bucket"]),
            ],
        );
    }

    fn permission(&mut self, requirement: &Requirement) {
        if let Some(permission) = requirement.permission.as_deref().filter(|text| !is_permission(text)) {
            let message = format!(
                "The requirement `{}` asks for `{permission}`, and permissions look like compute.instances.create.",
                self.id
            );
            let remedy = "Give one permission: a role holds many, and the API takes no wildcards.";
            self.wrong("permission", message, remedy);
        }
        if requirement.permission.is_none() && requirement.terraform.is_none() {
            return;
        }
        match requirement.on(self.settings) {
            Err(what) => {
                let message = format!("The requirement `{}` {what}.", self.id);
                let remedy =
                    "Write `resource = \"projects/ID\"` or `resource = \"buckets/NAME\"`, or set what is missing.";
                self.wrong("resource", message, remedy);
            }
            Ok(Resource::Bucket(_)) if requirement.terraform.is_some() => {
                let message = "What Terraform manages lies in a project, and not in a bucket.".to_owned();
                self.wrong("resource", message, "Write `resource = \"projects/ID\"`, or leave it out.");
            }
            Ok(Resource::Bucket(name)) => self.bucket("resource", &name),
            Ok(Resource::Project(id)) if requirement.resource.is_some() && !is_project(&id) => {
                let message = format!("`{id}` is not the id of a project.");
                self.wrong("resource", message, "Write the project's id: not its name.");
            }
            Ok(Resource::Project(_)) => {}
        }
    }

    fn network(&mut self, requirement: &Requirement) {
        let Requirement { network, subnetwork, region, .. } = requirement;
        let network = network.as_deref().and_then(|text| {
            let read = Reference::network(text);
            self.named("network", text, read, "`main`, `HOST_PROJECT/main` or `projects/ID/global/networks/main`");
            read
        });
        if let Some(region) = region.as_deref() {
            self.region("region", region);
        }
        let Some(text) = subnetwork.as_deref() else { return };
        let read = Reference::subnetwork(text);
        let how = "`web`, `HOST_PROJECT/web` or `projects/ID/regions/REGION/subnetworks/web`";
        self.named("subnetwork", text, read, how);
        let Some(read) = read else { return };
        match (read.region, region.as_deref(), self.settings.region.as_deref()) {
            (Some(own), Some(said), _) if own != said => {
                let message = format!("The subnetwork {} is of {own}, and `region` says {said}.", read.name);
                self.wrong("subnetwork", message, "Correct one of them, or leave `region` out.");
            }
            (Some(own), None, Some(set)) if own != set => {
                let message = format!("The subnetwork {} is of {own}, the integration of {set}.", read.name);
                self.wrong(
                    "subnetwork",
                    message,
                    &format!("Name one of {set}, or say `region = \"{own}\"` beside it."),
                );
            }
            (None, None, None) => {
                let message = format!("Nothing says in which region the subnetwork {} lies.", read.name);
                self.wrong("subnetwork", message, "Say `region` beside it, or set `region`.");
            }
            _ => {}
        }
        let own = self.settings.project_id.as_deref();
        let network_of = network.and_then(|network| network.project.or(own));
        if let Some((one, other)) = read.project.or(own).zip(network_of).filter(|(one, other)| one != other) {
            let message = format!("The subnetwork is of the project {one}, its network of {other}.");
            self.wrong("subnetwork", message, "Name both in the host project: a subnetwork lies in its network's.");
        }
    }

    fn named(&mut self, word: &str, text: &str, read: Option<Reference<'_>>, how: &str) {
        match read {
            None => {
                let message = format!("`{text}` names no {word}.");
                self.wrong(word, message, &format!("Write {how}."));
            }
            Some(Reference { project: None, .. }) if self.settings.project_id.is_none() => {
                let message = format!("Nothing says in which project the {word} {text} lies.");
                self.wrong(word, message, &format!("Set `project_id`, or write `PROJECT/{text}`."));
            }
            Some(_) => {}
        }
    }

    fn others(&mut self, requirement: &Requirement) {
        let Requirement { service_account, quota, bucket, location, .. } = requirement;
        if let Some(account) = service_account.as_deref().filter(|account| !is_account(account)) {
            let message = format!("`{account}` is not the address of a service account.");
            self.wrong("service_account", message, "Write its address: `NAME@PROJECT.iam.gserviceaccount.com`.");
        }
        if let Some(Quota { region, need, .. }) = quota {
            if *need == Some(0) {
                let message = "A quota is needed for nothing.".to_owned();
                self.wrong("quota", message, "Set `need` to how much will be used.");
            }
            if let Some(region) = region.as_deref() {
                self.region("quota/region", region);
            }
            if self.settings.project_id.is_none() {
                let message = "Nothing says which project's quota is meant.".to_owned();
                self.wrong("quota", message, "Set `project_id`.");
            }
        }
        if let Some(name) = bucket.as_deref() {
            self.bucket("bucket", name);
        }
        if let Some(location) = location.as_deref()
            && let Some(region) = zone(location)
        {
            let message = format!("`{location}` is a zone, and buckets lie in regions.");
            self.wrong("location", message, &format!("Write `location = \"{region}\"`."));
        }
    }

    fn bucket(&mut self, word: &str, name: &str) {
        if let Some(why) = bucket_name(name) {
            let message = format!("`{name}` cannot be the name of a bucket: {why}.");
            self.wrong(word, message, "Give the bucket's name alone; no gs:// and no path.");
        }
    }

    fn region(&mut self, word: &str, region: &str) {
        if is_region(region) && region.contains('-') {
            return;
        }
        let remedy = match zone(region) {
            Some(of) => format!("Write `{of}`: that is a zone."),
            None => "Write a region, such as `europe-west1`.".to_owned(),
        };
        self.wrong(word, format!("`{region}` is not a region."), &remedy);
    }
}

/// The region of a zone, where it is one: `europe-west1-b`.
pub(crate) fn zone(text: &str) -> Option<&str> {
    text.rsplit_once('-').and_then(|(region, zone)| (zone.len() == 1 && is_region(region)).then_some(region))
}

/// The page that says how a word's value is spelled.
fn page(word: &str) -> Option<(&'static str, &'static str)> {
    Some(match word {
        "permission" => ("IAM permissions reference", "https://cloud.google.com/iam/docs/permissions-reference"),
        "network" | "subnetwork" => ("Subnets", "https://cloud.google.com/vpc/docs/subnets"),
        "service_account" => ("Service accounts", "https://cloud.google.com/iam/docs/service-account-overview"),
        "region" | "quota/region" => ("Regions and zones", "https://cloud.google.com/compute/docs/regions-zones"),
        "bucket" => ("About Cloud Storage buckets", "https://cloud.google.com/storage/docs/buckets#naming"),
        "location" => ("Bucket locations", "https://cloud.google.com/storage/docs/locations"),
        _ => return None,
    })
}

/// `service.resource.verb`: the API takes no wildcards.
fn is_permission(text: &str) -> bool {
    text.split('.').count() >= 3
        && text
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(settings: &str, words: &str) -> Vec<String> {
        let settings: Settings = serde_json::from_str(settings).unwrap();
        let requirement: Requirement = serde_json::from_str(words).unwrap();
        let pointer = |finding: &Finding| finding.subject.as_ref().and_then(|subject| subject.pointer.clone());
        let findings = of(&settings, 3, "it", &requirement);
        findings.iter().map(|finding| pointer(finding).unwrap().replace("/requires/3/", "")).collect()
    }

    #[test]
    fn what_settings_contradict_is_found_without_asking() {
        let settings = r#"{ "project_id": "acme-prod", "region": "europe-west1" }"#;
        let check = |words: &str, expect: &[&str]| assert_eq!(found(settings, words), expect, "{words}");
        let link = "https://www.googleapis.com/compute/v1/projects/acme-prod";
        for good in [
            r#"{ "permission": "compute.instances.create", "resource": "projects/acme-stage" }"#,
            r#"{ "terraform": "google_compute_network", "operations": ["create"], "resource": "project" }"#,
            r#"{ "api": "compute" }"#,
            r#"{ "network": "main", "subnetwork": "web", "free_addresses": 16 }"#,
            r#"{ "network": "acme-host/main", "subnetwork": "acme-host/web", "region": "us-east1" }"#,
            &format!(r#"{{ "subnetwork": "{link}/regions/europe-west1/subnetworks/web" }}"#),
            &format!(r#"{{ "subnetwork": "{link}/regions/us-east1/subnetworks/web", "region": "us-east1" }}"#),
            r#"{ "service_account": "123456789012-compute@developer.gserviceaccount.com" }"#,
            r#"{ "quota": { "metric": "CPUS", "region": "europe-west1", "need": 16 } }"#,
            r#"{ "bucket": "example.com", "location": "EU" }"#,
        ] {
            check(good, &[]);
        }
        check("{}", &["id"]);
        check(r#"{ "api": "compute", "bucket": "state" }"#, &["bucket"]);
        check(r#"{ "bucket": "state", "region": "us-east1", "operations": ["read"] }"#, &["operations", "region"]);
        check(r#"{ "permission": "roles/editor" }"#, &["permission"]);
        check(r#"{ "permission": "storage.objects.get", "resource": "bucket" }"#, &["resource"]);
        check(r#"{ "permission": "storage.objects.get", "resource": "folders/1" }"#, &["resource"]);
        check(r#"{ "permission": "storage.objects.get", "resource": "buckets/My_State" }"#, &["resource"]);
        check(r#"{ "terraform": "google_storage_bucket", "resource": "buckets/state" }"#, &["resource"]);
        check(r#"{ "terraform": "google_compute_network", "resource": "projects/Acme Prod" }"#, &["resource"]);
        check(r#"{ "network": "projects/acme-prod/regions/europe-west1/subnetworks/web" }"#, &["network"]);
        check(r#"{ "subnetwork": "10.0.0.0/24" }"#, &["subnetwork"]);
        check(r#"{ "subnetwork": "regions/us-east1/subnetworks/web" }"#, &["subnetwork"]);
        check(r#"{ "subnetwork": "regions/us-east1/subnetworks/web", "region": "us-west1" }"#, &["subnetwork"]);
        check(r#"{ "subnetwork": "web", "region": "europe-west1-b" }"#, &["region"]);
        check(r#"{ "network": "acme-host/main", "subnetwork": "web" }"#, &["subnetwork"]);
        for account in [
            "deployer",
            "deployer@acme-prod.iam",
            "Deployer@acme-prod.iam.gserviceaccount.com",
            "a@b.iam.gserviceaccount.com",
        ] {
            check(&format!(r#"{{ "service_account": "{account}" }}"#), &["service_account"]);
        }
        check(r#"{ "quota": { "metric": "CPUS", "region": "EU", "need": 0 } }"#, &["quota", "quota/region"]);
        check(r#"{ "bucket": "gs://state", "location": "europe-west1-b" }"#, &["bucket", "location"]);
        for name in ["st", "My-State", "-state", "state_", "goog-state", "my-google-state", "192.168.0.1", "a..b"] {
            check(&serde_json::json!({ "bucket": name }).to_string(), &["bucket"]);
        }
    }

    #[test]
    fn what_no_setting_says_must_be_said_beside_it() {
        let check = |words: &str, expect: &[&str]| assert_eq!(found("{}", words), expect, "{words}");
        check(r#"{ "permission": "compute.instances.create" }"#, &["resource"]);
        check(r#"{ "network": "main" }"#, &["network"]);
        check(r#"{ "subnetwork": "acme-host/web" }"#, &["subnetwork"]);
        check(r#"{ "quota": { "metric": "CPUS" } }"#, &["quota"]);
        check(r#"{ "subnetwork": "projects/acme-host/regions/us-east1/subnetworks/web" }"#, &[]);
    }
}
