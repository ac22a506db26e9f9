//! `lineman retest`.

mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use lineman_catalog::Catalog;
use lineman_config::Configured;
use lineman_engine::{ExitCode, FailOn, Selection, exit_code};
use lineman_history::{Given, Known, Retest, Retested, Spread, awaits_a_credential, compare, merged, passes};
use lineman_model::{Cause, IntegrationReport, Report};

use crate::cli::{Common, HumanOrJson, RetestArgs};
use crate::commands::render;
use crate::failure::{self, Done, Failure};
use crate::keeper::{self, Keeper};
use crate::running::{self, Inputs, Told, interrupted};
use crate::setup::Setup;
use crate::terminal;

pub(crate) fn run(common: &Common, args: &RetestArgs) -> Done {
    let setup = Setup::load_to_run(common, args.trust)?;
    let selected = setup.select(&args.which)?;
    let known = match &args.from {
        Some(path) => Known::of_report(&saved(path)?),
        None => keeper::kept(&setup.config)?.known(&keeper::identity(common))?,
    };
    let again = again(&setup, &selected, &known)?;
    if again.is_empty() {
        show(common, args, &Retest::new(0, Vec::new(), None))?;
        return Ok(ExitCode::Ok.code());
    }
    let targets: Vec<&Configured> =
        selected.into_iter().filter(|it| again.contains_key(&it.integration.name)).collect();
    setup.admit(common, &targets)?;
    setup.warnings().iter().for_each(|warning| failure::warn(warning));
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Internal(error.to_string()))?;
    let attempts = runtime.block_on(Attempts::make(common, args, &setup, &targets, again))?;
    runtime.shutdown_background();
    let (count, interrupted) = (attempts.count, attempts.interrupted);
    let mut retested = Vec::new();
    let report = merged(attempts.reports).ok_or_else(|| Failure::Internal("nothing ran".to_owned()))?;
    for mut one in compare(&known, &report.integrations, &attempts.given, report.run.finished_at) {
        if let Some((at, after)) = attempts.passed.get(&one.name).filter(|_| args.until_pass) {
            (one.passed_at, one.passed_after_ms) = (Some(*at), Some(*after));
        }
        one.spread = spread(&setup, &one);
        retested.push(one);
    }
    running::save_all(common, &args.output, &report)?;
    let code = if interrupted { ExitCode::Interrupted } else { exit_code(&report, FailOn::Fail) };
    show(common, args, &Retest::new(count, retested, Some(report)))?;
    Ok(code.code())
}

/// A saved report.
pub(crate) fn saved(path: &Path) -> Result<Report, Failure> {
    let name = path.display();
    let bytes = render::read(path).map_err(|error| Failure::refused(format_args!("{name} cannot be read: {error}")))?;
    lineman_report::read(&bytes).map_err(|error| Failure::refused(format_args!("{name}: {error}")))
}

/// The checks to run again, by integration. Warnings are tested again where nothing is worse.
fn again(
    setup: &Setup,
    selected: &[&Configured],
    known: &BTreeMap<String, Known>,
) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let name = |it: &&&Configured| it.integration.name.clone();
    let (checked, unchecked): (Vec<_>, Vec<_>) =
        selected.iter().partition(|it| known.contains_key(&it.integration.name));
    if checked.is_empty() {
        return Err(Failure::refused(
            "no earlier run is known: run `lineman check` first, or give a saved report with `--from`",
        ));
    }
    if !unchecked.is_empty() {
        let names: Vec<String> = unchecked.iter().map(name).collect();
        failure::note(&format!("never checked, so not tested again: {}", names.join(", ")));
    }
    let warned = !checked.iter().any(|it| known[&it.integration.name].is_broken());
    let mut again = BTreeMap::new();
    for configured in checked {
        let (integration, known) = (&configured.integration, &known[&configured.integration.name]);
        match setup.plugins.get(&integration.provider) {
            Some(plugin) => {
                let checks = known.again(&plugin.checks, warned);
                if !checks.is_empty() {
                    again.insert(integration.name.clone(), checks);
                }
            }
            // What there is to run is not known until its plugin can be used.
            None if known.is_broken() => _ = again.insert(integration.name.clone(), Vec::new()),
            None => {}
        }
    }
    Ok(again)
}

/// What came of trying, once or until everything passes.
struct Attempts<'a> {
    args: &'a RetestArgs,
    again: BTreeMap<String, Vec<String>>,
    started: Instant,
    until: Instant,
    count: u32,
    /// Of every attempt, in order.
    reports: Vec<Report>,
    /// The fingerprints of the last attempt of each integration.
    given: BTreeMap<String, Given>,
    /// When each was seen to pass, and how many milliseconds after the first attempt began.
    passed: BTreeMap<String, (Timestamp, u64)>,
    interrupted: bool,
}

impl<'a> Attempts<'a> {
    async fn make(
        common: &Common,
        args: &'a RetestArgs,
        setup: &Setup,
        targets: &[&Configured],
        again: BTreeMap<String, Vec<String>>,
    ) -> Result<Attempts<'a>, Failure> {
        let keeper = Keeper::for_run(common, &setup.config, &args.run).await;
        let started = Instant::now();
        let mut attempts = Attempts {
            args,
            again,
            started,
            until: started.checked_add(args.patience).unwrap_or(started),
            count: 0,
            reports: Vec::new(),
            given: BTreeMap::new(),
            passed: BTreeMap::new(),
            interrupted: false,
        };
        let mut open: Vec<&Configured> = targets.to_vec();
        loop {
            let inputs = Inputs::resolve(&open, &args.run, &keeper).await;
            let (now, later) = attempts.sort_out(setup, &open, &inputs);
            if !now.is_empty() {
                attempts.one(setup, &now, inputs, &keeper).await?;
            }
            open.retain(|it| !attempts.passed.contains_key(&it.integration.name));
            if attempts.interrupted || open.is_empty() || !attempts.may_go_on() {
                return Ok(attempts);
            }
            attempts.announce(&open, &later);
            tokio::select! {
                () = tokio::time::sleep(args.every) => {}
                () = interrupted() => {
                    attempts.interrupted = true;
                    return Ok(attempts);
                }
            }
        }
    }

    /// Which of the integrations are tried now, and which wait for another credential: providers
    /// count rejected attempts, and lock accounts.
    fn sort_out<'c>(
        &self,
        setup: &Setup,
        open: &[&'c Configured],
        inputs: &Inputs,
    ) -> (Vec<&'c Configured>, Vec<&'c Configured>) {
        let spreads = |it: &IntegrationReport| {
            let catalog = catalog(setup, &it.provider);
            move |cause: &Cause| catalog.as_ref().is_some_and(|catalog| catalog.propagation(cause).is_some())
        };
        let same = |name: &String| match (self.given.get(name), inputs.given.get(name)) {
            (Some(before), Some(now)) => before.secrets == now.secrets,
            _ => false,
        };
        open.iter().partition(|it| {
            let name = &it.integration.name;
            !(same(name) && self.last(name).is_some_and(|last| awaits_a_credential(last, spreads(last))))
        })
    }

    async fn one(
        &mut self,
        setup: &Setup,
        targets: &[&Configured],
        inputs: Inputs,
        keeper: &Keeper,
    ) -> Result<(), Failure> {
        let names: BTreeSet<&String> = targets.iter().map(|it| &it.integration.name).collect();
        let given: BTreeMap<String, Given> = inputs
            .given
            .iter()
            .filter(|(name, _)| names.contains(name))
            .map(|(name, it)| (name.clone(), it.clone()))
            .collect();
        let selection = Selection { only_of: self.again.clone(), ..Selection::default() };
        let told = if self.args.format == HumanOrJson::Human { Told::People } else { Told::Nobody };
        let report = running::run(setup, targets, inputs, &selection, &self.args.run, keeper, told).await?;
        keeper.keep(&report, &given);
        self.count += 1;
        self.interrupted = !report.run.complete;
        // One whose secrets could not be had has none to compare with.
        names.into_iter().for_each(|name| _ = self.given.remove(name));
        self.given.extend(given);
        let after = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        for passing in report.integrations.iter().filter(|it| passes(it)) {
            self.passed.insert(passing.name.clone(), (report.run.finished_at, after));
        }
        self.reports.push(report);
        Ok(())
    }

    fn may_go_on(&self) -> bool {
        self.args.until_pass && Instant::now().checked_add(self.args.every).is_some_and(|next| next <= self.until)
    }

    /// Says what is still open, and what waits for another credential.
    fn announce(&self, open: &[&Configured], later: &[&Configured]) {
        let cause = |name: &String| {
            let of_it = self.last(name)?.findings().find(|finding| !finding.status().is_good());
            of_it.map(|finding| finding.cause.clone())
        };
        let said = |it: &&Configured| {
            let name = &it.integration.name;
            let waits = later.iter().any(|later| later.integration.name == *name);
            match cause(name) {
                Some(cause) if waits => format!("{name} (not tried: {cause}, and the credential is the same)"),
                Some(cause) => format!("{name} ({cause})"),
                None => name.clone(),
            }
        };
        let open: Vec<String> = open.iter().map(said).collect();
        let left = SignedDuration::try_from(self.until.saturating_duration_since(Instant::now())).unwrap_or_default();
        let until = Timestamp::now().checked_add(left).unwrap_or(Timestamp::MAX);
        failure::note(&format!(
            "after {}: still open: {}; again in {}, until {} UTC",
            if self.count == 1 { "1 attempt".to_owned() } else { format!("{} attempts", self.count) },
            open.join(", "),
            shown::span(self.args.every),
            until.strftime("%H:%M:%S"),
        ));
    }

    /// What the last attempt says of an integration.
    fn last(&self, name: &str) -> Option<&IntegrationReport> {
        self.reports.iter().rev().flat_map(|report| &report.integrations).find(|it| it.name == name)
    }
}

/// What the plugin knows of how long a change takes that mends the cause.
fn spread(setup: &Setup, retested: &Retested) -> Option<Spread> {
    let mended = retested.cause.as_ref().or(retested.cause_before.as_ref())?;
    let catalog = catalog(setup, &retested.provider)?;
    let known = catalog.propagation(mended)?;
    Some(Spread { says: known.says.clone(), docs: known.docs.clone() })
}

fn catalog(setup: &Setup, provider: &str) -> Option<Catalog> {
    let description = setup.plugins.get(provider)?;
    Catalog::from_value(&description.id, &description.catalog).ok()
}

fn show(common: &Common, args: &RetestArgs, retest: &Retest) -> Result<(), Failure> {
    let text = match args.format {
        HumanOrJson::Json => {
            serde_json::to_string_pretty(retest).map_err(|error| Failure::Internal(error.to_string()))? + "\n"
        }
        HumanOrJson::Human => shown::human(retest, &terminal::style(common)),
    };
    Ok(terminal::print(text.as_bytes())?)
}
