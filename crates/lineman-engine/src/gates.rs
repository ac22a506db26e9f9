use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::plan::Line;

/// How much at once, how long, how often.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Checks at once, over everything.
    pub jobs: usize,
    /// Checks at once with one provider; what its plugin declares may be less.
    pub per_provider: usize,
    /// Checks at once with one endpoint.
    pub per_host: usize,
    /// One attempt of one check.
    pub check: Duration,
    /// One integration: the time during which at least one of its checks runs.
    pub integration: Duration,
    /// The whole run.
    pub run: Duration,
    /// How often a check is tried again that met a transient cause.
    pub retries: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            jobs: 64,
            per_provider: 64,
            // OpenSSH starts to drop connections at ten that are not authenticated yet.
            per_host: 8,
            check: Duration::from_secs(30),
            integration: Duration::from_secs(120),
            run: Duration::from_secs(300),
            retries: 1,
        }
    }
}

impl Limits {
    /// The defaults, with as many checks at once as the user asks for, wherever they go.
    pub fn with_jobs(jobs: usize) -> Limits {
        Limits { jobs, per_provider: jobs, per_host: jobs, ..Limits::default() }
    }
}

/// What a check passes before it runs.
///
/// The gates are passed in one order, the narrowest first: whoever waits for a host holds nothing
/// that others need, whoever holds a place among the jobs waits for nothing. So there is neither
/// a deadlock nor a slow host that starves the rest.
pub(crate) struct Gates {
    hosts: BTreeMap<String, Semaphore>,
    providers: BTreeMap<String, Semaphore>,
    jobs: Semaphore,
}

/// A check's places; given back when dropped.
pub(crate) struct Places<'a>(#[expect(dead_code, reason = "held, never looked at")] [Option<SemaphorePermit<'a>>; 3]);

impl Gates {
    pub(crate) fn new(limits: &Limits, lines: &[Line]) -> Gates {
        let places = |limit: usize| Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS));
        let hosts = lines.iter().filter_map(|line| line.hosts.first());
        let providers = lines
            .iter()
            .map(|line| (line.integration.provider.clone(), places(limits.per_provider.min(line.max_parallel))));
        Gates {
            hosts: hosts.map(|host| (host.clone(), places(limits.per_host))).collect(),
            providers: providers.collect(),
            jobs: places(limits.jobs),
        }
    }

    /// Waits until a check of the line may run.
    pub(crate) async fn pass(&self, line: &Line) -> Places<'_> {
        let host = line.hosts.first().and_then(|host| self.hosts.get(host));
        let provider = self.providers.get(&line.integration.provider);
        let host = enter(host).await;
        let provider = enter(provider).await;
        Places([host, provider, enter(Some(&self.jobs)).await])
    }
}

async fn enter(gate: Option<&Semaphore>) -> Option<SemaphorePermit<'_>> {
    // No gate is ever closed.
    gate?.acquire().await.ok()
}
