use hickory_resolver::proto::op::ResponseCode;
use lineman_model::Connection;
use lineman_net::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::lab::*;
use crate::{SCANT, check};

const LOGIN: &str = "user:hunter2@";

#[tokio::test]
async fn a_tunnel_is_opened_or_the_proxys_reason_is_named() {
    const BASIC: &[u8] = b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=\"corp\"\r\n\r\n";
    const WINDOWS: &[u8] = b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n";
    const SQUID: &[u8] = b"HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\r\n";
    let (server, bundle) = good_server().await;
    let ample = limits().await;
    let scant = Limits { proxy: SCANT, ..ample };
    let cases = [
        ("open", "", connect_proxy("CONNECT api.example.test:443 ", server).await, &ample, "connect tls http 200", ""),
        (
            "open, with a password",
            LOGIN,
            connect_proxy("Proxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n", server).await,
            &ample,
            "connect tls http 200",
            "",
        ),
        (
            "407 without a password",
            "",
            http_server(BASIC).await,
            &ample,
            "connect! proxy-auth-required network.proxy",
            "it offers Basic",
        ),
        (
            "407 with a password",
            LOGIN,
            http_server(BASIC).await,
            &ample,
            "connect! proxy-auth-rejected network.proxy",
            "chosen by HTTPS_PROXY",
        ),
        (
            "407 for Windows",
            "",
            http_server(WINDOWS).await,
            &ample,
            "connect! proxy-auth-required network.proxy",
            "authenticates with Negotiate, NTLM",
        ),
        ("403", "", http_server(SQUID).await, &ample, "connect! proxy-forbidden network.proxy", "ERR_ACCESS_DENIED"),
        (
            "502",
            "",
            http_server(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await,
            &ample,
            "connect! proxy-upstream network.proxy",
            "cannot reach api.example.test",
        ),
        ("404", "", http_server(b"HTTP/1.1 404 No\r\n\r\n").await, &ample, "connect! proxy-rejected network.proxy", ""),
        ("SSH", "", greeter(b"SSH-2.0-x\r\n").await, &ample, "connect! proxy-not-a-proxy network.proxy", "SSH-2.0-x"),
        ("hangs up", "", hangs_up().await, &ample, "connect! proxy-reset network.proxy", ""),
        ("silence", LOGIN, silent().await, &scant, "connect! proxy-timeout network.proxy", "within 400 ms"),
    ];
    for (what, login, proxy, limits, expect, says) in cases {
        let connection = through(&format!("http://{login}127.0.0.1:{}", proxy.port()), bundle.connection());
        let expect = format!("proxy dns tcp {expect}");
        let walk = check(what, &format!("https://{HOST}/"), &connection, limits, &expect, &[says]).await;
        assert_eq!(walk.proxy.unwrap().address(), format!("http://{proxy}"), "{what}");
    }
}

#[tokio::test]
async fn the_way_to_the_proxy_fails_as_the_proxys() {
    let limits = limits_with(Dns::Code(ResponseCode::NXDomain)).await;
    let nobody = nobody().await;
    let cases = [
        (format!("http://{nobody}"), "proxy dns tcp! proxy-unreachable network.proxy", "is refused"),
        ("http://proxy.test:3128".to_owned(), "proxy dns! proxy-unresolved network.proxy", "does not exist"),
        ("http://169.254.169.254".to_owned(), "proxy dns! address-refused config.endpoint-wrong", ""),
        ("gopher://hunter2".to_owned(), "proxy! proxy-invalid config.invalid", "HTTPS_PROXY"),
    ];
    for (proxy, expect, says) in cases {
        let connection = through(&proxy, Connection::default());
        check(&proxy, &format!("https://{HOST}/"), &connection, &limits, expect, &[says]).await;
    }
    let connection = through("http://proxy.test:3128", Connection::default());
    let expect = "proxy! address-refused config.endpoint-wrong";
    check("forbidden behind it", "https://169.254.169.254/", &connection, &limits, expect, &[]).await;
}

#[tokio::test]
async fn plain_http_is_forwarded_not_tunnelled() {
    let limits = limits().await;
    let forwards = serve(|stream| async {
        let head = answer(stream, OK).await;
        assert!(head.starts_with("GET http://api.example.test/v1 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("proxy-authorization: Basic dXNlcjpodW50ZXIy\r\n"), "{head}");
    })
    .await;
    let refuses = http_server(b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n\r\n").await;
    let cases = [
        ("forwards", forwards, "proxy dns tcp http 200"),
        ("refuses", refuses, "proxy dns tcp http! proxy-auth-rejected network.proxy"),
    ];
    for (what, proxy, expect) in cases {
        let connection = through(&format!("http://{LOGIN}{proxy}"), Connection::default());
        check(what, &format!("http://{HOST}/v1"), &connection, &limits, expect, &[]).await;
    }
}

#[tokio::test]
async fn a_proxy_over_tls_is_trusted_like_any_server() {
    let (server, _) = good_server().await;
    let limits = limits().await;
    let root = Authority::root("Lab Root");
    let config = tls_config(&root.issue(leaf_params(&["127.0.0.1", HOST])), Client::Unasked, &rustls::version::TLS13);
    let proxy = serve(move |stream| {
        let acceptor = TlsAcceptor::from(config.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                relay(stream, "CONNECT ", server).await;
            }
        }
    })
    .await;
    let url = format!("https://{proxy}");
    let stranger = Authority::root("Stranger");
    for (what, authority, expect) in [
        (
            "trusted proxy, untrusted server",
            &root,
            "proxy dns tcp connect tls! tls-unknown-issuer network.tls-untrusted",
        ),
        ("untrusted proxy", &stranger, "proxy dns tcp connect! proxy-tls network.proxy"),
    ] {
        let bundle = Bundle::of([&authority.certificate]);
        let connection = through(&url, bundle.connection());
        check(what, &format!("https://{HOST}/"), &connection, &limits, expect, &[]).await;
    }
}

/// A SOCKS 5 proxy with a password, that answers with a code and then leads to one server.
async fn socks_proxy(code: u8, wanted: &'static [u8], server: std::net::SocketAddr) -> std::net::SocketAddr {
    serve(move |mut stream| async move {
        let mut greeting = [0; 2];
        stream.read_exact(&mut greeting).await.unwrap();
        let mut methods = vec![0; usize::from(greeting[1])];
        stream.read_exact(&mut methods).await.unwrap();
        if !methods.contains(&2) {
            stream.write_all(&[5, 0xff]).await.unwrap();
            return;
        }
        stream.write_all(&[5, 2]).await.unwrap();
        let mut login = [0; 14];
        stream.read_exact(&mut login).await.unwrap();
        let good = &login == b"\x01\x04user\x07hunter2";
        stream.write_all(&[1, u8::from(!good)]).await.unwrap();
        let mut request = vec![0; wanted.len()];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(request, wanted);
        stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        if code == 0 {
            let mut upstream = TcpStream::connect(server).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut upstream).await;
        }
    })
    .await
}

#[tokio::test]
async fn socks_proxies_resolve_where_their_scheme_says() {
    const BY_NAME: &[u8] = b"\x05\x01\x00\x03\x10api.example.test\x01\xbb";
    const BY_ADDRESS: &[u8] = b"\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb";
    let (server, bundle) = good_server().await;
    let limits = limits().await;
    let cases = [
        ("name", "socks5h", LOGIN, socks_proxy(0, BY_NAME, server).await, "connect tls http 200"),
        ("address", "socks5", LOGIN, socks_proxy(0, BY_ADDRESS, server).await, "connect tls http 200"),
        ("rules", "socks5h", LOGIN, socks_proxy(2, BY_NAME, server).await, "connect! proxy-forbidden network.proxy"),
        ("upstream", "socks5h", LOGIN, socks_proxy(4, BY_NAME, server).await, "connect! proxy-upstream network.proxy"),
        ("no password", "socks5h", "", socks_proxy(0, b"", server).await, "connect! proxy-auth-required network.proxy"),
        (
            "wrong password",
            "socks5h",
            "user:hunter3@",
            socks_proxy(0, b"", server).await,
            "connect! proxy-auth-rejected network.proxy",
        ),
        ("not SOCKS", "socks5h", "", greeter(b"HTTP/1.1 400\r\n").await, "connect! proxy-not-a-proxy network.proxy"),
    ];
    for (what, scheme, login, proxy, expect) in cases {
        let connection = through(&format!("{scheme}://{login}{proxy}"), bundle.connection());
        let expect = format!("proxy dns tcp {expect}");
        check(what, &format!("https://{HOST}/"), &connection, &limits, &expect, &[]).await;
    }
}

#[tokio::test]
async fn no_proxy_is_obeyed() {
    let (server, bundle) = good_server().await;
    let mut connection = through("http://proxy.test:3128", bundle.connection());
    connection.no_proxy = Some("other.test,.example.test".into());
    let url = format!("https://{HOST}:{}/", server.port());
    let walk = check("bypassed", &url, &connection, &limits().await, "proxy dns tcp tls http 200", &[]).await;
    assert!(walk.proxy.is_none());
}

#[tokio::test]
async fn plain_tcp_goes_through_a_proxy_for_everything() {
    let server = greeter(b"SSH-2.0-x\r\n").await;
    let proxy = connect_proxy("CONNECT api.example.test:22 ", server).await;
    let connection = through(&format!("http://{proxy}"), Connection::default());
    let expect = "proxy dns tcp connect connected";
    check("ssh", &format!("ssh://git@{HOST}/"), &connection, &limits().await, expect, &[]).await;
}
