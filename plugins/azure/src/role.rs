//! The smallest roles that grant a set of actions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::arm;
use crate::requires::{Plane, Wish};

/// The longest definition that is written as one, bytes: no more of a text is shown.
const LONGEST: usize = 1900;

/// An action, and the list of a role that it stands in.
type Action<'a> = (Plane, &'a str);

/// Actions that one role has room for, and the scopes at which they are needed.
type Part<'a> = (Vec<Action<'a>>, Vec<&'a str>);

/// A role to be made, and where to assign it.
pub(crate) struct Role {
    pub(crate) name: String,
    /// What `az role definition create` takes.
    pub(crate) definition: String,
    pub(crate) scopes: Vec<String>,
}

/// Roles that grant these together: one for what is needed at the same scopes. More only where one
/// would be too long to be shown. Roles of a tenant have different names: theirs has the integration's.
pub(crate) fn smallest(integration: &str, wishes: &[&Wish<'_>]) -> Vec<Role> {
    let mut by_scope: BTreeMap<&str, BTreeSet<Action<'_>>> = BTreeMap::new();
    for wish in wishes {
        by_scope.entry(&wish.scope).or_default().insert((wish.plane, wish.action));
    }
    let mut by_actions: BTreeMap<BTreeSet<Action<'_>>, Vec<&str>> = BTreeMap::new();
    for (scope, actions) in by_scope {
        by_actions.entry(actions).or_default().push(scope);
    }
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (actions, scopes) in &by_actions {
        let mut room: Vec<Action<'_>> = Vec::new();
        for action in actions {
            room.push(*action);
            if definition("", &room, scopes).len() > LONGEST && room.len() > 1 {
                room.pop();
                parts.push((std::mem::replace(&mut room, vec![*action]), scopes.clone()));
            }
        }
        parts.push((room, scopes.clone()));
    }
    let several = parts.len() > 1;
    let role = |(n, (actions, scopes)): (usize, Part<'_>)| {
        let name = if several { format!("Lineman {integration} {}", n + 1) } else { format!("Lineman {integration}") };
        Role {
            definition: definition(&name, &actions, &scopes),
            name,
            scopes: scopes.into_iter().map(str::to_owned).collect(),
        }
    };
    parts.into_iter().enumerate().map(role).collect()
}

fn definition(name: &str, actions: &[Action<'_>], scopes: &[&str]) -> String {
    let of = |plane: Plane| -> Vec<&str> {
        actions.iter().filter(|(own, _)| *own == plane).map(|(_, action)| *action).collect()
    };
    let scopes: BTreeSet<String> = scopes.iter().map(|scope| assignable(scope)).collect();
    let mut definition =
        json!({ "Name": name, "Description": "What the platform is missing.", "AssignableScopes": scopes });
    for (list, plane) in [("Actions", Plane::Control), ("DataActions", Plane::Data)] {
        if !of(plane).is_empty() {
            definition[list] = json!(of(plane));
        }
    }
    definition.to_string()
}

/// Where a role can be offered for a scope: "Azure custom roles" has resource groups, subscriptions
/// and management groups, and no single resources.
fn assignable(scope: &str) -> String {
    match (arm::part(scope, "subscriptions"), arm::part(scope, "resourceGroups")) {
        (Some(subscription), Some(group)) => format!("/subscriptions/{subscription}/resourceGroups/{group}"),
        (Some(subscription), None) => format!("/subscriptions/{subscription}"),
        _ => scope.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn wish<'a>(action: &'a str, plane: Plane, scope: &str) -> Wish<'a> {
        Wish { scope: scope.to_owned(), plane, action }
    }

    #[test]
    fn what_is_needed_at_the_same_scopes_is_one_role() {
        let (web, account) = (
            "/subscriptions/1/resourceGroups/web",
            "/subscriptions/1/resourceGroups/state/providers/Microsoft.Storage/storageAccounts/x",
        );
        let wishes = [
            wish("Microsoft.Compute/disks/write", Plane::Control, web),
            wish("Microsoft.Compute/disks/read", Plane::Control, web),
            wish("Microsoft.Storage/a/b/write", Plane::Data, account),
        ];
        let roles = smallest("prod", &wishes.iter().collect::<Vec<_>>());
        let shown: Vec<(Value, &[String])> = roles
            .iter()
            .map(|role| (serde_json::from_str(&role.definition).unwrap(), role.scopes.as_slice()))
            .collect();
        let text = "What the platform is missing.";
        let disks = json!({ "Name": "Lineman prod 1", "Description": text, "AssignableScopes": [web],
            "Actions": ["Microsoft.Compute/disks/read", "Microsoft.Compute/disks/write"] });
        let state = json!({ "Name": "Lineman prod 2", "Description": text,
            "AssignableScopes": ["/subscriptions/1/resourceGroups/state"], "DataActions": ["Microsoft.Storage/a/b/write"] });
        assert_eq!(shown, [(disks, &[web.to_owned()][..]), (state, &[account.to_owned()][..])]);
        assert!(smallest("prod", &[]).is_empty());
    }

    #[test]
    fn what_is_too_long_becomes_several_roles_and_loses_nothing() {
        let actions: Vec<String> =
            (0..200).map(|n| format!("Microsoft.Service{}/things/verb{n}/action", n % 7)).collect();
        let wishes: Vec<Wish<'_>> = actions.iter().map(|it| wish(it, Plane::Control, "/subscriptions/1")).collect();
        let roles = smallest("prod", &wishes.iter().collect::<Vec<_>>());
        assert!(roles.len() > 1 && roles.iter().all(|role| role.definition.len() < LONGEST + 100));
        let granted: BTreeSet<String> = roles
            .iter()
            .flat_map(|role| {
                serde_json::from_str::<Value>(&role.definition).unwrap()["Actions"].as_array().unwrap().clone()
            })
            .map(|action| action.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(granted, actions.into_iter().collect());
    }
}
