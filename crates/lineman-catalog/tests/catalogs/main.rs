//! Every catalog in this repository: its own examples, the documented codes of its provider, and
//! failures that really happened.

mod codes;
mod examples;
mod transcripts;

use std::path::{Path, PathBuf};

use lineman_catalog::Catalog;

/// The folders of the plugins that have a catalog, in the order of their names.
fn plugins() -> Vec<(String, PathBuf)> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let mut folders: Vec<(String, PathBuf)> = std::fs::read_dir(plugins)
        .expect("the folder of the plugins")
        .map(|entry| entry.expect("an entry of the folder of the plugins").path())
        .filter(|folder| folder.join("catalog.toml").exists())
        .filter_map(|folder| Some((folder.file_name()?.to_str()?.to_owned(), folder)))
        .collect();
    folders.sort();
    assert!(folders.len() > 1, "the catalogs were not found");
    folders
}

fn catalogs() -> Vec<Catalog> {
    let read = |(plugin, folder): &(String, PathBuf)| {
        let text = std::fs::read_to_string(folder.join("catalog.toml")).expect("a catalog that can be read");
        Catalog::parse(plugin, &text).unwrap_or_else(|error| panic!("{error}"))
    };
    plugins().iter().map(read).collect()
}
