use std::time::Duration;

use lineman_model::Level;
use lineman_model::protocol::submit;
use tokio::time::Instant;

use crate::bench::{Bench, DEADLINE, End, LEEWAY};
use crate::endpoint::{Endpoint, Manner};
use crate::kit::{Fault, Kit, Verdict, none};

/// A deadline that is soon over.
const SOON: Duration = Duration::from_secs(1);
/// How much longer than their time many calls at once may take together.
const CROWDED: Duration = Duration::from_secs(30);
/// A deadline that nobody lives to see.
const LATE: Duration = Duration::from_secs(60);
/// How long a cancelled call has.
const CANCELLED: Duration = Duration::from_secs(2);
/// No more calls than this are made at once.
const MOST_AT_ONCE: usize = 256;
/// How many calls wait while another is to be answered.
const WAITING: usize = 8;

fn nobody_waits() -> Fault {
    let why = "no check waits for the server: does the plugin use `connection.endpoint_url`, and are its settings good? \
               give others with `--settings FILE`";
    Fault::Skip(why.to_owned())
}

pub(super) async fn deadline(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let silent = Endpoint::start(Manner::Silent).await?;
    let place = bench.place(&silent)?;
    let calls = bench.check_each(&kit.network_checks()?, &place, SOON)?;
    let started = Instant::now();
    bench.settle(&calls, SOON + LEEWAY).await?;
    let late = calls.iter().filter(|call| !bench.has_ended(**call)).filter_map(|call| bench.calls.get(call));
    let late: Vec<String> =
        late.map(|call| format!("{} does not end at its deadline of {} s", call.what, SOON.as_secs())).collect();
    if late.is_empty() && started.elapsed() < SOON / 2 {
        return Err(nobody_waits());
    }
    none(late)
}

pub(super) async fn cancellation(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let silent = Endpoint::start(Manner::Silent).await?;
    let place = bench.place(&silent)?;
    let calls = bench.check_each(&kit.network_checks()?, &place, LATE)?;
    let waiting = bench.waiting(&calls, &silent).await?;
    if waiting.is_empty() {
        return Err(nobody_waits());
    }
    waiting.iter().for_each(|call| bench.probe.cancel(*call));
    bench.settle(&waiting, CANCELLED).await?;
    let late = waiting.iter().filter(|call| !bench.has_ended(**call)).filter_map(|call| bench.calls.get(call));
    none(late.map(|call| format!("{} goes on though it was cancelled", call.what)).collect())
}

pub(super) async fn parallel(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let silent = Endpoint::start(Manner::Silent).await?;
    let place = bench.place(&silent)?;
    let checks = kit.network_checks()?;
    let Some(check) = checks.iter().min_by_key(|check| check.level) else { return Ok(()) };
    let many = usize::try_from(kit.description()?.max_parallel).unwrap_or(MOST_AT_ONCE).clamp(1, MOST_AT_ONCE);
    let calls = bench.check_each(&vec![*check; many], &place, SOON)?;
    // On a machine that is busy it may take its time; who takes one call after the other takes longer.
    bench.settle(&calls, SOON + CROWDED).await?;
    let of = |end: fn(&End) -> bool| {
        calls.iter().filter_map(|call| bench.calls.get(call)?.end.as_ref()).filter(|it| end(it)).count()
    };
    let busy = of(|end| matches!(end, End::Refused(submit::BUSY)));
    let refused = of(|end| matches!(end, End::Refused(code) if *code != submit::BUSY));
    let open = calls.iter().filter(|call| !bench.has_ended(**call)).count();
    let mut seen = Vec::new();
    for (number, what) in [(busy, "refused as too many"), (refused, "refused"), (open, "not answered in time")] {
        if number > 0 {
            seen.push(format!("of {many} calls at once, {number} are {what}"));
        }
    }
    none(seen)
}

pub(super) async fn not_stalled(kit: &Kit<'_>) -> Verdict {
    let most = usize::try_from(kit.description()?.max_parallel).unwrap_or(WAITING);
    if most < 2 {
        return Err(Fault::Skip("the plugin takes one call at a time".to_owned()));
    }
    let mut bench = Bench::new(kit).await?;
    let (silent, closed) = (Endpoint::start(Manner::Silent).await?, Endpoint::start(Manner::Closed).await?);
    let place = bench.place(&silent)?;
    let checks = kit.network_checks()?;
    let many: Vec<_> = checks.iter().copied().cycle().take(WAITING.min(most - 1)).collect();
    let calls = bench.check_each(&many, &place, LATE)?;
    let waiting = bench.waiting(&calls, &silent).await?;
    if waiting.is_empty() {
        return Err(nobody_waits());
    }
    let place = bench.place(&closed)?;
    let others = kit.checks()?;
    let quick = others.iter().find(|check| check.level < Level::Reach).or(checks.first());
    let Some(quick) = quick else { return Ok(()) };
    let call = bench.check_each(&[quick], &place, DEADLINE)?;
    bench.settle(&call, DEADLINE / 2).await?;
    let stalled = call.iter().any(|call| !bench.has_ended(*call));
    if stalled && waiting.iter().any(|call| !bench.has_ended(*call)) {
        return Err(Fault::fail(format!("{} is not answered while {} calls wait", quick.id, waiting.len())));
    }
    Ok(())
}
