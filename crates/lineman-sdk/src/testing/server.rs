use std::convert::Infallible;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::shim::lock;

/// A provider for a test: an HTTP server on loopback that answers as one function says, for as
/// long as this lives.
///
/// ```
/// use lineman_sdk::testing::{Response, Server, json};
///
/// let server = Server::start(|request| match request.line().as_str() {
///     "GET /user" if request.bearer() == Some("t0ken") => Response::json(200, &json!({ "name": "ci" })),
///     "GET /user" => Response::json(401, &json!({ "error": "token_unknown" })),
///     _ => Response::new(404),
/// });
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// ```
pub struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    /// Dropped, it ends the server.
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Starts it on a free port.
    ///
    /// # Panics
    ///
    /// When this machine has no port to give.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Server {
        match Server::try_start(Arc::new(answer)) {
            Ok(server) => server,
            Err(error) => panic!("the server cannot be started: {error}"),
        }
    }

    fn try_start(answer: Arc<dyn Fn(&Request) -> Response + Send + Sync>) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Not `block_on`: a test that has a runtime of its own may not wait for another one.
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (stop, stopped) = oneshot::channel();
        let served = serve(listener, answer, Arc::clone(&requests));
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = served => {}
                }
            });
        });
        Ok(Server { url, requests, _stop: stop })
    }

    /// Its address, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked so far: `GET /user`.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }
}

async fn serve(
    listener: tokio::net::TcpListener,
    answer: Arc<dyn Fn(&Request) -> Response + Send + Sync>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
        let service = service_fn(move |request: http::Request<Incoming>| {
            let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
            async move {
                let (parts, body) = request.into_parts();
                // A client that stops in the middle has sent what it has sent.
                let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
                let request = Request { parts, body };
                lock(&requests).push(request.line());
                Ok::<_, Infallible>(answer(&request).into_http())
            }
        });
        tokio::spawn(async move {
            // A connection that breaks is what the client under test is about.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What the plugin under test asked a [`Server`].
pub struct Request {
    parts: http::request::Parts,
    body: Vec<u8>,
}

impl Request {
    /// Method and path, without the query: `GET /user`.
    pub fn line(&self) -> String {
        format!("{} {}", self.parts.method, self.parts.uri.path())
    }

    /// The query; empty when there is none.
    pub fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// A header, where its value is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The token of an `Authorization: Bearer` header.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What a [`Server`] answers.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// An empty answer with a status.
    pub fn new(status: u16) -> Response {
        Response { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An answer in JSON.
    pub fn json(status: u16, body: &Value) -> Response {
        Response::new(status).header("content-type", "application/json").body(body.to_string())
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Response {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Response {
        self.body = body.into();
        self
    }

    fn into_http(self) -> http::Response<Full<Bytes>> {
        let mut builder = http::Response::builder().status(self.status);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        // A test that asks for what HTTP does not have gets a server error, and sees why.
        builder.body(Full::from(self.body)).unwrap_or_else(|error| {
            let mut response = http::Response::new(Full::from(error.to_string()));
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}
