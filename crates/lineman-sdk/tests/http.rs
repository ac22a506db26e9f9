//! What the client makes of every way in which a request can go wrong.

use std::time::Duration;

use lineman_lab::api::{Answer, Request, Response, Server};
use lineman_lab::net::{ClosedPort, Credentials, HangUp, Proxy, Reset};
use lineman_lab::tls::{Authority, Certificate, Tls};
use lineman_model::{CaBundle, Integration};
use lineman_sdk::prelude::*;
use lineman_sdk::testing::{Harness, Seen};

const TOKEN: &str = "tok3n/with+signs";

#[derive(Deserialize, JsonSchema)]
struct Settings {}

#[derive(Deserialize, JsonSchema)]
struct Secrets {
    token: Secret,
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "size")]
    _size: usize,
}

struct Web;

impl Provider for Web {
    type Settings = Settings;
    type Secrets = Secrets;
    type Requirement = lineman_sdk::NoRequirement;
    type Session = ();

    fn about() -> About {
        About::new("web", "Web", "1.0.0").catalog(CATALOG)
    }

    fn checks() -> Vec<Check<Web>> {
        vec![
            Check::new("get", Level::Identity, "It answers", get),
            Check::new("size", Level::Identity, "It answers as much as is read", size),
        ]
    }
}

const CATALOG: &str = r#"
[[rule]]
code = "token-expired"
cause = "credential.expired"
message = "The token[ {token}] has expired."
remedies = ["Look at the account."]
docs = [{ title = "Errors", url = "https://docs.example.com/errors" }]
capture = ['token (?<token>\w{4})']
example = [{ status = 401, body = "your token abcd has expired" }]
near_miss = ["your token abcd"]
[rule.match]
status = [401]
text = ['has expired']

[[rule]]
code = "account-suspended"
cause = "account.suspended"
message = "The account is suspended."
remedies = ["Look at the account."]
docs = [{ title = "Errors", url = "https://docs.example.com/errors" }]
priority = -10
example = [{ status = 401, body = "or your account is suspended" }]
near_miss = ["your account"]
[rule.match]
text = ['is suspended']
"#;

async fn get(cx: Cx<Web>) -> Outcome {
    let mut url = cx.endpoint("api", "https://api.example.com/")?;
    url.set_query(Some("key=in-the-query"));
    let answer = cx.http()?.get(url).bearer(&cx.secrets().token).header("Accept", "*/*").send().await?.success()?;
    answer.json::<Body>()?;
    Ok(())
}

async fn size(cx: Cx<Web>) -> Outcome {
    let answer = cx.http()?.get(cx.endpoint("api", "https://api.example.com/")?).send().await?;
    let size = answer.bytes().len();
    Err(cx.finding("size", Cause::Undetermined, size.to_string()).evidence(answer.evidence()).into())
}

fn harness(url: &str) -> Harness<Web> {
    Harness::new().secret("token", TOKEN).endpoint(url)
}

/// The door: the status, and the finding's cause and code, of one request.
async fn check(harness: Harness<Web>, status: Status, expect: Option<(Cause, &str)>) -> Seen {
    let seen = harness.check("get").await;
    let found = seen.cause().cloned().zip(seen.code());
    let expect = expect.map(|(cause, code)| (cause, format!("web/{code}")));
    assert_eq!((seen.status, found), (status, expect.as_ref().map(|(c, code)| (c.clone(), code.as_str()))), "{seen:?}");
    assert!(!harness.leaks(&format!("{seen:?}")), "{seen:?}");
    assert!(!format!("{seen:?}").contains("in-the-query"), "{seen:?}");
    seen
}

async fn answered(
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    status: Status,
    expect: (Cause, &str),
) -> Seen {
    let server = Server::http(move |request| answer(&request)).unwrap();
    let seen = check(harness(&server.url()), status, Some(expect)).await;
    assert_eq!(server.log().entries().len(), 1, "nothing is followed or tried twice");
    seen
}

fn message(seen: &Seen) -> &str {
    &seen.findings[0].message
}

#[tokio::test]
async fn a_status_has_its_meaning() {
    use Status::{Fail, Unknown};
    let plain = |status| move |_: &Request| Response::new(status);
    answered(plain(403), Fail, (Cause::PermissionInsufficient, "forbidden")).await;
    answered(plain(404), Fail, (Cause::ResourceNotFound, "not-found")).await;
    answered(plain(407), Unknown, (Cause::NetworkProxy, "proxy-auth")).await;
    answered(plain(418), Unknown, (Cause::Undetermined, "unexpected-status")).await;
    answered(plain(503), Unknown, (Cause::ProviderOutage, "unavailable")).await;
    answered(|request| Response::echo(401, request), Fail, (Cause::CredentialInvalid, "unauthorized")).await;

    let moved = |_: &Request| Response::new(301).header("location", "https://other.example/login?key=in-the-query");
    let seen = answered(moved, Fail, (Cause::ConfigEndpointWrong, "redirected")).await;
    assert_eq!(message(&seen), "127.0.0.1 redirects to https://other.example/login (301).");

    for (after, expect) in [
        ("30", "127.0.0.1 throttles requests (429) and asks to wait 30 s."),
        (
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "127.0.0.1 throttles requests (429) and asks to wait until Wed, 21 Oct 2026 07:28:00 GMT.",
        ),
        ("soon", "127.0.0.1 throttles requests (429)."),
    ] {
        let busy = move |_: &Request| Response::new(429).header("retry-after", after);
        let seen = answered(busy, Unknown, (Cause::ProviderRateLimited, "rate-limited")).await;
        assert_eq!(message(&seen), expect);
    }
}

#[tokio::test]
async fn the_catalog_knows_more_than_the_status() {
    let says = format!("your token {TOKEN} has expired, or your account is suspended");
    let seen = answered(
        move |_| Response::new(401).body(says.clone()),
        Status::Fail,
        (Cause::CredentialExpired, "token-expired"),
    )
    .await;
    let also: Vec<_> = seen.findings[0].also_possible.iter().map(|also| also.cause.clone()).collect();
    assert_eq!(also, [Cause::AccountSuspended]);
    // Not even a part of the token is quoted.
    assert_eq!(message(&seen), "The token has expired.");
}

#[tokio::test]
async fn what_is_not_the_expected_answer_is_told_without_what_it_holds() {
    use Cause::ConfigEndpointWrong;
    let body = |body: &'static str| move |_: &Request| Response::new(200).body(body);
    let unexpected = (ConfigEndpointWrong, "unexpected-answer");
    let seen = answered(body("<!doctype html><title>Log in</title>"), Status::Fail, unexpected.clone()).await;
    assert!(format!("{seen:?}").contains("Log in"), "{seen:?}");
    let seen =
        answered(body(r#"{"size":"just-issued","token":"just-issued"}"#), Status::Fail, unexpected.clone()).await;
    assert!(!format!("{seen:?}").contains("just-issued"), "{seen:?}");
    let header =
        |_: &Request| Response::new(200).header("x-subject-token", "just-issued").header("x-region", "eu").body("{}");
    let seen = answered(header, Status::Fail, unexpected.clone()).await;
    assert!(!format!("{seen:?}").contains("just-issued") && format!("{seen:?}").contains("x-region"), "{seen:?}");
    assert!(message(&seen).contains("missing field `size`"), "{seen:?}");
    // A secret that is cut in two by what is shown of a body.
    let echo = |_: &Request| Response::new(400).body(format!("{}{TOKEN}", "x".repeat(2048 - 8)));
    let seen = answered(echo, Status::Unknown, (Cause::Undetermined, "unexpected-status")).await;
    assert!(!format!("{seen:?}").contains(&TOKEN[..5]), "{seen:?}");
}

#[tokio::test]
async fn a_large_body_is_read_in_part() {
    let server = Server::http(|_| Response::new(200).body(vec![b'x'; 10 << 20])).unwrap();
    let seen = harness(&server.url()).check("size").await;
    assert_eq!(message(&seen), (4 << 20).to_string());
    assert!(format!("{seen:?}").len() < 8 << 10);
}

#[tokio::test]
async fn the_phase_that_fails_is_named() {
    use Status::{Fail, Unknown};
    let closed = ClosedPort::new().unwrap();
    let url = format!("http://{}", closed.address());
    check(harness(&url), Unknown, Some((Cause::NetworkRefused, "tcp-refused"))).await;
    let reset = Reset::new(HangUp::AfterRequest).unwrap();
    check(harness(&format!("http://{}", reset.address())), Unknown, Some((Cause::NetworkReset, "http-reset"))).await;
    let empty = Server::http(|_| Answer::Close).unwrap();
    check(harness(&empty.url()), Unknown, Some((Cause::NetworkReset, "http-reset"))).await;
    let cut = Server::http(|_| Answer::Cut(Response::new(200).body("{\"size\": 1}"))).unwrap();
    check(harness(&cut.url()), Unknown, Some((Cause::NetworkReset, "http-reset"))).await;

    let silent = Server::http(|_| Answer::Silence).unwrap();
    let hurried = harness(&silent.url()).with(|integration| integration.connection.timeout_ms = Some(100));
    check(hurried, Unknown, Some((Cause::NetworkTimeout, "http-timeout"))).await;
    let hurried = harness(&silent.url()).deadline(Duration::from_millis(200));
    let seen = check(hurried, Unknown, Some((Cause::NetworkTimeout, "timed-out"))).await;
    assert_eq!(message(&seen), "No answer in time, while waiting for GET 127.0.0.1.");

    let seen = harness("http://nowhere.invalid/").check("get").await;
    assert_eq!((seen.status, seen.cause()), (Unknown, Some(&Cause::NetworkDns)), "{seen:?}");
    for guarded in ["http://169.254.169.254/", "http://[fe80::1]/", "http://2852039166/"] {
        check(harness(guarded), Fail, Some((Cause::ConfigEndpointWrong, "address-refused"))).await;
    }
    for wrong in ["api.example.com", "localhost:5000", "https://"] {
        check(harness(wrong), Fail, Some((Cause::ConfigInvalid, "endpoint-invalid"))).await;
    }
}

#[tokio::test]
async fn certificates_are_judged_by_the_configured_authorities() {
    use Status::{Pass, Unknown};
    let authority = Authority::new().unwrap();
    let ca = CaBundle {
        file: Some(authority.ca_file().display().to_string()),
        directory: None,
        chosen_by: "connection.ca_file".to_owned(),
    };
    let fine = |_: Request| Response::new(200).body("{\"size\": 1}");
    let cases = [
        (Certificate::Good, Pass, None),
        (Certificate::Expired, Unknown, Some((Cause::NetworkTlsExpired, "tls-expired"))),
        (Certificate::WrongName, Unknown, Some((Cause::NetworkTlsHostname, "tls-hostname"))),
        (Certificate::UnknownAuthority, Unknown, Some((Cause::NetworkTlsUntrusted, "tls-unknown-issuer"))),
    ];
    for (certificate, status, expect) in cases {
        let server = Server::https(authority.tls(certificate).unwrap(), fine).unwrap();
        let trusting = harness(&server.url()).with(|integration| integration.connection.ca = Some(ca.clone()));
        check(trusting, status, expect).await;
    }
    let plain = Server::https(Tls::PlainBehindHttps, fine).unwrap();
    check(harness(&plain.url()), Unknown, Some((Cause::NetworkTlsProtocol, "tls-not-tls"))).await;
    let missing = CaBundle { file: Some("/nowhere/ca.pem".to_owned()), ..ca };
    let distrusting = harness(&plain.url()).with(|integration| integration.connection.ca = Some(missing));
    check(distrusting, Status::Fail, Some((Cause::ConfigInvalid, "trust-unreadable"))).await;
}

#[tokio::test]
async fn the_proxy_is_used_and_never_gone_past() {
    let server = Server::http(|_| Response::new(200).body("{\"size\": 1}")).unwrap();
    let through = |url: String| {
        let proxy = lineman_model::Proxy { scheme: "all".into(), url: Secret::new(url), chosen_by: "ALL_PROXY".into() };
        move |integration: &mut Integration| integration.connection.proxies.push(proxy)
    };
    let proxy = Proxy::with().credentials(Credentials::basic("user", "pass w0rd")).start().unwrap();
    let address = proxy.address();
    for url in [format!("http://user:pass%20w0rd@{address}"), format!("user:pass%20w0rd@{address}")] {
        check(harness(&server.url()).with(through(url)), Status::Pass, None).await;
    }
    assert_eq!((server.log().entries().len(), proxy.log().entries().len()), (2, 2));

    let unknown = check(
        harness(&server.url()).with(through(format!("http://{address}"))),
        Status::Unknown,
        Some((Cause::NetworkProxy, "proxy-auth")),
    )
    .await;
    assert!(message(&unknown).contains("407"));
    for (url, expect) in [
        ("ftp://user:hunter22@proxy.example", (Cause::ConfigInvalid, "proxy-invalid")),
        ("socks4://user:hunter22@proxy.example", (Cause::Undetermined, "proxy-unsupported")),
    ] {
        let status = if expect.0 == Cause::ConfigInvalid { Status::Fail } else { Status::Unknown };
        let seen = check(harness(&server.url()).with(through(url.to_owned())), status, Some(expect)).await;
        assert!(!format!("{seen:?}").contains("hunter22"), "{seen:?}");
    }
    assert_eq!(server.log().entries().len(), 2, "nothing went past the proxy");
}

#[tokio::test]
async fn a_credential_that_cannot_be_sent_is_said_to_be_so() {
    let server = Server::http(|_| Response::new(200)).unwrap();
    for token in ["tok3n\n", "tok\u{0}3n", "tok\r\nx: 3n"] {
        let seen = check(
            harness(&server.url()).secret("token", token),
            Status::Fail,
            Some((Cause::CredentialMalformed, "credential-unsendable")),
        )
        .await;
        assert!(message(&seen).contains("`authorization`"), "{seen:?}");
    }
    assert_eq!(server.log().lines(), Vec::<String>::new());
}
