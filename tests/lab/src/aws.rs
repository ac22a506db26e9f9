//! A *simulated* AWS: the parts of STS, IAM and S3 that tell whether a credential works, and as data
//! what other services answer about the things that they have.
//!
//! Accounts, users, roles and policies are as the caller says ([`Account`]); requests are
//! verified for real: the signature is computed again over what arrived, dates are held against
//! the server's clock, session tokens expire, policies are evaluated. Answers have the shape
//! that AWS documents, so that its own clients work unmodified. One address serves all services,
//! as with `AWS_ENDPOINT_URL`; the request says which service, and which region, it is for.
//!
//! Where the simulation ends: requests are signed in the `Authorization` header (not presigned),
//! with one chunk; policies have no conditions; regions are names without distance. Faults that
//! accounts cannot express are played from `faults.toml` ([`Server::faults`]).

mod account;
mod answer;
mod iam;
mod policy;
mod s3;
mod signature;
mod sts;
#[cfg(test)]
mod tests;
mod told;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};

use crate::api::{self, Answer, Request, Response};
use crate::faults::{Fault, Injection};
use crate::log::RequestLog;
use crate::tls::Tls;
use account::unique_id;
use answer::Failure;
use policy::{Decision, Grants, Layers};
use signature::Claim;

pub use account::{AccessKey, Account, Bucket, Role, User};
pub use policy::Statement;

/// The regions that every account has.
const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The regions that an account must opt in to (some of them).
const OPT_IN_REGIONS: [&str; 8] = [
    "af-south-1",
    "ap-east-1",
    "ap-south-2",
    "ap-southeast-3",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "me-south-1",
];

/// The services that are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Sts,
    Iam,
    S3,
    Ec2,
    Kms,
    Monitoring,
    Quotas,
}

impl Service {
    /// Those whose answers are data.
    const TOLD: [Service; 4] = [Service::Ec2, Service::Kms, Service::Monitoring, Service::Quotas];

    fn scope(self) -> &'static str {
        match self {
            Service::Sts => "sts",
            Service::Iam => "iam",
            Service::S3 => "s3",
            Service::Ec2 => "ec2",
            Service::Kms => "kms",
            Service::Monitoring => "monitoring",
            Service::Quotas => "servicequotas",
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Service::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Service::S3 => "http://s3.amazonaws.com/doc/2006-03-01/",
            Service::Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Service::Monitoring => "http://monitoring.amazonaws.com/doc/2010-08-01/",
            // They speak JSON.
            Service::Kms | Service::Quotas => "",
        }
    }
}

/// Temporary credentials.
#[derive(Clone)]
pub struct Credentials {
    /// `ASIA…`
    pub access_key_id: String,
    /// Goes with the id.
    pub secret_access_key: String,
    /// Goes with both.
    pub session_token: String,
    /// When they stop working.
    pub expiration: Timestamp,
}

/// A running simulation.
pub struct Server {
    http: api::Server,
    cloud: Arc<Cloud>,
}

impl Server {
    /// Serves these accounts over plain HTTP.
    pub fn start(accounts: impl IntoIterator<Item = Account>) -> Result<Server> {
        Server::start_with(Tls::Off, accounts)
    }

    /// Serves these accounts behind TLS.
    pub fn start_with(tls: Tls, accounts: impl IntoIterator<Item = Account>) -> Result<Server> {
        let cloud = Arc::new(Cloud {
            accounts: Mutex::new(accounts.into_iter().collect()),
            sessions: Mutex::default(),
            ahead: Mutex::default(),
            faults: Injection::default(),
            count: AtomicU64::default(),
        });
        let serve = Arc::clone(&cloud);
        let http = api::Server::https(tls, move |request| serve.answer(&request))?;
        Ok(Server { http, cloud })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// The endpoint of every service.
    pub fn url(&self) -> String {
        self.http.url()
    }

    /// Replaces the accounts, as when a key is disabled; sessions go on.
    pub fn set_accounts(&self, accounts: impl IntoIterator<Item = Account>) {
        *lock(&self.cloud.accounts) = accounts.into_iter().collect();
    }

    /// Moves the server's clock ahead of the machine's (or, below zero, behind it).
    pub fn set_clock_ahead(&self, by: SignedDuration) {
        *lock(&self.cloud.ahead) = by;
    }

    /// Gives credentials of a role without asking anyone; a lifetime below zero is over already.
    pub fn session(&self, role_arn: &str, lifetime: SignedDuration) -> Result<Credentials> {
        let accounts = lock(&self.cloud.accounts);
        let (account, role) = find_role(&accounts, role_arn).with_context(|| format!("no role is {role_arn}"))?;
        let caller = Caller::assumed(account, role, "lab", None);
        Ok(self.cloud.open(caller, self.cloud.now() + lifetime))
    }

    /// Faults to play instead of serving.
    pub fn faults(&self) -> &Injection {
        &self.cloud.faults
    }

    /// What it was asked.
    pub fn log(&self) -> &RequestLog {
        self.http.log()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything behind the endpoint.
struct Cloud {
    accounts: Mutex<Vec<Account>>,
    sessions: Mutex<HashMap<String, Session>>,
    ahead: Mutex<SignedDuration>,
    faults: Injection,
    count: AtomicU64,
}

/// Temporary credentials that were given out.
#[derive(Clone)]
struct Session {
    credentials: Credentials,
    caller: Caller,
}

/// Who makes a request.
#[derive(Clone, Debug)]
struct Caller {
    account: String,
    arn: String,
    user_id: String,
    principal: Principal,
    session_policy: Option<Vec<Statement>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Principal {
    User(String),
    Role(String),
}

impl Caller {
    fn user(account: &Account, user: &User) -> Caller {
        Caller {
            account: account.id.clone(),
            arn: format!("arn:aws:iam::{}:user/{}", account.id, user.name),
            user_id: unique_id("AIDA", &user.name),
            principal: Principal::User(user.name.clone()),
            session_policy: None,
        }
    }

    fn assumed(account: &Account, role: &Role, session: &str, policy: Option<Vec<Statement>>) -> Caller {
        Caller {
            account: account.id.clone(),
            arn: format!("arn:aws:sts::{}:assumed-role/{}/{session}", account.id, role.name),
            user_id: format!("{}:{session}", unique_id("AROA", &role.name)),
            principal: Principal::Role(role.name.clone()),
            session_policy: policy,
        }
    }

    /// The names under which policies may speak of the caller.
    fn names(&self) -> [String; 4] {
        let role = match &self.principal {
            Principal::Role(name) => format!("arn:aws:iam::{}:role/{name}", self.account),
            Principal::User(_) => self.arn.clone(),
        };
        [self.arn.clone(), role, self.account.clone(), format!("arn:aws:iam::{}:root", self.account)]
    }

    /// Whether the caller may, by what it was given and what stands above it.
    fn may(
        &self,
        accounts: &[Account],
        action: &str,
        resource: &str,
        resource_policy: Option<(&[Statement], bool)>,
    ) -> Decision {
        let none = Grants::default();
        let account = accounts.iter().find(|account| account.id == self.account);
        let grants = account.and_then(|account| match &self.principal {
            Principal::User(name) => account.users.iter().find(|user| user.name == *name).map(|user| &user.grants),
            Principal::Role(name) => account.roles.iter().find(|role| role.name == *name).map(|role| &role.grants),
        });
        let layers = Layers {
            grants: grants.unwrap_or(&none),
            service_control: account.and_then(|account| account.service_control.as_deref()),
            session: self.session_policy.as_deref(),
            resource: resource_policy,
        };
        let names = self.names();
        layers.decide(&names.each_ref().map(String::as_str), action, resource)
    }
}

/// The role of an ARN, with the account that it is in.
fn find_role<'a>(accounts: &'a [Account], arn: &str) -> Option<(&'a Account, &'a Role)> {
    let (id, name) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    let account = accounts.iter().find(|account| account.id == id)?;
    Some((account, account.roles.iter().find(|role| role.name == name)?))
}

/// A request that has been told apart.
struct Call<'a> {
    request: &'a Request,
    service: Service,
    operation: String,
    parameters: Vec<(String, String)>,
    region: String,
    request_id: String,
}

impl Call<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of `Name.member.1`, `Name.member.2`, …
    fn members(&self, name: &str) -> Vec<&str> {
        (1..).map_while(|n| self.parameter(&format!("{name}.member.{n}"))).collect()
    }
}

impl Cloud {
    fn now(&self) -> Timestamp {
        Timestamp::now() + *lock(&self.ahead)
    }

    fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Opens a session; ids count up, so that runs can be compared.
    fn open(&self, caller: Caller, expiration: Timestamp) -> Credentials {
        let number = self.next();
        let credentials = Credentials {
            access_key_id: format!("ASIALAB{number:0>13}"),
            secret_access_key: unique_id("", &format!("secret {number}")).repeat(3)[..40].to_owned(),
            session_token: format!("IQoJb3JpZ2luX2Vj{}//lab{number:0>8}==", unique_id("", "token").repeat(8)),
            expiration,
        };
        let session = Session { credentials: credentials.clone(), caller };
        lock(&self.sessions).insert(credentials.access_key_id.clone(), session);
        credentials
    }

    fn answer(&self, request: &Request) -> Answer {
        let request_id = format!("00000000-0000-4000-8000-{:012x}", self.next());
        let claim = request.header("authorization").map(Claim::read);
        let signed = claim.as_ref().and_then(|claim| claim.as_ref().ok());
        let call = recognise(request, signed, request_id);
        let date = self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Some(fault) = self.faults.take(call.service.scope(), &call.operation) {
            return fault.answer(play(&fault, &call).header("date", date));
        }
        let served = match claim.transpose() {
            Ok(claim) => self.serve(&call, claim.as_ref()),
            Err(failure) => Err(failure),
        };
        let response = served.unwrap_or_else(|failure| failure.response(call.service, &call.request_id));
        Answer::Send(response.header("date", date))
    }

    fn serve(&self, call: &Call<'_>, claim: Option<&Claim>) -> Result<Response, Failure> {
        // The one operation that needs no signature.
        if call.service == Service::Sts && call.operation == "AssumeRoleWithWebIdentity" {
            return sts::assume_role_with_web_identity(self, call);
        }
        let Some(claim) = claim else {
            return Err(match call.service {
                Service::S3 => Failure::new(403, "AccessDenied", "Access Denied"),
                _ => Failure::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token"),
            });
        };
        let caller = self.authenticate(call, claim)?;
        match call.service {
            Service::Sts => sts::serve(self, call, &caller),
            Service::Iam => iam::serve(&lock(&self.accounts), call, &caller),
            Service::S3 => s3::serve(&lock(&self.accounts), call, &caller),
            _ => told::serve(&lock(&self.accounts), call, &caller),
        }
    }

    fn authenticate(&self, call: &Call<'_>, claim: &Claim) -> Result<Caller, Failure> {
        let now = self.now();
        let token = call.request.header("x-amz-security-token");
        let session = lock(&self.sessions).get(&claim.key_id).cloned();
        let (caller, secret) = match (session, token) {
            (Some(session), Some(token)) => {
                if token != session.credentials.session_token {
                    return Err(unknown(call.service, claim, true));
                }
                if session.credentials.expiration <= now {
                    return Err(match call.service {
                        Service::S3 => Failure::new(400, "ExpiredToken", "The provided token has expired."),
                        _ => Failure::new(403, "ExpiredToken", "The security token included in the request is expired"),
                    });
                }
                (session.caller, session.credentials.secret_access_key)
            }
            (None, None) => {
                let accounts = lock(&self.accounts);
                let mut keys = accounts.iter().flat_map(|account| {
                    account.users.iter().flat_map(move |user| user.keys.iter().map(move |key| (account, user, key)))
                });
                let found = keys.find(|(_, _, key)| key.id == claim.key_id && key.active);
                let Some((account, user, key)) = found else { return Err(unknown(call.service, claim, false)) };
                (Caller::user(account, user), key.secret.clone())
            }
            (session, _) => return Err(unknown(call.service, claim, session.is_none())),
        };
        claim.verify(call.request, call.service, &secret, now)?;
        self.check_region(call, claim, &caller)?;
        Ok(caller)
    }

    /// Outside S3, whose buckets speak for themselves, the region must exist and be enabled.
    fn check_region(&self, call: &Call<'_>, claim: &Claim, caller: &Caller) -> Result<(), Failure> {
        let region = claim.region.as_str();
        if call.service == Service::S3 || REGIONS.contains(&region) {
            return Ok(());
        }
        if !OPT_IN_REGIONS.contains(&region) {
            return Err(Failure::new(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region. "));
        }
        let accounts = lock(&self.accounts);
        let mut own = accounts.iter().filter(|account| account.id == caller.account);
        if own.any(|account| account.opted_in.iter().any(|enabled| enabled == region)) {
            return Ok(());
        }
        Err(unknown(call.service, claim, false))
    }
}

/// What AWS says of a key that it does not know, or of a token that is not the key's.
fn unknown(service: Service, claim: &Claim, token: bool) -> Failure {
    match service {
        Service::S3 if token => {
            Failure::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        }
        Service::S3 => {
            Failure::new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
                .with("AWSAccessKeyId", &claim.key_id)
        }
        _ => Failure::new(403, "InvalidClientTokenId", "The security token included in the request is invalid."),
    }
}

/// Tells which service and operation a request is for: by the API's version, by the host, or by
/// what it is signed for.
fn recognise<'a>(request: &'a Request, claim: Option<&Claim>, request_id: String) -> Call<'a> {
    let parameters = request.parameters();
    let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let host = request.header("host").unwrap_or_default();
    let scope = claim.map_or("", |claim| &claim.service);
    let service = match value("Version") {
        Some("2011-06-15") => Service::Sts,
        Some("2010-05-08") => Service::Iam,
        _ if host.starts_with("sts.") || scope == "sts" => Service::Sts,
        _ if host.starts_with("iam.") || scope == "iam" => Service::Iam,
        _ => Service::TOLD.into_iter().find(|service| service.scope() == scope).unwrap_or(Service::S3),
    };
    let operation = match service {
        Service::S3 => s3::operation(request, &parameters).to_owned(),
        // JSON services are told the operation behind the name of their API: `TrentService.DescribeKey`.
        Service::Kms | Service::Quotas => {
            request.header("x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap_or_default().to_owned()
        }
        _ => value("Action").unwrap_or_default().to_owned(),
    };
    let region = claim.map_or_else(|| "us-east-1".to_owned(), |claim| claim.region.clone());
    Call { request, service, operation, parameters, region, request_id }
}

fn play(fault: &Fault, call: &Call<'_>) -> Response {
    let headers = fault.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    if fault.code.is_empty() {
        let response = Response { status: fault.status, headers, body: fault.body.clone().into_bytes() };
        return answer::headed(response, call.service, &call.request_id);
    }
    let failure = Failure { headers, ..Failure::new(fault.status, &fault.code, &fault.message) };
    failure.response(call.service, &call.request_id)
}

/// What services say of an operation that they do not have.
fn no_such_operation(call: &Call<'_>) -> Failure {
    let version = call.parameter("Version").unwrap_or("NO_VERSION_SPECIFIED");
    let message = format!("Could not find operation {} for version {version}", call.operation);
    Failure::new(400, "InvalidAction", message)
}
