//! Every catalog in this repository holds what the format promises.

use std::path::Path;

use lineman_catalog::{Catalog, Problem, Sample, explain};

fn catalogs() -> Vec<Catalog> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let mut catalogs: Vec<Catalog> = std::fs::read_dir(plugins)
        .expect("the folder of the plugins")
        .filter_map(|entry| {
            let folder = entry.expect("an entry of the folder of the plugins").path();
            let text = std::fs::read_to_string(folder.join("catalog.toml")).ok()?;
            let plugin = folder.file_name()?.to_str()?;
            Some(Catalog::parse(plugin, &text).unwrap_or_else(|error| panic!("{error}")))
        })
        .collect();
    catalogs.sort_by(|a, b| a.plugin().cmp(b.plugin()));
    assert!(catalogs.len() > 1, "the catalogs were not found");
    catalogs
}

#[test]
fn catalogs_hold_to_their_examples() {
    let problems: Vec<String> = catalogs()
        .iter()
        .chain([Catalog::network()])
        .flat_map(Catalog::verify)
        .map(|problem: Problem| problem.to_string())
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_one_provider_says_is_not_taken_for_another_s() {
    let catalogs = catalogs();
    let all: Vec<&Catalog> = catalogs.iter().chain([Catalog::network()]).collect();
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
