//! What `lineman logs` prints, in every format, of text that would like to be more than text.

use jiff::Timestamp;
use lineman_catalog::{EXPLANATION_SCHEMA, Explained, Explanation, Matched, Occurrence};
use lineman_model::{Cause, Confidence, Doc, Remedy};
use lineman_report::{LogFormat, LogReport, log_event, logs};
use serde_json::Value;

use crate::PLAIN;

fn at(file: &str, line: usize, time: &str) -> Option<Occurrence> {
    Some(Occurrence { file: Some(file.to_owned()), line, time: time.parse::<Timestamp>().ok() })
}

fn failure(code: &str, cause: Cause, message: &str, remedy: Remedy) -> Explained {
    Explained {
        provider: code.split('/').next().unwrap_or_default().to_owned(),
        code: code.to_owned(),
        cause,
        confidence: Confidence::Confirmed,
        message: message.to_owned(),
        detail: None,
        remedies: vec![remedy],
        docs: vec![Doc { title: "Errors".to_owned(), url: "https://docs.example.com/errors".to_owned() }],
        also_possible: Vec::new(),
        matched: Matched { text: "acme: no".to_owned(), line: Some(3), address: None, file: None, file_line: None },
        count: Some(1),
        first: at("build.log", 3, ""),
        last: at("build.log", 3, ""),
        integration: None,
        retry_after_ms: None,
    }
}

fn report() -> LogReport {
    let grant = Remedy {
        argv: ["acme", "grant", "keys:List"].map(str::to_owned).into(),
        ..Remedy::new("Grant keys:List to ann.")
    };
    let denied = Explained {
        matched: Matched {
            text: "ann is not allowed to do keys:List".to_owned(),
            line: Some(12),
            address: Some("module.net.acme_key.k[0]".to_owned()),
            file: Some("net/my main.tf".to_owned()),
            file_line: Some(7),
        },
        count: Some(1_204),
        first: at("build.log", 12, "2026-01-31T12:00:01Z"),
        last: at("build.log", 90_210, "2026-01-31T12:40:00Z"),
        integration: Some("prod".to_owned()),
        ..failure("acme/denied", Cause::PermissionInsufficient, "ann may not do keys:List.", grant.clone())
    };
    let hostile = Explained {
        count: Some(2),
        last: at("other.log", 4, "2026-02-01T00:00:00Z"),
        ..failure(
            "net/dns",
            Cause::NetworkDns,
            "No name\n::error::| [x](http://e) @all %0A <b>\u{1b}[1m.",
            Remedy::new("Check | the name."),
        )
    };
    let throttled = failure("acme/throttled", Cause::ProviderRateLimited, "Too many calls.", grant);
    LogReport {
        explanation: Explanation { schema: EXPLANATION_SCHEMA.to_owned(), matches: vec![denied, hostile, throttled] },
        lines: 90_300,
        bytes: 12_345_678,
        uncounted: 0,
        retest: vec!["prod".to_owned()],
    }
}

#[test]
fn a_log_is_told_in_every_format() {
    let report = report();
    for (name, format) in [
        ("human", LogFormat::Human),
        ("markdown", LogFormat::Markdown),
        ("github", LogFormat::Github),
        ("sarif", LogFormat::Sarif),
    ] {
        let shown = logs(&report, format, &PLAIN);
        assert!(!shown.contains('\u{1b}'), "{name}");
        insta::assert_snapshot!(format!("logs-{name}"), shown);
    }
    let json: Explanation = serde_json::from_str(&logs(&report, LogFormat::Json, &PLAIN)).unwrap();
    assert_eq!(json, report.explanation);
    let nothing =
        LogReport { explanation: Explanation { matches: Vec::new(), ..report.explanation.clone() }, ..report.clone() };
    insta::assert_snapshot!("logs-of-nothing", logs(&nothing, LogFormat::Human, &PLAIN));
    insta::assert_snapshot!("logs-event", log_event(&report.explanation.matches[0], &PLAIN));
}

#[test]
fn foreign_text_ends_no_command_and_no_cell() {
    let report = report();
    let github = logs(&report, LogFormat::Github, &PLAIN);
    assert_eq!(github.lines().count(), 3);
    assert!(github.lines().all(|line| line.starts_with("::error ") || line.starts_with("::warning ")), "{github}");
    let markdown = logs(&report, LogFormat::Markdown, &PLAIN);
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    assert!(markdown.lines().filter(|line| line.starts_with('|')).all(|line| cells(line) == 8), "{markdown}");
    let sarif: Value = serde_json::from_str(&logs(&report, LogFormat::Sarif, &PLAIN)).unwrap();
    let run = &sarif["runs"][0];
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }
    let place = &run["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "net/my%20main.tf");
}
