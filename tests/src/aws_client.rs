use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::json;

use crate::fault::{Answer, Integration};
use crate::namespace::Namespace;
use crate::place::target_dir;
use crate::server::clean_command;

/// AWS's own client library, botocore, doing what an integration is for with the same inputs.
#[derive(Debug)]
pub struct AwsClient {
    process: Mutex<(Child, BufReader<ChildStdout>)>,
}

impl AwsClient {
    /// Starts the client, which then answers one question after the other; inside a network of
    /// its own where one is given.
    pub fn start(directory: &Path, namespace: Option<&Namespace>) -> Result<AwsClient> {
        let script = directory.join("client.py");
        std::fs::write(&script, SCRIPT)?;
        let mut command = clean_command(target_dir().join("venv/bin/python"));
        command.arg(&script).env("HOME", directory);
        if let Some(namespace) = namespace {
            command = namespace.enter(&command);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().context("the client has an output")?);
        Ok(AwsClient { process: Mutex::new((child, output)) })
    }

    /// Asks who the key is, assumes the role, looks at the bucket and at what is required.
    pub fn ask(&self, integration: &Integration) -> Result<Answer> {
        let secret = |key| integration.secret(key);
        let question = json!({
            "settings": &integration.settings,
            "connection": &integration.connection,
            "env": &integration.env,
            "requires": &integration.requires,
            "key": secret("access_key_id")?,
            "secret": secret("secret_access_key")?,
            "token": secret("session_token")?,
        });
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let (child, output) = &mut *process;
        let input = child.stdin.as_mut().context("the client has an input")?;
        writeln!(input, "{question}")?;
        let mut line = String::new();
        output.read_line(&mut line)?;
        let said: Option<String> = serde_json::from_str(&line).context("the client has ended")?;
        Ok(said.map_or(Answer::Works, Answer::Fails))
    }
}

impl Drop for AwsClient {
    fn drop(&mut self) {
        let (child, _) = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

const SCRIPT: &str = r#"
import json, os, sys
import botocore.exceptions, botocore.session
from botocore.config import Config

def ask(question):
    settings, connection = question["settings"], question["connection"]
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        os.environ.pop(name, None)
    os.environ.update(question["env"])
    # An empty credential would make botocore look elsewhere.
    session = botocore.session.Session()
    session.get_component("credential_provider").providers.clear()
    proxy = connection.get("proxy")
    config = Config(
        connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"},
        proxies={"http": proxy, "https": proxy} if proxy else None,
    )
    keys = dict(aws_access_key_id=question["key"], aws_secret_access_key=question["secret"],
                aws_session_token=question["token"])
    def client(service):
        return session.create_client(service, region_name=settings.get("region"), config=config,
                                     endpoint_url=connection.get("endpoint_url"), verify=connection.get("ca_file"), **keys)
    if "web_identity_token_file" in settings:
        with open(settings["web_identity_token_file"]) as file:
            answer = client("sts").assume_role_with_web_identity(
                RoleArn=settings["role"], RoleSessionName="test", WebIdentityToken=file.read())
    elif "role" in settings:
        client("sts").get_caller_identity()
        external = {"ExternalId": settings["external_id"]} if "external_id" in settings else {}
        answer = client("sts").assume_role(RoleArn=settings["role"], RoleSessionName="test", **external)
    else:
        answer = None
    if answer:
        given = answer["Credentials"]
        keys = dict(aws_access_key_id=given["AccessKeyId"], aws_secret_access_key=given["SecretAccessKey"],
                    aws_session_token=given["SessionToken"])
    client("sts").get_caller_identity()
    if "state_bucket" in settings:
        client("s3").head_bucket(Bucket=settings["state_bucket"])
    for words in question["requires"]:
        use(client, words)

def use(client, words):
    if words.get("action") == "ec2:CreateVpc":
        try:
            client("ec2").create_vpc(CidrBlock="10.0.0.0/28", DryRun=True)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "DryRunOperation":
                raise
    elif "action" in words:
        arn = client("sts").get_caller_identity()["Arn"]
        on = {"ResourceArns": [words["resource"]]} if "resource" in words else {}
        answer = client("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=[words["action"]], **on)
        decision = answer["EvaluationResults"][0]["EvalDecision"]
        if decision != "allowed":
            raise Exception(decision)
    if "vpc" in words:
        client("ec2").describe_vpcs(VpcIds=[words["vpc"]])
    if "subnets" in words:
        client("ec2").describe_subnets(SubnetIds=words["subnets"])
    if "security_groups" in words:
        client("ec2").describe_security_groups(GroupIds=words["security_groups"])
    if "role" in words:
        client("iam").get_role(RoleName=words["role"].split("/")[-1])
    if "bucket" in words:
        client("s3").head_bucket(Bucket=words["bucket"])
    if "kms_key" in words:
        if not client("kms").describe_key(KeyId=words["kms_key"])["KeyMetadata"]["Enabled"]:
            raise Exception("the key is disabled")
    if "quota" in words:
        client("service-quotas").get_service_quota(ServiceCode=words["quota"]["service"], QuotaCode=words["quota"]["code"])

for line in sys.stdin:
    try:
        said = ask(json.loads(line))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps(said), flush=True)
"#;
