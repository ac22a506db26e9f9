//! A *simulated* Google Cloud: the parts of its APIs that tell whether a credential works.
//!
//! The world is data (`worlds/gcp.toml`): projects, service accounts and their keys, a workload
//! identity pool, buckets. Answers have the shape and the words that Google documents or is on
//! record with; assertions of keys are verified for real, signature, audience and times. Every
//! service answers on the one address, and also below its own name (`/storage/…`), so that each can
//! be given an endpoint of its own. Faults that the world cannot express are played from
//! `faults.toml` ([`Server::faults`]).

mod answers;
mod compute;
mod tokens;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use crate::api::{self, Answer, Request, Response};
use crate::faults::{Fault, Injection};
use crate::log::RequestLog;
use crate::tls::Tls;
use answers::{denied, disabled, older, perimeter, refused, said};
use world::{Account, World, access_token, address};

/// The services that have a name of their own below the address.
pub const SERVICES: [&str; 10] = [
    "oauth2",
    "sts",
    "metadata-certificates",
    "iam",
    "iamcredentials",
    "cloudresourcemanager",
    "serviceusage",
    "cloudbilling",
    "storage",
    "compute",
];

/// How a Google Cloud differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// How far its clock is ahead of the machine's.
    pub ahead: SignedDuration,
    /// The fault of `faults.toml` that it plays for ever.
    pub fault: Option<&'static str>,
}

/// A running simulation.
pub struct Server {
    http: api::Server,
    cloud: Arc<Cloud>,
}

impl Server {
    /// Serves the world.
    pub fn start(tls: Tls, variant: Variant) -> Result<Server> {
        let world: World = toml::from_str(include_str!("../worlds/gcp.toml"))?;
        let keys = world.key.iter().map(|(name, key)| Ok((name.clone(), pair(key.pair)?))).collect::<Result<_>>()?;
        let faults = Injection::default();
        if let Some(id) = variant.fault {
            faults.always(Fault::named(id)?);
        }
        let cloud = Arc::new(Cloud { world, keys, minted: Mutex::default(), variant, faults });
        let serve = Arc::clone(&cloud);
        let http = api::Server::https(tls, move |request| serve.answer(&request))?;
        Ok(Server { http, cloud })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The address of all its services.
    pub fn url(&self) -> String {
        self.http.url()
    }

    /// The key file of a key of the world.
    pub fn key(&self, name: &str) -> Result<String> {
        let key = self.cloud.world.key.get(name).with_context(|| format!("no key {name}"))?;
        let account = address(&key.account);
        let project = account.split(['@', '.']).nth(1).unwrap_or_default();
        let file = json!({
            "type": "service_account",
            "project_id": project,
            "private_key_id": key.id(name),
            "private_key": self.cloud.keys[name].serialize_pem(),
            "client_email": account,
            "client_id": "103456789012345678901",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": format!("https://www.googleapis.com/robot/v1/metadata/x509/{}", account.replace('@', "%40")),
            "universe_domain": "googleapis.com",
        });
        Ok(serde_json::to_string_pretty(&file)?)
    }

    /// The names of the world's keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.cloud.world.key.keys().map(String::as_str)
    }

    /// The value of an access token of the world.
    pub fn token(&self, name: &str) -> Result<String> {
        self.cloud.world.token.get(name).with_context(|| format!("no token {name}"))?;
        Ok(access_token("operator", name))
    }

    /// The names of the world's access tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.cloud.world.token.keys().map(String::as_str)
    }

    /// The token that the outside identity provider gives to a workload.
    pub fn subject_token(&self, name: &str) -> Result<String> {
        let world = &self.cloud.world;
        Ok(world.subject.get(name).with_context(|| format!("no subject {name}"))?.token(&world.pool))
    }

    /// The names of the world's workloads.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.cloud.world.subject.keys().map(String::as_str)
    }

    /// The configuration of the external account, which acts as the deployer; with the source of its
    /// token as given.
    pub fn external_account(&self, source: &Value) -> String {
        let acts_as = address("deployer");
        let file = json!({
            "type": "external_account",
            "audience": self.cloud.world.pool.audience,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "service_account_impersonation_url": format!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{acts_as}:generateAccessToken"),
            "credential_source": source,
            "universe_domain": "googleapis.com",
        });
        file.to_string()
    }

    /// Faults of the service `gcp` to play instead of serving.
    pub fn faults(&self) -> &Injection {
        &self.cloud.faults
    }

    /// What it was asked.
    pub fn log(&self) -> &RequestLog {
        self.http.log()
    }
}

/// A pair of keys by its number: one for all servers of the process, because making one takes its
/// time.
fn pair(number: usize) -> Result<Arc<KeyPair>> {
    static PAIRS: Mutex<BTreeMap<usize, Arc<KeyPair>>> = Mutex::new(BTreeMap::new());
    let mut pairs = PAIRS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pair) = pairs.get(&number) {
        return Ok(Arc::clone(pair));
    }
    let pair = Arc::new(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?);
    pairs.insert(number, Arc::clone(&pair));
    Ok(pair)
}

struct Cloud {
    world: World,
    keys: BTreeMap<String, Arc<KeyPair>>,
    /// Access tokens that were given out, with the address of their account.
    minted: Mutex<BTreeMap<String, String>>,
    variant: Variant,
    faults: Injection,
}

/// An answer that is no success.
type Refusal = Box<Response>;

/// Who makes a request: an account, and what it is called.
struct Caller<'a> {
    address: String,
    account: &'a Account,
}

impl Cloud {
    fn now(&self) -> i64 {
        (Timestamp::now() + self.variant.ahead).as_second()
    }

    fn answer(&self, request: &Request) -> Answer {
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let mut segments: Vec<String> = request.path().split('/').filter(|part| !part.is_empty()).map(decode).collect();
        // The paths of some begin with the name that they have here.
        let own = |name: &str| ["storage", "compute"].contains(&name);
        let named = segments.first().is_some_and(|first| SERVICES.contains(&first.as_str()))
            && segments.get(1).is_none_or(|second| !own(&segments[0]) || *second == segments[0]);
        if named {
            segments.remove(0);
        }
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let date = Timestamp::from_second(self.now()).unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S GMT");
        let date = date.to_string();
        let finish = |response: Response| response.header("date", &date).header("server", "ESF");
        // The path walk asks for the root without a credential; a fault is in what follows.
        if !segments.is_empty()
            && let Some(fault) = self.faults.take("gcp", operation(&request.method, &segments))
        {
            let mut response = Response::new(fault.status).body(fault.body.clone());
            response.headers = fault.headers.clone().into_iter().collect();
            return fault.answer(finish(response));
        }
        Answer::Send(finish(self.serve(request, &segments).unwrap_or_else(|refusal| *refusal)))
    }

    fn serve(&self, request: &Request, segments: &[&str]) -> Result<Response, Refusal> {
        match (request.method.as_str(), segments) {
            ("POST", ["token"]) => self.exchange(request),
            ("POST", ["tokeninfo"]) => self.token_info(request),
            ("POST", ["v1", "token"]) => self.federate(request),
            ("GET", ["service_accounts", "v1", "metadata", "x509", account]) => self.certificates(account),
            ("POST", ["v1", "projects", "-", "serviceAccounts", last]) => {
                let caller = self.caller(request)?;
                match last.split_once(':') {
                    Some((target, "generateAccessToken")) => self.generate(&caller, target),
                    Some((target, "testIamPermissions")) => self.test_on_account(request, &caller, target),
                    _ => Err(missing()),
                }
            }
            ("GET", ["v1", "projects", "-", "serviceAccounts", target]) => {
                self.show_account(&self.caller(request)?, target)
            }
            ("GET", ["v3", "projects", id]) => {
                let caller = self.caller(request)?;
                self.consumer(request, &caller, "cloudresourcemanager", "Cloud Resource Manager")?;
                let held =
                    |id: &str| caller.account.on_project(id).iter().any(|it| it == "resourcemanager.projects.get");
                match self.world.project(id).filter(|(id, _)| held(id)) {
                    Some((id, project)) => Ok(said(
                        200,
                        &json!({ "name": format!("projects/{}", project.number), "projectId": id, "state": project.state }),
                    )),
                    None => Err(denied("resourcemanager.projects.get", &format!("projects/{id}"))),
                }
            }
            ("POST", ["v3", "projects", last]) => {
                let caller = self.caller(request)?;
                self.consumer(request, &caller, "cloudresourcemanager", "Cloud Resource Manager")?;
                let known = last.strip_suffix(":testIamPermissions").and_then(|id| self.world.project(id));
                let Some((id, _)) = known else {
                    return Err(refused(403, "PERMISSION_DENIED", "The caller does not have permission", None));
                };
                granted(request, caller.account.on_project(id))
            }
            ("GET", ["v1", "projects", id, "services:batchGet"]) => {
                let caller = self.caller(request)?;
                self.consumer(request, &caller, "serviceusage", "Service Usage")?;
                let known = self.world.project(id);
                let held = |id: &str| caller.account.on_project(id).iter().any(|it| it == "serviceusage.services.get");
                let Some((_, project)) = known.filter(|(id, _)| held(id)) else {
                    return Err(denied("serviceusage.services.get", &format!("projects/{id}")));
                };
                let names = request.parameters().into_iter().filter(|(key, _)| key == "names");
                let services: Vec<Value> = names
                    .map(|(_, name)| {
                        let state = project.enabled(name.rsplit('/').next().unwrap_or_default());
                        json!({ "name": name, "state": if state { "ENABLED" } else { "DISABLED" } })
                    })
                    .collect();
                Ok(said(200, &json!({ "services": services })))
            }
            ("GET", ["v1", "projects", id, "billingInfo"]) => {
                let caller = self.caller(request)?;
                self.consumer(request, &caller, "cloudbilling", "Cloud Billing")?;
                let held =
                    |id: &str| caller.account.on_project(id).iter().any(|it| it == "resourcemanager.projects.get");
                let Some((id, project)) = self.world.project(id).filter(|(id, _)| held(id)) else {
                    return Err(refused(403, "PERMISSION_DENIED", "The caller does not have permission", None));
                };
                let enabled = !project.billing.is_empty() && !project.closed;
                Ok(said(
                    200,
                    &json!({
                        "name": format!("projects/{id}/billingInfo"), "projectId": id,
                        "billingAccountName": project.billing, "billingEnabled": enabled,
                    }),
                ))
            }
            (_, ["compute", "v1", "projects", id, rest @ ..]) => self.compute(request, id, rest),
            ("GET", ["storage", "v1", "b", name, rest @ ..]) => self.serve_bucket(request, name, rest),
            _ => Err(missing()),
        }
    }

    fn caller(&self, request: &Request) -> Result<Caller<'_>, Refusal> {
        const BAD: &str = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";
        let bad = |reason: &str| {
            refused(401, "UNAUTHENTICATED", BAD, Some((reason, "googleapis.com", json!({ "service": "cloud" }))))
        };
        let secret = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some(secret) = secret else {
            let words = "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";
            return Err(refused(
                401,
                "UNAUTHENTICATED",
                words,
                Some(("CREDENTIALS_MISSING", "googleapis.com", json!({}))),
            ));
        };
        let stored = self.world.token.iter().find(|(name, _)| access_token("operator", name) == secret);
        let address = match stored {
            Some((_, token)) if token.expired => return Err(bad("ACCESS_TOKEN_EXPIRED")),
            Some((_, token)) if !token.scopes.iter().any(|scope| scope.ends_with("/cloud-platform")) => {
                let words = "Request had insufficient authentication scopes.";
                let metadata = json!({ "service": "cloudresourcemanager.googleapis.com" });
                let reason = Some(("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com", metadata));
                return Err(refused(403, "PERMISSION_DENIED", words, reason));
            }
            Some((_, token)) => address(&token.account),
            None => {
                let minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
                minted.get(secret).cloned().ok_or_else(|| bad("ACCESS_TOKEN_TYPE_UNSUPPORTED"))?
            }
        };
        let account = self.world.account(&address).ok_or_else(|| bad("ACCOUNT_STATE_INVALID"))?;
        Ok(Caller { address, account })
    }

    /// The project on whose account a call goes must have the API enabled, and let the caller use it.
    fn consumer(&self, request: &Request, caller: &Caller<'_>, api: &str, title: &str) -> Result<(), Refusal> {
        let home = caller.address.split(['@', '.']).nth(1).unwrap_or_default();
        let named = request.header("x-goog-user-project");
        let may_use = |id: &str| caller.account.on_project(id).iter().any(|it| it == "serviceusage.services.use");
        if let Some(named) = named.filter(|id| !may_use(id)) {
            let words = format!(
                "Caller does not have required permission to use project {named}. Grant the caller the roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, by visiting https://console.developers.google.com/iam-admin/iam/project?project={named} and then retry. Propagation of the new permission may take a few minutes."
            );
            let metadata =
                json!({ "consumer": format!("projects/{named}"), "service": format!("{api}.googleapis.com") });
            return Err(refused(
                403,
                "PERMISSION_DENIED",
                &words,
                Some(("USER_PROJECT_DENIED", "googleapis.com", metadata)),
            ));
        }
        match self.world.project(named.unwrap_or(home)) {
            Some((_, project)) if !project.enabled(api) => {
                Err(disabled(&format!("{api}.googleapis.com"), title, project.number))
            }
            _ => Ok(()),
        }
    }

    fn test_on_account(&self, request: &Request, caller: &Caller<'_>, target: &str) -> Result<Response, Refusal> {
        if self.world.account(target).is_none() {
            return Err(refused(404, "NOT_FOUND", &format!("Unknown service account: {target}"), None));
        }
        let (tokens, runs) = (caller.account.acts_as(target), caller.account.runs_as(target));
        let held = [(tokens, "iam.serviceAccounts.getAccessToken"), (runs, "iam.serviceAccounts.actAs")];
        let held: Vec<String> = held.into_iter().filter(|(had, _)| *had).map(|(_, name)| name.to_owned()).collect();
        granted(request, &held)
    }

    fn show_account(&self, caller: &Caller<'_>, target: &str) -> Result<Response, Refusal> {
        let project = target.split(['@', '.']).nth(1).unwrap_or_default();
        let resource = format!("projects/-/serviceAccounts/{target}");
        if !caller.account.on_project(project).iter().any(|it| it == "iam.serviceAccounts.get") {
            return Err(denied("iam.serviceAccounts.get", &resource));
        }
        let account = self.world.account(target);
        let account =
            account.ok_or_else(|| refused(404, "NOT_FOUND", &format!("Unknown service account: {target}"), None))?;
        Ok(said(
            200,
            &json!({ "name": format!("projects/{project}/serviceAccounts/{target}"), "email": target, "disabled": account.disabled }),
        ))
    }

    fn serve_bucket(&self, request: &Request, name: &str, rest: &[&str]) -> Result<Response, Refusal> {
        let caller = self.caller(request)?;
        let Some(bucket) = self.world.bucket.get(name) else {
            return Err(older(404, "notFound", "The specified bucket does not exist."));
        };
        if bucket.perimeter {
            return Err(perimeter("storage.googleapis.com", 415_104_041_262));
        }
        if bucket.ip_filter {
            let words = "There is an IP filtering condition that is preventing access to the resource.";
            return Err(older(403, "forbidden", words));
        }
        let held = caller.account.on_bucket(name);
        match rest {
            [] if held.iter().any(|it| it == "storage.buckets.get") => {
                Ok(said(200, &json!({ "kind": "storage#bucket", "name": name, "location": bucket.location })))
            }
            [] => {
                let words = format!(
                    "{} does not have storage.buckets.get access to the Google Cloud Storage bucket. Permission 'storage.buckets.get' denied on resource (or it may not exist).",
                    caller.address
                );
                Err(older(403, "forbidden", &words))
            }
            ["iam", "testPermissions"] => {
                let asked = request.parameters().into_iter().filter(|(key, _)| key == "permissions");
                let had: Vec<String> = asked.map(|(_, name)| name).filter(|name| held.contains(name)).collect();
                Ok(said(200, &json!({ "kind": "storage#testIamPermissionsResponse", "permissions": had })))
            }
            ["o"] if held.iter().any(|it| it == "storage.objects.list") => {
                Ok(said(200, &json!({ "kind": "storage#objects", "items": [] })))
            }
            ["o"] => {
                let words = format!(
                    "{} does not have storage.objects.list access to the Google Cloud Storage bucket. Permission 'storage.objects.list' denied on resource (or it may not exist).",
                    caller.address
                );
                Err(older(403, "forbidden", &words))
            }
            _ => Err(missing()),
        }
    }
}

/// Of the permissions that are asked for, those that are held. What no role can hold spoils the
/// question.
fn granted(request: &Request, held: &[String]) -> Result<Response, Refusal> {
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let asked: Vec<&str> = asked["permissions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(unknown) = asked.iter().find(|name| name.starts_with("sorcery.")) {
        let words = format!("Permission {unknown} is not valid for this resource.");
        return Err(refused(400, "INVALID_ARGUMENT", &words, None));
    }
    let had: Vec<&str> = asked.into_iter().filter(|name| held.iter().any(|it| it == name)).collect();
    Ok(said(200, &if had.is_empty() { json!({}) } else { json!({ "permissions": had }) }))
}

/// What stands where nothing does.
fn missing() -> Refusal {
    let page = "<!DOCTYPE html>\n<html lang=en>\n  <title>Error 404 (Not Found)!!1</title>\n  <p><b>404.</b> <ins>That's an error.</ins>\n";
    Box::new(Response::new(404).header("content-type", "text/html; charset=UTF-8").body(page))
}

/// Google's name of what is asked: the id of the method in its discovery documents, where it has one.
fn operation(method: &str, segments: &[&str]) -> &'static str {
    match (method, segments) {
        ("POST", ["token"]) => "token",
        ("POST", ["tokeninfo"]) => "tokeninfo",
        ("POST", ["v1", "token"]) => "sts.token",
        ("GET", ["service_accounts", ..]) => "metadata certificates",
        ("POST", ["v1", "projects", "-", "serviceAccounts", last]) if last.ends_with(":generateAccessToken") => {
            "iamcredentials.projects.serviceAccounts.generateAccessToken"
        }
        ("GET", ["v1", "projects", "-", "serviceAccounts", _]) => "iam.projects.serviceAccounts.get",
        ("POST", ["v1", "projects", ..]) => "iam.projects.serviceAccounts.testIamPermissions",
        ("GET", ["v3", "projects", _]) => "cloudresourcemanager.projects.get",
        ("POST", ["v3", "projects", _]) => "cloudresourcemanager.projects.testIamPermissions",
        ("GET", ["v1", "projects", _, "services:batchGet"]) => "serviceusage.services.batchGet",
        ("GET", ["v1", "projects", _, "billingInfo"]) => "cloudbilling.projects.getBillingInfo",
        ("GET", ["compute", "v1", "projects", _]) => "compute.projects.get",
        ("GET", ["compute", .., "networks", _]) => "compute.networks.get",
        ("GET", ["compute", .., "subnetworks", _]) => "compute.subnetworks.get",
        ("POST", ["compute", ..]) => "compute.subnetworks.testIamPermissions",
        ("GET", ["compute", ..]) => "compute.regions.get",
        ("GET", ["storage", "v1", "b", _]) => "storage.buckets.get",
        ("GET", ["storage", .., "testPermissions"]) => "storage.buckets.testIamPermissions",
        ("GET", ["storage", ..]) => "storage.objects.list",
        _ => "other",
    }
}
