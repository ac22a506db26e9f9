use std::time::Duration;

use lineman_model::Status;
use lineman_model::protocol::{op, submit};
use serde_json::{Value, json};

use crate::Case;
use crate::bench::{Bench, Call, DEADLINE, End, LEEWAY};
use crate::endpoint::{Endpoint, Manner};
use crate::kit::{Fault, Kit, Verdict, none};

/// How long the answer to a huge request may take: it is not answered for being quick.
const HUGE_ANSWER: Duration = Duration::from_secs(40);
/// How long the answer to a request that is none may take.
const ANSWER: Duration = Duration::from_secs(15);
/// Bytes of a huge request, below the limit of frames.
const HUGE: usize = 4 << 20;
/// How deep a deep request is.
const DEEP: usize = 100_000;

pub(super) async fn unknown_operation(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let call = bench.submit("an-operation-of-the-future", "an unknown operation", &json!({}))?;
    bench.settle(&[call], ANSWER).await?;
    let seen = match bench.calls.get(&call).and_then(|call| call.end.as_ref()) {
        Some(End::Refused(submit::UNKNOWN_OPERATION)) => return Ok(()),
        Some(End::Refused(code)) => format!("it is refused with code {code}, not {}", submit::UNKNOWN_OPERATION),
        Some(_) => "it is accepted".to_owned(),
        None => "it is accepted and never answered".to_owned(),
    };
    Err(Fault::fail(seen))
}

/// A check that a plugin answers at once, wherever its provider is.
async fn still_answers(bench: &mut Bench<'_>, seen: &mut Vec<String>) -> Result<(), Fault> {
    let session = bench.session();
    let call = bench.close(session)?;
    bench.settle(&[call], ANSWER).await?;
    if !bench.has_ended(call) {
        seen.push("afterwards it answers nothing any more".to_owned());
    }
    Ok(())
}

pub(super) async fn malformed(kit: &Kit<'_>) -> Verdict {
    const REQUESTS: &[(&str, &[u8])] = &[
        ("nothing", b""),
        ("`{`", b"{"),
        ("bytes that are no text", b"\xff\xfe\x00{}"),
        ("`null`", b"null"),
        ("`[]`", b"[]"),
        ("`42`", b"42"),
        ("`{}`", b"{}"),
        ("an end too many", br#"{"check":"x","session":1,"deadline_ms":1,"integration":{}}}"#),
        ("a session that is no number", br#"{"check":"x","session":"x","deadline_ms":1,"integration":{}}"#),
    ];
    let mut bench = Bench::new(kit).await?;
    let mut seen = Vec::new();
    for op in [op::CHECK, op::CLOSE] {
        for (what, bytes) in REQUESTS {
            // What `close` does not read, it need not mind.
            if op == op::CLOSE && *bytes == REQUESTS[7].1 {
                continue;
            }
            let what = format!("`{op}` with {what}");
            let call = bench.submit_bytes(op, &what, bytes)?;
            bench.settle(&[call], ANSWER).await?;
            match bench.calls.get(&call) {
                Some(call) if call.is_rejected() => {}
                Some(Call { end: Some(_), .. }) => seen.push(format!("{what} is taken for a request")),
                _ => seen.push(format!("{what} is never answered")),
            }
        }
    }
    still_answers(&mut bench, &mut seen).await?;
    none(seen)
}

pub(super) async fn huge(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let closed = Endpoint::start(Manner::Closed).await?;
    let place = bench.place(&closed)?;
    let first = kit.checks()?.first().map(|check| check.id.clone()).unwrap_or_default();
    let session = bench.session();
    let request = json!(bench.request(&first, session, &place, DEADLINE)?);
    let with = |field: &str, value: Value| {
        let mut request = request.clone();
        request[field] = value;
        request
    };
    let mut calls = Vec::new();
    for (what, request) in [
        ("a request of four megabytes", with("from_the_future", "x".repeat(HUGE).into())),
        ("a check with a name of a megabyte", with("check", "x".repeat(1 << 20).into())),
    ] {
        calls.push(bench.submit(op::CHECK, what, &request)?);
    }
    let deep = "[".repeat(DEEP) + &"]".repeat(DEEP);
    for (what, place) in [("a deep request", "/from_the_future"), ("deep settings", "/integration")] {
        let mut marked = request.clone();
        if let Some(Value::Object(fields)) = marked.pointer_mut(place.rsplit_once('/').map_or("", |(parent, _)| parent))
        {
            let target = if place == "/integration" { fields.get_mut("integration") } else { None };
            match target {
                Some(integration) => integration["settings"] = json!({ "deep": "@" }),
                None => drop(fields.insert("from_the_future".to_owned(), "@".into())),
            }
        }
        let text = marked.to_string().replace("\"@\"", &deep);
        calls.push(bench.submit_bytes(op::CHECK, what, text.as_bytes())?);
    }
    let mut seen = Vec::new();
    bench.settle(&calls, HUGE_ANSWER).await?;
    for call in calls {
        if let Some(call) = bench.calls.get(&call).filter(|call| call.end.is_none()) {
            seen.push(format!("{} is never answered", call.what));
        }
    }
    still_answers(&mut bench, &mut seen).await?;
    none(seen)
}

pub(super) async fn unknown_fields(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let closed = Endpoint::start(Manner::Closed).await?;
    let place = bench.place(&closed)?;
    let mut seen = Vec::new();
    for check in kit.checks()? {
        let plain = json!(bench.request(&check.id, bench.calls.len() as u64 + 1000, &place, DEADLINE)?);
        let mut more = json!(bench.request(&check.id, bench.calls.len() as u64 + 2000, &place, DEADLINE)?);
        for fields in ["", "/integration", "/integration/connection"] {
            if let Some(Value::Object(fields)) = more.pointer_mut(fields) {
                fields.insert("from_the_future".to_owned(), json!({ "unknown": [1, 2, 3] }));
            }
        }
        let plain = bench.submit(op::CHECK, &check.id, &plain)?;
        bench.settle(&[plain], DEADLINE + LEEWAY).await?;
        let more = bench.submit(op::CHECK, &format!("{} with unknown fields", check.id), &more)?;
        bench.settle(&[more], DEADLINE + LEEWAY).await?;
        let answers = bench.answered(&[plain, more])?;
        let told = |call: &&Call| match &call.end {
            Some(End::Result(_)) => call.findings.iter().map(|finding| finding.code.clone()).collect(),
            Some(End::Refused(code)) => vec![format!("refused with code {code}")],
            _ => vec!["an error".to_owned()],
        };
        let (plainly, more) = match answers.as_slice() {
            [plainly, more] => (told(plainly), told(more)),
            _ => continue,
        };
        if plainly != more {
            let list = |codes: &[String]| if codes.is_empty() { "a pass".to_owned() } else { codes.join(", ") };
            seen.push(format!("{}: {} in place of {}", check.id, list(&more), list(&plainly)));
        }
    }
    none(seen)
}

pub(super) async fn unknown_check(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let closed = Endpoint::start(Manner::Closed).await?;
    let place = bench.place(&closed)?;
    let mut seen = Vec::new();
    let own = format!("{}/a-check-that-there-is-not", kit.description()?.id);
    for id in [own.as_str(), "somebody-else/config", ""] {
        let session = bench.session();
        let request = bench.request(id, session, &place, DEADLINE)?;
        let call = bench.submit(op::CHECK, id, &request)?;
        bench.settle(&[call], ANSWER).await?;
        match bench.calls.get(&call) {
            Some(call) if call.is_rejected() => {}
            Some(Call { end: Some(_), .. }) => seen.push(format!("the check `{id}` is run")),
            _ => seen.push(format!("the check `{id}` is accepted and never answered")),
        }
    }
    none(seen)
}

pub(super) async fn wrong_settings(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let closed = Endpoint::start(Manner::Closed).await?;
    let description = kit.description()?;
    let sample = kit.sample()?;
    let wrong = sample.wrong(description, &closed.url);
    if wrong.is_empty() {
        return Err(Fault::Skip("there are no settings".to_owned()));
    }
    let checks = kit.checks()?;
    let mut seen = Vec::new();
    for (name, integration) in wrong {
        let mut place = bench.place(&closed)?;
        place.integration = integration;
        let session = bench.session();
        // The first check is as good as any: settings are read before it.
        let Some(check) = checks.first() else { continue };
        let call = bench.check(check, session, &place, DEADLINE)?;
        bench.settle(&[call], DEADLINE + LEEWAY).await?;
        match bench.calls.get(&call).map(|call| (call.status(), call.end.is_some())) {
            Some((Some(Status::Pass | Status::Warn) | None, true)) => {
                seen.push(format!("{} passes though `{name}` is of the wrong type", check.id));
            }
            Some((_, true)) => {}
            _ => return Err(Fault::see("the check was never answered", Case::OneTerminalEvent)),
        }
    }
    none(seen)
}
