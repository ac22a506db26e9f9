//! `lineman history`.

use lineman_history::{Changed, Stories, Story};
use lineman_model::{Cause, Status};
use lineman_report::Style;

use crate::cli::{Common, HistoryArgs, HumanOrJson};
use crate::failure::{Done, Failure};
use crate::keeper;
use crate::setup::Setup;
use crate::terminal;

/// How many turns are shown of one integration, unless everything is.
const TURNS: usize = 10;

pub(crate) fn run(common: &Common, args: &HistoryArgs) -> Done {
    let setup = Setup::load(common)?;
    let selected = setup.select(&args.which)?;
    let (history, configuration) = (keeper::kept(&setup.config)?, keeper::identity(common));
    let mut stories = Vec::new();
    for configured in &selected {
        stories.extend(history.story(&configuration, &configured.integration.name)?);
    }
    if stories.is_empty() {
        return Err(Failure::refused("no run of these integrations is known: run `lineman check` first"));
    }
    let text = match args.format {
        HumanOrJson::Json => {
            let stories = Stories::new(stories);
            serde_json::to_string_pretty(&stories).map_err(|error| Failure::Internal(error.to_string()))? + "\n"
        }
        HumanOrJson::Human => {
            let style = terminal::style(common);
            // Whoever names some wants to know more of them.
            match args.which.names.is_empty() {
                true => overview(&stories, &style),
                false => stories.iter().map(|story| whole(story, &style)).collect::<Vec<_>>().join("\n"),
            }
        }
    };
    terminal::print(text.as_bytes())?;
    Ok(0)
}

fn overview(stories: &[Story], style: &Style) -> String {
    let rows: Vec<Vec<String>> = stories
        .iter()
        .map(|story| {
            let passed = match (story.state.is_good(), story.last_passed) {
                (true, _) => String::new(),
                (false, Some(at)) => shown(at),
                (false, None) => "not in any run kept".to_owned(),
            };
            let cause = story.cause.as_ref().map(Cause::to_string).unwrap_or_default();
            vec![story.state.to_string(), story.name.clone(), shown(story.since), passed, cause]
        })
        .collect();
    lineman_report::table(&["state", "name", "since", "last passed", "cause"], &rows, 0, style)
}

fn whole(story: &Story, style: &Style) -> String {
    let mut below: Vec<(&str, String)> = Vec::new();
    if let Some(cause) = &story.cause {
        let message = story.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        below.push(("cause    ", format!("{cause}{message}")));
    }
    if !story.state.is_good() {
        let passed = story.last_passed.map_or_else(|| "not in any run that is kept".to_owned(), shown);
        below.push(("passed   ", passed));
        let first = |at| story.turns.iter().find(|turn| turn.at == at).and_then(|turn| turn.cause.as_ref());
        let with = |at| first(at).map(|cause| format!(", {cause}")).unwrap_or_default();
        below.extend(story.broke.map(|at| ("broke    ", format!("{}{}", shown(at), with(at)))));
        let changed = changes(story.changed.iter().filter(|changed| !matches!(changed, Changed::Cause { .. })));
        let nothing = "no credential, setting or plugin".to_owned();
        let changed = if changed.is_empty() { nothing } else { changed };
        below.extend(story.last_passed.map(|_| ("changed  ", changed)));
    }
    let runs = if story.runs == 1 { "1 run".to_owned() } else { format!("{} runs", story.runs) };
    below.push(("kept     ", format!("{runs}, the last of {}", shown(story.last_run))));
    let below: Vec<(&str, &str)> = below.iter().map(|(label, said)| (*label, said.as_str())).collect();
    let is = match story.state {
        Status::Pass => "passes",
        Status::Warn => "needs attention",
        Status::Fail => "is broken",
        Status::Error => "is in error",
        Status::Unknown | Status::Skip => "is undetermined",
    };
    let first = format!("{} {is} since {}", story.name, shown(story.since));
    let text = lineman_report::marked(story.state, &first, &below, style);
    if story.turns.len() < 2 {
        return text;
    }
    let limit = if style.verbose { story.turns.len() } else { TURNS };
    let rows: Vec<Vec<String>> = story
        .turns
        .iter()
        .take(limit)
        .map(|turn| {
            let cause = turn.cause.as_ref().map(Cause::to_string).unwrap_or_default();
            let not_the_cause = turn.changed.iter().filter(|changed| !matches!(changed, Changed::Cause { .. }));
            vec![shown(turn.at), turn.state.to_string(), cause, changes(not_the_cause)]
        })
        .collect();
    let mut text = text + "\n" + &lineman_report::table(&["run of", "state", "cause", "changed"], &rows, 2, style);
    if story.turns.len() > limit {
        let more = format!("+{} more with --verbose", story.turns.len() - limit);
        text += &lineman_report::wrap(&more, 2, style);
    }
    text
}

fn changes<'a>(changed: impl IntoIterator<Item = &'a Changed>) -> String {
    let said = changed.into_iter().map(|changed| match changed {
        Changed::Credential { name } => format!("{name} replaced"),
        Changed::Plugin { from, to } if from == to => format!("plugin {to} rebuilt"),
        Changed::Plugin { from, to } => format!("plugin {from} to {to}"),
        Changed::Setting { name } => name.clone(),
        Changed::Cause { from, to } => {
            let word = |cause: &Option<Cause>| cause.as_ref().map_or_else(|| "none".to_owned(), Cause::to_string);
            format!("cause {} to {}", word(from), word(to))
        }
    });
    said.collect::<Vec<_>>().join(", ")
}

fn shown(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
