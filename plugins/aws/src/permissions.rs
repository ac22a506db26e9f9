//! `aws/permissions`: whether the actions that the platform means to do are allowed.
//!
//! All of them are asked about together, and what is missing is told together, with the smallest
//! policy that grants it. The policy simulator answers for most, where the credential may ask it.
//! Where it may not, a dry run of the action itself tells, for the few that have one. What neither
//! tells is listed as not proved, with the permission that would let it be.

use std::collections::BTreeMap;

use lineman_sdk::Required;
use lineman_sdk::prelude::*;

use crate::Aws;
use crate::arn::Arn;
use crate::credentials::working;
use crate::policy::{self, Grant};
use crate::requires::{RESOURCE_TYPES, Requirement};
use crate::simulate::{self, SIMULATOR, Verdict};

/// How many actions a sentence names before it counts the rest: the policy below it has them all.
const NAMED: usize = 12;

/// What a requirement wants to be allowed; nothing where it is about something else.
fn grants(requirement: &Requirement) -> Option<Vec<Grant<'_>>> {
    let resource = requirement.resource.as_deref().filter(|resource| *resource != "*");
    if let Some(action) = &requirement.action {
        return Some(vec![(action.as_str(), resource)]);
    }
    let actions = RESOURCE_TYPES.takes(requirement.terraform.as_deref()?, requirement.operations.as_deref())?;
    Some(actions.into_iter().map(|action| (action, resource)).collect())
}

/// `aws/permissions`.
pub(crate) async fn check(cx: Cx<Aws>) -> Outcome {
    let required = cx.requiring("no action is required", grants)?;
    let credentials = working(&cx).await?;
    let all = required.iter().flat_map(|(_, grants)| grants.clone()).collect();
    let principal = simulate::principal(&cx, &credentials).await?;
    let verdicts = simulate::verdicts(&cx, &credentials, &principal, all).await?;
    for (id, grants) in &required {
        let statuses = grants.iter().filter_map(|grant| verdicts.get(grant)).map(|verdict| match verdict {
            Verdict::Allowed => Status::Pass,
            Verdict::Missing | Verdict::Denied(_) => Status::Fail,
            Verdict::NotProved(_) => Status::Unknown,
        });
        cx.requirement(id, Status::worst(statuses).unwrap_or(Status::Pass));
    }
    let (mut missing, mut denied, mut not_proved) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for (grant, verdict) in &verdicts {
        match verdict {
            Verdict::Allowed => {}
            Verdict::Missing => missing.push(*grant),
            Verdict::Denied(by) => denied.entry(by.as_str()).or_insert_with(Vec::new).push(*grant),
            Verdict::NotProved(why) => not_proved.entry(why.as_str()).or_insert_with(Vec::new).push(*grant),
        }
    }
    for (why, grants) in not_proved {
        cx.not_proved(named(&grants), why, Some(SIMULATOR));
    }
    if !missing.is_empty() {
        cx.report(lacking(&cx, &missing, &principal).detail(by_requirement(cx.requires(), &missing)));
    }
    for (by, grants) in denied {
        cx.report(forbidden(&cx, by, &grants).detail(by_requirement(cx.requires(), &grants)));
    }
    Ok(())
}

/// The finding for everything that nothing allows.
fn lacking(cx: &Cx<Aws>, missing: &[Grant<'_>], principal: &str) -> Finding {
    let message = match missing {
        [_] => format!("{} is not allowed.", named(missing)),
        _ => format!("{} required actions are not allowed: {}.", missing.len(), named(missing)),
    };
    let mut finding = cx.finding("action-missing", Cause::PermissionInsufficient, message);
    if let [(action, _)] = missing {
        finding = finding.subject("action", *action);
    }
    let documents = policy::documents(missing.iter().copied());
    let several = documents.len() > 1;
    for (n, document) in documents.into_iter().enumerate() {
        let policy = if several { format!("lineman-{}", n + 1) } else { "lineman".to_owned() };
        let (text, command) = attach(principal, several);
        let mut argv = vec!["aws".to_owned(), "iam".to_owned()];
        argv.extend(command);
        argv.extend(["--policy-name".to_owned(), policy, "--policy-document".to_owned(), document]);
        finding = finding.command(text, argv);
    }
    finding
}

/// How a policy comes to a principal: as its own where it can have one and it is short enough.
fn attach(principal: &str, several: bool) -> (String, Vec<String>) {
    let arn = Arn::parse(principal);
    let name = arn.map_or(principal, |arn| arn.name());
    let own = |kind: &str| {
        let text = format!("Attach the smallest policy that grants this to the {kind} {name}.");
        (text, vec![format!("put-{kind}-policy"), format!("--{kind}-name"), name.to_owned()])
    };
    match arn.map(|arn| arn.resource) {
        // Roles of IAM Identity Center take changes from there alone.
        Some(resource) if resource.starts_with("role/aws-reserved/") => (
            "Add this to the permission set of the role, or make a policy of it.".to_owned(),
            vec!["create-policy".to_owned()],
        ),
        Some(resource) if resource.starts_with("role/") => own("role"),
        Some(resource) if resource.starts_with("user/") && !several => own("user"),
        _ => (format!("Make a policy of what is missing, and attach it to {name}."), vec!["create-policy".to_owned()]),
    }
}

/// The finding for what somebody forbids.
fn forbidden(cx: &Cx<Aws>, by: &str, grants: &[Grant<'_>]) -> Finding {
    let message = match grants {
        [_] => format!("{} is denied by {by}.", named(grants)),
        _ => format!("{} required actions are denied by {by}: {}.", grants.len(), named(grants)),
    };
    let finding = cx.finding("action-denied", Cause::PermissionDeniedByPolicy, message);
    let finding = match grants {
        [(action, _)] => finding.subject("action", *action),
        _ => finding,
    };
    finding.remedy(format!("Change the statement that denies it in {by}; allowing it elsewhere does not help."))
}

/// Actions as the provider spells them, with the resource of each, or of all.
fn named(grants: &[Grant<'_>]) -> String {
    let on = |resource: &Option<&str>| resource.map(|resource| format!(" on {resource}")).unwrap_or_default();
    let common = grants.first().map(|(_, resource)| resource).filter(|first| grants.iter().all(|(_, it)| it == *first));
    let words: Vec<String> = grants
        .iter()
        .take(NAMED)
        .map(
            |(action, resource)| {
                if common.is_some() { (*action).to_owned() } else { format!("{action}{}", on(resource)) }
            },
        )
        .collect();
    let more = match grants.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}{}", words.join(", "), common.map(on).unwrap_or_default())
}

/// What each requirement wants of these, a line for each.
fn by_requirement(required: &[Required<Requirement>], of: &[Grant<'_>]) -> String {
    let lines = required.iter().filter_map(|Required { id, words }| {
        let wanted: Vec<Grant<'_>> = grants(words)?.into_iter().filter(|grant| of.contains(grant)).collect();
        let actions: Vec<&str> = wanted.iter().map(|(action, _)| *action).collect();
        (!wanted.is_empty()).then(|| format!("{id}: {}", actions.join(", ")))
    });
    lines.collect::<Vec<_>>().join("\n")
}
