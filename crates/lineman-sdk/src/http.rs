use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use lineman_model::{Cause, Confidence, Connection, Finding};
use lineman_net::{Limits, PathFailure, Target, permitted, proxy_for, server_name};
use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use crate::answer::{Answer, BODY_LIMIT};
use crate::cx::{HttpCx, millis};
use crate::session::address_of;
use crate::{ClientCertificate, Provider, Secret, Stop};

/// An HTTP client for one integration: its trust store, proxies, name resolution and timeout are
/// those of the connection settings, the same that the path walk uses.
pub(crate) struct Http {
    client: reqwest::Client,
}

impl Http {
    pub(crate) fn new(
        plugin: &str,
        connection: &Connection,
        certificate: Option<&ClientCertificate>,
    ) -> Result<Http, Box<Finding>> {
        let trust = lineman_net::trust(connection).map_err(|failure| Box::new(failure.finding(plugin, Vec::new())))?;
        let mut tls = trust.client_config().as_ref().clone();
        if let Some(certificate) = certificate {
            tls.client_auth_cert_resolver = certificate.resolver();
        }
        let (for_proxy, for_names) = (connection.clone(), connection.clone());
        let proxy = reqwest::Proxy::custom(move |url| {
            // One that cannot be used was reported before the request was made.
            let choice = proxy_for(&Target::from_url(url).ok()?, &for_proxy).ok()??;
            address_of(choice.url().expose())
        });
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .proxy(proxy)
            .dns_resolver(Arc::new(Names(for_names)))
            // Where a redirect leads is for the check to judge, and credentials stay where they belong.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("lineman/", env!("CARGO_PKG_VERSION")));
        if let Some(timeout) = connection.timeout_ms {
            builder = builder.timeout(Duration::from_millis(timeout));
        }
        let client = builder.build().map_err(|error| {
            let message = format!("No HTTP client for these settings: {error}.");
            Box::new(
                Finding::new(format!("{plugin}/http-unusable"), Cause::ConfigInvalid, message).pointer("/connection"),
            )
        })?;
        Ok(Http { client })
    }
}

/// Resolves names as the path walk does, so that what was walked is what is contacted.
struct Names(Connection);

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let connection = self.0.clone();
        Box::pin(async move {
            let host = match &connection.terms {
                Some(terms) if terms.name.as_deref() == Some(name.as_str()) => terms.host.as_str(),
                _ => name.as_str(),
            };
            let addresses = lineman_net::resolve(host, &connection, &Limits::default()).await?;
            let addresses = addresses.into_iter().map(|address| std::net::SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}

impl<'a, P: Provider> HttpCx<'a, P> {
    /// A GET request.
    pub fn get(&self, url: Url) -> RequestBuilder<'_, P> {
        self.request(Method::GET, url)
    }

    /// A HEAD request.
    pub fn head(&self, url: Url) -> RequestBuilder<'_, P> {
        self.request(Method::HEAD, url)
    }

    /// A POST request.
    pub fn post(&self, url: Url) -> RequestBuilder<'_, P> {
        self.request(Method::POST, url)
    }

    /// A request with any method.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder<'_, P> {
        let mut request = Request::new(Vec::new());
        *request.method_mut() = method;
        RequestBuilder { http: self, url, request, operation: None, problem: None }
    }

    /// Sends a request that was made elsewhere, such as a signed one. The operation is the
    /// provider's name of it, for the catalog and the phases.
    ///
    /// # Errors
    ///
    /// A finding that names the phase of the network path that failed. An answer of whatever
    /// status is no error here.
    pub async fn send(&self, url: Url, request: Request<Vec<u8>>, operation: Option<&str>) -> Result<Answer, Stop> {
        let (parts, body) = request.into_parts();
        let host = url.host_str().unwrap_or_default().to_owned();
        self.permitted(&url)
            .map_err(|failure| failure.finding(self.cx.call.plugin, Vec::new()).subject("host", &host))?;
        let name = operation.map_or_else(|| format!("{} {host}", parts.method), str::to_owned);
        let mut phase = self.cx.call.begin(name);
        let started = Instant::now();
        let send = self.http.client.request(parts.method.clone(), self.asked_for(&url));
        let send = send.headers(parts.headers).body(body).send();
        let received = Box::pin(async { read(send.await?).await }).await;
        let (status, headers, body) = match received {
            Ok(received) => received,
            Err(error) => {
                drop(phase);
                return Err(Box::pin(self.diagnose(error, &url)).await);
            }
        };
        phase.ok = status.is_success();
        Ok(Answer {
            method: parts.method,
            url,
            status,
            headers,
            body,
            duration_ms: millis(started.elapsed()),
            operation: operation.map(str::to_owned),
            plugin: self.cx.call.plugin,
            catalog: Arc::clone(&self.cx.session.catalog),
            redactor: self.cx.session.redactor.clone(),
        })
    }

    /// The address with the name that its host is asked for in TLS. Through a proxy, which knows the
    /// host alone, it is only verified.
    fn asked_for(&self, url: &Url) -> Url {
        let connection = self.cx.connection();
        let host = url.host_str().unwrap_or_default();
        let name = server_name(host, connection);
        let direct = Target::from_url(url).is_ok_and(|target| matches!(proxy_for(&target, connection), Ok(None)));
        let mut url = url.clone();
        if name != host && url.scheme() == "https" && direct {
            // A name that no address can have is verified under the host's, and refused there.
            let _ = url.set_host(Some(name));
        }
        url
    }

    /// Refuses what must not be contacted, and a proxy that cannot be used: the client would go
    /// past it.
    fn permitted(&self, url: &Url) -> Result<(), Box<PathFailure>> {
        let (target, connection) = (Target::from_url(url)?, self.cx.connection());
        proxy_for(&target, connection)?;
        // Names are judged as they resolve; an address that is given as such never is.
        target.host.parse().map_or(Ok(()), |address| permitted(address, connection))
    }

    /// Finds out which phase of the path failed.
    async fn diagnose(&self, error: reqwest::Error, url: &Url) -> Stop {
        // The address may hold a credential in its query, and the error says it.
        let error = error.without_url();
        let seen = lineman_net::classify(&error);
        // The walk sees more than the client tells: the chain, every address, the proxy's answer.
        if (error.is_connect() || seen.is_none())
            && let Ok(target) = Target::from_url(url)
            && let Some(finding) = self.cx.walk(&target).await.finding(self.cx.call.plugin)
        {
            return finding.into();
        }
        let host = url.host_str().unwrap_or_default();
        let finding = match seen {
            Some(failure) if failure.cause == Cause::NetworkTlsClientCert => self.certificate_refused(host, failure),
            Some(failure) => failure.finding(self.cx.call.plugin, Vec::new()),
            None => {
                let message = format!("The request to {host} failed: {}.", chain(&error));
                self.cx.finding("request-failed", Cause::Undetermined, message)
            }
        };
        finding.subject("host", host).into()
    }
}

impl<P: Provider> HttpCx<'_, P> {
    /// The server wants a client certificate and none is there, or not the one that was shown.
    fn certificate_refused(&self, host: &str, failure: PathFailure) -> Finding {
        let Some(shown) = self.cx.client_certificate() else {
            return failure.finding(self.cx.call.plugin, Vec::new());
        };
        let shown = shown.certificate();
        let message = format!("{host} refuses the client certificate.");
        self.cx
            .finding("client-certificate-refused", Cause::CredentialInvalid, message)
            .detail(format!("It was shown {}, issued by {}.", shown.subject, shown.issuer))
            .confidence(Confidence::Likely)
            .remedy("Have the server trust the issuer of the certificate, or store one of an issuer that it trusts.")
    }
}

async fn read(mut response: reqwest::Response) -> Result<(StatusCode, HeaderMap, Vec<u8>), reqwest::Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = BODY_LIMIT - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == BODY_LIMIT {
            break;
        }
    }
    Ok((status, headers, body))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    texts.dedup();
    texts.join(": ")
}

/// A request in the making.
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder<'a, P: Provider> {
    http: &'a HttpCx<'a, P>,
    url: Url,
    request: Request<Vec<u8>>,
    operation: Option<String>,
    problem: Option<Box<Finding>>,
}

impl<P: Provider> RequestBuilder<'_, P> {
    /// Sets a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.put(name, value, false);
        self
    }

    /// Sets a header whose value is secret.
    pub fn secret_header(mut self, name: &str, value: &Secret) -> Self {
        self.put(name, value.expose(), true);
        self
    }

    /// Authenticates with a bearer token (RFC 6750).
    pub fn bearer(mut self, token: &Secret) -> Self {
        let value = Secret::new(format!("Bearer {}", token.expose()));
        self.put(AUTHORIZATION.as_str(), value.expose(), true);
        self
    }

    /// Authenticates with a user name and a password (RFC 7617).
    pub fn basic(mut self, user: &str, password: &Secret) -> Self {
        use base64::Engine;
        let pair = Secret::new(format!("{user}:{}", password.expose()));
        let value = Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.expose())));
        self.put(AUTHORIZATION.as_str(), value.expose(), true);
        self
    }

    /// Sends a JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => *self.request.body_mut() = bytes,
            Err(error) => {
                self.refuse("request-invalid", Cause::PluginBadOutput, &format!("it has no JSON body ({error})"))
            }
        }
        self.put(CONTENT_TYPE.as_str(), "application/json", false);
        self
    }

    /// Sends a form body.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(mut self, fields: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        *self.request.body_mut() = form.finish().into_bytes();
        self.put(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded", false);
        self
    }

    /// Names the operation as the provider does, for the catalog and the phases.
    pub fn operation(mut self, name: &str) -> Self {
        self.operation = Some(name.to_owned());
        self
    }

    /// Sends it.
    ///
    /// # Errors
    ///
    /// A finding that names the phase of the network path that failed; `credential.malformed` when
    /// a header cannot carry the secret it was given, `config.invalid` when it is another value.
    /// An answer of whatever status is no error.
    pub async fn send(self) -> Result<Answer, Stop> {
        if let Some(problem) = self.problem {
            return Err((*problem).into());
        }
        self.http.send(self.url, self.request, self.operation.as_deref()).await
    }

    fn put(&mut self, name: &str, value: &str, secret: bool) {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return self.refuse("request-invalid", Cause::PluginBadOutput, &format!("`{name}` is no name of a header"));
        };
        match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(secret);
                self.request.headers_mut().insert(header, value);
            }
            Err(_) => {
                let (code, cause) = if secret {
                    ("credential-unsendable", Cause::CredentialMalformed)
                } else {
                    ("header-unsendable", Cause::ConfigInvalid)
                };
                let why = format!("the value for the header `{header}` holds characters that HTTP cannot carry");
                self.refuse(code, cause, &why);
            }
        }
    }

    /// Nothing will be sent. The first reason is the one to tell.
    fn refuse(&mut self, code: &str, cause: Cause, why: &str) {
        let finding = self.http.cx.finding(code, cause, format!("The request cannot be made: {why}."));
        let finding = finding.remedy("Take line breaks and control characters out of the stored value.");
        self.problem.get_or_insert_with(|| Box::new(finding));
    }
}
