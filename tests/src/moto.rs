use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::place::{Names, target_dir};
use crate::server::{Listen, Server, clean_command, free_port, wrap};

/// The account in which the good keys are.
pub const OWN_ACCOUNT: &str = "123456789012";
/// Another account on the same server.
pub const OTHER_ACCOUNT: &str = "222222222222";

/// A moto server: AWS's APIs with signatures recomputed and policies enforced.
///
/// What it does not do, and Lineman must not learn from it: it has no
/// `SimulatePrincipalPolicy` (500), answers an unsigned request with 500, never looks at the
/// clock, takes inactive keys, assumes roles that do not exist, authorises `HeadBucket` as an action
/// of that name, and enforces no quota.
#[derive(Debug)]
pub struct Moto {
    server: Server,
    port: u16,
    keys: Vec<(&'static str, String, String)>,
    made: Vec<(&'static str, String)>,
}

impl Moto {
    /// Starts a server, fills its accounts and turns authentication on.
    pub fn start(directory: &Path) -> Result<Moto> {
        Moto::start_at(directory, "moto", None, false)
    }

    /// The same with what a platform builds upon: networks, a role of a service, keys.
    pub fn start_furnished(directory: &Path) -> Result<Moto> {
        Moto::start_at(directory, "moto", None, true)
    }

    /// The same with the server's clock ahead or behind, such as `+2h`.
    pub fn start_skewed(directory: &Path, offset: &str) -> Result<Moto> {
        Moto::start_at(directory, "moto-skewed", Some(offset), false)
    }

    fn start_at(directory: &Path, name: &'static str, offset: Option<&str>, furnished: bool) -> Result<Moto> {
        let port = free_port()?;
        let mut command = clean_command(target_dir().join("venv/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).env("HOME", directory);
        // It answers a request to end by closing what it has open, which may be never.
        command = wrap(&["setpriv", "--pdeathsig", "KILL", "--"], &command);
        if let Some(offset) = offset {
            command = wrap(&["faketime", "-f", offset], &command);
        }
        let server = Server::start(name, directory, command, &[Listen::Tcp(port)])?;
        let mut moto = Moto { server, port, keys: Vec::new(), made: Vec::new() };
        moto.fill(furnished).with_context(|| moto.server.log())?;
        Ok(moto)
    }

    fn fill(&mut self, furnished: bool) -> Result<()> {
        self.user(OWN_ACCOUNT, "platform", Some(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#))?;
        let narrow = r#"{"Effect":"Allow","Action":["sts:*","iam:*"],"Resource":"*"}"#;
        self.user(OWN_ACCOUNT, "narrow", Some(narrow))?;
        let denied =
            r#"{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}"#;
        self.user(OWN_ACCOUNT, "denied", Some(denied))?;
        self.user(OTHER_ACCOUNT, "other", Some(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#))?;
        self.user(OWN_ACCOUNT, "deleted", None)?;
        let deleted = self.key("deleted")?.0.to_owned();
        self.iam(OWN_ACCOUNT, &[("Action", "DeleteAccessKey"), ("UserName", "deleted"), ("AccessKeyId", &deleted)])?;

        let trust = |principal: &str, condition: &str| {
            let principal = format!("arn:aws:iam::{OWN_ACCOUNT}:{principal}");
            policy(&format!(
                r#"{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{{"AWS":"{principal}"}}{condition}}}"#
            ))
        };
        let wants_id = r#","Condition":{"StringEquals":{"sts:ExternalId":"lineman-7"}}"#;
        for (name, trust) in [
            ("trusting", trust("user/platform", "")),
            ("guarded", trust("user/platform", wants_id)),
            ("strange", trust("user/somebody-else", "")),
            ("powerless", trust("user/platform", "")),
        ] {
            self.iam(
                OWN_ACCOUNT,
                &[("Action", "CreateRole"), ("RoleName", name), ("AssumeRolePolicyDocument", &trust)],
            )?;
            let may = if name == "powerless" { "sts:*" } else { "*" };
            let document = policy(&format!(r#"{{"Effect":"Allow","Action":"{may}","Resource":"*"}}"#));
            let put =
                [("Action", "PutRolePolicy"), ("RoleName", name), ("PolicyName", "own"), ("PolicyDocument", &document)];
            self.iam(OWN_ACCOUNT, &put)?;
        }
        self.request("PUT", "/state-bucket", "s3", OWN_ACCOUNT, "")?;
        let far = "<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";
        self.request("PUT", "/far-bucket", "s3", OWN_ACCOUNT, far)?;
        if furnished {
            self.furnish()?;
        }
        self.request("POST", "/moto-api/reset-auth", "", OWN_ACCOUNT, "0").map(drop)
    }

    /// Makes what a platform builds upon: two VPCs beside the default one, subnets and security
    /// groups in them, a role of a service, and keys.
    fn furnish(&mut self) -> Result<()> {
        let vpc = self.ec2("CreateVpc", &[("CidrBlock", "10.1.0.0/16")], "vpcId")?;
        let other = self.ec2("CreateVpc", &[("CidrBlock", "10.2.0.0/16")], "vpcId")?;
        for (name, vpc, cidr, zone) in [
            ("subnet", &vpc, "10.1.0.0/24", "us-east-1a"),
            ("subnet.second", &vpc, "10.1.1.0/24", "us-east-1b"),
            ("subnet.small", &vpc, "10.1.2.0/28", "us-east-1a"),
            ("subnet.of-other-vpc", &other, "10.2.0.0/24", "us-east-1a"),
        ] {
            let form = [("VpcId", vpc.as_str()), ("CidrBlock", cidr), ("AvailabilityZone", zone)];
            let id = self.ec2("CreateSubnet", &form, "subnetId")?;
            self.made.push((name, id));
        }
        for (name, vpc) in [("group", &vpc), ("group.of-other-vpc", &other)] {
            let form = [("VpcId", vpc.as_str()), ("GroupName", name), ("GroupDescription", "of the test suite")];
            let id = self.ec2("CreateSecurityGroup", &form, "groupId")?;
            self.made.push((name, id));
        }
        self.made.extend([("vpc", vpc), ("vpc.other", other)]);

        let trust = r#"{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}"#;
        let trust = policy(trust);
        let form = [("Action", "CreateRole"), ("RoleName", "worker"), ("AssumeRolePolicyDocument", &trust)];
        self.iam(OWN_ACCOUNT, &form)?;

        for name in ["kms", "kms.disabled"] {
            let answer = self.kms("CreateKey", "{}")?;
            let (_, rest) = answer.split_once("\"KeyId\": \"").with_context(|| answer.clone())?;
            let id = rest.split('"').next().unwrap_or_default().to_owned();
            self.made.push((name, id));
        }
        let disabled = self.made.last().map(|(_, id)| format!(r#"{{"KeyId":"{id}"}}"#)).unwrap_or_default();
        self.kms("DisableKey", &disabled).map(drop)
    }

    fn ec2(&self, action: &str, form: &[(&str, &str)], made: &str) -> Result<String> {
        let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let body = format!("Version=2016-11-15&Action={action}&{}", form.join("&"));
        element(&self.request("POST", "/", "ec2", OWN_ACCOUNT, &body)?, made)
    }

    fn kms(&self, action: &str, body: &str) -> Result<String> {
        self.request("POST", "/", &format!("kms.{action}"), OWN_ACCOUNT, body)
    }

    /// Makes a user with one access key and the statements of a policy.
    fn user(&mut self, account: &str, name: &'static str, statements: Option<&str>) -> Result<()> {
        self.iam(account, &[("Action", "CreateUser"), ("UserName", name)])?;
        if let Some(statements) = statements {
            let document = policy(statements);
            let put =
                [("Action", "PutUserPolicy"), ("UserName", name), ("PolicyName", "own"), ("PolicyDocument", &document)];
            self.iam(account, &put)?;
        }
        let answer = self.iam(account, &[("Action", "CreateAccessKey"), ("UserName", name)])?;
        let (id, secret) = (element(&answer, "AccessKeyId")?, element(&answer, "SecretAccessKey")?);
        self.keys.push((name, id, secret));
        Ok(())
    }

    fn key(&self, user: &str) -> Result<(&str, &str)> {
        let key = self.keys.iter().find(|(name, ..)| *name == user);
        key.map(|(_, id, secret)| (id.as_str(), secret.as_str())).with_context(|| format!("no user {user}"))
    }

    fn iam(&self, account: &str, form: &[(&str, &str)]) -> Result<String> {
        let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        self.request("POST", "/", "iam", account, &format!("Version=2010-05-08&{}", form.join("&")))
    }

    /// One request while authentication is off: the header routes it to a service and an account,
    /// and its signature is not looked at. The operation of a JSON service stands behind a dot.
    fn request(&self, method: &str, path: &str, service: &str, account: &str, body: &str) -> Result<String> {
        let (service, action) = service.split_once('.').unwrap_or((service, ""));
        let kind = match service {
            "iam" | "ec2" => "application/x-www-form-urlencoded",
            "kms" => "application/x-amz-json-1.1",
            _ => "text/plain",
        };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        // It imports a service when it is first asked for.
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             X-Amz-Target: TrentService.{action}\r\nX-Moto-Account-Id: {account}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0\
             \r\n\r\n{body}",
            self.port,
            body.len(),
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split_whitespace().nth(1).unwrap_or_default();
        ensure!(status == "200", "moto answers {method} {path} with: {answer}");
        Ok(answer)
    }

    /// Fills `{moto}` for the port, `{key.USER}` and `{secret.USER}` for the users `platform` (may
    /// do everything), `narrow` (nothing in S3), `denied` (explicitly nothing in S3), `other` (of
    /// the other account) and `deleted`, `{account}` and `{other-account}`, and where it is furnished
    /// `{vpc}`, `{subnet}`, `{group}` and `{kms}` with their siblings for the ids of what was made.
    pub fn name(&self, names: &mut Names) {
        names.set("moto", self.port);
        names.set("account", OWN_ACCOUNT);
        names.set("other-account", OTHER_ACCOUNT);
        for (name, id) in &self.made {
            names.set(*name, id);
        }
        for (user, id, secret) in &self.keys {
            names.set(format!("key.{user}"), id);
            names.set(format!("secret.{user}"), secret);
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The end of the server's log.
    pub fn log(&self) -> String {
        self.server.log()
    }
}

fn policy(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

/// The text of the first element of a name.
fn element(xml: &str, name: &str) -> Result<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>")).with_context(|| format!("no {name} in {xml}"))?;
    let (text, _) = rest.split_once("</").with_context(|| format!("{name} is not closed"))?;
    Ok(text.to_owned())
}

/// Percent-encodes a value of a form.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
