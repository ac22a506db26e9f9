//! What roles grant and what is taken away again: "Understand Azure role definitions".
//!
//! An action is held where one role has it in `actions` and not in that same role's `notActions`;
//! roles add up. Patterns may have `*` anywhere, and nobody minds their case.

use lineman_sdk::prelude::*;

use crate::requires::Plane;

/// One role's permissions, or what one deny assignment forbids.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Grant {
    actions: Vec<String>,
    not_actions: Vec<String>,
    data_actions: Vec<String>,
    not_data_actions: Vec<String>,
    /// An expression on attributes, which only the request itself decides.
    condition: Option<String>,
}

/// Whether an action is held, closest to `Yes` first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    Yes,
    /// By a role that holds under a condition.
    OnCondition,
    /// A role has it by the first pattern, and takes it away by the second.
    TakenAway(String, String),
    No,
}

impl Grant {
    /// The pattern that has the action, and the one that takes it away.
    fn patterns(&self, plane: Plane, action: &str) -> Option<(&str, Option<&str>)> {
        let (with, without) = match plane {
            Plane::Control => (&self.actions, &self.not_actions),
            Plane::Data => (&self.data_actions, &self.not_data_actions),
        };
        let first = |list: &'_ [String]| list.iter().position(|pattern| matches(pattern, action));
        let granted = with.get(first(with)?)?;
        Some((granted, first(without).and_then(|at| without.get(at)).map(String::as_str)))
    }

    fn holds(&self, plane: Plane, action: &str) -> Held {
        match self.patterns(plane, action) {
            None => Held::No,
            Some((with, Some(without))) => Held::TakenAway(with.to_owned(), without.to_owned()),
            Some((_, None)) if self.condition.as_ref().is_some_and(|condition| !condition.is_empty()) => {
                Held::OnCondition
            }
            Some((_, None)) => Held::Yes,
        }
    }
}

/// Whether any of several grants holds an action.
pub(crate) fn held(grants: &[Grant], plane: Plane, action: &str) -> Held {
    grants.iter().map(|grant| grant.holds(plane, action)).min().unwrap_or(Held::No)
}

/// Whether a pattern with `*` stands for an action.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == action };
    let Some(mut left) = action.strip_prefix(start) else { return false };
    // The last piece must end it; those between are taken where they first stand.
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in between.split('*') {
        let Some(at) = left.find(piece) else { return false };
        left = &left[at + piece.len()..];
    }
    left.ends_with(end)
}

/// A deny assignment, as Resource Manager lists it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Deny {
    properties: DenyProperties,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DenyProperties {
    deny_assignment_name: String,
    permissions: Vec<Grant>,
    scope: String,
    do_not_apply_to_child_scopes: bool,
    principals: Vec<Principal>,
    exclude_principals: Vec<Principal>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Principal {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Whether a deny assignment is about somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Them,
    Others,
    /// It names groups, and who is in them is not known here.
    Perhaps,
}

impl Deny {
    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        &self.properties.deny_assignment_name
    }

    /// Whether it forbids an action in a scope.
    pub(crate) fn forbids(&self, plane: Plane, action: &str, scope: &str) -> bool {
        let own = self.properties.scope.trim_end_matches('/');
        let at = scope.eq_ignore_ascii_case(own);
        let below = scope.len() > own.len()
            && scope.as_bytes().get(own.len()) == Some(&b'/')
            && scope.get(..own.len()).is_some_and(|above| above.eq_ignore_ascii_case(own));
        // Of a management group nothing in the scope below tells that it is above.
        let above = own.to_ascii_lowercase().starts_with("/providers/") || own.is_empty();
        let applies = at || (below || above) && !self.properties.do_not_apply_to_child_scopes;
        applies && held(&self.properties.permissions, plane, action) == Held::Yes
    }

    /// Whether it is about the principal with an object id.
    pub(crate) fn about(&self, object: Option<&str>) -> About {
        /// Stands for everybody.
        const EVERYBODY: &str = "00000000-0000-0000-0000-000000000000";
        let named = |list: &[Principal]| {
            list.iter().any(|principal| object.is_some_and(|object| principal.id.eq_ignore_ascii_case(object)))
        };
        let group = |list: &[Principal]| list.iter().any(|principal| principal.kind.eq_ignore_ascii_case("Group"));
        let DenyProperties { principals, exclude_principals: excluded, .. } = &self.properties;
        if named(excluded) {
            return About::Others;
        }
        let everybody = principals.iter().any(|principal| principal.id == EVERYBODY);
        match (everybody || named(principals), group(principals)) {
            (true, _) if !group(excluded) => About::Them,
            (true, _) | (false, true) => About::Perhaps,
            (false, false) => About::Others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_may_have_stars_anywhere() {
        let check = |pattern: &str, action: &str, expect: bool| {
            assert_eq!(matches(pattern, action), expect, "{pattern} {action}");
        };
        let write = "Microsoft.Compute/virtualMachines/write";
        check("*", write, true);
        check("*/write", write, true);
        check("*/read", write, false);
        check("microsoft.compute/*", write, true);
        check("Microsoft.Compute/*/write", write, true);
        check("Microsoft.Compute/*/*/write", write, false);
        check("Microsoft.*/virtual*/wr*", write, true);
        check("Microsoft.Compute/virtualMachines/WRITE", write, true);
        check("Microsoft.Compute/virtualMachines", write, false);
        check("Microsoft.Compute", write, false);
        check("Microsoft.Compute/virtualMachines/write*write", write, false);
        check("", write, false);
    }

    #[test]
    fn roles_add_up_and_take_away_only_from_themselves() {
        let check = |roles: serde_json::Value, plane: Plane, action: &str, expect: Held| {
            let grants: Vec<Grant> = serde_json::from_value(roles.clone()).unwrap();
            assert_eq!(held(&grants, plane, action), expect, "{roles} {action}");
        };
        let contributor = json!({ "actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"] });
        let assign = "Microsoft.Authorization/roleAssignments/write";
        let away = Held::TakenAway("*".into(), "Microsoft.Authorization/*/Write".into());
        check(json!([contributor]), Plane::Control, assign, away);
        check(json!([contributor, { "actions": ["Microsoft.Authorization/*"] }]), Plane::Control, assign, Held::Yes);
        check(json!([contributor]), Plane::Control, "Microsoft.Web/sites/write", Held::Yes);
        check(json!([contributor]), Plane::Data, "Microsoft.Storage/a/b/read", Held::No);
        let conditional = json!({ "dataActions": ["*/read"], "condition": "@Resource[x] StringEquals 'y'" });
        check(json!([conditional]), Plane::Data, "Microsoft.Storage/a/b/read", Held::OnCondition);
        check(json!([]), Plane::Control, assign, Held::No);
    }

    #[test]
    fn deny_assignments_reach_down_and_leave_out() {
        let check = |change: serde_json::Value, scope: &str, expect: (bool, About)| {
            let mut properties = json!({
                "denyAssignmentName": "locked", "scope": "/subscriptions/1/resourceGroups/a",
                "permissions": [{ "actions": ["*"], "notActions": ["*/read"] }],
                "principals": [{ "id": "00000000-0000-0000-0000-000000000000", "type": "SystemDefined" }],
            });
            properties.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let deny: Deny = serde_json::from_value(json!({ "properties": properties })).unwrap();
            let seen = (deny.forbids(Plane::Control, "A.B/c/write", scope), deny.about(Some("me")));
            assert_eq!(seen, expect, "{change} {scope}");
            assert!(!deny.forbids(Plane::Control, "A.B/c/read", scope));
        };
        let here = "/subscriptions/1/resourceGroups/A";
        check(json!({}), here, (true, About::Them));
        check(json!({}), &format!("{here}/providers/x/y/z"), (true, About::Them));
        check(json!({}), "/subscriptions/1/resourceGroups/ab", (false, About::Them));
        check(json!({}), "/subscriptions/1", (false, About::Them));
        check(json!({ "doNotApplyToChildScopes": true }), here, (true, About::Them));
        check(json!({ "doNotApplyToChildScopes": true }), &format!("{here}/providers/x"), (false, About::Them));
        check(
            json!({ "excludePrincipals": [{ "id": "ME", "type": "ServicePrincipal" }] }),
            here,
            (true, About::Others),
        );
        check(json!({ "excludePrincipals": [{ "id": "g", "type": "Group" }] }), here, (true, About::Perhaps));
        check(json!({ "principals": [{ "id": "g", "type": "Group" }] }), here, (true, About::Perhaps));
        check(json!({ "principals": [{ "id": "you", "type": "User" }] }), here, (true, About::Others));
    }
}
