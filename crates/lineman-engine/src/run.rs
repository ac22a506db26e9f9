use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use lineman_model::protocol::CheckAnswer;
use lineman_model::{CheckInfo, Event, REPORT_SCHEMA, Report, Run, Status, Summary, Vantage};
use tokio::time::Instant;

use crate::gates::{Gates, Limits};
use crate::line::Walk;
use crate::vantage::{self, Outlook};
use crate::{Plan, Platform, Subject, Suppression, causes};

/// How long the end of a session may take.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// Where a check says what it is doing, in a few words.
pub type Progress<'a> = &'a (dyn Fn(String) + Send + Sync);

/// Whoever really has checks run: in production the host, which asks plugins in their workers.
///
/// Dropping a future abandons what it stands for. What comes back is redacted and capped.
pub trait Executor: Send + Sync {
    /// Runs one check and comes back with an answer in every case: what went wrong on Lineman's
    /// side is a finding with a cause `plugin.…`. One attempt takes no longer than the deadline;
    /// an attempt that somebody else's crash cut short may be made once more.
    ///
    /// The engine asks only for subjects whose inputs are there.
    fn check<'a>(
        &'a self,
        subject: &'a Arc<Subject>,
        check: &'a CheckInfo,
        deadline: Duration,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, CheckAnswer>;

    /// Ends the integration's session. Called once, after the last of its checks, for each
    /// integration of which a check was run; not when the run is interrupted, which ends
    /// everything anyway.
    fn close<'a>(&'a self, subject: &'a Arc<Subject>) -> BoxFuture<'a, ()>;
}

/// What the report says of the run itself, and what the configuration tolerates.
#[derive(Clone, Debug, Default)]
pub struct RunInfo {
    /// Unique.
    pub id: String,
    /// Where the run is made from.
    pub vantage: Vantage,
    /// Which Lineman.
    pub lineman_version: String,
    /// Known findings that do not count.
    pub suppressions: Vec<Suppression>,
    /// Where the platform itself works from.
    pub platform: Platform,
}

/// What everything in one run shares.
pub(crate) struct Shared<'a> {
    pub(crate) executor: &'a dyn Executor,
    pub(crate) limits: &'a Limits,
    pub(crate) gates: Gates,
    pub(crate) suppressions: &'a [Suppression],
    pub(crate) outlook: Outlook<'a>,
    pub(crate) today: Date,
    /// When the run must be over.
    pub(crate) end: Instant,
    pub(crate) events: &'a (dyn Fn(Event) + Send + Sync),
    /// The longest attempt so far, for the message that says where the time went.
    pub(crate) longest: Mutex<Option<(Duration, String)>>,
}

/// Carries a plan out.
///
/// Every check of the plan ends in exactly one [`Event::CheckFinished`], whether it ran or not,
/// and every integration in one [`Event::IntegrationFinished`]. When `cancel` resolves, what runs
/// is abandoned, and the report comes at once with `complete: false`.
///
/// Needs a tokio runtime with its clock enabled; spawns nothing.
pub async fn run(
    plan: Plan,
    executor: Arc<dyn Executor>,
    limits: Limits,
    info: RunInfo,
    events: impl Fn(Event) + Send + Sync,
    cancel: impl Future<Output = ()>,
) -> Report {
    let started_at = Timestamp::now();
    let start = Instant::now();
    let shared = Shared {
        executor: executor.as_ref(),
        limits: &limits,
        gates: Gates::new(&limits, &plan.lines),
        suppressions: &info.suppressions,
        outlook: Outlook {
            platform: &info.platform,
            seen: info.vantage.seen_ip.as_deref().and_then(|address| address.parse().ok()),
        },
        today: started_at.to_zoned(TimeZone::UTC).date(),
        end: start.checked_add(limits.run).unwrap_or(start + FOR_EVER),
        events: &events,
        longest: Mutex::new(None),
    };
    let mut run = Run {
        id: info.id,
        started_at,
        finished_at: started_at,
        duration_ms: 0,
        lineman_version: info.lineman_version,
        complete: false,
        vantage: info.vantage.clone(),
    };
    events(Event::RunStarted { run: run.clone(), integrations: plan.integrations(), checks: plan.checks() });

    let walks: Vec<Walk<'_>> =
        plan.lines.iter().enumerate().map(|(number, line)| Walk::new(number, line, &shared)).collect();
    run.complete = {
        let all = walks.iter().map(Walk::run).collect::<FuturesUnordered<_>>().collect::<()>();
        match select(pin!(cancel), all).await {
            Either::Left(_) => false,
            Either::Right(_) => true,
        }
    };

    let integrations: Vec<_> = walks.into_iter().map(Walk::finish).collect();
    if run.vantage.seen_ip.is_none() {
        let told = integrations.iter().flat_map(|it| it.findings()).find_map(vantage::told);
        run.vantage.seen_ip = told.map(|address| address.to_string());
    }
    run.finished_at = Timestamp::now();
    run.duration_ms = milliseconds(start.elapsed());
    let report = Report {
        schema: REPORT_SCHEMA.to_owned(),
        run,
        // Nothing was checked: nothing is known.
        verdict: Status::worst(integrations.iter().map(|it| it.verdict)).unwrap_or(Status::Unknown),
        summary: Summary {
            integrations: integrations.iter().map(|it| it.verdict).collect(),
            checks: integrations.iter().flat_map(|it| &it.checks).map(|check| check.status).collect(),
        },
        causes: causes::group(&integrations),
        integrations,
    };
    events(Event::RunFinished { report: Box::new(report.clone()) });
    report
}

/// A deadline that the clock cannot express.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
