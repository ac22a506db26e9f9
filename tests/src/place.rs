use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The root of the source tree.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The directory into which cargo builds the profile of the running program, such as
/// `target/debug`: the parent of the program, or of the `deps` that a test lies in.
pub fn profile_dir() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let directory = program.parent().unwrap_or(Path::new("."));
    match directory.file_name() {
        Some(name) if name == "deps" => directory.parent().unwrap_or(directory).to_owned(),
        _ => directory.to_owned(),
    }
}

/// Cargo's target directory, where everything that is installed or written for tests goes.
pub fn target_dir() -> PathBuf {
    let profile = profile_dir();
    profile.parent().unwrap_or(&profile).to_owned()
}

/// Where what takes minutes to build is kept, for every clone of the source: below the user's cache,
/// by name and version.
pub fn cache_dir() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| Path::new(path).is_absolute()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or_else(home).unwrap_or_else(target_dir).join("lineman-tests")
}

/// What the placeholders of the fault table stand for: ports, paths, and values that a server
/// gave out when it was set up.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// Gives a placeholder its value.
    pub fn set(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.insert(name.into(), value.to_string());
    }

    /// Takes over every placeholder of others.
    pub fn extend(&mut self, others: &Names) {
        self.0.extend(others.0.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// The value of a placeholder.
    pub fn get(&self, name: &str) -> Result<&str> {
        self.0.get(name).map(String::as_str).with_context(|| format!("nothing is called {{{name}}}"))
    }

    /// Replaces every `{placeholder}` of a text.
    pub fn fill(&self, text: &str) -> Result<String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('{') {
            let Some((name, after)) = from.split_once('}') else {
                bail!("`{text}` opens a brace that it never closes")
            };
            filled.push_str(before);
            filled.push_str(self.get(name).with_context(|| format!("in `{text}`"))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Replaces every placeholder in the texts of a TOML value.
    pub fn fill_value(&self, value: &toml::Value) -> Result<toml::Value> {
        Ok(match value {
            toml::Value::String(text) => toml::Value::String(self.fill(text)?),
            toml::Value::Array(items) => {
                items.iter().map(|item| self.fill_value(item)).collect::<Result<Vec<_>>>()?.into()
            }
            toml::Value::Table(table) => toml::Value::Table(self.fill_table(table)?),
            other => other.clone(),
        })
    }

    /// Replaces every placeholder in the texts of a TOML table.
    pub fn fill_table(&self, table: &toml::Table) -> Result<toml::Table> {
        table.iter().map(|(key, value)| Ok((key.clone(), self.fill_value(value)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_unknown_ones_are_named() {
        let mut names = Names::default();
        names.set("port", 22);
        names.set("user", "git");
        assert_eq!(names.fill("ssh://{user}@h:{port}/r").unwrap(), "ssh://git@h:22/r");
        let error = names.fill("{nobody}").unwrap_err();
        assert!(format!("{error:#}").contains("{nobody}"), "{error:#}");
    }
}
