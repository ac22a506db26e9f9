//! `lineman plan`.

use std::collections::BTreeMap;

use lineman_engine::{IntegrationPlan, PlanView};
use lineman_model::SecretMap;
use lineman_report::{Style, table};

use crate::cli::{Common, HumanOrJson, PlanArgs};
use crate::commands::check::selection;
use crate::failure::{Done, Failure};
use crate::setup::Setup;
use crate::terminal;

pub(crate) fn run(common: &Common, args: &PlanArgs) -> Done {
    let setup = Setup::load(common)?;
    let selected = setup.select(&args.which)?;
    // Planning is offline: secrets are not looked at, names are not resolved.
    let subjects = selected
        .into_iter()
        .map(|configured| setup.subject(configured, Ok(SecretMap::default()), Vec::new(), BTreeMap::new()));
    let plan = lineman_engine::plan(subjects, &selection(&args.checks)).map_err(Failure::refused)?;
    let view = plan.view();
    let text = match args.format {
        HumanOrJson::Json => {
            serde_json::to_string_pretty(&view).map_err(|error| Failure::Internal(error.to_string()))? + "\n"
        }
        HumanOrJson::Human => human(&view, &terminal::style(common)),
    };
    terminal::print(text.as_bytes())?;
    Ok(0)
}

fn human(view: &PlanView, style: &Style) -> String {
    let parts: Vec<String> = view.integrations.iter().map(|integration| one(integration, style)).collect();
    parts.join("\n")
}

fn one(integration: &IntegrationPlan, style: &Style) -> String {
    let mut text = lineman_report::wrap(&format!("{} ({})", integration.name, integration.provider), 0, style);
    for problem in &integration.problems {
        text += &lineman_report::wrap(&problem.message, 2, style);
    }
    if !integration.hosts.is_empty() {
        text += &lineman_report::wrap(&format!("talks to {}", integration.hosts.join(", ")), 2, style);
    }
    let rows: Vec<Vec<String>> = integration
        .checks
        .iter()
        .map(|check| {
            let calls: Vec<&str> = check.calls.iter().map(|call| call.call.as_str()).collect();
            let notes = match &check.skip {
                Some(skip) => format!("not run: {}", skip.why.as_deref().unwrap_or(skip.reason.as_str())),
                None if check.writes => "writes".to_owned(),
                None if !check.required => "optional".to_owned(),
                None => String::new(),
            };
            vec![check.level.to_string(), check.id.clone(), calls.join(", "), notes]
        })
        .collect();
    text + &table(&["level", "check", "calls", ""], &rows, 2, style)
}
