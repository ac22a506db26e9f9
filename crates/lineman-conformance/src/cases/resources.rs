use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use lineman_model::CheckInfo;

use crate::Case;
use crate::bench::{Bench, DEADLINE, LEEWAY, QUIET};
use crate::endpoint::{Endpoint, Manner};
use crate::kit::{Fault, Kit, Verdict};

/// Bytes that a call may leave behind on average: allocators keep some.
const BYTES_PER_CALL: u64 = 8 * 1024;
/// Bytes that a worker may grow by whatever runs in it.
const BYTES_AT_ALL: u64 = 2 * 1024 * 1024;
/// Descriptors that a worker may open for good whatever runs in it.
const DESCRIPTORS_AT_ALL: u64 = 16;
/// Calls at once in a long run.
const AT_ONCE: usize = 16;

/// A number that the kernel knows of a process, by its name in `/proc/PID/status`.
fn of_kernel(bench: &Bench<'_>, name: &str) -> Result<u64, Fault> {
    let unknown = || Fault::Skip(format!("the kernel does not tell `{name}` of the worker"));
    let pid = bench.probe.pid().ok_or_else(unknown)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|_| unknown())?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).ok_or_else(unknown)
}

/// The threads of a worker, with the names that they gave themselves.
fn threads_of(bench: &Bench<'_>) -> Result<BTreeMap<OsString, String>, Fault> {
    let unknown = || Fault::Skip("the kernel does not tell the threads of the worker".to_owned());
    let pid = bench.probe.pid().ok_or_else(unknown)?;
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).map_err(|_| unknown())?;
    // One that ends while it is looked at has no name, and is no thread any more.
    let named = |task: fs::DirEntry| Some((task.file_name(), fs::read_to_string(task.path().join("comm")).ok()?));
    Ok(tasks.flatten().filter_map(named).map(|(id, name)| (id, name.trim().to_owned())).collect())
}

pub(super) async fn threads(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let closed = Endpoint::start(Manner::Closed).await?;
    let place = bench.place(&closed)?;
    // Once it answers, the worker's own threads are there.
    bench.descriptors().await?;
    let before = threads_of(&bench)?;
    bench.run_each(&kit.checks()?, &place).await?;
    if !bench.shut_down().await? {
        return Err(Fault::see("it does not shut down", Case::Shutdown));
    }
    // A thread that was joined may be in the kernel's list for a moment.
    let mut left = Vec::new();
    for _ in 0..(LEEWAY.as_millis() / QUIET.as_millis()) {
        left =
            threads_of(&bench)?.into_iter().filter(|(id, _)| !before.contains_key(id)).map(|(_, name)| name).collect();
        if left.is_empty() {
            return Ok(());
        }
        bench.quiet().await?;
    }
    Err(Fault::fail(format!("after shutdown, threads are left: {}", left.join(", "))))
}

/// A check that asks nobody, if there is one: a long run is about the plugin, not about sockets.
fn cheapest<'a>(kit: &'a Kit<'_>) -> Result<&'a CheckInfo, Fault> {
    let checks = kit.checks()?;
    let cheapest = checks.into_iter().min_by_key(|check| check.level);
    cheapest.ok_or_else(|| Fault::Skip("no check may be run here".to_owned()))
}

/// Makes many calls, each in a session of its own that ends with it.
async fn long_run(bench: &mut Bench<'_>, calls: usize) -> Result<(), Fault> {
    let closed = Endpoint::start(Manner::Closed).await?;
    let place = bench.place(&closed)?;
    let check = cheapest(bench.kit)?;
    let mut left = calls;
    while left > 0 {
        let started = bench.check_each(&vec![check; left.min(AT_ONCE)], &place, DEADLINE)?;
        left -= started.len();
        bench.settle(&started, DEADLINE + LEEWAY).await?;
        bench.answered(&started)?;
        let sessions: Vec<u64> = started.iter().filter_map(|call| Some(bench.calls.get(call)?.session)).collect();
        let closing = sessions.into_iter().map(|session| bench.close(session)).collect::<Result<Vec<u64>, Fault>>()?;
        bench.settle(&closing, DEADLINE).await?;
        // The kit's own memory is nobody's business; but it need not grow.
        bench.calls.clear();
    }
    Ok(())
}

pub(super) async fn memory(kit: &Kit<'_>) -> Verdict {
    let calls = kit.options.calls;
    let mut bench = Bench::new(kit).await?;
    long_run(&mut bench, calls / 5).await?;
    let before = of_kernel(&bench, "RssAnon")? * 1024;
    long_run(&mut bench, calls).await?;
    let grown = (of_kernel(&bench, "RssAnon")? * 1024).saturating_sub(before);
    if grown <= BYTES_AT_ALL + BYTES_PER_CALL * calls as u64 {
        return Ok(());
    }
    let per_call = grown / calls.max(1) as u64 / 1024;
    Err(Fault::fail(format!("over {calls} calls it grew by {} MiB, {per_call} KiB a call", grown >> 20)))
}

pub(super) async fn descriptors(kit: &Kit<'_>) -> Verdict {
    let calls = kit.options.calls;
    let mut bench = Bench::new(kit).await?;
    long_run(&mut bench, calls / 5).await?;
    let before = bench.descriptors().await?;
    long_run(&mut bench, calls).await?;
    let after = bench.descriptors().await?;
    if after <= before + DESCRIPTORS_AT_ALL {
        return Ok(());
    }
    Err(Fault::fail(format!("over {calls} calls it opened {} descriptors and left them open", after - before)))
}
