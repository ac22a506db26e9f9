//! Events, one JSON object per line.

use std::io;

use lineman_model::{Event, Report};
use serde_json::Value;

use crate::{Style, json};

/// An event as one line of JSON, its line end included.
pub fn event(event: &Event) -> String {
    json::line(event)
}

/// The JSON Schema of one line.
pub fn event_schema() -> Value {
    schemars::schema_for!(Event).to_value()
}

/// A finished run, told again: the events that a run leaves behind, in the order of the report.
pub(crate) fn render(report: &Report, _: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let checks = report.summary.checks.total();
    let mut tell = |event: Event| out.write_all(json::line(&event).as_bytes());
    tell(Event::RunStarted { run: report.run.clone(), integrations: report.integrations.len(), checks })?;
    for integration in &report.integrations {
        for check in &integration.checks {
            let check = Box::new(check.clone());
            tell(Event::CheckFinished { integration: integration.name.clone(), check })?;
        }
        tell(Event::IntegrationFinished { integration: Box::new(integration.clone()) })?;
    }
    tell(Event::RunFinished { report: Box::new(report.clone()) })
}
