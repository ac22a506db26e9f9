use std::sync::{Mutex, OnceLock};

use futures_util::stream::{FuturesUnordered, StreamExt};
use lineman_model::protocol::CheckOutcome;
use lineman_model::{Cause, CheckInfo, CheckReport, Event, Finding, IntegrationReport, Skip, SkipReason, Status};
use tokio::time::timeout;

use crate::findings::{complete, truth};
use crate::plan::{Line, Step, Work};
use crate::run::{GRACE, Shared};
use crate::stopwatch::{Stopwatch, lock};
use crate::tries::Tries;
use crate::{causes, verdict};

/// A check that is over.
#[derive(Clone)]
pub(crate) struct Done {
    pub(crate) report: CheckReport,
    /// What its plugin said at the end.
    pub(crate) outcome: CheckOutcome,
    pub(crate) bearing: Bearing,
    /// Whether its findings explain those of the others.
    pub(crate) explains: bool,
}

/// What a check that is over means to the checks that need it and to its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearing {
    /// It holds.
    Holds,
    /// There was nothing to prove for this integration.
    Idle,
    /// It was not asked for.
    LeftOut,
    /// It does not hold, or was kept from showing that it does.
    Broken,
}

impl Done {
    /// A check that did not run.
    pub(crate) fn skipped(info: &CheckInfo, skip: Skip) -> Done {
        let bearing = match skip.reason {
            SkipReason::NotApplicable | SkipReason::MissingInput => Bearing::Idle,
            SkipReason::NotRequested => Bearing::LeftOut,
            SkipReason::Blocked | SkipReason::Policy | SkipReason::Cancelled => Bearing::Broken,
        };
        let report = CheckReport { skip: Some(skip), ..report(info, Status::Skip, Vec::new()) };
        Done { report, outcome: CheckOutcome::default(), bearing, explains: info.explains }
    }

    /// A check that ran, with its completed findings.
    pub(crate) fn ran(info: &CheckInfo, findings: Vec<Finding>, outcome: CheckOutcome) -> Done {
        let bearing = if truth(&findings).is_good() { Bearing::Holds } else { Bearing::Broken };
        Done { report: report(info, Status::of(&findings), findings), outcome, bearing, explains: info.explains }
    }
}

fn report(info: &CheckInfo, status: Status, findings: Vec<Finding>) -> CheckReport {
    CheckReport {
        id: info.id.clone(),
        title: info.title.clone(),
        level: info.level,
        required: info.required,
        status,
        duration_ms: 0,
        attempts: Vec::new(),
        phases: Vec::new(),
        skip: None,
        findings,
    }
}

/// One integration's way up its line.
///
/// What is over is kept outside the futures that do the work, so that they can be dropped at any
/// time and nothing that was seen is lost.
pub(crate) struct Walk<'a> {
    line: &'a Line,
    /// The line's place in the plan.
    number: usize,
    shared: &'a Shared<'a>,
    stopwatch: Stopwatch,
    /// One place for each step.
    done: Mutex<Vec<Option<Done>>>,
    report: OnceLock<IntegrationReport>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(number: usize, line: &'a Line, shared: &'a Shared<'a>) -> Walk<'a> {
        let done = Mutex::new(vec![None; line.steps.len()]);
        Walk { line, number, shared, stopwatch: Stopwatch::default(), done, report: OnceLock::new() }
    }

    /// Runs every step as soon as its needs are over, then ends the session.
    pub(crate) async fn run(&self) {
        let mut waiting: Vec<usize> = (0..self.line.steps.len()).collect();
        let mut running = FuturesUnordered::new();
        loop {
            // Steps that are decided without asking anyone may make others ready: look again.
            while let Some(ready) = waiting.iter().position(|&at| self.is_ready(at)) {
                let at = waiting.remove(ready);
                match self.decide(at) {
                    Decision::Over(done) => self.settle(at, *done),
                    Decision::Ask(tries) => running.push(async move { (at, tries.run().await) }),
                }
            }
            match running.next().await {
                Some((at, done)) => self.settle(at, done),
                None => break,
            }
        }
        self.report.get_or_init(|| self.sum_up());
        self.close().await;
    }

    /// What the walk came to. Steps that are not over were cut off by an interruption.
    pub(crate) fn finish(mut self) -> IntegrationReport {
        if let Some(report) = self.report.take() {
            return report;
        }
        for at in 0..self.line.steps.len() {
            let open = lock(&self.done)[at].is_none();
            if open {
                self.settle(at, self.cut_off(&self.line.steps[at]));
            }
        }
        self.sum_up()
    }

    fn cut_off(&self, step: &Step) -> Done {
        let why = Some("the run was interrupted".to_owned());
        let cancelled = Skip { reason: SkipReason::Cancelled, blocked_by: None, why };
        match &step.work {
            Work::Known { info, findings, holds } => self.known(info, findings, *holds),
            Work::Asked { .. } => Done::skipped(step.info(), step.left_out.clone().unwrap_or(cancelled)),
        }
    }

    fn is_ready(&self, at: usize) -> bool {
        let done = lock(&self.done);
        self.line.steps[at].needs.iter().all(|&need| done[need].is_some())
    }

    /// What becomes of a step whose needs are over.
    fn decide(&self, at: usize) -> Decision<'_> {
        let step = &self.line.steps[at];
        if let Some(skip) = &step.left_out {
            return Decision::Over(Box::new(Done::skipped(step.info(), skip.clone())));
        }
        if let Some(skip) = self.obstacle(step) {
            return Decision::Over(Box::new(Done::skipped(step.info(), skip)));
        }
        match &step.work {
            Work::Known { info, findings, holds } => Decision::Over(Box::new(self.known(info, findings, *holds))),
            Work::Asked { subject, check } => Decision::Ask(Tries {
                shared: self.shared,
                line: self.line,
                number: self.number,
                stopwatch: &self.stopwatch,
                subject,
                info: &subject.description.checks[*check],
            }),
        }
    }

    fn obstacle(&self, step: &Step) -> Option<Skip> {
        let done = lock(&self.done);
        let mut needs = step.needs.iter().filter_map(|&need| done[need].as_ref());
        if step.info().explains {
            // What is broken does not stand in the way: it is what is to be explained. Only the
            // engine's own check, which comes first, must hold.
            let inputs = needs.next();
            return match obstacle(inputs.filter(|it| it.bearing == Bearing::Broken).map(|it| &it.report).into_iter()) {
                None if !step.named && !needs.any(may_be_explained) => Some(Skip {
                    reason: SkipReason::NotApplicable,
                    blocked_by: None,
                    why: Some("nothing failed that an incident could explain".to_owned()),
                }),
                obstacle => obstacle,
            };
        }
        obstacle(needs.filter(|need| need.bearing == Bearing::Broken).map(|need| &need.report))
    }

    /// The outcome of one of the engine's own checks.
    fn known(&self, info: &CheckInfo, findings: &[Finding], holds: bool) -> Done {
        let mut findings = findings.to_vec();
        complete(&mut findings, &self.line.integration.name, info, self.shared.suppressions, self.shared.today);
        let bearing = if holds { Bearing::Holds } else { Bearing::Broken };
        Done { bearing, ..Done::ran(info, findings, CheckOutcome::default()) }
    }

    fn settle(&self, at: usize, done: Done) {
        let event = Event::CheckFinished {
            integration: self.line.integration.name.clone(),
            check: Box::new(done.report.clone()),
        };
        lock(&self.done)[at] = Some(done);
        (self.shared.events)(event);
    }

    fn sum_up(&self) -> IntegrationReport {
        let mut done: Vec<Done> = lock(&self.done).drain(..).flatten().collect();
        causes::link(&mut done);
        let mut report = verdict::report(self.line, done);
        self.shared.outlook.add_to(&mut report);
        (self.shared.events)(Event::IntegrationFinished { integration: Box::new(report.clone()) });
        report
    }

    async fn close(&self) {
        if !self.stopwatch.was_started() {
            return;
        }
        if let Some(subject) = self.line.steps.iter().find_map(Step::subject) {
            // Nothing depends on it any more: whoever does not come back is left behind.
            _ = timeout(GRACE, self.shared.executor.close(subject)).await;
        }
    }
}

enum Decision<'a> {
    Over(Box<Done>),
    Ask(Tries<'a>),
}

/// Whether a check found something that may not be the integration's own fault.
fn may_be_explained(done: &Done) -> bool {
    let open = |cause: &Cause| cause.is_transient() || cause.is_network() || *cause == Cause::Undetermined;
    done.report.findings.iter().any(|finding| !finding.status().is_good() && open(&finding.cause))
}

/// Why a step may not run, given the needs that are broken. What was found broken comes before
/// what was forbidden, and that before what the end of the run cut off; among equals, the first.
fn obstacle<'a>(broken: impl Iterator<Item = &'a CheckReport>) -> Option<Skip> {
    let skips = broken.map(|need| match &need.skip {
        None => Skip { reason: SkipReason::Blocked, blocked_by: Some(need.id.clone()), why: None },
        Some(skip) if skip.reason == SkipReason::Cancelled => skip.clone(),
        Some(skip) => {
            let root = skip.blocked_by.clone().unwrap_or_else(|| need.id.clone());
            Skip { reason: skip.reason, blocked_by: Some(root), why: None }
        }
    });
    skips.min_by_key(|skip| match skip.reason {
        SkipReason::Blocked => 0,
        SkipReason::Cancelled => 2,
        _ => 1,
    })
}
