//! The words of `[[integration.NAME.requires]]`, read in one place.

use std::fmt;

use lineman_sdk::Required;
use lineman_sdk::prelude::*;

use crate::Settings;

/// An entry of `[[integration.NAME.requires]]` of an Azure integration: one of `action`, `data_action` and `resource_provider`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    /// An action of Resource Manager, such as `Microsoft.Compute/virtualMachines/write`.
    #[schemars(example = "Microsoft.Compute/virtualMachines/write")]
    action: Option<String>,
    /// An action on data, such as `Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write`.
    data_action: Option<String>,
    /// A resource provider that must be registered, such as `Microsoft.ContainerService`.
    resource_provider: Option<String>,
    /// Where an action is meant: the id of a resource, resource group, subscription or management
    /// group; the subscription of the settings, unless set.
    scope: Option<String>,
}

/// Which of a role's lists an action stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plane {
    /// `actions`: on resources.
    Control,
    /// `dataActions`: on what they hold.
    Data,
}

/// What a requirement asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// An action at a scope.
    Action { plane: Plane, action: String, scope: String },
    /// A registered resource provider.
    Provider(String),
}

impl Wish {
    /// Reads the words of a requirement.
    ///
    /// # Errors
    ///
    /// What is wrong with them, as a sentence.
    pub(crate) fn read(requirement: &Required<Requirement>, settings: &Settings) -> Result<Wish, String> {
        let Required { id, words } = requirement;
        let words = words.clone();
        let (plane, action) = match (words.action, words.data_action, words.resource_provider) {
            (Some(action), None, None) => (Plane::Control, action),
            (None, Some(action), None) => (Plane::Data, action),
            (None, None, Some(namespace)) => {
                if words.scope.is_some() {
                    return Err(format!(
                        "The requirement `{id}` has a `scope`; providers are registered in the subscription."
                    ));
                }
                if settings.subscription_id.is_none() {
                    return Err(format!(
                        "The requirement `{id}` is about a subscription, and no `subscription_id` is set."
                    ));
                }
                return match is_namespace(&namespace) {
                    true => Ok(Wish::Provider(namespace)),
                    false => Err(format!("The requirement `{id}` names no resource provider: `{namespace}`.")),
                };
            }
            _ => {
                return Err(format!(
                    "The requirement `{id}` needs one of `action`, `data_action` and `resource_provider`."
                ));
            }
        };
        if !is_action(&action) {
            return Err(format!("The requirement `{id}` names no single action: `{action}`."));
        }
        let scope = match (words.scope, &settings.subscription_id) {
            (Some(scope), _) if is_scope(&scope) => scope.trim_end_matches('/').to_owned(),
            (Some(scope), _) => return Err(format!("The requirement `{id}` names no scope: `{scope}`.")),
            (None, Some(subscription)) => format!("/subscriptions/{subscription}"),
            (None, None) => {
                return Err(format!("The requirement `{id}` has no `scope`, and no `subscription_id` is set."));
            }
        };
        Ok(Wish::Action { plane, action, scope })
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Action { action, scope, .. } => write!(f, "{action} in {scope}"),
            Wish::Provider(namespace) => write!(f, "the resource provider {namespace}"),
        }
    }
}

/// `Microsoft.Compute`, `GitHub.Network`.
fn is_namespace(text: &str) -> bool {
    text.contains('.') && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
}

/// An action of one provider, without wildcards: whether a pattern is allowed has no answer.
fn is_action(text: &str) -> bool {
    let shaped = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '$'))
    };
    text.split_once('/').is_some_and(|(namespace, _)| is_namespace(namespace)) && text.split('/').all(shaped)
}

fn is_scope(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let below = |prefix: &str| lower.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest != "/");
    (below("/subscriptions/") || below("/providers/microsoft.management/managementgroups/"))
        && text.split('/').skip(1).all(|part| part != ".." && part != ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_in_the_plugins_words() {
        let check = |json: &str, subscription: Option<&str>, expect: Result<&str, &str>| {
            let settings = Settings {
                tenant_id: String::new(),
                client_id: String::new(),
                subscription_id: subscription.map(str::to_owned),
                cloud: Default::default(),
            };
            let requirement = Required { id: "r".to_owned(), words: serde_json::from_str(json).unwrap() };
            let read = Wish::read(&requirement, &settings).map(|wish| wish.to_string());
            assert_eq!(read.as_deref().map_err(String::as_str), expect, "{json}");
        };
        let write = r#"{"action": "Microsoft.Compute/virtualMachines/write"}"#;
        check(write, Some("1"), Ok("Microsoft.Compute/virtualMachines/write in /subscriptions/1"));
        check(write, None, Err("The requirement `r` has no `scope`, and no `subscription_id` is set."));
        check(
            r#"{"data_action": "Microsoft.Storage/a/b", "scope": "/subscriptions/2/resourceGroups/x/"}"#,
            None,
            Ok("Microsoft.Storage/a/b in /subscriptions/2/resourceGroups/x"),
        );
        check(r#"{"resource_provider": "Microsoft.Web"}"#, Some("1"), Ok("the resource provider Microsoft.Web"));
        check(
            r#"{"resource_provider": "Microsoft.Web/sites"}"#,
            Some("1"),
            Err("The requirement `r` names no resource provider: `Microsoft.Web/sites`."),
        );
        check(
            r#"{"action": "Microsoft.Web/*"}"#,
            Some("1"),
            Err("The requirement `r` names no single action: `Microsoft.Web/*`."),
        );
        check(
            r#"{"action": "Microsoft.Web/sites/read", "scope": "my-group"}"#,
            Some("1"),
            Err("The requirement `r` names no scope: `my-group`."),
        );
        let one = "The requirement `r` needs one of `action`, `data_action` and `resource_provider`.";
        check(r#"{}"#, Some("1"), Err(one));
        check(r#"{"action": "A.B/c/read", "data_action": "A.B/c/read"}"#, Some("1"), Err(one));
    }
}
