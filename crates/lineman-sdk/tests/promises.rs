//! What a check says reaches the host complete, and without a secret.

use lineman_catalog::Catalog;
use lineman_model::protocol::CheckOutcome;
use lineman_model::{Evidence, SkipReason};
use lineman_sdk::prelude::*;
use lineman_sdk::testing::{Harness, Seen};
use serde_json::{Value, json};

const CATALOG: &str = r#"
    [[rule]]
    code = "down"
    cause = "network.timeout"
    message = "It is down."
    remedies = ["Wake it."]
    docs = [{ title = "Sleep", url = "https://docs.example.com/sleep" }]
"#;
const TOKEN: &str = "t0k3n/of the+test";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    count: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Secrets {
    token: Secret,
}

struct Says;

impl Provider for Says {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = ();

    fn about() -> About {
        About::new("says", "Says", "1.0.0").catalog(CATALOG)
    }

    fn checks() -> Vec<Check<Says>> {
        vec![
            Check::new("nothing", Level::Config, "It says nothing", async |_: Cx<Says>| Ok(())),
            Check::new("skip", Level::Config, "It skips", async |cx: Cx<Says>| {
                Err(Stop::missing_input(format!("no use for {}", cx.secrets().token.expose())))
            }),
            Check::new("everything", Level::Config, "It says all it knows", everything),
            Check::new("panic", Level::Config, "It panics", async |cx: Cx<Says>| {
                panic!("{} {:?}", cx.secrets().token.expose(), cx.settings().count)
            }),
            Check::new("network-low", Level::Reach, "Its network fails", network),
            Check::new("network-high", Level::Access, "Its network fails", network),
            Check::new("endless", Level::Config, "It says very much", endless),
        ]
    }
}

async fn network(cx: Cx<Says>) -> Outcome {
    Err(cx.finding("down", Cause::NetworkTimeout, "It is down.").into())
}

async fn everything(cx: Cx<Says>) -> Outcome {
    let obtained = Secret::new("obtained-later");
    cx.conceal("session", &obtained);
    for text in [cx.secrets().token.expose(), obtained.expose()] {
        // In pieces, which cleaning puts together.
        let (head, tail) = text.split_at(4);
        let hidden = format!("{head}\u{0}{tail}");
        cx.progress(format!("progress {text}"));
        cx.not_proved(format!("what {text}"), format!("why {text}"), Some(&format!("needs {text}")));
        cx.requirement(text, Status::Unknown);
        cx.expires(text, lineman_sdk::Timestamp::UNIX_EPOCH);
        cx.phase(text, async { Ok::<_, Stop>(()) }).await?;
        let mut finding = cx
            .finding("told", Cause::Undetermined, format!("message {hidden}"))
            .detail(format!("detail {text}\u{1b}[31m"))
            .subject("token", text)
            .pointer(format!("/secrets/{text}"))
            .evidence(Evidence::log("log", &format!("line {hidden}\nnext")))
            .evidence(
                serde_json::from_value(json!({ "kind": "newer", "deep": { text: [hidden] } }))
                    .unwrap_or_else(|error| panic!("{error}")),
            )
            .command(format!("remedy {text}"), ["echo", text])
            .doc(format!("doc {text}"), format!("https://example.com/{text}"));
        finding.suppressed = Some(lineman_model::Suppressed { until: "2999-01-01".into(), reason: "hush".into() });
        cx.report(finding);
    }
    Ok(())
}

async fn endless(cx: Cx<Says>) -> Outcome {
    for n in 0..5000 {
        cx.not_proved(n.to_string(), "it is endless", None);
        cx.phase("step", async { Ok::<_, Stop>(()) }).await?;
    }
    let lines = (0..5000).map(|n| format!("{n}\n")).collect::<String>();
    Err(cx.finding("long", Cause::Undetermined, "x".repeat(100_000)).evidence(Evidence::log("log", &lines)).into())
}

fn harness() -> Harness<Says> {
    Harness::new().secret("token", TOKEN)
}

/// The door: a check's status, and code and cause of its first finding.
async fn check(harness: &Harness<Says>, name: &str, status: Status, expect: Option<(&str, Cause)>) -> Seen {
    let seen = harness.check(name).await;
    let found = seen.code().zip(seen.cause().cloned());
    assert_eq!((seen.status, found), (status, expect), "{name}: {seen:?}");
    assert!(!harness.leaks(&format!("{seen:?}")), "{name}: {seen:?}");
    seen
}

#[tokio::test]
async fn a_status_follows_from_what_was_said() {
    use Status::{Error, Fail, Pass, Skip, Unknown};
    check(&harness(), "nothing", Pass, None).await;
    let seen = check(&harness(), "skip", Skip, None).await;
    let skip = seen.outcome.skip.unwrap();
    assert_eq!((skip.reason, skip.why.as_str()), (SkipReason::MissingInput, "no use for [redacted:token]"));
    let seen = check(&harness(), "panic", Error, Some(("lineman/plugin-crashed", Cause::PluginCrashed))).await;
    assert_eq!(seen.findings[0].message, "the check panicked: [redacted:token] 0");
    check(&harness(), "network-low", Fail, Some(("says/down", Cause::NetworkTimeout))).await;
    check(&harness(), "network-high", Unknown, Some(("says/down", Cause::NetworkTimeout))).await;
}

#[tokio::test]
async fn what_is_configured_wrong_is_told_where_it_is() {
    let check = async |harness: Harness<Says>, code: &str, cause: Cause, pointer: &str| {
        let seen = check(&harness, "nothing", Status::Fail, Some((code, cause))).await;
        let subject = seen.findings[0].subject.clone().unwrap();
        assert_eq!(subject.pointer.as_deref(), Some(pointer), "{seen:?}");
    };
    use Cause::{ConfigInvalid, CredentialMissing};
    let wrong = |settings: Value| harness().settings(settings);
    check(wrong(json!({ "count": TOKEN })), "says/settings-invalid", ConfigInvalid, "/settings").await;
    check(wrong(json!({ "cuont": 1 })), "says/settings-invalid", ConfigInvalid, "/settings").await;
    check(Harness::new(), "says/secret-missing", CredentialMissing, "/secrets/token").await;
    check(Harness::new().secret("token", ""), "says/secret-missing", CredentialMissing, "/secrets/token").await;
    check(harness().secret("secnod", "misnamed"), "says/secrets-invalid", ConfigInvalid, "/secrets").await;
}

#[tokio::test]
async fn nothing_that_is_said_holds_a_secret() {
    let harness = harness();
    let seen = check(&harness, "everything", Status::Unknown, Some(("says/told", Cause::Undetermined))).await;
    let text = format!("{seen:?}");
    // Every place but what a hidden character broke was masked by name; that one, once joined, too.
    let CheckOutcome { not_proved, requirements, expires, phases, .. } = &seen.outcome;
    for name in ["[redacted:token]", "[redacted:session]"] {
        let places: Vec<&str> = not_proved
            .iter()
            .flat_map(|entry| [entry.what.as_str(), entry.why.as_str(), entry.needs.as_deref().unwrap_or_default()])
            .chain(requirements.iter().map(|requirement| requirement.id.as_str()))
            .chain(expires.iter().map(|expiry| expiry.what.as_str()))
            .chain(phases.iter().map(|phase| phase.name.as_str()))
            .chain(seen.progress.iter().map(String::as_str))
            .collect();
        assert_eq!(places.iter().filter(|place| place.contains(name)).count(), 7, "{places:?}");
        assert!(seen.findings.iter().any(|finding| finding.message == format!("message {name}")), "{text}");
    }
    assert!(!text.contains('\u{1b}') && !text.contains("[31m"), "{text}");
    assert!(seen.findings.iter().all(|finding| finding.suppressed.is_none()), "only the configuration suppresses");
}

#[tokio::test]
async fn nothing_grows_without_bound() {
    let seen = check(&harness(), "endless", Status::Unknown, Some(("says/long", Cause::Undetermined))).await;
    assert!(seen.findings[0].message.len() < 4096);
    assert_eq!((seen.outcome.not_proved.len(), seen.outcome.phases.len()), (1000, 1000));
    match &seen.findings[0].evidence[0] {
        Evidence::Log { lines, .. } => assert_eq!((lines.len(), lines.last().map(String::as_str)), (201, Some("4999"))),
        other => panic!("{other:?}"),
    }
}

/// A plugin whose list of checks is given by a number.
struct Contradicts<const N: u8>;

impl<const N: u8> Provider for Contradicts<N> {
    type Settings = Settings;
    type Secrets = Settings;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = ();

    fn about() -> About {
        About::new("x", "X", "1.0.0").catalog(if N == 3 { "[[rule]]" } else { "" })
    }

    fn checks() -> Vec<Check<Self>> {
        let check = |name: &str| Check::new(name, Level::Config, "", async |_: Cx<Self>| Ok(()));
        match N {
            0 => vec![check("one"), check("one")],
            1 => vec![check("one").needs(["two"])],
            2 => vec![check("One")],
            4 => vec![check("one").deprecated("two")],
            5 => vec![check("one").deprecated("two"), check("two"), check("three").deprecated(None)],
            _ => vec![check("one")],
        }
    }
}

#[test]
fn a_plugin_that_contradicts_itself_is_told_how() {
    fn said<const N: u8>() -> String {
        let panic = std::panic::catch_unwind(|| drop(Harness::<Contradicts<N>>::new())).unwrap_err();
        panic.downcast_ref::<String>().cloned().unwrap_or_default()
    }
    assert_eq!(said::<0>(), "the checks of plugin `x` are wrong: there are two `x/one`");
    assert_eq!(said::<1>(), "the checks of plugin `x` are wrong: `x/one` needs `x/two`, which there is not");
    assert_eq!(said::<2>(), "the checks of plugin `x` are wrong: the name `One` is not kebab-case");
    assert!(said::<3>().contains("the catalog of x cannot be read"), "{}", said::<3>());
    assert_eq!(said::<4>(), "the checks of plugin `x` are wrong: `x/one` is replaced by `x/two`, which there is not");
}

#[test]
fn what_is_deprecated_says_what_takes_its_place() {
    let harness = Harness::<Contradicts<5>>::new();
    let said = harness.description().checks.iter().map(|check| (check.deprecated, check.replaced_by.as_deref()));
    assert_eq!(said.collect::<Vec<_>>(), [(true, Some("x/two")), (false, None), (true, None)]);
}

/// The path to an endpoint is walked for every plugin, so that its faults are described once.
#[test]
fn every_fault_of_the_path_can_be_explained() {
    for fault in lineman_net::Fault::ALL {
        let known = Catalog::of_every_plugin().describe(fault.code());
        let told = known.as_ref().map(|known| (known.code.as_str(), known.cause.as_str()));
        let code = format!("plugin/{}", fault.code());
        assert_eq!(told, Some((code.as_str(), fault.cause().as_str())));
    }
}

#[tokio::test]
async fn what_the_catalog_says_of_a_code_is_told_with_the_finding() {
    let seen = harness().check("network-low").await;
    let finding = &seen.findings[0];
    assert_eq!((finding.remedies[0].text.as_str(), finding.docs[0].title.as_str()), ("Wake it.", "Sleep"));
}
