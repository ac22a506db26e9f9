use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// One thing that a server was asked, read to its end.
///
/// Servers that do not speak HTTP use the same words: a DNS question is method `A`, target the
/// name; an SSH command is method `exec`, target the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method in capitals, or the kind of question.
    pub method: String,
    /// Path and query as sent, or what the question is about.
    pub target: String,
    /// Headers in order; HTTP servers see the names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Request {
    /// The target without its query, still percent-encoded.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// What follows the question mark as sent; empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// User and password of Basic authentication in the header `name`.
    pub fn basic(&self, name: &str) -> Option<(String, String)> {
        let (scheme, encoded) = self.header(name)?.split_once(' ')?;
        let pair = scheme.eq_ignore_ascii_case("basic").then(|| BASE64.decode(encoded.trim()).ok())??;
        let pair = String::from_utf8(pair).ok()?;
        pair.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }

    /// The parameters of the query and of a form sent as the body, decoded.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let query = url::form_urlencoded::parse(self.query().as_bytes());
        let form =
            self.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let body = url::form_urlencoded::parse(if form { &self.body } else { b"" });
        query.chain(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

/// What a server was asked, in order of arrival. Clones share the record.
#[derive(Clone, Debug, Default)]
pub struct RequestLog(Arc<Mutex<Vec<Request>>>);

impl RequestLog {
    /// Everything so far.
    pub fn entries(&self) -> Vec<Request> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything so far as `METHOD target` lines, to compare at a glance.
    pub fn lines(&self) -> Vec<String> {
        self.entries().iter().map(Request::to_string).collect()
    }

    /// Forgets everything so far.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn push(&self, request: Request) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    /// Records a question that has neither headers nor body.
    pub(crate) fn note(&self, method: impl Into<String>, target: impl Into<String>) {
        self.push(Request { method: method.into(), target: target.into(), ..Request::default() });
    }
}
