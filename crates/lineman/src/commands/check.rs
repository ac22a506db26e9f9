//! `lineman check`.

use lineman_config::Deprecations;
use lineman_engine::{ExitCode, FailOn as EngineFailOn, Selection, exit_code};
use lineman_model::Report;
use lineman_report::Format;

use crate::cli::{CheckArgs, Checks, Common, FailOn};
use crate::failure::{self, Done, Failure};
use crate::keeper::Keeper;
use crate::running::{self, Inputs, Told};
use crate::setup::Setup;
use crate::terminal;

pub(crate) fn run(common: &Common, args: &CheckArgs) -> Done {
    let setup = Setup::load_to_run(common, args.trust)?;
    let selected = setup.select(&args.which)?;
    setup.admit(common, &selected)?;
    setup.warnings().iter().for_each(|warning| failure::warn(warning));
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Internal(error.to_string()))?;
    let mut deprecations = Deprecations::of(&setup.config, &selected, &setup.plugins);
    deprecations.named("--only", &args.checks.only);
    deprecations.named("--skip", &args.checks.skip);
    let told = match args.format {
        Format::Human => Told::People,
        Format::Ndjson => Told::Events,
        _ => Told::Nobody,
    };
    let (keeper, given, report) = runtime.block_on(async {
        let keeper = Keeper::for_run(common, &setup.config, &args.run).await;
        let inputs = Inputs::resolve(&selected, &args.run, &keeper).await;
        let (given, selection) = (inputs.given.clone(), selection(&args.checks));
        let report = running::run(&setup, &selected, inputs, &selection, &args.run, &keeper, told).await?;
        Ok::<_, Failure>((keeper, given, report))
    })?;
    // Whatever still waits on a blocking thread has nothing to say any more.
    runtime.shutdown_background();
    let written = write(common, args, &report);
    keeper.keep(&report, &given);
    written?;
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
    Selection { only: checks.only.clone(), skip: checks.skip.clone(), level: checks.level, ..Selection::default() }
}

fn write(common: &Common, args: &CheckArgs, report: &Report) -> Result<(), Failure> {
    running::save_all(common, &args.output, report)?;
    if args.format != Format::Ndjson {
        let mut bytes = Vec::new();
        lineman_report::render(report, args.format, &terminal::style(common), &mut bytes)?;
        terminal::print(&bytes)?;
    }
    Ok(())
}
