//! One run, from secrets to a report: what `check` and `retest` have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{join, join_all};
use lineman_catalog::Catalog;
use lineman_config::{Configured, ProcessEnvironment, Resolved};
use lineman_engine::{Limits, Platform, RunInfo, Selection, hosts_of};
use lineman_history::Given;
use lineman_host::{Confinement, Host, HostOptions, PluginSpec, refused_endpoints};
use lineman_model::{Event, Finding, Report, Vantage};
use lineman_report::{Format, Style};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::{Common, RunArgs};
use crate::executor::Workers;
use crate::failure::Failure;
use crate::keeper::Keeper;
use crate::setup::Setup;
use crate::terminal::{self, Progress};

/// How long the echo endpoint is waited for, beside everything else that a run begins with.
const ECHO_PATIENCE: Duration = Duration::from_secs(3);

/// What the integrations of a run are given.
pub(crate) struct Inputs {
    resolved: BTreeMap<String, Result<Resolved, Vec<Finding>>>,
    /// The fingerprints of those whose secrets could be had.
    pub(crate) given: BTreeMap<String, Given>,
}

impl Inputs {
    /// Follows the secret references of the selected integrations.
    pub(crate) async fn resolve(selected: &[&Configured], args: &RunArgs, keeper: &Keeper) -> Inputs {
        let resolved = lineman_config::resolve(selected, &ProcessEnvironment, args.run_timeout).await;
        let had = resolved.iter().filter_map(|(name, resolved)| Some((name.clone(), resolved.as_ref().ok()?)));
        let given = had.map(|(name, resolved)| (name, keeper.given(resolved))).collect();
        Inputs { resolved, given }
    }
}

/// Who is told what happens while it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Whoever looks at the terminal.
    People,
    /// Whoever reads events on standard output.
    Events,
    /// Nobody.
    Nobody,
}

/// Runs checks of the selected integrations.
pub(crate) async fn run(
    setup: &Setup,
    selected: &[&Configured],
    inputs: Inputs,
    selection: &Selection,
    args: &RunArgs,
    keeper: &Keeper,
    told: Told,
) -> Result<Report, Failure> {
    let Inputs { mut resolved, given } = inputs;
    let subjects = join_all(selected.iter().map(|configured| {
        let name = &configured.integration.name;
        let (inputs, fingerprints) = (resolved.remove(name), keeper.shown(given.get(name)));
        async move {
            let mut configured = (*configured).clone();
            let inputs = inputs.unwrap_or_else(|| Err(Vec::new())).map(|resolved| {
                configured.integration = resolved.integration;
                resolved.secrets
            });
            let description = setup.plugins.get(&configured.integration.provider);
            let usual = description.map(|it| hosts_of(it, &configured.integration)).unwrap_or_default();
            let policy = refused_endpoints(&configured.integration, &usual, &setup.config.policy.endpoints).await;
            setup.subject(&configured, inputs, policy, fingerprints)
        }
    }));
    let (subjects, seen) = join(subjects, seen_as(setup)).await;

    let host = Arc::new(Host::start(HostOptions::new(std::env::var("PATH").unwrap_or_default()))?);
    let providers: BTreeSet<&str> =
        selected.iter().map(|configured| configured.integration.provider.as_str()).collect();
    for id in providers {
        if let (Some(installed), Some(description)) = (setup.plugins.installed(id), setup.plugins.get(id)) {
            host.add(PluginSpec {
                installed: installed.clone(),
                max_parallel: description.max_parallel,
                programs: description.programs.clone(),
                environment: setup.granted(id),
                limits: setup.limits(id),
                paths: setup.readable(id, selected),
            });
        }
    }

    let plan = lineman_engine::plan(subjects, selection).map_err(Failure::refused)?;
    let limits = Limits { check: args.timeout, run: args.run_timeout, ..Limits::with_jobs(args.jobs.into()) };
    let progress = Progress::new(told == Told::People);
    let events = |event: Event| {
        progress.event(&event);
        if told == Told::Events {
            // A reader that is gone is noticed when the report is written.
            let _ = terminal::print(lineman_report::event(&event).as_bytes());
        }
    };
    let executor = Arc::new(Workers(Arc::clone(&host)));
    let mut report = lineman_engine::run(plan, executor, limits, info(setup, seen), events, interrupted()).await;
    let checks = report.integrations.iter_mut().flat_map(|integration| &mut integration.checks);
    checks.flat_map(|check| &mut check.findings).for_each(tell_what_to_do);
    match report.run.complete {
        true => host.stop().await,
        false => host.abandon().await,
    }
    Ok(report)
}

/// What the host finds says what is wrong; what to do about it says its catalog.
fn tell_what_to_do(finding: &mut Finding) {
    if finding.remedies.is_empty()
        && let Some(known) = Catalog::of_the_host().describe(&finding.code)
    {
        finding.remedies = known.remedies;
    }
}

/// Resolves when the user wants an end, or already did: from the first call on somebody listens, be
/// it between two runs.
pub(crate) async fn interrupted() {
    static ASKED: OnceLock<watch::Receiver<bool>> = OnceLock::new();
    let mut asked = ASKED.get_or_init(listen).clone();
    if asked.wait_for(|asked| *asked).await.is_err() {
        // Without a handler the system does what it always does.
        std::future::pending::<()>().await;
    }
}

fn listen() -> watch::Receiver<bool> {
    let (tell, asked) = watch::channel(false);
    // What a shell puts into the background is not to hear; with a handler it would.
    if !lineman_guard::is_ignored(Signal::INT.as_raw())
        && let Ok(mut interrupts) = signal(SignalKind::interrupt())
    {
        tokio::spawn(async move {
            interrupts.recv().await;
            tell.send_replace(true);
        });
    }
    asked
}

/// The address that the outside sees this run come from, where the configuration says whom to ask.
async fn seen_as(setup: &Setup) -> Option<IpAddr> {
    let url = setup.config.vantage.echo_url.as_ref()?;
    let limits = lineman_net::Limits { total: ECHO_PATIENCE, ..lineman_net::Limits::default() };
    lineman_net::seen_as(url, &lineman_config::from_environment(&ProcessEnvironment), &limits).await
}

fn info(setup: &Setup, seen: Option<IpAddr>) -> RunInfo {
    let vantage = &setup.config.vantage;
    let now = jiff::Timestamp::now();
    RunInfo {
        id: format!("{}-{}", now.strftime("%Y%m%dT%H%M%S%6fZ"), std::process::id()),
        vantage: Vantage {
            name: vantage.name.clone(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            proxy: proxy(),
            seen_ip: seen.map(|address| address.to_string()),
            unconfined: Confinement::of_this_machine().landlock().is_none(),
        },
        lineman_version: env!("CARGO_PKG_VERSION").to_owned(),
        suppressions: setup.suppressions(),
        platform: Platform { egress: vantage.egress_ips.clone(), asked: vantage.echo_url.is_some() },
    }
}

/// The proxy that the environment names, without its user and password.
fn proxy() -> Option<String> {
    let named = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())?;
    let (scheme, rest) = named.split_once("://").unwrap_or(("http", &named));
    let authority = rest.split('/').next()?;
    Some(format!("{scheme}://{}", authority.rsplit('@').next()?)).filter(|_| !authority.is_empty())
}

/// Writes a report to the files that were asked for.
pub(crate) fn save_all(common: &Common, outputs: &[(Format, PathBuf)], report: &Report) -> Result<(), Failure> {
    let plain = Style { colour: false, unicode: true, ..terminal::style(common) };
    for (format, path) in outputs {
        let mut bytes = Vec::new();
        lineman_report::render(report, *format, &plain, &mut bytes)?;
        save(path, &bytes)?;
    }
    Ok(())
}

/// Written beside and moved in place, so that whoever reads it never sees half of it.
fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let refused =
        |error: std::io::Error| Failure::refused(format_args!("{} cannot be written: {error}", path.display()));
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    fs::write(&beside, bytes).map_err(refused)?;
    fs::rename(&beside, path).map_err(refused)
}
