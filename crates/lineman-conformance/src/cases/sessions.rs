use std::time::Duration;

use lineman_model::protocol::CloseRequest;

use crate::bench::{Bench, DEADLINE, End, LEEWAY, SHUTDOWN};
use crate::endpoint::{Endpoint, Manner};
use crate::kit::{Fault, Kit, Verdict, none};

/// The deadline of a call that is still there when everything ends.
const LATE: Duration = Duration::from_secs(60);

pub(super) async fn sessions(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let closed = Endpoint::start(Manner::Closed).await?;
    let place = bench.place(&closed)?;
    let Some(check) = kit.checks()?.first().copied() else { return Ok(()) };
    let mut seen = Vec::new();
    let session = bench.session();
    let steps = [
        ("closing a session that never was", true, 4711),
        ("a check", false, session),
        ("closing its session", true, session),
        ("closing it again", true, session),
        ("a check in the session that was closed", false, session),
    ];
    for (what, close, session) in steps {
        let call = match close {
            true => bench.submit("close", what, &CloseRequest { session })?,
            false => bench.check(check, session, &place, DEADLINE)?,
        };
        bench.settle(&[call], DEADLINE + LEEWAY).await?;
        match bench.calls.get(&call).and_then(|call| call.end.as_ref()) {
            Some(End::Result(_)) => {}
            Some(End::Refused(code)) => seen.push(format!("{what} is refused with code {code}")),
            Some(End::Error(failure)) => seen.push(format!("{what} is an error: {}", failure.message)),
            // Checks are the business of other cases.
            Some(End::Bad) => {}
            None if close => seen.push(format!("{what} is never answered")),
            None => return Err(Fault::see("a check was never answered", crate::Case::OneTerminalEvent)),
        }
    }
    none(seen)
}

pub(super) async fn shared_session(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let mut seen = Vec::new();
    for manner in [Manner::Closed, Manner::Repeats(403)] {
        let endpoint = Endpoint::start(manner).await?;
        let place = bench.place(&endpoint)?;
        let most = usize::try_from(kit.description()?.max_parallel.max(1)).unwrap_or(usize::MAX);
        let (session, checks) = (bench.session(), kit.checks()?);
        let started = checks.iter().take(most).map(|check| bench.check(check, session, &place, DEADLINE));
        let calls = started.collect::<Result<Vec<u64>, Fault>>()?;
        // It ends under them.
        let closing = bench.close(session)?;
        bench.settle(&calls, DEADLINE + LEEWAY).await?;
        bench.settle(&[closing], LEEWAY).await?;
        for call in bench.answered(&calls)? {
            match &call.end {
                Some(End::Refused(code)) => seen.push(format!("{} is refused with code {code}", call.what)),
                Some(End::Error(failure)) => seen.push(format!("{} is an error: {}", call.what, failure.message)),
                _ => {}
            }
        }
    }
    none(seen)
}

pub(super) async fn shutdown(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let silent = Endpoint::start(Manner::Silent).await?;
    let place = bench.place(&silent)?;
    let calls = bench.check_each(&kit.checks()?, &place, LATE)?;
    let waiting = bench.waiting(&calls, &silent).await?;
    if !bench.shut_down().await? {
        return Err(Fault::fail(format!("it has not shut down after {} s", SHUTDOWN.as_secs())));
    }
    bench.quiet().await?;
    let mut seen: Vec<String> = waiting
        .iter()
        .filter_map(|call| bench.calls.get(call))
        .filter(|call| call.end.is_none())
        .map(|call| format!("{} was in flight and got no end", call.what))
        .collect();
    if !bench.shut_down().await? {
        seen.push(format!("a second shutdown has not ended after {} s", SHUTDOWN.as_secs()));
    }
    match bench.probe.end(SHUTDOWN).await.as_deref() {
        Some("ended with exit status 0") => {}
        Some(ending) => seen.push(format!("after the shutdown the worker {ending}")),
        None => seen.push("after the shutdown the worker does not end".to_owned()),
    }
    none(seen)
}

pub(super) async fn after_shutdown(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let closed = Endpoint::start(Manner::Closed).await?;
    let place = bench.place(&closed)?;
    let checks = kit.checks()?;
    bench.run_each(&checks, &place).await?;
    if !bench.shut_down().await? {
        return Err(Fault::see("it does not shut down", crate::Case::Shutdown));
    }
    let calls = bench.check_each(&checks, &place, DEADLINE)?;
    bench.settle(&calls, LEEWAY).await?;
    let mut seen = Vec::new();
    for call in calls.iter().filter_map(|call| bench.calls.get(call)).filter(|call| !call.is_rejected()) {
        let answered = if call.end.is_some() { "is taken" } else { "is taken and never answered" };
        seen.push(format!("{} {answered}", call.what));
    }
    none(seen)
}
