//! What runs, and what a plan says of it.

use lineman_engine::{Plan, PlanError, Selection, plan};
use lineman_model::Level;
use serde_json::{Value, from_value, json};

use crate::scripted::{Stage, assert_lines};

const A: &str = "
    config a/config
    reach a/reach < a/config
    identity a/identity < a/reach
    access a/access < a/identity
    operation a/write < a/access writes";
const B: &str = "reach b/reach\noperation b/clone < b/reach";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn planned(selection: &Selection) -> Result<Plan, PlanError> {
    plan(Stage::new([("one", A), ("two", B)]).subjects, selection)
}

#[test]
fn a_selection_runs_what_it_names_and_what_that_needs() {
    let check = |only: &[&str], skip: &[&str], level, expected: &str| {
        let selection = Selection { only: words(only), skip: words(skip), level, ..Selection::default() };
        let view = planned(&selection).unwrap().view();
        let runs = view.integrations.iter().map(|integration| {
            let checks = integration.checks.iter().filter(|check| check.skip.is_none());
            format!("{}: {}\n", integration.name, checks.map(|check| check.id.as_str()).collect::<Vec<_>>().join(" "))
        });
        assert_lines(&runs.collect::<String>(), expected, &format!("{selection:?}"));
    };
    check(&[], &[], None, "one: a/config a/reach a/identity a/access\ntwo: b/reach b/clone");
    check(&["a/identity"], &[], None, "one: a/config a/reach a/identity");
    check(&["*/reach"], &[], None, "one: a/config a/reach\ntwo: b/reach");
    check(&["b/*"], &[], None, "two: b/reach b/clone");
    check(&["a/identity"], &["a/reach"], None, "one: a/identity");
    check(&[], &["a/*"], None, "one:\ntwo: b/reach b/clone");
    check(&[], &[], Some(Level::Reach), "one: a/config a/reach\ntwo: b/reach");
}

#[test]
fn single_integrations_can_be_asked_for_checks_of_their_own() {
    let mut selection = Selection::default();
    // One that the plugin has no more is not missed.
    selection.only_of.insert("one".to_owned(), words(&["a/identity", "a/gone"]));
    let view = planned(&selection).unwrap().view();
    let runs = view.integrations.iter().map(|integration| {
        let checks = integration.checks.iter().filter(|check| check.skip.is_none());
        format!("{}: {}\n", integration.name, checks.map(|check| check.id.as_str()).collect::<Vec<_>>().join(" "))
    });
    assert_lines(&runs.collect::<String>(), "one: a/config a/reach a/identity\ntwo: b/reach b/clone", "only one");
}

#[test]
fn a_word_that_names_no_check_is_refused() {
    let check = |only: &str, expected: &str| {
        let refused = planned(&Selection { only: words(&[only]), ..Selection::default() });
        assert_eq!(refused.unwrap_err().to_string(), expected);
    };
    check("a/identify", "no check is called `a/identify`; did you mean `a/identity`?");
    check("reach", "no check is called `reach`; did you mean `a/reach` or `b/reach`?");
    check("c/*", "no check is called `c/*`");
    check("lineman/inputs", "`lineman/inputs` always runs; it cannot be chosen or skipped");
}

#[tokio::test(start_paused = true)]
async fn a_skipped_need_does_not_hide_what_lies_below_it() {
    let mut stage = Stage::new([("one", "reach a/r = network.dns\nidentity a/i < a/r\naccess a/a < a/i")]);
    stage.selection.skip = words(&["a/i"]);
    let report = stage.report().await;
    let blocked_by = report.integrations[0].checks[3].skip.as_ref().and_then(|skip| skip.blocked_by.as_deref());
    assert_eq!(blocked_by, Some("a/r"));
}

#[test]
fn a_plan_shows_the_hosts_that_would_be_talked_to() {
    let check = |declared: Value, settings: Value, connection: Value, expected: &[&str]| {
        let mut stage = Stage::new([("one", "reach a/reach")]);
        let subject = stage.first();
        let mut description = subject.description.as_ref().clone();
        description.hosts = from_value(declared).unwrap();
        description.settings =
            from_value(json!({ "properties": { "region": { "default": "eu-west-1" }, "url": {} } })).unwrap();
        subject.description = description.into();
        subject.integration.settings = from_value(settings).unwrap();
        subject.integration.connection = from_value(connection).unwrap();
        let view = plan(stage.subjects, &Selection::default()).unwrap().view();
        assert_eq!(view.integrations[0].hosts, expected);
    };
    let regional = json!(["sts.{region}.cloud.test:443"]);
    check(regional.clone(), json!({}), json!({}), &["sts.eu-west-1.cloud.test:443"]);
    check(regional.clone(), json!({ "region": "us-1" }), json!({}), &["sts.us-1.cloud.test:443"]);
    check(regional.clone(), json!({}), json!({ "endpoint_url": "http://127.0.0.1:5000/x" }), &["127.0.0.1:5000"]);
    check(
        regional,
        json!({}),
        json!({ "endpoints": { "s3": "https://s3.internal" } }),
        &["sts.eu-west-1.cloud.test:443", "s3.internal:443"],
    );
    check(json!(["{url}"]), json!({ "url": "https://user@git.test/r.git" }), json!({}), &["git.test:443"]);
    check(json!(["{url}"]), json!({ "url": "ssh://git@git.test/r.git" }), json!({}), &["git.test:22"]);
    check(json!(["{url}"]), json!({ "url": "git@git.test:r.git" }), json!({}), &["git.test:22"]);
    check(json!(["{url}"]), json!({}), json!({}), &["{url}"]);
}
