use lineman_host::probe::Ground;
use lineman_model::Redactor;

use crate::bench::{Bench, DEADLINE, LEEWAY};
use crate::endpoint::{Endpoint, Manner};
use crate::kit::{Fault, Kit, Verdict, none};
use crate::sample::canary;

/// The variable that is planted in a worker's environment.
const VARIABLE: &str = "LINEMAN_CONFORMANCE_CANARY";
/// A part of a secret that is as long as this gives it away.
const PART: usize = 12;

/// Something that must not come back.
struct Planted {
    name: String,
    value: String,
}

impl Planted {
    /// Whether a text gives it away: whole in any form that servers echo, or in part.
    fn is_in(&self, text: &str) -> bool {
        let redactor = Redactor::new();
        redactor.add(&self.name, &lineman_model::Secret::new(self.value.as_str()));
        let chars: Vec<char> = self.value.chars().collect();
        let in_part = |part: &[char]| text.contains(&part.iter().collect::<String>());
        redactor.scrub(text) != text || chars.windows(PART).any(in_part)
    }
}

/// Looks for what was planted in all that a plugin said and wrote.
fn search(bench: &Bench<'_>, planted: &[Planted]) -> Vec<String> {
    let mut seen = Vec::new();
    for Planted { name, .. } in planted.iter().filter(|it| it.is_in(&bench.probe.written())) {
        seen.push(format!("`{name}` is in what the plugin writes to stdout or stderr"));
    }
    for (what, said) in bench.said() {
        seen.extend(
            planted.iter().filter(|it| it.is_in(said)).map(|it| format!("`{}` is in what {what} says", it.name)),
        );
    }
    seen.sort();
    seen.dedup();
    seen
}

pub(super) async fn secrets(kit: &Kit<'_>) -> Verdict {
    let sample = kit.sample()?;
    let planted: Vec<Planted> = sample
        .secrets
        .0
        .iter()
        .map(|(name, secret)| Planted { name: name.clone(), value: secret.expose().to_owned() })
        .collect();
    if planted.is_empty() {
        return Err(Fault::Skip("the plugin takes no secrets".to_owned()));
    }
    let mut bench = Bench::new(kit).await?;
    for manner in [Manner::Closed, Manner::Repeats(401), Manner::Repeats(500), Manner::Repeats(200), Manner::Garbage] {
        let endpoint = Endpoint::start(manner).await?;
        let place = bench.place(&endpoint)?;
        bench.run_each(&kit.checks()?, &place).await?;
        // Errors of reading quote what they could not read.
        for (_, integration) in sample.wrong(kit.description()?, &endpoint.url).into_iter().take(1) {
            let mut place = bench.place(&endpoint)?;
            place.integration = integration;
            bench.run_each(&kit.checks()?, &place).await?;
        }
    }
    none(search(&bench, &planted))
}

pub(super) async fn environment(kit: &Kit<'_>) -> Verdict {
    let planted = Planted { name: VARIABLE.to_owned(), value: canary() };
    let environment = vec![(VARIABLE.to_owned(), planted.value.clone())];
    let mut bench = Bench::on(kit, Ground { environment, ..Ground::default() }).await?;
    for manner in [Manner::Closed, Manner::Repeats(403)] {
        let endpoint = Endpoint::start(manner).await?;
        let place = bench.place(&endpoint)?;
        bench.run_each(&kit.checks()?, &place).await?;
    }
    none(search(&bench, &[planted]))
}

pub(super) async fn output(kit: &Kit<'_>) -> Verdict {
    let mut bench = Bench::new(kit).await?;
    let endpoint = Endpoint::start(Manner::Repeats(403)).await?;
    let place = bench.place(&endpoint)?;
    let calls = bench.check_each(&kit.checks()?, &place, DEADLINE)?;
    bench.settle(&calls, DEADLINE + LEEWAY).await?;
    let closing = bench.close(1)?;
    bench.settle(&[closing], LEEWAY).await?;
    let written = bench.probe.written();
    match written.lines().find(|line| !line.trim().is_empty()) {
        None => Ok(()),
        Some(line) => Err(Fault::Warn(vec![format!("it prints, for instance `{line}`")])),
    }
}
