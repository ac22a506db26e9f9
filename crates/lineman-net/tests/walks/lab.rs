//! Servers on loopback that do one thing each.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use lineman_model::{CaBundle, Connection, Proxy, Secret};
use lineman_net::Limits;
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;

use crate::AMPLE;

pub(crate) const HOST: &str = "api.example.test";

/// A server on a port of its own, gone with the test's runtime.
pub(crate) async fn serve<S, F>(session: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(session(stream));
        }
    });
    address
}

/// Reads the head of a request and answers it with fixed bytes.
pub(crate) async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, response: &[u8]) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    let _ = stream.write_all(response).await;
    let _ = stream.shutdown().await;
    // Closing with unread input would reset the connection before the answer is read.
    let _ = stream.read_to_end(&mut Vec::new()).await;
    String::from_utf8_lossy(&head).into_owned()
}

/// Answers every request with the same bytes.
pub(crate) async fn http_server(response: &'static [u8]) -> SocketAddr {
    serve(move |stream| async move {
        answer(stream, response).await;
    })
    .await
}

/// Says something at once, whoever calls, and reads to the end.
pub(crate) async fn greeter(greeting: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| async move {
        let _ = stream.write_all(greeting).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// Accepts, reads and never says a word.
pub(crate) async fn silent() -> SocketAddr {
    greeter(b"").await
}

/// Accepts, reads a little and hangs up.
pub(crate) async fn hangs_up() -> SocketAddr {
    serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await
}

/// An address on which nothing listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A certificate authority.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

pub(crate) fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// What a server's certificate is like when nothing is wrong with it.
pub(crate) fn leaf_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "the server");
    params
}

/// The extension that says where the issuer's certificate is: `id-ad-caIssuers`, `http://ca.test/`.
pub(crate) fn tells_issuer() -> CustomExtension {
    let mut content = vec![0x30, 0x1f, 0x30, 0x1d, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 0x30, 2, 0x86, 0x11];
    content.extend_from_slice(b"http://ca.test/ca");
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}

impl Authority {
    pub(crate) fn root(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let params = authority_params(name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn issue(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Identity { chain: vec![certificate], key }
    }
}

/// A server's certificates and key.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Identity {
    pub(crate) fn self_signed(params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
    }

    pub(crate) fn with(mut self, other: &CertificateDer<'static>) -> Identity {
        self.chain.push(other.clone());
        self
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

/// Whether a TLS server asks for a client certificate.
#[derive(Clone, Copy)]
pub(crate) enum Client {
    Unasked,
    Optional,
    Required,
}

pub(crate) fn tls_config(
    identity: &Identity,
    client: Client,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(Authority::root("Client Authority").certificate).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match client {
        Client::Unasked => builder.with_no_client_auth(),
        Client::Optional => builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap()),
        Client::Required => builder.with_client_cert_verifier(verifier.build().unwrap()),
    };
    Arc::new(builder.with_single_cert(identity.chain.clone(), identity.key()).unwrap())
}

/// An HTTPS server with one answer.
pub(crate) async fn tls_server(config: Arc<ServerConfig>, response: &'static [u8]) -> SocketAddr {
    serve(move |stream| {
        let acceptor = TlsAcceptor::from(config.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, response).await;
            }
        }
    })
    .await
}

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// An HTTPS server for the lab's host with nothing wrong, and the connection that trusts it.
pub(crate) async fn good_server() -> (SocketAddr, Bundle) {
    let root = Authority::root("Good Authority");
    let config = tls_config(&root.issue(leaf_params(&[HOST])), Client::Unasked, &rustls::version::TLS13);
    (tls_server(config, OK).await, Bundle::of([&root.certificate]))
}

/// A file of trusted authorities, and a connection that uses it.
pub(crate) struct Bundle {
    file: NamedTempFile,
}

impl Bundle {
    pub(crate) fn of<'a>(certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> Bundle {
        let mut file = NamedTempFile::new().unwrap();
        for certificate in certificates {
            file.write_all(pem(certificate).as_bytes()).unwrap();
        }
        Bundle { file }
    }

    pub(crate) fn connection(&self) -> Connection {
        let file = Some(self.file.path().to_str().unwrap().to_owned());
        Connection {
            ca: Some(CaBundle { file, directory: None, chosen_by: "connection.ca_file".into() }),
            ..Connection::default()
        }
    }
}

pub(crate) fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// How a name server answers.
#[derive(Clone, Copy)]
pub(crate) enum Dns {
    /// These addresses, by family.
    Addresses(&'static [&'static str]),
    Code(ResponseCode),
    Silence,
}

/// A name server that answers every question alike.
pub(crate) async fn name_server(dns: Dns) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            if let Some(reply) = dns_reply(dns, &buffer[..length]) {
                let _ = socket.send_to(&reply, client).await;
            }
        }
    });
    address
}

fn dns_reply(dns: Dns, question: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?.clone();
    let mut reply = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    reply.add_query(query.clone());
    match dns {
        Dns::Silence => return None,
        Dns::Code(code) => reply.metadata.response_code = code,
        Dns::Addresses(addresses) => {
            for address in addresses {
                let data = match address.parse().unwrap() {
                    std::net::IpAddr::V4(v4) if query.query_type() == RecordType::A => RData::A(A(v4)),
                    std::net::IpAddr::V6(v6) if query.query_type() == RecordType::AAAA => RData::AAAA(AAAA(v6)),
                    _ => continue,
                };
                reply.add_answer(Record::from_rdata(query.name().clone(), 60, data));
            }
        }
    }
    reply.to_vec().ok()
}

/// Limits that no healthy step reaches, with the lab's names on loopback.
pub(crate) async fn limits() -> Limits {
    limits_with(Dns::Addresses(&["127.0.0.1"])).await
}

pub(crate) async fn limits_with(dns: Dns) -> Limits {
    let name_server = Some(name_server(dns).await);
    Limits { dns: AMPLE, tcp: AMPLE, proxy: AMPLE, tls: AMPLE, http: AMPLE, total: AMPLE, name_server }
}

/// A connection through a proxy.
pub(crate) fn through(url: &str, connection: Connection) -> Connection {
    let proxy = Proxy { scheme: "all".into(), url: Secret::new(url), chosen_by: "HTTPS_PROXY".into() };
    Connection { proxies: vec![proxy], ..connection }
}

/// A proxy that takes HTTP CONNECT when the head of the request has a text in it, and leads to one
/// server whatever the name.
pub(crate) async fn connect_proxy(wanted: &'static str, server: SocketAddr) -> SocketAddr {
    serve(move |stream| relay(stream, wanted, server)).await
}

pub(crate) async fn relay(mut stream: impl AsyncRead + AsyncWrite + Unpin, wanted: &'static str, server: SocketAddr) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    assert!(String::from_utf8_lossy(&head).contains(wanted), "{wanted:?} is not in {head:?}");
    let mut upstream = TcpStream::connect(server).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut upstream).await;
}
