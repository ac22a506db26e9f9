//! What the documents show works as they show it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use lineman_tests::{Outcome, PROVIDER_PAGES, Site, provider_pages, workspace};

/// The documents at the root of the source tree and below `docs`: name and text.
fn documents() -> Vec<(String, String)> {
    let directories = ["", "docs", PROVIDER_PAGES].map(|directory| workspace().join(directory));
    let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap());
    let entries = entries.map(|entry| entry.unwrap().path());
    let documents = entries.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents.map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

/// Every `lineman …` of a text: code in backticks, and lines of shell.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut in_shell = false;
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            in_shell = ["sh", "console"].contains(&language);
        } else if in_shell {
            commands.push(line.to_owned());
        } else {
            commands.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    // What comes before or after in a pipe is another program's.
    let own = |command: String| {
        let command =
            command.trim_start_matches("$ ").split(" | ").find_map(|part| part.strip_prefix("lineman "))?.to_owned();
        Some(command.split([';', '>', '<', '#']).next().unwrap_or_default().trim().to_owned())
    };
    commands.into_iter().filter_map(own).collect()
}

#[test]
fn their_commands_exist() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::get().unwrap();
    let mut shown = 0;
    for (name, text) in documents() {
        for command in commands(&text) {
            shown += 1;
            // Asked for help, the program still refuses what it does not know.
            let words = command.split_whitespace().take_while(|word| *word != "--").chain(["--help"]);
            let outcome = Outcome::of(site.command(directory.path()).args(words)).unwrap();
            assert_eq!(outcome.exit, 0, "{name}: lineman {command}\n{}", outcome.stderr);
        }
    }
    assert!(shown > 0, "no document shows a command");
}

#[test]
fn their_configurations_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::get().unwrap();
    let check = |name: &str, configuration: &str| {
        let file = directory.path().join("lineman.toml");
        fs::write(&file, configuration).unwrap();
        let outcome = Outcome::of(site.command(Path::new("/")).args(["list", "--config"]).arg(&file)).unwrap();
        assert_eq!(outcome.exit, 0, "{name}:\n{configuration}\n{}", outcome.stderr);
    };
    let mut shown = 0;
    for (name, text) in documents() {
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        for configuration in blocks.filter(|block| block.starts_with("version = ")) {
            shown += 1;
            check(&name, configuration);
        }
    }
    assert!(shown > 0, "no document shows a configuration");
}

#[test]
fn the_pages_of_the_providers_say_what_the_plugins_say() {
    let kept = fs::read_dir(workspace().join(PROVIDER_PAGES)).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
    });
    let kept: BTreeMap<String, String> = kept.collect();
    let told = provider_pages().unwrap();
    let differ = kept.keys().chain(told.keys()).filter(|name| kept.get(*name) != told.get(*name));
    let differ: BTreeSet<&String> = differ.collect();
    assert!(differ.is_empty(), "write them again with `cargo xtask pages`: {differ:?}");
}

/// A block of JSON below a link to a file shows that file.
#[test]
fn their_messages_are_those_that_are_held_to() {
    let mut shown = 0;
    for (name, text) in documents() {
        for (before, block) in text.split("```json\n").zip(text.split("```json\n").skip(1)) {
            let link = before.trim_end().rsplit_once("](").and_then(|(_, link)| link.split_once(')'));
            let (link, _) = link.unwrap_or_else(|| panic!("{name}: a block of JSON without the file that it is from"));
            let file = Path::new(&name).parent().unwrap().join(link);
            let golden = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert_eq!(block.split("```").next(), Some(golden.as_str()), "{name} shows something else than {link}");
            shown += 1;
        }
    }
    assert!(shown > 0, "no document shows a message");
}
