use std::io::{Read as _, Write as _};
use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const DEPLOYER: &str = "arn:aws:iam::123456789012:user/deployer";

fn accounts() -> [Account; 2] {
    let everything = || [Statement::allow(["*"], ["*"])];
    let deployer = User::new("deployer")
        .key(AccessKey::new("AKIALABDEPLOYER00001", SECRET).last_used(
            "2026-01-02T03:04:05Z".parse().unwrap(),
            "s3",
            "eu-west-1",
        ))
        .key(AccessKey::new("AKIALABINACTIVE00001", SECRET).inactive())
        .policy("Everything", everything());
    let reader = User::new("reader").key(AccessKey::new("AKIALABREADER000001", SECRET));
    let home = Account::new("123456789012")
        .user(deployer)
        .user(reader)
        .role(Role::new("platform").trusts(DEPLOYER).policy("Everything", everything()))
        .role(Role::new("federated").trusts_issuer("https://auth.example.com/"))
        .identity_provider("https://auth.example.com/", "sts.amazonaws.com")
        .bucket(Bucket::new("state", "eu-west-1").object("prod/terraform.tfstate", 181));
    let other = Account::new("210987654321")
        .role(Role::new("deploy").trusts("123456789012").external_id("lineman").max_session(7200))
        .user(User::new("theirs").key(AccessKey::new("AKIALABTHEIRS0000001", SECRET)))
        .bucket(Bucket::new("theirs", "eu-west-1"));
    [home, other]
}

/// One request, signed as the lab's own client would.
struct Ask<'a> {
    service: &'a str,
    region: &'a str,
    key: (&'a str, &'a str, Option<&'a str>),
    method: &'a str,
    target: &'a str,
    body: &'a str,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Ask {
            service: "sts",
            region: "eu-west-1",
            key: ("AKIALABDEPLOYER00001", SECRET, None),
            method: "POST",
            target: "/",
            body: "Action=GetCallerIdentity&Version=2011-06-15",
        }
    }
}

fn send(server: &Server, ask: &Ask<'_>, headers: &[(String, String)]) -> String {
    let mut request = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", ask.method, ask.target, server.address());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n{}", ask.body.len(), ask.body));
    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    quick_xml::escape::unescape(&answer).unwrap().into_owned()
}

/// The whole answer, status line and headers and all.
fn ask(server: &Server, ask: &Ask<'_>) -> String {
    let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    let mut headers = if ask.body.is_empty() { Vec::new() } else { vec![form] };
    let (id, secret, token) = ask.key;
    if let Some(token) = token {
        headers.push(("x-amz-security-token".to_owned(), token.to_owned()));
    }
    let identity = aws_credential_types::Credentials::new(id, secret, None, None, "test").into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(ask.region)
        .name(ask.service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let url = format!("http://{}{}", server.address(), ask.target);
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signable = SignableRequest::new(ask.method, url, pairs, SignableBody::Bytes(ask.body.as_bytes())).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let signed: Vec<_> = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    headers.extend(signed);
    send(server, ask, &headers)
}

#[track_caller]
fn check(answer: &str, status: u16, says: &[&str]) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    for text in says {
        assert!(answer.contains(text), "{text:?} is not in: {answer}");
    }
}

fn value<'a>(answer: &'a str, element: &str) -> &'a str {
    let (_, rest) = answer.split_once(&format!("<{element}>")).unwrap();
    rest.split_once('<').unwrap().0
}

#[test]
fn a_signature_is_held_against_the_key_the_clock_and_the_scope() {
    let server = Server::start(accounts()).unwrap();
    let as_key = |id: &'static str, secret: &'static str, token: Option<&'static str>| {
        ask(&server, &Ask { key: (id, secret, token), ..Ask::default() })
    };
    let good = ask(&server, &Ask::default());
    check(&good, 200, &["<Account>123456789012</Account>", DEPLOYER, "x-amzn-requestid: ", "<UserId>AIDA"]);
    check(&as_key("AKIALABDEPLOYER00001", "wrong", None), 403, &["<Code>SignatureDoesNotMatch</Code>"]);
    let invalid = ["<Code>InvalidClientTokenId</Code>", "<Type>Sender</Type>"];
    check(&as_key("AKIALABUNKNOWN000001", SECRET, None), 403, &invalid);
    check(&as_key("AKIALABINACTIVE00001", SECRET, None), 403, &invalid);
    check(&as_key("AKIALABDEPLOYER00001", SECRET, Some("stray")), 403, &invalid);
    check(&ask(&server, &Ask { region: "af-south-1", ..Ask::default() }), 403, &invalid);
    let nowhere = ask(&server, &Ask { region: "eu-mars-1", ..Ask::default() });
    check(&nowhere, 403, &["<Code>SignatureDoesNotMatch</Code>", "scoped to a valid region"]);
    let misplaced = ask(&server, &Ask { service: "iam", ..Ask::default() });
    check(&misplaced, 403, &["scoped to correct service: 'sts'"]);

    let form = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    check(&send(&server, &Ask::default(), &form), 403, &["<Code>MissingAuthenticationToken</Code>"]);
    let garbled = [&form[..], &[("authorization".to_owned(), "AWS4-HMAC-SHA256 Credential".to_owned())]].concat();
    check(&send(&server, &Ask::default(), &garbled), 400, &["<Code>IncompleteSignature</Code>", "missing equal-sign"]);

    server.set_clock_ahead(SignedDuration::from_mins(20));
    check(
        &ask(&server, &Ask::default()),
        403,
        &["<Code>SignatureDoesNotMatch</Code>", "Signature expired: ", "15 min."],
    );
    server.set_clock_ahead(SignedDuration::from_mins(-20));
    check(&ask(&server, &Ask::default()), 403, &["Signature not yet current: ", "is still later than"]);
    let s3 = Ask { service: "s3", method: "GET", target: "/state?list-type=2", body: "", ..Ask::default() };
    check(&ask(&server, &s3), 403, &["<Code>RequestTimeTooSkewed</Code>", "MaxAllowedSkewMilliseconds>900000<"]);
    server.set_clock_ahead(SignedDuration::from_mins(14));
    check(&ask(&server, &Ask::default()), 200, &[]);
}

#[test]
fn roles_are_assumed_by_those_they_trust_and_sessions_end() {
    let server = Server::start(accounts()).unwrap();
    let assume = |key: &'static str, role: &str, rest: &str| {
        let body = format!("Action=AssumeRole&Version=2011-06-15&RoleSessionName=ci&RoleArn=arn:aws:iam::{role}{rest}");
        ask(&server, &Ask { key: (key, SECRET, None), body: &body, ..Ask::default() })
    };
    let deployer = "AKIALABDEPLOYER00001";
    let denied =
        ["<Code>AccessDenied</Code>", "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::"];
    check(&assume("AKIALABREADER000001", "123456789012:role/platform", ""), 403, &denied);
    check(&assume(deployer, "123456789012:role/absent", ""), 403, &denied);
    check(&assume(deployer, "210987654321:role/deploy", ""), 403, &denied);
    check(&assume(deployer, "210987654321:role/deploy", "&ExternalId=wrong"), 403, &denied);
    check(&assume("AKIALABREADER000001", "210987654321:role/deploy", "&ExternalId=lineman"), 403, &denied);
    check(&assume(deployer, "210987654321:role/deploy", "&ExternalId=lineman&DurationSeconds=7200"), 200, &[]);
    let long = assume(deployer, "123456789012:role/platform", "&DurationSeconds=7200");
    check(&long, 400, &["<Code>ValidationError</Code>", "exceeds the MaxSessionDuration set for this role"]);

    let opened = assume(deployer, "123456789012:role/platform", "");
    check(&opened, 200, &["arn:aws:sts::123456789012:assumed-role/platform/ci", "<Expiration>"]);
    let (id, secret) = (value(&opened, "AccessKeyId"), value(&opened, "SecretAccessKey"));
    let token = value(&opened, "SessionToken");
    let with = |token: Option<&str>| ask(&server, &Ask { key: (id, secret, token), ..Ask::default() });
    check(&with(Some(token)), 200, &["assumed-role/platform/ci"]);
    check(&with(None), 403, &["<Code>InvalidClientTokenId</Code>"]);

    let over = server.session("arn:aws:iam::123456789012:role/platform", SignedDuration::from_secs(-1)).unwrap();
    let key = (over.access_key_id.as_str(), over.secret_access_key.as_str(), Some(over.session_token.as_str()));
    check(&ask(&server, &Ask { key, ..Ask::default() }), 403, &["<Code>ExpiredToken</Code>"]);
    let s3 = Ask { key, service: "s3", method: "GET", target: "/state?list-type=2", body: "", ..Ask::default() };
    check(&ask(&server, &s3), 400, &["<Code>ExpiredToken</Code>", "The provided token has expired."]);
}

#[test]
fn web_identities_are_refused_for_documented_reasons() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let server = Server::start(accounts()).unwrap();
    let with = |role: &str, token: &str| {
        let body = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=ci&WebIdentityToken={token}\
             &RoleArn=arn:aws:iam::123456789012:role/{role}"
        );
        let form = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        send(&server, &Ask { body: &body, ..Ask::default() }, &form)
    };
    let token = |issuer: &str, audience: &str, expires: i64| {
        let claims = serde_json::json!({"iss": issuer, "aud": audience, "sub": "ci", "exp": expires});
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
    };
    let (issuer, audience, later) = ("https://auth.example.com/", "sts.amazonaws.com", 4_000_000_000);
    check(&with("federated", &token(issuer, audience, later)), 200, &["<Provider>https://auth.example.com/"]);
    check(&with("federated", "opaque"), 400, &["<Code>InvalidIdentityToken</Code>", "not a valid JWT"]);
    check(&with("federated", &token(issuer, audience, 1)), 400, &["<Code>ExpiredTokenException</Code>"]);
    check(&with("federated", &token(issuer, "other", later)), 400, &["Incorrect token audience"]);
    let stranger = with("federated", &token("https://else.example/", audience, later));
    check(&stranger, 400, &["No OpenIDConnect provider found in your account for https://else.example/"]);
    check(&with("platform", &token(issuer, audience, later)), 403, &["<Code>AccessDenied</Code>"]);
}

#[test]
fn iam_answers_those_who_may_ask() {
    let server = Server::start(accounts()).unwrap();
    let iam = |key: &'static str, body: &str| {
        let body = format!("Version=2010-05-08&Action={body}");
        let key = (key, SECRET, None);
        ask(&server, &Ask { service: "iam", region: "us-east-1", key, body: &body, ..Ask::default() })
    };
    let deployer = "AKIALABDEPLOYER00001";
    let keys = iam(deployer, "ListAccessKeys");
    check(&keys, 200, &["<Status>Active</Status>", "<Status>Inactive</Status>", "<CreateDate>2024-01-01T00:00:00Z<"]);
    let used = iam(deployer, "GetAccessKeyLastUsed&AccessKeyId=AKIALABDEPLOYER00001");
    check(&used, 200, &["<LastUsedDate>2026-01-02T03:04:05Z<", "<ServiceName>s3<"]);
    check(&iam(deployer, "GetUser"), 200, &[DEPLOYER]);
    check(&iam(deployer, "GetRole&RoleName=platform"), 200, &["<MaxSessionDuration>3600<", "%22sts%3AAssumeRole%22"]);
    check(&iam(deployer, "GetRole&RoleName=absent"), 404, &["<Code>NoSuchEntity</Code>"]);
    check(&iam(deployer, "ListAttachedRolePolicies&RoleName=platform"), 200, &["<PolicyName>Everything<"]);
    check(&iam(deployer, "CreateUser"), 400, &["<Code>InvalidAction</Code>"]);
    let refused = iam("AKIALABREADER000001", "GetUser");
    check(&refused, 403, &["resource: user reader because no identity-based policy allows the iam:GetUser action"]);

    let simulate = iam(
        deployer,
        "SimulatePrincipalPolicy&PolicySourceArn=arn:aws:iam::123456789012:user/reader\
         &ActionNames.member.1=s3:PutObject&ResourceArns.member.1=arn:aws:s3:::state/x",
    );
    check(&simulate, 200, &["<EvalActionName>s3:PutObject<", "<EvalDecision>implicitDeny<", "arn:aws:s3:::state/x"]);
    let info = ask(
        &server,
        &Ask { body: "Version=2011-06-15&Action=GetAccessKeyInfo&AccessKeyId=AKIALABTHEIRS0000001", ..Ask::default() },
    );
    check(&info, 200, &["<Account>210987654321</Account>"]);
}

#[test]
fn buckets_say_where_they_are_and_whom_they_serve() {
    let server = Server::start(accounts()).unwrap();
    let s3 = |method: &str, target: &str, region: &str, key: &'static str| {
        let key = (key, SECRET, None);
        ask(&server, &Ask { service: "s3", region, key, method, target, body: "" })
    };
    let deployer = "AKIALABDEPLOYER00001";
    check(&s3("HEAD", "/state", "eu-west-1", deployer), 200, &["x-amz-bucket-region: eu-west-1", "x-amz-request-id: "]);
    check(&s3("HEAD", "/absent", "eu-west-1", deployer), 404, &[]);
    check(&s3("HEAD", "/theirs", "eu-west-1", deployer), 403, &[]);
    check(
        &s3("GET", "/state?list-type=2", "eu-central-1", deployer),
        301,
        &[
            "<Code>PermanentRedirect</Code>",
            "x-amz-bucket-region: eu-west-1",
            "<Endpoint>state.s3.eu-west-1.amazonaws.com</Endpoint>",
        ],
    );
    check(
        &s3("GET", "/state?list-type=2", "us-east-1", deployer),
        400,
        &["<Code>AuthorizationHeaderMalformed</Code>", "<Region>eu-west-1</Region>"],
    );
    let listed = s3("GET", "/state?list-type=2&prefix=prod%2F", "eu-west-1", deployer);
    check(&listed, 200, &["<Key>prod/terraform.tfstate</Key>", "<KeyCount>1</KeyCount>"]);
    check(&s3("GET", "/state?location", "us-east-1", deployer), 200, &[">eu-west-1</LocationConstraint>"]);
    check(&s3("GET", "/", "us-east-1", deployer), 200, &["<Name>state</Name>"]);
    let refused = s3("GET", "/state?list-type=2", "eu-west-1", "AKIALABREADER000001");
    check(&refused, 403, &["\"arn:aws:s3:::state\" because no identity-based policy allows the s3:ListBucket action"]);
    check(&s3("GET", "/state/key", "eu-west-1", deployer), 501, &["<Code>NotImplemented</Code>"]);
}

#[test]
fn documented_faults_are_played_in_the_services_envelope() {
    let server = Server::start(accounts()).unwrap();
    server.faults().next(Fault::named("sts/throttling").unwrap(), 1);
    check(&ask(&server, &Ask::default()), 400, &["<Code>Throttling</Code>", "<Message>Rate exceeded</Message>"]);
    check(&ask(&server, &Ask::default()), 200, &[]);
    server.faults().always(Fault::named("s3/slow-down").unwrap());
    let s3 = Ask { service: "s3", method: "GET", target: "/state?list-type=2", body: "", ..Ask::default() };
    check(&ask(&server, &s3), 503, &["<Code>SlowDown</Code>", "server: AmazonS3"]);
    server.faults().clear();
    server.faults().always(Fault::named("sts/empty-reply").unwrap());
    assert_eq!(ask(&server, &Ask::default()), "");
    assert_eq!(server.log().entries().len(), 4);
}
