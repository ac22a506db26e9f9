//! The clouds, each with its own tenants and endpoints. Sources: "Authentication in national
//! clouds" and "National cloud deployments" of Microsoft Graph.

use lineman_sdk::Url;
use lineman_sdk::prelude::*;

use crate::Azure;

/// One of the clouds, which share nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cloud {
    /// The worldwide one.
    #[default]
    Public,
    /// Azure Government of the United States.
    UsGovernment,
    /// Azure in China, operated by 21Vianet.
    China,
}

/// What a cloud is known by.
struct Facts {
    /// The word in the configuration.
    word: &'static str,
    /// What people call it.
    name: &'static str,
    login: &'static str,
    /// What Entra calls it in its discovery documents.
    instance: &'static str,
    arm: &'static str,
    graph: &'static str,
    /// The audience that a token of another identity provider is made for.
    exchange: &'static str,
}

impl Cloud {
    const ALL: [Cloud; 3] = [Cloud::Public, Cloud::UsGovernment, Cloud::China];

    fn facts(self) -> Facts {
        match self {
            Cloud::Public => Facts {
                word: "public",
                name: "the public cloud",
                login: "https://login.microsoftonline.com",
                instance: "microsoftonline.com",
                arm: "https://management.azure.com",
                graph: "https://graph.microsoft.com",
                exchange: "api://AzureADTokenExchange",
            },
            Cloud::UsGovernment => Facts {
                word: "usgovernment",
                name: "Azure Government",
                login: "https://login.microsoftonline.us",
                instance: "microsoftonline.us",
                arm: "https://management.usgovcloudapi.net",
                graph: "https://graph.microsoft.us",
                exchange: "api://AzureADTokenExchangeUSGov",
            },
            Cloud::China => Facts {
                word: "china",
                name: "Azure in China",
                login: "https://login.partner.microsoftonline.cn",
                instance: "partner.microsoftonline.cn",
                arm: "https://management.chinacloudapi.cn",
                graph: "https://microsoftgraph.chinacloudapi.cn",
                exchange: "api://AzureADTokenExchangeChina",
            },
        }
    }

    /// The word for it in the configuration.
    pub(crate) fn word(self) -> &'static str {
        self.facts().word
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        self.facts().name
    }

    /// The audience that a token of another identity provider is made for.
    pub(crate) fn exchange(self) -> &'static str {
        self.facts().exchange
    }

    /// The cloud that Entra's discovery calls so.
    pub(crate) fn of_instance(instance: &str) -> Option<Cloud> {
        Cloud::ALL.into_iter().find(|cloud| cloud.facts().instance.eq_ignore_ascii_case(instance))
    }
}

/// An API that takes tokens of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Manager,
    Graph,
}

impl Api {
    /// What the API is asked for in the scope of a token: its own address in the cloud, wherever
    /// the connection reaches it.
    pub(crate) fn scope(self, cloud: Cloud) -> String {
        let base = match self {
            Api::Manager => cloud.facts().arm,
            Api::Graph => cloud.facts().graph,
        };
        format!("{base}/.default")
    }

    /// The address of the API.
    pub(crate) fn base(self, cx: &Cx<Azure>) -> Result<Url, Stop> {
        let facts = cx.settings().cloud.facts();
        match self {
            Api::Manager => cx.endpoint("arm", facts.arm),
            Api::Graph => cx.endpoint("graph", facts.graph),
        }
    }
}

/// The address of Entra.
pub(crate) fn login(cx: &Cx<Azure>) -> Result<Url, Stop> {
    cx.endpoint("login", cx.settings().cloud.facts().login)
}
