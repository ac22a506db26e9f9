//! What the other commands print: explanations, tables, single findings, the next command.

use lineman_model::{Cause, Confidence, Event, Finding};
use lineman_report::{ExplainedMatch, Format, Style, event, explanation, finding_human, next_command, table, wrap};

use crate::{PLAIN, reports};

fn known_failures() -> Vec<Finding> {
    let best = Finding::new("github/bad-credentials", Cause::CredentialInvalid, "GitHub does not accept the token.")
        .confidence(Confidence::Likely)
        .command("See which account the token belongs to.", ["gh", "auth", "status", "--hostname", "github.com"])
        .remedy("Create a new token and store it in the integration.")
        .or_else(Cause::CredentialExpired, Confidence::Possible)
        .or_else(Cause::CredentialRevoked, Confidence::Possible)
        .doc("Token expiration", "https://docs.github.com/authentication/token-expiration-and-revocation");
    let others = (1..=8).map(|n| {
        Finding::new(format!("host-{n}/denied"), Cause::RepoNoAccess, format!("Host {n} hides the repository."))
            .confidence(Confidence::Possible)
            .remedy("Ask its owner for access.")
    });
    [best].into_iter().chain(others).collect()
}

fn matches(findings: &[Finding]) -> Vec<ExplainedMatch<'_>> {
    let explained = |finding: &Finding| finding.code.split('/').next().unwrap().to_owned().leak() as &str;
    findings
        .iter()
        .map(|finding| ExplainedMatch {
            provider: explained(finding),
            finding,
            matched_text: "{\"message\": \"Bad credentials\",\u{1b}[1m \"status\": \"401\"}",
            matched_line: 7,
            place: None,
        })
        .collect()
}

#[test]
fn an_explanation_begins_with_the_best_match() {
    let findings = known_failures();
    let matches = matches(&findings);
    insta::assert_snapshot!("explanation", explanation(&matches, &PLAIN));
    insta::assert_snapshot!("explanation-of-one", explanation(&matches[..1], &PLAIN));
    insta::assert_snapshot!("explanation-of-nothing", explanation(&[], &PLAIN));
    let placed = [
        ExplainedMatch { place: Some("module.net.acme_key.a[0], net/main.tf line 12"), matched_line: 3, ..matches[0] },
        ExplainedMatch { matched_line: 9, ..matches[1] },
        ExplainedMatch { matched_line: 9, ..matches[2] },
    ];
    insta::assert_snapshot!("explanation-of-several", explanation(&placed, &PLAIN));
    assert!(explanation(&matches, &Style { verbose: true, ..PLAIN }).contains("Host 8"));
}

#[test]
fn a_finding_stands_for_itself() {
    let report = reports::all_fail();
    let shown: Vec<String> = report
        .integrations
        .iter()
        .take(2)
        .flat_map(|one| one.findings())
        .map(|one| finding_human(one, &PLAIN))
        .collect();
    insta::assert_snapshot!("finding", shown.join("\n"));
}

#[test]
fn a_table_keeps_to_its_width() {
    let rows = [
        ["aws/identity", "identity", "sts:GetCallerIdentity", "none"],
        [
            "aws/permissions",
            "access",
            "iam:SimulatePrincipalPolicy, iam:GetUser",
            "iam:SimulatePrincipalPolicy, iam:GetUser",
        ],
    ]
    .map(|row| row.map(str::to_owned).to_vec());
    insta::assert_snapshot!("table", table(&["check", "level", "calls", "permissions"], &rows, 0, &PLAIN));
    insta::assert_snapshot!("table-of-40", table(&[], &rows, 0, &Style { width: 40, ..PLAIN }));
}

#[test]
fn small_things_are_what_they_should_be() {
    assert_eq!(wrap("one\ntwo \u{1b}[31mthree", 2, &PLAIN), "  one two three\n");
    assert_eq!(next_command(&["lineman", "check", "prod aws"], &PLAIN), "→ lineman check 'prod aws'\n");
    assert_eq!("ndjson".parse::<Format>().unwrap(), Format::Ndjson);
    let unknown = "yaml\u{7}".parse::<Format>().unwrap_err().to_string();
    assert_eq!(unknown, "unknown format `yaml`; the formats are human, json, ndjson");
    for format in Format::ALL {
        assert_eq!(format.to_string().parse::<Format>().unwrap(), *format);
    }
    let started = Event::CheckStarted { integration: "a\n\u{9b}b".into(), check: "git/auth".into() };
    assert_eq!(
        event(&started),
        "{\"event\":\"check-started\",\"integration\":\"a\\n\\u009bb\",\"check\":\"git/auth\"}\n"
    );
}
