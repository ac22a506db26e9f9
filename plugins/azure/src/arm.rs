//! Names and ids as Resource Manager has them: "Naming rules and restrictions for Azure resources".

use std::fmt;

use crate::cloud::Cloud;

/// What follows a word in the id of a resource: `…/subnets/apps` has `apps` for `subnets`.
pub(crate) fn part<'a>(id: &'a str, word: &str) -> Option<&'a str> {
    let mut segments = id.split('/').skip(1);
    while let (Some(name), Some(value)) = (segments.next(), segments.next()) {
        if name.eq_ignore_ascii_case(word) && !value.is_empty() {
            return Some(value);
        }
    }
    None
}

/// The resource group that an id or a plain name names.
pub(crate) fn group(text: &str) -> Option<&str> {
    if text.starts_with('/') { part(text, "resourceGroups") } else { Some(text) }
}

/// A virtual network: its resource group and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network<'a> {
    pub(crate) group: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> Network<'a> {
    /// The network that an id names, or in which the subnet of an id lies.
    pub(crate) fn of(id: &'a str) -> Option<Network<'a>> {
        Some(Network { group: part(id, "resourceGroups")?, name: part(id, "virtualNetworks")? })
    }

    /// Whether two are the same: nobody minds their case.
    pub(crate) fn is(&self, other: &Network<'_>) -> bool {
        self.group.eq_ignore_ascii_case(other.group) && self.name.eq_ignore_ascii_case(other.name)
    }
}

impl fmt::Display for Network<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.name)
    }
}

/// A region as Resource Manager writes it: `West Europe` is `westeurope`.
pub(crate) fn region(text: &str) -> String {
    text.replace(' ', "").to_ascii_lowercase()
}

/// Why a text cannot be a region of a cloud, if it cannot. Regions are too many and too new to list.
pub(crate) fn not_a_region(text: &str, cloud: Cloud) -> Option<String> {
    let name = region(text);
    if name.len() < 5 || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Some("it is too short for one, or does not begin with a letter".to_owned());
    }
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Some("regions of Azure have letters and digits alone, such as `westeurope`".to_owned());
    }
    let of = match name.as_str() {
        name if name.starts_with("usgov") || name.starts_with("usdod") => Cloud::UsGovernment,
        name if name.starts_with("china") => Cloud::China,
        _ => Cloud::Public,
    };
    (of != cloud).then(|| format!("it is of {}, the integration of {}", of.name(), cloud.name()))
}

/// Whether a resource group can be called so.
pub(crate) fn is_group_name(text: &str) -> bool {
    (1..=90).contains(&text.chars().count())
        && text.chars().all(|c| c.is_alphanumeric() || "_()-.".contains(c))
        && !text.ends_with('.')
}

/// Whether a virtual network or a subnet can be called so.
pub(crate) fn is_network_name(text: &str) -> bool {
    (1..=80).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// `Microsoft.Compute`, `GitHub.Network`.
pub(crate) fn is_namespace(text: &str) -> bool {
    text.contains('.') && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
}

/// A resource type, or an action of one provider, without wildcards: whether a pattern is allowed has
/// no answer.
pub(crate) fn is_type_or_action(text: &str) -> bool {
    let shaped = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '$'))
    };
    text.split_once('/').is_some_and(|(namespace, _)| is_namespace(namespace)) && text.split('/').all(shaped)
}

/// Whether something is the id of a resource, resource group, subscription or management group.
pub(crate) fn is_scope(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let below = |prefix: &str| lower.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest != "/");
    (below("/subscriptions/") || below("/providers/microsoft.management/managementgroups/"))
        && text.split('/').skip(1).all(|part| part != ".." && part != ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_apart() {
        let id = "/subscriptions/1/resourcegroups/Net/providers/Microsoft.Network/virtualNetworks/main/subnets/apps";
        assert_eq!(part(id, "subnets"), Some("apps"));
        assert_eq!(part(id, "resourceGroups"), Some("Net"));
        // A value is no word.
        assert_eq!(part("/subscriptions/subnets/resourceGroups/a", "subnets"), None);
        let network = Network::of(id).unwrap();
        assert!(
            network.is(&Network { group: "net", name: "Main" }) && !network.is(&Network { group: "net", name: "x" })
        );
        assert_eq!((group("web"), group("/subscriptions/1")), (Some("web"), None));
    }

    #[test]
    fn names_keep_to_azures_rules() {
        let regions = |text: &str, cloud: Cloud, good: bool| {
            assert_eq!(not_a_region(text, cloud).is_none(), good, "{text}");
        };
        regions("westeurope", Cloud::Public, true);
        regions("West Europe", Cloud::Public, true);
        regions("eastus2euap", Cloud::Public, true);
        regions("eu-west-1", Cloud::Public, false);
        regions("west", Cloud::Public, false);
        regions("usgovvirginia", Cloud::Public, false);
        regions("usgovvirginia", Cloud::UsGovernment, true);
        regions("westeurope", Cloud::China, false);
        assert!(is_group_name("rg-(web)_1.a") && is_group_name("größe") && !is_group_name("a/b"));
        assert!(!is_group_name("web.") && !is_group_name("") && !is_group_name(&"a".repeat(91)));
        assert!(
            is_network_name("apps_") && !is_network_name("-apps") && !is_network_name("apps-") && !is_network_name("")
        );
    }
}
