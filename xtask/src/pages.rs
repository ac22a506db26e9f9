//! The pages of the providers, written from what their plugins say of themselves.

use std::fs;

use anyhow::Result;
use lineman_tests::{PROVIDER_PAGES, provider_pages, workspace};

use crate::say;

/// Writes every page into its place, and removes those of plugins that are gone.
pub(crate) fn write() -> Result<()> {
    let pages = provider_pages()?;
    let directory = workspace().join(PROVIDER_PAGES);
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    for (name, text) in &pages {
        fs::write(directory.join(name), text)?;
    }
    say(&format!("written: {} pages in {PROVIDER_PAGES}", pages.len()));
    Ok(())
}
