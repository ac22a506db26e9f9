//! `azure/network`: the virtual networks and subnets that are required exist and fit.

use lineman_sdk::prelude::*;

use crate::arm::{self, Network};
use crate::requires::{self, Judged, Requirement};
use crate::{Azure, api};

pub(crate) const OPERATION: &str =
    "GET {resourceGroup}/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}";
pub(crate) const PERMISSION: &str = "Microsoft.Network/virtualNetworks/read";
pub(crate) const USAGES: &str =
    "GET {resourceGroup}/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}/usages";
pub(crate) const USAGES_PERMISSION: &str = "Microsoft.Network/virtualNetworks/usages/read";
const VERSION: (&str, &str) = ("api-version", "2024-05-01");

/// `azure/network`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let required = cx.requiring("no network is required", |words| Some((words, words.networks()?)))?;
    let subscription = requires::subscription(&cx)?;
    for (id, (words, networks)) in required {
        let mut judging = Judging { cx: &cx, subscription, words, judged: Judged::new(&cx, id) };
        for (network, subnets) in networks {
            judging.network(&network, &subnets).await?;
        }
        judging.judged.record();
    }
    Ok(())
}

struct Judging<'a> {
    cx: &'a Cx<Azure>,
    subscription: &'a str,
    words: &'a Requirement,
    judged: Judged<'a>,
}

impl Judging<'_> {
    async fn network(&mut self, network: &Network<'_>, required: &[&str]) -> Result<(), Stop> {
        let Network { group, name } = network;
        let path = format!(
            "/subscriptions/{}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{name}",
            self.subscription
        );
        let seen = api::find::<Shown>(self.cx, OPERATION, &path, &[VERSION]).await;
        let what = format!("that the virtual network {network} exists and fits");
        let Some(seen) = self.judged.seen(&what, PERMISSION, seen)? else { return Ok(()) };
        let Some(shown) = seen else {
            let message = format!("There is no virtual network {name} in the resource group {group}.");
            self.missing("vnet-missing", "virtual network", &path, message);
            return Ok(());
        };
        let mut lacks = Vec::new();
        let lies_in = arm::region(&shown.location);
        if let Some(region) = self.words.region.as_deref().map(arm::region).filter(|region| *region != lies_in) {
            let remedy =
                "Name a network of that region, or correct `region`: machines and their network are in one region.";
            lacks.push(("vnet-region", format!("lies in {lies_in}, not in {region}"), remedy.to_owned()));
        }
        lacks.extend(shown.properties.going());
        self.unfit("virtual network", &path, &network.to_string(), lacks);
        if required.is_empty() {
            return Ok(());
        }
        let usages = api::list::<Usage>(self.cx, USAGES, &format!("{path}/usages"), &[VERSION]).await;
        let what = format!("how many addresses are free in {network}");
        let usages = self.judged.seen(&what, USAGES_PERMISSION, usages)?;
        for wanted in required {
            let id = format!("{path}/subnets/{wanted}");
            match shown.properties.subnets.iter().find(|subnet| subnet.name.eq_ignore_ascii_case(wanted)) {
                Some(subnet) => self.subnet(&id, subnet, usages.as_deref()),
                None => {
                    let message = format!("There is no subnet {wanted} in the virtual network {network}.");
                    self.missing("subnet-missing", "subnet", &id, message);
                }
            }
        }
        Ok(())
    }

    fn subnet(&mut self, id: &str, subnet: &Subnet, usages: Option<&[Usage]>) {
        let mut lacks = Vec::new();
        let properties = &subnet.properties;
        if let Some(service) = self.words.delegation.as_deref() {
            let to: Vec<&str> = properties.delegations.iter().map(|it| it.properties.service_name.as_str()).collect();
            if !to.iter().any(|own| own.eq_ignore_ascii_case(service)) {
                let lack = match to.as_slice() {
                    [] => format!("is delegated to no service, and {service} is needed"),
                    others => format!("is delegated to {}, not to {service}", others.join(" and ")),
                };
                let remedy = format!("Delegate a subnet that nothing else is in to {service}, or name another.");
                lacks.push(("subnet-delegation", lack, remedy));
            }
        }
        lacks.extend(properties.going());
        let needed = f64::from(self.words.free_addresses.unwrap_or(1));
        let room = |usage: &&Usage| usage.id.eq_ignore_ascii_case(id) && usage.limit >= 0.0;
        match usages.map(|usages| usages.iter().find(room)) {
            // That nobody may look was told.
            None => {}
            Some(None) => {
                let why = "Azure does not count the addresses of this subnet";
                self.judged.unproved(format!("that the subnet {} has free addresses", subnet.name), why, None);
            }
            Some(Some(Usage { current_value: used, limit, .. })) if limit - used < needed => {
                let lack = match limit - used {
                    free if free < 1.0 => format!("has no free address of {limit}"),
                    free => format!("has {free} free addresses of {limit}, and {needed} are needed"),
                };
                let remedy = "Name a larger subnet, or remove network interfaces that are not used any more.";
                lacks.push(("subnet-full", lack, remedy.to_owned()));
            }
            Some(Some(_)) => {}
        }
        self.unfit("subnet", id, &subnet.name, lacks);
    }

    fn missing(&mut self, code: &str, kind: &str, id: &str, message: String) {
        self.judged.fails(self.cx.finding(code, Cause::DependencyMissing, message).subject(kind, id));
    }

    /// One finding for everything that a thing lacks, each with its code and what to do about it:
    /// they are mended together. The first gives the code.
    fn unfit(&mut self, kind: &str, id: &str, name: &str, lacks: Vec<Lack>) {
        let Some((code, ..)) = lacks.first() else { return };
        let told: Vec<&str> = lacks.iter().map(|(_, lack, _)| lack.as_str()).collect();
        let message = format!("The {kind} {name} {}.", told.join("; it "));
        let finding = self.cx.finding(code, Cause::DependencyUnfit, message).subject(kind, id);
        self.judged.fails(lacks.into_iter().fold(finding, |finding, (.., remedy)| finding.remedy(remedy)));
    }
}

/// What a thing lacks: the code, the predicate of a sentence, and what to do about it.
type Lack = (&'static str, String, String);

/// A virtual network, as Resource Manager shows it.
#[derive(Deserialize)]
struct Shown {
    location: String,
    #[serde(default)]
    properties: Properties,
}

/// What is told of a network or a subnet.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    provisioning_state: String,
    subnets: Vec<Subnet>,
    delegations: Vec<Delegation>,
}

impl Properties {
    /// That it is going away.
    fn going(&self) -> Option<Lack> {
        self.provisioning_state.eq_ignore_ascii_case("Deleting").then(|| {
            ("network-being-deleted", "is being deleted".to_owned(), "Use another, or create it again.".to_owned())
        })
    }
}

#[derive(Deserialize)]
struct Subnet {
    name: String,
    #[serde(default)]
    properties: Properties,
}

#[derive(Deserialize)]
struct Delegation {
    #[serde(default)]
    properties: DelegationProperties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DelegationProperties {
    service_name: String,
}

/// How many addresses of a subnet are in use; both are -1 where they are not counted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    id: String,
    current_value: f64,
    limit: f64,
}
