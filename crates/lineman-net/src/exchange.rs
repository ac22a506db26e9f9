//! One HTTP request without credentials, and what its answer tells.

use std::time::Duration;

use http::header::{AGE, CONNECTION, DATE, HOST, PROXY_AUTHORIZATION, USER_AGENT as USER_AGENT_HEADER};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use lineman_model::{Cause, Confidence, Evidence, Header, clean, clean_line};
use tokio::time::{Instant, timeout, timeout_at};

use crate::failure::{causes, told};
use crate::proxy::ProxyChoice;
use crate::target::{Protocol, Target, shown, spell};
use crate::verdict::Handshake;
use crate::wire::{Heard, Tap, Wire};
use crate::{Fault, Outcome, PathFailure, Seen, tunnel};

pub(crate) const USER_AGENT: &str = concat!("lineman/", env!("CARGO_PKG_VERSION"));

/// As much of an answer as tells anything.
const MOST_BODY: usize = 4 * 1024;
/// How long a body is waited for: its words are welcome, and decide only what comes at once.
const PATIENCE: Duration = Duration::from_millis(500);
const SHOWN_BODY: usize = 1024;
const MOST_HEADERS: usize = 64 * 1024;

/// Headers that tell who answered and what it wants.
const TELLING: &[&str] = &[
    "content-type",
    "date",
    "location",
    "proxy-authenticate",
    "proxy-status",
    "retry-after",
    "server",
    "via",
    "www-authenticate",
    "x-squid-error",
];

/// How servers for HTTPS answer plain HTTP: nginx, Apache and Go's library.
const WANTS_TLS: [&str; 3] = [
    "plain HTTP request was sent to HTTPS port",
    "speaking plain HTTP to an SSL-enabled server port",
    "Client sent an HTTP request to an HTTPS server",
];

/// What an answer tells.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) skew: Option<SignedDuration>,
}

/// The connection that an exchange runs over.
pub(crate) struct Line<'a> {
    pub(crate) wire: Wire,
    /// The proxy that forwards the request, where it is not tunnelled.
    pub(crate) forwarder: Option<&'a ProxyChoice>,
    /// Whether the server asked for a client certificate.
    pub(crate) asked: bool,
    /// Whether the body of a good answer is wanted, too.
    pub(crate) read: bool,
}

pub(crate) async fn exchange(seen: &mut Seen, line: Line<'_>, target: &Target, budget: Duration) -> Outcome<Answer> {
    let read = line.read;
    let (tap, heard) = Tap::new(line.wire);
    let context = Context { target, heard, asked: line.asked, forwarder: line.forwarder };
    let request = context.request()?;
    let started = Instant::now();
    let sent_at = Timestamp::now();
    let deadline = started + budget;

    let answered = timeout_at(deadline, async {
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(MOST_HEADERS).handshake(TokioIo::new(tap)).await?;
        // The connection has to be driven for the answer, and for its body too.
        let driver = Driver(tokio::spawn(connection));
        let response = sender.send_request(request).await?;
        Ok::<_, hyper::Error>((response, driver))
    })
    .await;
    let (response, _driver) = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            seen.http(target, started.elapsed(), None);
            return Err(context.failed(&error));
        }
        Err(_) => {
            seen.http(target, started.elapsed(), None);
            return Err(context.late(budget));
        }
    };
    let received_at = Timestamp::now();
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let text = if status >= 400 || read {
        beginning(body, deadline.min(Instant::now() + PATIENCE)).await
    } else {
        String::new()
    };
    let headers = telling(&head.headers);
    let failure = context.refused(status, &headers, &text);
    seen.http(target, started.elapsed(), Some((status, headers, text)));
    match failure {
        Some(failure) => Err(failure),
        None => Ok(Answer { status, skew: skew(&head.headers, sent_at, received_at) }),
    }
}

/// Ends the task that drives a connection when the exchange ends.
struct Driver(tokio::task::JoinHandle<hyper::Result<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Context<'a> {
    target: &'a Target,
    heard: Heard,
    asked: bool,
    forwarder: Option<&'a ProxyChoice>,
}

impl Context<'_> {
    fn request(&self) -> Outcome<Request<Empty<Bytes>>> {
        let path = if self.target.path.is_empty() { "/" } else { &self.target.path };
        let url = self.target.url();
        let authority = url.split('/').nth(2).unwrap_or_default();
        let mut request = Request::get(if self.forwarder.is_some() { &url } else { path })
            .header(HOST, authority)
            .header(USER_AGENT_HEADER, USER_AGENT)
            .header(CONNECTION, "close");
        if let Some(value) = self.forwarder.and_then(ProxyChoice::authorization) {
            request = request.header(PROXY_AUTHORIZATION, value);
        }
        request.body(Empty::new()).map_err(|_| {
            PathFailure::new(
                Fault::EndpointInvalid,
                format!("{} is not an address that HTTP can ask for.", shown(&url)),
            )
            .during("http")
            .remedy("Correct the endpoint.")
        })
    }

    fn handshake(&self) -> Handshake<'_> {
        Handshake { host: Some(&self.target.host), port: self.target.port, asked: self.asked, ..Handshake::default() }
    }

    fn host(&self) -> String {
        shown(&self.target.host)
    }

    /// A server of TLS 1.3 can refuse a client only once the client believes that all is well, so
    /// a failed handshake may turn up here.
    fn failed(&self, error: &hyper::Error) -> Box<PathFailure> {
        if let Some(error) = causes(error).find_map(|error| error.downcast_ref()) {
            return self.handshake().judge(error);
        }
        if !self.heard.is_empty() && (error.is_parse() || !self.heard.line().starts_with("HTTP/")) {
            return self.not_http();
        }
        if self.asked {
            return self
                .handshake()
                .wants_certificate(Confidence::Likely)
                .or_else(Cause::NetworkReset, Confidence::Possible);
        }
        let what = if self.heard.is_empty() { "before it answers" } else { "in the middle of its answer" };
        PathFailure::new(Fault::HttpReset, format!("{} cuts the connection off {what}.", self.host()))
            .detail(told(error))
            .remedy(
                "Try again; then look at the server's log, and for a firewall or load balancer that cuts connections.",
            )
            .or_else(Cause::ProviderOutage, Confidence::Possible)
    }

    fn not_http(&self) -> Box<PathFailure> {
        let port = self.target.port;
        let speaks = match self.heard.speaker() {
            Some("plain HTTP") | None => "something other than HTTP/1",
            Some(speaker) => speaker,
        };
        let failure = PathFailure::new(Fault::HttpNotHttp, format!("Port {port} of {} speaks {speaks}.", self.host()))
            .detail(format!("It said: {}", self.heard.line()));
        match (speaks, self.target.protocol) {
            ("TLS", Protocol::Http) => failure.remedy("Use https:// for this port."),
            _ => failure.remedy("Correct host and port in the endpoint."),
        }
    }

    fn late(&self, budget: Duration) -> Box<PathFailure> {
        PathFailure::new(
            Fault::HttpTimeout,
            format!("{} accepts the request and does not answer within {}.", self.host(), spell(budget)),
        )
        .remedy("Try again; raise connection.timeout if the server is slow.")
        .or_else(Cause::ProviderOutage, Confidence::Possible)
    }

    /// The answers that come from the way and not from its end.
    fn refused(&self, status: u16, headers: &[Header], body: &str) -> Option<Box<PathFailure>> {
        // Of a forwarded 403 it is the proxy's own mark that tells whose it is (RFC 9209, and Squid's).
        let own = |header: &Header| match header.name.as_str() {
            "x-squid-error" => true,
            "proxy-status" => header.value.contains("error="),
            _ => false,
        };
        if let Some(proxy) = self.forwarder
            && (status == 407 || (status == 403 && headers.iter().any(own)))
        {
            return Some(tunnel::refused(proxy, &self.target.host, status, headers).during("http"));
        }
        if status == 400 && self.target.protocol == Protocol::Http && WANTS_TLS.iter().any(|words| body.contains(words))
        {
            let message = format!("Port {} of {} is for HTTPS.", self.target.port, self.host());
            return Some(PathFailure::new(Fault::HttpWantsTls, message).remedy("Use https:// for this port."));
        }
        let wanted = status == 496 || (status == 400 && body.contains("No required SSL certificate was sent"));
        wanted.then(|| self.handshake().wants_certificate(Confidence::Confirmed))
    }
}

fn telling(headers: &HeaderMap) -> Vec<Header> {
    let shown = |name: &str, value: &HeaderValue| Header {
        name: name.to_owned(),
        value: clean_line(&String::from_utf8_lossy(value.as_bytes()), 200),
    };
    TELLING.iter().flat_map(|name| headers.get_all(*name).iter().map(move |value| shown(name, value))).collect()
}

/// The first bytes of a body; what does not arrive in time is left out.
async fn beginning(mut body: Incoming, deadline: Instant) -> String {
    let mut bytes = Vec::new();
    let rest = deadline.saturating_duration_since(Instant::now());
    let _ = timeout(rest, async {
        while bytes.len() < MOST_BODY
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(&data[..data.len().min(MOST_BODY - bytes.len())]);
            }
        }
    })
    .await;
    clean(&String::from_utf8_lossy(&bytes), SHOWN_BODY)
}

/// How far the local clock is ahead of the server's. The date is whole seconds and from some time
/// during the exchange, so every skew in between would do: the smallest is told.
fn skew(headers: &HeaderMap, sent_at: Timestamp, received_at: Timestamp) -> Option<SignedDuration> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    // A cached answer has the date at which it was made.
    let age = headers.get(AGE).and_then(seconds).unwrap_or_default();
    let server = Timestamp::try_from(date.checked_add(Duration::from_secs(age))?).ok()?;
    let least = sent_at.duration_since(server) - SignedDuration::from_secs(1);
    let most = received_at.duration_since(server);
    Some(SignedDuration::ZERO.max(least).min(most))
}

fn seconds(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

impl Seen {
    fn http(&mut self, target: &Target, took: Duration, answer: Option<(u16, Vec<Header>, String)>) {
        let (status, headers, body) = match answer {
            Some((status, headers, body)) => (Some(status), headers, Some(body).filter(|body| !body.is_empty())),
            None => (None, Vec::new(), None),
        };
        self.evidence.push(Evidence::Http {
            method: "GET".into(),
            url: clean_line(&target.url(), 500),
            status,
            headers,
            body,
            request_id: None,
            duration_ms: Some(took.as_millis() as u64),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn skew_is_the_least_that_explains_the_date() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let check = |date: i64, age: Option<&str>, sent: i64, received: i64, expect: i64| {
            let mut headers = HeaderMap::new();
            let date = httpdate::fmt_http_date(SystemTime::from(at(date)));
            headers.insert(DATE, date.parse().unwrap());
            age.map(|age| headers.insert(AGE, age.parse().unwrap()));
            assert_eq!(skew(&headers, at(sent), at(received)), Some(SignedDuration::from_secs(expect)));
        };
        check(0, None, 0, 0, 0);
        check(0, None, -5, 5, 0);
        check(0, None, 1, 2, 0);
        check(0, None, 601, 602, 600);
        check(0, None, -610, -600, -600);
        check(0, Some("3600"), 3600, 3601, 0);
        check(0, Some("soon"), 601, 601, 600);
        assert_eq!(skew(&HeaderMap::new(), at(0), at(0)), None);
    }
}
