//! Catalogs hold to their own examples, and keep to their own provider.

use lineman_catalog::{Catalog, Problem, Sample, explain};

use crate::catalogs;

#[test]
fn catalogs_hold_to_their_examples() {
    let problems: Vec<String> = catalogs()
        .iter()
        .chain(Catalog::shared())
        .chain([Catalog::general(), Catalog::of_every_plugin(), Catalog::of_the_host()])
        .flat_map(Catalog::verify)
        .map(|problem: Problem| problem.to_string())
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_one_provider_says_is_not_taken_for_another_s() {
    let catalogs = catalogs();
    let all: Vec<&Catalog> = catalogs.iter().chain(Catalog::shared()).collect();
    let mut wrong = Vec::new();
    for catalog in &all {
        for rule in catalog.rules() {
            let code = format!("{}/{}", catalog.plugin(), rule.code);
            for sample in &rule.example {
                let text = match sample {
                    Sample::Text(text) => text,
                    Sample::Response(response) if response.headers.is_empty() && response.operation.is_none() => {
                        &response.body
                    }
                    Sample::Response(_) => continue,
                };
                let first = explain(&all, text).first().map(|found| found.code.clone());
                if !text.is_empty() && first.as_deref() != Some(&code) {
                    wrong.push(format!("{code} is explained as {first:?}: {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
