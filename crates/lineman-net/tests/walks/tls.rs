use rustls::version::{TLS12, TLS13};

use crate::lab::*;
use crate::{SCANT, check};

fn on(day: i32) -> rcgen::CertificateParams {
    let mut params = leaf_params(&[HOST]);
    if day < 2030 {
        params.not_after = rcgen::date_time_ymd(day, 1, 2);
    } else {
        params.not_before = rcgen::date_time_ymd(day, 1, 2);
    }
    params
}

#[tokio::test]
async fn a_certificate_is_accepted_or_the_reason_is_named() {
    let root = Authority::root("Lab Root");
    let between = root.intermediate("Lab Intermediate");
    let stranger = Authority::root("Stranger Root");
    let zscaler = Authority::root("Zscaler Intermediate Root CA");
    let own = Identity::self_signed(authority_params(HOST));
    let bundle = Bundle::of([&root.certificate, &own.chain[0]]);
    let telling = || {
        let mut params = leaf_params(&[HOST]);
        params.custom_extensions.push(tells_issuer());
        params
    };
    let unnamed = leaf_params(&[]);
    let elsewhere = leaf_params(&["a.example.test", "*.b.example.test", "c.example.test", "d.example.test"]);

    let cases: &[(&str, Identity, &str, &[&str])] = &[
        ("good", root.issue(leaf_params(&[HOST])), "dns tcp tls http 200", &["TLSv1.", "connection.ca_file"]),
        (
            "good, with an intermediate",
            between.issue(leaf_params(&[HOST])).with(&between.certificate),
            "dns tcp tls http 200",
            &[],
        ),
        (
            "without its intermediate",
            between.issue(telling()),
            "dns tcp tls! tls-missing-intermediate network.tls-untrusted",
            &["CN=Lab Intermediate", "fullchain"],
        ),
        (
            "with another intermediate",
            between.issue(leaf_params(&[HOST])).with(&stranger.certificate),
            "dns tcp tls! tls-missing-intermediate network.tls-untrusted",
            &["CN=Lab Intermediate"],
        ),
        (
            "of an unknown root",
            stranger.issue(leaf_params(&[HOST])).with(&stranger.certificate),
            "dns tcp tls! tls-unknown-issuer network.tls-untrusted",
            &["CN=Stranger Root", "2 authorities", "chosen by connection.ca_file", "s_client"],
        ),
        (
            "of a namesake of a trusted root",
            Authority::root("Lab Root").issue(leaf_params(&[HOST])),
            "dns tcp tls! tls-unknown-issuer network.tls-untrusted",
            &["with another key"],
        ),
        (
            "self-signed",
            Identity::self_signed(leaf_params(&[HOST])),
            "dns tcp tls! tls-self-signed network.tls-untrusted",
            &["CN=the server"],
        ),
        (
            "self-signed, as openssl makes them",
            Identity::self_signed({
                let mut params = authority_params("homemade");
                params.subject_alt_names = leaf_params(&[HOST]).subject_alt_names;
                params
            }),
            "dns tcp tls! tls-self-signed network.tls-untrusted",
            &["CN=homemade"],
        ),
        (
            "its own trusted authority",
            own,
            "dns tcp tls! tls-bad-certificate network.tls-untrusted",
            &["authority's own"],
        ),
        (
            "of an interceptor",
            zscaler.issue(leaf_params(&[HOST])),
            "dns tcp tls! tls-intercepted network.tls-intercepted",
            &["Zscaler intercepts", "exempted"],
        ),
        (
            "expired",
            root.issue(on(2024)),
            "dns tcp tls! tls-expired network.tls-expired",
            &["expired on 2024-01-02", "clock"],
        ),
        (
            "not yet valid",
            root.issue(on(3000)),
            "dns tcp tls! tls-not-yet-valid network.tls-expired",
            &["from 3000-01-02", "ClockSkew, confidence: Likely"],
        ),
        (
            "for other names",
            root.issue(elsewhere),
            "dns tcp tls! tls-hostname network.tls-hostname",
            &["a.example.test, *.b.example.test, c.example.test and 1 more"],
        ),
        ("for no name", root.issue(unnamed), "dns tcp tls! tls-hostname network.tls-hostname", &["names no host"]),
    ];
    let limits = limits().await;
    for (what, identity, expect, says) in cases {
        for version in [&TLS12, &TLS13] {
            let server = tls_server(tls_config(identity, Client::Unasked, version), OK).await;
            let url = format!("https://{HOST}:{}/", server.port());
            let walk = check(what, &url, &bundle.connection(), &limits, expect, says).await;
            assert_eq!(walk.certificate.is_some(), walk.failure.is_none(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_trusted_interceptor_is_noted() {
    let root = Authority::root("mitmproxy");
    let server = tls_server(tls_config(&root.issue(leaf_params(&[HOST])), Client::Unasked, &TLS13), OK).await;
    let url = format!("https://{HOST}:{}/", server.port());
    let connection = Bundle::of([&root.certificate]);
    let notes = ["mitmproxy intercepts the connection to api.example.test; it is trusted."];
    check("trusted", &url, &connection.connection(), &limits().await, "dns tcp tls http 200", &notes).await;
}

#[tokio::test]
async fn a_wanted_client_certificate_is_named_whenever_the_server_says_so() {
    const NGINX: &[u8] = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 76\r\n\r\n\
        <html><head><title>400 No required SSL certificate was sent</title></head>..";
    let root = Authority::root("Lab Root");
    let identity = root.issue(leaf_params(&[HOST]));
    let bundle = Bundle::of([&root.certificate]);
    let limits = limits().await;
    let wanted = "dns tcp tls! tls-client-cert network.tls-client-cert";
    for version in [&TLS12, &TLS13] {
        for (what, client, response, expect) in [
            ("required", Client::Required, OK, wanted),
            ("required, as nginx says it", Client::Optional, NGINX, wanted),
            ("optional", Client::Optional, OK, "dns tcp tls http 200"),
        ] {
            let server = tls_server(tls_config(&identity, client, version), response).await;
            let url = format!("https://{HOST}:{}/", server.port());
            check(what, &url, &bundle.connection(), &limits, expect, &[]).await;
        }
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_told_apart() {
    let bundle = Bundle::of([&Authority::root("Lab Root").certificate]);
    let ample = limits().await;
    let scant = lineman_net::Limits { tls: SCANT, ..ample };
    let alert = |code: u8| -> &'static [u8] { Box::leak(Box::new([0x15, 3, 3, 0, 2, 2, code])) };
    let bad_request: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let cases = [
        (
            "plain HTTP",
            greeter(bad_request).await,
            &ample,
            "tls-not-tls network.tls-protocol",
            "speaks plain HTTP, not TLS",
        ),
        ("SSH", greeter(b"SSH-2.0-OpenSSH_9.6\r\n").await, &ample, "tls-not-tls network.tls-protocol", "OpenSSH_9.6"),
        (
            "noise",
            greeter(b"\xff\xfe\xfd\xfc\xfb\xfa").await,
            &ample,
            "tls-not-tls network.tls-protocol",
            "does not speak TLS",
        ),
        ("protocol_version", greeter(alert(70)).await, &ample, "tls-version network.tls-protocol", "TLS 1.2 or 1.3"),
        ("handshake_failure", greeter(alert(40)).await, &ample, "tls-version network.tls-protocol", "cipher"),
        ("unrecognized_name", greeter(alert(112)).await, &ample, "tls-hostname network.tls-hostname", "does not serve"),
        ("internal_error", greeter(alert(80)).await, &ample, "tls-failed network.tls-protocol", "InternalError"),
        ("hangs up", hangs_up().await, &ample, "tls-reset network.reset", "cut off during the TLS handshake"),
        ("silence", silent().await, &scant, "tls-timeout network.timeout", "within 400 ms"),
    ];
    for (what, server, limits, expect, says) in cases {
        let url = format!("https://{HOST}:{}/", server.port());
        check(what, &url, &bundle.connection(), limits, &format!("dns tcp tls! {expect}"), &[says]).await;
    }
}
