use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, StatusCode};
use lineman_catalog::{Catalog, Response};
use lineman_model::{Cause, Confidence, Connection, Evidence, Finding, Header, Redactor};
use lineman_net::{Limits, PathFailure, Target, permitted, proxy_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::Instant;
use url::Url;

use crate::cx::{HttpCx, LONGEST_TEXT, millis, recognise, shown};
use crate::session::address_of;
use crate::{Provider, Secret, Stop};

/// The most that is read of an answer's body, bytes.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// The most that a finding shows of a header, bytes.
const LONGEST_HEADER: usize = 200;
/// The most headers that a finding shows.
const HEADERS_SHOWN: usize = 24;

/// An HTTP client for one integration: its trust store, proxies, name resolution and timeout are
/// those of the connection settings, the same that the path walk uses.
pub(crate) struct Http {
    client: reqwest::Client,
}

impl Http {
    pub(crate) fn new(plugin: &str, connection: &Connection) -> Result<Http, Box<Finding>> {
        let trust = lineman_net::trust(connection).map_err(|failure| Box::new(failure.finding(plugin, Vec::new())))?;
        let (for_proxy, for_names) = (connection.clone(), connection.clone());
        let proxy = reqwest::Proxy::custom(move |url| {
            // One that cannot be used was reported before the request was made.
            let choice = proxy_for(&Target::from_url(url).ok()?, &for_proxy).ok()??;
            address_of(choice.url().expose())
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
        self.permitted(&url)
            .map_err(|failure| failure.finding(self.cx.call.plugin, Vec::new()).subject("host", &host))?;
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
            redactor: self.cx.session.redactor.clone(),
        })
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
            Some(failure) => failure.finding(self.cx.call.plugin, Vec::new()),
            None => {
                let message = format!("The request to {host} failed: {}.", chain(&error));
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
    problem: Option<Box<Finding>>,
}

impl<P: Provider> RequestBuilder<'_, P> {
    /// Sets a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.put(name, value, false);
        self
    }

    /// Sets a header whose value is secret.
    pub fn secret_header(mut self, name: &'static str, value: &Secret) -> Self {
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
    redactor: Redactor,
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
        serde_json::from_slice(&self.body).map_err(|error| {
            let what = match error.classify() {
                _ if self.body.len() >= BODY_LIMIT => "more than the 4 MiB that are read".to_owned(),
                // What is said of a value may quote it, and it may be a token just issued.
                Category::Data if !error.to_string().starts_with("missing field") => {
                    format!("JSON that is not the expected one (at line {}, column {})", error.line(), error.column())
                }
                Category::Data => format!("JSON that is not the expected one ({error})"),
                Category::Syntax | Category::Eof | Category::Io => format!("not the JSON it should be ({error})"),
            };
            self.unexpected(&what).into()
        })
    }

    /// A finding that something else than the provider's service answers here. `what` completes
    /// the sentence "HOST answers with …".
    pub fn unexpected(&self, what: &str) -> Finding {
        let message = format!("{} answers with {what}.", self.host());
        Finding::new(format!("{}/unexpected-answer", self.plugin), Cause::ConfigEndpointWrong, message)
            .confidence(Confidence::Likely)
            .subject("host", self.host())
            .evidence(self.evidence())
            .remedy("Correct the endpoint; a proxy or login page may stand before it.")
    }

    /// What went wrong, by the plugin's catalog, else by the status alone.
    pub fn finding(&self) -> Finding {
        self.recognised().unwrap_or_else(|| self.by_status())
    }

    /// What went wrong, where the plugin's catalog knows it. When several of its rules hold, the
    /// closest makes the finding, and the causes of the others are `also_possible`.
    pub fn recognised(&self) -> Option<Finding> {
        // Scrubbed first: a rule may quote a part of what it matched.
        let body = self.redactor.scrub(&self.text());
        let headers: Vec<(&str, String)> = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), self.redactor.scrub(value.to_str().ok()?))))
            .collect();
        let seen = Response {
            status: Some(self.status()),
            headers: headers.iter().map(|(name, value)| (*name, value.as_str())).collect(),
            body: &body,
            operation: self.operation.as_deref(),
        };
        Some(recognise(&self.catalog, &seen)?.evidence(self.evidence()))
    }

    /// What the status code means where nothing closer is known (RFC 9110, RFC 6585).
    fn by_status(&self) -> Finding {
        use Confidence::{Confirmed, Likely, Possible};
        let (host, status) = (self.host(), self.status());
        let finding = |code: &str, cause, confidence, message: String| {
            Finding::new(format!("{}/{code}", self.plugin), cause, message).confidence(confidence)
        };
        let finding = match status {
            300..=399 => {
                let to = self.header(LOCATION.as_str()).map(without_query).unwrap_or("elsewhere");
                finding(
                    "redirected",
                    Cause::ConfigEndpointWrong,
                    Likely,
                    format!("{host} redirects to {to} ({status})."),
                )
                .remedy("Set the endpoint to the address that answers itself.")
            }
            401 => finding(
                "unauthorized",
                Cause::CredentialInvalid,
                Likely,
                format!("{host} does not accept the credential (401)."),
            )
            .or_else(Cause::CredentialExpired, Possible)
            .remedy("Check that the stored credential is the current one."),
            403 => finding(
                "forbidden",
                Cause::PermissionInsufficient,
                Possible,
                format!("{host} refuses the request (403) and gives no reason that is known."),
            )
            .or_else(Cause::NetworkIpNotAllowed, Possible)
            .or_else(Cause::PermissionDeniedByPolicy, Possible)
            .remedy("Compare the permissions of the credential with what the operation needs."),
            404 | 410 => finding(
                "not-found",
                Cause::ResourceNotFound,
                Likely,
                format!("{host} knows no {} ({status}), or hides it from this credential.", self.url.path()),
            )
            .or_else(Cause::ConfigEndpointWrong, Possible)
            .remedy("Check the name in the settings, and that the credential may see it."),
            407 => finding("proxy-auth", Cause::NetworkProxy, Confirmed, "The proxy wants credentials (407).".into())
                .remedy("Give the proxy's user and password in `connection.proxy`, by reference."),
            429 => finding(
                "rate-limited",
                Cause::ProviderRateLimited,
                Confirmed,
                format!("{host} throttles requests (429){}.", self.wait()),
            )
            .remedy("Try again later, and look at who else uses the same credential."),
            500..=599 => finding(
                "unavailable",
                Cause::ProviderOutage,
                Likely,
                format!("{host} cannot answer at the moment ({status}){}.", self.wait()),
            )
            .remedy("Look at the provider's status page and try again later; this says nothing of the credential."),
            _ => finding(
                "unexpected-status",
                Cause::Undetermined,
                Possible,
                format!("{host} answers with status {status}, which is not known here."),
            ),
        };
        finding.subject("host", host).evidence(self.evidence())
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// How long the provider asks to wait, as the end of a sentence: a number of seconds or a date.
    fn wait(&self) -> String {
        let Some(after) = self.header("retry-after").map(str::trim) else { return String::new() };
        match (after.parse::<u32>(), httpdate::parse_http_date(after)) {
            (Ok(seconds), _) => format!(" and asks to wait {seconds} s"),
            (_, Ok(_)) => format!(" and asks to wait until {after}"),
            _ => String::new(),
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
        let body = self.shown(&self.text(), LONGEST_TEXT);
        Evidence::Http {
            method: self.method.to_string(),
            url: self.redactor.scrub(url.as_str()),
            status: Some(self.status()),
            headers: self.shown_headers(),
            body: Some(body).filter(|body| !body.is_empty() && !self.may_issue_a_credential()),
            request_id: self.request_id(),
            duration_ms: Some(self.duration_ms),
        }
    }

    /// A part of the answer, fit to show: servers echo the query too.
    fn shown(&self, text: &str, longest: usize) -> String {
        match self.url.query().filter(|query| !query.is_empty()) {
            Some(query) => shown(&text.replace(&format!("?{query}"), "?…"), &self.redactor, longest),
            None => shown(text, &self.redactor, longest),
        }
    }

    /// Whether the body may hold a credential that nobody knows of yet: a good answer, not a page
    /// for people, that speaks of such things.
    fn may_issue_a_credential(&self) -> bool {
        let text = self.text().to_ascii_lowercase();
        let page = text.contains("<html") || text.contains("<!doctype html");
        self.ok()
            && !page
            && ["token", "secret", "password", "credential", "private"].iter().any(|word| text.contains(word))
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
        // Some services hand out tokens in headers.
        const CREDENTIALS: [&str; 10] =
            ["token", "secret", "key", "cookie", "session", "password", "signature", "credential", "jwt", "csrf"];
        let telling = |name: &str| {
            KNOWN.contains(&name)
                || (name.starts_with("x-")
                    && !name.split('-').any(|word| CREDENTIALS.contains(&word.trim_end_matches('s'))))
        };
        self.headers
            .iter()
            .filter(|(name, _)| telling(name.as_str()))
            .take(HEADERS_SHOWN)
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                let value = if name == LOCATION { without_query(&value) } else { &value };
                Header { name: name.as_str().to_owned(), value: self.shown(value, LONGEST_HEADER) }
            })
            .collect()
    }

    /// The provider's own id of the request, under whichever name it gives it.
    fn request_id(&self) -> Option<String> {
        const ENDS: [&str; 4] = ["request-id", "requestid", "correlation-id", "trace-id"];
        let (_, value) = self.headers.iter().find(|(name, _)| ENDS.iter().any(|end| name.as_str().ends_with(end)))?;
        Some(self.shown(value.to_str().ok()?, LONGEST_HEADER))
    }
}

/// An address up to its query, which may hold a credential.
fn without_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or_default()
}
