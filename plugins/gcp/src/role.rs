//! The smallest role that grants a set of permissions, and how it comes to an account.

use lineman_sdk::prelude::*;

use crate::requires::Resource;
use crate::token::Token;

/// The longest list of permissions that one command holds, bytes: no more of a text is shown.
const LONGEST: usize = 1900;

/// The words of a command that say who is granted a role, and which.
pub(crate) fn to(token: &Token, role: &str) -> [String; 4] {
    let member = token.account.as_deref().map_or("MEMBER".to_owned(), |account| format!("serviceAccount:{account}"));
    ["--member".to_owned(), member, "--role".to_owned(), role.to_owned()]
}

/// Commands that make a role of some permissions and grant it on a resource. A role lies in a
/// project: where none is known for one of a bucket, it is left open.
pub(crate) fn remedies(
    resource: &Resource,
    project: Option<&str>,
    token: &Token,
    permissions: &[String],
) -> Vec<Remedy> {
    let (kind, on, project) = match resource {
        Resource::Project(id) => (&["projects"][..], id.clone(), id.as_str()),
        Resource::Bucket(name) => (&["storage", "buckets"][..], format!("gs://{name}"), project.unwrap_or("PROJECT")),
    };
    let lists = lists(permissions);
    let several = lists.len() > 1;
    let who = Some(format!("administrator of {resource}"));
    let remedy = |text: &str, argv: Vec<String>| Remedy { argv, who: who.clone(), ..Remedy::new(text) };
    let mut remedies = Vec::new();
    for (n, list) in lists.iter().enumerate() {
        let role = if several { format!("lineman{}", n + 1) } else { "lineman".to_owned() };
        let mut make = ["gcloud", "iam", "roles", "create", &role].map(str::to_owned).to_vec();
        make.extend(["--project", project, "--permissions", list].map(str::to_owned));
        remedies.push(remedy("Make a role of what is missing; any other that holds it will do.", make));
        let mut grant: Vec<String> = ["gcloud"].iter().chain(kind).map(|word| (*word).to_owned()).collect();
        grant.extend(["add-iam-policy-binding".to_owned(), on.clone()]);
        grant.extend(to(token, &format!("projects/{project}/roles/{role}")));
        remedies.push(remedy("Grant it.", grant));
    }
    remedies
}

/// The permissions, in as few lists as their length allows.
fn lists(permissions: &[String]) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for permission in permissions {
        match lists.last_mut() {
            Some(list) if list.len() + permission.len() < LONGEST => {
                list.push(',');
                list.push_str(permission);
            }
            _ => lists.push(permission.clone()),
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_for_one_role_becomes_several_and_loses_nothing() {
        let permissions: Vec<String> = (0..200).map(|n| format!("service{}.things.operation{n}", n % 7)).collect();
        let lists = lists(&permissions);
        assert!(lists.len() > 1 && lists.iter().all(|list| list.len() <= LONGEST));
        assert_eq!(lists.join(",").split(',').collect::<Vec<_>>(), permissions);
    }
}
