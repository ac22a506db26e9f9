//! `lineman check`.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use lineman_config::{Configured, Deprecations, ProcessEnvironment};
use lineman_engine::{ExitCode, FailOn as EngineFailOn, Limits, Platform, RunInfo, Selection, exit_code, hosts_of};
use lineman_host::{Confinement, Host, HostOptions, PluginSpec, refused_endpoints};
use lineman_model::{Event, Report, Vantage};
use lineman_report::Format;

use crate::cli::{CheckArgs, Checks, Common, FailOn};
use crate::executor::Workers;
use crate::failure::{self, Done, Failure};
use crate::setup::Setup;
use crate::terminal::{self, Progress};

/// How long the echo endpoint is waited for, beside everything else that a run begins with.
const ECHO_PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn run(common: &Common, args: &CheckArgs) -> Done {
    let setup = Setup::load_to_run(common, args.trust)?;
    let selected = setup.select(&args.which)?;
    setup.admit(common, &selected)?;
    setup.warnings().iter().for_each(|warning| failure::warn(warning));
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Internal(error.to_string()))?;
    let mut deprecations = Deprecations::of(&setup.config, &selected, &setup.plugins);
    deprecations.named("--only", &args.checks.only);
    deprecations.named("--skip", &args.checks.skip);
    let report = runtime.block_on(check(&setup, &selected, args))?;
    // Whatever still waits on a blocking thread has nothing to say any more.
    runtime.shutdown_background();
    write(common, args, &report)?;
    deprecations.found(&report);
    deprecations.notes().iter().for_each(|note| failure::warn(note));
    let fail_on = match args.fail_on {
        FailOn::Fail => EngineFailOn::Fail,
        FailOn::Warn => EngineFailOn::Warn,
    };
    let code = if args.exit_zero { ExitCode::Ok } else { exit_code(&report, fail_on) };
    Ok(code.code())
}

/// What `--only`, `--skip` and `--level` say, as the engine takes it.
pub(crate) fn selection(checks: &Checks) -> Selection {
    Selection { only: checks.only.clone(), skip: checks.skip.clone(), level: checks.level }
}

pub(crate) async fn check(setup: &Setup, selected: &[&Configured], args: &CheckArgs) -> Result<Report, Failure> {
    let inputs = lineman_config::resolve(selected, &ProcessEnvironment, args.run_timeout);
    let (mut resolved, seen) = join(inputs, seen_as(setup)).await;
    let subjects = join_all(selected.iter().map(|configured| {
        let inputs = resolved.remove(&configured.integration.name);
        async move {
            let mut configured = (*configured).clone();
            let inputs = inputs.unwrap_or_else(|| Err(Vec::new())).map(|resolved| {
                configured.integration = resolved.integration;
                resolved.secrets
            });
            let description = setup.plugins.get(&configured.integration.provider);
            let usual = description.map(|it| hosts_of(it, &configured.integration)).unwrap_or_default();
            let policy = refused_endpoints(&configured.integration, &usual, &setup.config.policy.endpoints).await;
            setup.subject(&configured, inputs, policy)
        }
    }))
    .await;

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

    let plan = lineman_engine::plan(subjects, &selection(&args.checks)).map_err(Failure::refused)?;
    let limits = Limits { check: args.timeout, run: args.run_timeout, ..Limits::with_jobs(args.jobs.into()) };
    let progress = Progress::new(args.format == Format::Human);
    let stream = args.format == Format::Ndjson;
    let events = |event: Event| {
        progress.event(&event);
        if stream {
            // A reader that is gone is noticed when the report is written.
            let _ = terminal::print(lineman_report::event(&event).as_bytes());
        }
    };
    let executor = Arc::new(Workers(Arc::clone(&host)));
    let report = lineman_engine::run(plan, executor, limits, info(setup, seen), events, interrupted()).await;
    match report.run.complete {
        true => host.stop().await,
        false => host.abandon().await,
    }
    Ok(report)
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler the system's own ends the process.
        std::future::pending::<()>().await;
    }
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

fn write(common: &Common, args: &CheckArgs, report: &Report) -> Result<(), Failure> {
    let style = terminal::style(common);
    for (format, path) in &args.output {
        let plain = lineman_report::Style { colour: false, unicode: true, ..style };
        let mut bytes = Vec::new();
        lineman_report::render(report, *format, &plain, &mut bytes)?;
        save(path, &bytes)?;
    }
    if args.format != Format::Ndjson {
        let mut bytes = Vec::new();
        lineman_report::render(report, args.format, &style, &mut bytes)?;
        terminal::print(&bytes)?;
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
