//! What the cases share: the plugin, what it says of itself, and the means to load it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lineman_host::HostOptions;
use lineman_host::probe::{Ground, Probe, ProbeError, Prober};
use lineman_model::{CheckInfo, Description, Level};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::sample::Sample;
use crate::{Case, CaseReport, Given, Judged, Status, Subject, Verification, cases};

/// How long a case may take.
const LONGEST_CASE: Duration = Duration::from_secs(300);
/// How often a case that is about time is tried again, alone: what fails each time fails.
const MORE_TRIES: usize = 2;
/// The most that is shown of one case, observations.
const MOST_SEEN: usize = 12;
/// The longest observation, bytes.
const LONGEST_SEEN: usize = 600;

/// How a plugin is judged.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cases; none for all of them.
    pub cases: Vec<Case>,
    /// What to configure the plugin with.
    pub given: Given,
    /// The description of an older version, to which this one must be faithful.
    pub against: Option<Value>,
    /// How many cases run at once.
    pub jobs: usize,
    /// How many calls make a long run.
    pub calls: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { cases: Vec::new(), given: Given::default(), against: None, jobs: 8, calls: 1000 }
    }
}

/// Nothing can be judged here.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct KitError(#[from] lineman_host::HostError);

/// Why a case was not simply passed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The plugin does not keep to it; what was seen.
    Fail(Vec<String>),
    /// The plugin's process ended.
    Crash(String),
    /// Something deserves attention.
    Warn(Vec<String>),
    /// It cannot be judged; why not.
    Skip(String),
}

impl Fault {
    pub(crate) fn fail(seen: impl Into<String>) -> Fault {
        Fault::Fail(vec![seen.into()])
    }

    /// Another case says what is wrong.
    pub(crate) fn see(what: &str, case: Case) -> Fault {
        Fault::Skip(format!("{what}; see `{case}`"))
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        Fault::Skip(format!("this machine refuses: {error}"))
    }
}

/// What a case comes to.
pub(crate) type Verdict = Result<(), Fault>;

/// Nothing was seen that should not be.
pub(crate) fn none(seen: Vec<String>) -> Verdict {
    if seen.is_empty() { Ok(()) } else { Err(Fault::Fail(seen)) }
}

/// What the plugin said of itself when it was first loaded, and what it is configured with.
struct Introduction {
    said: String,
    description: Result<Description, String>,
    sample: Result<Sample, String>,
}

/// What the cases share.
pub(crate) struct Kit<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) options: &'a Options,
    pub(crate) prober: Prober,
    introduction: Result<Introduction, ProbeError>,
    /// Cases wait most of their time, and are many at once; loading keeps the machine busy, and is
    /// held against the plugin when it takes long.
    loading: Semaphore,
}

impl<'a> Kit<'a> {
    async fn meet(subject: &'a Subject, options: &'a Options, host: HostOptions) -> Result<Kit<'a>, KitError> {
        let prober = Prober::start(host)?;
        let probe = match &subject.library {
            Ok(library) => prober.launch(library, Ground::default()).await,
            Err(problem) => {
                Err(ProbeError::NotLoaded { code: "no-library".to_owned(), message: format!("the manifest {problem}") })
            }
        };
        let introduction = probe.map(|probe| {
            let said = probe.description().get().to_owned();
            let description: Result<Description, String> =
                serde_json::from_str(&said).map_err(|error| error.to_string());
            let sample = match &description {
                Ok(description) => Sample::new(description, &options.given),
                Err(_) => Err("the plugin describes itself wrongly; see `description`".to_owned()),
            };
            Introduction { said, description, sample }
        });
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Kit { subject, options, prober, introduction, loading: Semaphore::new(2 * processors) })
    }

    fn introduction(&self) -> Result<&Introduction, Fault> {
        self.introduction.as_ref().map_err(|_| Fault::see("the plugin cannot be loaded", Case::Loads))
    }

    /// Why the plugin could not be loaded at first.
    pub(crate) fn not_loaded(&self) -> Option<&ProbeError> {
        self.introduction.as_ref().err()
    }

    /// What the plugin said of itself, as it said it.
    pub(crate) fn said(&self) -> Result<&str, Fault> {
        Ok(&self.introduction()?.said)
    }

    /// The same as JSON: of a description that is wrong, something may still be judged.
    pub(crate) fn described(&self) -> Result<Value, Fault> {
        Ok(serde_json::from_str(self.said()?).unwrap_or_default())
    }

    /// What is wrong with the description, as a whole.
    pub(crate) fn misdescribed(&self) -> Result<Option<&str>, Fault> {
        Ok(self.introduction()?.description.as_ref().err().map(String::as_str))
    }

    pub(crate) fn description(&self) -> Result<&Description, Fault> {
        let description = self.introduction()?.description.as_ref();
        description.map_err(|_| Fault::see("the plugin describes itself wrongly", Case::Description))
    }

    /// What the plugin is configured with.
    pub(crate) fn sample(&self) -> Result<&Sample, Fault> {
        self.introduction()?.sample.as_ref().map_err(|problem| Fault::Skip(problem.clone()))
    }

    /// The checks that may be run: those that change nothing.
    pub(crate) fn checks(&self) -> Result<Vec<&CheckInfo>, Fault> {
        let checks: Vec<&CheckInfo> = self.description()?.checks.iter().filter(|check| !check.writes).collect();
        if checks.is_empty() { Err(Fault::Skip("no check may be run here".to_owned())) } else { Ok(checks) }
    }

    /// Those of them that ask a provider.
    pub(crate) fn network_checks(&self) -> Result<Vec<&CheckInfo>, Fault> {
        let checks: Vec<&CheckInfo> = self.checks()?.into_iter().filter(|check| check.level >= Level::Reach).collect();
        if checks.is_empty() { Err(Fault::Skip("no check asks a provider".to_owned())) } else { Ok(checks) }
    }

    /// The plugin in a worker of its own.
    pub(crate) async fn probe(&self, ground: Ground) -> Result<Probe, Fault> {
        let programs = match &self.introduction()?.description {
            Ok(description) => self.prober.programs(&description.programs),
            Err(_) => BTreeMap::new(),
        };
        let ground = Ground { readable: programs.into_values().map(PathBuf::from).collect(), ..ground };
        let Ok(library) = &self.subject.library else { return Err(Fault::Skip("there is no library".to_owned())) };
        let _turn = self.loading.acquire().await;
        self.prober.launch(library, ground).await.map_err(|error| match error {
            // It was loaded in time before, beside less.
            ProbeError::TimedOut => Fault::see("it was not loaded in time", Case::Quick),
            ProbeError::Refused(why) => Fault::Skip(format!("this machine gives no worker: {why}")),
            ProbeError::Died { .. } => Fault::Crash(error.to_string()),
            ProbeError::NotLoaded { .. } => Fault::fail(error.to_string()),
        })
    }

    fn judged(&self) -> Judged {
        let description = self.introduction.as_ref().ok().and_then(|it| it.description.as_ref().ok());
        let manifest = self.subject.shipped.as_ref().and_then(|shipped| shipped.manifest.as_ref().ok());
        let said = |said: Option<&String>, packed: Option<&String>| {
            lineman_model::clean_line(said.or(packed).map_or("", String::as_str), 100)
        };
        Judged {
            id: said(description.map(|it| &it.id), manifest.map(|it| &it.id)),
            version: said(description.map(|it| &it.version), manifest.map(|it| &it.version)),
            door: self.subject.door().to_string(),
            path: self.subject.path.display().to_string(),
        }
    }
}

/// Judges a plugin. `progress` hears how many cases are done, of how many.
///
/// # Errors
/// When this machine gives no private directory, or no worker.
pub async fn verify(
    subject: &Subject,
    options: &Options,
    host: HostOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Verification, KitError> {
    let kit = Kit::meet(subject, options, host).await?;
    let wanted: Vec<Case> =
        Case::ALL.iter().copied().filter(|case| options.cases.is_empty() || options.cases.contains(case)).collect();
    let (slots, done) = (Semaphore::new(options.jobs.max(1)), AtomicUsize::new(0));
    progress(0, wanted.len());
    let runs = wanted.iter().map(|case| async {
        let _slot = slots.acquire().await;
        let report = one(&kit, *case).await;
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, wanted.len());
        report
    });
    let mut reports = join_all(runs).await;
    // What failed beside others for want of time may keep its promise alone.
    for (case, report) in wanted.iter().zip(&mut reports).filter(|(case, _)| case.is_about_time()) {
        for _ in 0..MORE_TRIES {
            if report.status == Status::Fail {
                *report = one(&kit, *case).await;
            }
        }
    }
    Ok(Verification::new(kit.judged(), reports))
}

async fn one(kit: &Kit<'_>, case: Case) -> CaseReport {
    let started = Instant::now();
    let verdict = match tokio::time::timeout(LONGEST_CASE, cases::run(kit, case)).await {
        Ok(verdict) => verdict,
        Err(_) => Err(Fault::fail(format!("the case did not end within {} s", LONGEST_CASE.as_secs()))),
    };
    let (status, seen) = match verdict {
        Ok(()) => (Status::Pass, Vec::new()),
        Err(Fault::Warn(seen)) => (Status::Warn, seen),
        Err(Fault::Fail(seen)) => (Status::Fail, seen),
        Err(Fault::Crash(seen)) => (Status::Crash, vec![seen]),
        Err(Fault::Skip(why)) => (Status::Skip, vec![why]),
    };
    let more = seen.len().saturating_sub(MOST_SEEN);
    let mut seen: Vec<String> =
        seen.iter().take(MOST_SEEN).map(|text| lineman_model::clean_line(text, LONGEST_SEEN)).collect();
    if more > 0 {
        seen.push(format!("and {more} more"));
    }
    CaseReport {
        id: case.id(),
        protects: case.protects(),
        status,
        seen,
        mend: matches!(status, Status::Warn | Status::Fail | Status::Crash).then(|| case.mend()),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}
