//! Enables and disables plugins in a file that a person wrote: nothing else in it changes, not a
//! comment and not a space.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

use crate::ConfigError;
use crate::load::plugins;
use crate::source::reason;

/// Why a configuration cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It has mistakes already.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It cannot be read or written.
    #[error("`{}` cannot be changed: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// Enables plugins in a configuration, and writes one that does nothing else where there is none.
/// Gives those that were not enabled before.
///
/// # Errors
///
/// When the file has mistakes in `[plugins]`, or cannot be read or written.
pub fn enable(path: &Path, ids: &[String]) -> Result<Vec<String>, EditError> {
    if !path.exists() {
        let list: Array = ids.iter().map(String::as_str).collect();
        write(path, &format!("version = 1\n\n[plugins]\nenable = {list}\n"))?;
        return Ok(ids.to_vec());
    }
    edit(path, |plugins| {
        let mut added = Vec::new();
        for id in ids {
            if position(plugins, id).is_none() {
                push(plugins, id);
                added.push(id.clone());
            }
        }
        added
    })
}

/// Disables plugins in a configuration. Gives those that were enabled before.
///
/// # Errors
///
/// As of [`enable`].
pub fn disable(path: &Path, ids: &[String]) -> Result<Vec<String>, EditError> {
    edit(path, |plugins| {
        let mut removed = Vec::new();
        for id in ids {
            while let Some(at) = position(plugins, id) {
                remove(plugins, at);
                removed.push(id.clone());
            }
        }
        removed.dedup();
        removed
    })
}

fn edit(path: &Path, change: impl FnOnce(&mut Array) -> Vec<String>) -> Result<Vec<String>, EditError> {
    // Mistakes are shown where they are, before anything is changed.
    plugins(path)?;
    let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    let unexpected = || failed(path, &io::Error::other("`plugins.enable` is written in a way that is not understood"));
    let mut document: DocumentMut = text.parse().map_err(|_| unexpected())?;
    let changed = change(list(&mut document).ok_or_else(unexpected)?);
    if !changed.is_empty() {
        write(path, &document.to_string())?;
    }
    Ok(changed)
}

/// `plugins.enable`, in whichever of TOML's ways it is written.
fn list(document: &mut DocumentMut) -> Option<&mut Array> {
    let plugins = document.entry("plugins").or_insert_with(|| {
        let mut table = Table::new();
        // Before everything that is granted and configured.
        table.set_position(Some(0));
        Item::Table(table)
    });
    if let Some(table) = plugins.as_table_mut().filter(|table| table.position().is_none() && !table.is_dotted()) {
        table.set_position(Some(0));
    }
    let plugins: &mut dyn TableLike = plugins.as_table_like_mut()?;
    plugins.entry("enable").or_insert_with(|| Item::Value(Value::Array(Array::new()))).as_array_mut()
}

fn position(list: &Array, id: &str) -> Option<usize> {
    list.iter().position(|item| item.as_str() == Some(id))
}

/// Adds to the end of a list, on a line of its own where the others are.
fn push(list: &mut Array, id: &str) {
    let text = |raw: Option<&toml_edit::RawString>| raw.and_then(|raw| raw.as_str()).unwrap_or_default().to_owned();
    let trailing = list.trailing().as_str().unwrap_or_default().to_owned();
    let Some(last) = list.len().checked_sub(1).and_then(|last| list.get_mut(last)) else {
        list.push(id);
        return;
    };
    let (before, after) = (text(last.decor().prefix()), text(last.decor().suffix()));
    let tail = format!("{after}{trailing}");
    if !before.contains('\n') && !tail.contains('\n') {
        list.push(id);
        return;
    }
    // A comment behind the last one stays on its line.
    last.decor_mut().set_suffix("");
    let indent = before.rsplit_once('\n').map_or("    ", |(_, indent)| indent);
    let value = Value::from(id).decorated(format!("{}\n{indent}", tail.trim_end()), "");
    list.push_formatted(value);
    list.set_trailing("\n");
    list.set_trailing_comma(true);
}

fn remove(list: &mut Array, at: usize) {
    list.remove(at);
    let first = list.get_mut(0).filter(|_| at == 0);
    if let Some(first) = first
        && !first.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().contains('\n')
    {
        first.decor_mut().set_prefix("");
    }
}

/// Writes it beside its place and moves it there; it keeps its mode and, as far as may be, its
/// owner. A link stays a link.
fn write(path: &Path, text: &str) -> Result<(), EditError> {
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let write = || -> io::Result<()> {
        let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        let shared = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        let mut file = builder.prefix(".lineman-").permissions(shared).tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        if let Ok(old) = fs::metadata(&place) {
            file.as_file().set_permissions(old.permissions())?;
            // Only root can, and only root needs to.
            let _ = chown(file.path(), Some(old.uid()), Some(old.gid()));
        }
        file.persist(&place).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> EditError {
    EditError::Io { path: path.to_owned(), reason: reason(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a text, with `+acme` to enable and `-acme` to disable.
    fn check(text: &str, what: &str, expect: &str) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lineman.toml");
        fs::write(&path, text).unwrap();
        let (sign, id) = what.split_at(1);
        let ids = [id.to_owned()];
        let change = |on: bool| if on { enable(&path, &ids) } else { disable(&path, &ids) };
        let (act, undo) = (|| change(sign == "+"), || change(sign == "-"));
        assert_eq!(act().unwrap(), ids, "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), expect, "{what} in\n{text}");
        assert_eq!(plugins(&path).unwrap().enable.iter().any(|known| known == id), sign == "+");
        assert!(act().unwrap().is_empty(), "a second time it changes nothing");
        assert_eq!(undo().unwrap(), ids);
    }

    #[test]
    fn a_plugin_is_enabled_and_nothing_else_changes() {
        check(
            "version = 1 # one\n\n[plugins]\nenable = [\"git\"]  # nothing else\n\n[integration.x]\nprovider = 'git'\n",
            "+acme",
            "version = 1 # one\n\n[plugins]\nenable = [\"git\", \"acme\"]  # nothing else\n\n[integration.x]\nprovider = 'git'\n",
        );
        check(
            "version = 1\n# of all teams\n[vantage]\nname = \"here\"\n",
            "+acme",
            "version = 1\n\n[plugins]\nenable = [\"acme\"]\n# of all teams\n[vantage]\nname = \"here\"\n",
        );
        check("version = 1\nplugins.enable = []\n", "+acme", "version = 1\nplugins.enable = [\"acme\"]\n");
        check(
            "version = 1\nplugins = { enable = ['a'] }\n",
            "+acme",
            "version = 1\nplugins = { enable = ['a', \"acme\"] }\n",
        );
        check(
            "version = 1\n[plugins]\nenable = [\n  \"aws\", # clouds\n  \"git\" # and forges\n]\n",
            "+acme",
            "version = 1\n[plugins]\nenable = [\n  \"aws\", # clouds\n  \"git\", # and forges\n  \"acme\",\n]\n",
        );
        check(
            "version = 1\n[plugins]\nenable = [\n  \"git\", # forges\n]\n",
            "+acme",
            "version = 1\n[plugins]\nenable = [\n  \"git\", # forges\n  \"acme\",\n]\n",
        );
        check(
            "version = 1\n[plugins.git]\nallow_env = [\"A\"]\n[plugins]\nenable = [\"git\"]\n",
            "+acme",
            "version = 1\n[plugins.git]\nallow_env = [\"A\"]\n[plugins]\nenable = [\"git\", \"acme\"]\n",
        );
    }

    #[test]
    fn a_plugin_is_disabled_and_nothing_else_changes() {
        check("version = 1\nplugins.enable = [\"acme\", 'git']\n", "-acme", "version = 1\nplugins.enable = ['git']\n");
        check("version = 1\nplugins.enable = ['git', \"acme\"]\n", "-acme", "version = 1\nplugins.enable = ['git']\n");
        check(
            "version = 1\n[plugins]\nenable = [\n  \"acme\",\n  \"git\", # forges\n]\n[plugins.git]\nallow_env = []\n",
            "-acme",
            "version = 1\n[plugins]\nenable = [\n  \"git\", # forges\n]\n[plugins.git]\nallow_env = []\n",
        );
    }

    #[test]
    fn a_configuration_that_is_not_there_is_begun() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lineman.toml");
        enable(&path, &["acme".to_owned(), "git".to_owned()]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "version = 1\n\n[plugins]\nenable = [\"acme\", \"git\"]\n");
        assert!(disable(&place.path().join("nowhere.toml"), &["acme".to_owned()]).is_err());
    }

    #[test]
    fn mistakes_are_shown_and_links_stay() {
        let place = tempfile::tempdir().unwrap();
        let (path, link) = (place.path().join("real.toml"), place.path().join("lineman.toml"));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        fs::write(&path, "version = 1\nplugins.enable = 3\n").unwrap();
        assert!(matches!(enable(&link, &["acme".to_owned()]), Err(EditError::Config(_))));
        fs::write(&path, "version = 1\n").unwrap();
        enable(&link, &["acme".to_owned()]).unwrap();
        assert!(link.is_symlink() && fs::read_to_string(&path).unwrap().contains("acme"));
    }
}
