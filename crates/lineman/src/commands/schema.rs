//! `lineman schema`.

use lineman_catalog::Explanation;
use lineman_conformance::Verification;
use lineman_engine::PlanView;
use lineman_history::{Expiring, Retest, Stories};
use lineman_model::Description;
use schemars::schema_for;
use serde_json::Value;

use crate::cli::{Common, SchemaOf};
use crate::failure::{Done, Failure};
use crate::setup::Plugins;
use crate::terminal;

pub(crate) fn run(common: &Common, of: SchemaOf) -> Done {
    let schema = match of {
        SchemaOf::Config => config(common)?,
        SchemaOf::Report => lineman_report::schema(),
        SchemaOf::Event => lineman_report::event_schema(),
        SchemaOf::Plan => schema_for!(PlanView).into(),
        SchemaOf::Retest => schema_for!(Retest).into(),
        SchemaOf::History => schema_for!(Stories).into(),
        SchemaOf::Expiring => schema_for!(Expiring).into(),
        SchemaOf::Explanation => schema_for!(Explanation).into(),
        SchemaOf::Verification => schema_for!(Verification).into(),
    };
    terminal::print(format!("{schema:#}\n").as_bytes())?;
    Ok(0)
}

/// With the settings of the plugins that are enabled; of all that are installed where there is no
/// configuration yet.
fn config(common: &Common) -> Result<Value, Failure> {
    let mut plugins = Plugins::find(common);
    if common.config.exists() {
        plugins.read(&lineman_config::enabled(&common.config)?)?;
    } else {
        plugins.read_all();
    }
    let descriptions: Vec<&Description> = plugins.descriptions().map(|description| &**description).collect();
    Ok(lineman_config::schema(&descriptions))
}
