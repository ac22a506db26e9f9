//! The story that `docs/story.md` tells, as it is told: a role lacks two permissions and a subnet is
//! full; both are mended; a key is rotated, and a stale one is left in place.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Result, ensure};
use lineman_tests::{Moto, Names, OWN_ACCOUNT, Outcome, clean_command, require, target_dir, workspace};
use regex::Regex;

use crate::bench::Bench;

/// What the people of the story do at AWS, with AWS's own library: `operate.py ENDPOINT KEY SECRET WHAT …`.
const OPERATE: &str = r#"
import json, sys
import botocore.session
endpoint, key, secret, what, *words = sys.argv[1:]
def client(service):
    return botocore.session.Session().create_client(
        service, region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret)
def allow(name, actions):
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("iam").put_role_policy(RoleName="powerless", PolicyName=name, PolicyDocument=document)
ec2 = client("ec2")
if what == "furnish":
    allow("own", ["sts:*", "ec2:Describe*"])
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.2.0/28")["Subnet"]["SubnetId"]
    while ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"]:
        ec2.create_network_interface(SubnetId=subnet)
    print(subnet, end="")
elif what == "allow":
    allow("lineman", words)
elif what == "free":
    for interface in ec2.describe_network_interfaces()["NetworkInterfaces"][:3]:
        ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
elif what == "rotate":
    client("iam").create_access_key(UserName="platform")
    client("iam").delete_access_key(UserName="platform", AccessKeyId=words[0])
elif what == "provision":
    given = client("sts").assume_role(RoleArn=words[0], RoleSessionName="provision")["Credentials"]
    session = botocore.session.Session().create_client(
        "ec2", region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"], aws_session_token=given["SessionToken"])
    session.create_vpc(CidrBlock="10.9.0.0/16")
    print("made the network")
"#;

/// What is another one in each run, as the story has it.
fn told(text: &str, subnet: &str) -> String {
    let text = text.replace(subnet, "subnet-0a1b2c3d4e5f60718");
    let time = Regex::new(r"\b\d\d:\d\d UTC").unwrap();
    let lasted = Regex::new(r"\b\d+(\.\d+)? m?s\b").unwrap();
    lasted.replace_all(&time.replace_all(&text, "14:02 UTC"), "1.2 s").into_owned()
}

#[test]
fn the_story_is_true() -> Result<()> {
    if !require("story", &["moto"]) {
        return Ok(());
    }
    let bench = Bench::with(&[])?;
    let moto = Moto::start(bench.path())?;
    let mut names = Names::default();
    moto.name(&mut names);
    let endpoint = format!("http://127.0.0.1:{}", moto.port());
    let (id, secret) = (names.get("key.platform")?, names.get("secret.platform")?);
    fs::write(bench.path().join("operate.py"), OPERATE)?;
    let python = target_dir().join("venv/bin/python").display().to_string();
    let operate = |user: &str, words: &[&str]| -> Result<Outcome> {
        let mut command = clean_command(&python);
        let (key, secret) = (names.get(&format!("key.{user}"))?, names.get(&format!("secret.{user}"))?);
        command.current_dir(bench.path()).args(["operate.py", &endpoint, key, secret]).args(words);
        let outcome = Outcome::of(&mut command)?;
        ensure!(outcome.exit == 0, "{words:?}: {outcome:?}");
        Ok(outcome)
    };
    let subnet = operate("platform", &["furnish"])?.stdout;

    let role = format!("arn:aws:iam::{OWN_ACCOUNT}:role/powerless");
    fs::write(bench.path().join("key-id"), id)?;
    fs::write(bench.path().join("secret"), secret)?;
    let provision = bench.path().join("provision.sh");
    fs::write(
        &provision,
        format!("#!/bin/sh\nexec {python} operate.py {endpoint} $(cat key-id) $(cat secret) provision {role}\n"),
    )?;
    fs::set_permissions(&provision, fs::Permissions::from_mode(0o755))?;
    let requires = format!(
        "[{{ id = \"network\", action = \"ec2:CreateVpc\" }}, {{ id = \"firewall\", action = \"ec2:CreateSecurityGroup\" }}, \
         {{ id = \"place\", subnets = [{subnet:?}] }}]"
    );
    let configuration = format!(
        "version = 1\nplugins.enable = [\"aws\"]\n[integration.prod]\nprovider = \"aws\"\n\
         settings = {{ account_id = {OWN_ACCOUNT:?}, region = \"us-east-1\", role = \"powerless\" }}\n\
         secrets = {{ access_key_id = {{ file = \"key-id\" }}, secret_access_key = {{ file = \"secret\" }} }}\n\
         connection.endpoint_url = {endpoint:?}\nrequires = {requires}\n"
    );
    fs::write(bench.path().join("lineman.toml"), configuration)?;

    let mut all = String::new();
    let mut lineman = |words: &[&str], exit: i32, says: &[&str]| -> Result<()> {
        let mut command: Command = bench.command();
        let outcome = Outcome::of(command.args(words))?;
        let text = told(&format!("{}{}", outcome.stderr, outcome.stdout), &subnet).replace(OWN_ACCOUNT, "123456789012");
        ensure!(outcome.exit == exit, "{words:?} ended with {}:\n{text}", outcome.exit);
        for expected in says {
            ensure!(text.contains(expected), "{words:?} does not say {expected:?}:\n{text}");
        }
        all += &text;
        Ok(())
    };
    let missing = ["ec2:CreateSecurityGroup", "ec2:CreateVpc", "has no free address", "was not started"];
    lineman(&["guard", "--", "./provision.sh"], 125, &missing)?;
    operate("narrow", &["allow", "ec2:CreateSecurityGroup", "ec2:CreateVpc"])?;
    operate("platform", &["free"])?;
    lineman(&["retest"], 0, &["fixed: prod", "permission.insufficient", "unchanged since the failing run"])?;
    lineman(&["guard", "--", "./provision.sh"], 0, &["made the network"])?;

    operate("narrow", &["rotate", id])?;
    lineman(&["guard", "--", "./provision.sh"], 125, &["HTTP 403", "was not started"])?;
    lineman(
        &["retest"],
        1,
        &["still failing: prod", "access_key_id, secret_access_key unchanged since the failing run"],
    )?;

    let page = fs::read_to_string(workspace().join("docs/story.md"))?;
    let shown = page.split("```text\n").skip(1).filter_map(|block| block.split("```").next());
    let mut lines = 0;
    for line in shown.flat_map(str::lines).filter(|line| !line.trim().is_empty()) {
        lines += 1;
        ensure!(all.contains(line.trim_end()), "the page shows what was not said: {line:?}\n{all}");
    }
    ensure!(lines >= 20, "the page shows {lines} lines");
    Ok(())
}
