//! Requirements of AWS and Google Cloud: the stage of AWS's rows, the tables of Terraform's resource
//! types against what others know of them, and what a mistyped one looks like. Those of Azure:
//! [`azure`].

mod azure;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use lineman_lab::aws::{self, AccessKey, Account, Role, Statement, User};
use lineman_tests::{AwsClient, Moto, Outcome, Site, clean_command, require, target_dir, workspace};
use serde::Deserialize;

use crate::stage::Stage;

const LAB_KEY: (&str, &str) = ("AKIALINEMANLAB00001X", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
const LAB_ACCOUNT: &str = "123456789012";

impl Stage {
    /// A moto for what it has for real, and the lab for the policy simulator, metrics and quotas,
    /// which it has not.
    pub(crate) fn aws_requirements(directory: &Path) -> Result<Stage> {
        let moto = Moto::start_furnished(directory)?;
        let lab = aws::Server::start([account()])?;
        let mut stage = Stage::bare();
        moto.name(&mut stage.names);
        stage.names.set("lab", lab.url());
        stage.names.set("lab-key", LAB_KEY.0);
        stage.names.set("lab-secret", LAB_KEY.1);
        stage.aws = Some(AwsClient::start(directory, None)?);
        Ok(stage.with(moto).with(lab))
    }
}

/// An account whose user may look at everything, and do little.
fn account() -> Account {
    let looks = Statement::allow(
        [
            "sts:*",
            "iam:Get*",
            "iam:List*",
            "iam:SimulatePrincipalPolicy",
            "ec2:Describe*",
            "kms:DescribeKey",
            "servicequotas:*",
            "cloudwatch:Get*",
        ],
        ["*"],
    );
    let queues = Statement::allow(["sqs:*"], ["*"]);
    let state = Statement::allow(["s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::state/*"]);
    let never = Statement::deny(["s3:DeleteObject"], ["*"]);
    let key = AccessKey::new(LAB_KEY.0, LAB_KEY.1).created(jiff::Timestamp::now());
    Account::new(LAB_ACCOUNT)
        .user(User::new("ci").key(key).policy("ci", [looks, queues, state, never]))
        .role(Role::new("deploy"))
}

/// What Python's packages know: the operations of each service's model, by the prefix that IAM
/// gives it, and the permissions that CloudFormation's handlers declare.
const KNOWN: &str = r#"
import json, os, sys
import botocore.session, cfnlint
session = botocore.session.Session()
operations = {}
for service in session.get_available_services():
    model = session.get_service_model(service)
    for prefix in {model.signing_name, model.endpoint_prefix, service}:
        operations.setdefault(prefix, set()).update(model.operation_names)
schemas = os.path.join(os.path.dirname(cfnlint.__file__), "data", "schemas")
with open(os.path.join(schemas, "providers", "us-east-1.json")) as file:
    types = json.load(file)
handlers = {}
for name in json.load(sys.stdin):
    with open(os.path.join(schemas, "resources", types[name] + ".json")) as file:
        declared = json.load(file).get("handlers", {})
    handlers[name] = {operation: handler.get("permissions", []) for operation, handler in declared.items()}
json.dump({"operations": {prefix: sorted(names) for prefix, names in operations.items()}, "handlers": handlers}, sys.stdout)
"#;

/// Actions of IAM that are no operation of an API, or are one under another name. Source: the
/// Service Authorization Reference, "Actions, resources, and condition keys" for Amazon S3 and IAM.
const NOT_OPERATIONS: &[&str] = &[
    "iam:PassRole",
    "s3:DeleteObjectVersion",
    "s3:GetAccelerateConfiguration",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
];

/// How many actions of CloudFormation's handlers (of 891), in services that the type itself is of, the
/// table may lack. They are for what Terraform manages with other types, or does not do.
const OMISSIONS: usize = 252;

#[derive(Deserialize)]
struct Kind {
    cloudformation: Option<String>,
    #[serde(default)]
    create: BTreeSet<String>,
    read: BTreeSet<String>,
    #[serde(default)]
    update: BTreeSet<String>,
    #[serde(default)]
    delete: BTreeSet<String>,
}

impl Kind {
    fn all(&self) -> impl Iterator<Item = &str> {
        [&self.create, &self.read, &self.update, &self.delete].into_iter().flatten().map(String::as_str)
    }
}

#[derive(Deserialize)]
struct Known {
    operations: BTreeMap<String, BTreeSet<String>>,
    handlers: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

/// What a script in Python makes of some names.
fn python<T: serde::de::DeserializeOwned>(script: &str, names: &BTreeSet<&str>) -> Result<T> {
    use std::io::Write as _;
    let mut command = clean_command(target_dir().join("venv/bin/python"));
    command.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().context("no input")?.write_all(serde_json::to_string(names)?.as_bytes())?;
    Ok(serde_json::from_slice(&child.wait_with_output()?.stdout)?)
}

#[test]
fn the_table_of_resource_types_agrees_with_what_others_know() -> Result<()> {
    if !require("aws-resource-types", &["moto", "cfn-lint"]) {
        return Ok(());
    }
    let table: BTreeMap<String, Kind> =
        toml::from_str(&fs::read_to_string(workspace().join("plugins/aws/resources.toml"))?)?;
    let types: BTreeSet<&str> = table.values().filter_map(|kind| kind.cloudformation.as_deref()).collect();
    let known: Known = python(KNOWN, &types)?;

    // Every action is an operation, or a known exception that is used.
    let actions: BTreeSet<&str> = table.values().flat_map(Kind::all).collect();
    let is_operation = |action: &str| {
        let (prefix, name) = action.split_once(':').unwrap_or_default();
        known.operations.get(prefix).is_some_and(|names| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
    };
    let strangers: Vec<&str> = actions.iter().copied().filter(|action| !is_operation(action)).collect();
    assert_eq!(strangers, NOT_OPERATIONS);

    // What CloudFormation's handlers need for the same thing, and the table does not have.
    let mut omissions = BTreeSet::new();
    for (name, kind) in &table {
        let Some(handlers) = kind.cloudformation.as_ref().and_then(|it| known.handlers.get(it)) else { continue };
        let has: Vec<String> = kind.all().map(|action| action.to_ascii_lowercase()).collect();
        let own: BTreeSet<&str> = kind.delete.iter().filter_map(|action| action.split(':').next()).collect();
        let operations = ["create", "read", "update", "delete"].iter().filter_map(|operation| handlers.get(*operation));
        for needed in operations.flatten().map(|action| action.to_ascii_lowercase()) {
            let is = |action: &String| match needed.strip_suffix('*') {
                Some(start) => action.starts_with(start),
                None => *action == needed,
            };
            if needed.split(':').next().is_some_and(|prefix| own.contains(prefix)) && !has.iter().any(is) {
                omissions.insert(format!("{name} {needed}"));
            }
        }
    }
    let listed: Vec<&str> = omissions.iter().map(String::as_str).collect();
    assert!(listed.len() <= OMISSIONS, "{} are left out:\n{}", listed.len(), listed.join("\n"));
    Ok(())
}

/// Permissions whose resource is called otherwise in the API, or is none there, with the reason.
const GOOGLES_OTHER_RESOURCES: &[(&str, &str)] = &[
    ("iam.serviceAccountKeys", "`keys` of `serviceAccounts`"),
    ("logging.logMetrics", "`metrics` of `projects`"),
    ("spanner.instanceOperations", "`operations` of `instances`"),
];

/// Verbs that are no method of the resource, with the reason.
const GOOGLES_OTHER_VERBS: &[(&str, &str)] = &[
    ("add", "adding a version of a secret is a method of the secret"),
    ("addPeering", "services are not a resource of their own: `connections` are"),
    ("attachSubscription", "asked of a topic when a subscription of it is made"),
    ("drop", "`dropDatabase` is the method"),
    ("enable", "`resume` is the method"),
    ("updatePolicy", "asked of a network when a firewall, route or router of it changes"),
    ("use", "asked of what something else is attached to"),
    ("useReadOnly", "asked of what something else is attached to"),
];

/// Permissions of a verb that the resource has under another name, or has not, with the reason.
const GOOGLES_OTHER_METHODS: &[(&str, &str)] = &[
    ("cloudbuild.builds.update", "triggers are changed with it, too"),
    ("compute.instanceGroups.update", "`addInstances` and its likes"),
    ("servicenetworking.services.get", "services are not a resource of their own: `connections` are listed with it"),
    ("spanner.databaseOperations.get", "only the list is a resource; `operations` of `databases` have the method"),
];

/// The resources of each service in Google's discovery documents, with their methods.
const GOOGLES: &str = r#"
import json, os, sys
import googleapiclient.discovery_cache as cache
names = {"resourcemanager": ["cloudresourcemanager.v3"], "cloudsql": ["sqladmin.v1"], "bigquery": ["bigquery.v2"],
    "cloudfunctions": ["cloudfunctions.v2"], "cloudtasks": ["cloudtasks.v2"], "logging": ["logging.v2"],
    "monitoring": ["monitoring.v3"], "run": ["run.v2"]}
def collect(part, found):
    for name, resource in part.get("resources", {}).items():
        found.setdefault(name, set()).update(resource.get("methods", {}))
        collect(resource, found)
services = {}
for service in json.load(sys.stdin):
    found = services.setdefault(service, {})
    for name in names.get(service, [service + ".v1"]):
        with open(os.path.join(os.path.dirname(cache.__file__), "documents", name + ".json")) as file:
            collect(json.load(file), found)
json.dump({service: {name: sorted(methods) for name, methods in found.items()} for service, found in services.items()}, sys.stdout)
"#;

/// A permission names a resource of its service, and what is done with it: Google describes both to
/// machines.
#[test]
fn the_table_of_googles_resource_types_agrees_with_its_own_descriptions() -> Result<()> {
    if !require("gcp-resource-types", &["google-discovery"]) {
        return Ok(());
    }
    let table: BTreeMap<String, Kind> =
        toml::from_str(&fs::read_to_string(workspace().join("plugins/gcp/resources.toml"))?)?;
    let permissions: BTreeSet<&str> = table.values().flat_map(Kind::all).collect();
    let parts: Vec<[&str; 3]> =
        permissions.iter().filter_map(|name| name.split('.').collect::<Vec<_>>().try_into().ok()).collect();
    assert_eq!(parts.len(), permissions.len(), "a permission has other than three parts");
    let services: BTreeSet<&str> = parts.iter().map(|[service, ..]| *service).collect();
    let known: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = python(GOOGLES, &services)?;
    let (mut resources, mut verbs, mut methods) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for [service, resource, verb] in parts {
        let place = format!("{service}.{resource}");
        let Some(has) = known[service].get(resource) else {
            resources.insert(place);
            continue;
        };
        let same = match verb {
            "create" => &["create", "insert"][..],
            "update" => &["update", "patch"],
            _ => std::slice::from_ref(&verb),
        };
        if same.iter().any(|name| has.contains(*name)) {
            continue;
        }
        match GOOGLES_OTHER_VERBS.iter().any(|(known, _)| *known == verb) {
            true => verbs.insert(verb.to_owned()),
            false => methods.insert(format!("{place}.{verb}")),
        };
    }
    let listed = |list: &[(&str, &str)]| list.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(resources, listed(GOOGLES_OTHER_RESOURCES));
    assert_eq!(verbs, listed(GOOGLES_OTHER_VERBS));
    assert_eq!(methods, listed(GOOGLES_OTHER_METHODS));
    Ok(())
}

#[test]
fn a_mistyped_resource_type_is_shown_in_place() -> Result<()> {
    for (provider, mistyped, meant) in
        [("aws", "aws_db_instanse", "aws_db_instance"), ("gcp", "google_compute_instanse", "google_compute_instance")]
    {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("lineman.toml");
        fs::write(
            &file,
            format!(
                "version = 1\nplugins.enable = [{provider:?}]\n[integration.it]\nprovider = {provider:?}\n\
                 requires = [{{ id = \"it\", terraform = {mistyped:?} }}]\n",
            ),
        )?;
        let outcome = Outcome::of(Site::get()?.command(directory.path()).args(["check", "--config"]).arg(&file))?;
        assert_eq!(outcome.exit, 2, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(&format!("did you mean `{meant}`?")), "{}", outcome.stderr);
        assert!(outcome.stderr.lines().count() < 20, "{}", outcome.stderr);
    }
    Ok(())
}
