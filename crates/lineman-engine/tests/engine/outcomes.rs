//! What checks come to, alone and together.

use jiff::civil::date;
use lineman_engine::{ExitCode, FailOn, Suppression, Unavailable, Writes, exit_code};
use lineman_model::{Cause, Finding, Level, Requirement, Severity, Status};

use crate::scripted::{Stage, assert_lines, finding, tell};

async fn check_with(script: &str, change: impl FnOnce(&mut Stage), expected: &str) {
    let mut stage = Stage::new([("one", script)]);
    change(&mut stage);
    assert_lines(&tell(&stage.report().await), expected, script);
}

async fn check(script: &str, expected: &str) {
    check_with(script, |_| {}, expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_need_blocks_and_the_root_is_named() {
    let script = "
        config a/config
        reach a/reach < a/config = network.dns
        identity a/identity < a/reach
        access a/access < a/identity
        config a/key = credential.expiring";
    let expected = "
        one: fail, proved config
        lineman/inputs pass
        a/config pass
        a/reach fail network.dns
        a/identity skip blocked a/reach
        a/access skip blocked a/reach
        a/key warn credential.expiring";
    check(script, expected).await;
}

#[tokio::test(start_paused = true)]
async fn verdict_and_level_follow_from_the_required_checks() {
    let up_to_access = "
        one: pass, proved access
        lineman/inputs pass
        a/reach pass
        a/access pass";
    check("reach a/reach\naccess a/access < a/reach", up_to_access).await;

    // Nothing to prove neither blocks nor lowers.
    let idle = "
        one: pass, proved access
        lineman/inputs pass
        a/reach pass
        a/role skip not-applicable
        a/quota skip missing-input
        a/access pass";
    let script = "
        reach a/reach
        identity a/role = skip not-applicable
        identity a/quota = skip missing-input
        access a/access < a/role a/quota";
    check(script, idle).await;

    // Only what is required counts, but what it blocks is missing.
    let optional = "
        one: unknown, proved reach
        lineman/inputs pass
        a/reach pass
        a/extra fail config.invalid
        a/identity skip blocked a/extra";
    let script = "
        reach a/reach
        config a/extra optional = config.invalid
        identity a/identity < a/extra";
    check(script, optional).await;

    // A forbidden check proves nothing and fails nothing; what needs it is forbidden too.
    let forbidden = "
        one: pass, proved config
        lineman/inputs pass
        a/config pass
        a/reach skip policy
        a/identity skip policy a/reach";
    check("config a/config\nreach a/reach = skip policy\nidentity a/identity < a/reach", forbidden).await;

    // That secrets resolve says nothing about the provider.
    let nothing_ran = "
        one: unknown, proved config
        lineman/inputs pass
        a/reach skip not-applicable";
    check("reach a/reach = skip not-applicable", nothing_ran).await;

    // A hole in the line is not proved, and what is above it stands on its own needs only.
    let broken_below = "
        one: fail, proved reach
        lineman/inputs pass
        a/reach pass
        a/identity fail credential.revoked
        a/operation pass";
    check("reach a/reach\nidentity a/identity = credential.revoked\noperation a/operation", broken_below).await;
}

#[tokio::test(start_paused = true)]
async fn the_network_and_the_provider_leave_a_credential_undecided() {
    let outcome = |status: &str, cause: &str| {
        format!("one: {status}, proved config\nlineman/inputs pass\na/identity {status} {cause} after {status} {cause}")
    };
    for cause in ["network.timeout", "network.reset", "provider.outage", "provider.rate-limited"] {
        check(&format!("identity a/identity = {cause}"), &outcome("unknown", cause)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_is_transient_is_tried_again() {
    let one = |script: &'static str, expected: &'static str| async move {
        let mut stage = Stage::new([("one", script)]);
        stage.limits.retries = 2;
        stage.first().writes = Writes::Named(vec!["a/x".to_owned()]);
        let report = stage.report().await;
        let told = tell(&report);
        assert_eq!(told.lines().last().unwrap(), expected, "{script}");
    };
    one("reach a/x = network.timeout | pass", "a/x pass after fail network.timeout").await;
    one(
        "identity a/x = provider.outage | provider.rate-limited | pass",
        "a/x pass after unknown provider.outage after unknown provider.rate-limited",
    )
    .await;
    one("reach a/x = network.reset | network.dns | pass", "a/x fail network.dns after fail network.reset").await;
    one("identity a/x = credential.invalid | pass", "a/x fail credential.invalid").await;
    one(
        "identity a/x = provider.outage + permission.insufficient | pass",
        "a/x fail provider.outage permission.insufficient",
    )
    .await;
    one(
        "identity a/x = provider.outage + credential.expiring!info | pass",
        "a/x unknown provider.outage credential.expiring",
    )
    .await;
    one("operation a/x writes = provider.outage | pass", "a/x unknown provider.outage").await;
    one("identity a/x = plugin.crashed | pass", "a/x error plugin.crashed").await;
}

#[tokio::test(start_paused = true)]
async fn an_integration_that_is_not_admitted_never_reaches_its_plugin() {
    let script = "config a/config\nreach a/reach < a/config";
    let blocked = |first: &str| {
        format!(
            "one: {first}
            a/config skip blocked lineman/inputs
            a/reach skip blocked lineman/inputs"
        )
    };
    let missing = |stage: &mut Stage| stage.first().inputs = Err(vec![finding("credential.missing")]);
    check_with(script, missing, &blocked("fail, proved nothing\nlineman/inputs fail credential.missing")).await;

    let refused = |stage: &mut Stage| stage.first().policy = vec![finding("config.endpoint-wrong")];
    check_with(script, refused, &blocked("fail, proved nothing\nlineman/inputs fail config.endpoint-wrong")).await;

    // Suppressing a refusal makes it quiet; it does not open the door.
    let suppressed = |stage: &mut Stage| {
        refused(stage);
        stage.info.suppressions = vec![suppression("p/config-endpoint-wrong", 9999)];
    };
    let quiet = blocked("unknown, proved nothing\nlineman/inputs pass config.endpoint-wrong (suppressed)");
    check_with(script, suppressed, &quiet).await;

    let warned = |stage: &mut Stage| stage.first().policy = vec![finding("config.invalid!warn")];
    let admitted = "
        one: warn, proved reach
        lineman/inputs warn config.invalid
        a/config pass
        a/reach pass";
    check_with(script, warned, admitted).await;
}

fn suppression(code: &str, year: i16) -> Suppression {
    Suppression { integration: "one".into(), code: code.into(), until: date(year, 1, 1), reason: "known".into() }
}

#[tokio::test(start_paused = true)]
async fn a_suppressed_finding_is_silent_until_its_date_and_mends_nothing() {
    let script = "reach a/reach = config.invalid\nidentity a/identity\naccess a/access < a/reach";
    let suppress =
        |year| move |stage: &mut Stage| stage.info.suppressions = vec![suppression("p/config-invalid", year)];
    let silent = "
        one: pass, proved config
        lineman/inputs pass
        a/reach pass config.invalid (suppressed)
        a/identity pass
        a/access skip blocked a/reach";
    check_with(script, suppress(9999), silent).await;
    let expired = "
        one: fail, proved config
        lineman/inputs pass
        a/reach fail config.invalid
        a/identity pass
        a/access skip blocked a/reach";
    check_with(script, suppress(2020), expired).await;

    let ours = |stage: &mut Stage| stage.info.suppressions = vec![suppression("p/plugin-crashed", 9999)];
    let crashed = "
        one: error, proved config
        lineman/inputs pass
        a/reach error plugin.crashed";
    check_with("reach a/reach = plugin.crashed", ours, crashed).await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_has_no_say_in_what_the_engine_decides() {
    // A skip that only the engine may give.
    let expected = "
        one: error, proved config
        lineman/inputs pass
        a/reach error plugin.bad-output";
    check("reach a/reach = skip not-requested", expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_cannot_be_had_costs_its_own_integrations_only() {
    let mut stage = Stage::new([("one", "reach a/reach")]);
    let mut gone = Stage::new([("gone", "reach b/reach")]);
    let subject = gone.subjects.remove(0).unwrap();
    let finding = Finding::new("lineman/untrusted", Cause::PluginUntrusted, "not the approved file");
    let gone = Unavailable { integration: subject.integration, plugin: subject.plugin, finding };
    stage.subjects.push(Err(Box::new(gone)));
    for (name, script) in [
        ("circle", "reach c/x < c/y\nreach c/y < c/x"),
        ("nowhere", "reach d/x < d/y"),
        ("twice", "reach e/x\nreach e/x"),
    ] {
        stage.subjects.push(Stage::new([(name, script)]).subjects.remove(0));
    }
    let expected = "
        circle: error, proved nothing
        lineman/plugin error plugin.bad-output
        gone: error, proved nothing
        lineman/plugin error plugin.untrusted
        nowhere: error, proved nothing
        lineman/plugin error plugin.bad-output
        one: pass, proved reach
        lineman/inputs pass
        a/reach pass
        twice: error, proved nothing
        lineman/plugin error plugin.bad-output";
    let report = stage.report().await;
    assert_lines(&tell(&report), expected, "");
    assert_eq!(report.verdict, Status::Error);
    assert_eq!((report.summary.integrations.error, report.summary.integrations.pass), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_proved_is_listed() {
    let check = |script: &'static str, change: fn(&mut Stage), expected: &'static str| async move {
        let mut stage = Stage::new([("one", script)]);
        change(&mut stage);
        let report = stage.report().await;
        let list =
            report.integrations[0].not_proved.iter().map(|it| format!("{}: {}; {}\n", it.level, it.what, it.why));
        assert_lines(&list.collect::<String>(), expected, script);
    };
    let script = "
        reach a/reach
        identity a/identity = credential.invalid
        access a/access < a/identity
        dependency a/role = skip not-applicable";
    let expected = "
        identity: the provider accepts the credential; `a/identity` failed
        access: the permissions that are required are granted; blocked by `a/identity`
        dependency: the things it depends on exist and fit; the script says so
        operation: a real, read-only operation succeeds; there is no check for it";
    check(script, |_| {}, expected).await;

    let script = "
        reach a/reach
        reach a/proxy optional = network.proxy
        identity a/identity < a/reach
        operation a/write writes
        operation a/read";
    let expected = "
        reach: a/reach holds; `a/reach` was not run: it was asked to be skipped
        reach: a/proxy holds; `a/proxy` failed
        access: the permissions that are required are granted; there is no check for it
        dependency: the things it depends on exist and fit; there is no check for it
        operation: a real, read-only operation succeeds; `a/write` was not run: \
            it writes at the provider, and `allow_writes` does not name it";
    check(script, |stage| stage.selection.skip = vec!["a/reach".into()], expected).await;

    let expected = "
        config: the settings make sense; `lineman/inputs` failed
        reach: the endpoint answers; `lineman/inputs` failed
        identity: the provider accepts the credential; `lineman/inputs` failed
        access: the permissions that are required are granted; `lineman/inputs` failed
        dependency: the things it depends on exist and fit; `lineman/inputs` failed
        operation: a real, read-only operation succeeds; `lineman/inputs` failed";
    check("reach a/reach", |stage| stage.first().inputs = Err(vec![finding("credential.missing")]), expected).await;
}

#[tokio::test(start_paused = true)]
async fn findings_get_ids_severities_and_lasting_fingerprints() {
    let script = "identity a/identity = permission.insufficient@role:r + network.timeout + credential.expiring";
    let report = Stage::new([("one", script)]).report().await;
    let seen: Vec<_> = report.integrations[0].findings().map(|it| (it.id.as_str(), it.severity)).collect();
    let expected = [
        ("one/a/identity#1", Some(Severity::Fail)),
        ("one/a/identity#2", Some(Severity::Unknown)),
        ("one/a/identity#3", Some(Severity::Warn)),
    ];
    assert_eq!(seen, expected);
    // History and suppressions of other tools refer to these: they may never change.
    let fingerprints: Vec<_> = report.integrations[0].findings().map(|it| it.fingerprint.as_str()).collect();
    assert_eq!(fingerprints, ["f2708e9bc0711cff", "af6d27f71ef0ae45", "3a552610f4905273"]);
}

#[tokio::test(start_paused = true)]
async fn the_exit_code_has_its_precedence() {
    let check = |scripts: &'static [&'static str], fail_on, expected| async move {
        let names = ["one", "two", "three"];
        let report = Stage::new(names.into_iter().zip(scripts.iter().copied())).report().await;
        assert_eq!(exit_code(&report, fail_on), expected, "{scripts:?}");
    };
    const FAIL: &str = "reach a/x = network.dns";
    const ERROR: &str = "reach a/x = plugin.crashed";
    const UNKNOWN: &str = "reach a/x = undetermined";
    const WARN: &str = "reach a/x = credential.expiring";
    const PASS: &str = "reach a/x";
    check(&[PASS, WARN], FailOn::Fail, ExitCode::Ok).await;
    check(&[PASS, WARN], FailOn::Warn, ExitCode::Failed).await;
    check(&[PASS, UNKNOWN], FailOn::Warn, ExitCode::Undetermined).await;
    check(&[UNKNOWN, ERROR, PASS], FailOn::Fail, ExitCode::Faulty).await;
    check(&[UNKNOWN, ERROR, WARN], FailOn::Warn, ExitCode::Failed).await;
    check(&[UNKNOWN, ERROR, FAIL], FailOn::Fail, ExitCode::Failed).await;
    check(&[], FailOn::Fail, ExitCode::Undetermined).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_checks_say_besides_findings_is_gathered() {
    let script = r#"
        access a/zero = {"credentials":[{"secret":"key","id":"AK…17","created_at":"2026-01-01T00:00:00Z"}]}
        access a/one = {"credentials":[{"secret":"key","fingerprint":"forged","newer_active":true}],"requirements":[{"id":"r1","status":"pass"},{"id":"r2","status":"pass"},{"id":"x","status":"pass"}],"expires":[{"what":"the key","at":"2030-01-01T00:00:00Z"}]}
        operation a/two = {"requirements":[{"id":"r2","status":"fail"}],"expires":[{"what":"the token","at":"2029-01-01T00:00:00Z"},{"what":"the key","at":"2030-01-01T00:00:00Z"}],"not_proved":[{"level":"access","what":"deleting","why":"not simulated"}],"phases":[{"name":"dns","duration_ms":3,"ok":true}]}"#;
    let mut stage = Stage::new([("one", script)]);
    let requires = ["r1", "r2", "r3"].map(|id| Requirement { id: id.into(), words: Default::default() });
    stage.first().integration.requires = requires.to_vec();
    let marks = [("key", "k:1"), ("token", "k:2")].map(|(name, mark)| (name.to_owned(), mark.to_owned()));
    stage.first().fingerprints = marks.into();
    let report = stage.report().await.integrations.remove(0);

    let requirements: Vec<_> = report.requirements.iter().map(|it| (it.id.as_str(), it.status)).collect();
    assert_eq!(requirements, [("r1", Status::Pass), ("r2", Status::Fail), ("r3", Status::Unknown)]);
    let expires: Vec<_> = report.expires.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(expires, ["the token", "the key"]);
    let not_proved: Vec<_> = report.not_proved.iter().map(|it| (it.level, it.what.as_str())).collect();
    assert_eq!(not_proved, [(Level::Access, "deleting")]);
    assert_eq!(report.checks[3].phases.len(), 1);
    // What plugins tell of a credential is put together; its mark is the host's to give.
    let [key, token] = report.credentials.as_slice() else { panic!("{:?}", report.credentials) };
    assert_eq!(
        (key.secret.as_str(), key.fingerprint.as_deref(), key.id.as_deref()),
        ("key", Some("k:1"), Some("AK…17"))
    );
    assert_eq!((key.created_at.is_some(), key.newer_active), (true, Some(true)));
    assert_eq!((token.secret.as_str(), token.fingerprint.as_deref(), &token.id), ("token", Some("k:2"), &None));
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_looked_for_only_where_it_can_explain_something() {
    let incident = "reach a/status optional explains = provider.outage!warn";
    // Nothing failed, or nothing that an incident could explain.
    let idle = "
        one: pass, proved identity
        lineman/inputs pass
        a/status skip not-applicable
        a/reach pass
        a/identity pass";
    check(&format!("{incident}\nreach a/reach\nidentity a/identity < a/reach"), idle).await;
    let refused = "
        one: fail, proved reach
        lineman/inputs pass
        a/status skip not-applicable
        a/reach pass
        a/identity fail credential.invalid";
    check(&format!("{incident}\nreach a/reach\nidentity a/identity < a/reach = credential.invalid"), refused).await;
    // It explains what stands on its own level too, and what blocks others does not block it.
    let explained = "
        one: fail, proved config
        lineman/inputs pass
        a/status warn provider.outage
        a/reach fail network.timeout after fail network.timeout
        a/identity skip blocked a/reach";
    check(&format!("{incident}\nreach a/reach = network.timeout\nidentity a/identity < a/reach"), explained).await;
    let asked = "
        one: unknown, proved config
        lineman/inputs pass
        a/reach skip not-requested
        a/status pass";
    let only = |stage: &mut Stage| stage.selection.only = vec!["a/status".to_owned()];
    check_with("reach a/reach\nreach a/status optional explains", only, asked).await;
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_the_root_of_what_the_provider_did_not_answer() {
    let script = "
        reach a/reach
        identity a/identity < a/reach = network.timeout
        reach a/status optional explains = provider.outage!warn";
    let report = Stage::new([("one", script)]).report().await;
    let causes: Vec<_> = report.causes.iter().map(|group| (group.cause.clone(), group.findings.len())).collect();
    assert_eq!(causes, [(Cause::ProviderOutage, 2)]);
}

#[tokio::test(start_paused = true)]
async fn only_those_writes_run_that_are_named_and_none_that_the_policy_denies() {
    let script = "operation a/write writes\noperation a/push writes\nreach a/reach";
    let lines = |write: &str, push: &str| {
        format!("one: pass, proved reach\nlineman/inputs pass\na/write {write}\na/push {push}\na/reach pass")
    };
    for (writes, write, push) in [
        (Writes::Named(Vec::new()), "skip not-requested", "skip not-requested"),
        (Writes::Named(vec!["a/write".to_owned()]), "pass", "skip not-requested"),
        (Writes::Denied, "skip policy", "skip policy"),
    ] {
        check_with(script, |stage| stage.first().writes = writes, &lines(write, push)).await;
    }
}
