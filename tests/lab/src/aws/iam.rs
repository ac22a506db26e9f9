use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::account::{Account, Role, User, unique_id};
use super::answer::{Failure, Xml, result};
use super::policy::{Decision, Layer, Layers};
use super::{Call, Caller, Principal, Service, find_role, no_such_operation};
use crate::api::Response;

pub(super) fn serve(accounts: &[Account], call: &Call<'_>, caller: &Caller) -> Result<Response, Failure> {
    let Some(account) = accounts.iter().find(|account| account.id == caller.account) else {
        return Err(Failure::new(403, "AccessDenied", "The account is gone"));
    };
    let desk = Desk { accounts, account, call, caller };
    let inner = match call.operation.as_str() {
        "GetUser" => desk.get_user()?,
        "ListAccessKeys" => desk.list_access_keys()?,
        "GetAccessKeyLastUsed" => desk.get_access_key_last_used()?,
        "ListAttachedUserPolicies" => {
            let user = desk.user()?;
            desk.allow("iam:ListAttachedUserPolicies", "user", &user.name)?;
            desk.attached(user.grants.attached.iter().map(|(name, _)| name))
        }
        "GetRole" => desk.get_role()?,
        "ListAttachedRolePolicies" => {
            let role = desk.role("iam:ListAttachedRolePolicies")?;
            desk.attached(role.grants.attached.iter().map(|(name, _)| name))
        }
        "SimulatePrincipalPolicy" => desk.simulate()?,
        _ => return Err(no_such_operation(call)),
    };
    Ok(result(Service::Iam, &call.operation, &inner, &call.request_id))
}

/// One request, with what it may look at.
struct Desk<'a> {
    accounts: &'a [Account],
    account: &'a Account,
    call: &'a Call<'a>,
    caller: &'a Caller,
}

impl<'a> Desk<'a> {
    fn allow(&self, action: &str, kind: &str, name: &str) -> Result<(), Failure> {
        let resource = format!("arn:aws:iam::{}:{kind}/{name}", self.account.id);
        let decision = self.caller.may(self.accounts, action, &resource, None);
        if decision == Decision::Allowed {
            return Ok(());
        }
        let message = format!(
            "User: {} is not authorized to perform: {action} on resource: {kind} {name}{}",
            self.caller.arn,
            decision.reason(action)
        );
        Err(Failure::new(403, "AccessDenied", message))
    }

    /// The user that is asked about: the caller, unless another is named.
    fn user(&self) -> Result<&'a User, Failure> {
        let name = match (self.call.parameter("UserName"), &self.caller.principal) {
            (Some(name), _) => name,
            (None, Principal::User(name)) => name,
            (None, Principal::Role(_)) => {
                let message = "Must specify userName when calling with non-User credentials";
                return Err(Failure::new(400, "ValidationError", message));
            }
        };
        self.account.users.iter().find(|user| user.name == name).ok_or_else(|| missing("user", name))
    }

    fn role(&self, action: &str) -> Result<&'a Role, Failure> {
        let name = self.call.parameter("RoleName").unwrap_or_default();
        self.allow(action, "role", name)?;
        self.account.roles.iter().find(|role| role.name == name).ok_or_else(|| missing("role", name))
    }

    fn get_user(&self) -> Result<Xml, Failure> {
        let user = self.user()?;
        self.allow("iam:GetUser", "user", &user.name)?;
        let mut about = Xml::default();
        about
            .text("Path", "/")
            .text("UserName", &user.name)
            .text("UserId", &unique_id("AIDA", &user.name))
            .text("Arn", &format!("arn:aws:iam::{}:user/{}", self.account.id, user.name))
            .text("CreateDate", &date(user.created));
        let mut xml = Xml::default();
        xml.element("User", &about);
        Ok(xml)
    }

    fn list_access_keys(&self) -> Result<Xml, Failure> {
        let user = self.user()?;
        self.allow("iam:ListAccessKeys", "user", &user.name)?;
        let keys = user.keys.iter().map(|key| {
            let mut about = Xml::default();
            about
                .text("UserName", &user.name)
                .text("AccessKeyId", &key.id)
                .text("Status", if key.active { "Active" } else { "Inactive" })
                .text("CreateDate", &date(key.created));
            about
        });
        let mut xml = Xml::default();
        xml.text("UserName", &user.name).text("IsTruncated", "false").members("AccessKeyMetadata", keys);
        Ok(xml)
    }

    fn get_access_key_last_used(&self) -> Result<Xml, Failure> {
        let id = self.call.parameter("AccessKeyId").unwrap_or_default();
        let found = self.account.users.iter().find_map(|user| Some((user, user.keys.iter().find(|key| key.id == id)?)));
        // The permission is on the key's owner, so an unknown key is refused before it is unknown.
        self.allow("iam:GetAccessKeyLastUsed", "user", found.map_or("*", |(user, _)| &user.name))?;
        let Some((user, key)) = found else { return Err(missing("Access Key", id)) };
        let mut used = Xml::default();
        match &key.last_used {
            Some((at, service, region)) => {
                used.text("LastUsedDate", &date(*at)).text("ServiceName", service).text("Region", region);
            }
            None => {
                used.text("ServiceName", "N/A").text("Region", "N/A");
            }
        }
        let mut xml = Xml::default();
        xml.text("UserName", &user.name).element("AccessKeyLastUsed", &used);
        Ok(xml)
    }

    fn get_role(&self) -> Result<Xml, Failure> {
        let role = self.role("iam:GetRole")?;
        let trust = trust(role).to_string();
        let mut about = Xml::default();
        about
            .text("Path", "/")
            .text("RoleName", &role.name)
            .text("RoleId", &unique_id("AROA", &role.name))
            .text("Arn", &format!("arn:aws:iam::{}:role/{}", self.account.id, role.name))
            .text("CreateDate", &date(role.created))
            .text("AssumeRolePolicyDocument", &utf8_percent_encode(&trust, NON_ALPHANUMERIC).to_string())
            .text("MaxSessionDuration", &role.max_session.to_string());
        let mut xml = Xml::default();
        xml.element("Role", &about);
        Ok(xml)
    }

    fn attached<'n>(&self, names: impl Iterator<Item = &'n String>) -> Xml {
        let policies = names.map(|name| {
            let mut about = Xml::default();
            about.text("PolicyName", name);
            about.text("PolicyArn", &format!("arn:aws:iam::{}:policy/{name}", self.account.id));
            about
        });
        let mut xml = Xml::default();
        xml.members("AttachedPolicies", policies).text("IsTruncated", "false");
        xml
    }

    /// Evaluates as AWS's simulator does: identity policies, boundary and organisation; neither
    /// the resource's own policy nor a session policy.
    fn simulate(&self) -> Result<Xml, Failure> {
        let arn = self.call.parameter("PolicySourceArn").unwrap_or_default();
        let user = arn
            .strip_prefix(&format!("arn:aws:iam::{}:user/", self.account.id))
            .and_then(|name| self.account.users.iter().find(|user| user.name == name));
        let role = find_role(std::slice::from_ref(self.account), arn).map(|(_, role)| role);
        let (kind, name, grants) = match (user, role) {
            (Some(user), _) => ("user", &user.name, &user.grants),
            (_, Some(role)) => ("role", &role.name, &role.grants),
            _ => {
                let message = format!("Invalid Entity Arn: {arn} does not clearly define entity type and name.");
                return Err(Failure::new(400, "InvalidInput", message));
            }
        };
        self.allow("iam:SimulatePrincipalPolicy", kind, name)?;
        let service_control = self.account.service_control.as_deref();
        let layers = Layers { grants, service_control, session: None, resource: None };
        let mut resources = self.call.members("ResourceArns");
        if resources.is_empty() {
            resources.push("*");
        }
        let actions = self.call.members("ActionNames");
        let pairs = actions.iter().flat_map(|action| resources.iter().map(move |resource| (*action, *resource)));
        let evaluated = pairs.map(|(action, resource)| {
            let decision = layers.decide(&[arn], action, resource);
            evaluation(action, resource, decision, service_control.is_some(), grants.boundary.is_some())
        });
        let mut xml = Xml::default();
        xml.text("IsTruncated", "false").members("EvaluationResults", evaluated);
        Ok(xml)
    }
}

fn evaluation(action: &str, resource: &str, decision: Decision, organised: bool, bounded: bool) -> Xml {
    let verdict = match decision {
        Decision::Allowed => "allowed",
        Decision::Denied(_) => "explicitDeny",
        Decision::NotAllowed(_) => "implicitDeny",
    };
    let by = |layer: Layer| !matches!(decision, Decision::Denied(at) | Decision::NotAllowed(at) if at == layer);
    let mut xml = Xml::default();
    xml.text("EvalActionName", action).text("EvalResourceName", resource).text("EvalDecision", verdict);
    xml.members("MatchedStatements", []).members("MissingContextValues", []);
    for (present, element, field, layer) in [
        (organised, "OrganizationsDecisionDetail", "AllowedByOrganizations", Layer::ServiceControl),
        (bounded, "PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary", Layer::Boundary),
    ] {
        if present {
            let mut detail = Xml::default();
            detail.text(field, if by(layer) { "true" } else { "false" });
            xml.element(element, &detail);
        }
    }
    xml
}

fn trust(role: &Role) -> serde_json::Value {
    use serde_json::json;
    let mut statements = Vec::new();
    if !role.trusted.is_empty() {
        let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": role.trusted}, "Action": "sts:AssumeRole"});
        if let Some(id) = &role.external_id {
            statement["Condition"] = json!({"StringEquals": {"sts:ExternalId": id}});
        }
        statements.push(statement);
    }
    if !role.federated.is_empty() {
        let principal = json!({"Federated": role.federated});
        let action = "sts:AssumeRoleWithWebIdentity";
        statements.push(json!({"Effect": "Allow", "Principal": principal, "Action": action}));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn missing(kind: &str, name: &str) -> Failure {
    Failure::new(404, "NoSuchEntity", format!("The {kind} with name {name} cannot be found."))
}

fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
