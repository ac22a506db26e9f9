use lineman_catalog::Catalog;
use lineman_model::protocol::event;
use lineman_model::{Finding, SkipReason, Status};

use super::description::is_kebab;
use crate::bench::{Bench, End, kind_name};
use crate::endpoint::{Endpoint, Manner};
use crate::kit::{Fault, Kit, Verdict, none};

/// Runs every check to its end where nobody listens, ends their sessions, and shuts the plugin
/// down: whatever it has left to say it has said then.
async fn round<'a>(kit: &'a Kit<'a>) -> Result<Bench<'a>, Fault> {
    let mut bench = Bench::new(kit).await?;
    let closed = Endpoint::start(Manner::Closed).await?;
    let place = bench.place(&closed)?;
    let calls = bench.try_each(&kit.checks()?, &place).await?;
    let sessions: Vec<u64> = calls.iter().filter_map(|call| Some(bench.calls.get(call)?.session)).collect();
    let closing = sessions.into_iter().map(|session| bench.close(session)).collect::<Result<Vec<u64>, Fault>>()?;
    bench.settle(&closing, crate::bench::LEEWAY).await?;
    bench.quiet().await?;
    // Whether it does so in time is for another case.
    bench.shut_down().await?;
    bench.quiet().await?;
    Ok(bench)
}

/// Everything that a plugin finds, with its severity, where its provider is broken in different ways.
async fn findings<'a>(kit: &'a Kit<'a>) -> Result<Vec<(String, Finding)>, Fault> {
    let mut bench = Bench::new(kit).await?;
    for manner in [Manner::Closed, Manner::Repeats(403), Manner::Repeats(404), Manner::Repeats(503), Manner::Garbage] {
        let endpoint = Endpoint::start(manner).await?;
        let place = bench.place(&endpoint)?;
        bench.run_each(&kit.checks()?, &place).await?;
    }
    let mut found = Vec::new();
    for call in bench.calls.values() {
        found.extend(call.judged().map(|finding| (call.what.clone(), finding)));
    }
    Ok(found)
}

pub(super) async fn one_terminal_event(kit: &Kit<'_>) -> Verdict {
    let bench = round(kit).await?;
    let mut seen: Vec<String> = bench
        .calls
        .values()
        .filter(|call| call.end.is_none())
        .map(|call| format!("{} never ends", call.what))
        .collect();
    for (number, kind) in &bench.strays {
        if let Some(call) = bench.calls.get(number).filter(|_| matches!(*kind, event::RESULT | event::ERROR)) {
            seen.push(format!("{} ends again, with {}", call.what, kind_name(*kind)));
        }
    }
    none(seen)
}

pub(super) async fn silent_after_the_end(kit: &Kit<'_>) -> Verdict {
    let bench = round(kit).await?;
    let late = bench.strays.iter().filter(|(_, kind)| !matches!(*kind, event::RESULT | event::ERROR));
    none(
        late.filter_map(|(number, kind)| {
            let call = bench.calls.get(number)?;
            Some(format!("{} goes on after its end, with {}", call.what, kind_name(*kind)))
        })
        .collect(),
    )
}

pub(super) async fn own_calls_only(kit: &Kit<'_>) -> Verdict {
    let bench = round(kit).await?;
    let foreign = bench.strays.iter().filter(|(number, _)| !bench.calls.contains_key(number));
    none(
        foreign
            .map(|(number, kind)| format!("{} for the call {number}, which there was not", kind_name(*kind)))
            .collect(),
    )
}

pub(super) async fn events(kit: &Kit<'_>) -> Verdict {
    let bench = round(kit).await?;
    let mut seen = bench.malformed.clone();
    for call in bench.calls.values() {
        match &call.end {
            Some(End::Error(failure)) if !failure.cause.is_ours() => {
                seen.push(format!("{} ends with an error of the cause `{}`", call.what, failure.cause));
            }
            Some(End::Result(outcome)) => {
                let allowed = [SkipReason::NotApplicable, SkipReason::MissingInput, SkipReason::Policy];
                if let Some(skip) = outcome.skip.as_ref().filter(|skip| !allowed.contains(&skip.reason)) {
                    seen.push(format!("{} is skipped as `{}`", call.what, skip.reason.as_str()));
                }
            }
            _ => {}
        }
        for finding in call.findings.iter().filter(|finding| finding.cause.is_ours()) {
            seen.push(format!("{} finds the cause `{}`, which is the host's to find", call.what, finding.cause));
        }
    }
    none(seen)
}

pub(super) async fn finding_codes(kit: &Kit<'_>) -> Verdict {
    let description = kit.description()?;
    let id = description.id.as_str();
    let own = Catalog::from_value(id, &description.catalog).ok();
    let (mut seen, mut unknown) = (Vec::new(), Vec::new());
    for (what, finding) in findings(kit).await? {
        let code = finding.code.as_str();
        // Words that belong to nobody have codes of their own, which can be explained as well.
        let shared = Catalog::shared().iter().any(|catalog| catalog.describe(code).is_some());
        match code.strip_prefix(id).and_then(|rest| rest.strip_prefix('/')).filter(|name| is_kebab(name)) {
            Some(name) => {
                let known = own.iter().any(|catalog| catalog.describe(name).is_some());
                if !known && Catalog::of_every_plugin().describe(name).is_none() {
                    unknown.push(format!("{what} finds `{code}`, which the catalog does not describe"));
                }
            }
            None if shared => {}
            None => seen.push(format!("{what} finds `{code}`, which is not `{id}/<kebab-case>`")),
        }
        if finding.message.trim().is_empty() || finding.message.chars().any(char::is_control) {
            seen.push(format!("{what} finds `{code}` with a message that is empty or not one line"));
        }
        if let lineman_model::Cause::Other(word) = &finding.cause {
            seen.push(format!("{what} finds `{code}` with the cause `{word}`, which there is not"));
        }
    }
    seen.dedup();
    none(seen)?;
    unknown.sort();
    unknown.dedup();
    if unknown.is_empty() { Ok(()) } else { Err(Fault::Warn(unknown)) }
}

pub(super) async fn remedies(kit: &Kit<'_>) -> Verdict {
    let mut seen = Vec::new();
    for (what, finding) in findings(kit).await? {
        let helpless = finding.remedies.iter().all(|remedy| remedy.text.trim().is_empty());
        if finding.status() == Status::Fail && helpless {
            seen.push(format!("{what} finds `{}` and says nothing of what to do", finding.code));
        }
    }
    seen.sort();
    seen.dedup();
    if seen.is_empty() { Ok(()) } else { Err(Fault::Warn(seen)) }
}
