//! What the main file says of trust: whose signatures count, what a plugin is limited to, and
//! what no integration may do.

use lineman_model::{EndpointPattern, EndpointPolicy, WORKER_MEMORY};
use minisign_verify::PublicKey;
use toml::de::DeValue;

use crate::config::{Grants, Plugins, Policy};
use crate::connection::read_duration;
use crate::node::Node;
use crate::problem::Problem;

pub(crate) const PLUGINS_KEYS: [&str; 3] = ["enable", "trusted_keys", "require_signatures"];
pub(crate) const GRANT_KEYS: [&str; 5] = ["allow_env", "allow_paths", "memory", "timeout", "max_parallel"];
pub(crate) const KEYS: [&str; 3] = ["deny_writes", "allow_endpoints", "deny_endpoints"];

/// More checks of one plugin at once than this were never meant.
pub(crate) const MOST_PARALLEL: u32 = 4096;

const MIB: u64 = 1024 * 1024;
/// With less a worker hardly starts.
const LEAST_MEMORY: u64 = 32 * MIB;

/// Whose signatures count; the rest of the table is left empty.
pub(crate) fn read_signatures(plugins: &Node<'_>) -> Plugins {
    let mut trusted_keys = Vec::new();
    for item in plugins.get("trusted_keys").map(|keys| keys.texts()).unwrap_or_default() {
        match item.value.as_str().filter(|key| PublicKey::from_base64(key).is_ok()) {
            Some(key) => trusted_keys.push(key.to_owned()),
            None => item.report(Problem::BadKey { what: item.path.clone() }),
        }
    }
    let required = plugins.get("require_signatures");
    let require_signatures = required.as_ref().and_then(|required| required.boolean()).unwrap_or(false);
    let names_none = || plugins.get("trusted_keys").is_none_or(|keys| keys.items().next().is_none());
    if let Some(required) = required.filter(|_| require_signatures && names_none()) {
        required.report(Problem::NoTrustedKey { what: required.path.clone() });
    }
    Plugins { trusted_keys, require_signatures, ..Plugins::default() }
}

/// The limits that are lower for one plugin; the rest of the table is left empty.
pub(crate) fn read_limits(node: &Node<'_>) -> Grants {
    Grants {
        memory: node.get("memory").and_then(|memory| read_memory(&memory)),
        timeout_ms: node.get("timeout").and_then(|timeout| read_duration(&timeout)),
        max_parallel: node.get("max_parallel").and_then(|parallel| read_parallel(&parallel)),
        ..Grants::default()
    }
}

/// `[policy]`.
pub(crate) fn read(node: &Node<'_>) -> Policy {
    if !node.is_table() {
        return Policy::default();
    }
    node.only(&KEYS);
    Policy {
        deny_writes: node.get("deny_writes").and_then(|deny| deny.boolean()).unwrap_or(false),
        endpoints: EndpointPolicy {
            allow: node.get("allow_endpoints").map(|endpoints| read_endpoints(&endpoints)),
            deny: node.get("deny_endpoints").map(|endpoints| read_endpoints(&endpoints)).unwrap_or_default(),
        },
    }
}

fn read_endpoints(node: &Node<'_>) -> Vec<EndpointPattern> {
    let mut patterns = Vec::new();
    for item in node.texts() {
        match item.value.as_str().unwrap_or_default().parse::<EndpointPattern>() {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => item.report(Problem::BadEndpoint { what: item.path.clone(), error: error.to_string() }),
        }
    }
    patterns
}

/// `512MiB`, `1GiB`.
fn read_memory(node: &Node<'_>) -> Option<u64> {
    let text = node.text()?;
    let units = [("MiB", MIB), ("GiB", 1024 * MIB)];
    let size = units.into_iter().find_map(|(unit, bytes)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(bytes)
    });
    match size {
        None => node.report(Problem::BadSize { what: node.path.clone() }),
        Some(size) if !(LEAST_MEMORY..=WORKER_MEMORY).contains(&size) => {
            let shown = |bytes: u64| format!("{}MiB", bytes / MIB);
            let (least, most) = (shown(LEAST_MEMORY), shown(WORKER_MEMORY));
            node.report(Problem::OutOfRange { what: node.path.clone(), least, most });
        }
        Some(_) => return size,
    }
    None
}

fn read_parallel(node: &Node<'_>) -> Option<u32> {
    let DeValue::Integer(number) = node.value else {
        node.wrong_type("an integer");
        return None;
    };
    let number = u32::from_str_radix(number.as_str(), number.radix()).ok();
    let number = number.filter(|number| (1..=MOST_PARALLEL).contains(number));
    if number.is_none() {
        let (least, most) = ("1".to_owned(), MOST_PARALLEL.to_string());
        node.report(Problem::OutOfRange { what: node.path.clone(), least, most });
    }
    number
}
