//! What the engine adds to every finding: an id, a fingerprint, a severity, and whether the
//! configuration suppresses it.

use jiff::civil::Date;
use lineman_model::{Cause, CheckInfo, Finding, Severity, Status, Suppressed};

/// A known finding that does not count, until a date.
#[derive(Clone, Debug)]
pub struct Suppression {
    /// The integration's name.
    pub integration: String,
    /// The finding's code.
    pub code: String,
    /// The last day, in UTC.
    pub until: Date,
    /// Why it is tolerated.
    pub reason: String,
}

/// Completes the findings of a check. What a plugin has no say in is overwritten.
pub(crate) fn complete(
    findings: &mut [Finding],
    integration: &str,
    check: &CheckInfo,
    suppressions: &[Suppression],
    today: Date,
) {
    for (at, finding) in findings.iter_mut().enumerate() {
        finding.id = format!("{integration}/{}#{}", check.id, at + 1);
        finding.fingerprint = fingerprint(integration, finding);
        finding.severity.get_or_insert_with(|| Severity::of(&finding.cause, check.level));
        finding.caused_by.clear();
        finding.suppressed = suppressions
            .iter()
            // Lineman's own faults are nobody's to tolerate: a check that crashed proved nothing.
            .filter(|it| !finding.cause.is_ours() && it.integration == integration && it.code == finding.code)
            .filter(|it| today <= it.until)
            .max_by_key(|it| it.until)
            .map(|it| Suppressed { until: it.until.to_string(), reason: it.reason.clone() });
    }
}

/// Whether the finding touches its check's status.
pub(crate) fn counts(finding: &Finding) -> bool {
    finding.suppressed.is_none() && finding.status() != Status::Pass
}

/// What the findings say about the provider, suppressed or not: suppressing silences, it does
/// not mend.
pub(crate) fn truth(findings: &[Finding]) -> Status {
    Status::worst(findings.iter().map(Finding::status)).unwrap_or(Status::Pass)
}

/// Whether trying again unchanged may help: something is wrong, all of it may pass by itself, and
/// no credential is in doubt.
pub(crate) fn may_pass(findings: &[Finding]) -> bool {
    let wrong = || findings.iter().filter(|finding| finding.status() != Status::Pass);
    !truth(findings).is_good()
        && wrong().all(|finding| finding.cause.is_transient())
        && !findings.iter().any(|finding| doubts_credential(&finding.cause))
}

/// The cause that a set of findings is best summed up by: that of the first of the worst.
pub(crate) fn chief_cause(findings: &[Finding]) -> Cause {
    let worst = truth(findings);
    findings.iter().find(|it| it.status() == worst).map_or(Cause::Undetermined, |it| it.cause.clone())
}

fn doubts_credential(cause: &Cause) -> bool {
    cause.as_str().starts_with("credential.") || *cause == Cause::SshKeyRejected
}

/// The same for the same finding on the same integration in every run and every version:
/// 64-bit FNV-1a over what identifies it.
fn fingerprint(integration: &str, finding: &Finding) -> String {
    let subject = finding.subject.as_ref();
    let parts = [
        integration,
        &finding.code,
        finding.cause.as_str(),
        subject.map_or("", |subject| &subject.kind),
        subject.map_or("", |subject| &subject.name),
    ];
    // A zero byte after each part keeps ("ab", "c") and ("a", "bc") apart.
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}
