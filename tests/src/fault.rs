use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use lineman_model::{Cause, Level, Report, Status};
use serde::Deserialize;

use crate::place::Names;

/// A table of planted faults: healthy integrations, and for each fault what it changes in one of
/// them and what Lineman is to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Healthy integrations by name: the twins of the faults, each of which passes.
    pub healthy: BTreeMap<String, Healthy>,
    /// The faults.
    #[serde(default)]
    pub fault: Vec<Fault>,
}

/// An integration in which nothing is wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healthy {
    /// The plugin.
    pub provider: String,
    /// The [`Namespace`](crate::Namespace) to run in, by the name that the test gave it.
    pub network: Option<String>,
    #[serde(flatten)]
    inputs: Inputs,
}

/// One planted fault: a healthy integration with one thing wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Unique in its table.
    pub id: String,
    /// The healthy integration in which it is planted.
    pub of: String,
    /// What is wrong, for people.
    pub what: String,
    /// Where it runs, if not where its twin does.
    pub network: Option<String>,
    /// What the healthy integration has and this one has not, as `secrets.token`.
    #[serde(default)]
    pub without: Vec<String>,
    #[serde(flatten)]
    inputs: Inputs,
    /// What Lineman is to say.
    pub expect: Expect,
    /// Whether it is missed when the plugins' catalogs are empty.
    #[serde(default)]
    pub rests_on_catalog: bool,
    /// What the system's own client does with the same inputs.
    pub client: Client,
}

/// What an integration is made of; texts may hold `{placeholders}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Inputs {
    settings: toml::Table,
    secrets: toml::Table,
    connection: toml::Table,
    env: toml::Table,
    requires: Vec<toml::Table>,
    vantage: toml::Table,
    grants: toml::Table,
}

/// What Lineman is to say of a fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The first cause of the report.
    pub cause: Cause,
    /// The check that finds it.
    pub check: String,
    /// Its level.
    pub level: Level,
    /// The exit code; the verdict follows: 0 `warn`, 1 `fail`, 3 `unknown`, 4 `error`.
    pub exit: i32,
    /// The code of the finding, where it matters.
    pub code: Option<String>,
}

/// What the system's own client does with the inputs of a fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// It fails and says this.
    Says(String),
    /// It works, for this reason.
    Works(String),
}

/// What a client answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did what it was asked to.
    Works,
    /// It failed and said this.
    Fails(String),
}

/// An integration ready to be configured: placeholders filled.
#[derive(Clone, Debug)]
pub struct Integration {
    /// The plugin.
    pub provider: String,
    /// The network to run in.
    pub network: Option<String>,
    /// `[integration.NAME.settings]`.
    pub settings: toml::Table,
    /// Secrets: a text is a value, `{ file = … }` the content of a file.
    pub secrets: toml::Table,
    /// `[integration.NAME.connection]`.
    pub connection: toml::Table,
    /// Environment variables of the run.
    pub env: toml::Table,
    /// `[[integration.NAME.requires]]`.
    pub requires: Vec<toml::Table>,
    /// `[vantage]` of the whole file.
    pub vantage: toml::Table,
    /// `[plugins.ID]`: what the plugin may reach beyond what it has anyway.
    pub grants: toml::Table,
}

impl Table {
    /// Reads a table and checks that it is one: ids unique, twins there, no two faults the same.
    pub fn parse(text: &str) -> Result<Table> {
        let table: Table = toml::from_str(text)?;
        let (mut ids, mut faults) = (BTreeSet::new(), BTreeSet::new());
        for fault in &table.fault {
            let id = &fault.id;
            ensure!(table.healthy.contains_key(&fault.of), "{id}: there is no healthy integration `{}`", fault.of);
            ensure!(ids.insert(id), "two faults are called {id}");
            let change = format!("{:?} {:?} {:?} {:?}", fault.of, fault.network, fault.without, fault.inputs);
            ensure!(faults.insert(change), "{id} plants the same fault as another row");
        }
        Ok(table)
    }

    /// The integration of a fault's twin.
    pub fn twin(&self, name: &str, names: &Names) -> Result<Integration> {
        let healthy = self.healthy.get(name).with_context(|| format!("no healthy integration `{name}`"))?;
        let Inputs { settings, secrets, connection, env, requires, vantage, grants } = &healthy.inputs;
        Ok(Integration {
            provider: healthy.provider.clone(),
            network: healthy.network.clone(),
            settings: names.fill_table(settings)?,
            secrets: names.fill_table(secrets)?,
            connection: names.fill_table(connection)?,
            env: names.fill_table(env)?,
            requires: requires.iter().map(|words| names.fill_table(words)).collect::<Result<_>>()?,
            vantage: names.fill_table(vantage)?,
            grants: names.fill_table(grants)?,
        })
    }

    /// The integration with a fault in it.
    pub fn faulty(&self, fault: &Fault, names: &Names) -> Result<Integration> {
        let mut integration = self.twin(&fault.of, names)?;
        for path in &fault.without {
            let (part, key) = path.split_once('.').with_context(|| format!("{path} is no path"))?;
            let part = match part {
                "settings" => &mut integration.settings,
                "secrets" => &mut integration.secrets,
                "connection" => &mut integration.connection,
                "grants" => &mut integration.grants,
                _ => bail!("{path} names no part of an integration"),
            };
            ensure!(part.remove(key).is_some(), "`{}` has no {path}", fault.of);
        }
        if fault.network.is_some() {
            integration.network.clone_from(&fault.network);
        }
        integration.settings.extend(names.fill_table(&fault.inputs.settings)?);
        integration.secrets.extend(names.fill_table(&fault.inputs.secrets)?);
        integration.connection.extend(names.fill_table(&fault.inputs.connection)?);
        integration.env.extend(names.fill_table(&fault.inputs.env)?);
        integration.vantage.extend(names.fill_table(&fault.inputs.vantage)?);
        integration.grants.extend(names.fill_table(&fault.inputs.grants)?);
        if !fault.inputs.requires.is_empty() {
            let requires = fault.inputs.requires.iter().map(|words| names.fill_table(words));
            integration.requires = requires.collect::<Result<_>>()?;
        }
        Ok(integration)
    }
}

impl Integration {
    /// The text of a setting.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).and_then(toml::Value::as_str)
    }

    /// The text of a value of the connection, which may be a reference to a variable.
    pub fn connection(&self, key: &str) -> Option<&str> {
        let value = self.connection.get(key)?;
        value.as_str().or_else(|| self.env.get(value.get("env")?.as_str()?)?.as_str())
    }

    /// The value of a secret.
    pub fn secret(&self, key: &str) -> Result<Option<String>> {
        Ok(match self.secrets.get(key) {
            None => None,
            Some(toml::Value::String(value)) => Some(value.clone()),
            Some(reference) => {
                let file = reference.get("file").and_then(toml::Value::as_str);
                Some(std::fs::read_to_string(file.with_context(|| format!("{key} is neither text nor file"))?)?)
            }
        })
    }

    /// The environment variables of the run.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    /// The variable that carries a secret to Lineman.
    fn variable(key: &str) -> String {
        format!("ROW_{}", key.to_uppercase())
    }

    /// The secrets that travel in the environment.
    pub fn secret_variables(&self) -> impl Iterator<Item = (String, &str)> {
        self.secrets.iter().filter_map(|(key, value)| Some((Integration::variable(key), value.as_str()?)))
    }

    /// The `lineman.toml` that holds this integration alone.
    pub fn configuration(&self, name: &str) -> Result<String> {
        let reference = |(key, value): (&String, &toml::Value)| {
            let from_environment =
                || toml::Table::from_iter([("env".into(), Integration::variable(key).into())]).into();
            (key.clone(), if value.is_str() { from_environment() } else { value.clone() })
        };
        let secrets: toml::Table = self.secrets.iter().map(reference).collect();
        let integration = toml::toml! { provider = "" };
        let mut integration = integration;
        integration.insert("provider".into(), self.provider.clone().into());
        for (key, part) in [("settings", &self.settings), ("secrets", &secrets), ("connection", &self.connection)] {
            if !part.is_empty() {
                integration.insert(key.into(), part.clone().into());
            }
        }
        if !self.requires.is_empty() {
            integration.insert("requires".into(), self.requires.clone().into());
        }
        let mut plugins = toml::Table::from_iter([("enable".into(), vec![self.provider.clone()].into())]);
        if !self.grants.is_empty() {
            plugins.insert(self.provider.clone(), self.grants.clone().into());
        }
        let integrations = toml::Table::from_iter([(name.to_owned(), integration.into())]);
        let mut file = toml::Table::from_iter([
            ("version".into(), 1.into()),
            ("plugins".into(), plugins.into()),
            ("integration".into(), integrations.into()),
        ]);
        if !self.vantage.is_empty() {
            file.insert("vantage".into(), self.vantage.clone().into());
        }
        Ok(toml::to_string(&file)?)
    }
}

impl Expect {
    /// The verdict that goes with the exit code.
    fn verdict(&self) -> Status {
        match self.exit {
            0 => Status::Warn,
            1 => Status::Fail,
            3 => Status::Unknown,
            _ => Status::Error,
        }
    }
}

/// Compares what Lineman said with what it was to say; `None` stands for a healthy integration.
/// The lines that come back say what differs; none means that all is well.
pub fn judge(exit: i32, report: &Report, expect: Option<&Expect>) -> Vec<String> {
    let mut differences = Vec::new();
    let mut same = |what: &str, expected: &str, actual: &str| {
        if expected != actual {
            differences.push(format!("{what}: expected {expected}, got {actual}"));
        }
    };
    let first = report.causes.first().map_or("none", |group| group.cause.as_str());
    let good = |status: Status| matches!(status, Status::Pass | Status::Skip);
    let failing = report.integrations.iter().flat_map(|one| &one.checks).find(|check| !good(check.status));
    let (check, level) = failing.map_or(("none", "none"), |check| (check.id.as_str(), check.level.as_str()));
    let verdict = expect.map_or(Status::Pass, Expect::verdict);
    same("first cause", expect.map_or("none", |expect| expect.cause.as_str()), first);
    same("check", expect.map_or("none", |expect| &expect.check), check);
    same("level", expect.map_or("none", |expect| expect.level.as_str()), level);
    same("verdict", verdict.as_str(), report.verdict.as_str());
    same("exit code", &expect.map_or(0, |expect| expect.exit).to_string(), &exit.to_string());
    if let Some(expect) = expect {
        let found = failing.into_iter().flat_map(|check| &check.findings).find(|finding| finding.cause == expect.cause);
        let code = found.map_or("none", |finding| finding.code.as_str());
        same("code of the finding", expect.code.as_deref().unwrap_or(code), code);
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
        [healthy.base]
        provider = "git"
        settings = { url = "https://h:{port}/r", access = "read" }
        secrets = { token = "t", username = "u" }

        [[fault]]
        id = "a"
        of = "base"
        what = "No token"
        without = ["secrets.token"]
        settings.access = "write"
        expect = { cause = "credential.missing", check = "git/auth", level = "identity", exit = 1 }
        client.says = "could not read"
    "#;

    #[test]
    fn a_fault_is_its_twin_with_one_thing_wrong() {
        let table = Table::parse(TABLE).unwrap();
        let mut names = Names::default();
        names.set("port", 8443);
        let integration = table.faulty(&table.fault[0], &names).unwrap();
        let configuration: toml::Table = toml::from_str(&integration.configuration("row").unwrap()).unwrap();
        let expected = toml::toml! {
            version = 1
            [plugins]
            enable = ["git"]
            [integration.row]
            provider = "git"
            settings = { url = "https://h:8443/r", access = "write" }
            secrets = { username = { env = "ROW_USERNAME" } }
        };
        assert_eq!(configuration, expected);
    }

    #[test]
    fn a_table_with_the_same_fault_twice_is_refused() {
        let (base, row) = TABLE.split_once("[[fault]]").unwrap();
        let check = |rows: &str, expect: &str| {
            let error = Table::parse(&format!("{base}{rows}")).unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
        };
        check(&format!("[[fault]]{row}[[fault]]{row}"), "two faults are called a");
        check(&format!("[[fault]]{row}[[fault]]{}", row.replace("\"a\"", "\"b\"")), "b plants the same fault");
        check(&format!("[[fault]]{}", row.replace("of = \"base\"", "of = \"none\"")), "no healthy integration `none`");
    }

    #[test]
    fn every_way_to_differ_is_told() {
        let report: Report = serde_json::from_str(REPORT).unwrap();
        let expect = |text: &str| toml::from_str::<Expect>(text).unwrap();
        let right = "cause = 'network.dns'\ncheck = 'git/reach'\nlevel = 'reach'\nexit = 1\n";
        let check = |exit: i32, expect: Option<&Expect>, differences: &[&str]| {
            assert_eq!(judge(exit, &report, expect), differences);
        };
        check(1, Some(&expect(right)), &[]);
        check(3, Some(&expect(right)), &["exit code: expected 1, got 3"]);
        check(
            1,
            Some(&expect(&right.replace("dns", "reset"))),
            &["first cause: expected network.reset, got network.dns"],
        );
        check(1, Some(&expect(&right.replace("'reach'", "'identity'"))), &["level: expected identity, got reach"]);
        check(
            1,
            Some(&expect(&(right.to_owned() + "code = 'git/other'"))),
            &["code of the finding: expected git/other, got git/dns"],
        );
        check(
            1,
            None,
            &[
                "first cause: expected none, got network.dns",
                "check: expected none, got git/reach",
                "level: expected none, got reach",
                "verdict: expected pass, got fail",
                "exit code: expected 0, got 1",
            ],
        );
    }

    const REPORT: &str = r#"{
        "schema": "lineman.report/1",
        "run": {
            "id": "1", "started_at": "2026-01-01T00:00:00.000Z", "finished_at": "2026-01-01T00:00:01.000Z",
            "duration_ms": 1000, "lineman_version": "0.1.0", "complete": true, "vantage": {}
        },
        "verdict": "fail",
        "summary": { "integrations": {}, "checks": {} },
        "causes": [{ "cause": "network.dns", "message": "m", "findings": [], "integrations": ["row"] }],
        "integrations": [{
            "name": "row", "provider": "git", "plugin": { "id": "git" }, "verdict": "fail", "proved": "config",
            "checks": [
                { "id": "git/config", "title": "t", "level": "config", "required": true, "status": "pass", "duration_ms": 0 },
                {
                    "id": "git/reach", "title": "t", "level": "reach", "required": true, "status": "fail", "duration_ms": 0,
                    "findings": [{ "code": "git/dns", "cause": "network.dns", "message": "m" }]
                }
            ]
        }]
    }"#;
}
