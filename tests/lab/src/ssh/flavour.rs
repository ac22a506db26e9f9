use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::repository::name;

static FLAVOURS: LazyLock<Vec<Flavour>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        flavour: Vec<Flavour>,
    }
    let file: File = toml::from_str(include_str!("../../flavours.toml")).expect("flavours.toml is tested");
    file.flavour
});

/// How a forge speaks over SSH when there is nothing to serve: *simulated*, from `source`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flavour {
    /// `git-shell`, `github`, `gitlab` or `gitolite`.
    pub id: String,
    greeting: String,
    #[serde(default)]
    greeting_to: Stream,
    greeting_exit: u32,
    unknown: String,
    unknown_exit: u32,
    read_denied: String,
    write_denied: String,
    denied_exit: u32,
    /// Where the forge documents it.
    pub source: String,
}

/// Where a text goes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stream {
    Stdout,
    #[default]
    Stderr,
}

/// What is said before the channel is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) stream: Stream,
    pub(super) exit: u32,
}

/// Why nothing is served.
pub(super) enum Refusal {
    Unknown,
    Read,
    Write,
}

impl Flavour {
    /// Every flavour of `flavours.toml`.
    pub fn all() -> &'static [Flavour] {
        &FLAVOURS
    }

    /// The flavour of that id.
    pub fn named(id: &str) -> Result<Flavour> {
        FLAVOURS
            .iter()
            .find(|flavour| flavour.id == id)
            .cloned()
            .with_context(|| format!("no flavour is called {id:?}"))
    }

    /// What the server says to somebody who wants a shell.
    pub(super) fn greet(&self, user: &str) -> Said {
        Said { text: self.greeting.replace("{user}", user), stream: self.greeting_to, exit: self.greeting_exit }
    }

    pub(super) fn refuse(&self, refusal: Refusal, user: &str, path: &str) -> Said {
        let (text, exit) = match refusal {
            Refusal::Unknown => (&self.unknown, self.unknown_exit),
            Refusal::Read => (&self.read_denied, self.denied_exit),
            Refusal::Write => (&self.write_denied, self.denied_exit),
        };
        let repository = name(path).unwrap_or_else(|| path.to_owned());
        let text = text.replace("{user}", user).replace("{path}", path).replace("{repository}", &repository);
        Said { text, stream: Stream::Stderr, exit }
    }
}

/// The program and the path of `git-upload-pack '/team/app.git'`, unquoted as a shell would.
///
/// Anything but one of git's two programs with one argument is not served.
pub(super) fn command(line: &str) -> Option<(&'static str, String)> {
    let line = line.strip_prefix("git ").map_or_else(|| line.to_owned(), |rest| format!("git-{rest}"));
    let (program, argument) = line.split_once(' ')?;
    let program = match program {
        "git-upload-pack" => "upload-pack",
        "git-receive-pack" => "receive-pack",
        _ => return None,
    };
    let mut path = String::new();
    let mut quoted = false;
    let mut characters = argument.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => quoted = !quoted,
            '\\' if !quoted => path.push(characters.next()?),
            ' ' if !quoted => return None,
            other => path.push(other),
        }
    }
    (!quoted && !path.is_empty()).then_some((program, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gits_own_commands_with_one_path_are_served() {
        #[track_caller]
        fn check(line: &str, expect: Option<(&'static str, &str)>) {
            assert_eq!(command(line), expect.map(|(program, path)| (program, path.to_owned())), "{line}");
        }
        check("git-upload-pack '/team/app.git'", Some(("upload-pack", "/team/app.git")));
        check("git receive-pack 'app'", Some(("receive-pack", "app")));
        check(r"git-upload-pack 'it'\''s'", Some(("upload-pack", "it's")));
        check("git-upload-pack '/a b.git'", Some(("upload-pack", "/a b.git")));
        check("git-upload-pack 'a' 'b'", None);
        check("git-upload-pack 'a'; id", None);
        check("git-upload-archive 'a'", None);
        check("git-upload-pack 'a", None);
        check("id", None);
    }

    #[test]
    fn every_flavour_is_documented_and_refuses_in_its_own_words() {
        for flavour in Flavour::all() {
            assert!(flavour.source.starts_with("https://"), "{}", flavour.id);
            for refusal in [Refusal::Unknown, Refusal::Read, Refusal::Write] {
                let said = flavour.refuse(refusal, "octocat", "/team/app.git");
                assert!(said.exit > 0 && !said.text.contains(['{', '}']), "{}: {said:?}", flavour.id);
            }
        }
        let said = Flavour::named("github").unwrap().greet("octocat");
        assert!(said.text.starts_with("Hi octocat! You've successfully authenticated"));
        assert_eq!(said.exit, 1);
    }
}
