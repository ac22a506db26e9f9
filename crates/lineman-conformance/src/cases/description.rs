use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use lineman_catalog::Catalog;
use lineman_host::probe::{Ground, ProbeError};
use lineman_model::CheckInfo;
use lineman_model::protocol::{PROTOCOL, op};
use serde_json::Value;

use crate::Case;
use crate::kit::{Fault, Kit, Verdict, none};
use crate::sample::properties;

/// How long loading and describing may take; most of it is this machine's.
const QUICK: Duration = Duration::from_secs(3);
/// More calls at once than this are a mistake.
const MOST_PARALLEL: u32 = 65_536;
/// The longest title, bytes.
const LONGEST_TITLE: usize = 100;

pub(crate) fn is_kebab(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.split('-').all(word)
}

/// `1.2.3`, with whatever may follow in a semantic version.
fn is_version(text: &str) -> bool {
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    numbers.split('.').filter(|part| part.parse::<u64>().is_ok()).count() == 3 && numbers.split('.').count() == 3
}

pub(super) fn description(kit: &Kit<'_>) -> Verdict {
    if let Some(problem) = kit.misdescribed()? {
        return Err(Fault::fail(format!("it cannot be read: {problem}")));
    }
    let description = kit.description()?;
    let mut seen = Vec::new();
    if !is_kebab(&description.id) {
        seen.push(format!("the id `{}` is not lower-case letters, digits and hyphens", description.id));
    }
    if !is_version(&description.version) {
        seen.push(format!("the version `{}` is not a semantic one, such as 1.2.3", description.version));
    }
    for (what, text) in [("title", &description.title), ("publisher", &description.publisher)] {
        if text.trim().is_empty() || text.len() > LONGEST_TITLE || text.chars().any(char::is_control) {
            seen.push(format!("the {what} `{text}` is empty, too long, or not one line"));
        }
    }
    if !(1..=MOST_PARALLEL).contains(&description.max_parallel) {
        seen.push(format!("it takes {} calls at once", description.max_parallel));
    }
    let missing = [op::CHECK, op::CLOSE].into_iter().filter(|op| !description.operations.iter().any(|it| it == op));
    seen.extend(missing.map(|op| format!("the operation `{op}` is not among those that it accepts")));
    none(seen)
}

pub(super) fn protocol(kit: &Kit<'_>) -> Verdict {
    let range = kit.description()?.protocol;
    if range.min > range.max {
        return Err(Fault::fail(format!("the range {} to {} is empty", range.min, range.max)));
    }
    match range.common(PROTOCOL) {
        Some(_) => Ok(()),
        None => Err(Fault::fail(format!(
            "it speaks {} to {}, this Lineman {} to {}",
            range.min, range.max, PROTOCOL.min, PROTOCOL.max
        ))),
    }
}

pub(super) fn checks(kit: &Kit<'_>) -> Verdict {
    let description = kit.description()?;
    let (mut seen, mut ids) = (Vec::new(), BTreeSet::new());
    if description.checks.is_empty() {
        seen.push("there are no checks".to_owned());
    }
    for CheckInfo { id, title, .. } in &description.checks {
        let name = id.strip_prefix(&description.id).and_then(|rest| rest.strip_prefix('/'));
        if !name.is_some_and(is_kebab) {
            seen.push(format!("`{id}` is not `{}/<kebab-case>`", description.id));
        }
        if !ids.insert(id) {
            seen.push(format!("there are two checks `{id}`"));
        }
        if title.trim().is_empty() || title.len() > LONGEST_TITLE || title.chars().any(char::is_control) {
            seen.push(format!("the title of `{id}` is empty, too long, or not one line"));
        }
    }
    none(seen)
}

pub(super) fn needs(kit: &Kit<'_>) -> Verdict {
    let description = kit.description()?;
    let mut seen = Vec::new();
    for check in &description.checks {
        for need in &check.needs {
            match description.check(need) {
                None => seen.push(format!("`{}` needs `{need}`, which there is not", check.id)),
                Some(needed) if needed.level > check.level => seen.push(format!(
                    "`{}` ({}) needs `{need}`, which proves a higher level ({})",
                    check.id, check.level, needed.level
                )),
                Some(_) => {}
            }
        }
    }
    // What has all that it needs is taken away, until nothing is left, or a circle.
    let mut left: Vec<&CheckInfo> = description.checks.iter().collect();
    loop {
        let waiting: BTreeSet<&str> = left.iter().map(|check| check.id.as_str()).collect();
        let before = left.len();
        left.retain(|check| check.needs.iter().any(|need| waiting.contains(need.as_str())));
        if left.len() == before {
            break;
        }
    }
    if !left.is_empty() {
        let circle: Vec<&str> = left.iter().map(|check| check.id.as_str()).collect();
        seen.push(format!("these need each other, or a check that does: {}", circle.join(", ")));
    }
    none(seen)
}

pub(super) fn schemas(kit: &Kit<'_>) -> Verdict {
    let description = kit.description()?;
    let mut seen = Vec::new();
    let tables =
        [("settings", &description.settings), ("secrets", &description.secrets), ("requires", &description.requires)];
    for (what, schema) in tables {
        let schema = Value::Object(schema.clone());
        if schema.as_object().is_some_and(serde_json::Map::is_empty) {
            continue;
        }
        if let Err(error) = jsonschema::meta::validate(&schema) {
            seen.push(format!("the schema of the {what} is none: {error} at `{}`", error.instance_path()));
            continue;
        }
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            seen.push(format!("the schema of the {what} is not of `type: object`"));
        }
        let mut elsewhere = Vec::new();
        references(&schema, &mut elsewhere);
        seen.extend(elsewhere.iter().map(|it| format!("the schema of the {what} refers to `{it}`")));
        if elsewhere.is_empty()
            && let Err(error) = jsonschema::validator_for(&schema)
        {
            seen.push(format!("the schema of the {what} cannot be used: {error}"));
        }
    }
    let secrets = Value::Object(description.secrets.clone());
    for (name, property) in properties(&secrets) {
        let kinds = property.get("type").map(|kind| kind.as_array().cloned().unwrap_or_else(|| vec![kind.clone()]));
        let text = |kinds: &Vec<Value>| kinds.iter().all(|kind| kind == "string" || kind == "null");
        // A schema of several parts is judged by what fits it.
        let fits_text =
            || jsonschema::validator_for(property).is_ok_and(|validator| !validator.is_valid(&Value::from(1)));
        if !kinds.as_ref().map_or_else(fits_text, text) {
            seen.push(format!("the secret `{name}` is not a string"));
        }
    }
    none(seen)
}

/// References that lead out of a schema.
fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(to) if name == "$ref" && !to.starts_with('#') => found.push(to.clone()),
                    value => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

pub(super) fn documented(kit: &Kit<'_>) -> Verdict {
    let description = kit.description()?;
    let mut seen = Vec::new();
    let tables =
        [("setting", &description.settings), ("secret", &description.secrets), ("word", &description.requires)];
    for (what, schema) in tables {
        let schema = Value::Object(schema.clone());
        let silent = properties(&schema).filter(|(_, property)| {
            property.get("description").and_then(Value::as_str).is_none_or(|text| text.trim().is_empty())
        });
        seen.extend(silent.map(|(name, _)| format!("the {what} `{name}` has no description")));
    }
    none(seen)
}

pub(super) fn links(kit: &Kit<'_>) -> Verdict {
    let description = kit.description()?;
    let rules = description.catalog.get("rule").and_then(Value::as_array).into_iter().flatten();
    let pages = rules.flat_map(|rule| rule.get("docs").and_then(Value::as_array).into_iter().flatten());
    let links = pages.filter_map(|page| page.get("url")?.as_str()).chain(description.docs_url.as_deref());
    let bad = links.filter(|link| !link.starts_with("https://") || link.contains(char::is_whitespace));
    none(bad.map(|link| format!("`{link}` is not an https address")).collect())
}

pub(super) fn catalog(kit: &Kit<'_>) -> Verdict {
    let description = kit.description()?;
    match Catalog::from_value(&description.id, &description.catalog) {
        Err(error) => Err(Fault::fail(error.to_string())),
        Ok(catalog) => none(catalog.verify().iter().map(ToString::to_string).collect()),
    }
}

pub(super) async fn stable(kit: &Kit<'_>) -> Verdict {
    let again = kit.probe(Ground::default()).await?;
    let (first, second) = (kit.said()?, again.description().get());
    if first == second {
        return Ok(());
    }
    let at = first.bytes().zip(second.bytes()).position(|(a, b)| a != b).unwrap_or(first.len().min(second.len()));
    let around = |text: &str| {
        String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(30)..text.len().min(at + 20)]).into_owned()
    };
    Err(Fault::fail(format!("`…{}…` at first, `…{}…` then", around(first), around(second))))
}

pub(super) async fn quick(kit: &Kit<'_>) -> Verdict {
    kit.said()?;
    let Ok(library) = &kit.subject.library else { return Err(Fault::Skip("there is no library".to_owned())) };
    let started = Instant::now();
    // Not in turn with others: that would be their time.
    let launched = kit.prober.launch(library, Ground::default()).await;
    let took = started.elapsed();
    let probe = match launched {
        Ok(probe) => probe,
        Err(error @ ProbeError::TimedOut) => return Err(Fault::fail(error.to_string())),
        Err(_) => return Err(Fault::see("it was not loaded again", Case::Stable)),
    };
    // That a busy machine let it wait for a processor is not its fault.
    let took = took.saturating_sub(probe.pid().map(queued).unwrap_or_default());
    if took <= QUICK {
        return Ok(());
    }
    Err(Fault::fail(format!("it took {:.1} s; {} s are plenty", took.as_secs_f64(), QUICK.as_secs())))
}

/// How long the first thread of a process was ready to run and had to wait (see `proc(5)`,
/// `schedstat`); nothing where the kernel does not tell.
fn queued(pid: i32) -> Duration {
    let told = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    told.split_whitespace().nth(1).and_then(|waited| waited.parse().ok()).map(Duration::from_nanos).unwrap_or_default()
}

pub(super) async fn offline(kit: &Kit<'_>) -> Verdict {
    kit.said()?;
    let Ok(library) = &kit.subject.library else { return Err(Fault::Skip("there is no library".to_owned())) };
    let ground = Ground { offline: true, ..Ground::default() };
    let probe = match kit.prober.launch(library, ground).await {
        Ok(probe) => probe,
        Err(ProbeError::Refused(why)) => {
            return Err(Fault::Skip(format!("this machine gives no network namespace: {why}")));
        }
        Err(ProbeError::TimedOut) => return Err(Fault::see("it was not loaded in time", Case::Quick)),
        Err(error) => return Err(Fault::fail(format!("without a network: {error}"))),
    };
    let packets = probe.pid().map(packets).transpose()?.unwrap_or_default();
    if packets == 0 {
        return Ok(());
    }
    Err(Fault::fail(format!("it tried to reach the network {packets} times while it was loaded and described")))
}

/// How often somebody tried to send something, in the network of a process.
fn packets(pid: i32) -> std::io::Result<u64> {
    const TRIES: [&str; 5] = ["OutRequests", "OutNoRoutes", "OutDatagrams", "Ip6OutRequests", "Ip6OutNoRoutes"];
    let mut tries = 0;
    let old = fs::read_to_string(format!("/proc/{pid}/net/snmp"))?;
    let mut lines = old.lines();
    // A line of names, and a line of numbers below it.
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let named = names.split_whitespace().zip(numbers.split_whitespace());
        tries += named.filter(|(name, _)| TRIES.contains(name)).filter_map(|(_, n)| n.parse::<u64>().ok()).sum::<u64>();
    }
    let new = fs::read_to_string(format!("/proc/{pid}/net/snmp6")).unwrap_or_default();
    let named = new.lines().filter_map(|line| line.split_once(char::is_whitespace));
    tries +=
        named.filter(|(name, _)| TRIES.contains(name)).filter_map(|(_, n)| n.trim().parse::<u64>().ok()).sum::<u64>();
    Ok(tries)
}
