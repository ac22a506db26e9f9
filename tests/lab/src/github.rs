//! A *simulated* GitHub: the parts of its REST and GraphQL APIs that tell whether a credential
//! works.
//!
//! The world is data (`worlds/github.toml`): users, organisations and their policies,
//! repositories, tokens, apps and installations. Answers have the shape and the words that GitHub
//! documents or is on record with; assertions of apps are verified for real, signature and times.
//! Faults that the world cannot express are played from `faults.toml` ([`Server::faults`]).

mod answers;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::pki_types::alg_id::RSA_PKCS1_SHA256;
use serde_json::{Value, json};

use crate::api::{self, Answer, Request, Response};
use crate::faults::{Fault, Injection};
use crate::log::RequestLog;
use crate::tls::Tls;
use answers::{graphql, refused, said, sso};
use world::{Access, App, Installation, Organization, Repository, Token, World};

/// A running simulation.
pub struct Server {
    http: api::Server,
    hub: Arc<Hub>,
}

/// How a GitHub differs from GitHub.com.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// The API lies below `/api/v3`, and everything else is a website that wants a login.
    pub enterprise: bool,
    /// How far its clock is ahead of the machine's.
    pub ahead: SignedDuration,
    /// The fault of `faults.toml` that it plays for ever.
    pub fault: Option<&'static str>,
}

impl Server {
    /// Serves the world.
    pub fn start(tls: Tls, variant: Variant) -> Result<Server> {
        let world: World = toml::from_str(include_str!("../worlds/github.toml"))?;
        let keys = world.app.keys().map(|slug| Ok((slug.clone(), key(slug)?))).collect::<Result<_>>()?;
        let faults = Injection::default();
        if let Some(id) = variant.fault {
            faults.always(Fault::named(id)?);
        }
        let hub = Arc::new(Hub { world, keys, minted: Mutex::default(), variant, faults });
        let serve = Arc::clone(&hub);
        let http = api::Server::https(tls, move |request| serve.answer(&request))?;
        Ok(Server { http, hub })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The address of the REST API.
    pub fn url(&self) -> String {
        let path = if self.hub.variant.enterprise { "/api/v3" } else { "" };
        format!("{}{path}", self.http.url())
    }

    /// The value of a token of the world.
    pub fn token(&self, name: &str) -> Result<String> {
        Ok(self.hub.world.token.get(name).with_context(|| format!("no token {name}"))?.value(name))
    }

    /// The names of the world's tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.hub.world.token.keys().map(String::as_str)
    }

    /// The private key of an app, in PEM.
    pub fn key(&self, app: &str) -> Result<String> {
        Ok(self.hub.keys.get(app).with_context(|| format!("no app {app}"))?.serialize_pem())
    }

    /// Faults of the service `github` to play instead of serving.
    pub fn faults(&self) -> &Injection {
        &self.hub.faults
    }

    /// What it was asked.
    pub fn log(&self) -> &RequestLog {
        self.http.log()
    }
}

/// The key of an app: one for all servers of the process, because making one takes its time.
fn key(slug: &str) -> Result<Arc<KeyPair>> {
    static KEYS: Mutex<BTreeMap<String, Arc<KeyPair>>> = Mutex::new(BTreeMap::new());
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = keys.get(slug) {
        return Ok(Arc::clone(key));
    }
    let key = Arc::new(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?);
    keys.insert(slug.to_owned(), Arc::clone(&key));
    Ok(key)
}

struct Hub {
    world: World,
    keys: BTreeMap<String, Arc<KeyPair>>,
    /// Installation tokens that were given out, with the id of their installation.
    minted: Mutex<BTreeMap<String, u64>>,
    variant: Variant,
    faults: Injection,
}

/// Who makes a request.
enum Caller<'a> {
    Nobody,
    Token(&'a Token),
    Installation(&'a Installation),
    App(&'a str, &'a App),
}

/// An answer that is no success.
type Refusal = Box<Response>;

impl Hub {
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.variant.ahead
    }

    fn answer(&self, request: &Request) -> Answer {
        let path = match (self.variant.enterprise, request.path().strip_prefix("/api/v3")) {
            (true, Some(path)) => path,
            (true, None) if request.path() == "/api/graphql" => "/graphql",
            (true, None) => {
                let login = Response::new(302).header("location", "/login");
                return Answer::Send(
                    login.header("content-type", "text/html").body("<html>You are being redirected.</html>"),
                );
            }
            (false, _) => request.path(),
        };
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let operation = operation(&request.method, &segments);
        let date = self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let finish = |response: Response| {
            response
                .header("date", &date)
                .header("server", "github.com")
                .header("x-github-request-id", "1A2B:3C4D:5E6F")
        };
        // The path walk asks for the root without a credential; a fault is in what follows.
        if !segments.is_empty()
            && let Some(fault) = self.faults.take("github", &operation)
        {
            let mut response = Response::new(fault.status).body(fault.body.clone());
            response.headers = fault.headers.clone().into_iter().collect();
            return fault.answer(finish(response));
        }
        let response = match self.caller(request) {
            Ok(caller) => {
                let answer = self.serve(request, &segments, &caller).unwrap_or_else(|refusal| *refusal);
                self.headed(answer, &caller)
            }
            Err(refusal) => *refusal,
        };
        Answer::Send(finish(response))
    }

    /// The headers by which GitHub tells of a token.
    fn headed(&self, mut response: Response, caller: &Caller<'_>) -> Response {
        response = response
            .header("x-ratelimit-limit", "5000")
            .header("x-ratelimit-remaining", "4987")
            .header("x-ratelimit-reset", (self.now().as_second() + 1800).to_string());
        let Caller::Token(token) = caller else { return response };
        if let Some(scopes) = &token.scopes {
            response = response.header("x-oauth-scopes", scopes.join(", "));
        }
        if let Some(end) = token.end(self.now()) {
            response = response
                .header("github-authentication-token-expiration", end.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
        }
        response
    }

    fn caller(&self, request: &Request) -> Result<Caller<'_>, Refusal> {
        let Some(header) = request.header("authorization") else { return Ok(Caller::Nobody) };
        let secret = header.split_once(' ').map_or(header, |(_, secret)| secret).trim();
        if secret.matches('.').count() == 2 {
            return self.asserted(secret);
        }
        let minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = minted.get(secret) {
            let known = self.world.installation.iter().find(|installation| installation.id == *id);
            return known.map(Caller::Installation).ok_or_else(|| refused(401, "Bad credentials", "rest"));
        }
        let known = self.world.token.iter().find(|(name, token)| token.value(name) == secret).map(|(_, token)| token);
        let live = known.filter(|token| !token.revoked && token.end(self.now()).is_none_or(|end| end > self.now()));
        live.map(Caller::Token).ok_or_else(|| refused(401, "Bad credentials", "rest"))
    }

    /// The app that an assertion speaks for: "Generating a JSON Web Token for a GitHub App".
    fn asserted(&self, assertion: &str) -> Result<Caller<'_>, Refusal> {
        let undecodable = || refused(401, "A JSON web token could not be decoded", "rest");
        let claims = assertion.split('.').nth(1).and_then(|part| BASE64URL.decode(part).ok());
        let claims: Value = claims.and_then(|json| serde_json::from_slice(&json).ok()).ok_or_else(undecodable)?;
        let Some(issuer) = claims["iss"].as_str() else {
            return Err(refused(401, "Missing 'issuer' claim ('iss')", "rest"));
        };
        let known = self.world.app.iter().find(|(_, app)| app.id.to_string() == issuer);
        let (slug, app) = known.ok_or_else(|| refused(404, "Integration not found", "rest"))?;
        let verified = || {
            let (signed, signature) = assertion.rsplit_once('.')?;
            let signature = BASE64URL.decode(signature).ok()?;
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            let algorithms = provider.signature_verification_algorithms.all;
            let algorithm = algorithms.iter().find(|algorithm| algorithm.signature_alg_id() == RSA_PKCS1_SHA256)?;
            let key = self.keys.get(slug)?.public_key_raw();
            algorithm.verify_signature(key, signed.as_bytes(), &signature).ok()
        };
        verified().ok_or_else(undecodable)?;
        let now = self.now().as_second();
        let (Some(issued), Some(end)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) else {
            return Err(undecodable());
        };
        let wrong = match () {
            () if issued > now => {
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
            }
            () if end <= now => {
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
            }
            () if end > now + 600 => "'Expiration time' claim ('exp') is too far in the future",
            () => return Ok(Caller::App(slug, app)),
        };
        Err(refused(401, wrong, "rest"))
    }

    fn serve(&self, request: &Request, segments: &[&str], caller: &Caller<'_>) -> Result<Response, Refusal> {
        match (request.method.as_str(), segments) {
            ("GET" | "HEAD", []) => Ok(said(200, &json!({ "current_user_url": "https://api.github.com/user" }))),
            ("GET", ["user"]) => match caller {
                Caller::Token(Token { user: Some(user), .. }) => Ok(said(200, &json!({ "login": user, "id": 583231 }))),
                Caller::Nobody => Err(refused(401, "Requires authentication", "rest/users/users")),
                _ => Err(refused(403, "Resource not accessible by integration", "rest/users/users")),
            },
            ("GET", ["installation", "repositories"]) => {
                let covered = match caller {
                    Caller::Installation(installation) => &installation.repositories,
                    Caller::Token(Token { user: None, repositories, .. }) => repositories,
                    _ => return Err(refused(403, "Resource not accessible by personal access token", "rest/apps")),
                };
                Ok(said(200, &json!({ "total_count": covered.len(), "repositories": [] })))
            }
            ("GET", ["app", ..]) | ("POST", ["app", ..]) | ("GET", [.., "installation"]) => {
                self.serve_app(request, segments, caller)
            }
            ("GET", ["user", "memberships", "orgs", name]) => {
                let organization = self.organization(name, caller)?;
                let Caller::Token(token) = caller else {
                    return Err(refused(403, "Resource not accessible by integration", "rest/orgs/members"));
                };
                self.permitted(caller, "members", "read:org")?;
                let user = token.user.as_ref().and_then(|user| self.world.user.get(user));
                match user.filter(|user| user.organizations.iter().any(|own| own == name)) {
                    Some(_) => {
                        Ok(said(200, &json!({ "state": "active", "role": "member", "organization": organization.1 })))
                    }
                    None => Err(refused(404, "Not Found", "rest/orgs/members")),
                }
            }
            ("GET", ["orgs", name]) => Ok(said(200, &self.organization(name, caller)?.1)),
            ("GET", ["orgs", name, "members"]) => {
                self.organization(name, caller)?;
                self.permitted(caller, "members", "read:org")?;
                Ok(said(200, &json!([])))
            }
            ("GET", ["repos", owner, repo, rest @ ..]) => {
                self.serve_repository(&format!("{owner}/{repo}"), rest, caller)
            }
            ("POST", ["graphql"]) => Ok(graphql(self, &request.body, caller)),
            _ => Err(refused(404, "Not Found", "rest")),
        }
    }

    fn serve_app(&self, request: &Request, segments: &[&str], caller: &Caller<'_>) -> Result<Response, Refusal> {
        let Caller::App(slug, app) = caller else {
            return Err(refused(401, "A JSON web token could not be decoded", "rest"));
        };
        let own = || self.world.installation.iter().filter(|installation| installation.app == *slug);
        let missing = || refused(404, "Not Found", "rest/apps/apps");
        let by_id = |id: &str| own().find(|installation| installation.id.to_string() == id).ok_or_else(missing);
        Ok(match (request.method.as_str(), segments) {
            ("GET", ["app"]) => {
                let app = json!({ "id": app.id, "slug": slug, "name": slug, "permissions": app.permissions });
                said(200, &app)
            }
            ("GET", ["app", "installations"]) => said(200, &own().map(Installation::shown).collect()),
            ("GET", ["app", "installations", id]) => said(200, &by_id(id)?.shown()),
            ("GET", ["orgs", name, "installation"]) => {
                said(200, &own().find(|installation| installation.account == *name).ok_or_else(missing)?.shown())
            }
            ("GET", ["repos", owner, repo, "installation"]) => {
                let name = format!("{owner}/{repo}");
                let covering = own().find(|installation| installation.repositories.contains(&name));
                said(200, &covering.ok_or_else(missing)?.shown())
            }
            ("POST", ["app", "installations", id, "access_tokens"]) => {
                let installation = by_id(id)?;
                if installation.suspended {
                    let page = "rest/reference/apps#create-an-installation-access-token-for-an-app";
                    return Err(refused(403, "This installation has been suspended", page));
                }
                let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
                let token = world::token("ghs_", &format!("minted{}", minted.len()));
                minted.insert(token.clone(), installation.id);
                let end = (self.now() + SignedDuration::from_hours(1)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                said(201, &json!({ "token": token, "expires_at": end, "permissions": installation.permissions }))
            }
            _ => return Err(missing()),
        })
    }

    /// An organisation that lets the caller in, and what is shown of it.
    fn organization(&self, name: &str, caller: &Caller<'_>) -> Result<(&Organization, Value), Refusal> {
        let organization =
            self.world.organization.get(name).ok_or_else(|| refused(404, "Not Found", "rest/orgs/orgs"))?;
        self.let_in(name, organization, caller)?;
        Ok((organization, json!({ "login": name, "id": 1 })))
    }

    /// What an organisation demands beyond permissions.
    fn let_in(&self, name: &str, organization: &Organization, caller: &Caller<'_>) -> Result<(), Refusal> {
        let token = match caller {
            Caller::Token(token) => Some(*token),
            _ => None,
        };
        if organization.allow_list {
            let message = format!(
                "Although you appear to have the correct authorization credentials, the `{name}` organization has an IP allow list enabled, and 198.51.100.7 is not permitted to access this resource."
            );
            return Err(refused(403, &message, "rest"));
        }
        if organization.forbids_classic && token.is_some_and(|token| token.prefix == "ghp_") {
            let message = format!(
                "`{name}` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, or a personal access token with fine-grained permissions."
            );
            return Err(refused(403, &message, "rest"));
        }
        if organization.single_sign_on && token.is_some_and(|token| token.user.is_some()) {
            return Err(sso(name));
        }
        Ok(())
    }

    fn repository(&self, name: &str, caller: &Caller<'_>) -> Result<(&Repository, Access), Refusal> {
        let missing = || refused(404, "Not Found", "rest/repos/repos#get-a-repository");
        let (owner, _) = name.split_once('/').unwrap_or_default();
        let repository = self.world.repository.get(name).ok_or_else(missing)?;
        let access = repository.access(name, caller);
        if access == Access::None {
            return Err(missing());
        }
        if let Some(organization) = self.world.organization.get(owner) {
            self.let_in(owner, organization, caller)?;
        }
        Ok((repository, access))
    }

    fn serve_repository(&self, name: &str, rest: &[&str], caller: &Caller<'_>) -> Result<Response, Refusal> {
        let (repository, access) = self.repository(name, caller)?;
        if let Some(to) = &repository.moved_to {
            let to = format!("{}/repos/{to}", if self.variant.enterprise { "/api/v3" } else { "" });
            return Ok(said(301, &json!({ "message": "Moved Permanently", "url": to })).header("location", to));
        }
        let missing = |page: &str| refused(404, "Not Found", page);
        let (permission, body) = match rest {
            [] => ("metadata", repository.shown(name, access)),
            ["languages"] => ("metadata", json!({})),
            ["branches"] => ("contents", json!([{ "name": "main", "protected": false }])),
            ["issues"] => ("issues", json!([])),
            ["pulls"] => ("pull_requests", json!([])),
            ["actions", "secrets"] => ("secrets", json!({ "total_count": 0, "secrets": [] })),
            ["hooks"] => {
                // Hidden from users who may not look.
                let hidden = matches!(caller, Caller::Token(Token { scopes: Some(_), .. })) && access < Access::Admin;
                let page = "rest/repos/webhooks#list-repository-webhooks";
                let shown = if hidden { None } else { Some(repository.hooks()) };
                ("repository_hooks", shown.ok_or_else(|| missing(page))?)
            }
            ["environments", environment] => {
                let page = "rest/deployments/environments#get-an-environment";
                ("actions", repository.environment(&decoded(environment)).ok_or_else(|| missing(page))?)
            }
            _ => return Err(missing("rest")),
        };
        if repository.private {
            self.permitted(caller, permission, "repo")?;
        }
        Ok(said(200, &body))
    }

    /// Whether the caller has a permission to read, or the scope that stands for it.
    fn permitted(&self, caller: &Caller<'_>, permission: &str, scope: &str) -> Result<(), Refusal> {
        let (permissions, who) = match caller {
            Caller::Token(Token { scopes: Some(scopes), .. }) if scopes.iter().any(|own| own == scope) => return Ok(()),
            Caller::Token(Token { scopes: Some(_), .. }) => {
                return Err(refused(403, "You must be an organization owner or have the proper permissions.", "rest"));
            }
            Caller::Token(token) if token.user.is_some() => (&token.permissions, "personal access token"),
            Caller::Token(token) => (&token.permissions, "integration"),
            Caller::Installation(installation) => (&installation.permissions, "integration"),
            Caller::Nobody | Caller::App(..) => return Err(refused(401, "Requires authentication", "rest")),
        };
        if permissions.contains_key(permission) {
            return Ok(());
        }
        let refusal = refused(403, &format!("Resource not accessible by {who}"), "rest");
        Err(Box::new(refusal.header("x-accepted-github-permissions", format!("{permission}=read"))))
    }
}

/// A segment of a path without its encoding.
fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// GitHub's name of what is asked, such as `GET /repos/{owner}/{repo}/branches`.
fn operation(method: &str, segments: &[&str]) -> String {
    let path = match segments {
        ["repos", _, _, "environments", _] => vec!["repos", "{owner}", "{repo}", "environments", "{environment_name}"],
        ["repos", _, _, rest @ ..] => ["repos", "{owner}", "{repo}"].iter().chain(rest).copied().collect(),
        ["orgs", _, rest @ ..] => ["orgs", "{org}"].iter().chain(rest).copied().collect(),
        ["user", "memberships", "orgs", _] => vec!["user", "memberships", "orgs", "{org}"],
        ["app", "installations", _, rest @ ..] => {
            ["app", "installations", "{installation_id}"].iter().chain(rest).copied().collect()
        }
        other => other.to_vec(),
    };
    format!("{method} /{}", path.join("/"))
}
