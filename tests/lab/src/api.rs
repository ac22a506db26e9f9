//! An HTTP server whose answers are one closure: the way to make any other fault.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use anyhow::Result;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

pub use crate::log::Request;
use crate::log::RequestLog;
use crate::serving::Serving;
use crate::tls::Tls;

/// A request that is larger is refused by closing the connection.
const MAX_BODY: usize = 64 << 20;

/// An HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers in order; one that is no valid header is left out when sending.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An empty response.
    pub fn new(status: u16) -> Response {
        Response { status, headers: Vec::new(), body: Vec::new() }
    }

    /// With one more header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Response {
        self.body = body.into();
        self
    }

    /// Says everything back: each header and the body of `request`, in headers and body of the
    /// response. A careless client shows the secret that it sent.
    pub fn echo(status: u16, request: &Request) -> Response {
        let mut response = Response::new(status).header("content-type", "text/plain; charset=utf-8");
        let mut body = format!("{} {}\n", request.method, request.target);
        for (name, value) in &request.headers {
            body.push_str(&format!("{name}: {value}\n"));
            response = response.header(format!("x-echo-{name}"), value);
        }
        response.body([body.as_bytes(), b"\n", &request.body].concat())
    }
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// As HTTP says.
    Send(Response),
    /// After a while.
    After(Duration, Response),
    /// Status, headers and half of the body, then silence.
    Stall(Response),
    /// Status, headers and half of the body, then the connection is cut.
    Cut(Response),
    /// The connection is closed without a word (curl's "empty reply").
    Close,
    /// The request is read and nothing comes back.
    Silence,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Answer {
        Answer::Send(response)
    }
}

type Handler = dyn Fn(Request) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync;

/// A running HTTP server.
pub struct Server {
    serving: Serving,
    scheme: &'static str,
    log: RequestLog,
}

impl Server {
    /// Serves plain HTTP.
    pub fn http<A: Into<Answer>>(handler: impl Fn(Request) -> A + Send + Sync + 'static) -> Result<Server> {
        Server::https(Tls::Off, handler)
    }

    /// Serves behind TLS, with the certificate that `tls` says.
    pub fn https<A: Into<Answer>>(tls: Tls, handler: impl Fn(Request) -> A + Send + Sync + 'static) -> Result<Server> {
        Server::start(tls, move |request| {
            let answer = handler(request).into();
            async move { answer }
        })
    }

    /// Serves with a handler that waits, such as for a child process.
    pub(crate) fn start<F, A>(tls: Tls, handler: F) -> Result<Server>
    where
        F: Fn(Request) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let log = RequestLog::default();
        let scheme = tls.scheme();
        let acceptor = tls.into_acceptor();
        let handler: Arc<Handler> = Arc::new(move |request| Box::pin(handler(request)));
        let record = log.clone();
        let serving = Serving::accepting(move |stream| {
            let (acceptor, handler, log): (Option<TlsAcceptor>, _, _) =
                (acceptor.clone(), Arc::clone(&handler), record.clone());
            async move {
                match acceptor {
                    None => converse(stream, handler, log).await,
                    Some(acceptor) => {
                        // A handshake that the client breaks off is the client's finding.
                        if let Ok(stream) = acceptor.accept(stream).await {
                            converse(stream, handler, log).await;
                        }
                    }
                }
            }
        })?;
        Ok(Server { serving, scheme, log })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// `http://127.0.0.1:PORT` or `https://127.0.0.1:PORT`, without a final slash. Good certificates
    /// are for `localhost` too.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// What it was asked.
    pub fn log(&self) -> &RequestLog {
        &self.log
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    handler: Arc<Handler>,
    log: RequestLog,
) {
    let service = service_fn(move |request| {
        let (handler, log) = (Arc::clone(&handler), log.clone());
        async move { respond(request, handler, log).await }
    });
    // An error here is a client that left, or a fault that was asked for.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Why a connection is closed in the middle of things.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the answer is broken off on purpose")
    }
}

impl std::error::Error for Broken {}

async fn respond(
    request: hyper::Request<Incoming>,
    handler: Arc<Handler>,
    log: RequestLog,
) -> Result<hyper::Response<Payload>, Broken> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|_| Broken)?.to_bytes().to_vec();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let request = Request { method: parts.method.to_string(), target: target.to_owned(), headers, body };
    log.push(request.clone());
    match handler(request).await {
        Answer::Send(response) => payload(response, End::Whole),
        Answer::After(delay, response) => {
            tokio::time::sleep(delay).await;
            payload(response, End::Whole)
        }
        Answer::Stall(response) => payload(response, End::Stalled),
        Answer::Cut(response) => payload(response, End::Cut),
        Answer::Close => Err(Broken),
        Answer::Silence => std::future::pending().await,
    }
}

fn payload(response: Response, end: End) -> Result<hyper::Response<Payload>, Broken> {
    let length = response.body.len();
    let mut body = Bytes::from(response.body);
    if end != End::Whole {
        body.truncate(length / 2);
    }
    let mut answer = hyper::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), http::HeaderValue::from_str(value)) {
            answer = answer.header(name, value);
        }
    }
    answer.body(Payload { body: Some(body), end, length: length as u64, flushed: false }).map_err(|_| Broken)
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Whole,
    Stalled,
    Cut,
}

/// A body of a promised length that need not be kept.
struct Payload {
    body: Option<Bytes>,
    end: End,
    length: u64,
    flushed: bool,
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Broken>>> {
        match (self.body.take().filter(|body| !body.is_empty()), self.end) {
            (Some(body), _) => Poll::Ready(Some(Ok(Frame::data(body)))),
            (None, End::Whole) => Poll::Ready(None),
            // Nobody wakes the task: the connection lives until either side drops it.
            (None, End::Stalled) => Poll::Pending,
            (None, End::Cut) if self.flushed => Poll::Ready(Some(Err(Broken))),
            // hyper sends what it has when a body makes it wait, and drops it when one fails.
            (None, End::Cut) => {
                self.flushed = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    const QUESTION: &str = "POST /a?b=c HTTP/1.1\r\nhost: lab\r\nx-key: canary\r\ncontent-length: 4\r\n\
                            connection: close\r\n\r\nbody";

    /// What comes back before the server closes, fails or falls silent.
    fn ask(server: &Server) -> (String, Option<ErrorKind>) {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream.write_all(QUESTION.as_bytes()).unwrap();
        let (mut text, mut piece) = (Vec::new(), [0; 4096]);
        let error = loop {
            match stream.read(&mut piece) {
                Ok(0) => break None,
                Ok(length) => text.extend_from_slice(&piece[..length]),
                Err(error) => break Some(error.kind()),
            }
        };
        (String::from_utf8(text).unwrap(), error)
    }

    #[test]
    fn an_answer_arrives_as_far_as_it_is_told_to() {
        let response = || Response::new(418).header("x-lab", "yes").body("0123456789");
        let check = |answer: Answer, ends: &str, error: Option<ErrorKind>| {
            let server = Server::http(move |_| answer.clone()).unwrap();
            let (text, seen) = ask(&server);
            assert!(text.ends_with(ends), "{text}");
            assert_eq!(text.is_empty(), ends.is_empty(), "{text}");
            assert_eq!(seen, error, "{text}");
            assert_eq!(server.log().lines(), ["POST /a?b=c"]);
        };
        check(Answer::Send(response()), "\r\n\r\n0123456789", None);
        check(Answer::After(Duration::from_millis(1), response()), "\r\n\r\n0123456789", None);
        check(Answer::Stall(response()), "\r\n\r\n01234", Some(ErrorKind::WouldBlock));
        check(Answer::Cut(response()), "\r\n\r\n01234", None);
        check(Answer::Close, "", None);
        check(Answer::Silence, "", Some(ErrorKind::WouldBlock));
    }

    #[test]
    fn an_echo_gives_back_headers_and_body() {
        let server = Server::http(|request| Response::echo(401, &request)).unwrap();
        let (text, _) = ask(&server);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 401 ") && head.contains("x-echo-x-key: canary"), "{head}");
        assert!(body.contains("x-key: canary\n") && body.ends_with("body"), "{body}");
    }
}
