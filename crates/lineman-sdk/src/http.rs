use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, StatusCode};
use lineman_catalog::{Catalog, Response};
use lineman_model::{Cause, Confidence, Connection, Evidence, Finding, Header, clean, clip};
use lineman_net::{Limits, Target, permitted, proxy_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use crate::cx::{HttpCx, millis};
use crate::{Provider, Secret, Stop};

/// The most that is read of an answer's body, bytes.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// The most that a finding shows of a text, bytes.
pub(crate) const EVIDENCE_LIMIT: usize = 2048;
/// The most headers that a finding shows.
const HEADERS_SHOWN: usize = 24;

/// An HTTP client for one integration: its trust store, proxies, name resolution and timeout are
/// those of the connection settings, the same that the path walk uses.
pub(crate) struct Http {
    client: reqwest::Client,
}

impl Http {
    pub(crate) fn new(connection: &Connection) -> Result<Http, Box<Finding>> {
        let trust = lineman_net::trust(connection).map_err(|failure| Box::new(failure.finding("", Vec::new())))?;
        let (for_proxy, for_names) = (connection.clone(), connection.clone());
        let proxy = reqwest::Proxy::custom(move |url| {
            // A proxy that cannot be used is reported by the walk, which comes before any request.
            let choice = proxy_for(&Target::from_url(url).ok()?, &for_proxy).ok()??;
            Url::parse(choice.url().expose()).ok()
        });
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(trust.client_config().as_ref().clone())
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
            Box::new(Finding::new("http-unusable", Cause::ConfigInvalid, message).pointer("/connection"))
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
            let addresses = lineman_net::resolve(name.as_str(), &connection, &Limits::default()).await?;
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
        // Names are judged as they resolve; an address that is given as such never is.
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            permitted(address, self.cx.connection())
                .map_err(|failure| Stop::from(failure.finding(self.cx.call.plugin, Vec::new())))?;
        }
        let name = operation.map_or_else(|| format!("{} {host}", parts.method), str::to_owned);
        let mut phase = self.cx.call.begin(name);
        let started = Instant::now();
        let send = self.http.client.request(parts.method.clone(), url.clone()).headers(parts.headers).body(body).send();
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
        })
    }

    /// Finds out which phase of the path failed.
    async fn diagnose(&self, error: reqwest::Error, url: &Url) -> Stop {
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
            Some(failure) => failure.finding(self.cx.call.plugin, Vec::new()),
            None => {
                let message = format!("The request to {host} failed: {}.", chain(&error.without_url()));
                self.cx.finding("request-failed", Cause::Undetermined, message)
            }
        };
        finding.subject("host", host).into()
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
    problem: Option<String>,
}

impl<P: Provider> RequestBuilder<'_, P> {
    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.put(HeaderName::from_static(name), value, false);
        self
    }

    /// Adds a header whose value is secret.
    pub fn secret_header(mut self, name: &'static str, value: &Secret) -> Self {
        self.put(HeaderName::from_static(name), value.expose(), true);
        self
    }

    /// Authenticates with a bearer token (RFC 6750).
    pub fn bearer(mut self, token: &Secret) -> Self {
        let value = Secret::new(format!("Bearer {}", token.expose()));
        self.put(AUTHORIZATION, value.expose(), true);
        self
    }

    /// Authenticates with a user name and a password (RFC 7617).
    pub fn basic(mut self, user: &str, password: &Secret) -> Self {
        use base64::Engine;
        let pair = Secret::new(format!("{user}:{}", password.expose()));
        let value = Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.expose())));
        self.put(AUTHORIZATION, value.expose(), true);
        self
    }

    /// Sends a JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => *self.request.body_mut() = bytes,
            Err(error) => self.problem = Some(error.to_string()),
        }
        self.put(CONTENT_TYPE, "application/json", false);
        self
    }

    /// Sends a form body.
    pub fn form<K: AsRef<str>, V: AsRef<str>>(mut self, fields: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        *self.request.body_mut() = form.finish().into_bytes();
        self.put(CONTENT_TYPE, "application/x-www-form-urlencoded", false);
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
    /// a header cannot carry the value it was given. An answer of whatever status is no error.
    pub async fn send(self) -> Result<Answer, Stop> {
        if let Some(problem) = self.problem {
            let finding = self.http.cx.finding("credential-unsendable", Cause::CredentialMalformed, problem);
            return Err(finding.remedy("Take line breaks and control characters out of the stored value.").into());
        }
        self.http.send(self.url, self.request, self.operation.as_deref()).await
    }

    fn put(&mut self, name: HeaderName, value: &str, secret: bool) {
        match HeaderValue::from_str(value) {
            Ok(mut header) => {
                header.set_sensitive(secret);
                self.request.headers_mut().insert(name, header);
            }
            Err(_) => {
                self.problem =
                    Some(format!("The value for the header `{name}` holds characters that HTTP cannot carry."));
            }
        }
    }
}

/// What a provider answered.
pub struct Answer {
    method: Method,
    url: Url,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    duration_ms: u64,
    operation: Option<String>,
    plugin: &'static str,
    catalog: Arc<Catalog>,
}

impl Answer {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Whether the status is 2xx.
    pub fn ok(&self) -> bool {
        self.status.is_success()
    }

    /// A header, where its value is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, at most 4 MiB of it.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Goes on only with a 2xx.
    ///
    /// # Errors
    ///
    /// The finding of [`Answer::finding`].
    pub fn success(self) -> Result<Answer, Stop> {
        if self.ok() { Ok(self) } else { Err(self.finding().into()) }
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    ///
    /// `config.endpoint-wrong` when it is something else: a login page is no answer of an API.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Stop> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.unexpected(&format!("not the JSON it should be ({error})")).into())
    }

    /// A finding that something else than the provider's service answers here.
    pub fn unexpected(&self, what: &str) -> Finding {
        let host = self.url.host_str().unwrap_or_default();
        let message = format!("{host} answers with {what}.");
        Finding::new(format!("{}/unexpected-answer", self.plugin), Cause::ConfigEndpointWrong, message)
            .confidence(Confidence::Likely)
            .subject("host", host)
            .evidence(self.evidence())
            .remedy("Correct the endpoint; a proxy or login page may stand before it.")
    }

    /// What went wrong, by the plugin's catalog, else by the status alone.
    pub fn finding(&self) -> Finding {
        self.recognised().unwrap_or_else(|| self.by_status())
    }

    /// What went wrong, where the plugin's catalog knows it.
    pub fn recognised(&self) -> Option<Finding> {
        let body = self.text();
        let headers =
            self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
        let response =
            Response { status: Some(self.status()), headers, body: &body, operation: self.operation.as_deref() };
        Some(self.catalog.match_response(&response).first()?.finding().evidence(self.evidence()))
    }

    /// What the status code means where nothing closer is known (RFC 9110, RFC 6585).
    fn by_status(&self) -> Finding {
        let host = self.url.host_str().unwrap_or_default();
        let status = self.status();
        let finding = |code: &str, cause, confidence, message: String| {
            Finding::new(format!("{}/{code}", self.plugin), cause, message).confidence(confidence)
        };
        let finding = match status {
            300..=399 => {
                let to = self.header(LOCATION.as_str()).map(|to| clip(to, 120)).unwrap_or_default();
                finding(
                    "redirected",
                    Cause::ConfigEndpointWrong,
                    Confidence::Likely,
                    format!("{host} redirects to {to}."),
                )
                .remedy("Set the endpoint to the address that answers itself.")
            }
            401 => finding(
                "unauthorized",
                Cause::CredentialInvalid,
                Confidence::Likely,
                format!("{host} does not accept the credential (401)."),
            )
            .or_else(Cause::CredentialExpired, Confidence::Possible)
            .remedy("Check that the stored credential is the current one."),
            403 => finding(
                "forbidden",
                Cause::PermissionInsufficient,
                Confidence::Possible,
                format!("{host} refuses the request (403) and gives no reason that is known."),
            )
            .or_else(Cause::NetworkIpNotAllowed, Confidence::Possible)
            .or_else(Cause::PermissionDeniedByPolicy, Confidence::Possible)
            .remedy("Compare the permissions of the credential with what the operation needs."),
            404 | 410 => finding(
                "not-found",
                Cause::ResourceNotFound,
                Confidence::Likely,
                format!("{host} knows no {} ({status}), or hides it from this credential.", self.url.path()),
            )
            .or_else(Cause::ConfigEndpointWrong, Confidence::Possible),
            407 => finding(
                "proxy-auth",
                Cause::NetworkProxy,
                Confidence::Confirmed,
                "The proxy wants credentials (407).".into(),
            )
            .remedy("Give the proxy's user and password in `connection.proxy`, by reference."),
            429 => finding("rate-limited", Cause::ProviderRateLimited, Confidence::Confirmed, self.throttled(host)),
            500..=599 => finding(
                "unavailable",
                Cause::ProviderOutage,
                Confidence::Likely,
                format!("{host} cannot answer at the moment ({status})."),
            )
            .remedy("Look at the provider's status page and try again later; this says nothing of the credential."),
            _ => finding(
                "unexpected-status",
                Cause::Undetermined,
                Confidence::Possible,
                format!("{host} answered with status {status}, which is not known here."),
            ),
        };
        finding.subject("host", host).evidence(self.evidence())
    }

    fn throttled(&self, host: &str) -> String {
        match self.header("retry-after") {
            Some(after) => format!("{host} throttles requests (429); it asks to wait {} s.", clip(after, 40)),
            None => format!("{host} throttles requests (429)."),
        }
    }

    /// The exchange as evidence: no query, no credentials, the headers that matter and the
    /// beginning of the body.
    pub fn evidence(&self) -> Evidence {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        // Neither fails on an address that was contacted.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        let body = clean(&self.text(), EVIDENCE_LIMIT);
        Evidence::Http {
            method: self.method.to_string(),
            url: url.to_string(),
            status: Some(self.status()),
            headers: self.shown_headers(),
            body: (!body.is_empty()).then_some(body),
            request_id: self.request_id(),
            duration_ms: Some(self.duration_ms),
        }
    }

    fn shown_headers(&self) -> Vec<Header> {
        const KNOWN: [&str; 8] = [
            "content-type",
            "date",
            "location",
            "retry-after",
            "server",
            "via",
            "www-authenticate",
            "proxy-authenticate",
        ];
        self.headers
            .iter()
            .filter(|(name, _)| KNOWN.contains(&name.as_str()) || name.as_str().starts_with("x-"))
            .take(HEADERS_SHOWN)
            .map(|(name, value)| Header {
                name: name.as_str().to_owned(),
                value: lineman_model::clean_line(&String::from_utf8_lossy(value.as_bytes()), 200),
            })
            .collect()
    }

    /// The provider's own id of the request, under whichever name it gives it.
    fn request_id(&self) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(name, _)| {
            let name = name.as_str();
            name.contains("request") && name.contains("id")
        })?;
        Some(lineman_model::clean_line(value.to_str().ok()?, 120))
    }
}
