//! A catalog, which comes with a plugin: it is refused with a reason, or it survives the way
//! through a description, keeps to its own examples or says why not, and matches any text.

#![no_main]

use lineman_catalog::Catalog;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let catalog = match Catalog::parse("fuzz", &text) {
        Ok(catalog) => catalog,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let again = Catalog::from_value("fuzz", &catalog.to_value()).expect("what was read is written as it can be read");
    assert_eq!(again.rules(), catalog.rules());
    catalog.verify();
    for rule in catalog.rules() {
        catalog.describe(&rule.code).expect("every rule can be described");
    }
    // Nothing is as close to its patterns as the catalog itself.
    for found in catalog.match_text(&text) {
        assert!(!found.message.contains('\u{1b}') && !found.text.contains(['\u{1b}', '\n']), "{found:?}");
    }
});
