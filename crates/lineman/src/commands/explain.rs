//! `lineman explain`.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;

use lineman_catalog::{Catalog, Explanation, Match, explain, explain_or_guess};
use lineman_model::{Cause, Finding};
use lineman_report::{ExplainedMatch, Style};

use crate::cli::{Common, ExplainArgs, HumanOrJson};
use crate::failure::{Done, Failure};
use crate::setup::Plugins;
use crate::terminal;

/// The exit code when nothing was recognised.
pub(crate) const NOTHING: u8 = 3;
/// The most that is read of a pasted text, bytes.
const LIMIT: u64 = 1024 * 1024;

pub(crate) fn run(common: &Common, args: &ExplainArgs) -> Done {
    let catalogs = catalogs(common, &args.provider)?;
    let style = terminal::style(common);
    match args.what.as_deref() {
        Some(word) if word != "-" && !Path::new(word).exists() => describe(word, &catalogs, args.format, &style),
        what => {
            let all = everything_known(&catalogs);
            let text = read(what)?;
            // Who asks for one provider's words wants no guesses.
            let matches = if args.provider.is_empty() { explain_or_guess(&all, &text) } else { explain(&all, &text) };
            show(&matches, args.format, &style)?;
            Ok(if matches.is_empty() { NOTHING } else { 0 })
        }
    }
}

/// The catalogs of the plugins that the configuration enables; of all installed ones where there
/// is no configuration.
fn catalogs(common: &Common, providers: &[String]) -> Result<Vec<Catalog>, Failure> {
    let mut plugins = Plugins::find(common);
    if common.config.exists() {
        plugins.read(&lineman_config::enabled(&common.config)?)?;
    } else {
        plugins.read_all();
    }
    of(&plugins, providers)
}

/// The catalogs of the plugins whose descriptions were read, or of some of them.
pub(crate) fn of(plugins: &Plugins, providers: &[String]) -> Result<Vec<Catalog>, Failure> {
    for provider in providers {
        if plugins.get(provider).is_none() {
            return Err(Failure::refused(format_args!(
                "no plugin in use is called `{provider}`; see `lineman plugin list`"
            )));
        }
    }
    let wanted = |id: &str| providers.is_empty() || providers.iter().any(|provider| provider == id);
    plugins
        .descriptions()
        .filter(|description| wanted(&description.id))
        .map(|description| {
            Catalog::from_value(&description.id, &description.catalog).map_err(|error| {
                Failure::refused(format_args!("the catalog of plugin `{}` is wrong: {error}", description.id))
            })
        })
        .collect()
}

fn read(what: Option<&str>) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let unreadable = |name: &str| {
        let name = name.to_owned();
        move |error: std::io::Error| Failure::refused(format_args!("{name} cannot be read: {error}"))
    };
    match what {
        None if std::io::stdin().is_terminal() => {
            let how = "give a file, a code, or the text on standard input: `lineman explain error.txt`, `COMMAND 2>&1 | lineman explain`";
            return Err(Failure::refused(how));
        }
        None | Some("-") => {
            std::io::stdin().lock().take(LIMIT).read_to_end(&mut bytes).map_err(unreadable("standard input"))?;
        }
        Some(path) => {
            File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)).map_err(unreadable(path))?;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The catalogs of the plugins, and what belongs to nobody: a plugin's own words for the same come
/// first.
pub(crate) fn everything_known(catalogs: &[Catalog]) -> Vec<&Catalog> {
    catalogs.iter().chain(Catalog::shared()).collect()
}

fn show(matches: &[Match<'_>], format: HumanOrJson, style: &Style) -> Result<(), Failure> {
    let text = match format {
        HumanOrJson::Json => json(&Explanation::new(matches))?,
        HumanOrJson::Human => {
            let findings: Vec<Finding> = matches.iter().map(Match::finding).collect();
            let place = |found: &Match<'_>| found.origin.as_ref().map(ToString::to_string);
            let places: Vec<Option<String>> = matches.iter().map(place).collect();
            let shown: Vec<ExplainedMatch<'_>> = matches
                .iter()
                .zip(&findings)
                .zip(&places)
                .map(|((found, finding), place)| ExplainedMatch {
                    provider: found.provider,
                    finding,
                    matched_text: &found.text,
                    matched_line: found.line.unwrap_or(1),
                    place: place.as_deref(),
                })
                .collect();
            lineman_report::explanation(&shown, style)
        }
    };
    Ok(terminal::print(text.as_bytes())?)
}

/// Describes a cause or a finding code.
fn describe(word: &str, catalogs: &[Catalog], format: HumanOrJson, style: &Style) -> Done {
    let finding = finding(word, catalogs);
    let catalogs = everything_known(catalogs);
    let text = match (finding, Cause::ALL.iter().find(|cause| cause.as_str() == word)) {
        (Some(finding), _) => match format {
            HumanOrJson::Json => json(&finding)?,
            HumanOrJson::Human => lineman_report::finding_human(&finding, style),
        },
        (None, Some(cause)) => {
            let codes: Vec<String> = catalogs
                .iter()
                .flat_map(|catalog| {
                    let of_cause = catalog.rules().iter().filter(|rule| rule.cause == *cause);
                    of_cause.map(|rule| format!("{}/{}", catalog.plugin(), rule.code))
                })
                .collect();
            match format {
                HumanOrJson::Json => {
                    json(&serde_json::json!({ "cause": cause, "holds_when": cause.holds_when(), "codes": codes }))?
                }
                HumanOrJson::Human => {
                    let mut text = lineman_report::wrap(&format!("{cause}: {}.", cause.holds_when()), 0, style);
                    if !codes.is_empty() {
                        text +=
                            &lineman_report::wrap(&format!("Known failures with it: {}.", codes.join(", ")), 0, style);
                    }
                    text
                }
            }
        }
        (None, None) => {
            return Err(Failure::refused(format_args!("`{word}` is no file, no cause and no code of a plugin in use")));
        }
    };
    terminal::print(text.as_bytes())?;
    Ok(0)
}

/// What a finding of a code says when nothing was seen. What checks of every plugin find has the id
/// of one that is in use.
fn finding(code: &str, plugins: &[Catalog]) -> Option<Finding> {
    let (owner, name) = code.split_once('/')?;
    let others = [Catalog::general(), Catalog::of_the_host()];
    let mut all = everything_known(plugins).into_iter().chain(others);
    let own = all.find_map(|catalog| (catalog.plugin() == owner).then(|| catalog.describe(code))?);
    let common = || {
        plugins.iter().find(|catalog| catalog.plugin() == owner)?;
        Some(Finding { code: code.to_owned(), ..Catalog::of_every_plugin().describe(name)? })
    };
    own.or_else(common)
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).map_err(|error| Failure::Internal(error.to_string()))? + "\n")
}
