//! The documentation lists the cases that there are, in the words of the code.

use std::collections::BTreeSet;
use std::path::Path;

use lineman_conformance::{Case, GLIBC_FLOOR};

#[test]
fn the_documentation_lists_every_case() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conformance.md");
    let page = std::fs::read_to_string(page).expect("the page on conformance");
    let row = |case: &Case| format!("| `{}` | {} | {} |\n", case.id(), case.protects(), case.mend());
    let rows: String = Case::ALL.iter().map(row).collect();
    let table = format!("| case | protects | how to mend it |\n|---|---|---|\n{rows}");
    assert!(page.ends_with(&table), "docs/conformance.md should end with:\n\n{table}");
}

#[test]
fn ids_are_kebab_case_and_unique_and_sentences_are_sentences() {
    let ids: BTreeSet<&str> = Case::ALL.iter().map(|case| case.id()).collect();
    assert_eq!(ids.len(), Case::ALL.len());
    for case in Case::ALL {
        assert!(case.id().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{case}");
        assert_eq!(case.id().parse::<Case>().ok(), Some(*case));
        for sentence in [case.protects(), case.mend()] {
            assert!(sentence.ends_with('.') && sentence.starts_with(|c: char| c.is_uppercase()), "{case}");
        }
    }
    // The sentence names the floor, because it cannot be made of it.
    let (major, minor) = GLIBC_FLOOR;
    assert!(Case::Glibc.protects().contains(&format!("glibc {major}.{minor} ")));
}
