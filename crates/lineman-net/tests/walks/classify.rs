use std::net::SocketAddr;
use std::sync::Arc;

use hickory_resolver::proto::op::ResponseCode;
use lineman_model::Connection;
use lineman_net::{Limits, classify, proxy_for, resolve, trust};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::SCANT;
use crate::lab::*;

/// The resolver that a client takes from this crate.
struct Resolver(Limits);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let limits = self.0;
        Box::pin(async move {
            let found = resolve(name.as_str(), &Connection::default(), &limits).await?;
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// The error that a client built from this crate's pieces meets at an address.
async fn error(url: &str, connection: &Connection, limits: Limits) -> reqwest::Error {
    let target = lineman_net::Target::from_url(&url.parse().unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured((*trust(connection).unwrap().client_config()).clone())
        .dns_resolver(Arc::new(Resolver(limits)))
        .timeout(limits.http);
    let client = match proxy_for(&target, connection).unwrap() {
        Some(proxy) => client.proxy(reqwest::Proxy::all(proxy.url().expose()).unwrap()),
        None => client.no_proxy(),
    };
    client.build().unwrap().get(url).send().await.unwrap_err()
}

#[tokio::test]
async fn the_errors_of_a_client_mean_what_the_walk_would_say() {
    let root = Authority::root("Lab Root");
    let bundle = Bundle::of([&root.certificate]);
    let direct = bundle.connection();
    let secure =
        async |identity: &Identity, client| tls_server(tls_config(identity, client, &rustls::version::TLS13), OK).await;
    let mut late = leaf_params(&[HOST]);
    late.not_after = rcgen::date_time_ymd(2024, 1, 2);
    let good = root.issue(leaf_params(&[HOST]));
    let stranger = Authority::root("Stranger").issue(leaf_params(&[HOST]));

    let ample = limits().await;
    let scant = Limits { http: SCANT, ..ample };
    let nxdomain = limits_with(Dns::Code(ResponseCode::NXDomain)).await;
    let needs_login = http_server(b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n\r\n").await;
    let forbids = http_server(b"HTTP/1.1 403 No\r\n\r\n").await;
    let nobody = nobody().await;
    let proxied = |proxy: SocketAddr| through(&format!("http://{proxy}"), bundle.connection());

    let cases = [
        ("refused", "http", nobody, direct.clone(), ample, "tcp tcp-refused network.refused"),
        ("nxdomain", "http", nobody, direct.clone(), nxdomain, "dns dns-nxdomain network.dns"),
        (
            "untrusted",
            "https",
            secure(&stranger, Client::Unasked).await,
            direct.clone(),
            ample,
            "tls tls-unknown-issuer network.tls-untrusted",
        ),
        (
            "expired",
            "https",
            secure(&root.issue(late), Client::Unasked).await,
            direct.clone(),
            ample,
            "tls tls-expired network.tls-expired",
        ),
        (
            "wrong name",
            "https",
            secure(&root.issue(leaf_params(&["other.test"])), Client::Unasked).await,
            direct.clone(),
            ample,
            "tls tls-hostname network.tls-hostname",
        ),
        (
            "client certificate",
            "https",
            secure(&good, Client::Required).await,
            direct.clone(),
            ample,
            "tls tls-client-cert network.tls-client-cert",
        ),
        (
            "not TLS",
            "https",
            greeter(b"SSH-2.0-x\r\n").await,
            direct.clone(),
            ample,
            "tls tls-not-tls network.tls-protocol",
        ),
        ("cut off in TLS", "https", hangs_up().await, direct.clone(), ample, "tls tls-reset network.reset"),
        ("cut off in HTTP", "http", hangs_up().await, direct.clone(), ample, "http http-reset network.reset"),
        (
            "not HTTP",
            "http",
            http_server(b"hello\r\n\r\n").await,
            direct.clone(),
            ample,
            "http http-not-http config.endpoint-wrong",
        ),
        ("silence", "http", silent().await, direct.clone(), scant, "http http-timeout network.timeout"),
        ("407", "https", nobody, proxied(needs_login), ample, "connect proxy-auth-required network.proxy"),
        ("no proxy", "https", nobody, proxied(nobody), ample, "tcp proxy-unreachable network.proxy"),
        ("403", "https", nobody, proxied(forbids), ample, "connect proxy-rejected network.proxy"),
    ];
    for (what, scheme, server, connection, limits, expect) in cases {
        let error = error(&format!("{scheme}://{HOST}:{}/", server.port()), &connection, limits).await;
        let failure = classify(&error).unwrap_or_else(|| panic!("{what}: {error:?}"));
        let seen = format!("{} {} {}", failure.phase, failure.code, failure.cause);
        assert_eq!(seen, expect, "{what}: {error:?}");
    }
}

#[test]
fn an_error_that_says_nothing_of_the_path_is_left_alone() {
    let error = std::io::Error::other("the dog ate it");
    assert_eq!(classify(&error), None);
}
