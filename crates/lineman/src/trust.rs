//! Whom a configuration trusts, and what to do where that does not hold.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use lineman_config::Plugins as Table;
use lineman_host::{Acceptance, Installed, SearchPath, Trust, TrustError, TrustedKeys, guard_configuration, signer};
use serde::Serialize;

use crate::cli::Common;
use crate::failure::Failure;
use crate::setup::Plugins;

/// What `[plugins]` says; nothing where there is no configuration yet.
pub(crate) fn table(common: &Common) -> Result<Table, Failure> {
    if !common.config.exists() {
        return Ok(Table::default());
    }
    guard_configuration(&common.config).map_err(Failure::refused)?;
    Ok(lineman_config::plugins(&common.config)?)
}

/// Whom a configuration trusts.
pub(crate) fn of(common: &Common, table: &Table) -> Trust {
    Trust::new(TrustedKeys::new(&table.trusted_keys, table.require_signatures), &common.config)
}

/// The installed plugins among some ids. What is not installed has its place in the configuration,
/// and is reported there.
pub(crate) fn installed<'a>(plugins: &'a Plugins, ids: &[String]) -> Vec<&'a Installed> {
    ids.iter().filter_map(|id| plugins.installed(id)).collect()
}

/// Accepts plugins as they are. A lock file that does not exist yet comes to hold everything that
/// is enabled: otherwise the rest would be refused by it.
pub(crate) fn accept(
    trust: &Trust,
    plugins: &Plugins,
    enabled: &[String],
    ids: &[String],
) -> Result<Vec<(String, Acceptance)>, TrustError> {
    let mut wanted = if trust.lock_file().exists() { Vec::new() } else { enabled.to_vec() };
    wanted.extend_from_slice(ids);
    wanted.sort();
    wanted.dedup();
    trust.accept(&installed(plugins, &wanted), None)
}

/// Whose signature a plugin bears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Signer {
    /// The id of the key, as minisign shows it.
    pub(crate) key: String,
    /// Whether a trusted key made it over this plugin; else it is only said.
    pub(crate) trusted: bool,
}

impl Signer {
    pub(crate) fn of(installed: &Installed, keys: &TrustedKeys) -> Option<Signer> {
        let key = signer(&installed.directory)?;
        let trusted = keys.signer(installed).is_ok_and(|trusted| trusted.is_some());
        Some(Signer { key, trusted })
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trusted {
            true => write!(f, "signed by {}", self.key),
            false => write!(f, "signed, so it says, by {}, which is no trusted key", self.key),
        }
    }
}

/// Where plugins are installed: `--plugin-dir`, else the user's own directory.
pub(crate) fn destination(common: &Common) -> Result<PathBuf, Failure> {
    match common.plugin_dir.first() {
        Some(given) if given.is_absolute() => Ok(given.clone()),
        Some(given) => Err(Failure::refused(format_args!("--plugin-dir must be absolute, not `{}`", given.display()))),
        None => SearchPath::user(|name| std::env::var(name).ok())
            .ok_or_else(|| Failure::refused("there is no home directory to install into; name one with --plugin-dir")),
    }
}

/// The words of a command to run next, with what this one was told of where things are.
pub(crate) fn words(common: &Common, words: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = std::iter::once("lineman").chain(words.iter().copied()).map(str::to_owned).collect();
    let text = |path: &Path| path.as_os_str().to_string_lossy().into_owned();
    if common.config.as_os_str() != OsStr::new(crate::cli::CONFIGURATION) {
        all.extend(["--config".to_owned(), text(&common.config)]);
    }
    for directory in &common.plugin_dir {
        all.extend(["--plugin-dir".to_owned(), text(directory)]);
    }
    all
}

/// The same as one line to paste.
pub(crate) fn line(common: &Common, command: &[&str]) -> String {
    let quoted: Vec<String> = words(common, command)
        .iter()
        .map(|word| shlex::try_quote(word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned()))
        .collect();
    format!("`{}`", quoted.join(" "))
}

/// A refusal, with the command that ends it.
pub(crate) fn refusal(error: &TrustError, common: &Common) -> Failure {
    let remedy = match error {
        TrustError::Lock(_) => {
            format!("bring it back from version control, or remove it and write it anew with {}", lock(common, None))
        }
        TrustError::NoLock { .. } => format!("write it with {}", lock(common, None)),
        TrustError::NotWritten { .. } => "nothing was accepted".to_owned(),
        TrustError::Unknown { id, .. } => format!("accept it with {}", lock(common, Some(id))),
        TrustError::Changed { id, .. } => {
            format!("if that is meant, accept it with {}; if not, find out who changed it", lock(common, Some(id)))
        }
        TrustError::Unsigned { .. } => {
            "install it with a signature of its publisher, whose key is in `plugins.trusted_keys`".to_owned()
        }
        TrustError::Plugin { .. } => {
            format!("install it again with {}", line(common, &["plugin", "install", "PACKAGE"]))
        }
    };
    Failure::refused(format_args!("{error};\n  {remedy}"))
}

fn lock(common: &Common, id: Option<&str>) -> String {
    let command: Vec<&str> = ["plugin", "lock"].into_iter().chain(id).collect();
    line(common, &command)
}
