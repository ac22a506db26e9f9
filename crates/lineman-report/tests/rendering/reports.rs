//! Reports such as the engine makes them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lineman_model::{
    Attempt, Cause, CauseGroup, Certificate, CheckReport, Confidence, Credential, Evidence, Expiry, Finding, Header,
    IntegrationReport, Level, NotProved, Phase, PluginRef, REPORT_SCHEMA, Report, RequirementStatus, Run, Severity,
    Skip, SkipReason, Status, Summary, Suppressed, Vantage,
};

const STARTED: &str = "2026-11-23T02:58:04.120Z";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A report of these integrations, with what an engine derives from them.
pub(crate) fn report(mut integrations: Vec<IntegrationReport>) -> Report {
    integrations.sort_by(|a, b| a.name.cmp(&b.name));
    let mut causes: Vec<CauseGroup> = Vec::new();
    for integration in &mut integrations {
        for check in &mut integration.checks {
            for (n, finding) in check.findings.iter_mut().enumerate() {
                finding.id = format!("{}/{}#{}", integration.name, check.id, n + 1);
                finding.fingerprint = format!("f-{}-{}", integration.name, finding.code);
                let informs = finding.severity == Some(Severity::Info);
                if informs || finding.suppressed.is_some() || !finding.caused_by.is_empty() {
                    continue;
                }
                let same = |group: &&mut CauseGroup| group.cause == finding.cause && group.message == finding.message;
                match causes.iter_mut().find(same) {
                    Some(group) => {
                        group.findings.push(finding.id.clone());
                        group.integrations.push(integration.name.clone());
                    }
                    None => causes.push(CauseGroup {
                        cause: finding.cause.clone(),
                        message: finding.message.clone(),
                        findings: vec![finding.id.clone()],
                        integrations: vec![integration.name.clone()],
                    }),
                }
            }
        }
        let required = integration.checks.iter().filter(|check| check.required).map(|check| check.status);
        integration.verdict = Status::worst(required).unwrap_or(Status::Unknown);
    }
    let weight = |group: &CauseGroup| {
        let warns = matches!(group.cause, Cause::CredentialExpiring | Cause::PermissionExcessive);
        (warns, std::cmp::Reverse(group.integrations.len()))
    };
    causes.sort_by_key(weight);
    Report {
        schema: REPORT_SCHEMA.into(),
        run: Run {
            id: "01JDB6Z4M8".into(),
            started_at: at(STARTED),
            finished_at: at("2026-11-23T02:58:06.220Z"),
            duration_ms: 2_100,
            lineman_version: "0.1.0".into(),
            complete: true,
            vantage: Vantage { name: Some("platform-eu".into()), host: "ci-7".into(), ..Vantage::default() },
        },
        verdict: Status::worst(integrations.iter().map(|one| one.verdict)).unwrap_or(Status::Unknown),
        summary: Summary {
            integrations: integrations.iter().map(|one| one.verdict).collect(),
            checks: integrations.iter().flat_map(|one| &one.checks).map(|check| check.status).collect(),
        },
        causes,
        integrations,
    }
}

fn integration(name: &str, provider: &str, proved: Option<Level>, checks: Vec<CheckReport>) -> IntegrationReport {
    IntegrationReport {
        name: name.into(),
        provider: provider.into(),
        labels: BTreeMap::new(),
        owner: None,
        runbook: None,
        plugin: PluginRef { id: provider.into(), version: "0.1.0".into(), sha256: "9f86d081884c7d65".into() },
        verdict: Status::Unknown,
        proved,
        not_proved: Vec::new(),
        requirements: Vec::new(),
        expires: Vec::new(),
        credentials: Vec::new(),
        checks,
    }
}

fn check(id: &str, level: Level, duration_ms: u64, findings: Vec<Finding>) -> CheckReport {
    CheckReport {
        id: id.into(),
        title: format!("What {id} proves"),
        level,
        required: true,
        status: Status::of(&findings),
        duration_ms,
        attempts: Vec::new(),
        phases: Vec::new(),
        skip: None,
        findings,
    }
}

fn skipped(id: &str, level: Level, reason: SkipReason, blocked_by: Option<&str>) -> CheckReport {
    let skip = Skip { reason, blocked_by: blocked_by.map(str::to_owned), why: None };
    CheckReport { status: Status::Skip, skip: Some(skip), ..check(id, level, 0, Vec::new()) }
}

fn path(ms: u64) -> Vec<Phase> {
    let phase = |name: &str, duration_ms| Phase { name: name.into(), duration_ms, ok: true };
    vec![phase("dns", ms / 10), phase("tcp", ms / 5), phase("tls", ms / 3), phase("http", ms / 4)]
}

fn config_and_reach(provider: &str) -> Vec<CheckReport> {
    let reach = check(&format!("{provider}/reach"), Level::Reach, 142, vec![]);
    vec![check(&format!("{provider}/settings"), Level::Config, 0, vec![]), CheckReport { phases: path(142), ..reach }]
}

fn push_is_never_tried() -> NotProved {
    NotProved {
        level: Level::Access,
        what: "pushing".into(),
        why: "checks are read-only, so a push is never tried".into(),
        needs: None,
    }
}

pub(crate) fn passing_git(name: &str) -> IntegrationReport {
    let mut checks = config_and_reach("git");
    checks.push(check("git/auth", Level::Identity, 310, vec![]));
    checks.push(check("git/read", Level::Access, 95, vec![]));
    checks.push(check("git/clone", Level::Operation, 640, vec![]));
    let mut made = integration(name, "git", Some(Level::Operation), checks);
    made.not_proved.push(push_is_never_tried());
    made
}

pub(crate) fn passing_aws(name: &str) -> IntegrationReport {
    let mut checks = config_and_reach("aws");
    checks.push(check("aws/identity", Level::Identity, 187, vec![]));
    checks.push(CheckReport { required: false, ..skipped("aws/s3", Level::Operation, SkipReason::MissingInput, None) });
    let mut made = integration(name, "aws", Some(Level::Identity), checks);
    made.not_proved.push(NotProved {
        level: Level::Access,
        what: "s3:PutObject on arn:aws:s3:::state-bucket/*".into(),
        why: "the key may not simulate its own policies".into(),
        needs: Some("iam:SimulatePrincipalPolicy".into()),
    });
    made.requirements.push(RequirementStatus { id: "state".into(), status: Status::Unknown });
    made.credentials.push(Credential {
        secret: "access_key_id".into(),
        fingerprint: Some("5f2a90c1:9f86d081884c7d65".into()),
        id: Some("AKIA…9986".into()),
        created_at: Some(at("2026-03-01T12:00:00Z")),
        newer_active: Some(true),
    });
    made.expires
        .push(Expiry { what: "certificate of sts.eu-west-1.amazonaws.com".into(), at: at("2027-04-01T12:00:00Z") });
    made
}

/// The key was deactivated: everything above `reach` is broken or blocked.
pub(crate) fn revoked_key(name: &str) -> IntegrationReport {
    let finding = Finding::new("aws/key-inactive", Cause::CredentialRevoked, "AWS does not accept the access key AKIA2E0A8F3B244C9986: it has been deactivated or deleted.")
        .evidence(Evidence::Http {
            method: "POST".into(),
            url: "https://sts.eu-west-1.amazonaws.com/".into(),
            status: Some(403),
            headers: vec![],
            body: Some("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    <Code>InvalidClientTokenId</Code>\n    <Message>The security token included in the request is invalid.</Message>\n  </Error>\n  <RequestId>b25f48e8-84fd-11e8-80d0-2b7a1e5f1c3d</RequestId>\n</ErrorResponse>\n".into()),
            request_id: Some("b25f48e8-84fd-11e8-80d0-2b7a1e5f1c3d".into()),
            duration_ms: Some(187),
        })
        .command("Activate the key again, if it was switched off by mistake.", ["aws", "iam", "update-access-key", "--access-key-id", "AKIA2E0A8F3B244C9986", "--status", "Active", "--user-name", "ci deployer"])
        .remedy("Otherwise create a new key for the same user and store it in the integration.")
        .doc("Manage access keys", "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html")
        .or_else(Cause::CredentialMalformed, Confidence::Possible)
        .or_else(Cause::CredentialWrongAccount, Confidence::Possible)
        .confidence(Confidence::Likely);
    let mut checks = config_and_reach("aws");
    checks.push(check("aws/identity", Level::Identity, 201, vec![finding]));
    checks.push(skipped("aws/permissions", Level::Access, SkipReason::Blocked, Some("aws/identity")));
    checks.push(skipped("aws/roles", Level::Dependency, SkipReason::Blocked, Some("aws/identity")));
    let mut made = integration(name, "aws", Some(Level::Reach), checks);
    made.owner = Some("payments@example.com".into());
    made.runbook = Some("https://wiki.example.com/runbooks/aws-keys".into());
    made.labels.insert("env".into(), "prod".into());
    made.requirements.push(RequirementStatus { id: "state".into(), status: Status::Unknown });
    made
}

/// The key file is readable by others, and ssh refuses it.
pub(crate) fn open_key_file(name: &str) -> IntegrationReport {
    let finding = Finding::new(
        "git/key-file-mode",
        Cause::SshKeyFilePermissions,
        "Others may read the key file /etc/platform/keys/deploy_ed25519, so ssh refuses to use it.",
    )
    .pointer("/secrets/ssh_key")
    .evidence(Evidence::File {
        path: "/etc/platform/keys/deploy_ed25519".into(),
        seen: "mode 0644, owner platform".into(),
    })
    .evidence(Evidence::Ssh {
        address: "git.example.com:22".into(),
        lines: vec![
            "Permissions 0644 for '/etc/platform/keys/deploy_ed25519' are too open.".into(),
            "Load key \"/etc/platform/keys/deploy_ed25519\": bad permissions".into(),
            "git@git.example.com: Permission denied (publickey).".into(),
        ],
        exit_status: Some(255),
    })
    .command("Take the file away from everyone but its owner.", ["chmod", "600", "/etc/platform/keys/deploy_ed25519"])
    .doc("ssh(1)", "https://man.openbsd.org/ssh#FILES");
    let mut checks = config_and_reach("git");
    checks.push(check("git/key", Level::Config, 2, vec![finding]));
    checks.push(skipped("git/auth", Level::Identity, SkipReason::Blocked, Some("git/key")));
    checks.push(skipped("git/clone", Level::Operation, SkipReason::Blocked, Some("git/key")));
    integration(name, "git", None, checks)
}

/// A corporate proxy issues its own certificates.
pub(crate) fn intercepted(name: &str) -> IntegrationReport {
    let certificate = Certificate {
        subject: "CN=github.com".into(),
        issuer: "CN=Example Corp Web Gateway CA".into(),
        names: vec!["github.com".into()],
        not_before: at("2026-11-01T00:00:00Z"),
        not_after: at("2027-11-01T00:00:00Z"),
    };
    let finding = Finding::new(
        "git/tls-intercepted",
        Cause::NetworkTlsIntercepted,
        "The certificate of github.com was issued by a proxy on the way, which this machine does not trust.",
    )
    .evidence(Evidence::Dns {
        name: "github.com".into(),
        answer: "ok".into(),
        addresses: vec!["140.82.121.4".into()],
        servers: vec!["10.0.0.2".into()],
    })
    .evidence(Evidence::Tcp { address: "140.82.121.4:443".into(), outcome: "connected".into(), duration_ms: Some(12) })
    .evidence(Evidence::Tls {
        server_name: "github.com".into(),
        outcome: "unknown issuer".into(),
        version: Some("TLSv1.3".into()),
        chain: vec![certificate],
        trust: Some("/etc/ssl/certs (system)".into()),
    })
    .remedy("Set connection.ca_file to the CA bundle of your organisation.")
    .doc("Git over a proxy", "https://git-scm.com/docs/git-config#Documentation/git-config.txt-httpsslCAInfo");
    let reach = check("git/reach", Level::Reach, 96, vec![finding]);
    let phases = vec![
        Phase { name: "tcp".into(), duration_ms: 12, ok: true },
        Phase { name: "tls".into(), duration_ms: 80, ok: false },
    ];
    let checks = vec![
        check("git/settings", Level::Config, 0, vec![]),
        CheckReport { phases, ..reach },
        skipped("git/auth", Level::Identity, SkipReason::Blocked, Some("git/reach")),
    ];
    integration(name, "git", Some(Level::Config), checks)
}

/// The provider throttles: nothing is known of the credential.
pub(crate) fn throttled(name: &str) -> IntegrationReport {
    let finding = Finding::new(
        "git/rate-limited",
        Cause::ProviderRateLimited,
        "The Git host throttles requests of this address; nothing is known of the token.",
    )
    .severity(Severity::Unknown)
    .evidence(Evidence::Http {
        method: "GET".into(),
        url: "https://git.example.com/api/v4/user".into(),
        status: Some(429),
        headers: vec![Header { name: "retry-after".into(), value: "58".into() }],
        body: Some("{\"message\": \"Retry later\"}".into()),
        request_id: None,
        duration_ms: Some(44),
    })
    .remedy("Try again in a minute; run fewer jobs at once from this address.");
    let mut checks = config_and_reach("git");
    let attempts = vec![Attempt { status: Status::Unknown, cause: Cause::ProviderRateLimited, duration_ms: 41 }];
    checks.push(CheckReport { attempts, ..check("git/auth", Level::Identity, 88, vec![finding]) });
    checks.push(skipped("git/clone", Level::Operation, SkipReason::Blocked, Some("git/auth")));
    integration(name, "git", Some(Level::Reach), checks)
}

pub(crate) fn crashed(name: &str) -> IntegrationReport {
    let finding = Finding::new(
        "host/plugin-crashed",
        Cause::PluginCrashed,
        "The plugin aws ended with signal 11 during aws/permissions, also when run again alone.",
    )
    .evidence(Evidence::log("stderr", "thread 'check' has overflowed its stack\nfatal runtime error: stack overflow"))
    .remedy("Report it to the plugin's publisher; check the integration without it meanwhile.");
    let mut checks = config_and_reach("aws");
    checks.push(check("aws/identity", Level::Identity, 187, vec![]));
    checks.push(check("aws/permissions", Level::Access, 20, vec![finding]));
    integration(name, "aws", Some(Level::Identity), checks)
}

/// Works, but not for long; an older finding is suppressed.
pub(crate) fn expiring(name: &str) -> IntegrationReport {
    let finding = Finding::new(
        "git/token-expiring",
        Cause::CredentialExpiring,
        "The access token ci-read expires in 9 days, on 2026-12-02.",
    )
    .severity(Severity::Warn)
    .evidence(Evidence::Http {
        method: "GET".into(),
        url: "https://git.example.com/api/v4/personal_access_tokens/self".into(),
        status: Some(200),
        headers: vec![],
        body: None,
        request_id: None,
        duration_ms: Some(51),
    })
    .remedy("Rotate the token now, while the old one still works.");
    let mut known =
        Finding::new("git/scope-wide", Cause::PermissionExcessive, "The token may write to every repository.")
            .severity(Severity::Warn);
    known.suppressed = Some(Suppressed { until: "2027-01-31".into(), reason: "rotation planned".into() });
    let mut made = passing_git(name);
    made.checks[2] = check("git/auth", Level::Identity, 310, vec![finding, known]);
    made.expires.push(Expiry { what: "access token ci-read".into(), at: at("2026-12-02T10:00:00Z") });
    made
}

pub(crate) fn all_pass() -> Report {
    let mut integrations: Vec<_> = ["docs-site", "infra-live", "web-shop"].map(passing_git).into();
    integrations.extend(["data-lake", "prod-aws"].map(passing_aws));
    report(integrations)
}

pub(crate) fn all_fail() -> Report {
    let mut integrations: Vec<_> = ["prod-aws", "prod-aws-eu", "staging-aws"].map(revoked_key).into();
    integrations.push(open_key_file("infra-live"));
    integrations.push(intercepted("web-shop"));
    report(integrations)
}

pub(crate) fn mixed() -> Report {
    let mut integrations: Vec<_> = ["prod-aws", "prod-aws-eu"].map(revoked_key).into();
    integrations.extend([throttled("infra-live"), crashed("billing-aws"), expiring("docs-site")]);
    integrations.extend(["web-shop", "mobile-app", "handbook"].map(passing_git));
    integrations.push(passing_aws("data-lake"));
    report(integrations)
}

pub(crate) fn interrupted() -> Report {
    let pending = |name: &str| {
        let checks = [("aws/settings", Level::Config), ("aws/reach", Level::Reach), ("aws/identity", Level::Identity)];
        let skip = |(id, level)| skipped(id, level, SkipReason::Cancelled, None);
        integration(name, "aws", None, checks.map(skip).into())
    };
    let mut made = report(vec![passing_git("docs-site"), pending("prod-aws"), pending("staging-aws")]);
    made.run.complete = false;
    made
}

/// Texts of someone who wants the terminal to lie.
pub(crate) fn hostile() -> Report {
    let long = "x".repeat(400);
    let evil = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31mall \u{202e}good\r\nverdict: pass";
    let mut finding =
        Finding::new(format!("evil/{evil}"), Cause::Other(format!("network.{evil}")), format!("{evil} {long}"))
            .pointer(format!("/settings/{evil}"))
            .evidence(Evidence::Http {
                method: evil.into(),
                url: format!("https://{long}"),
                status: Some(200),
                headers: vec![Header { name: evil.into(), value: evil.into() }],
                body: Some(format!("<{evil}>{evil}</{evil}>")),
                request_id: Some(evil.into()),
                duration_ms: Some(u64::MAX),
            })
            .evidence(Evidence::log(evil, evil))
            .command(evil, ["rm", evil, "a'b", "$(reboot)", &long])
            .doc(evil, format!("https://{evil}{long}"))
            .or_else(Cause::Other(evil.into()), Confidence::Possible)
            .confidence(Confidence::Possible)
            .detail(evil);
    finding.remedies[0].who = Some(evil.into());
    finding.remedies[0].effect = Some(evil.into());
    let wide = format!("統合{}", "漢".repeat(60));
    let mut broken = integration(&wide, evil, Some(Level::Config), vec![check(evil, Level::Reach, 1, vec![finding])]);
    broken.owner = Some(evil.into());
    broken.runbook = Some(evil.into());
    broken.labels.insert(evil.into(), evil.into());
    let mut fine = passing_aws(evil);
    fine.not_proved[0] =
        NotProved { level: Level::Access, what: evil.into(), why: long.clone(), needs: Some(evil.into()) };
    fine.expires[0] = Expiry { what: evil.into(), at: at("2026-11-20T00:00:00Z") };
    let mut made = report(vec![broken, fine, expiring(&long)]);
    made.run.vantage.name = Some(evil.into());
    made
}

/// A thousand integrations: one cause breaks many, a dozen break one each.
pub(crate) fn thousand() -> Report {
    let name = |n: usize| format!("team-{:02}-repo-{n:04}", n % 40);
    let integrations = (0..1_000).map(|n| match n {
        n if n % 4 == 0 => revoked_key(&name(n)),
        n if n % 77 == 1 => {
            let mut one = open_key_file(&name(n));
            one.checks[2].findings[0].message = format!("Others may read the key file of deployment {n}.");
            one
        }
        n if n % 50 == 3 => throttled(&name(n)),
        n if n % 90 == 5 => expiring(&name(n)),
        n if n % 2 == 0 => passing_aws(&name(n)),
        n => passing_git(&name(n)),
    });
    report(integrations.collect())
}
