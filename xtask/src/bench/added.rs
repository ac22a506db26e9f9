//! What host, worker and ABI add to a provider's own response time, check by check.
//!
//! Many integrations are checked one at a time (`--jobs 1`) with the events as they happen on
//! standard output: from the line that says that a check started to the one that says that it
//! ended, it was under way. From that, what the calls of such a check take with the plainest
//! client there is, a socket, is taken off: it is asked between the runs, at the same server,
//! which answers at once. What is left has crossed host, worker and ABI, and includes what the
//! plugin itself does: to sign, to build a client, to read the answer.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lineman_lab::api::{Response, Server};
use lineman_model::{Event, Status};

use super::{Row, lineman, median};
use crate::narration::Step;

const INTEGRATIONS: usize = 100;
const ROUNDS: usize = 5;
const BUDGET: Duration = Duration::from_millis(1);

/// Every check up to `aws/identity`, and how many calls each makes.
const CHECKS: [(&str, u32); 4] = [("aws/config", 0), ("aws/reach", 1), ("aws/clock", 0), ("aws/identity", 1)];

const ANSWER: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
<Arn>arn:aws:iam::111122223333:user/bench</Arn><UserId>AIDABENCH</UserId><Account>111122223333</Account>\
</GetCallerIdentityResult></GetCallerIdentityResponse>";

pub(super) fn measure(program: &Path, directory: &Path) -> Result<Vec<Row>> {
    let mut step = Step::new("measuring the time added to a check");
    let server = Server::http(|_| Response::new(200).header("content-type", "text/xml").body(ANSWER))?;
    let configuration = directory.join("added.toml");
    std::fs::write(&configuration, many(&server.url()))?;
    let mut took: HashMap<String, Vec<Duration>> = HashMap::new();
    let mut calls = Vec::new();
    for round in 0..ROUNDS {
        step.at(&format!("round {} of {ROUNDS}", round + 1));
        run(program, &configuration, &mut took)?;
        for _ in 0..INTEGRATIONS {
            calls.push(exchange(server.address())?);
        }
    }
    let call = median(calls);
    let mut all = Vec::new();
    let mut rows = Vec::new();
    for (check, calls) in CHECKS {
        let took = took.remove(check).with_context(|| format!("{check} did not run"))?;
        let peer = call * calls;
        all.extend(took.iter().map(|took| (*took, took.saturating_sub(peer))));
        rows.push(row(&format!("  of which {check}, {calls} calls"), median(took), peer));
    }
    let took = median(all.iter().map(|(took, _)| *took).collect());
    let added = median(all.iter().map(|(_, added)| *added).collect());
    let judged = Row {
        budget: "< 1 ms",
        ok: Some(added < BUDGET),
        ..row("added to a check by host, worker and ABI (peer: its calls over a socket)", took, took - added)
    };
    rows.insert(0, judged);
    Ok(rows)
}

fn row(what: &str, took: Duration, peer: Duration) -> Row {
    Row {
        what: what.to_owned(),
        ours: took,
        peer: Some(peer).filter(|peer| !peer.is_zero()),
        ratio: format!("+{:.2} ms", took.saturating_sub(peer).as_secs_f64() * 1e3),
        budget: "",
        ok: None,
    }
}

fn many(url: &str) -> String {
    let head = "version = 1\n[plugins]\nenable = [\"aws\"]\n".to_owned();
    (0..INTEGRATIONS).fold(head, |text, n| {
        text + &format!(
            "[integration.bench-{n}]\nprovider = \"aws\"\nconnection.endpoint_url = \"{url}\"\n\
             secrets.access_key_id.env = \"BENCH_ID\"\nsecrets.secret_access_key.env = \"BENCH_SECRET\"\n"
        )
    })
}

/// One run, and how long each of its checks was under way.
fn run(program: &Path, configuration: &Path, took: &mut HashMap<String, Vec<Duration>>) -> Result<()> {
    let mut child = lineman(program, configuration.parent().context("a configuration without a directory")?)
        .args(["check", "--only", "aws/identity", "--jobs", "1", "--format", "ndjson", "--config"])
        .arg(configuration)
        .env("BENCH_ID", super::identity::KEY.0)
        .env("BENCH_SECRET", super::identity::KEY.1)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut started = HashMap::new();
    for line in BufReader::new(child.stdout.take().context("lineman has no output")?).lines() {
        let now = Instant::now();
        match serde_json::from_str(&line?)? {
            Event::CheckStarted { integration, check } => _ = started.insert((integration, check), now),
            Event::CheckFinished { integration, check } => {
                let Some(start) = started.remove(&(integration, check.id.clone())) else { continue };
                ensure!(check.status == Status::Pass, "{} did not pass: {:?}", check.id, check.findings);
                took.entry(check.id).or_default().push(now - start);
            }
            _ => {}
        }
    }
    ensure!(child.wait()?.success(), "lineman did not pass");
    Ok(())
}

/// One call with a socket: connection, request, answer.
fn exchange(address: SocketAddr) -> Result<Duration> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(
        format!("POST / HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.ends_with(ANSWER), "the server answered {answer}");
    Ok(start.elapsed())
}
