//! The smallest policy that grants a set of actions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// The longest document that is written as one, bytes. A user's own policies may have 2,048
/// characters together ("IAM and AWS STS quotas"), and no more of a text is shown.
const LONGEST: usize = 1900;
const ANY: &str = "*";

/// An action, and the resource on which it is needed; any resource where there is none.
pub(crate) type Grant<'a> = (&'a str, Option<&'a str>);

/// Documents that grant these together, in few statements: what is needed on the same resources
/// stands in one. More than one document only where one would be too long to be attached.
pub(crate) fn documents<'a>(grants: impl IntoIterator<Item = Grant<'a>>) -> Vec<String> {
    let mut by_action: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (action, resource) in grants {
        by_action.entry(action).or_default().insert(resource.unwrap_or(ANY));
    }
    let mut by_resources: BTreeMap<BTreeSet<&str>, Vec<&str>> = BTreeMap::new();
    for (action, mut resources) in by_action {
        if resources.contains(ANY) {
            resources = BTreeSet::from([ANY]);
        }
        by_resources.entry(resources).or_default().push(action);
    }
    let mut documents = Vec::new();
    let mut statements: Vec<Value> = Vec::new();
    for (resources, actions) in &by_resources {
        let mut room: Vec<&str> = Vec::new();
        for action in actions {
            room.push(action);
            let longer = [&statements[..], &[statement(&room, resources)]].concat();
            if document(&longer).len() > LONGEST && (room.len() > 1 || !statements.is_empty()) {
                room.pop();
                if !room.is_empty() {
                    statements.push(statement(&room, resources));
                }
                documents.push(document(&std::mem::take(&mut statements)));
                room = vec![action];
            }
        }
        statements.push(statement(&room, resources));
    }
    if !statements.is_empty() {
        documents.push(document(&statements));
    }
    documents
}

fn document(statements: &[Value]) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn statement(actions: &[&str], resources: &BTreeSet<&str>) -> Value {
    let one_or_many = |texts: Vec<&str>| match texts.as_slice() {
        [one] => json!(one),
        many => json!(many),
    };
    json!({
        "Effect": "Allow",
        "Action": one_or_many(actions.to_vec()),
        "Resource": one_or_many(resources.iter().copied().collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_on_the_same_resources_is_one_statement() {
        let check = |grants: &[Grant<'_>], statements: Value| {
            let written = documents(grants.iter().copied());
            let expect = json!({ "Version": "2012-10-17", "Statement": statements });
            assert_eq!(written.len(), 1);
            assert_eq!(serde_json::from_str::<Value>(&written[0]).unwrap(), expect);
        };
        let (state, logs) = (Some("arn:aws:s3:::state/*"), Some("arn:aws:s3:::logs/*"));
        check(
            &[("s3:PutObject", state), ("s3:GetObject", state), ("s3:GetObject", state)],
            json!([{ "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::state/*" }]),
        );
        check(
            &[("s3:PutObject", state), ("s3:PutObject", logs), ("ec2:RunInstances", None), ("ec2:RunInstances", state)],
            json!([
                { "Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*" },
                { "Effect": "Allow", "Action": "s3:PutObject", "Resource": ["arn:aws:s3:::logs/*", "arn:aws:s3:::state/*"] },
            ]),
        );
        assert_eq!(documents([]), [""; 0]);
    }

    #[test]
    fn what_is_too_long_becomes_several_documents_and_loses_nothing() {
        let actions: Vec<String> = (0..200).map(|n| format!("service{}:Operation{n}", n % 7)).collect();
        let written = documents(actions.iter().map(|action| (action.as_str(), None)));
        assert!(written.len() > 1 && written.iter().all(|document| document.len() <= LONGEST));
        let granted: BTreeSet<String> = written
            .iter()
            .map(|document| serde_json::from_str::<Value>(document).unwrap())
            .flat_map(|document| document["Statement"][0]["Action"].as_array().unwrap().clone())
            .map(|action| action.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(granted, actions.into_iter().collect());
    }
}
