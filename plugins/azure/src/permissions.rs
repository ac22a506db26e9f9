//! `azure/permissions`: whether the application's roles allow what the platform means to do.
//!
//! Resource Manager lists what the caller may do at a scope, group memberships included; deny
//! assignments are listed beside it, where the application may see them. Each scope is asked about
//! once, and what is missing is told together, with the smallest role that grants it. What is not
//! proved is listed.

use std::collections::{BTreeMap, BTreeSet};

use lineman_sdk::Required;
use lineman_sdk::prelude::*;

use crate::cloud::Api;
use crate::grants::{About, Deny, Grant, Held, held};
use crate::requires::{Plane, Requirement, Wish};
use crate::{Azure, Settings, api, identity, role};

pub(crate) const OPERATION: &str = "GET {scope}/providers/Microsoft.Authorization/permissions";
pub(crate) const PERMISSION: &str = "Microsoft.Authorization/permissions/read";
pub(crate) const DENIES: &str = "GET {scope}/providers/Microsoft.Authorization/denyAssignments";
pub(crate) const DENIES_PERMISSION: &str = "Microsoft.Authorization/denyAssignments/read";
const VERSION: (&str, &str) = ("api-version", "2022-04-01");
/// How many actions a sentence names before it counts the rest: the role below it has them all.
const NAMED: usize = 12;

/// What holds at one scope.
struct Rules {
    grants: Vec<Grant>,
    /// None where the application may not see them.
    denies: Option<Vec<Deny>>,
}

/// What was found out about one action.
enum Verdict {
    Allowed,
    /// No role has it.
    Missing,
    /// A role has it by the first pattern and takes it away by the second, in the list named third.
    LeftOut(String, String, &'static str),
    /// The deny assignment of this name forbids it.
    Denied(String),
    /// Why it could not be told, and the action that would let it be.
    NotProved(String, Option<&'static str>),
}

/// `azure/permissions`.
pub(crate) async fn check(cx: Cx<Azure>) -> Outcome {
    let settings = cx.settings();
    let required = cx.requiring("no action is required", |words| words.wishes(settings))?;
    let token = identity::token(&cx, Api::Manager).await?;
    let object = token.claims.oid.as_deref();
    let wishes: BTreeSet<&Wish<'_>> = required.iter().flat_map(|(_, wishes)| wishes).collect();
    let mut known: BTreeMap<String, Option<Rules>> = BTreeMap::new();
    let mut verdicts: BTreeMap<&Wish<'_>, Verdict> = BTreeMap::new();
    for wish in wishes {
        let key = wish.scope.to_ascii_lowercase();
        if !known.contains_key(&key) {
            known.insert(key.clone(), Box::pin(rules(&cx, &wish.scope)).await?);
        }
        let verdict = match known.get(&key).and_then(Option::as_ref) {
            Some(rules) => judge(rules, object, wish),
            None => {
                let why = "the application may not list its own permissions there";
                Verdict::NotProved(why.to_owned(), Some(PERMISSION))
            }
        };
        verdicts.insert(wish, verdict);
    }
    for (id, wishes) in &required {
        let statuses = wishes.iter().filter_map(|wish| verdicts.get(wish)).map(|verdict| match verdict {
            Verdict::Allowed => Status::Pass,
            Verdict::Missing | Verdict::LeftOut(..) | Verdict::Denied(_) => Status::Fail,
            Verdict::NotProved(..) => Status::Unknown,
        });
        cx.requirement(id, Status::worst(statuses).unwrap_or(Status::Pass));
    }
    tell(&cx, &verdicts);
    Ok(())
}

/// Reports what is missing, what is denied and what is not proved, each together.
fn tell(cx: &Cx<Azure>, verdicts: &BTreeMap<&Wish<'_>, Verdict>) {
    let (mut missing, mut left_out) = (Vec::new(), Vec::new());
    let (mut denied, mut not_proved) = (BTreeMap::new(), BTreeMap::new());
    for (wish, verdict) in verdicts {
        match verdict {
            Verdict::Allowed => {}
            Verdict::Missing => missing.push(*wish),
            Verdict::LeftOut(with, without, list) => {
                missing.push(*wish);
                left_out.push(format!(
                    "A role has {} by `{with}`, and takes it away by `{without}` in {list}.",
                    wish.action
                ));
            }
            Verdict::Denied(by) => denied.entry(by.as_str()).or_insert_with(Vec::new).push(*wish),
            Verdict::NotProved(why, needs) => {
                not_proved.entry((why.as_str(), *needs)).or_insert_with(Vec::new).push(*wish);
            }
        }
    }
    for ((why, needs), wishes) in not_proved {
        cx.not_proved(named(&wishes), why, needs);
    }
    if !missing.is_empty() {
        cx.report(lacking(cx, &missing, &left_out));
    }
    for (by, wishes) in denied {
        let message = match wishes.as_slice() {
            [_] => format!("{} is forbidden by the deny assignment `{by}`.", named(&wishes)),
            _ => format!(
                "{} required actions are forbidden by the deny assignment `{by}`: {}.",
                wishes.len(),
                named(&wishes)
            ),
        };
        cx.report(
            about(cx.finding("deny-assignment", Cause::PermissionDeniedByPolicy, message), &wishes)
                .detail(by_requirement(cx.settings(), cx.requires(), &wishes)),
        );
    }
}

/// What holds at a scope; none where the application may not ask.
async fn rules(cx: &Cx<Azure>, scope: &str) -> Result<Option<Rules>, Stop> {
    let path = |what: &str| format!("{scope}/providers/Microsoft.Authorization/{what}");
    let grants = match api::list::<Grant>(cx, OPERATION, &path("permissions"), &[VERSION]).await {
        Ok(grants) => grants,
        Err(stop) if stop.is_denied() => return Ok(None),
        Err(stop) => return Err(stop.map(|finding| finding.subject("scope", scope))),
    };
    // Of all that are listed, those at or above the scope.
    let query = [VERSION, ("$filter", "atScope()")];
    let denies = match api::list::<Deny>(cx, DENIES, &path("denyAssignments"), &query).await {
        Ok(denies) => Some(denies),
        Err(stop) if stop.is_denied() => {
            let what = format!("that no deny assignment stands against it in {scope}");
            cx.not_proved(what, "the application may not list them", Some(DENIES_PERMISSION));
            None
        }
        Err(stop) => return Err(stop),
    };
    Ok(Some(Rules { grants, denies }))
}

fn judge(rules: &Rules, object: Option<&str>, wish: &Wish<'_>) -> Verdict {
    let Wish { scope, plane, action } = wish;
    match held(&rules.grants, *plane, action) {
        Held::No => return Verdict::Missing,
        Held::TakenAway(with, without) => {
            let list = if *plane == Plane::Data { "notDataActions" } else { "notActions" };
            return Verdict::LeftOut(with, without, list);
        }
        Held::OnCondition => {
            let why = "the role that allows it has a condition, which only the request itself decides";
            return Verdict::NotProved(why.to_owned(), None);
        }
        Held::Yes => {}
    }
    let against = || rules.denies.iter().flatten().filter(|deny| deny.forbids(*plane, action, scope));
    if let Some(deny) = against().find(|deny| deny.about(object) == About::Them) {
        return Verdict::Denied(deny.name().to_owned());
    }
    match against().find(|deny| deny.about(object) == About::Perhaps) {
        Some(deny) => Verdict::NotProved(
            format!(
                "the deny assignment `{}` forbids it to groups, and whether the application is in one is not known",
                deny.name()
            ),
            None,
        ),
        None => Verdict::Allowed,
    }
}

/// The finding for everything that no role has, or that a role leaves out.
fn lacking(cx: &Cx<Azure>, missing: &[&Wish<'_>], left_out: &[String]) -> Finding {
    let all_left_out = left_out.len() == missing.len();
    let (code, why) = match all_left_out {
        true => ("action-left-out", "its roles leave that out"),
        false => ("action-missing", "none of its roles has that"),
    };
    let message = match missing {
        [_] => format!("The application may not {}: {why}.", named(missing)),
        _ => format!("{} required actions are not allowed: {}.", missing.len(), named(missing)),
    };
    let mut lines = left_out.to_vec();
    lines.push(by_requirement(cx.settings(), cx.requires(), missing));
    let mut finding = about(cx.finding(code, Cause::PermissionInsufficient, message), missing)
        .or_else(Cause::ProviderPropagation, Confidence::Possible)
        .detail(lines.join("\n"));
    let application = &cx.settings().client_id;
    for role in role::smallest(&cx.integration().name, missing) {
        let make = ["az", "role", "definition", "create", "--role-definition", &role.definition];
        finding = finding.command("Make the smallest role that grants this.", make);
        for scope in &role.scopes {
            let assign = ["az", "role", "assignment", "create", "--assignee", application, "--role", &role.name];
            let text = "Assign it to the application; it takes some minutes until it holds.";
            finding = finding.command(text, assign.into_iter().chain(["--scope", scope]));
        }
    }
    for remedy in &mut finding.remedies {
        remedy.who = Some("owner or user access administrator of the scope".to_owned());
    }
    finding
}

/// A finding about one action says which.
fn about(finding: Finding, wishes: &[&Wish<'_>]) -> Finding {
    match wishes {
        [wish] => finding.subject("action", wish.action),
        _ => finding,
    }
}

/// Actions as Azure spells them, with the scope of each, or of all.
fn named(wishes: &[&Wish<'_>]) -> String {
    let common = wishes.first().map(|first| &first.scope).filter(|first| wishes.iter().all(|it| it.scope == **first));
    let one = |wish: &&Wish<'_>| match common {
        Some(_) => wish.action.to_owned(),
        None => format!("{} in {}", wish.action, wish.scope),
    };
    let words: Vec<String> = wishes.iter().take(NAMED).map(one).collect();
    let more = match wishes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}{}", words.join(", "), common.map(|scope| format!(" in {scope}")).unwrap_or_default())
}

/// What each requirement wants of these, a line for each.
fn by_requirement(settings: &Settings, required: &[Required<Requirement>], of: &[&Wish<'_>]) -> String {
    let lines = required.iter().filter_map(|Required { id, words }| {
        let wishes = words.wishes(settings)?;
        let actions: Vec<&str> = wishes.iter().filter(|wish| of.contains(wish)).map(|wish| wish.action).collect();
        (!actions.is_empty()).then(|| format!("{id}: {}", actions.join(", ")))
    });
    lines.collect::<Vec<_>>().join("\n")
}
