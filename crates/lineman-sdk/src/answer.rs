use std::sync::Arc;

use http::header::{HeaderMap, LOCATION};
use http::{Method, StatusCode};
use lineman_catalog::{Catalog, Response};
use lineman_model::{Cause, Confidence, Evidence, Finding, Header, Redactor};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use url::Url;

use crate::Stop;
use crate::cx::{LONGEST_TEXT, bare, recognise};

/// The most that is read of an answer's body, bytes.
pub(crate) const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// The most that a finding shows of a header, bytes.
const LONGEST_HEADER: usize = 200;
/// The most headers that a finding shows.
const HEADERS_SHOWN: usize = 24;

/// What a provider answered.
pub struct Answer {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) duration_ms: u64,
    pub(crate) operation: Option<String>,
    pub(crate) plugin: &'static str,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) redactor: Redactor,
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

    /// Every value of a header that may come several times, where they are text.
    pub fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }

    /// The method of the request.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The address that was asked.
    pub fn url(&self) -> &Url {
        &self.url
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
        let body = self.shown(&self.text(), LONGEST_TEXT);
        Evidence::Http {
            method: self.method.to_string(),
            url: self.redactor.scrub(bare(&self.url).as_str()),
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
            Some(query) => self.redactor.shown(&text.replace(&format!("?{query}"), "?…"), longest),
            None => self.redactor.shown(text, longest),
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
