//! A *simulated* GitLab: the parts of its REST API that tell whether a token works.
//!
//! The world is data (`worlds/gitlab.toml`): users, projects and tokens. Answers have the shape
//! and the words that GitLab documents or its source has; a token that GitLab does not say
//! anything of is answered as one that it does not know. Faults that the world cannot express are
//! played from `faults.toml` ([`Server::faults`]).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{self, Answer, Request, Response};
use crate::faults::{Fault, Injection};
use crate::log::RequestLog;
use crate::tls::Tls;

/// How a GitLab differs from another.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// It lies below `/gitlab`; elsewhere on the host is a website.
    pub below_a_path: bool,
    /// Its version, if not a current one. Before 15.5 it says nothing of tokens themselves.
    pub version: Option<&'static str>,
    /// The fault of `faults.toml` that it plays for ever.
    pub fault: Option<&'static str>,
}

/// A running simulation.
pub struct Server {
    http: api::Server,
    forge: Arc<Forge>,
}

impl Server {
    /// Serves the world.
    pub fn start(tls: Tls, variant: Variant) -> Result<Server> {
        let world: World = toml::from_str(include_str!("../worlds/gitlab.toml"))?;
        let faults = Injection::default();
        if let Some(id) = variant.fault {
            faults.always(Fault::named(id)?);
        }
        let forge = Arc::new(Forge { world, variant, faults });
        let serve = Arc::clone(&forge);
        let http = api::Server::https(tls, move |request| serve.answer(&request))?;
        Ok(Server { http, forge })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The address of the GitLab.
    pub fn url(&self) -> String {
        format!("{}{}", self.http.url(), if self.forge.variant.below_a_path { "/gitlab" } else { "" })
    }

    /// The value of a token of the world.
    pub fn token(&self, name: &str) -> Result<String> {
        Ok(self.forge.world.token.get(name).with_context(|| format!("no token {name}"))?.value(name))
    }

    /// The names of the world's tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.forge.world.token.keys().map(String::as_str)
    }

    /// Faults of the service `gitlab` to play instead of serving.
    pub fn faults(&self) -> &Injection {
        &self.forge.faults
    }

    /// What it was asked.
    pub fn log(&self) -> &RequestLog {
        self.http.log()
    }
}

struct Forge {
    world: World,
    variant: Variant,
    faults: Injection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    user: BTreeMap<String, User>,
    project: BTreeMap<String, Project>,
    token: BTreeMap<String, Token>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Project {
    id: u64,
    members: BTreeMap<String, u32>,
    #[serde(default)]
    archived: bool,
    /// The repository is switched off.
    #[serde(default)]
    repository_off: bool,
    /// Guests may not read the code.
    #[serde(default)]
    code_for_members: bool,
    #[serde(default)]
    environments_off: bool,
    /// Webhooks: what GitLab shows of them where it differs from a new one for pushes.
    #[serde(default)]
    hook: Vec<Map<String, Value>>,
    /// Environments by name, with their state.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// Protected environments by name: what GitLab shows of them beyond that.
    #[serde(default)]
    protected: BTreeMap<String, Map<String, Value>>,
}

/// A new webhook for pushes: "Project webhooks API".
fn new_hook(id: u64) -> Value {
    json!({
        "id": id,
        "name": null,
        "description": null,
        "push_events": true,
        "push_events_branch_filter": "",
        "branch_filter_strategy": "wildcard",
        "tag_push_events": false,
        "merge_requests_events": false,
        "issues_events": false,
        "confidential_issues_events": false,
        "note_events": false,
        "job_events": false,
        "pipeline_events": false,
        "deployment_events": false,
        "releases_events": false,
        "enable_ssl_verification": true,
        "alert_status": "executable",
        "disabled_until": null,
        "url_variables": [],
        "created_at": "2026-01-15T10:00:00.000Z",
    })
}

/// One object with the fields of another in place of its own.
fn with(mut shown: Value, more: &Map<String, Value>) -> Value {
    if let Value::Object(fields) = &mut shown {
        fields.extend(more.clone());
    }
    shown
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    user: String,
    scopes: Vec<String>,
    days: Option<i64>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    oauth: bool,
    /// Why its user may do nothing.
    denied: Option<String>,
}

impl Token {
    /// A token of GitLab's form, the same for the same name.
    fn value(&self, name: &str) -> String {
        if self.oauth {
            let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
            return digits.repeat(64 / digits.len() + 1)[..64].to_owned();
        }
        format!("glpat-{}", &format!("{name}0lineman0lab0").replace('-', "").repeat(2)[..20])
    }

    fn may(&self, wanted: &[&str]) -> bool {
        let holds = |scope: &str| match scope {
            "api" => true,
            "read_api" => wanted.contains(&"read_api") || wanted.contains(&"read_user"),
            scope => wanted.contains(&scope),
        };
        self.scopes.iter().any(|scope| holds(scope))
    }

    fn end(&self) -> Option<Timestamp> {
        self.days.map(|days| Timestamp::now() + SignedDuration::from_hours(24 * days))
    }
}

/// An environment: "Environments API".
fn environment(id: u64, name: &str, state: &str) -> Value {
    json!({ "id": id, "name": name, "slug": name.replace('/', "-"), "state": state, "tier": "other" })
}

type Refusal = Box<Response>;

fn said(status: u16, body: &Value) -> Response {
    Response::new(status).header("content-type", "application/json").body(body.to_string())
}

fn refused(status: u16, message: &str) -> Refusal {
    Box::new(said(status, &json!({ "message": message })))
}

fn oauth_error(status: u16, error: &str, description: &str) -> Refusal {
    Box::new(said(status, &json!({ "error": error, "error_description": description })))
}

impl Forge {
    fn answer(&self, request: &Request) -> Answer {
        let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let finish = |response: Response| response.header("date", &date).header("x-request-id", "01LAB");
        let path = match (self.variant.below_a_path, request.path().strip_prefix("/gitlab")) {
            (true, Some(path)) => path,
            (true, None) => {
                let page = Response::new(404).header("content-type", "text/html");
                return Answer::Send(finish(page.body("<html><title>Nothing here</title></html>")));
            }
            (false, _) => request.path(),
        };
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        // The path walk asks for the root without a token; a fault is in what follows.
        let (["api", "v4", rest @ ..] | ["oauth", rest @ ..]) = segments.as_slice() else {
            let login = Response::new(302).header("location", "/users/sign_in").header("content-type", "text/html");
            return Answer::Send(finish(login.body("<html>You are being redirected.</html>")));
        };
        let operation = match rest {
            ["projects", _, rest @ ..] => ["projects", ":id"].iter().chain(rest).copied().collect::<Vec<_>>().join("/"),
            other => other.join("/"),
        };
        if let Some(fault) = self.faults.take("gitlab", &format!("{} /{operation}", request.method)) {
            let mut response = Response::new(fault.status).body(fault.body.clone());
            response.headers = fault.headers.clone().into_iter().collect();
            return fault.answer(finish(response));
        }
        Answer::Send(finish(self.serve(request, rest).unwrap_or_else(|refusal| *refusal)))
    }

    /// The token that a request comes with, where it is one that lives.
    fn token(&self, request: &Request) -> Result<&Token, Refusal> {
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let secret = request.header("private-token").or(bearer).unwrap_or_default().trim();
        let known = self.world.token.iter().find(|(name, token)| token.value(name) == secret).map(|(_, token)| token);
        let token = known.ok_or_else(|| refused(401, "401 Unauthorized"))?;
        if token.revoked {
            let words = "Token was revoked. You have to re-authorize from the user.";
            return Err(oauth_error(401, "invalid_token", words));
        }
        if token.end().is_some_and(|end| end <= Timestamp::now()) {
            let words = "Token is expired. You can either do re-authorization or token refresh.";
            return Err(oauth_error(401, "invalid_token", words));
        }
        match &token.denied {
            Some(why) => Err(refused(403, &format!("403 Forbidden - {why}"))),
            None => Ok(token),
        }
    }

    fn serve(&self, request: &Request, segments: &[&str]) -> Result<Response, Refusal> {
        let token = self.token(request)?;
        let scoped = |wanted: &[&str]| match token.may(wanted) {
            true => Ok(()),
            false => {
                let words = "The request requires higher privileges than provided by the access token.";
                let body =
                    json!({ "error": "insufficient_scope", "error_description": words, "scope": wanted.join(" ") });
                Err(Box::new(said(403, &body)))
            }
        };
        let version = self.variant.version.unwrap_or("19.3.1-ee");
        let old = self.variant.version.is_some();
        match segments {
            ["personal_access_tokens", "self"] if !old && !token.oauth => {
                let day = token.end().map(|end| end.strftime("%Y-%m-%d").to_string());
                Ok(said(
                    200,
                    &json!({
                        "id": 1, "name": "platform", "revoked": false, "scopes": token.scopes,
                        "created_at": "2026-01-15T10:00:00.000Z",
                        "user_id": 7, "active": true, "expires_at": day,
                    }),
                ))
            }
            ["token", "info"] if token.oauth => {
                Ok(said(200, &json!({ "resource_owner_id": 7, "scope": token.scopes, "expires_in": 7200 })))
            }
            ["user"] => {
                scoped(&["read_user", "read_api", "api"])?;
                let name = self.world.user.get_key_value(&token.user).map(|(name, _)| name);
                Ok(said(200, &json!({ "id": 7, "username": name, "state": "active" })))
            }
            ["version"] => {
                scoped(&["read_user", "read_api", "api"])?;
                Ok(said(200, &json!({ "version": version, "revision": "1a2b3c4d" })))
            }
            ["projects", id, rest @ ..] => {
                scoped(&["read_api", "api"])?;
                self.serve_project(request, id, rest, token)
            }
            _ => Err(refused(404, "404 Not found")),
        }
    }

    fn serve_project(&self, request: &Request, id: &str, rest: &[&str], token: &Token) -> Result<Response, Refusal> {
        let found = self.world.project.iter().find(|(path, project)| *path == id || project.id.to_string() == id);
        let member = found.and_then(|(path, project)| Some((path, project, *project.members.get(&token.user)?)));
        let (path, project, level) = member.ok_or_else(|| refused(404, "404 Project Not Found"))?;
        match rest {
            [] => Ok(said(
                200,
                &json!({
                    "id": project.id,
                    "path_with_namespace": path,
                    "archived": project.archived,
                    "repository_access_level": if project.repository_off { "disabled" } else { "enabled" },
                    "environments_access_level": if project.environments_off { "disabled" } else { "enabled" },
                    "permissions": { "project_access": { "access_level": level }, "group_access": null },
                }),
            )),
            ["repository", "branches"] if project.repository_off || (project.code_for_members && level < 20) => {
                Err(refused(403, "403 Forbidden"))
            }
            ["repository", "branches"] => Ok(said(200, &json!([{ "name": "main" }]))),
            ["hooks"] | ["protected_environments", _] if level < 40 => Err(refused(403, "403 Forbidden")),
            ["environments"] if level < 20 => Err(refused(403, "403 Forbidden")),
            ["hooks"] => Ok(said(200, &(1..).zip(&project.hook).map(|(id, hook)| with(new_hook(id), hook)).collect())),
            ["environments"] => {
                let parameters = request.parameters();
                let wanted = parameters.iter().find(|(name, _)| name == "name").map(|(_, value)| value.as_str());
                let named = project.environment.iter().filter(|(name, _)| wanted.is_none_or(|it| it == name.as_str()));
                Ok(said(200, &(1..).zip(named).map(|(id, (name, state))| environment(id, name, state)).collect()))
            }
            ["protected_environments", name] => {
                let protected = project.protected.get(*name).ok_or_else(|| refused(404, "404 Not found"))?;
                Ok(said(200, &with(json!({ "name": name }), protected)))
            }
            _ => Err(refused(404, "404 Not found")),
        }
    }
}
