use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::config::{Environment, SecretRef, SecretSource};
use crate::mask::REFERENCE_KEYS;
use crate::nearest::list;
use crate::node::Node;
use crate::problem::Problem;

/// Reads where a secret is: exactly one of `env`, `file` and `command`, and perhaps a
/// `json_pointer` into what that holds.
pub(crate) fn read(node: &Node<'_>, env: &dyn Environment) -> Option<SecretRef> {
    if !matches!(node.value, DeValue::Table(_)) {
        node.hide();
        node.report(Problem::LiteralSecret { what: node.path.clone() });
        return None;
    }
    node.only(&REFERENCE_KEYS);
    let json_pointer = node.get("json_pointer").and_then(|pointer| read_pointer(&pointer));
    let given: Vec<&str> = ["env", "file", "command"].into_iter().filter(|key| node.get(key).is_some()).collect();
    let source = match given.as_slice() {
        ["env"] => node.get("env").and_then(|name| read_variable(&name)).map(SecretSource::Env),
        ["file"] => {
            let file = node.get("file")?;
            file.text().map(|path| SecretSource::File(absolute(path, &file.source.directory(), env)))
        }
        ["command"] => node.get("command").and_then(|command| read_command(&command)).map(SecretSource::Command),
        [] => {
            node.report(Problem::ReferenceEmpty { what: node.path.clone() });
            None
        }
        several => {
            node.report(Problem::ReferenceAmbiguous { what: node.path.clone(), sources: list(several) });
            None
        }
    };
    Some(SecretRef { source: source?, json_pointer })
}

/// Reads the name of an environment variable.
pub(crate) fn read_variable(node: &Node<'_>) -> Option<String> {
    let name = node.text()?;
    if name.contains(['=', '\0']) || name.chars().any(char::is_whitespace) {
        node.report(Problem::BadVariable { what: node.path.clone() });
        return None;
    }
    Some(name.to_owned())
}

fn read_pointer(node: &Node<'_>) -> Option<String> {
    let pointer = node.text()?;
    let escapes_are_known = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if !pointer.starts_with('/') || !escapes_are_known {
        node.report(Problem::BadPointer { what: node.path.clone() });
        return None;
    }
    Some(pointer.to_owned())
}

fn read_command(node: &Node<'_>) -> Option<Vec<String>> {
    let arguments = node.array("arguments; no shell reads it");
    if arguments.is_empty() && node.value.is_array() {
        node.report(Problem::Empty { what: node.path.clone() });
    }
    let mut argv = Vec::new();
    for (index, argument) in arguments.iter().enumerate() {
        let text = match argument.value.as_str() {
            // A program has a name; another argument may well be empty.
            Some("") if index > 0 => "",
            _ => argument.text()?,
        };
        argv.push(text.to_owned());
    }
    let program = argv.first_mut()?;
    if program.contains('/') {
        *program = node.source.directory().join(&*program).to_string_lossy().into_owned();
    }
    Some(argv)
}

/// A path of the configuration as an absolute one: `~/` is the home directory, and anything else
/// starts from the directory of the file that says it.
pub(crate) fn absolute(path: &str, directory: &Path, env: &dyn Environment) -> PathBuf {
    let home = path.strip_prefix("~/").and_then(|rest| Some(Path::new(&env.var("HOME")?).join(rest)));
    directory.join(home.unwrap_or_else(|| PathBuf::from(path))).components().collect()
}
