//! Every check of every integration, for those who asked for everything.

use std::collections::BTreeSet;

use lineman_model::{CheckReport, Credential, Finding, IntegrationReport, Report, Skip, Status};

use super::integrations::proved;
use super::{WORST_FIRST, causes};
use crate::finding;
use crate::page::{Page, Span};
use crate::words::{day, duration, name};

pub(super) fn show(page: &mut Page<'_>, report: &Report) {
    let told = causes::spokesmen(report);
    for verdict in WORST_FIRST {
        for integration in report.integrations.iter().filter(|one| one.verdict == verdict) {
            page.gap();
            one_integration(page, integration, &told);
        }
    }
}

fn one_integration(page: &mut Page<'_>, integration: &IntegrationReport, told: &BTreeSet<&str>) {
    let mut about = vec![integration.provider.clone(), proved(integration)];
    about.extend((!integration.plugin.version.is_empty()).then(|| format!("plugin {}", integration.plugin.version)));
    about.extend(integration.labels.iter().map(|(name, value)| format!("{name}={value}")));
    about.extend(integration.owner.clone());
    let spans = [Span::strong(name(&integration.name)), Span::dim("·"), Span::dim(about.join(" · "))];
    page.item(0, Span::status_label(integration.verdict), &spans);
    let rows: Vec<_> = integration.checks.iter().map(row).collect();
    page.table(2, &rows);
    for one in &integration.requirements {
        page.item(2, Span::status_label(one.status), &[Span::plain("requirement"), Span::plain(one.id.as_str())]);
    }
    for one in &integration.credentials {
        credential(page, one);
    }
    for (check, one) in integration.checks.iter().flat_map(|check| check.findings.iter().map(move |one| (check, one))) {
        one_finding(page, check, one);
        if !told.contains(one.id.as_str()) {
            finding::evidence(page, 4, one, None);
        }
    }
}

/// What the provider tells of a credential; its fingerprint is for machines.
fn credential(page: &mut Page<'_>, one: &Credential) {
    let mut parts: Vec<String> = one.id.iter().cloned().collect();
    parts.extend(one.created_at.map(|at| format!("made on {}", day(at))));
    parts.extend(one.newer_active.filter(|newer| *newer).map(|_| "a newer active one exists".to_owned()));
    if !parts.is_empty() {
        page.text(2, &[Span::plain(one.secret.as_str()), Span::dim(parts.join(" · "))]);
    }
}

fn row(check: &CheckReport) -> Vec<Span> {
    let status = Span::status(check.status);
    let took = if check.status == Status::Skip { String::new() } else { duration(check.duration_ms) };
    let mut notes: Vec<String> = check.skip.iter().map(skipped).collect();
    if !check.required {
        notes.push("optional".to_owned());
    }
    notes.extend(check.phases.iter().map(|phase| {
        let failed = if phase.ok { "" } else { " failed" };
        format!("{}{failed} {}", phase.name, duration(phase.duration_ms))
    }));
    notes.extend(check.attempts.iter().map(|attempt| {
        format!("earlier attempt {}: {} after {}", attempt.status, attempt.cause, duration(attempt.duration_ms))
    }));
    vec![status, Span::plain(check.id.as_str()), Span::plain(took), Span::dim(notes.join(", "))]
}

/// Why a check was not run: `blocked by git/auth`.
fn skipped(skip: &Skip) -> String {
    let reason = match &skip.blocked_by {
        Some(check) => format!("{} by {check}", skip.reason),
        None => skip.reason.to_string(),
    };
    match &skip.why {
        Some(why) => format!("{reason}: {why}"),
        None => reason,
    }
}

/// What a check found, below the checks; what to do about it stands with the causes, and so does
/// the evidence of those that speak for their cause.
fn one_finding(page: &mut Page<'_>, check: &CheckReport, one: &Finding) {
    let status = if one.suppressed.is_some() { Status::Skip } else { one.status() };
    let code = Span::dim(format!("({}, {}, by {})", one.code, one.cause, check.id));
    page.item(2, Span::status_label(status), &[Span::plain(one.message.as_str()), code]);
    if !one.caused_by.is_empty() {
        page.text(4, &[Span::dim(format!("follows from {}", one.caused_by.join(", ")))]);
    }
    if let Some(suppressed) = &one.suppressed {
        page.text(4, &[Span::dim(format!("suppressed until {}: {}", suppressed.until, suppressed.reason))]);
    }
}
