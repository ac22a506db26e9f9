use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lineman_report::{next_command, wrap};

use crate::cli::Common;
use crate::failure::{Done, Failure};
use crate::terminal;

/// A file of the template, which is a plugin of this source tree.
macro_rules! template {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../../plugins/template/", $path)))
    };
}

const LIBRARY: (&str, &str) = template!("src/lib.rs");
const FILES: [(&str, &str); 9] = [
    LIBRARY,
    template!("src/tests.rs"),
    template!("catalog.toml"),
    template!("example.toml"),
    template!("README.md"),
    template!("LICENSE-MIT"),
    ("LICENSE-APACHE", include_str!("../../../../../LICENSE-APACHE")),
    template!(".gitignore"),
    template!(".github/workflows/ci.yml"),
];
const MANIFEST: &str = "Cargo.toml";

/// The longest id: with what goes before it, crates.io still takes it.
const LONGEST: usize = 40;
/// Codes that begin with these are Lineman's own.
const RESERVED: [&str; 2] = ["lineman", "network"];

pub(super) fn run(common: &Common, name: &str, directory: Option<&Path>, sdk: Option<&Path>) -> Done {
    let name = Name::parse(name).map_err(Failure::refused)?;
    let sdk = sdk.map(sdk_at).transpose().map_err(Failure::refused)?;
    let directory = directory.map_or_else(|| PathBuf::from(name.package()), Path::to_owned);
    let mut files = vec![(MANIFEST, manifest(&name, sdk.as_deref()))];
    files.extend(FILES.map(|(path, text)| (path, name.fill(text))));
    write(&directory, &files).map_err(Failure::refused)?;
    format(&directory);

    let style = terminal::style(common);
    let shown = directory.display().to_string();
    let mut text = wrap(&format!("Wrote the plugin {} into {shown}.", name.id), 0, &style);
    if sdk.is_none() {
        let note = format!(
            "It asks crates.io for `lineman-sdk` {}. As long as that is not published there, write it with \
             `--sdk-path DIR`, the source tree of Lineman.",
            env!("CARGO_PKG_VERSION")
        );
        text += &wrap(&note, 0, &style);
    }
    for next in [&["cd", &shown][..], &["cargo", "test"], &["lineman", "plugin", "pack"]] {
        text += &next_command(next, &style);
    }
    terminal::print(text.as_bytes())?;
    Ok(0)
}

/// What a plugin is called in every place that names it.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    /// `acme-cloud`
    id: String,
    /// `Acme Cloud`
    title: String,
    /// `AcmeCloud`
    provider: String,
}

impl Name {
    fn parse(id: &str) -> Result<Name, String> {
        if id != kebab(id) || !id.starts_with(|c: char| c.is_ascii_lowercase()) || id.len() > LONGEST {
            let rule = format!(
                "a plugin's name is lower-case letters, digits and single hyphens, begins with a letter, and has at \
                 most {LONGEST} of them"
            );
            let better = kebab(id);
            let better = better.strip_prefix("lineman-plugin-").unwrap_or(&better);
            let better = better.trim_start_matches(|c: char| !c.is_ascii_lowercase());
            let better = better.get(..LONGEST).unwrap_or(better).trim_end_matches('-');
            let hint = if better.is_empty() { String::new() } else { format!("; did you mean `{better}`?") };
            return Err(format!("`{}` is no name for a plugin: {rule}{hint}", lineman_model::clean_line(id, 100)));
        }
        if RESERVED.contains(&id) {
            return Err(format!("`{id}` is no name for a plugin: findings with it are Lineman's own"));
        }
        let words: Vec<String> = id.split('-').map(capitalised).collect();
        let mut provider = words.concat();
        let taken = |word: &str| LIBRARY.1.split(|c: char| !c.is_alphanumeric()).any(|other| other == word);
        if provider == "Self" || taken(&provider) {
            provider += "Plugin";
        }
        Ok(Name { id: id.to_owned(), title: words.join(" "), provider })
    }

    fn package(&self) -> String {
        format!("lineman-plugin-{}", self.id)
    }

    /// The text of a template, about this plugin.
    fn fill(&self, text: &str) -> String {
        let snake = self.id.replace('-', "_");
        text.replace("TEMPLATE", &snake.to_uppercase())
            .replace("Template", &self.provider)
            .replace("template", &self.id)
            .replace("Example", &self.title)
    }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_uppercase() + rest
}

/// The nearest name in kebab-case: `AcmeCloud` and `acme_cloud` are `acme-cloud`.
fn kebab(name: &str) -> String {
    let mut words = String::new();
    let mut before = '-';
    for c in name.chars() {
        let begins = c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if (begins || !c.is_ascii_alphanumeric()) && !words.ends_with('-') && !words.is_empty() {
            words.push('-');
        }
        if c.is_ascii_alphanumeric() {
            words.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words.trim_end_matches('-').to_owned()
}

/// The directory of the SDK, given by itself or by the source tree that it is in.
fn sdk_at(given: &Path) -> Result<String, String> {
    let here = |directory: PathBuf| {
        let manifest = fs::read_to_string(directory.join(MANIFEST)).ok()?;
        manifest.lines().any(|line| line == "name = \"lineman-sdk\"").then_some(directory)
    };
    let found = here(given.to_owned()).or_else(|| here(given.join("crates/lineman-sdk"))).ok_or_else(|| {
        format!("--sdk-path: there is no `lineman-sdk` in {}; give the source tree of Lineman", given.display())
    })?;
    let absolute = found.canonicalize().map_err(|error| format!("--sdk-path: {}: {error}", given.display()))?;
    absolute.to_str().map(str::to_owned).ok_or_else(|| "--sdk-path: the path is not UTF-8".to_owned())
}

/// The versions are those that Lineman itself is built with, which a test holds them to.
fn manifest(name: &Name, sdk: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let sdk = match sdk {
        // What JSON escapes in a text, and how, TOML reads as well.
        Some(path) => format!("{{ path = {}, version = \"{version}\" }}", serde_json::Value::from(path)),
        None => format!("\"{version}\""),
    };
    format!(
        r#"[package]
name = "{package}"
description = "Lineman plugin: {title}"
version = "0.1.0"
edition = "2024"
rust-version = "{rust}"
license = "MIT OR Apache-2.0"
readme = "README.md"

[lib]
crate-type = ["cdylib"]

[dependencies]
lineman-sdk = {sdk}
schemars = "1.2"
serde = {{ version = "1", features = ["derive"] }}

[dev-dependencies]
tokio = {{ version = "1.54", features = ["macros", "rt"] }}

[profile.release]
strip = "symbols"

# A crate of its own, wherever it lies.
[workspace]
"#,
        package = name.package(),
        title = name.title,
        rust = env!("CARGO_PKG_RUST_VERSION"),
    )
}

/// Writes every file, or none where one is there already.
fn write(directory: &Path, files: &[(&str, String)]) -> Result<(), String> {
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    if let Some((path, _)) = files.iter().find(|(path, _)| is_there(&directory.join(path))) {
        return Err(format!("{} is there already, and nothing is overwritten", directory.join(path).display()));
    }
    for (path, text) in files {
        let path = directory.join(path);
        let refused = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(directory)).map_err(refused)?;
        fs::write(&path, text).map_err(refused)?;
    }
    Ok(())
}

/// Other names make other line lengths. Who has no rustfmt does not miss it.
fn format(directory: &Path) {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.current_dir(directory).args(["--edition", "2024", LIBRARY.0]);
    let _ = rustfmt.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn names_are_kebab_case_or_refused_with_a_better_one() {
        let name = |id: &str| Name::parse(id).map(|name| format!("{} · {} · {}", name.id, name.title, name.provider));
        assert_eq!(name("acme-cloud"), Ok("acme-cloud · Acme Cloud · AcmeCloud".to_owned()));
        assert_eq!(name("s3"), Ok("s3 · S3 · S3".to_owned()));
        // A word that the template has a use for.
        assert_eq!(name("settings"), Ok("settings · Settings · SettingsPlugin".to_owned()));
        assert_eq!(name("self"), Ok("self · Self · SelfPlugin".to_owned()));
        for (wrong, better) in [
            ("AcmeCloud", "`acme-cloud`?"),
            ("acme_cloud", "`acme-cloud`?"),
            ("lineman_plugin_acme", "`acme`?"),
            ("--acme--cloud-", "`acme-cloud`?"),
            ("2fa", "`fa`?"),
            ("../acme", "`acme`?"),
            (&"a".repeat(41), &format!("`{}`?", "a".repeat(40))),
            ("", "a letter, and has at most 40"),
            ("中文", "a letter, and has at most 40"),
            ("lineman", "Lineman's own"),
        ] {
            let refusal = Name::parse(wrong).unwrap_err();
            assert!(refusal.contains(better), "{wrong}: {refusal}");
        }
    }

    #[test]
    fn nothing_of_the_template_s_own_names_is_left() {
        let name = Name::parse("acme-cloud").unwrap();
        for (path, text) in FILES {
            let text = name.fill(text);
            let left = text.lines().find(|line| line.contains("Example") || line.to_lowercase().contains("template"));
            assert_eq!(left, None, "{path}");
        }
    }

    /// The template is built as a part of Lineman; what is written from it asks for the same.
    #[test]
    fn the_manifest_asks_for_what_lineman_is_built_with() {
        type Table = BTreeMap<String, serde_json::Value>;
        let table = |text: &str, path: &[&str]| -> Table {
            let mut value: serde_json::Value = toml::from_str(text).unwrap();
            for key in path {
                value = value[*key].take();
            }
            serde_json::from_value(value).unwrap()
        };
        let root = include_str!("../../../../../Cargo.toml");
        let template = include_str!("../../../../../plugins/template/Cargo.toml");
        let written = manifest(&Name::parse("acme").unwrap(), None);
        let ours = table(root, &["workspace", "dependencies"]);
        let version = |declared: &serde_json::Value| declared.get("version").unwrap_or(declared).clone();
        for kind in ["dependencies", "dev-dependencies"] {
            let (of_template, of_written) = (table(template, &[kind]), table(&written, &[kind]));
            assert_eq!(of_template.keys().collect::<Vec<_>>(), of_written.keys().collect::<Vec<_>>());
            for (name, declared) in &of_written {
                assert_eq!(version(declared), version(&ours[name]), "{name}");
            }
        }
        let package = |text: &str, path: &[&str]| table(text, path)["edition"].clone();
        assert_eq!(package(&written, &["package"]), package(root, &["workspace", "package"]));
    }
}
