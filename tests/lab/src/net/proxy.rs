use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::log::{Request, RequestLog};
use crate::serving::Serving;

type Body = BoxBody<Bytes, hyper::Error>;

/// What a proxy asks of those who use it.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    user: String,
    password: String,
    offered: Vec<String>,
}

impl Credentials {
    /// Basic authentication with this user and password.
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Credentials {
        let offered = vec!["Basic realm=\"lab proxy\"".to_owned()];
        Credentials { user: user.into(), password: password.into(), offered }
    }

    /// The challenges that it offers with 407 (`Negotiate`, `NTLM`, …), in this order. What it
    /// accepts stays Basic.
    pub fn offering<S: Into<String>>(mut self, challenges: impl IntoIterator<Item = S>) -> Credentials {
        self.offered = challenges.into_iter().map(Into::into).collect();
        self
    }
}

/// A running forward proxy: `CONNECT`, and plain HTTP by whole URL.
pub struct Proxy {
    serving: Serving,
    log: RequestLog,
}

/// The rules of a proxy, before it runs.
#[derive(Default)]
pub struct Options {
    credentials: Option<Credentials>,
    denied: Vec<String>,
    hosts: Vec<(String, SocketAddr)>,
}

impl Options {
    /// Asks for credentials.
    pub fn credentials(mut self, credentials: Credentials) -> Options {
        self.credentials = Some(credentials);
        self
    }

    /// Refuses this host with 403.
    pub fn deny(mut self, host: impl Into<String>) -> Options {
        self.denied.push(host.into());
        self
    }

    /// Takes `host` (any port) to be at `address`: the proxy's own view of the names.
    pub fn host(mut self, host: impl Into<String>, address: SocketAddr) -> Options {
        self.hosts.push((host.into(), address));
        self
    }

    /// Starts the proxy.
    pub fn start(self) -> Result<Proxy> {
        let log = RequestLog::default();
        let rules = Arc::new(self);
        let record = log.clone();
        let serving = Serving::accepting(move |stream| {
            let (rules, log) = (Arc::clone(&rules), record.clone());
            async move {
                let tunnels = Arc::new(tokio::sync::Mutex::new(JoinSet::new()));
                let opened = Arc::clone(&tunnels);
                let service = service_fn(move |request| {
                    let (rules, log, tunnels) = (Arc::clone(&rules), log.clone(), Arc::clone(&opened));
                    async move { Ok::<_, Infallible>(rules.pass(request, &log, &tunnels).await) }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                let _ = connection.with_upgrades().await;
                let mut tunnels = tunnels.lock().await;
                while tunnels.join_next().await.is_some() {}
            }
        })?;
        Ok(Proxy { serving, log })
    }
}

impl Proxy {
    /// A forward proxy that lets everybody through to everywhere.
    pub fn open() -> Result<Proxy> {
        Options::default().start()
    }

    /// A forward proxy with rules.
    pub fn with() -> Options {
        Options::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What it was asked: `CONNECT host:port`, or a method with a whole URL.
    pub fn log(&self) -> &RequestLog {
        &self.log
    }
}

impl Options {
    async fn pass(
        &self,
        request: hyper::Request<Incoming>,
        log: &RequestLog,
        tunnels: &tokio::sync::Mutex<JoinSet<()>>,
    ) -> hyper::Response<Body> {
        let asked = recorded(&request);
        log.push(asked.clone());
        if let Some(wanted) = &self.credentials {
            let shown = asked.basic("proxy-authorization");
            if shown.is_none_or(|(user, password)| user != wanted.user || password != wanted.password) {
                let mut answer = plain(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "Proxy Authentication Required\n");
                for challenge in wanted.offered.iter().filter_map(|challenge| HeaderValue::from_str(challenge).ok()) {
                    answer.headers_mut().append("proxy-authenticate", challenge);
                }
                return answer;
            }
        }
        let Some(host) = request.uri().host().map(str::to_owned) else {
            return plain(StatusCode::BAD_REQUEST, "A proxy is asked for a whole URL\n");
        };
        if self.denied.contains(&host) {
            return plain(StatusCode::FORBIDDEN, "The destination is denied by the proxy's rules\n");
        }
        let Ok(server) = self.connect(&host, request.uri()).await else {
            return plain(StatusCode::BAD_GATEWAY, "The destination cannot be reached\n");
        };
        if request.method() == Method::CONNECT {
            let upgrade = hyper::upgrade::on(request);
            tunnels.lock().await.spawn(tunnel(upgrade, server));
            return plain(StatusCode::OK, "");
        }
        forward(request, server).await.unwrap_or_else(|_| plain(StatusCode::BAD_GATEWAY, "No answer\n"))
    }

    async fn connect(&self, host: &str, uri: &Uri) -> std::io::Result<TcpStream> {
        match self.hosts.iter().find(|(name, _)| name == host) {
            Some((_, address)) => TcpStream::connect(address).await,
            None => TcpStream::connect((host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80))).await,
        }
    }
}

async fn tunnel(upgrade: hyper::upgrade::OnUpgrade, mut server: TcpStream) {
    if let Ok(client) = upgrade.await {
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut server).await;
    }
}

/// Sends a request on in origin form, without what is meant for the proxy.
async fn forward(mut request: hyper::Request<Incoming>, server: TcpStream) -> Result<hyper::Response<Body>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(server)).await?;
    let authority = request.uri().authority().map(|authority| authority.to_string()).unwrap_or_default();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).parse()?;
    *request.uri_mut() = target;
    for hop in [CONNECTION, HeaderName::from_static("proxy-authorization"), HeaderName::from_static("proxy-connection")]
    {
        request.headers_mut().remove(hop);
    }
    request.headers_mut().insert(HOST, HeaderValue::from_str(&authority)?);
    let exchange = async {
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = Full::new(body.collect().await?.to_bytes()).map_err(|never| match never {}).boxed();
        Ok(hyper::Response::from_parts(parts, body))
    };
    tokio::pin!(exchange, connection);
    // The exchange cannot move without its connection, and the connection may end first.
    tokio::select! {
        done = &mut exchange => done,
        _ = &mut connection => exchange.await,
    }
}

fn recorded(request: &hyper::Request<Incoming>) -> Request {
    let value = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Request {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        headers: request.headers().iter().map(|(name, text)| (name.to_string(), value(text))).collect(),
        body: Vec::new(),
    }
}

fn plain(status: StatusCode, text: &'static str) -> hyper::Response<Body> {
    let body = Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed();
    let mut response = hyper::Response::new(body);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::*;
    use crate::api::{Response, Server};

    fn ask(proxy: &Proxy, request: &str) -> String {
        let mut stream = std::net::TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        // A tunnel stays open: an answer is whole once the origin's words are in it.
        while !String::from_utf8_lossy(&answer).contains("origin") {
            match stream.read(&mut piece).unwrap() {
                0 => break,
                length => answer.extend_from_slice(&piece[..length]),
            }
        }
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn a_proxy_lets_through_asks_and_denies() {
        let origin = Server::http(|_| Response::new(200).body("the origin")).unwrap();
        let port = origin.address().port();
        let proxy = Proxy::with()
            .credentials(Credentials::basic("amy", "secret").offering(["Negotiate", "Basic realm=\"corp\""]))
            .deny("denied.example")
            .host("api.example", origin.address())
            .start()
            .unwrap();
        let amy = format!("proxy-authorization: Basic {}\r\n", BASE64.encode("amy:secret"));
        let close = "connection: close\r\n\r\n";

        let refused = ask(&proxy, &format!("CONNECT api.example:443 HTTP/1.1\r\nhost: api.example:443\r\n{close}"));
        assert!(refused.starts_with("HTTP/1.1 407"), "{refused}");
        assert!(refused.contains("proxy-authenticate: Negotiate") && refused.contains("Basic realm=\"corp\""));

        let denied = format!("CONNECT denied.example:443 HTTP/1.1\r\nhost: denied.example:443\r\n{amy}{close}");
        assert!(ask(&proxy, &denied).starts_with("HTTP/1.1 403"));

        let tunnelled = format!(
            "CONNECT api.example:443 HTTP/1.1\r\nhost: api.example:443\r\n{amy}\r\nGET / HTTP/1.1\r\nhost: x\r\n{close}"
        );
        let answer = ask(&proxy, &tunnelled);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("the origin"), "{answer}");

        let whole = format!("GET http://127.0.0.1:{port}/a?b HTTP/1.1\r\nhost: elsewhere\r\n{amy}{close}");
        assert!(ask(&proxy, &whole).contains("the origin"));
        let reached = origin.log().entries();
        assert_eq!(reached.last().unwrap().target, "/a?b");
        assert_eq!(reached.last().unwrap().header("proxy-authorization"), None);
        assert_eq!(proxy.log().lines()[0], "CONNECT api.example:443");
    }
}
