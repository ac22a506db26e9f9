//! What is read where no rule knows the words: a cause that is possible, and nothing in garbage.

use lineman_catalog::{Catalog, explain_or_guess};
use lineman_model::Confidence;

use crate::catalogs;

/// The cause that comes first, and how sure it is.
fn first(catalogs: &[&Catalog], text: &str) -> Option<(String, Confidence)> {
    explain_or_guess(catalogs, text).first().map(|found| (found.cause.to_string(), found.confidence))
}

#[test]
fn general_rules_are_never_sure() {
    let sure = Catalog::general().rules().iter().filter(|rule| rule.confidence > Confidence::Possible);
    assert_eq!(sure.map(|rule| rule.code.as_str()).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn an_unknown_provider_is_read_by_status_and_words() {
    let plugins = catalogs();
    let all: Vec<&Catalog> = plugins.iter().chain(Catalog::shared()).collect();
    for (text, cause) in [
        ("HTTP/1.1 401 Unauthorized\nServer: x\n\n", "credential.invalid"),
        ("HTTP/2 403\n\n<html><body>no</body></html>", "permission.insufficient"),
        ("HTTP/1.1 404 Not Found\n\n{}", "resource.not-found"),
        ("HTTP/1.1 429 Too Many Requests\nretry-after: 30\n\n", "provider.rate-limited"),
        ("HTTP/1.1 503 Service Unavailable\n\n", "provider.outage"),
        ("{\"error\": {\"code\": 7, \"message\": \"Your API key has expired.\"}}", "credential.expired"),
        ("acme: error: access denied to vault prod", "permission.insufficient"),
        ("acme: the quota for volumes is exceeded", "quota.exceeded"),
        ("acme: error: project \"web\" was not found", "resource.not-found"),
        ("acme: the request timed out", "network.timeout"),
        ("acme: the server's certificate could not be verified", "network.tls-untrusted"),
        ("acme: this account has been suspended", "account.suspended"),
        ("acme: a vault of this name already exists", "resource.conflict"),
        ("acme: down for maintenance until noon", "provider.maintenance"),
    ] {
        assert_eq!(first(&all, text), Some((cause.to_owned(), Confidence::Possible)), "{text}");
    }
}

#[test]
fn garbage_and_good_news_are_nothing() {
    let plugins = catalogs();
    let all: Vec<&Catalog> = plugins.iter().chain(Catalog::shared()).collect();
    // Bytes without order, the same ones each time.
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let noise: Vec<u8> = (0..100_000).map(|_| byte()).collect();
    let printable: String = (0..100_000).map(|_| char::from(b' ' + byte() % 95)).collect();
    let texts = [
        String::new(),
        "hello".to_owned(),
        "error".to_owned(),
        "exit code 1".to_owned(),
        "HTTP/1.1 200 OK\ncontent-type: application/json\n\n{\"status\":\"ok\",\"code\":200}".to_owned(),
        "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.".to_owned(),
        "Everything up-to-date".to_owned(),
        "the timeout is 30 seconds, the rate limit 300 requests".to_owned(),
        "403 files in 404 folders".to_owned(),
        String::from_utf8_lossy(&noise).into_owned(),
        printable,
        "x".repeat(1 << 20),
        "\u{0}\u{1b}[31m\u{202e}".repeat(20_000),
        "│".repeat(100_000),
        "[".repeat(100_000),
        "<a>".repeat(50_000),
        "{\"a\":".repeat(20_000),
        "╷\n│ Error: x\n│   with a.b,\n".repeat(2_000),
        "HTTP/1.1 \n".repeat(10_000),
    ];
    for text in &texts {
        let shown: String = text.chars().take(60).collect();
        assert_eq!(first(&all, text), None, "{shown:?}");
    }
}
