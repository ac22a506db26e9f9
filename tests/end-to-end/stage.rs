use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use lineman_model::{Cause, Finding};
use lineman_tests::{
    Answer, Apis, AwsClient, Behind, Client, ExecClient, Fault, ForgeClient, GitClient, HttpClient, Integration, Keys,
    Kubectl, Kubernetes, Moto, Names, Namespace, Proxies, Repositories, Resolver, Site, SshServers, Stubs, Table, Web,
    judge, require,
};

/// How many rows run at once. They wait for servers more than they compute.
const AT_ONCE: usize = 4;

/// The servers of one table, and the clients that speak to them.
pub(crate) struct Stage {
    pub(crate) names: Names,
    networks: BTreeMap<&'static str, Namespace>,
    git: Option<GitClient>,
    exec: Option<ExecClient>,
    pub(crate) aws: Option<AwsClient>,
    kubectl: Option<Kubectl>,
    pub(crate) forge: Option<ForgeClient>,
    // Ended after the clients, in this order.
    _servers: Vec<Box<dyn std::any::Any + Sync>>,
}

/// Says whether one row is as it should be: the lines that come back are the differences. A twin
/// has no fault.
pub(crate) type Agrees = fn(&Stage, &Path, &str, &Integration, Option<&Fault>) -> Result<Vec<String>>;

/// Runs every row of a table, and every healthy integration in it, on the table's servers.
pub(crate) fn play(test: &str, needs: &[&str], start: fn(&Path) -> Result<Stage>, table: &str, agrees: Agrees) {
    if !require(test, needs) {
        return;
    }
    if let Err(error) = try_play(start, table, agrees) {
        panic!("{error:#}");
    }
}

fn try_play(start: fn(&Path) -> Result<Stage>, table: &str, agrees: Agrees) -> Result<()> {
    let table = Table::parse(table)?;
    let directory = tempfile::tempdir()?;
    let stage = start(directory.path())?;
    let twins = table.healthy.keys().map(|name| (name.as_str(), "nothing is wrong", None));
    let faults = table.fault.iter().map(|fault| (fault.id.as_str(), fault.what.as_str(), Some(fault)));
    let rows: Vec<_> = twins.chain(faults).collect();
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let run = |index: usize| -> Result<Vec<String>> {
        let (id, _, fault) = rows[index];
        let integration = match fault {
            Some(fault) => table.faulty(fault, &stage.names)?,
            None => table.twin(id, &stage.names)?,
        };
        let own = directory.path().join(format!("row-{index}"));
        fs::create_dir_all(&own)?;
        agrees(&stage, &own, id, &integration, fault)
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < rows.len()) {
                    let differences = run(index).unwrap_or_else(|error| vec![format!("{error:#}")]);
                    if !differences.is_empty() {
                        complaints.lock().unwrap_or_else(PoisonError::into_inner).insert(index, differences);
                    }
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut text = format!("{} of {} rows differ\n", complaints.len(), rows.len());
    for (index, differences) in &complaints {
        let (id, what, _) = rows[*index];
        text += &format!("\n{id} ({what})\n");
        text.extend(differences.iter().map(|line| format!("    {}\n", line.trim_end().replace('\n', "\n    "))));
    }
    anyhow::ensure!(complaints.is_empty(), "{text}");
    Ok(())
}

impl Stage {
    pub(crate) fn ssh(directory: &Path) -> Result<Stage> {
        let repositories = Repositories::create(directory)?;
        let keys = Keys::create(directory)?;
        let ssh = SshServers::start(directory, &repositories, &keys)?;
        let (stubs, web) = (Stubs::start()?, Web::start(directory, &repositories, None, Behind::default())?);
        let mut stage = Stage::new(directory, &repositories)?;
        keys.name(&mut stage.names);
        ssh.name(&mut stage.names);
        stubs.name(&mut stage.names);
        web.name(&mut stage.names);
        Ok(stage.with(ssh).with(stubs).with(web))
    }

    pub(crate) fn https(directory: &Path) -> Result<Stage> {
        let repositories = Repositories::create(directory)?;
        let stubs = Stubs::start()?;
        let mut stage = Stage::new(directory, &repositories)?;
        stubs.name(&mut stage.names);
        let silent = stage.names.get("stub.silent")?.parse()?;
        let web = Web::start(directory, &repositories, None, Behind { silent: Some(silent), aws: None })?;
        web.name(&mut stage.names);
        Ok(stage.with(stubs).with(web))
    }

    pub(crate) fn apis(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::https(directory)?;
        let (apis, proxies) = (Apis::start(directory)?, Proxies::start(directory)?);
        apis.name(&mut stage.names);
        proxies.name(&mut stage.names);
        Ok(stage.with(apis).with(proxies))
    }

    pub(crate) fn proxies(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::aws(directory)?;
        let proxies = Proxies::start(directory)?;
        proxies.name(&mut stage.names);
        Ok(stage.with(proxies))
    }

    pub(crate) fn networks(directory: &Path) -> Result<Stage> {
        let repositories = Repositories::create(directory)?;
        let lab = Namespace::start(&directory.join("lab"), Resolver::Unbound)?;
        let mute = Namespace::start(&directory.join("mute"), Resolver::Absent)?;
        let web = Web::start(directory, &repositories, Some(&lab), Behind::default())?;
        let mut stage = Stage::new(directory, &repositories)?;
        web.name(&mut stage.names);
        stage.networks.extend([("lab", lab), ("mute", mute)]);
        Ok(stage.with(web))
    }

    pub(crate) fn aws(directory: &Path) -> Result<Stage> {
        let repositories = Repositories::create(directory)?;
        let (stubs, moto) = (Stubs::start()?, Moto::start(directory)?);
        let web = Web::start(directory, &repositories, None, Behind { aws: Some(moto.port()), silent: None })?;
        let ahead = Moto::start_skewed(directory, "+2h")?;
        let mut stage = Stage::new(directory, &repositories)?;
        moto.name(&mut stage.names);
        web.name(&mut stage.names);
        stubs.name(&mut stage.names);
        let mut there = Names::default();
        ahead.name(&mut there);
        for (name, own) in [("moto", "ahead"), ("key.platform", "ahead-key"), ("secret.platform", "ahead-secret")] {
            stage.names.set(own, there.get(name)?);
        }
        stage.names.set("missing", directory.join("nobody").display());
        stage.aws = Some(AwsClient::start(directory, None)?);
        Ok(stage.with(stubs).with(moto).with(web).with(ahead))
    }

    pub(crate) fn kubernetes(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::https(directory)?;
        let (kubernetes, proxies) = (Kubernetes::shared()?, Proxies::start(directory)?);
        kubernetes.name(&mut stage.names);
        proxies.name(&mut stage.names);
        stage.kubectl = Some(Kubectl::new(directory)?);
        Ok(stage.with(kubernetes).with(proxies))
    }

    pub(crate) fn exec(directory: &Path) -> Result<Stage> {
        let mut stage = Stage::ssh(directory)?;
        // The plugin's own placeholders stay what they are.
        for own in ["{file:opts}", "{secret:password}"] {
            stage.names.set(own.trim_matches(['{', '}']), own);
        }
        Ok(stage)
    }

    fn new(directory: &Path, repositories: &Repositories) -> Result<Stage> {
        let git = Some(GitClient::new(directory, &repositories.clone)?);
        let exec = Some(ExecClient::new(directory)?);
        Ok(Stage { git, exec, ..Stage::bare() })
    }

    /// A stage without servers and clients.
    pub(crate) fn bare() -> Stage {
        let (names, networks) = (Names::default(), BTreeMap::new());
        Stage { names, networks, git: None, exec: None, aws: None, kubectl: None, forge: None, _servers: Vec::new() }
    }

    pub(crate) fn with(mut self, server: impl Sync + 'static) -> Stage {
        self._servers.push(Box::new(server));
        self
    }

    fn network(&self, integration: &Integration) -> Result<Option<&Namespace>> {
        let find = |name: &String| self.networks.get(name.as_str()).with_context(|| format!("no network `{name}`"));
        integration.network.as_ref().map(find).transpose()
    }

    /// The system's own client fails as the row says, and works where nothing is wrong.
    pub(crate) fn client_agrees(
        &self,
        _: &Path,
        id: &str,
        integration: &Integration,
        fault: Option<&Fault>,
    ) -> Result<Vec<String>> {
        let answer = match integration.provider.as_str() {
            "git" => self.git.as_ref().context("no git")?.ask(id, integration, self.network(integration)?)?,
            "exec" => {
                self.exec.as_ref().context("no monitoring plugin")?.ask(id, integration, self.network(integration)?)?
            }
            "http" => HttpClient.ask(integration)?,
            "kubernetes" => self.kubectl.as_ref().context("no kubectl")?.ask(id, integration)?,
            "aws" => self.aws.as_ref().context("no botocore")?.ask(integration)?,
            _ => self.forge.as_ref().context("no forge")?.ask(id, integration)?,
        };
        let said = match (fault.map(|fault| &fault.client), &answer) {
            (None | Some(Client::Works(_)), Answer::Works) => return Ok(Vec::new()),
            (Some(Client::Says(words)), Answer::Fails(said)) if said.contains(words.as_str()) => return Ok(Vec::new()),
            (_, Answer::Works) => "it works",
            (_, Answer::Fails(said)) => said,
        };
        let expected = match fault.map(|fault| &fault.client) {
            None => "to work",
            Some(Client::Works(why)) => &format!("to work: {why}"),
            Some(Client::Says(words)) => &format!("to say: {words}"),
        };
        Ok(vec![format!("the client was expected {expected}\n{said}")])
    }

    /// Without the plugins' catalogs Lineman misses the fault, where the row says that it rests on
    /// them; and names it all the same where it does not.
    pub(crate) fn catalog_matters(
        &self,
        directory: &Path,
        _: &str,
        integration: &Integration,
        fault: Option<&Fault>,
    ) -> Result<Vec<String>> {
        let Some(fault) = fault else { return Ok(Vec::new()) };
        let switch = [(lineman_model::protocol::NO_CATALOG, "1")];
        let outcome = Site::get()?.check_with(directory, integration, self.network(integration)?, &switch)?;
        let missed = !judge(outcome.exit, &outcome.report()?, Some(&fault.expect)).is_empty();
        Ok(match (fault.rests_on_catalog, missed) {
            (true, false) => vec!["it is named without the catalog too".to_owned()],
            (false, true) => vec!["it is missed without the catalog".to_owned()],
            _ => Vec::new(),
        })
    }

    /// Lineman names the fault, passes the healthy integration, and shows no secret.
    pub(crate) fn lineman_agrees(
        &self,
        directory: &Path,
        _: &str,
        integration: &Integration,
        fault: Option<&Fault>,
    ) -> Result<Vec<String>> {
        let outcome = Site::get()?.check(directory, integration, self.network(integration)?)?;
        let report = outcome.report()?;
        let mut differences = judge(outcome.exit, &report, fault.map(|fault| &fault.expect));
        for finding in report.integrations.iter().flat_map(|one| one.findings()) {
            differences.extend(explained(directory, finding)?);
        }
        for key in integration.secrets.keys() {
            // What is shorter is a placeholder and stands for nothing.
            let secret = integration.secret(key)?.filter(|secret| secret.trim().len() >= 8);
            let lines = secret.iter().flat_map(|secret| secret.lines()).filter(|line| line.trim().len() >= 8);
            let shown = |line: &str| {
                !line.starts_with("-----") && outcome.stdout.contains(line) | outcome.stderr.contains(line)
            };
            if lines.into_iter().any(shown) {
                differences.push(format!("the secret {key} is shown"));
            }
        }
        if !differences.is_empty() {
            let said = report.integrations.iter().flat_map(|one| one.findings());
            differences.extend(said.map(|finding| format!("{}: {}", finding.code, finding.message)));
            differences.push(outcome.stderr);
        }
        Ok(differences)
    }
}

/// What `lineman explain` says of a finding's code contradicts the finding, or says nothing.
fn explained(directory: &Path, finding: &Finding) -> Result<Option<String>> {
    static EXPLAINED: Mutex<BTreeMap<String, Option<Finding>>> = Mutex::new(BTreeMap::new());
    let lock = || EXPLAINED.lock().unwrap_or_else(PoisonError::into_inner);
    let code = finding.code.as_str();
    let known = lock().get(code).cloned();
    let known = match known {
        Some(known) => known,
        None => {
            // Without a configuration every plugin that is installed is asked.
            let mut command = Site::get()?.command(directory);
            let output = command.args(["explain", code, "--format", "json", "--config", "none.toml"]).output()?;
            let told: Option<Finding> = serde_json::from_slice(&output.stdout).ok();
            lock().insert(code.to_owned(), told.clone());
            told
        }
    };
    let Some(known) = known else { return Ok(Some(format!("`lineman explain {code}` knows nothing of it"))) };
    let causes: Vec<&Cause> =
        std::iter::once(&known.cause).chain(known.also_possible.iter().map(|it| &it.cause)).collect();
    // Where the code alone does not tell, the check may.
    let open = known.cause == Cause::Undetermined;
    Ok((!open && !causes.contains(&&finding.cause))
        .then(|| format!("`lineman explain {code}` says {}, the check found {}", known.cause, finding.cause)))
}
