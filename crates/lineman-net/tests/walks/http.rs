use jiff::{SignedDuration, Timestamp};
use lineman_model::Connection;
use lineman_net::Limits;

use crate::lab::*;
use crate::{SCANT, check};

#[tokio::test]
async fn an_answer_is_recorded_and_anything_else_is_named() {
    let ample = limits().await;
    let scant = Limits { http: SCANT, ..ample };
    let outage: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\nback soon\x1b[2J";
    let (https, _bundle) = good_server().await;
    let cases = [
        ("ok", http_server(OK).await, &ample, "http 200", ""),
        ("redirect", http_server(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n").await, &ample, "http 302", "location"),
        ("outage", http_server(outage).await, &ample, "http 503", "\"back soon\""),
        ("proxy's word from no proxy", http_server(b"HTTP/1.1 407 No\r\n\r\n").await, &ample, "http 407", ""),
        ("empty", http_server(b"").await, &ample, "http! http-reset network.reset", "before it answers"),
        (
            "cut short",
            http_server(b"HTTP/1.1 200 OK\r\nContent-").await,
            &ample,
            "http! http-reset network.reset",
            "in the middle of its answer",
        ),
        (
            "SSH",
            greeter(b"SSH-2.0-OpenSSH_9.6\r\n").await,
            &ample,
            "http! http-not-http config.endpoint-wrong",
            "speaks SSH",
        ),
        ("noise", http_server(b"hello\r\n\r\n").await, &ample, "http! http-not-http config.endpoint-wrong", "hello"),
        (
            "HTTPS that says so",
            http_server(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n").await,
            &ample,
            "http! http-wants-tls config.endpoint-wrong",
            "Use https://",
        ),
        ("TLS", https, &ample, "http! http-not-http config.endpoint-wrong", "Use https://"),
        ("silence", silent().await, &scant, "http! http-timeout network.timeout", "within 400 ms"),
    ];
    for (what, server, limits, expect, says) in cases {
        let url = format!("http://{HOST}:{}/path?token=hunter2", server.port());
        check(what, &url, &Connection::default(), limits, &format!("dns tcp {expect}"), &[says]).await;
    }
}

#[tokio::test]
async fn the_request_has_no_query_and_no_credentials() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let server = serve(move |stream| {
        let sender = sender.clone();
        async move { drop(sender.send(answer(stream, OK).await)) }
    })
    .await;
    let url = format!("http://user:hunter2@{HOST}:{}/v1/a?token=hunter2", server.port());
    check("ok", &url, &Connection::default(), &limits().await, "dns tcp http 200", &[]).await;
    let head = receiver.recv().await.unwrap();
    assert!(head.starts_with("GET /v1/a HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {HOST}:{}\r\n", server.port())), "{head}");
    assert!(!head.contains("hunter2") && !head.to_lowercase().contains("authorization"), "{head}");
}

#[tokio::test]
async fn the_skew_of_the_clock_is_measured_and_fails_nothing() {
    let an_hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let date = httpdate::fmt_http_date(an_hour_ago.into());
    let response: &'static [u8] = format!("HTTP/1.1 403 Forbidden\r\nDate: {date}\r\n\r\n").leak().as_bytes();
    let url = format!("http://{HOST}:{}/", http_server(response).await.port());
    let walk = check("skewed", &url, &Connection::default(), &limits().await, "dns tcp http 403", &[&date]).await;
    let skew = walk.skew.unwrap();
    assert!((3598..3660).contains(&skew.as_secs()), "{skew:?}");
}

#[tokio::test]
async fn the_connections_timeout_and_the_whole_limit_every_phase() {
    let ample = limits().await;
    let url = format!("http://{HOST}:{}/", silent().await.port());
    // Enough for the phases before, however busy the machine is.
    let enough = SCANT * 5;
    let timeout = Connection { timeout_ms: Some(enough.as_millis() as u64), ..Connection::default() };
    let total = Limits { total: enough, ..ample };
    let untimed = Connection::default();
    let expect = "dns tcp http! http-timeout network.timeout";
    tokio::join!(
        check("connection", &url, &timeout, &ample, expect, &[]),
        check("total", &url, &untimed, &total, expect, &[]),
    );
}
