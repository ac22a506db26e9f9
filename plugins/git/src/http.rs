//! Git over HTTP: one request asks for the references, with the credential, and one without, so
//! that a repository open to everyone proves nothing of a token.

use std::net::IpAddr;
use std::sync::Arc;

use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, Url};

use crate::remote::Remote;
use crate::{Git, hosts};

/// git follows redirects of the first request, too.
const MOST_REDIRECTS: usize = 3;
/// The user name that goes with a token where nobody says which: servers look at the token.
const USUAL_USER: &str = "git";

/// What a server answered to the request for references.
pub(crate) struct Exchange {
    pub(crate) answer: Answer,
    /// Whether it answers everyone alike.
    pub(crate) open: bool,
    /// Where the repository is now, when the server sent on.
    pub(crate) moved_to: Option<String>,
}

impl Exchange {
    /// Whether the answer is one of Git's.
    pub(crate) fn is_git(&self, service: &str) -> bool {
        let kind = self.answer.header("content-type").unwrap_or_default();
        self.answer.ok() && kind.starts_with(&format!("application/x-{service}-advertisement"))
    }
}

/// The exchange that authentication and read access are judged by; one per run.
///
/// # Errors
///
/// What kept the server from judging: that may go better the next time.
pub(crate) async fn read(cx: &Cx<Git>, remote: &Remote) -> Result<Arc<Exchange>, Stop> {
    let make = Box::pin(async {
        let anyone = async {
            match cx.secrets().token {
                Some(_) => request(cx, remote, "git-upload-pack", false).await.is_ok_and(|other| other.answer.ok()),
                None => false,
            }
        };
        let (known, open) = futures_util::future::join(advertisement(cx, remote, "git-upload-pack"), anyone).await;
        let known = known?;
        match known.answer.status() {
            429 | 500.. => Err(finding(cx, &known.answer).into()),
            _ => Ok(Arc::new(Exchange { open, ..known })),
        }
    });
    cx.session().read_over_http.get(make).await
}

/// What the catalog knows of an answer. It is written in the words of git, which shows the lines
/// of a plain text as the remote's.
pub(crate) fn recognised(cx: &Cx<Git>, answer: &Answer) -> Option<Finding> {
    answer.recognised().or_else(|| {
        let plain = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain"));
        let said: Vec<String> = answer.text().lines().map(|line| format!("remote: {line}")).collect();
        let finding = cx.recognise(&said.join("\n"), None).filter(|_| plain)?;
        Some(finding.evidence(answer.evidence()))
    })
}

/// What went wrong, by the catalog, else by the status alone.
pub(crate) fn finding(cx: &Cx<Git>, answer: &Answer) -> Finding {
    recognised(cx, answer).unwrap_or_else(|| answer.finding())
}

/// What a Git service announces to the credential.
pub(crate) async fn advertisement(cx: &Cx<Git>, remote: &Remote, service: &str) -> Result<Exchange, Stop> {
    request(cx, remote, service, true).await
}

async fn request(cx: &Cx<Git>, remote: &Remote, service: &str, with_credential: bool) -> Result<Exchange, Stop> {
    let address = remote.advertisement(service);
    let mut url = Url::parse(&address).map_err(|error| {
        cx.finding(
            "url-refused",
            Cause::ConfigInvalid,
            format!("The address of the repository cannot be read: {error}."),
        )
    })?;
    // The user goes into the header, with the token.
    let _ = url.set_username("");
    let client = cx.http()?;
    let mut moved_to = None;
    let mut redirects = 0;
    loop {
        let mut request = client.get(url.clone()).operation(service);
        if let Some(token) = cx.secrets().token.as_ref().filter(|_| with_credential) {
            request = request.basic(&user(cx, remote), token);
        }
        let answer = request.send().await?;
        match redirect(&answer, &url, service).filter(|_| redirects < MOST_REDIRECTS) {
            Some(next) => {
                moved_to = next.as_str().split("/info/refs").next().map(str::to_owned);
                url = next;
                redirects += 1;
            }
            None => return Ok(Exchange { answer, open: false, moved_to }),
        }
    }
}

/// Where a redirect leads, if it leads to the same question at the same host: a credential goes
/// nowhere else.
fn redirect(answer: &Answer, url: &Url, service: &str) -> Option<Url> {
    if !matches!(answer.status(), 301 | 302 | 307 | 308) {
        return None;
    }
    let next = url.join(answer.header("location")?).ok()?;
    let same_question =
        next.path().ends_with("/info/refs") && next.query().is_some_and(|query| query == format!("service={service}"));
    let same_host = next.host_str() == url.host_str() && (next.scheme() == url.scheme() || next.scheme() == "https");
    (same_question && same_host && next.username().is_empty()).then_some(next)
}

/// The user name that goes with the token.
pub(crate) fn user(cx: &Cx<Git>, remote: &Remote) -> String {
    let given = cx.secrets().username.as_ref().map(|user| user.expose().to_owned());
    let usual = || hosts::find(&remote.host)?.token_user.clone();
    given.or_else(|| remote.user.clone()).or_else(usual).unwrap_or_else(|| USUAL_USER.to_owned())
}

/// Whether what is sent never leaves this machine.
pub(crate) fn is_this_machine(remote: &Remote) -> bool {
    remote.host == "localhost" || remote.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
