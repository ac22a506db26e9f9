use std::fmt::Write as _;

use lineman_model::clean_line;

use super::{LogReport, lines, origin, read, steps, times, when, whom};

const LONGEST: usize = 400;

pub(super) fn render(report: &LogReport) -> String {
    let matches = &report.explanation.matches;
    let mut out = format!("### Failures in the log\n\n{} read.\n\n", read(report));
    if matches.is_empty() {
        out.push_str("Nothing in it is a failure that the catalogs know.\n");
        return out;
    }
    out.push_str("| Cause | What | Concerns | How often | When | Where | Resource |\n|---|---|---|---|---|---|---|\n");
    for one in matches {
        let cells = [
            format!("`{}`", one.cause),
            text(&one.message),
            text(whom(one)),
            times(one),
            text(&when(one).unwrap_or_default()),
            text(&lines(one)),
            text(&origin(one).unwrap_or_default()),
        ];
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push_str("\n#### What to do, in this order\n\n");
    let steps = steps(report, usize::MAX);
    for (n, step) in steps.iter().enumerate() {
        let whom: Vec<String> = step.whom.iter().map(|whom| text(whom)).collect();
        let _ = writeln!(out, "{}. {} ({})", n + 1, text(&step.remedy.text), whom.join(", "));
        if !step.remedy.argv.is_empty() {
            let _ = writeln!(out, "   {}", code(&quoted(&step.remedy.argv)));
        }
    }
    if !report.retest.is_empty() {
        let argv: Vec<String> =
            ["lineman", "retest"].map(str::to_owned).into_iter().chain(report.retest.clone()).collect();
        let _ = writeln!(out, "{}. Test again: {}", steps.len() + 1, code(&quoted(&argv)));
    }
    out
}

fn quoted(argv: &[String]) -> String {
    shlex::try_join(argv.iter().map(String::as_str)).unwrap_or_default()
}

/// Foreign text in which nothing is markup.
fn text(foreign: &str) -> String {
    let mut out = String::with_capacity(foreign.len());
    for c in clean_line(foreign, LONGEST).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Nobody is called by a log, and no address in it is a link.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' | '(' | ')' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Text to copy: a fence longer than any run of its own signs.
fn code(foreign: &str) -> String {
    let line = clean_line(foreign, LONGEST).replace('|', "\\|");
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    format!("{fence} {line} {fence}")
}
