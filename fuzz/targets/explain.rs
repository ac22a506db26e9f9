//! What people paste into `explain` and what platforms log, against every catalog of this
//! repository. What is shown is fit to be shown, and what the sieve of `logs` passes over is
//! nothing that a rule for text would have matched.

#![no_main]

use std::sync::LazyLock;

use lineman_catalog::{Catalog, Conditions, Explanation, Sieve, explain_or_guess, message_of};
use lineman_model::clean_line;

static CATALOGS: LazyLock<Vec<Catalog>> = LazyLock::new(|| {
    [
        ("aws", include_str!("../../plugins/aws/catalog.toml")),
        ("exec", include_str!("../../plugins/exec/catalog.toml")),
        ("git", include_str!("../../plugins/git/catalog.toml")),
    ]
    .map(|(plugin, text)| Catalog::parse(plugin, text).expect("the catalogs of this repository are whole"))
    .into()
});

static SIEVE: LazyLock<Sieve> = LazyLock::new(|| Sieve::new(&all()));

fn all() -> Vec<&'static Catalog> {
    CATALOGS.iter().chain(Catalog::shared()).chain([Catalog::general()]).collect()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let found = explain_or_guess(&all(), &text);
    let lines = text.matches(['\n', '\r']).count() + 1;
    for one in &found {
        let unfit = |shown: &str| shown.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        assert!(!unfit(&one.message) && !unfit(&one.text), "{one:?}");
        assert!(one.line.is_none_or(|line| (1..=lines).contains(&line)), "{one:?} of {lines} lines");
    }
    serde_json::to_string(&Explanation::new(&found)).expect("an explanation can be written");

    let Some(line) = text.lines().next() else { return };
    let message = message_of(line);
    assert!(line.ends_with(message));
    // The sieve sees lines as they are; rules see them cleaned.
    if clean_line(line, usize::MAX) == line && SIEVE.lines(line.as_bytes()).next().is_none() {
        for one in all().iter().flat_map(|catalog| catalog.match_text(line)) {
            let conditions = &one.rule.conditions;
            let asks = |all: &Conditions| !(all.text.is_empty() && all.provider_code.is_empty());
            assert!(!conditions.as_ref().is_some_and(asks), "{line} is {}", one.code);
        }
    }
});
