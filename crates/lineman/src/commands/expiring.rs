//! `lineman expiring`.

use jiff::{SignedDuration, Timestamp};
use lineman_history::{Due, Expiring};
use lineman_report::Style;

use crate::cli::{Common, ExpiringArgs, HumanOrJson};
use crate::commands::retest::saved;
use crate::failure::{Done, Failure};
use crate::keeper;
use crate::setup::Setup;
use crate::terminal;

/// The exit code when something is due.
const DUE: u8 = 1;

pub(crate) fn run(common: &Common, args: &ExpiringArgs) -> Done {
    let dates = match &args.from {
        Some(path) => Due::of_report(&saved(path)?),
        None => known(common, args)?,
    };
    let expiring = Expiring::of(dates, Timestamp::now(), args.within);
    let text = match args.format {
        HumanOrJson::Json => {
            serde_json::to_string_pretty(&expiring).map_err(|error| Failure::Internal(error.to_string()))? + "\n"
        }
        HumanOrJson::Human => human(&expiring, args.within, &terminal::style(common)),
    };
    terminal::print(text.as_bytes())?;
    Ok(if expiring.due.is_empty() { 0 } else { DUE })
}

/// The dates of the selected integrations; those of integrations that are configured no more are
/// nobody's.
fn known(common: &Common, args: &ExpiringArgs) -> Result<Vec<Due>, Failure> {
    let setup = Setup::load(common)?;
    let selected = setup.select(&args.which)?;
    let Some(mut dates) = keeper::kept(&setup.config)?.expiring(&keeper::identity(common))? else {
        return Err(Failure::refused(
            "no run of this configuration is known: run `lineman check` first, or give a saved report with `--from`",
        ));
    };
    dates.retain(|date| selected.iter().any(|it| it.integration.name == date.integration));
    Ok(dates)
}

fn human(expiring: &Expiring, within: SignedDuration, style: &Style) -> String {
    let days = match within.as_hours() / 24 {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    let mut text = match expiring.due.is_empty() {
        true => lineman_report::wrap(&format!("Nothing that is known ends within {days}."), 0, style),
        false => {
            let rows: Vec<Vec<String>> = expiring.due.iter().map(|due| row(due, expiring.now)).collect();
            lineman_report::table(&["ends", "on", "what", "integration"], &rows, 0, style)
        }
    };
    let later = match expiring.later {
        0 => "No later date is known".to_owned(),
        1 => "1 later date is known".to_owned(),
        more => format!("{more} later dates are known"),
    };
    let age = expiring.oldest.map(|at| format!("; the oldest was read {}", ago(at, expiring.now))).unwrap_or_default();
    text.push('\n');
    text + &lineman_report::wrap(&format!("{later}{age}."), 0, style)
}

fn row(due: &Due, now: Timestamp) -> Vec<String> {
    let days = due.at.duration_since(now).as_secs().div_euclid(86_400);
    let ends = match days {
        0 => "today".to_owned(),
        1 => "in 1 day".to_owned(),
        2.. => format!("in {days} days"),
        -1 => "1 day ago".to_owned(),
        _ => format!("{} days ago", days.unsigned_abs()),
    };
    vec![ends, due.at.strftime("%Y-%m-%d").to_string(), due.what.clone(), due.integration.clone()]
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    match now.duration_since(at).as_hours() {
        ..1 => "just now".to_owned(),
        1 => "an hour ago".to_owned(),
        hours @ 2..48 => format!("{hours} hours ago"),
        hours => format!("{} days ago", hours / 24),
    }
}
