//! `gcp/network`: the networks and subnetworks that are required exist, fit, and may be used.

use lineman_sdk::Judged;
use lineman_sdk::prelude::*;
use serde_json::json;

use crate::api::{Call, Seen, Service};
use crate::permissions::Granted;
use crate::requires::Requirement;
use crate::requires::reference::Reference;
use crate::token::{Token, working};
use crate::{Gcp, role};

/// What it takes to put a machine into a subnetwork.
const USE: &str = "compute.subnetworks.use";

/// `gcp/network`.
pub(crate) async fn check(cx: Cx<Gcp>) -> Outcome {
    let required = cx.requiring("no network is required", Requirement::network)?;
    let token = working(&cx).await?;
    for (id, words) in required {
        let mut judging = Judging { cx: &cx, token: &token, words, judged: Judged::new(&cx, id) };
        let network = judging.network().await?;
        judging.subnetwork(network.as_ref()).await?;
        judging.judged.record();
    }
    Ok(())
}

struct Judging<'a> {
    cx: &'a Cx<Gcp>,
    token: &'a Token,
    words: &'a Requirement,
    judged: Judged<'a, Gcp>,
}

impl<'a> Judging<'a> {
    /// The network, where it is there and may be seen.
    async fn network(&mut self) -> Result<Option<Network>, Stop> {
        let Some((project, Reference { name, .. })) = self.place(self.words.network.as_deref(), Reference::network)
        else {
            return Ok(None);
        };
        let path = ["compute", "v1", "projects", project, "global", "networks", name];
        let call = Call::new(Service::Compute, "compute.networks.get", &path);
        let seen = call.look(self.cx, &self.token.secret, "compute.networks.get").await?;
        let message = format!("There is no network {name} in the project {project}.");
        let what = format!("that the network {name} of {project} exists");
        Ok(self.there(seen, "network", name, &message, &what))
    }

    async fn subnetwork(&mut self, network: Option<&Network>) -> Result<(), Stop> {
        let Some((project, Reference { name, region, .. })) =
            self.place(self.words.subnetwork.as_deref(), Reference::subnetwork)
        else {
            return Ok(());
        };
        let said = region.or(self.words.region.as_deref()).or(self.cx.settings().region.as_deref());
        let Some(region) = said else { return Ok(()) };
        let path = ["compute", "v1", "projects", project, "regions", region, "subnetworks", name];
        let call = Call::new(Service::Compute, "compute.subnetworks.get", &path);
        let call = match self.words.free_addresses {
            Some(_) => call.query([("views", "WITH_UTILIZATION")]),
            None => call,
        };
        let seen = call.look(self.cx, &self.token.secret, "compute.subnetworks.get").await?;
        if let (Seen::Missing(_), Some(other)) = (&seen, network.and_then(|network| network.region_of(name))) {
            let lack = format!("lies in {other}, not in {region}");
            let remedy = format!("Name a subnetwork of {region}, or correct the region.");
            self.unfit(name, &[("subnetwork-region", lack, &remedy)]);
            return Ok(());
        }
        let message = format!("There is no subnetwork {name} in {region} of the project {project}.");
        let what = format!("that the subnetwork {name} in {region} of {project} exists and fits");
        let missing = matches!(seen, Seen::Missing(_));
        if let Some(subnetwork) = self.there(seen, "subnetwork", name, &message, &what) {
            self.fits(name, &subnetwork);
        }
        if missing { Ok(()) } else { self.usable(project, region, name).await }
    }

    /// Whether a subnetwork is what is wanted of it.
    fn fits(&mut self, name: &str, subnetwork: &Subnetwork) {
        let mut lacks = Vec::new();
        let wanted = self.place(self.words.network.as_deref(), Reference::network);
        let actual = Reference::network(&subnetwork.network);
        if let Some(((project, wanted), actual)) = wanted.zip(actual)
            && !(Reference { project: Some(project), ..wanted }).agrees(&actual)
        {
            let lack = format!("belongs to the network {}, not to {}", actual.name, wanted.name);
            lacks.push(("other-network", lack, "Name a subnetwork of that network, or correct `network`."));
        }
        if let Some(needed) = self.words.free_addresses {
            match subnetwork.free() {
                Some(free) if free < needed => {
                    let lack = match free {
                        0 => "has no free address".to_owned(),
                        1 => format!("has one free address, and {needed} are needed"),
                        free => format!("has {free} free addresses, and {needed} are needed"),
                    };
                    let remedy =
                        "Expand its range, name a larger one, or release addresses that are not used any more.";
                    lacks.push(("subnetwork-full", lack, remedy));
                }
                Some(_) => {}
                None => {
                    let what = format!("how many addresses of the subnetwork {name} are free");
                    self.judged.unproved(what, "Google does not tell", None);
                }
            }
        }
        self.unfit(name, &lacks);
    }

    /// Whether machines may be put into it: in a shared network, that is granted on the subnetwork
    /// itself, and the question takes no permission.
    async fn usable(&mut self, project: &str, region: &str, name: &str) -> Result<(), Stop> {
        let path = ["compute", "v1", "projects", project, "regions", region, "subnetworks", name, "testIamPermissions"];
        let call = Call::new(Service::Compute, "compute.subnetworks.testIamPermissions", &path);
        let call = call.body(json!({ "permissions": [USE] }));
        let granted: Granted = match call.look(self.cx, &self.token.secret, USE).await? {
            Seen::There(granted) => granted,
            Seen::Missing(_) => return Ok(()),
            Seen::Hidden(why, needs) => {
                self.judged.unproved(format!("that the subnetwork {name} may be used"), why, Some(&needs));
                return Ok(());
            }
        };
        if granted.permissions.iter().any(|permission| permission == USE) {
            return Ok(());
        }
        let who = self.token.account.as_deref().unwrap_or("The credential");
        let message = format!("{who} may not use the subnetwork {name}: it lacks {USE} there.");
        let argv = ["gcloud", "compute", "networks", "subnets", "add-iam-policy-binding", name].map(str::to_owned);
        let place = ["--project", project, "--region", region].map(str::to_owned);
        let words = place.into_iter().chain(role::to(self.token, "roles/compute.networkUser"));
        let remedy = Remedy {
            argv: argv.into_iter().chain(words).collect(),
            who: Some(format!("administrator of the project {project}")),
            ..Remedy::new("Grant the role Compute Network User on the subnetwork.")
        };
        let finding = self.cx.finding("subnetwork-not-usable", Cause::PermissionInsufficient, message);
        let mut finding = finding.subject("permission", USE);
        finding.remedies.push(remedy);
        self.judged.fails(finding);
        Ok(())
    }

    /// What a word names, with the project that it lies in.
    fn place(
        &self,
        text: Option<&'a str>,
        read: impl Fn(&'a str) -> Option<Reference<'a>>,
    ) -> Option<(&'a str, Reference<'a>)> {
        let reference = read(text?)?;
        Some((reference.project.or(self.cx.settings().project_id.as_deref())?, reference))
    }

    /// A thing that was looked for, where it was seen; that it was not is told.
    fn there<T>(&mut self, seen: Seen<T>, kind: &str, name: &str, message: &str, what: &str) -> Option<T> {
        match seen {
            Seen::There(thing) => return Some(thing),
            Seen::Missing(refusal) => {
                let finding = self.cx.finding(&format!("{kind}-missing"), Cause::DependencyMissing, message);
                self.judged.fails(Finding { evidence: refusal.evidence, ..finding.subject(kind, name) });
            }
            Seen::Hidden(why, needs) => self.judged.unproved(what, why, Some(&needs)),
        }
        None
    }

    /// One finding for everything that a subnetwork lacks, each with its code and what to do about
    /// it: they are mended together. The first gives the code.
    fn unfit(&mut self, name: &str, lacks: &[(&str, String, &str)]) {
        let [(code, ..), ..] = lacks else { return };
        let told: Vec<&str> = lacks.iter().map(|(_, lack, _)| lack.as_str()).collect();
        let message = format!("The subnetwork {name} {}.", told.join("; it "));
        let finding = self.cx.finding(code, Cause::DependencyUnfit, message).subject("subnetwork", name);
        self.judged.fails(lacks.iter().fold(finding, |finding, (.., remedy)| finding.remedy(*remedy)));
    }
}

#[derive(Deserialize)]
struct Network {
    /// The addresses of its subnetworks.
    #[serde(default)]
    subnetworks: Vec<String>,
}

impl Network {
    /// Where its subnetwork of a name lies, where there is one.
    fn region_of(&self, name: &str) -> Option<&str> {
        let mut own = self.subnetworks.iter().filter_map(|link| Reference::subnetwork(link));
        own.find(|own| own.name == name).and_then(|own| own.region)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subnetwork {
    /// The address of its network.
    #[serde(default)]
    network: String,
    #[serde(default)]
    utilization_details: Utilization,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Utilization {
    #[serde(default)]
    ipv4_utilizations: Vec<Range>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    /// Empty for the primary one.
    #[serde(default)]
    range_name: String,
    /// A number, as text.
    total_free_ip: String,
}

impl Subnetwork {
    /// How many addresses of its primary range are free, where that is told.
    fn free(&self) -> Option<u64> {
        let primary = self.utilization_details.ipv4_utilizations.iter().find(|range| range.range_name.is_empty());
        primary?.total_free_ip.parse().ok()
    }
}
