//! What is tested again, and how the outcome differs.

use std::collections::BTreeMap;

use lineman_history::{Change, Comparison, FingerprintKey, Given, Known, awaits_a_credential, compare, merged, passes};
use lineman_model::{Credential, Integration, Secret, SecretMap};

use crate::{at, declared, report};

fn known(lines: &str) -> BTreeMap<String, Known> {
    Known::of_report(&report(0, lines))
}

#[test]
fn what_did_not_pass_runs_again_with_all_that_needs_it() {
    let check = |before: &str, warned: bool, expected: &str| {
        let again = known(&format!("x: {before}"))["x"].again(&declared(), warned);
        assert_eq!(again.join(" ").replace("p/", ""), expected, "{before}");
    };
    check("reach pass, identity pass", false, "");
    check(
        "reach pass, identity fail credential.invalid, access blocked",
        false,
        "access dependency identity operation",
    );
    check("operation unknown provider.outage, identity pass", false, "operation");
    check("dependency warn quota.exceeded, operation pass", false, "");
    check("dependency warn quota.exceeded, operation pass", true, "dependency operation");
    check("dependency not-applicable, operation pass", false, "");
    // What an earlier, larger run proved rests on what has failed since.
    check("access fail permission.insufficient, operation pass", false, "access dependency operation");
}

#[test]
fn an_integration_that_never_reached_its_plugin_runs_whole() {
    let mut before = report(0, "x: config fail credential.missing, reach blocked");
    before.integrations[0].checks[0].id = "lineman/inputs".to_owned();
    assert_eq!(Known::of_report(&before)["x"].again(&declared(), false).len(), declared().len());
}

#[test]
fn each_difference_has_its_word() {
    let check = |before: &str, now: &str, expected: Change, checks: &[(&str, Change)]| {
        let after = report(1, &format!("x: {now}"));
        let before = known(&format!("x: {before}"));
        let compared = compare(&before, &after.integrations, &BTreeMap::new(), after.run.finished_at);
        assert_eq!(compared[0].change, expected, "{now}");
        let differences: Vec<_> =
            compared[0].checks.iter().map(|it| (it.check.trim_start_matches("p/"), it.change)).collect();
        assert_eq!(differences, checks, "{now}");
    };
    use Change::*;
    let broken = "reach pass, identity fail credential.invalid, access blocked";
    check(broken, "reach pass, identity pass, access pass", Fixed, &[("identity", Fixed), ("access", Fixed)]);
    check(
        broken,
        "reach pass, identity fail credential.invalid, access blocked",
        StillFailing,
        &[("identity", StillFailing), ("access", StillFailing)],
    );
    check(
        broken,
        "reach pass, identity fail credential.expired, access blocked",
        ChangedCause,
        &[("identity", ChangedCause), ("access", StillFailing)],
    );
    // Nobody had seen it fail: it was not reached.
    check(
        broken,
        "reach pass, identity pass, access fail permission.insufficient",
        ChangedCause,
        &[("identity", Fixed), ("access", NewlyFailing)],
    );
    check(
        broken,
        "reach fail network.dns, identity blocked, access blocked",
        ChangedCause,
        &[("reach", NewlyFailing), ("identity", NotRun), ("access", StillFailing)],
    );
    check(
        broken,
        "reach pass, identity cancelled, access cancelled",
        NotRun,
        &[("identity", NotRun), ("access", NotRun)],
    );
    check("reach pass", "reach fail network.dns", NewlyFailing, &[("reach", NewlyFailing)]);
    let warned = "identity warn credential.expiring";
    check(warned, "identity pass", Fixed, &[("identity", Fixed)]);
    check(warned, warned, StillFailing, &[("identity", StillFailing)]);
    check(warned, "identity fail credential.expired", NewlyFailing, &[("identity", NewlyFailing)]);
    // A warning that stays is no failure, and none that comes with the mending.
    check("access fail permission.insufficient", "access warn permission.excessive", Fixed, &[("access", Fixed)]);
}

#[test]
fn a_credential_is_the_one_of_before_or_another() {
    let key = FingerprintKey::shared(&Secret::new("0123456789abcdef0123456789abcdef")).unwrap();
    let other = FingerprintKey::passing().unwrap();
    let given = |key: &FingerprintKey, value: &str| -> Given {
        let secrets = BTreeMap::from([("token".to_owned(), Secret::new(value))]);
        key.given(&Integration { provider: "p".into(), ..Integration::default() }, &SecretMap(secrets))
    };
    let check = |before: Option<Given>, now: Given, expected: Comparison| {
        let mut earlier = report(0, "x: identity fail credential.invalid");
        let marks = before.into_iter().flat_map(|given| given.secrets);
        earlier.integrations[0].credentials = marks
            .map(|(secret, mark)| Credential { secret, fingerprint: Some(mark), ..Credential::default() })
            .collect();
        let later = report(1, "x: identity fail credential.invalid").integrations;
        let given = BTreeMap::from([("x".to_owned(), now)]);
        let compared = compare(&Known::of_report(&earlier), &later, &given, at(1));
        assert_eq!(compared[0].credentials[0].change, expected);
    };
    check(Some(given(&key, "a")), given(&key, "a"), Comparison::Unchanged);
    check(Some(given(&key, "a")), given(&key, "b"), Comparison::Replaced);
    check(Some(given(&key, "a")), given(&other, "a"), Comparison::Unknown);
    check(None, given(&key, "a"), Comparison::Unknown);
}

#[test]
fn only_a_rejected_credential_is_waited_for() {
    let check = |checks: &str, expected: bool| {
        let report = report(0, &format!("x: {checks}"));
        assert_eq!(awaits_a_credential(&report.integrations[0], |_| false), expected, "{checks}");
        // A new key that is not known everywhere yet looks like one that never was.
        assert!(!awaits_a_credential(&report.integrations[0], |_| true), "{checks}");
    };
    check("identity fail credential.invalid", true);
    check("identity fail ssh.key-rejected, access blocked", true);
    check("identity fail credential.challenge-required", false);
    check("access fail permission.insufficient", false);
    check("identity pass, access unknown provider.propagation", false);
    check("identity warn credential.expired", false);
    check("config fail credential.missing", false);
}

#[test]
fn attempts_make_one_report() {
    let first = report(0, "a: identity pass\nb: identity fail credential.invalid");
    let second = report(1, "b: identity pass");
    let whole = merged(vec![first, second]).unwrap();
    let names: Vec<&str> = whole.integrations.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(whole.integrations.iter().all(passes));
    assert_eq!((whole.summary.integrations.pass, whole.run.id.as_str()), (2, "run-1"));
    assert!(merged(Vec::new()).is_none());
}
