//! `aws/network`: the VPCs, subnets and security groups that are required exist and fit.

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;
use serde::de::DeserializeOwned;

use crate::Aws;
use crate::arn;
use crate::credentials::{Credentials, working};
use crate::query::{self, Service};
use crate::requires::Requirement;

const OTHER_VPC: &str = "Name one of that VPC, or correct `vpc`.";

/// `aws/network`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let required = cx.requiring("no network is required", Requirement::network)?;
    let credentials = working(&cx).await?;
    for (id, words) in required {
        let mut judging = Judging { cx: &cx, credentials: &credentials, words, judged: Judged::new(&cx, id) };
        judging.vpc().await?;
        judging.subnets().await?;
        judging.security_groups().await?;
        judging.judged.record();
    }
    Ok(())
}

struct Judging<'a> {
    cx: &'a Cx<Aws>,
    credentials: &'a Credentials,
    words: &'a Requirement,
    judged: Judged<'a, Aws>,
}

impl Judging<'_> {
    async fn vpc(&mut self) -> Result<(), Stop> {
        let ids: Vec<&str> = self.words.vpc.iter().map(|vpc| arn::id(vpc)).collect();
        let Some(seen) = self.look::<Vpcs>("VPC", "DescribeVpcs", "vpc-id", &ids).await? else { return Ok(()) };
        self.missing("vpc", "VPC", &ids, |id| seen.set.items.iter().any(|vpc| vpc.id == id));
        Ok(())
    }

    async fn subnets(&mut self) -> Result<(), Stop> {
        let ids: Vec<&str> = self.words.subnets.iter().flatten().map(|subnet| arn::id(subnet)).collect();
        let seen = self.look::<Subnets>("subnets", "DescribeSubnets", "subnet-id", &ids).await?;
        let Some(Subnets { set: Items { items: subnets } }) = seen else { return Ok(()) };
        self.missing("subnet", "subnet", &ids, |id| subnets.iter().any(|subnet| subnet.id == id));
        let vpc = self.words.vpc.as_deref().map(arn::id);
        let zones = self.words.zones.as_deref().unwrap_or_default();
        let lies_in = |subnet: &Subnet, zone: &String| *zone == subnet.zone || *zone == subnet.zone_id;
        let needed = self.words.free_addresses.unwrap_or(1);
        for subnet in &subnets {
            let mut lacks: Vec<(&str, String, &str)> = Vec::new();
            if let Some(vpc) = vpc.filter(|vpc| *vpc != subnet.vpc) {
                lacks.push(("other-vpc", format!("belongs to {}, not to {vpc}", subnet.vpc), OTHER_VPC));
            }
            if !zones.is_empty() && !zones.iter().any(|zone| lies_in(subnet, zone)) {
                let lack = format!("lies in {}, not in {}", subnet.zone, zones.join(" or "));
                lacks.push(("subnet-zone", lack, "Name a subnet of those zones, or correct `zones`."));
            }
            if subnet.free < needed {
                let lack = match subnet.free {
                    0 => "has no free address".to_owned(),
                    free => format!("has {free} free addresses, and {needed} are needed"),
                };
                let remedy = "Name a larger subnet, or remove network interfaces that are not used any more.";
                lacks.push(("subnet-full", lack, remedy));
            }
            self.unfit("subnet", &subnet.id, &lacks);
        }
        // What is missing was told, and would be told again as a zone without a subnet.
        if subnets.len() < ids.len() || ids.is_empty() {
            return Ok(());
        }
        for zone in zones.iter().filter(|zone| !subnets.iter().any(|subnet| lies_in(subnet, zone))) {
            let remedy = format!("Add a subnet of {zone}, or take it out of `zones`.");
            self.unfit("zone", zone, &[("zone-without-subnet", "has none of the subnets".to_owned(), &remedy)]);
        }
        Ok(())
    }

    async fn security_groups(&mut self) -> Result<(), Stop> {
        let ids: Vec<&str> = self.words.security_groups.iter().flatten().map(|group| arn::id(group)).collect();
        let seen = self.look::<Groups>("security groups", "DescribeSecurityGroups", "group-id", &ids).await?;
        let Some(Groups { set: Items { items: groups } }) = seen else { return Ok(()) };
        self.missing("security-group", "security group", &ids, |id| groups.iter().any(|group| group.id == id));
        let vpc = self.words.vpc.as_deref().map(arn::id);
        for (group, vpc) in groups.iter().filter_map(|group| Some((group, vpc.filter(|vpc| *vpc != group.vpc)?))) {
            let lack = format!("belongs to {}, not to {vpc}", group.vpc);
            self.unfit("security group", &group.id, &[("other-vpc", lack, OTHER_VPC)]);
        }
        Ok(())
    }

    /// Those of some ids that there are: a filter leaves out what is not there, where naming them
    /// would fail at the first.
    async fn look<T: DeserializeOwned>(
        &mut self,
        what: &str,
        action: &str,
        filter: &str,
        ids: &[&str],
    ) -> Result<Option<T>, Stop> {
        if ids.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = (1..=ids.len()).map(|n| format!("Filter.1.Value.{n}")).collect();
        let values = names.iter().map(String::as_str).zip(ids.iter().copied());
        let parameters: Vec<(&str, &str)> = [("Filter.1.Name", filter)].into_iter().chain(values).collect();
        let seen = query::call(self.cx, Service::Ec2, action, &parameters, Some(self.credentials)).await;
        self.judged.seen(&format!("that the {what} {} exist and fit", ids.join(", ")), &format!("ec2:{action}"), seen)
    }

    fn missing(&mut self, code: &str, kind: &str, ids: &[&str], is_there: impl Fn(&str) -> bool) {
        for id in ids.iter().filter(|id| !is_there(id)) {
            let region = &self.cx.settings().region;
            let message = format!("There is no {kind} {id} in {region}.");
            let finding = self.cx.finding(&format!("{code}-missing"), Cause::DependencyMissing, message);
            self.judged.fails(finding.subject(kind, *id));
        }
    }

    /// One finding for everything that a thing lacks, each with its code and what to do about it:
    /// they are mended together. The first gives the code.
    fn unfit(&mut self, kind: &str, id: &str, lacks: &[(&str, String, &str)]) {
        let [(code, ..), ..] = lacks else { return };
        let told: Vec<&str> = lacks.iter().map(|(_, lack, _)| lack.as_str()).collect();
        let message = format!("The {kind} {id} {}.", told.join("; it "));
        let finding = self.cx.finding(code, Cause::DependencyUnfit, message).subject(kind, id);
        self.judged.fails(lacks.iter().fold(finding, |finding, (.., remedy)| finding.remedy(*remedy)));
    }
}

/// A list as EC2 writes it: `<item>…</item>` for each.
#[derive(Deserialize)]
pub(crate) struct Items<T> {
    #[serde(rename = "item", default = "Vec::new")]
    pub(crate) items: Vec<T>,
}

impl<T> Default for Items<T> {
    fn default() -> Items<T> {
        Items { items: Vec::new() }
    }
}

#[derive(Deserialize)]
struct Vpcs {
    #[serde(rename = "vpcSet", default)]
    set: Items<Vpc>,
}

#[derive(Deserialize)]
struct Vpc {
    #[serde(rename = "vpcId")]
    id: String,
}

#[derive(Deserialize)]
struct Subnets {
    #[serde(rename = "subnetSet", default)]
    set: Items<Subnet>,
}

#[derive(Deserialize)]
struct Subnet {
    #[serde(rename = "subnetId")]
    id: String,
    #[serde(rename = "vpcId")]
    vpc: String,
    #[serde(rename = "availabilityZone")]
    zone: String,
    #[serde(rename = "availabilityZoneId", default)]
    zone_id: String,
    #[serde(rename = "availableIpAddressCount")]
    free: u64,
}

#[derive(Deserialize)]
struct Groups {
    #[serde(rename = "securityGroupInfo", default)]
    set: Items<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "groupId")]
    id: String,
    #[serde(rename = "vpcId", default)]
    vpc: String,
}
