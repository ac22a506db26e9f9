//! What the checks of one integration say together.

use std::collections::BTreeMap;

use lineman_model::{
    CheckReport, Credential, Expiry, IntegrationReport, Level, NotProved, RequirementStatus, SkipReason, Status,
    Verdict,
};

use crate::line::{Bearing, Done};
use crate::plan::Line;

/// The report of one integration; `done` holds every step of its line, in order.
pub(crate) fn report(line: &Line, done: Vec<Done>) -> IntegrationReport {
    let integration = &line.integration;
    let proved = proved(&done);
    IntegrationReport {
        name: integration.name.clone(),
        provider: integration.provider.clone(),
        labels: integration.labels.clone(),
        owner: integration.owner.clone(),
        runbook: integration.runbook.clone(),
        plugin: line.plugin.clone(),
        verdict: verdict(&done),
        proved,
        not_proved: not_proved(&done, proved),
        requirements: requirements(line, &done),
        expires: expires(&done),
        credentials: credentials(line, &done),
        checks: done.into_iter().map(|done| done.report).collect(),
    }
}

/// The worst of the required checks, of which at least one must be the plugin's: that the secrets
/// resolve says nothing about the provider.
fn verdict(done: &[Done]) -> Verdict {
    let required = || done.iter().filter(|it| it.report.required);
    let asked = required().skip(1).any(|it| it.report.status != Status::Skip);
    let nothing_asked = (!asked).then_some(Status::Unknown);
    Status::worst(required().map(|it| contribution(&it.report, done)).chain(nothing_asked)).unwrap_or(Status::Unknown)
}

/// What a required check adds to the verdict. One that was meant to run and could not leaves the
/// verdict open, unless the trouble that kept it from running is suppressed.
fn contribution(check: &CheckReport, done: &[Done]) -> Status {
    let Some(skip) = &check.skip else { return check.status };
    let root = done.iter().find(|it| Some(&it.report.id) == skip.blocked_by.as_ref());
    match skip.reason {
        SkipReason::Cancelled => Status::Unknown,
        SkipReason::Blocked if root.is_none_or(|root| !root.report.status.is_good()) => Status::Unknown,
        _ => Status::Skip,
    }
}

/// The highest level that is proved: a required check of it holds, none of its required checks was
/// left out, and up to it no required check is broken.
fn proved(done: &[Done]) -> Option<Level> {
    let required = || done.iter().filter(|it| it.report.required);
    let broken_at = required().filter(|it| it.bearing == Bearing::Broken).map(|it| it.report.level).min();
    Level::ALL.into_iter().rev().find(|&level| {
        let has = |bearing| required().any(|it| it.report.level == level && it.bearing == bearing);
        broken_at.is_none_or(|broken| level < broken) && has(Bearing::Holds) && !has(Bearing::LeftOut)
    })
}

/// What the verdict does not say: every level above the one proved, every check up to it that did
/// not hold, and what the plugin says of its own checks.
fn not_proved(done: &[Done], proved: Option<Level>) -> Vec<NotProved> {
    let above = Level::ALL.into_iter().filter(|&level| Some(level) > proved);
    let levels =
        above.map(|level| NotProved { level, what: level.proves().to_owned(), why: why_not(level, done), needs: None });
    let gaps = done.iter().filter(|it| matches!(it.bearing, Bearing::LeftOut | Bearing::Broken));
    let checks = gaps.map(|it| &it.report).filter(|check| Some(check.level) <= proved).map(|check| NotProved {
        level: check.level,
        what: check.title.clone(),
        why: why(check),
        needs: None,
    });
    let declared = done.iter().flat_map(|it| it.outcome.not_proved.iter().cloned());

    let mut all: Vec<NotProved> = Vec::new();
    for entry in levels.chain(checks).chain(declared) {
        if !all.contains(&entry) {
            all.push(entry);
        }
    }
    all.sort_by_key(|entry| entry.level);
    all
}

/// Why a level is not proved.
fn why_not(level: Level, done: &[Done]) -> String {
    // Without its plugin or its secrets, an integration has no way up at all.
    if let Some(first) = done.first().filter(|it| it.bearing == Bearing::Broken) {
        return why(&first.report);
    }
    let here = |bearing| done.iter().find(|it| it.report.required && it.report.level == level && it.bearing == bearing);
    let below =
        || done.iter().find(|it| it.report.required && it.report.level < level && it.bearing == Bearing::Broken);
    if let Some(gap) = here(Bearing::Broken).or_else(|| here(Bearing::LeftOut)) {
        why(&gap.report)
    } else if let Some(lower) = here(Bearing::Holds).and_then(|_| below()) {
        why(&lower.report)
    } else if let Some(idle) = here(Bearing::Idle) {
        why(&idle.report)
    } else if done.iter().any(|it| it.report.level == level) {
        "no check that counts looks at it".to_owned()
    } else {
        "there is no check for it".to_owned()
    }
}

/// Why a check does not prove what it is for.
fn why(check: &CheckReport) -> String {
    let id = &check.id;
    let Some(skip) = &check.skip else {
        return match check.status {
            Status::Fail => format!("`{id}` failed"),
            Status::Error => format!("`{id}` could not be carried out"),
            Status::Unknown => format!("`{id}` could not tell"),
            Status::Pass | Status::Warn | Status::Skip => format!("what `{id}` found is suppressed"),
        };
    };
    let why = match (&skip.why, &skip.blocked_by) {
        (Some(why), _) => why.clone(),
        (None, Some(root)) if skip.reason == SkipReason::Blocked => format!("blocked by `{root}`"),
        (None, Some(root)) => format!("`{root}` was not run ({})", skip.reason),
        (None, None) => skip.reason.to_string(),
    };
    match skip.reason {
        SkipReason::NotRequested | SkipReason::Policy => format!("`{id}` was not run: {why}"),
        _ => why,
    }
}

/// The requirements of the configuration, in its order. What several checks say of one is the
/// worst of it; what none says is unknown.
fn requirements(line: &Line, done: &[Done]) -> Vec<RequirementStatus> {
    let said = |id: &str| {
        let all = done.iter().flat_map(|it| &it.outcome.requirements);
        Status::worst(all.filter(|it| it.id == id).map(|it| it.status))
    };
    let required = line.integration.requires.iter();
    required
        .map(|it| RequirementStatus { id: it.id.clone(), status: said(&it.id).unwrap_or(Status::Unknown) })
        .collect()
}

/// The dates that were read, the nearest first.
fn expires(done: &[Done]) -> Vec<Expiry> {
    let mut all: Vec<Expiry> = done.iter().flat_map(|it| it.outcome.expires.iter().cloned()).collect();
    all.sort_by(|a, b| (a.at, &a.what).cmp(&(b.at, &b.what)));
    all.dedup();
    all
}

/// What the plugin's checks and the host know of the credentials, by name.
fn credentials(line: &Line, done: &[Done]) -> Vec<Credential> {
    let mut all: BTreeMap<&str, Credential> = BTreeMap::new();
    let marked = line.fingerprints.keys().map(String::as_str);
    let told = || done.iter().flat_map(|it| &it.outcome.credentials);
    for secret in marked.chain(told().map(|it| it.secret.as_str())) {
        let about = Credential {
            secret: secret.to_owned(),
            fingerprint: line.fingerprints.get(secret).cloned(),
            id: told().filter(|it| it.secret == secret).find_map(|it| it.id.clone()),
            created_at: told().filter(|it| it.secret == secret).find_map(|it| it.created_at),
            newer_active: told().filter(|it| it.secret == secret).find_map(|it| it.newer_active),
        };
        all.insert(secret, about);
    }
    all.into_values().collect()
}
