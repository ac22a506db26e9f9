//! A *simulated* Azure: the parts of Entra, Resource Manager and Graph that tell whether a credential
//! works and what it may do.
//!
//! The world is data (`worlds/azure.toml`): tenants, applications and their credentials,
//! subscriptions, roles and deny assignments; and `worlds/azure-resources.toml`: what is in a
//! subscription, and the policies on it. Answers have the shape and the words that Microsoft
//! documents or is on record with. Assertions are verified for real: signature, thumbprint, audience
//! and times of those that an application signs, signature and times of those of the other identity
//! provider. Faults that the world cannot express are played from `faults.toml`
//! ([`Server::faults`]). All three services answer at one address.

mod answers;
mod assertion;
mod manager;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::api::{self, Answer, Request, Response};
use crate::faults::{Fault, Injection};
use crate::log::RequestLog;
use crate::tls::Tls;
use answers::{entra, failed, said};
use assertion::{Keys, Uploaded};
use world::{Application, World};

/// A running simulation.
pub struct Server {
    http: api::Server,
    hub: Arc<Hub>,
}

/// How an Azure differs from the one that works.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// How far its clock is ahead of the machine's.
    pub ahead: SignedDuration,
    /// The fault of `faults.toml` that it plays for ever.
    pub fault: Option<&'static str>,
}

impl Server {
    /// Serves the world.
    pub fn start(tls: Tls, variant: Variant) -> Result<Server> {
        let mut world: World = toml::from_str(include_str!("../worlds/azure.toml"))?;
        world.resources = toml::from_str(include_str!("../worlds/azure-resources.toml"))?;
        let faults = Injection::default();
        if let Some(id) = variant.fault {
            faults.always(Fault::named(id)?);
        }
        let uploaded = world
            .certificate
            .iter()
            .map(|(name, days)| Ok((name.clone(), Uploaded::new(name, *days)?)))
            .collect::<Result<_>>()?;
        let hub = Arc::new(Hub { world, keys: Keys::get()?, uploaded, issued: Mutex::default(), variant, faults });
        let serve = Arc::clone(&hub);
        let http = api::Server::https(tls, move |request| serve.answer(&request))?;
        Ok(Server { http, hub })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The address of all its services.
    pub fn url(&self) -> String {
        self.http.url()
    }

    /// The value of a client secret of the world.
    pub fn secret(&self, name: &str) -> Result<String> {
        let known = self.hub.world.application.values().any(|application| application.secrets.contains_key(name));
        known.then(|| world::secret(name)).with_context(|| format!("no secret {name}"))
    }

    /// The names of the world's client secrets.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.hub.world.application.values().flat_map(|application| application.secrets.keys()).map(String::as_str)
    }

    /// A certificate of the world, in PEM.
    pub fn certificate(&self, name: &str) -> Result<String> {
        Ok(self.hub.uploaded.get(name).with_context(|| format!("no certificate {name}"))?.pem.clone())
    }

    /// The names of the world's certificates.
    pub fn certificates(&self) -> impl Iterator<Item = &str> {
        self.hub.uploaded.keys().map(String::as_str)
    }

    /// The private key of all its certificates, in PEM.
    pub fn key(&self) -> String {
        self.hub.keys.application.serialize_pem()
    }

    /// A private key of no certificate of its, in PEM.
    pub fn other_key(&self) -> String {
        self.hub.keys.provider.serialize_pem()
    }

    /// A token of the other identity provider, from now on.
    pub fn federated(&self, name: &str) -> Result<String> {
        let token = self.hub.world.federated.get(name).with_context(|| format!("no federated token {name}"))?;
        assertion::federated(&self.hub.keys.provider, token)
    }

    /// The names of the other identity provider's tokens.
    pub fn federations(&self) -> impl Iterator<Item = &str> {
        self.hub.world.federated.keys().map(String::as_str)
    }

    /// The ids of what has one, as `tenant.contoso`, `application.deployer`, `subscription.prod`.
    pub fn ids(&self) -> BTreeMap<String, String> {
        let World { tenant, application, subscription, .. } = &self.hub.world;
        let tenants = tenant.iter().map(|(name, tenant)| (format!("tenant.{name}"), tenant.id.clone()));
        let applications = application.iter().map(|(name, it)| (format!("application.{name}"), it.id.clone()));
        let subscriptions = subscription.iter().map(|(name, it)| (format!("subscription.{name}"), it.id.clone()));
        tenants.chain(applications).chain(subscriptions).collect()
    }

    /// Faults of the service `azure` to play instead of serving.
    pub fn faults(&self) -> &Injection {
        &self.hub.faults
    }

    /// What it was asked.
    pub fn log(&self) -> &RequestLog {
        self.http.log()
    }
}

struct Hub {
    world: World,
    keys: Arc<Keys>,
    uploaded: BTreeMap<String, Uploaded>,
    /// Access tokens that were given out.
    issued: Mutex<BTreeMap<String, Issued>>,
    variant: Variant,
    faults: Injection,
}

/// To whom an access token was given, and for which API.
#[derive(Clone)]
struct Issued {
    application: String,
    resource: String,
}

/// An answer that is no success.
type Refusal = Box<Response>;

impl Hub {
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.variant.ahead
    }

    fn answer(&self, request: &Request) -> Answer {
        let path = percent_encoding::percent_decode_str(request.path()).decode_utf8_lossy().into_owned();
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let date = self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let finish = |response: Response| {
            response.header("date", &date).header("x-ms-request-id", "00000000-1111-2222-3333-444444444444")
        };
        // The path walk asks for the root; a fault is in what follows.
        if !segments.is_empty()
            && let Some(fault) = self.faults.take("azure", &operation(&request.method, &segments))
        {
            let mut response = Response::new(fault.status).body(fault.body.clone());
            response.headers = fault.headers.clone().into_iter().collect();
            return fault.answer(finish(response));
        }
        Answer::Send(finish(self.serve(request, &segments).unwrap_or_else(|refusal| *refusal)))
    }

    fn serve(&self, request: &Request, segments: &[&str]) -> Result<Response, Refusal> {
        match (request.method.as_str(), segments) {
            ("GET" | "HEAD", []) => Ok(Response::new(200)),
            ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => self.discovery(tenant),
            ("POST", [tenant, "oauth2", "v2.0", "token"]) => self.token(request, tenant),
            ("GET", ["v1.0", call]) => self.graph(request, call),
            ("GET" | "POST", ["subscriptions", ..] | ["providers", ..]) => self.manage(request, segments),
            _ => Err(failed(404, "NotFound", "There is nothing of that name.")),
        }
    }

    fn tenant(&self, tenant: &str) -> Result<&world::Tenant, Refusal> {
        let known =
            self.world.tenant.values().find(|known| known.id.eq_ignore_ascii_case(tenant) || known.domain == tenant);
        known.ok_or_else(|| {
            let words = format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.");
            entra(400, "invalid_tenant", 90002, &words)
        })
    }

    fn discovery(&self, tenant: &str) -> Result<Response, Refusal> {
        let tenant = self.tenant(tenant)?;
        let base = format!("https://login.{}/{}", tenant.instance, tenant.id);
        Ok(said(
            200,
            &json!({
                "token_endpoint": format!("{base}/oauth2/v2.0/token"), "issuer": format!("{base}/v2.0"),
                "tenant_region_scope": tenant.region, "cloud_instance_name": tenant.instance,
                "cloud_graph_host_name": "graph.windows.net", "msgraph_host": "graph.microsoft.com",
            }),
        ))
    }

    /// "The OAuth 2.0 client credentials flow", in its three cases.
    fn token(&self, request: &Request, tenant: &str) -> Result<Response, Refusal> {
        let tenant = self.tenant(tenant)?;
        if tenant.instance != "microsoftonline.com" {
            let words = "Confidential Client is not supported in Cross Cloud request.";
            return Err(entra(400, "invalid_request", 900382, words));
        }
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &str| form.get(name).map(String::as_str);
        let id = field("client_id").unwrap_or_default();
        let own = |application: &Application| {
            application.id == id && self.world.tenant.get(&application.tenant).is_some_and(|own| own.id == tenant.id)
        };
        let known = self.world.application.iter().find(|(_, application)| own(application));
        let (name, application) = known.ok_or_else(|| {
            let words = format!("Application with identifier '{id}' was not found in the directory '{}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", tenant.domain);
            entra(400, "unauthorized_client", 700_016, &words)
        })?;
        if application.disabled {
            let words = format!("Application '{id}'({name}) is disabled.");
            return Err(entra(400, "unauthorized_client", 7_000_112, &words));
        }
        match (field("client_secret"), field("client_assertion")) {
            (Some(secret), _) => self.secret_accepted(application, secret)?,
            (None, Some(assertion)) => self.asserted(request, application, assertion)?,
            (None, None) => {
                let words =
                    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
                return Err(entra(401, "invalid_client", 7_000_218, words));
            }
        }
        if application.blocked {
            let words = "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.";
            return Err(entra(400, "invalid_grant", 53003, words));
        }
        let scope = field("scope").unwrap_or_default();
        let Some(resource) = scope.strip_suffix("/.default") else {
            let words = format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
            );
            return Err(entra(400, "invalid_scope", 1_002_012, &words));
        };
        Ok(self.issue(name, application, &tenant.id, resource))
    }

    fn secret_accepted(&self, application: &Application, secret: &str) -> Result<(), Refusal> {
        let known = application.secrets.iter().find(|(name, _)| world::secret(name) == secret);
        match known {
            Some((_, days)) if *days > 0 => Ok(()),
            Some(_) => {
                let words = format!(
                    "The provided client secret keys for app '{}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.",
                    application.id
                );
                Err(entra(401, "invalid_client", 7_000_222, &words))
            }
            None => {
                let words = format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{}'.",
                    application.id
                );
                Err(entra(401, "invalid_client", 7_000_215, &words))
            }
        }
    }

    fn issue(&self, name: &str, application: &Application, tenant: &str, resource: &str) -> Response {
        let now = self.now().as_second();
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = json!({
            "aud": resource, "iss": format!("https://sts.windows.net/{tenant}/"), "tid": tenant,
            "appid": application.id, "oid": application.object, "nbf": now, "exp": now + 3599,
            "uti": format!("token{}", issued.len()),
        });
        // What Azure's tokens are signed with is nobody's business but Azure's.
        let token = format!(
            "{}.{}.c2lnbmF0dXJl",
            BASE64URL.encode(r#"{"typ":"JWT","alg":"RS256"}"#),
            BASE64URL.encode(claims.to_string())
        );
        issued.insert(token.clone(), Issued { application: name.to_owned(), resource: resource.to_owned() });
        said(200, &json!({ "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token }))
    }

    /// The application that a request is made by, where its token is for the API.
    fn caller(&self, request: &Request, resource: &str) -> Option<(&str, &Application)> {
        let token = request.header("authorization")?.strip_prefix("Bearer ")?;
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let found = issued.get(token).filter(|issued| issued.resource == resource)?;
        self.world.application.get_key_value(&found.application).map(|(name, application)| (name.as_str(), application))
    }

    /// `applications(appId='…')` of Microsoft Graph.
    fn graph(&self, request: &Request, call: &str) -> Result<Response, Refusal> {
        let Some((_, caller)) = self.caller(request, "https://graph.microsoft.com") else {
            return Err(failed(
                401,
                "InvalidAuthenticationToken",
                "Access token validation failure. Invalid audience.",
            ));
        };
        if !caller.reads_itself {
            return Err(failed(
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.",
            ));
        }
        let id = call.strip_prefix("applications(appId='").and_then(|rest| rest.strip_suffix("')"));
        let known = self.world.application.values().find(|application| Some(application.id.as_str()) == id);
        let Some(application) = known else {
            let words = format!(
                "Resource '{}' does not exist or one of its queried reference-property objects are not present.",
                id.unwrap_or(call)
            );
            return Err(failed(404, "Request_ResourceNotFound", &words));
        };
        let secrets = application.secrets.iter().map(|(name, days)| {
            let end = self.now() + SignedDuration::from_hours(24 * days + 1);
            json!({
                "keyId": "00000000-0000-0000-0000-000000000000", "displayName": name, "secretText": null,
                "hint": &world::secret(name)[..3], "startDateTime": "2026-01-01T00:00:00Z", "endDateTime": end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            })
        });
        Ok(said(200, &json!({ "id": application.object, "passwordCredentials": secrets.collect::<Vec<_>>() })))
    }
}

/// Microsoft's name of what is asked, such as `GET /subscriptions/{subscriptionId}`.
fn operation(method: &str, segments: &[&str]) -> String {
    let path = match segments {
        [_, "v2.0", rest @ ..] => format!("{{tenant}}/v2.0/{}", rest.join("/")),
        [_, "oauth2", rest @ ..] => format!("{{tenant}}/oauth2/{}", rest.join("/")),
        ["v1.0", call] => format!("v1.0/{}", call.split('(').next().unwrap_or_default()),
        [.., "providers", "Microsoft.Authorization", what] => {
            format!("{{scope}}/providers/Microsoft.Authorization/{what}")
        }
        [.., "providers", "Microsoft.PolicyInsights", what] => {
            format!("{{scope}}/providers/Microsoft.PolicyInsights/{what}")
        }
        ["subscriptions", _, "providers", _] => {
            "subscriptions/{subscriptionId}/providers/{resourceProviderNamespace}".to_owned()
        }
        ["subscriptions", _, rest @ ..] => [&["subscriptions", "{subscriptionId}"], rest].concat().join("/"),
        other => other.join("/"),
    };
    format!("{method} /{path}")
}
