//! How a request says who asks, and `http/token`.

use digest_auth::{AuthContext, HttpMethod};
use lineman_sdk::prelude::*;
use lineman_sdk::{Answer, RequestBuilder, Timestamp};

use crate::config::address;
use crate::{Auth, ClientAuth, Http};

/// A token that was obtained.
#[derive(Clone, Debug)]
pub(crate) struct Token(Secret);

/// What a token server answers (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Issued {
    access_token: Secret,
    token_type: Option<String>,
    expires_in: Option<u32>,
    scope: Option<String>,
}

/// `http/token`.
pub(crate) async fn issue(cx: Cx<Http>) -> Outcome {
    if cx.settings().auth != Auth::Oauth2ClientCredentials {
        return Err(Stop::not_applicable("no token is obtained with this `auth`"));
    }
    token(&cx).await.map(drop)
}

/// Obtains a token, once.
async fn token(cx: &Cx<Http>) -> Result<Token, Stop> {
    cx.session().token.get(Box::pin(obtain(cx))).await
}

async fn obtain(cx: &Cx<Http>) -> Result<Token, Stop> {
    let settings = cx.settings();
    let url = address(cx, "token_url", settings.token_url.as_deref().unwrap_or_default())?;
    let id = settings.client_id.as_deref().unwrap_or_default();
    let secret = given(&cx.secrets().client_secret)?;
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(settings.scope.as_deref().map(|scope| ("scope", scope)));
    form.extend(settings.audience.as_deref().map(|audience| ("audience", audience)));
    let http = cx.http()?;
    let request = http.post(url).operation("token").header("accept", "application/json");
    let request = match settings.client_auth {
        // Both are form-encoded first (RFC 6749, section 2.3.1).
        ClientAuth::Basic => request.basic(&encoded(id), &Secret::new(encoded(secret.expose()))),
        ClientAuth::Post => {
            form.extend([("client_id", id), ("client_secret", secret.expose())]);
            request
        }
    };
    let answer = request.form(form).send().await?.success()?;
    let issued: Issued = answer.json()?;
    cx.conceal("access token", &issued.access_token);
    if let Some(kind) = issued.token_type.as_deref().filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        let message = format!("The token server issues a token of the type `{kind}`, not a bearer token.");
        return Err(cx
            .finding("token-type", Cause::ConfigEndpointWrong, message)
            .pointer("/settings/token_url")
            .into());
    }
    if let Some(seconds) = issued.expires_in {
        cx.expires("access token", Timestamp::now() + jiff::SignedDuration::from_secs(seconds.into()));
    }
    missing_scopes(cx, issued.scope.as_deref());
    Ok(Token(issued.access_token))
}

/// A token server may grant less than was asked for, and then says so (RFC 6749, section 3.3).
fn missing_scopes(cx: &Cx<Http>, granted: Option<&str>) {
    let (Some(asked), Some(granted)) = (cx.settings().scope.as_deref(), granted) else { return };
    let missing: Vec<&str> =
        asked.split_whitespace().filter(|scope| !granted.split_whitespace().any(|has| has == *scope)).collect();
    if !missing.is_empty() {
        let message = format!("The token server does not grant the scope {}.", missing.join(", "));
        let finding = cx.finding("scope-not-granted", Cause::PermissionInsufficient, message);
        cx.report(finding.pointer("/settings/scope"));
    }
}

fn encoded(text: &str) -> String {
    lineman_sdk::form::byte_serialize(text.as_bytes()).collect()
}

/// A secret whose absence `http/config` has reported.
fn given(secret: &Option<Secret>) -> Result<&Secret, Stop> {
    secret.as_ref().ok_or_else(|| Stop::missing_input("the secret for this `auth` is not given"))
}

/// Adds the credential to a request. A digest answers a challenge, the one in `refused`.
pub(crate) async fn authenticate<'a>(
    cx: &Cx<Http>,
    request: RequestBuilder<'a, Http>,
    challenge: Option<&Answer>,
) -> Result<RequestBuilder<'a, Http>, Stop> {
    let (settings, secrets) = (cx.settings(), cx.secrets());
    let user = settings.username.as_deref().unwrap_or_default();
    Ok(match settings.auth {
        Auth::None | Auth::Mtls => request,
        Auth::Bearer => request.bearer(given(&secrets.token)?),
        Auth::Basic => request.basic(user, given(&secrets.password)?),
        Auth::ApiKey if settings.api_key_query.is_some() => request,
        Auth::ApiKey => request.secret_header(&settings.api_key_header, given(&secrets.api_key)?),
        Auth::Oauth2ClientCredentials => request.bearer(&token(cx).await?.0),
        Auth::Digest => match challenge {
            Some(challenge) => {
                let response = digest(cx, challenge, user, given(&secrets.password)?)?;
                request.secret_header("authorization", &response)
            }
            None => request,
        },
    })
}

fn digest(cx: &Cx<Http>, challenge: &Answer, user: &str, password: &Secret) -> Result<Secret, Stop> {
    let asked = challenge.headers("www-authenticate").find(|value| scheme(value).eq_ignore_ascii_case("digest"));
    let mut prompt =
        asked.and_then(|asked| digest_auth::parse(asked).ok()).ok_or_else(|| other_scheme(cx, challenge))?;
    let path = challenge.url().path();
    let uri = challenge.url().query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let method = HttpMethod::from(challenge.method().as_str().to_owned());
    let context = AuthContext::new_with_method(user, password.expose(), uri, None::<&[u8]>, method);
    let response = prompt.respond(&context).map_err(|error| {
        let message = format!("The server's challenge cannot be answered: {error}.");
        cx.finding("digest-challenge", Cause::ConfigEndpointWrong, message).evidence(challenge.evidence())
    })?;
    Ok(Secret::new(response.to_string()))
}

/// The scheme of a challenge (RFC 9110, section 11.6.1).
pub(crate) fn scheme(challenge: &str) -> &str {
    challenge.split([' ', ',']).next().unwrap_or_default()
}

/// The scheme that this `auth` answers, where it answers one.
fn own_scheme(auth: Auth) -> Option<&'static str> {
    match auth {
        Auth::Basic => Some("basic"),
        Auth::Digest => Some("digest"),
        Auth::Bearer | Auth::Oauth2ClientCredentials => Some("bearer"),
        Auth::None | Auth::ApiKey | Auth::Mtls => None,
    }
}

/// Whether a server that refuses asks for something else than it was given.
pub(crate) fn wants_other_scheme(cx: &Cx<Http>, answer: &Answer) -> bool {
    let mut wanted = answer.headers("www-authenticate").map(scheme).peekable();
    let own = own_scheme(cx.settings().auth);
    answer.status() == 401
        && wanted.peek().is_some()
        && own.is_some_and(|own| wanted.all(|scheme| !scheme.eq_ignore_ascii_case(own)))
}

pub(crate) fn other_scheme(cx: &Cx<Http>, answer: &Answer) -> Finding {
    let wanted: Vec<&str> = answer.headers("www-authenticate").map(scheme).collect();
    let message = match wanted.as_slice() {
        [] => format!("The server does not ask for this way to authenticate (status {}).", answer.status()),
        wanted => format!("The server wants {}, which is not the configured `auth`.", wanted.join(" or ")),
    };
    cx.finding("other-scheme", Cause::ConfigInvalid, message)
        .confidence(Confidence::Likely)
        .evidence(answer.evidence())
        .pointer("/settings/auth")
}
