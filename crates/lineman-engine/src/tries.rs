use std::sync::{Arc, Mutex};
use std::time::Duration;

use lineman_model::protocol::{CheckAnswer, CheckOutcome};
use lineman_model::{Attempt, Cause, CheckInfo, Event, Finding, Severity, Skip, SkipReason, Status, clean_line};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::Subject;
use crate::findings::{chief_cause, complete, may_pass};
use crate::line::Done;
use crate::plan::Line;
use crate::run::{Shared, milliseconds};
use crate::stopwatch::{Stopwatch, lock};

/// How long to wait before the first repetition; twice as long before each further one.
const BACKOFF: Duration = Duration::from_millis(500);

/// How long beyond two attempts an executor that keeps its word can take: a plugin may be slow to
/// load, twice, and has a moment to give up and to shut down.
const GUARD: Duration = Duration::from_secs(30);

/// The longest text of progress that is passed on, in bytes.
const PROGRESS_LENGTH: usize = 200;

/// One check and the tries that it gets.
#[derive(Clone, Copy)]
pub(crate) struct Tries<'a> {
    pub(crate) shared: &'a Shared<'a>,
    pub(crate) line: &'a Line,
    /// The line's place in the plan.
    pub(crate) number: usize,
    pub(crate) stopwatch: &'a Stopwatch,
    pub(crate) subject: &'a Arc<Subject>,
    pub(crate) info: &'a CheckInfo,
}

/// What one try came to.
struct Try {
    answer: CheckAnswer,
    took: Duration,
}

/// Who sets the deadline of a try.
#[derive(Clone, Copy)]
enum Bound {
    Check,
    Integration,
    Run,
}

impl Tries<'_> {
    /// Tries until the answer stands.
    pub(crate) async fn run(self) -> Done {
        let mut last = match self.once(true).await {
            Ok(first) => first,
            Err(skip) => return Done::skipped(self.info, skip),
        };
        let mut earlier = Vec::new();
        while let Some(pause) = self.pause_before_another(&last, earlier.len()) {
            sleep(pause).await;
            // Where no time is left for another try, the last answer stands.
            let Ok(next) = self.once(false).await else { break };
            earlier.push(std::mem::replace(&mut last, next));
        }
        self.judge(last, earlier)
    }

    /// One try, or why there is no time for it.
    async fn once(&self, first: bool) -> Result<Try, Skip> {
        let shared = self.shared;
        let places = timeout_at(shared.end, shared.gates.pass(self.number, self.stopwatch.was_started())).await;
        let _places = places.map_err(|_| self.no_time(Bound::Run))?;
        let (deadline, bound) = self.deadline();
        if deadline.is_zero() {
            return Err(self.no_time(bound));
        }
        if first {
            (shared.events)(Event::CheckStarted { integration: self.integration(), check: self.info.id.clone() });
        }
        let _running = self.stopwatch.start();
        let start = Instant::now();
        let answer = self.ask(deadline, bound).await;
        let took = start.elapsed();
        self.note(took);
        Ok(Try { answer, took })
    }

    async fn ask(&self, deadline: Duration, bound: Bound) -> CheckAnswer {
        let doing = Mutex::new(None);
        let progress = |text: String| {
            let text = clean_line(&text, PROGRESS_LENGTH);
            *lock(&doing) = Some(text.clone());
            let check = self.info.id.clone();
            (self.shared.events)(Event::CheckProgress { integration: self.integration(), check, text });
        };
        let asked = self.shared.executor.check(self.subject, self.info, deadline, &progress);
        let answer = timeout(deadline.saturating_mul(2).saturating_add(GUARD), asked).await;
        let doing = lock(&doing).take();
        match answer {
            Ok(mut answer) => {
                self.excuse(&mut answer, deadline, bound, doing);
                answer
            }
            Err(_) => {
                let message =
                    format!("`{}` was not answered within twice {deadline:.1?}, nor given up after", self.info.id);
                let finding = Finding::new("lineman/no-answer", Cause::PluginTimedOut, message + &last_seen(doing));
                CheckAnswer { findings: vec![finding], outcome: CheckOutcome::default() }
            }
        }
    }

    /// A time that was cut short for everyone proves nothing: neither that the plugin hangs, nor
    /// that the network would not have answered.
    fn excuse(&self, answer: &mut CheckAnswer, deadline: Duration, bound: Bound, doing: Option<String>) {
        let (code, whose) = match bound {
            Bound::Check => return,
            Bound::Integration => ("lineman/integration-deadline", "this integration"),
            Bound::Run => ("lineman/run-deadline", "the run"),
        };
        let slow = answer.findings.iter_mut().filter(|finding| finding.cause == Cause::NetworkTimeout);
        slow.for_each(|finding| finding.severity = Some(Severity::Unknown));
        let late = |finding: &Finding| finding.cause == Cause::PluginTimedOut;
        if answer.findings.iter().any(late) {
            answer.findings.retain(|finding| !late(finding));
            let message = format!("the time for {whose} was over {deadline:.1?} after `{}` began", self.info.id);
            let finding = Finding::new(code, Cause::Undetermined, message + &last_seen(doing));
            answer.findings.push(match self.where_the_time_went() {
                Some(detail) => finding.detail(detail),
                None => finding,
            });
        }
    }

    /// How long a try may take that starts now, and what limits it.
    fn deadline(&self) -> (Duration, Bound) {
        let limits = self.shared.limits;
        let integration = limits.integration.saturating_sub(self.stopwatch.spent());
        let run = self.shared.end.saturating_duration_since(Instant::now());
        let all = [(limits.check, Bound::Check), (integration, Bound::Integration), (run, Bound::Run)];
        all.into_iter().min_by_key(|(left, _)| *left).unwrap_or(all[0])
    }

    /// How long to wait before trying again; nothing when the last answer stands.
    fn pause_before_another(&self, last: &Try, earlier: usize) -> Option<Duration> {
        let earlier = u32::try_from(earlier).ok()?;
        let pause = BACKOFF.saturating_mul(2_u32.checked_pow(earlier)?);
        let mut findings = last.answer.findings.clone();
        self.complete(&mut findings);
        let again = earlier < self.shared.limits.retries
            && !self.info.writes
            && may_pass(&findings)
            && pause < self.deadline().0;
        again.then_some(pause)
    }

    fn judge(&self, last: Try, earlier: Vec<Try>) -> Done {
        let duration = earlier.iter().map(|one| one.took).sum::<Duration>() + last.took;
        let CheckAnswer { mut findings, mut outcome } = last.answer;
        let skip = outcome.skip.take();
        let skip = skip.and_then(|skip| match skip.reason {
            SkipReason::NotApplicable | SkipReason::MissingInput | SkipReason::Policy => {
                Some(Skip { reason: skip.reason, blocked_by: None, why: Some(skip.why) })
            }
            reason => {
                let message = format!("`{}` was skipped as `{reason}`, which is not a plugin's to say", self.info.id);
                findings.push(Finding::new("lineman/bad-skip", Cause::PluginBadOutput, message));
                None
            }
        });
        self.complete(&mut findings);
        // A check that found something did run, whatever it says of itself.
        let mut done = match skip {
            Some(skip) if findings.is_empty() => Done::skipped(self.info, skip),
            _ => Done::ran(self.info, findings, CheckOutcome::default()),
        };
        done.report.duration_ms = milliseconds(duration);
        done.report.phases = std::mem::take(&mut outcome.phases);
        done.report.attempts = earlier.into_iter().map(|one| self.attempt(one)).collect();
        done.outcome = outcome;
        done
    }

    fn attempt(&self, one: Try) -> Attempt {
        let mut findings = one.answer.findings;
        self.complete(&mut findings);
        Attempt { status: Status::of(&findings), cause: chief_cause(&findings), duration_ms: milliseconds(one.took) }
    }

    fn complete(&self, findings: &mut [Finding]) {
        let integration = &self.line.integration.name;
        findings.iter_mut().for_each(|finding| self.shared.outlook.explain(finding));
        complete(findings, integration, self.info, self.shared.suppressions, self.shared.today);
    }

    fn no_time(&self, bound: Bound) -> Skip {
        let limits = self.shared.limits;
        let mut why = match bound {
            Bound::Check => format!("a check has {:?} to run", limits.check),
            Bound::Integration => format!("the {:?} for this integration were over", limits.integration),
            Bound::Run => format!("the {:?} of the run were over", limits.run),
        };
        if let Some(detail) = self.where_the_time_went() {
            why = format!("{why}; {detail}");
        }
        Skip { reason: SkipReason::Cancelled, blocked_by: None, why: Some(why) }
    }

    fn note(&self, took: Duration) {
        let mut longest = lock(&self.shared.longest);
        if longest.as_ref().is_none_or(|(duration, _)| took > *duration) {
            *longest = Some((took, format!("`{}` of {}", self.info.id, self.line.integration.name)));
        }
    }

    fn where_the_time_went(&self) -> Option<String> {
        let longest = lock(&self.shared.longest);
        longest.as_ref().map(|(took, check)| format!("the longest check was {check} with {took:.1?}"))
    }

    fn integration(&self) -> String {
        self.line.integration.name.clone()
    }
}

fn last_seen(doing: Option<String>) -> String {
    doing.map_or_else(String::new, |text| format!("; last it said: {text}"))
}
