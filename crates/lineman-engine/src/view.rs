use lineman_model::{Finding, Level, PluginRef, ProviderCall, Skip};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Plan;
use crate::plan::{Line, Step, Work};

/// The name and version of the plan's format.
pub const PLAN_SCHEMA: &str = "lineman.plan/1";

/// What a run would do: nothing here was tried.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PlanView {
    /// [`PLAN_SCHEMA`].
    pub schema: &'static str,
    /// Integrations, by name.
    pub integrations: Vec<IntegrationPlan>,
}

/// What a run would do for one integration.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct IntegrationPlan {
    /// Its name.
    pub name: String,
    /// Id of the provider.
    pub provider: String,
    /// The plugin that would check it.
    pub plugin: PluginRef,
    /// The hosts and ports that would be talked to. A setting that is not set stays in braces.
    pub hosts: Vec<String>,
    /// What is known already and would stop the run short.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub problems: Vec<Finding>,
    /// The plugin's checks, in order.
    pub checks: Vec<CheckPlan>,
}

/// What a run would do with one check.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CheckPlan {
    /// `<plugin>/<kebab-case>`.
    pub id: String,
    /// What it proves.
    pub title: String,
    /// How far up the line.
    pub level: Level,
    /// Whether it counts for the verdict.
    pub required: bool,
    /// Whether it changes something at the provider.
    pub writes: bool,
    /// The checks that must hold first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub needs: Vec<String>,
    /// What it asks of the provider, and the permissions it needs for that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub calls: Vec<ProviderCall>,
    /// Why it would not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
}

impl PlanView {
    pub(crate) fn of(plan: &Plan) -> PlanView {
        PlanView { schema: PLAN_SCHEMA, integrations: plan.lines.iter().map(integration).collect() }
    }
}

fn integration(line: &Line) -> IntegrationPlan {
    let problems = line.steps.iter().flat_map(|step| match &step.work {
        Work::Known { findings, .. } => findings.as_slice(),
        Work::Asked { .. } => &[],
    });
    IntegrationPlan {
        name: line.integration.name.clone(),
        provider: line.integration.provider.clone(),
        plugin: line.plugin.clone(),
        hosts: line.hosts.clone(),
        problems: problems.cloned().collect(),
        checks: line.steps.iter().filter(|step| matches!(step.work, Work::Asked { .. })).map(check).collect(),
    }
}

fn check(step: &Step) -> CheckPlan {
    let info = step.info();
    CheckPlan {
        id: info.id.clone(),
        title: info.title.clone(),
        level: info.level,
        required: info.required,
        writes: info.writes,
        needs: info.needs.clone(),
        calls: info.calls.clone(),
        skip: step.left_out.clone(),
    }
}
