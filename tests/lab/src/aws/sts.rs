use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::account::{Account, Role};
use super::answer::{Failure, Xml, result};
use super::policy::{Decision, document};
use super::{Call, Caller, Cloud, Credentials, Principal, Service, find_role, lock, no_such_operation};
use crate::api::Response;

pub(super) fn serve(cloud: &Cloud, call: &Call<'_>, caller: &Caller) -> Result<Response, Failure> {
    let inner = match call.operation.as_str() {
        "GetCallerIdentity" => {
            let mut xml = Xml::default();
            xml.text("Arn", &caller.arn).text("UserId", &caller.user_id).text("Account", &caller.account);
            xml
        }
        "AssumeRole" => assume_role(cloud, call, caller)?,
        "GetAccessKeyInfo" => get_access_key_info(cloud, call, caller)?,
        _ => return Err(no_such_operation(call)),
    };
    Ok(result(Service::Sts, &call.operation, &inner, &call.request_id))
}

fn required<'a>(call: &'a Call<'_>, name: &str) -> Result<&'a str, Failure> {
    call.parameter(name).ok_or_else(|| {
        let member = name[..1].to_ascii_lowercase() + &name[1..];
        invalid(format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(400, "ValidationError", message)
}

/// How long a session is asked to last, within what the role and AWS allow.
fn duration(call: &Call<'_>, role: &Role, chained: bool) -> Result<SignedDuration, Failure> {
    let asked = call.parameter("DurationSeconds").unwrap_or("3600");
    let Ok(seconds) = asked.parse::<i64>() else {
        return Err(Failure::new(400, "MalformedInput", "DurationSeconds is not a number"));
    };
    let outside = |what: &str, limit: i64| {
        invalid(format!(
            "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member \
             must have value {what} than or equal to {limit}"
        ))
    };
    match seconds {
        ..900 => Err(outside("greater", 900)),
        43_201.. => Err(outside("less", 43_200)),
        _ if chained && seconds > 3600 => Err(invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )),
        _ if seconds > role.max_session => {
            Err(invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."))
        }
        _ => Ok(SignedDuration::from_secs(seconds)),
    }
}

fn assume_role(cloud: &Cloud, call: &Call<'_>, caller: &Caller) -> Result<Xml, Failure> {
    let arn = required(call, "RoleArn")?;
    let name = required(call, "RoleSessionName")?;
    let good = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(good) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member \
             must satisfy regular expression pattern: [\\w+=,.@-]*"
        )));
    }
    let policy = call.parameter("Policy").map(document).transpose();
    let policy = policy.map_err(|_| Failure::new(400, "MalformedPolicyDocument", "Syntax errors in policy."))?;
    let accounts = lock(&cloud.accounts);
    // A role that is absent and one that trusts others are not told apart.
    let allowed = |(account, role): &(&Account, &Role)| may_assume(&accounts, account, role, arn, call, caller);
    let Some((account, role)) = find_role(&accounts, arn).filter(allowed) else {
        let message = format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}", caller.arn);
        return Err(Failure::new(403, "AccessDenied", message));
    };
    let chained = matches!(caller.principal, Principal::Role(_));
    let duration = duration(call, role, chained)?;
    let assumed = Caller::assumed(account, role, name, policy);
    Ok(opened(&assumed, &cloud.open(assumed.clone(), cloud.now() + duration)))
}

/// The trust of the role and the rights of the caller: a role may trust a principal by name,
/// which is enough within one account, or its whole account, which then decides for itself.
fn may_assume(
    accounts: &[Account],
    account: &Account,
    role: &Role,
    arn: &str,
    call: &Call<'_>,
    caller: &Caller,
) -> bool {
    let [session, principal, id, root] = caller.names();
    let trusts = |names: &[&String]| role.trusted.iter().any(|trusted| names.contains(&trusted));
    let by_name = role.trusted.iter().any(|trusted| trusted == "*") || trusts(&[&session, &principal]);
    let known = by_name || trusts(&[&id, &root]);
    let external = role.external_id.is_none() || role.external_id.as_deref() == call.parameter("ExternalId");
    let own = match caller.may(accounts, "sts:AssumeRole", arn, None) {
        Decision::Allowed => true,
        Decision::Denied(_) => return false,
        Decision::NotAllowed(_) => by_name && account.id == caller.account,
    };
    known && external && own
}

fn opened(assumed: &Caller, credentials: &Credentials) -> Xml {
    let mut user = Xml::default();
    user.text("AssumedRoleId", &assumed.user_id).text("Arn", &assumed.arn);
    let mut keys = Xml::default();
    keys.text("AccessKeyId", &credentials.access_key_id)
        .text("SecretAccessKey", &credentials.secret_access_key)
        .text("SessionToken", &credentials.session_token)
        .text("Expiration", &credentials.expiration.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let mut xml = Xml::default();
    xml.element("AssumedRoleUser", &user).element("Credentials", &keys);
    xml
}

fn get_access_key_info(cloud: &Cloud, call: &Call<'_>, caller: &Caller) -> Result<Xml, Failure> {
    let id = required(call, "AccessKeyId")?;
    let accounts = lock(&cloud.accounts);
    let decision = caller.may(&accounts, "sts:GetAccessKeyInfo", "*", None);
    if decision != Decision::Allowed {
        let message = format!(
            "User: {} is not authorized to perform: sts:GetAccessKeyInfo{}",
            caller.arn,
            decision.reason("sts:GetAccessKeyInfo")
        );
        return Err(Failure::new(403, "AccessDenied", message));
    }
    let session = lock(&cloud.sessions).get(id).map(|session| session.caller.account.clone());
    let owns = |account: &&Account| account.users.iter().flat_map(|user| &user.keys).any(|key| key.id == id);
    let Some(owner) = session.or_else(|| accounts.iter().find(owns).map(|account| account.id.clone())) else {
        return Err(invalid("Access key not found."));
    };
    let mut xml = Xml::default();
    xml.text("Account", &owner);
    Ok(xml)
}

/// The claims of a web identity token that matter here. Its signature is not checked: the
/// simulation has no identity provider to ask.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
}

pub(super) fn assume_role_with_web_identity(cloud: &Cloud, call: &Call<'_>) -> Result<Response, Failure> {
    let refused = |code: &str, message: String| Err(Failure::new(400, code, message));
    let arn = required(call, "RoleArn")?;
    let name = required(call, "RoleSessionName")?;
    let Some(claims) = claims(required(call, "WebIdentityToken")?) else {
        let message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
        return refused("InvalidIdentityToken", message.to_owned());
    };
    let now = cloud.now();
    if Timestamp::from_second(claims.exp).is_ok_and(|expires| expires <= now) {
        let message = format!(
            "Token expired: current date/time {} must be before the expiration date/time {}",
            now.as_second(),
            claims.exp
        );
        return refused("ExpiredTokenException", message);
    }
    let accounts = lock(&cloud.accounts);
    let denied = || Failure::new(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    let (account, role) = find_role(&accounts, arn).ok_or_else(denied)?;
    let Some((_, audience)) = account.identity_providers.iter().find(|(issuer, _)| *issuer == claims.iss) else {
        let message = format!("No OpenIDConnect provider found in your account for {}", claims.iss);
        return refused("InvalidIdentityToken", message);
    };
    if *audience != claims.aud {
        return refused("InvalidIdentityToken", "Incorrect token audience".to_owned());
    }
    if !role.federated.contains(&claims.iss) {
        return Err(denied());
    }
    let assumed = Caller::assumed(account, role, name, None);
    let expiration = now + duration(call, role, false)?;
    let mut xml = opened(&assumed, &cloud.open(assumed.clone(), expiration));
    xml.text("SubjectFromWebIdentityToken", &claims.sub).text("Audience", &claims.aud).text("Provider", &claims.iss);
    Ok(result(Service::Sts, &call.operation, &xml, &call.request_id))
}

fn claims(token: &str) -> Option<Claims> {
    let [_, payload, _] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}
