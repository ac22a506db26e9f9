//! `description.json`, and what a library says of itself: whatever it claims, the host, the
//! engine and the configuration refuse it or work with it.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use lineman_catalog::Catalog;
use lineman_engine::{Selection, Subject, Writes, plan};
use lineman_model::{Description, Integration, PluginRef, SecretMap};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(description) = serde_json::from_slice::<Description>(data) else { return };
    let written = serde_json::to_string(&description).expect("a description can be written");
    assert_eq!(serde_json::from_str::<Description>(&written).ok().as_ref(), Some(&description));
    _ = Catalog::from_value(&description.id, &description.catalog);
    lineman_config::schema(&[&description]);
    let id = &description.id;
    let text = format!(
        "version = 1\nplugins.enable = [{id:?}]\n[integration.one]\nprovider = {id:?}\n\
         settings = {{ a = \"b\", c = [1, {{ d = 2.5 }}] }}\nsecrets.a = {{ env = \"A\" }}\n"
    );
    let config = lineman_config::fuzzing::load(&text, std::slice::from_ref(&description));
    let integration = config.map(|mut config| config.integrations.pop().map(|one| one.integration));
    let subject = Subject {
        integration: integration
            .ok()
            .flatten()
            .unwrap_or_else(|| Integration { name: "one".into(), ..Integration::default() }),
        plugin: PluginRef { id: id.clone(), ..PluginRef::default() },
        description: Arc::new(description),
        inputs: Ok(SecretMap::default()),
        policy: Vec::new(),
        writes: Writes::Denied,
        fingerprints: BTreeMap::new(),
    };
    if let Ok(plan) = plan([Ok(subject)], &Selection::default()) {
        plan.view();
    }
});
