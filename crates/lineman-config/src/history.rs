//! `[history]`: what is kept of earlier runs.

use toml::de::DeValue;

use crate::config::{Environment, History};
use crate::node::Node;
use crate::problem::Problem;
use crate::reference::{self, absolute};

pub(crate) const KEYS: [&str; 5] = ["enabled", "directory", "fingerprint_key", "keep", "max_mb"];
pub(crate) const MOST_DAYS: u32 = 3650;
pub(crate) const MOST_MB: u32 = 65_536;

/// `[history]`.
pub(crate) fn read(node: &Node<'_>, env: &dyn Environment) -> History {
    let usual = History::default();
    if !node.is_table() {
        return usual;
    }
    node.only(&KEYS);
    let directory = node.get("directory").and_then(|path| Some(absolute(path.text()?, &path.source.directory(), env)));
    History {
        enabled: node.get("enabled").and_then(|enabled| enabled.boolean()).unwrap_or(usual.enabled),
        directory,
        fingerprint_key: node.get("fingerprint_key").and_then(|key| reference::read(&key, env)),
        keep_days: node.get("keep").and_then(|keep| read_days(&keep)).unwrap_or(usual.keep_days),
        max_mb: node.get("max_mb").and_then(|size| read_megabytes(&size)).unwrap_or(usual.max_mb),
    }
}

/// `90d`.
fn read_days(node: &Node<'_>) -> Option<u32> {
    let days = node.text()?.strip_suffix('d').and_then(|days| days.parse().ok());
    within(node, days, MOST_DAYS, "a number of days from \"1d\" to \"3650d\"")
}

fn read_megabytes(node: &Node<'_>) -> Option<u32> {
    let DeValue::Integer(number) = node.value else {
        node.wrong_type("an integer");
        return None;
    };
    let number = u32::from_str_radix(number.as_str(), number.radix()).ok();
    within(node, number, MOST_MB, "a number of megabytes from 1 to 65536")
}

fn within(node: &Node<'_>, number: Option<u32>, most: u32, expected: &'static str) -> Option<u32> {
    let number = number.filter(|number| (1..=most).contains(number));
    if number.is_none() {
        node.report(Problem::BadAmount { what: node.path.clone(), expected });
    }
    number
}
