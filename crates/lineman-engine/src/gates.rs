use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::plan::Line;
use crate::stopwatch::lock;

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

/// What a check passes before it runs: one gate for all jobs, one for its provider, one for its
/// endpoint.
///
/// A check gets a place at all of them at once or waits without holding any, so there is neither a
/// deadlock nor a slow host that starves the rest. Integrations that have begun go first: that
/// keeps few sessions open at a time, however many integrations there are.
pub(crate) struct Gates(Arc<Mutex<State>>);

struct State {
    /// How many places each gate has left; the first is that of all jobs.
    free: Vec<usize>,
    /// The gates that a check of each line passes.
    gates: Vec<Vec<usize>>,
    waiting: BTreeMap<Turn, Waiting>,
    /// How many have come so far.
    came: u64,
}

/// Lowest first: whether the integration has yet to begin, then who came first.
type Turn = (bool, u64);

struct Waiting {
    line: usize,
    admission: oneshot::Sender<Places>,
}

/// A check's places; given back when dropped.
pub(crate) struct Places {
    state: Arc<Mutex<State>>,
    gates: Vec<usize>,
}

impl Gates {
    pub(crate) fn new(limits: &Limits, lines: &[Line]) -> Gates {
        let mut free = vec![limits.jobs.max(1)];
        let mut known = BTreeMap::new();
        let mut gate = |name, places: usize| {
            *known.entry(name).or_insert_with(|| {
                free.push(places.max(1));
                free.len() - 1
            })
        };
        let gates = lines.iter().map(|line| {
            let places = limits.per_provider.min(line.max_parallel);
            let provider = gate(("provider", line.integration.provider.as_str()), places);
            let host = line.hosts.first().map(|host| gate(("host", host.as_str()), limits.per_host));
            [0, provider].into_iter().chain(host).collect()
        });
        let gates = gates.collect();
        Gates(Arc::new(Mutex::new(State { free, gates, waiting: BTreeMap::new(), came: 0 })))
    }

    /// Waits until a check of a line may run. Whoever stops waiting has lost nothing but its turn.
    pub(crate) async fn pass(&self, line: usize, begun: bool) -> Places {
        let (admission, admitted) = oneshot::channel();
        {
            let mut state = lock(&self.0);
            let turn = (!begun, state.came);
            state.came += 1;
            state.waiting.insert(turn, Waiting { line, admission });
        }
        admit(&self.0);
        // Who waits is forgotten only when nobody listens any more.
        admitted.await.unwrap_or_else(|_| Places { state: Arc::clone(&self.0), gates: Vec::new() })
    }
}

/// Lets in everyone for whom there is a place, in turn.
fn admit(shared: &Arc<Mutex<State>>) {
    let mut state = lock(shared);
    let State { free, gates, waiting, .. } = &mut *state;
    let mut admitted = Vec::new();
    let mut turns = waiting.iter();
    while free[0] > 0
        && let Some((turn, one)) = turns.next()
    {
        let wanted = &gates[one.line];
        if one.admission.is_closed() {
            admitted.push((*turn, Vec::new()));
        } else if wanted.iter().all(|&gate| free[gate] > 0) {
            wanted.iter().for_each(|&gate| free[gate] -= 1);
            admitted.push((*turn, wanted.clone()));
        }
    }
    let admitted: Vec<_> =
        admitted.into_iter().filter_map(|(turn, gates)| Some((waiting.remove(&turn)?.admission, gates))).collect();
    drop(state);
    for (admission, gates) in admitted {
        // Places that nobody takes any more are dropped here, and so given back.
        _ = admission.send(Places { state: Arc::clone(shared), gates });
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if self.gates.is_empty() {
            return;
        }
        {
            let mut state = lock(&self.state);
            self.gates.iter().for_each(|&gate| state.free[gate] += 1);
        }
        admit(&self.state);
    }
}
