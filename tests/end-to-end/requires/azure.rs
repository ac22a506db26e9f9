//! Requirements of Azure: the table of Terraform's resource types, and what the checks ask, against
//! the operations that Microsoft's own clients have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use lineman_lab::azure;
use lineman_lab::tls::Tls;
use lineman_tests::{Names, Outcome, Site, Table, clean_command, require, target_dir, workspace};
use serde::Deserialize;

/// The method and the address of every operation of the packages `azure-mgmt-*`, which are made from
/// Microsoft's description of Resource Manager.
const OPERATIONS: &str = r##"
import azure.mgmt.core, json, pathlib, re
URL = re.compile(r'_url = (?:kwargs\.pop\(\s*"template_url",\s*)?\(?\s*((?:"[^"]*"\s*(?:#[^\n]*\s*)?)+)')
found = set()
for file in pathlib.Path(azure.mgmt.core.__file__).parent.parent.glob("**/operations/*.py"):
    if "aio" in file.parts:
        continue
    for build in file.read_text().split("\ndef build_")[1:]:
        url, method = URL.search(build), re.search(r'HttpRequest\(method="(\w+)"', build)
        if url and method:
            found.add((method[1], "".join(re.findall(r'"([^"]*)"', url[1]))))
print(json.dumps(sorted(found)))
"##;

/// Actions that are no operation: Resource Manager asks for them where a resource is put into another
/// one. Source: "Azure permissions" (resource provider operations) for Networking, Web and Containers.
const LINKED: &[&str] = &[
    "Microsoft.App/managedEnvironments/join/action",
    "Microsoft.Network/loadBalancers/backendAddressPools/join/action",
    "Microsoft.Network/natGateways/join/action",
    "Microsoft.Network/networkInterfaces/join/action",
    "Microsoft.Network/networkSecurityGroups/join/action",
    "Microsoft.Network/publicIPAddresses/join/action",
    "Microsoft.Network/routeTables/join/action",
    "Microsoft.Network/virtualNetworks/join/action",
    "Microsoft.Network/virtualNetworks/peer/action",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action",
    "Microsoft.Web/serverFarms/join/action",
];

/// What the clients ask of resource groups and resources alone, and Resource Manager answers at every
/// scope.
const IN_PROSE: &[&str] = &["/providers/Microsoft.Authorization/permissions"];

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    create: BTreeSet<String>,
    read: BTreeSet<String>,
    #[serde(default)]
    update: BTreeSet<String>,
    delete: BTreeSet<String>,
}

fn operations() -> Result<Vec<(String, String)>> {
    let output = clean_command(target_dir().join("venv/bin/python")).args(["-c", OPERATIONS]).output()?;
    serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

/// Whether segments are those of a pattern, in which one in braces stands for anything.
fn fits(pattern: &[&str], segments: &[&str]) -> bool {
    let alike = |(own, asked): (&&str, &&str)| own.starts_with('{') || own.eq_ignore_ascii_case(asked);
    pattern.len() == segments.len() && pattern.iter().zip(segments).all(alike)
}

/// The action that an operation takes, in segments: the types of what is addressed, and what is done to
/// it ("Azure permissions": `{Company}.{ProviderName}/{resourceType}/{action}`).
fn action<'a>(method: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let all = segments(path);
    let (provider, rest) = match all.iter().rposition(|segment| *segment == "providers") {
        Some(at) => (*all.get(at + 1)?, all.get(at + 2..)?),
        None => ("Microsoft.Resources", all.as_slice()),
    };
    // Types and names take turns; what a POST does stands where another type would.
    let types: Vec<&str> = rest.iter().step_by(2).copied().collect();
    let verb = match method {
        "GET" | "HEAD" => "read",
        "PUT" | "PATCH" => "write",
        "DELETE" => "delete",
        _ => "action",
    };
    Some([provider].into_iter().chain(types).chain([verb]).collect())
}

#[test]
fn the_table_of_resource_types_has_actions_that_azure_knows() -> Result<()> {
    if !require("azure-resource-types", &["azure-mgmt"]) {
        return Ok(());
    }
    let table: BTreeMap<String, Kind> =
        toml::from_str(&fs::read_to_string(workspace().join("plugins/azure/resources.toml"))?)?;
    let operations = operations()?;
    let known: BTreeSet<Vec<&str>> = operations.iter().filter_map(|(method, path)| action(method, path)).collect();
    let of = |kind: &'_ Kind| [&kind.create, &kind.read, &kind.update, &kind.delete].map(BTreeSet::clone);
    let actions: BTreeSet<String> = table.values().flat_map(of).flatten().collect();
    // Every action is an operation, or a known exception that is used.
    let is_operation = |action: &&str| known.iter().any(|known| fits(known, &segments(action)));
    let strangers: Vec<&str> = actions.iter().map(String::as_str).filter(|action| !is_operation(action)).collect();
    assert_eq!(strangers, LINKED);
    Ok(())
}

/// The lab answers what Microsoft's documentation says; here Microsoft's clients are held against what
/// the healthy integrations ask of Resource Manager.
#[test]
fn microsofts_clients_make_every_request_that_is_made() -> Result<()> {
    if !require("azure-described", &["azure-mgmt"]) {
        return Ok(());
    }
    let operations = operations()?;
    let cloud = azure::Server::start(Tls::Off, azure::Variant::default())?;
    let mut names = Names::default();
    names.set("azure", cloud.url());
    cloud.ids().iter().for_each(|(name, id)| names.set(name.as_str(), id));
    for name in cloud.secrets() {
        names.set(format!("secret.{name}"), cloud.secret(name)?);
    }
    let network = "resourceGroups/net/providers/Microsoft.Network/virtualNetworks/main";
    names.set("vnet.main", format!("/subscriptions/{}/{network}", names.get("subscription.prod")?));
    let table = Table::parse(include_str!("../rows/azure-requires.toml"))?;
    for name in table.healthy.keys() {
        let directory = tempfile::tempdir()?;
        let outcome = Site::get()?.check(directory.path(), &table.twin(name, &names)?, None)?;
        assert_eq!(outcome.exit, 0, "{name}: {}", outcome.stdout);
    }
    let asked: BTreeSet<(String, String)> = cloud
        .log()
        .entries()
        .iter()
        .filter(|request| request.path().starts_with("/subscriptions"))
        .map(|request| (request.method.clone(), request.path().to_owned()))
        .collect();
    let described = |(method, path): &&(String, String)| {
        let path = segments(path);
        operations.iter().filter(|(own, _)| own == method).any(|(_, own)| match segments(own).as_slice() {
            ["{scope}", rest @ ..] => path.len() > rest.len() && fits(rest, &path[path.len() - rest.len()..]),
            own => fits(own, &path),
        })
    };
    let in_prose = |(_, path): &&(String, String)| IN_PROSE.iter().any(|known| path.ends_with(known));
    let strangers: Vec<_> = asked.iter().filter(|it| !described(it) && !in_prose(it)).collect();
    assert!(strangers.is_empty(), "{strangers:#?}");
    assert!(asked.len() >= 12, "{asked:#?}");
    Ok(())
}

#[test]
fn a_mistyped_resource_type_is_shown_in_place() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("lineman.toml");
    fs::write(
        &file,
        "version = 1\nplugins.enable = [\"azure\"]\n[integration.it]\nprovider = \"azure\"\n\
         settings.tenant_id = \"contoso.example\"\nsettings.client_id = \"66666666-7777-8888-9999-000000000000\"\n\
         requires = [{ id = \"vm\", terraform = \"azurerm_linux_virtual_machin\" }]\n",
    )?;
    let outcome = Outcome::of(Site::get()?.command(directory.path()).args(["check", "--config"]).arg(&file))?;
    assert_eq!(outcome.exit, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("did you mean `azurerm_linux_virtual_machine`?"), "{}", outcome.stderr);
    assert!(outcome.stderr.lines().count() < 20, "{}", outcome.stderr);
    Ok(())
}
