//! Each check against the lab's simulated AWS, which verifies signatures and plays what AWS is
//! documented to answer.

use std::time::Duration;

use lineman_lab::aws::{AccessKey, Account, Bucket, Role, Server, Statement, User};
use lineman_lab::{Fault, faults};
use lineman_sdk::Timestamp;
use lineman_sdk::prelude::*;
use lineman_sdk::testing::Harness;
use serde_json::{Value, json};

use crate::Aws;

const ID: &str = "AKIALINEMANLAB00001X";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const ACCOUNT: &str = "123456789012";

fn days_ago(days: i64) -> Timestamp {
    Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)
}

fn account() -> Account {
    account_with(AccessKey::new(ID, SECRET).created(days_ago(10)))
}

fn account_with(key: AccessKey) -> Account {
    let may = Statement::allow(
        ["sts:*", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", "iam:SimulatePrincipalPolicy", "s3:ListBucket"],
        ["*"],
    );
    let state = Statement::allow(["s3:PutObject"], ["arn:aws:s3:::state/*"]);
    let never = Statement::deny(["s3:DeleteBucket"], ["*"]);
    let principal = format!("arn:aws:iam::{ACCOUNT}:user/ci");
    Account::new(ACCOUNT)
        .user(User::new("ci").key(key).policy("ci", [may.clone(), state, never]))
        .role(Role::new("deploy").trusts(principal.as_str()).policy("all", [may]))
        .role(Role::new("guarded").trusts(principal.as_str()).external_id("right"))
        .role(Role::new("foreign").trusts("arn:aws:iam::999999999999:root"))
        .bucket(Bucket::new("state", "eu-west-1"))
        .bucket(Bucket::new("elsewhere", "us-west-2"))
}

fn harness(server: &Server, settings: Value) -> Harness<Aws> {
    let mut all = json!({ "region": "eu-west-1" });
    if let (Value::Object(all), Value::Object(settings)) = (&mut all, settings) {
        all.extend(settings);
    }
    Harness::new()
        .settings(all)
        .secret("access_key_id", ID)
        .secret("secret_access_key", SECRET)
        .endpoint(&server.url())
        .deadline(Duration::from_secs(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_check_finds_what_is_wrong_and_passes_what_is_not() {
    let server = Server::start([account()]).unwrap();
    let check = async |name: &str, settings: Value, expect: &str| {
        let seen = harness(&server, settings.clone()).check(name).await;
        assert_eq!(seen.summary(), expect, "{name} with {settings}: {:?}", seen.findings);
    };
    check("reach", json!({}), "pass").await;
    check("clock", json!({}), "pass").await;
    check("identity", json!({ "account_id": ACCOUNT }), "pass").await;
    check("identity", json!({ "account_id": "999999999999" }), "fail aws/wrong-account credential.wrong-account").await;
    check("role", json!({}), "skip not-applicable").await;
    // The public status page says nothing of another endpoint.
    check("status", json!({}), "skip not-applicable").await;
    check("role", json!({ "role": "deploy" }), "pass").await;
    check("role", json!({ "role": "deploy", "account_id": ACCOUNT }), "pass").await;
    check("role", json!({ "role": "guarded", "external_id": "right" }), "pass").await;
    check("state-bucket", json!({}), "skip not-applicable").await;
    check("state-bucket", json!({ "state_bucket": "state" }), "pass").await;
    check("state-bucket", json!({ "state_bucket": "elsewhere" }), "fail aws/bucket-region config.invalid").await;
    check("key", json!({}), "pass").await;
    check("permissions", json!({}), "skip not-applicable").await;
    for (settings, cause) in [
        (json!({ "role": "foreign" }), Cause::PermissionInsufficient),
        (json!({ "role": "guarded", "external_id": "wrong" }), Cause::PermissionInsufficient),
        (json!({ "role": "guarded" }), Cause::PermissionInsufficient),
    ] {
        let seen = harness(&server, settings.clone()).check("role").await;
        assert_eq!(seen.cause(), Some(&cause), "{settings}: {:?}", seen.findings);
    }
    let seen = harness(&server, json!({ "state_bucket": "no-such-bucket" })).check("state-bucket").await;
    assert_eq!(seen.cause(), Some(&Cause::ResourceNotFound), "{:?}", seen.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_tells_its_age() {
    let check = async |key: AccessKey, newer: Option<AccessKey>, expect: &str| {
        let mut user = User::new("ci").policy("ci", [Statement::allow(["iam:*", "sts:*"], ["*"])]).key(key);
        if let Some(newer) = newer {
            user = user.key(newer);
        }
        let server = Server::start([Account::new(ACCOUNT).user(user)]).unwrap();
        let seen = harness(&server, json!({})).check("key").await;
        assert_eq!(seen.summary(), expect);
        // Whoever replaces the key sees which one it is, and whether another waits.
        let [told] = seen.outcome.credentials.as_slice() else { panic!("{:?}", seen.outcome.credentials) };
        let superseded = expect.contains("superseded");
        assert_eq!((told.secret.as_str(), told.newer_active), ("access_key_id", Some(superseded)));
        assert!(told.created_at.is_some());
        let (start, end) =
            told.id.as_deref().and_then(|id| id.split_once('…')).expect("an id with its middle left out");
        assert!(ID.starts_with(start) && ID.ends_with(end) && start.len() + end.len() < ID.len() / 2, "{told:?}");
    };
    let key = |age: i64| AccessKey::new(ID, SECRET).created(days_ago(age));
    let second = |age: i64| AccessKey::new("AKIALINEMANLAB00002X", SECRET).created(days_ago(age));
    check(key(89), None, "pass").await;
    check(key(91), None, "warn aws/key-old credential.expiring").await;
    check(key(20), Some(second(3)), "warn aws/key-superseded credential.expiring").await;
    check(key(20), Some(second(30)), "pass").await;

    let used = AccessKey::new(ID, SECRET).created(days_ago(200)).last_used(days_ago(3), "s3", "eu-west-1");
    let server = Server::start([account_with(used)]).unwrap();
    let seen = harness(&server, json!({})).check("key").await;
    let detail = seen.findings.first().and_then(|finding| finding.detail.clone());
    assert!(detail.as_deref().is_some_and(|detail| detail.contains("for s3 in eu-west-1")), "{detail:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn required_actions_are_proved_denied_or_listed_as_not_proved() {
    let server = Server::start([account()]).unwrap();
    let check = async |action: &str, resource: &str, status: Status, expect: &str| {
        let words = json!({ "action": action, "resource": resource });
        let seen = harness(&server, json!({})).requires("r", words).check("permissions").await;
        assert_eq!(seen.summary(), expect, "{action}: {:?} {:?}", seen.findings, seen.outcome.not_proved);
        assert_eq!(seen.outcome.requirements.first().map(|requirement| requirement.status), Some(status));
    };
    check("s3:PutObject", "arn:aws:s3:::state/x", Status::Pass, "pass").await;
    check("s3:PutObject", "arn:aws:s3:::other/x", Status::Fail, "fail aws/action-missing permission.insufficient")
        .await;
    check("s3:DeleteBucket", "*", Status::Fail, "fail aws/action-denied permission.denied-by-policy").await;

    // A credential that may not ask the simulator proves nothing, and says what it would take.
    let blind = User::new("ci").key(AccessKey::new(ID, SECRET)).policy("ci", [Statement::allow(["sts:*"], ["*"])]);
    let server = Server::start([Account::new(ACCOUNT).user(blind)]).unwrap();
    let seen =
        harness(&server, json!({})).requires("r", json!({ "action": "s3:PutObject" })).check("permissions").await;
    assert_eq!(seen.status, Status::Pass);
    let not_proved = seen.outcome.not_proved.first().expect("it is listed");
    assert_eq!(not_proved.needs.as_deref(), Some("iam:SimulatePrincipalPolicy"));
    assert_eq!(seen.outcome.requirements.first().map(|requirement| requirement.status), Some(Status::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_together_with_the_policy_that_grants_it() {
    let server = Server::start([account()]).unwrap();
    let seen = harness(&server, json!({}))
        .requires("mine", json!({ "action": "s3:PutObject", "resource": "arn:aws:s3:::state/x" }))
        .requires("other", json!({ "action": "s3:PutObject", "resource": "arn:aws:s3:::other/x" }))
        .requires("queue", json!({ "terraform": "aws_sqs_queue", "operations": ["delete"] }))
        .requires("role", json!({ "terraform": "aws_iam_role_policy_attachment" }))
        .check("permissions")
        .await;
    let [finding] = seen.findings.as_slice() else { panic!("{:?}", seen.findings) };
    assert_eq!((finding.code.as_str(), &finding.cause), ("aws/action-missing", &Cause::PermissionInsufficient));
    let argv = &finding.remedies[0].argv;
    assert_eq!(argv[..5], ["aws", "iam", "put-user-policy", "--user-name", "ci"]);
    let policy: Value = serde_json::from_str(argv.last().unwrap()).unwrap();
    let statements = json!([
        {
            "Effect": "Allow",
            "Action": [
                "iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:ListAttachedRolePolicies",
                "sqs:DeleteQueue", "sqs:GetQueueAttributes", "sqs:ListQueueTags",
            ],
            "Resource": "*",
        },
        { "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::other/x" },
    ]);
    assert_eq!(policy, json!({ "Version": "2012-10-17", "Statement": statements }));
    assert!(
        finding.message.starts_with("7 required actions are not allowed: iam:AttachRolePolicy, "),
        "{}",
        finding.message
    );
    let statuses: Vec<String> = seen.outcome.requirements.iter().map(|it| format!("{} {}", it.id, it.status)).collect();
    assert_eq!(statuses, ["mine pass", "other fail", "queue fail", "role fail"]);
    // One question for each resource, and one for what is global.
    let asked =
        server.log().entries().iter().filter(|it| String::from_utf8_lossy(&it.body).contains("Simulate")).count();
    assert_eq!(asked, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_looked_at_is_not_proved_and_no_fault() {
    let check = async |may: &[&'static str], check: &str, words: Value, status: Status, needs: &[Option<&str>]| {
        let statements = may.iter().map(|action| Statement::allow([*action], ["*"]));
        let user = User::new("ci").key(AccessKey::new(ID, SECRET)).policy("ci", statements);
        let server =
            Server::start([Account::new(ACCOUNT).user(user).bucket(Bucket::new("state", "eu-west-1"))]).unwrap();
        let seen = harness(&server, json!({})).requires("r", words.clone()).check(check).await;
        assert_eq!(seen.outcome.requirements.first().map(|it| it.status), Some(status), "{words}: {:?}", seen.findings);
        let listed: Vec<Option<&str>> = seen.outcome.not_proved.iter().map(|it| it.needs.as_deref()).collect();
        assert_eq!(listed, needs, "{words}");
        assert!(seen.findings.is_empty(), "{words}: {:?}", seen.findings);
    };
    let subnet = json!({ "subnets": ["subnet-0a0a0a0a"] });
    check(&["sts:*"], "network", subnet.clone(), Status::Unknown, &[Some("ec2:DescribeSubnets")]).await;
    check(&["sts:*", "ec2:*"], "network", subnet, Status::Pass, &[]).await;
    let role = json!({ "role": "worker" });
    check(&["sts:*"], "trust", role, Status::Unknown, &[Some("iam:GetRole")]).await;
    check(&["sts:*"], "storage", json!({ "bucket": "state" }), Status::Unknown, &[Some("s3:ListBucket")]).await;
    check(&["sts:*"], "storage", json!({ "kms_key": "alias/x" }), Status::Unknown, &[Some("kms:DescribeKey")]).await;
    let region = json!({ "region": "eu-central-2" });
    check(&["sts:*"], "capacity", region, Status::Unknown, &[Some("ec2:DescribeRegions")]).await;
    let vcpus = json!({ "quota": { "service": "ec2", "code": "L-1216C47A", "need": 16 } });
    let (value, metric) = ("servicequotas:GetServiceQuota", "cloudwatch:GetMetricStatistics");
    check(&["sts:*"], "quota", vcpus.clone(), Status::Unknown, &[Some(value)]).await;
    check(&["sts:*", value], "quota", vcpus.clone(), Status::Unknown, &[Some(metric)]).await;
    check(&["sts:*", value, metric], "quota", vcpus, Status::Pass, &[]).await;
    let databases = json!({ "quota": { "service": "rds", "code": "L-7B6409FD" } });
    check(&["sts:*", value], "quota", databases, Status::Unknown, &[None]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_one_thing_lacks_is_one_finding() {
    let user = User::new("ci").key(AccessKey::new(ID, SECRET)).policy("ci", [Statement::allow(["*"], ["*"])]);
    let server = Server::start([Account::new(ACCOUNT).user(user)]).unwrap();
    let words = json!({ "subnets": ["subnet-0f0f0f0f"], "zones": ["eu-west-1b"], "free_addresses": 4 });
    let seen = harness(&server, json!({})).requires("r", words).check("network").await;
    let told: Vec<&str> = seen.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "The subnet subnet-0f0f0f0f lies in eu-west-1a, not in eu-west-1b; it has no free address.",
            "The zone eu-west-1b has none of the subnets.",
        ]
    );
    assert_eq!(seen.findings[0].remedies.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_judged_by_aws_alone() {
    let check = async |prepare: &dyn Fn(&Server),
                       change: &dyn Fn(Harness<Aws>) -> Harness<Aws>,
                       name: &str,
                       expect: &[Cause]| {
        let server = Server::start([account()]).unwrap();
        prepare(&server);
        let seen = change(harness(&server, json!({}))).check(name).await;
        let cause = seen.cause().cloned();
        assert!(cause.as_ref().is_some_and(|cause| expect.contains(cause)), "{cause:?}: {:?}", seen.findings);
    };
    let nothing = |_: &Server| {};
    check(&nothing, &|it| it.secret("access_key_id", "AKIALINEMANUNKNOWN00"), "identity", &[Cause::CredentialInvalid])
        .await;
    check(
        &nothing,
        &|it| it.secret("secret_access_key", &SECRET.to_lowercase()),
        "identity",
        &[Cause::CredentialMalformed],
    )
    .await;
    let ahead = |server: &Server| server.set_clock_ahead(jiff::SignedDuration::from_mins(30));
    check(&ahead, &|it| it, "identity", &[Cause::ClockSkew]).await;
    check(&ahead, &|it| it, "clock", &[Cause::ClockSkew]).await;
    let inactive = |server: &Server| server.set_accounts([account_with(AccessKey::new(ID, SECRET).inactive())]);
    check(&inactive, &|it| it, "identity", &[Cause::CredentialInvalid, Cause::CredentialRevoked]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_is_documented_to_answer_is_understood() {
    let check = async |id: &str, expect: &str| {
        let server = Server::start([account()]).unwrap();
        server.faults().always(Fault::named(id).unwrap());
        let harness = harness(&server, json!({ "role": "deploy", "state_bucket": "state" }))
            .deadline(Duration::from_secs(3))
            .requires("r", json!({ "action": "s3:PutObject" }));
        let name = match id.split('/').next() {
            Some("iam") => "key",
            Some("s3") => "state-bucket",
            _ if id.contains("identity-token")
                || id.contains("idp")
                || id.contains("duration")
                || id.contains("policy") =>
            {
                "role"
            }
            _ => "identity",
        };
        let seen = harness.check(name).await;
        let cause = seen.cause().map(ToString::to_string).unwrap_or_else(|| seen.status.to_string());
        (cause == expect).then_some(()).ok_or(format!("{id}: {cause}, not {expect}: {:?}", seen.findings))
    };
    let table = [
        ("sts/invalid-client-token-id", "credential.invalid"),
        ("sts/signature-does-not-match", "credential.malformed"),
        ("sts/signature-expired", "clock.skew"),
        ("sts/signature-not-yet-current", "clock.skew"),
        ("sts/wrong-scope-region", "config.endpoint-wrong"),
        ("sts/expired-token", "credential.expired"),
        ("sts/request-expired", "clock.skew"),
        ("sts/incomplete-signature", "credential.malformed"),
        ("sts/missing-authentication-token", "credential.missing"),
        ("sts/opt-in-required", "dependency.missing"),
        ("sts/throttling", "provider.rate-limited"),
        ("sts/service-unavailable", "provider.outage"),
        ("sts/internal-failure", "provider.outage"),
        ("sts/bad-gateway-html", "provider.outage"),
        ("sts/empty-reply", "network.reset"),
        ("sts/cut-off", "network.reset"),
        ("sts/no-reply", "network.timeout"),
        ("s3/invalid-access-key-id", "credential.invalid"),
        ("s3/signature-does-not-match", "credential.malformed"),
        ("s3/request-time-too-skewed", "clock.skew"),
        ("s3/expired-token", "credential.expired"),
        ("s3/access-denied", "permission.insufficient"),
        ("s3/access-denied-by-bucket-policy", "permission.denied-by-policy"),
        ("s3/account-problem", "account.suspended"),
        ("s3/no-such-bucket", "resource.not-found"),
        ("s3/slow-down", "provider.rate-limited"),
        ("s3/service-unavailable", "provider.outage"),
    ];
    let mut wrong = Vec::new();
    for (id, expect) in table {
        if let Err(problem) = check(id, expect).await {
            wrong.push(problem);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(faults().len() > table.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told() {
    let server = Server::start([account()]).unwrap();
    server.faults().always(Fault::named("sts/signature-does-not-match").unwrap());
    let harness = harness(&server, json!({}));
    let seen = harness.check("identity").await;
    assert!(!seen.findings.is_empty());
    assert!(!harness.leaks(&serde_json::to_string(&seen.findings).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_incidents_of_the_region_are_told() {
    let check = async |body: &'static str, expect: &str| {
        let feed = lineman_lab::api::Server::http(move |_| lineman_lab::api::Response::new(200).body(body)).unwrap();
        let seen = Harness::<Aws>::new()
            .settings(json!({ "region": "eu-west-1" }))
            .with(|it| _ = it.connection.endpoints.insert("status".to_owned(), feed.url()))
            .check("status")
            .await;
        let not_proved = seen.outcome.not_proved.len();
        assert_eq!(format!("{}, {not_proved} not proved", seen.summary()), expect, "{body}");
    };
    let incident = r#"[{"date":"1787025679","arn":"arn:aws:health:eu-west-1::event/STS/X/1","service":"sts-eu-west-1","status":"3","summary":"Errors"}]"#;
    check(incident, "warn aws/incident provider.outage, 0 not proved").await;
    let elsewhere = r#"[{"date":"1787025679","arn":"arn:aws:health:us-east-1::event/STS/X/1","service":"sts-us-east-1","status":"3","summary":"Errors"}]"#;
    check(elsewhere, "pass, 0 not proved").await;
    check("[]", "pass, 0 not proved").await;
    // A feed that is not understood says nothing, and that is said.
    check("<html>", "pass, 1 not proved").await;
}
