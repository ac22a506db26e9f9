//! Requirements that cannot be meant, or that the settings contradict: seen without asking anybody.

use lineman_sdk::Contradictions;
use lineman_sdk::prelude::*;

use super::{NETWORK, Quota, Requirement};
use crate::Settings;
use crate::arn::{self, Arn};
use crate::partition::{self, RegionName};

/// The page that says how a word's value is spelled.
fn page(word: &str) -> Option<(&'static str, &'static str)> {
    Some(match word.split('/').next().unwrap_or_default() {
        "action" => (
            "Actions, resources, and condition keys",
            "https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html",
        ),
        "resource" | "role" => {
            ("Identify AWS resources with ARNs", "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html")
        }
        "trusts" => (
            "Principals of a policy",
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
        ),
        "bucket" => {
            ("Bucket naming rules", "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html")
        }
        "region" | "zones" => {
            ("Regions and zones", "https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html")
        }
        _ => return None,
    })
}

/// Everything that is wrong with one requirement, given its place among them and its id.
pub(crate) fn of(settings: &Settings, index: usize, id: &str, requirement: &Requirement) -> Vec<Finding> {
    let found = Contradictions::new("aws/requirement-wrong", index, id, &page);
    let mut found = Found { settings, found };
    found.subjects(requirement);
    found.permission(requirement);
    found.network(requirement);
    found.role(requirement);
    found.others(requirement);
    found.found.found()
}

/// Why a text cannot be the name of a bucket of general purpose, if it cannot.
pub(crate) fn bucket_name(name: &str) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !(3..=63).contains(&name.len()) {
        return Some("it has not 3 to 63 characters");
    }
    if !name.chars().all(|c| plain(c) || c == '-' || c == '.') {
        return Some("it has other characters than lower-case letters, digits, hyphens and dots");
    }
    if !name.starts_with(plain) || !name.ends_with(plain) || name.contains("..") {
        return Some("hyphens and dots stand where they may not");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some("it looks like an address");
    }
    let starts = ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|start| name.starts_with(start));
    let ends = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|end| name.ends_with(end));
    (starts || ends).then_some("AWS keeps its beginning or end for itself")
}

struct Found<'a> {
    settings: &'a Settings,
    found: Contradictions<'a>,
}

impl Found<'_> {
    fn wrong(&mut self, word: &str, message: String, remedy: &str) {
        self.found.wrong(word, message, remedy);
    }

    fn subjects(&mut self, requirement: &Requirement) {
        let Requirement { resource, operations, zones, free_addresses, trusts, .. } = requirement;
        self.found.subjects(
            &requirement.subjects(),
            &NETWORK,
            "Say one thing: an `action`, a type of `terraform`, a `vpc`, `subnets`, a `role` and so on.",
            &[
                ("resource", resource.is_some(), &["action", "terraform"]),
                ("operations", operations.is_some(), &["terraform"]),
                ("zones", zones.is_some(), &["subnets", "instance_type"]),
                ("free_addresses", free_addresses.is_some(), &["subnets"]),
                ("trusts", trusts.is_some(), &["role"]),
            ],
        );
    }

    fn permission(&mut self, requirement: &Requirement) {
        if let Some(action) = &requirement.action
            && !is_action(action)
        {
            let message = format!("`{action}` is not an action.");
            let remedy = "Give one action, such as `s3:PutObject`: AWS's policy simulator takes no wildcards.";
            self.wrong("action", message, remedy);
        }
        let Some(resource) = requirement.resource.as_deref().filter(|resource| *resource != "*") else { return };
        match Arn::parse(resource) {
            Some(arn) => self.partition("resource", &arn),
            None => self.wrong(
                "resource",
                format!("`{resource}` is not an ARN."),
                "Give an ARN, such as `arn:aws:s3:::bucket/*`, or leave it out.",
            ),
        }
    }

    fn network(&mut self, requirement: &Requirement) {
        let Requirement { vpc, subnets, security_groups, zones, .. } = requirement;
        for (word, prefix, ids) in [
            ("vpc", "vpc-", vpc.as_slice()),
            ("subnets", "subnet-", subnets.as_deref().unwrap_or_default()),
            ("security_groups", "sg-", security_groups.as_deref().unwrap_or_default()),
        ] {
            for (n, text) in ids.iter().enumerate() {
                let word = &if word == "vpc" { word.to_owned() } else { format!("{word}/{n}") };
                if let Some(arn) = Arn::parse(text) {
                    self.partition(word, &arn);
                    self.same_region(word, text, arn.region);
                }
                if !has_id_shape(arn::id(text), prefix) {
                    let message = format!("`{text}` has not the shape of an id of its kind.");
                    self.wrong(word, message, &format!("Give an id such as `{prefix}0a1b2c3d4e5f67890`."));
                }
            }
        }
        for (n, zone) in zones.iter().flatten().enumerate() {
            let word = &format!("zones/{n}");
            // Ids of zones, such as euw1-az1, do not spell their region.
            match partition::judge(zone) {
                RegionName::Zone(of) => self.same_region(word, zone, &of),
                RegionName::Known | RegionName::Plausible => {
                    self.wrong(word, format!("`{zone}` is a region, not a zone."), "Give zones, such as `eu-west-1a`.");
                }
                RegionName::Wrong => {}
            }
        }
    }

    fn role(&mut self, requirement: &Requirement) {
        if let Some(role) = requirement.role.as_deref() {
            match Arn::parse(role) {
                Some(arn) if arn.service == "iam" && arn.resource.starts_with("role/") => {
                    self.partition("role", &arn);
                    let account = self.settings.account_id.as_deref();
                    if account.is_some_and(|own| own != arn.account) {
                        let message = format!(
                            "The role {role} is of account {}, the integration of {}.",
                            arn.account,
                            account.unwrap_or_default()
                        );
                        self.wrong(
                            "role",
                            message,
                            "Name a role of the integration's account: roles of others cannot be handed to a service.",
                        );
                    }
                }
                None if is_role_name(role) => {}
                _ => self.wrong(
                    "role",
                    format!("`{role}` is neither a role's name nor its ARN."),
                    "Give an ARN such as `arn:aws:iam::123456789012:role/NAME`.",
                ),
            }
        }
        let Some(trusted) = requirement.trusts.as_deref() else { return };
        let is_service = trusted.contains(".amazonaws.com");
        if !is_service && !arn::is_account(trusted) && Arn::parse(trusted).is_none() {
            let message = format!("`{trusted}` is neither a service nor an ARN.");
            let remedy = format!("Give a service as policies spell it, such as `{trusted}.amazonaws.com`, or an ARN.");
            self.wrong("trusts", message, &remedy);
        }
    }

    fn others(&mut self, requirement: &Requirement) {
        let Requirement { instance_type, quota, bucket, kms_key, region, .. } = requirement;
        if let Some(kind) = instance_type.as_deref()
            && !kind.split_once('.').is_some_and(|(family, size)| !family.is_empty() && !size.is_empty())
        {
            self.wrong("instance_type", format!("`{kind}` is not an instance type."), "Give one such as `m7g.large`.");
        }
        if let Some(Quota { need: Some(0), .. }) = quota {
            self.wrong("quota", "A quota is needed for nothing.".to_owned(), "Set `need` to how much will be used.");
        }
        if let Some(name) = bucket.as_deref()
            && let Some(why) = bucket_name(name)
        {
            let message = format!("`{name}` cannot be the name of a bucket: {why}.");
            self.wrong("bucket", message, "Give the bucket's name alone; no s3:// and no path.");
        }
        if let Some(arn) = kms_key.as_deref().and_then(Arn::parse) {
            self.partition("kms_key", &arn);
            self.same_region("kms_key", kms_key.as_deref().unwrap_or_default(), arn.region);
        }
        if let Some(region) = region.as_deref() {
            match partition::judge(region) {
                RegionName::Zone(of) => {
                    self.wrong("region", format!("`{region}` is a zone."), &format!("Give `{of}`."))
                }
                RegionName::Wrong => {
                    self.wrong("region", format!("`{region}` is not a region."), "Give its code, such as `eu-west-1`.");
                }
                _ if partition::of_region(region) != partition::of_region(&self.settings.region) => self.wrong(
                    "region",
                    format!("{region} is of another partition than {}.", self.settings.region),
                    "Make an integration of its own for it: credentials do not cross partitions.",
                ),
                RegionName::Known | RegionName::Plausible => {}
            }
        }
    }

    fn partition(&mut self, word: &str, arn: &Arn<'_>) {
        let own = partition::of_region(&self.settings.region).name;
        if arn.partition != own && arn.partition != "*" {
            let message = format!(
                "The ARN is of the partition `{}`, the region {} of `{own}`.",
                arn.partition, self.settings.region
            );
            self.wrong(word, message, "Use a resource and a region of the same partition.");
        }
    }

    fn same_region(&mut self, word: &str, what: &str, region: &str) {
        let own = self.settings.region.as_str();
        if region != own {
            let message = format!("{what} is of {region}, the integration of {own}.");
            self.wrong(word, message, &format!("Name one of {own}, or set `region = \"{region}\"`."));
        }
    }
}

/// `service:Action`, without wildcards.
fn is_action(text: &str) -> bool {
    let word = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    text.split_once(':').is_some_and(|(service, action)| word(service, "-") && word(action, ""))
}

fn is_role_name(text: &str) -> bool {
    let named = text.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_/-".contains(c));
    !text.is_empty() && named
}

/// Eight hexadecimal digits, as before 2018, or seventeen.
fn has_id_shape(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_settings_contradict_is_found_without_asking() {
        let settings = r#"{ "region": "eu-west-1", "account_id": "123456789012" }"#;
        let settings: Settings = serde_json::from_str(settings).unwrap();
        let check = |words: &str, expect: &[&str]| {
            let requirement: Requirement = serde_json::from_str(words).unwrap();
            let found = of(&settings, 3, "it", &requirement);
            let pointers = found.iter().map(|finding| finding.subject.as_ref().unwrap().pointer.clone().unwrap());
            let expect: Vec<String> = expect.iter().map(|word| format!("/requires/3/{word}")).collect();
            assert_eq!(pointers.collect::<Vec<_>>(), expect, "{words}: {found:?}");
        };
        for good in [
            r#"{ "action": "s3:PutObject", "resource": "arn:aws:s3:::state/*" }"#,
            r#"{ "terraform": "aws_vpc", "operations": ["create"] }"#,
            r#"{ "vpc": "vpc-0a1b2c3d", "subnets": ["subnet-0a1b2c3d4e5f67890"], "zones": ["eu-west-1a", "euw1-az2"] }"#,
            r#"{ "subnets": ["arn:aws:ec2:eu-west-1:999999999999:subnet/subnet-0a1b2c3d"], "free_addresses": 8 }"#,
            r#"{ "role": "arn:aws:iam::123456789012:role/path/worker", "trusts": "lambda.amazonaws.com" }"#,
            r#"{ "role": "worker", "trusts": "arn:aws:iam::123456789012:root" }"#,
            r#"{ "instance_type": "u-6tb1.metal", "zones": ["eu-west-1b"] }"#,
            r#"{ "quota": { "service": "vpc", "code": "L-F678F1CE" } }"#,
            r#"{ "bucket": "my.bucket-1" }"#,
            r#"{ "kms_key": "alias/state" }"#,
            r#"{ "region": "eu-central-1" }"#,
        ] {
            check(good, &[]);
        }
        check("{}", &["id"]);
        check(r#"{ "role": "worker", "bucket": "state" }"#, &["bucket"]);
        check(r#"{ "bucket": "state", "resource": "arn:aws:s3:::state", "zones": [] }"#, &["resource", "zones"]);
        check(r#"{ "action": "s3:*" }"#, &["action"]);
        check(r#"{ "action": "PutObject", "resource": "state" }"#, &["action", "resource"]);
        check(r#"{ "action": "s3:PutObject", "resource": "arn:aws-cn:s3:::state/*" }"#, &["resource"]);
        check(r#"{ "vpc": "subnet-0a1b2c3d" }"#, &["vpc"]);
        check(r#"{ "subnets": ["arn:aws:ec2:us-east-1:123456789012:subnet/subnet-0a1b2c3d"] }"#, &["subnets/0"]);
        check(r#"{ "subnets": ["subnet-0a1b2c3d"], "zones": ["us-east-1a", "eu-west-1"] }"#, &["zones/0", "zones/1"]);
        check(r#"{ "role": "arn:aws:iam::999999999999:role/worker" }"#, &["role"]);
        check(r#"{ "role": "arn:aws:iam::123456789012:user/worker", "trusts": "lambda" }"#, &["role", "trusts"]);
        check(r#"{ "instance_type": "large" }"#, &["instance_type"]);
        check(r#"{ "quota": { "service": "vpc", "code": "L-F678F1CE", "need": 0 } }"#, &["quota"]);
        check(r#"{ "kms_key": "arn:aws:kms:us-east-1:123456789012:key/1" }"#, &["kms_key"]);
        check(r#"{ "region": "eu-west-1a" }"#, &["region"]);
        check(r#"{ "region": "cn-north-1" }"#, &["region"]);
        for name in ["s3://state", "My_State", "st", "-state", "a..b", "192.168.0.1", "xn--state", "state-s3alias"] {
            check(&serde_json::json!({ "bucket": name }).to_string(), &["bucket"]);
        }
    }
}
