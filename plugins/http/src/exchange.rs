//! `http/identity`, `http/request` and `http/submit`: the request itself.

use std::sync::Arc;

use lineman_sdk::Answer;
use lineman_sdk::prelude::*;

use crate::auth::{authenticate, other_scheme, wants_other_scheme};
use crate::config::url;
use crate::expect::{is_login_page, judge, login_page};
use crate::reach::walk;
use crate::{Auth, Http, Method};

impl From<Method> for http::Method {
    fn from(method: Method) -> http::Method {
        match method {
            Method::Get => http::Method::GET,
            Method::Head => http::Method::HEAD,
            Method::Options => http::Method::OPTIONS,
            Method::Post => http::Method::POST,
        }
    }
}

/// Whether the credential goes with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credential {
    With,
    Without,
}

async fn send(cx: &Cx<Http>, credential: Credential, challenge: Option<&Answer>) -> Result<Answer, Stop> {
    let settings = cx.settings();
    let mut url = url(cx)?;
    if let (Credential::With, Auth::ApiKey, Some(name), Some(key)) =
        (credential, settings.auth, &settings.api_key_query, &cx.secrets().api_key)
    {
        url.query_pairs_mut().append_pair(name, key.expose());
    }
    let http = cx.http()?;
    let mut request = http.request(settings.method.into(), url).header("accept", "application/json, */*;q=0.5");
    if let Some(body) = settings.body.as_ref().filter(|_| settings.method == Method::Post) {
        request = request.json(body);
    }
    if credential == Credential::With {
        request = Box::pin(authenticate(cx, request, challenge)).await?;
    }
    Box::pin(request.send()).await
}

/// Asks with the credential, once: a rejected one is not tried again.
async fn answer(cx: &Cx<Http>) -> Result<Arc<Answer>, Stop> {
    let ask = async {
        let mut answer = send(cx, Credential::With, None).await?;
        if cx.settings().auth == Auth::Digest && answer.status() == 401 {
            answer = send(cx, Credential::With, Some(&answer)).await?;
        }
        // What may pass is not kept, so that another try asks again.
        let may_pass =
            matches!(answer.status(), 429 | 500..) && !cx.settings().expect_status.contains(&answer.status());
        if may_pass { Err(answer.finding().into()) } else { Ok(Arc::new(answer)) }
    };
    cx.session().answer.get(Box::pin(ask)).await
}

/// `http/identity`.
pub(crate) async fn identity(cx: Cx<Http>) -> Outcome {
    if cx.settings().auth == Auth::None {
        return Err(Stop::not_applicable("no authentication is configured"));
    }
    if cx.settings().method == Method::Post {
        return Err(Stop::not_applicable("a POST is sent once, by `http/submit`"));
    }
    let answer = answer(&cx).await?;
    accepted(&cx, &answer)?;
    if cx.settings().auth == Auth::Mtls {
        // The walk shows no certificate, so a server that insists on one did not answer it.
        if walk(&cx).await?.status.is_some() {
            cx.not_proved("that the server looks at the client certificate", "it answers without one too", None);
        }
        return Ok(());
    }
    // A server that answers everybody alike has not looked at the credential.
    if send(&cx, Credential::Without, None).await.is_ok_and(|other| other.status() == answer.status()) {
        let what = "that the credential is right";
        cx.not_proved(
            what,
            "the address answers the same without it",
            Some("a `url` that only this credential may see"),
        );
    }
    Ok(())
}

/// Whether the server took the credential: everything but a refusal of it leaves that open or shows it.
fn accepted(cx: &Cx<Http>, answer: &Answer) -> Outcome {
    if wants_other_scheme(cx, answer) {
        return Err(other_scheme(cx, answer).into());
    }
    match answer.status() {
        300..=399 | 401 | 403 | 407 | 429 | 500.. if !cx.settings().expect_status.contains(&answer.status()) => {
            Err(answer.finding().into())
        }
        _ if is_login_page(answer) => Err(login_page(cx, answer).into()),
        400 if answer.recognised().is_some() => Err(answer.finding().into()),
        _ => Ok(()),
    }
}

/// `http/request`.
pub(crate) async fn request(cx: Cx<Http>) -> Outcome {
    if cx.settings().method == Method::Post {
        return Err(Stop::not_applicable("a POST is sent by `http/submit`"));
    }
    judge(&cx, &*answer(&cx).await?)
}

/// `http/submit`.
pub(crate) async fn submit(cx: Cx<Http>) -> Outcome {
    if cx.settings().method != Method::Post {
        return Err(Stop::not_applicable("`method` is not POST"));
    }
    let answer = answer(&cx).await?;
    accepted(&cx, &answer)?;
    judge(&cx, &answer)
}
