use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lineman_model::{Blocking, Cause, CheckInfo, Description, Finding, Integration, Level, PluginRef, Skip};

use crate::selection::position;
use crate::{PlanError, PlanView, Selection, Subject, Unavailable, hosts};

/// The engine's own first check of every integration: its secrets resolve and its endpoints are
/// allowed. Every check of the plugin needs it: without secrets there is nothing to hand over,
/// and secrets are not handed over for endpoints that are refused.
pub const INPUTS: &str = "lineman/inputs";

/// The engine's own only check of an integration whose plugin could not be had.
pub const PLUGIN: &str = "lineman/plugin";

/// What a run will do. Made by [`plan()`], shown by [`Plan::view`], carried out by [`run`](crate::run()).
#[derive(Debug)]
pub struct Plan {
    pub(crate) lines: Vec<Line>,
}

/// One integration and the way up its line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) integration: Integration,
    pub(crate) plugin: PluginRef,
    /// In the plugin's order, the engine's own check first.
    pub(crate) steps: Vec<Step>,
    /// The hosts that it talks to, as far as the description tells.
    pub(crate) hosts: Vec<String>,
    /// How many calls its plugin takes at once.
    pub(crate) max_parallel: usize,
    /// The fingerprints of its secrets, by name.
    pub(crate) fingerprints: BTreeMap<String, String>,
}

/// One check of a line.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) work: Work,
    /// Set when it was never asked for.
    pub(crate) left_out: Option<Skip>,
    /// Positions of the steps that must hold first. None of them is left out: where a need is,
    /// the needs of that need stand in for it.
    pub(crate) needs: Vec<usize>,
    /// Whether it was asked for by name.
    pub(crate) named: bool,
}

/// Who does the work of a step.
#[derive(Debug)]
pub(crate) enum Work {
    /// The engine: the result is known.
    Known { info: CheckInfo, findings: Vec<Finding>, holds: bool },
    /// The plugin, for the check at a position of its description.
    Asked { subject: Arc<Subject>, check: usize },
}

impl Step {
    pub(crate) fn info(&self) -> &CheckInfo {
        match &self.work {
            Work::Known { info, .. } => info,
            Work::Asked { subject, check } => &subject.description.checks[*check],
        }
    }

    /// The subject that the plugin is asked about.
    pub(crate) fn subject(&self) -> Option<&Arc<Subject>> {
        match &self.work {
            Work::Known { .. } => None,
            Work::Asked { subject, .. } => Some(subject),
        }
    }

    fn known(id: &str, title: &str, findings: Vec<Finding>, holds: bool) -> Step {
        let info = CheckInfo {
            id: id.to_owned(),
            title: title.to_owned(),
            level: Level::Config,
            needs: Vec::new(),
            required: true,
            writes: false,
            explains: false,
            blocking: Blocking::No,
            calls: Vec::new(),
            deprecated: false,
            replaced_by: None,
        };
        Step { work: Work::Known { info, findings, holds }, left_out: None, needs: Vec::new(), named: false }
    }
}

/// Decides which checks run for which integration, in what order.
///
/// A description that contradicts itself (a need that does not exist, a circle of needs, an id
/// declared twice) costs its own integrations only: they become unavailable.
///
/// # Errors
///
/// When the selection names a check that no plugin of these integrations has.
pub fn plan(
    subjects: impl IntoIterator<Item = Result<Subject, Box<Unavailable>>>,
    selection: &Selection,
) -> Result<Plan, PlanError> {
    let subjects: Vec<_> = subjects.into_iter().map(|subject| subject.and_then(sound)).collect();

    let descriptions = subjects.iter().flatten().map(|subject| &subject.description);
    let known: BTreeSet<&str> = descriptions.flat_map(|it| &it.checks).map(|check| check.id.as_str()).collect();
    let unread = subjects.iter().filter_map(|subject| subject.as_ref().err());
    let unread: Vec<&str> = unread.map(|gone| gone.integration.provider.as_str()).collect();
    selection.validate(&known.into_iter().collect::<Vec<_>>(), &unread)?;

    let mut lines: Vec<Line> = subjects.into_iter().filter_map(|subject| line(subject, selection)).collect();
    lines.sort_by(|a, b| a.integration.name.cmp(&b.integration.name));
    Ok(Plan { lines })
}

impl Plan {
    /// What the run will do, for reading.
    pub fn view(&self) -> PlanView {
        PlanView::of(self)
    }

    /// How many integrations it checks.
    pub fn integrations(&self) -> usize {
        self.lines.len()
    }

    /// How many checks it runs, if nothing stands in their way.
    pub fn checks(&self) -> usize {
        self.lines.iter().flat_map(|line| &line.steps).filter(|step| step.left_out.is_none()).count()
    }
}

fn line(subject: Result<Subject, Box<Unavailable>>, selection: &Selection) -> Option<Line> {
    match subject {
        Ok(subject) => {
            let selection = selection.of(&subject.integration.name);
            selection.wants_any(&subject.description.checks).then(|| available(subject, &selection))
        }
        Err(gone) => selection.may_want(&gone.integration.provider).then(|| unavailable(*gone)),
    }
}

fn available(subject: Subject, selection: &Selection) -> Line {
    let subject = Arc::new(subject);
    let checks = &subject.description.checks;
    let left_out = selection.apply(checks, &subject.writes);

    let objections = subject.objections().cloned().collect();
    let title = "Secrets resolve and the endpoints are allowed";
    let mut steps = vec![Step::known(INPUTS, title, objections, subject.is_admitted())];
    for (check, skip) in left_out.iter().enumerate() {
        let needs = match checks[check].explains {
            true => (0..checks.len()).filter(|&other| !checks[other].explains && left_out[other].is_none()).collect(),
            false => standing_needs(checks, &left_out, check),
        };
        steps.push(Step {
            work: Work::Asked { subject: Arc::clone(&subject), check },
            left_out: skip.clone(),
            // The plugin's checks come after the engine's own, which each of them needs.
            needs: [0].into_iter().chain(needs.into_iter().map(|need| need + 1)).collect(),
            named: selection.names(&checks[check]),
        });
    }
    Line {
        integration: subject.integration.clone(),
        plugin: subject.plugin.clone(),
        steps,
        hosts: hosts::of(&subject.description, &subject.integration),
        max_parallel: usize::try_from(subject.description.max_parallel).unwrap_or(usize::MAX),
        fingerprints: subject.fingerprints.clone(),
    }
}

fn unavailable(gone: Unavailable) -> Line {
    Line {
        integration: gone.integration,
        plugin: gone.plugin,
        steps: vec![Step::known(PLUGIN, "The plugin can be used", vec![gone.finding], false)],
        hosts: Vec::new(),
        max_parallel: 1,
        fingerprints: BTreeMap::new(),
    }
}

/// The needs of a check that run, looking through those that are left out.
fn standing_needs(checks: &[CheckInfo], left_out: &[Option<Skip>], check: usize) -> BTreeSet<usize> {
    let needs = |at: usize| checks[at].needs.iter().filter_map(|need| position(checks, need));
    let mut standing = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<usize> = needs(check).collect();
    while let Some(need) = open.pop() {
        if !seen.insert(need) {
            continue;
        }
        match left_out[need] {
            None => _ = standing.insert(need),
            Some(_) => open.extend(needs(need)),
        }
    }
    standing
}

fn sound(subject: Subject) -> Result<Subject, Box<Unavailable>> {
    match contradiction(&subject.description) {
        None => Ok(subject),
        Some(problem) => {
            let plugin = &subject.description.id;
            let message = format!("the plugin `{plugin}` contradicts itself: {problem}");
            let finding = Finding::new("lineman/bad-description", Cause::PluginBadOutput, message);
            Err(Box::new(Unavailable { integration: subject.integration, plugin: subject.plugin, finding }))
        }
    }
}

fn contradiction(description: &Description) -> Option<String> {
    let checks = &description.checks;
    let mut ids = BTreeSet::from([INPUTS, PLUGIN]);
    if let Some(twice) = checks.iter().find(|check| !ids.insert(&check.id)) {
        return Some(format!("the check `{}` is declared twice", twice.id));
    }
    for check in checks {
        if let Some(need) = check.needs.iter().find(|need| position(checks, need).is_none()) {
            return Some(format!("the check `{}` needs `{need}`, which does not exist", check.id));
        }
    }
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    while settled.len() < checks.len() {
        let ready = |check: &&CheckInfo| {
            !settled.contains(check.id.as_str()) && check.needs.iter().all(|need| settled.contains(need.as_str()))
        };
        let ready: Vec<&str> = checks.iter().filter(ready).map(|check| check.id.as_str()).collect();
        if ready.is_empty() {
            let stuck = checks.iter().find(|check| !settled.contains(check.id.as_str()));
            return Some(format!("the check `{}` needs itself", stuck.map_or("", |check| &check.id)));
        }
        settled.extend(ready);
    }
    None
}
