//! What comes out, for every format and every kind of report.

mod answers;
mod logs;
mod reading;
mod reports;

use lineman_model::Report;
use lineman_report::{Format, Style, render};

const PLAIN: Style = Style { width: 80, colour: false, unicode: true, verbose: false };

/// Every kind of report that looks different.
fn every_report() -> Vec<(&'static str, Report)> {
    vec![
        ("all-pass", reports::all_pass()),
        ("all-fail", reports::all_fail()),
        ("mixed", reports::mixed()),
        ("interrupted", reports::interrupted()),
        ("hostile", reports::hostile()),
        ("thousand", reports::thousand()),
        ("nothing", reports::report(vec![])),
    ]
}

fn every_style() -> Vec<(&'static str, Style)> {
    vec![
        ("80", PLAIN),
        ("60", Style { width: 60, ..PLAIN }),
        ("120", Style { width: 120, ..PLAIN }),
        ("colour", Style { colour: true, ..PLAIN }),
        ("ascii", Style { unicode: false, ..PLAIN }),
        ("verbose", Style { verbose: true, ..PLAIN }),
    ]
}

fn rendered(report: &Report, format: Format, style: Style) -> String {
    let mut bytes = Vec::new();
    render(report, format, &style, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn without_colour(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('m').unwrap().1)
}

#[test]
fn people_read_this() {
    for (report_name, report) in every_report() {
        insta::assert_snapshot!(format!("human-80-{report_name}"), rendered(&report, Format::Human, PLAIN));
    }
    for (style_name, style) in every_style() {
        let human = rendered(&reports::mixed(), Format::Human, style);
        // A snapshot with the escape sequences spelled out can be reviewed.
        insta::assert_snapshot!(format!("human-{style_name}-mixed"), human.replace('\u{1b}', "␛"));
    }
}

#[test]
fn programs_read_this() {
    for (name, report) in every_report().into_iter().filter(|(name, _)| !["thousand", "all-fail"].contains(name)) {
        insta::assert_snapshot!(format!("json-{name}"), rendered(&report, Format::Json, PLAIN));
    }
    insta::assert_snapshot!("ndjson-interrupted", rendered(&reports::interrupted(), Format::Ndjson, PLAIN));
}

#[test]
fn a_terminal_obeys_nothing_that_a_report_holds() {
    let report = reports::hostile();
    for (style_name, style) in every_style() {
        for format in Format::ALL {
            let shown = rendered(&report, *format, style);
            let shown = if style.colour && *format == Format::Human { without_colour(&shown) } else { shown };
            let obeyed = |c: char| {
                (c.is_control() && c != '\n') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            };
            assert_eq!(shown.chars().find(|c| obeyed(*c)), None, "{format} in {style_name}");
        }
    }
}

#[test]
fn lines_fit_and_only_what_is_to_be_copied_is_longer() {
    for (report_name, report) in every_report() {
        for (style_name, style) in every_style() {
            for line in without_colour(&rendered(&report, Format::Human, style)).lines() {
                let words = line.trim_start().trim_end_matches(" \\").trim_start_matches("docs ").trim_start();
                let to_copy = words.starts_with("http") || !words.contains(' ') || words.starts_with('\'');
                let width = textwrap::core::display_width(line);
                assert!(width <= style.width || to_copy, "{report_name} in {style_name}: {width}: {line}");
            }
        }
    }
}

#[test]
fn colour_and_alphabet_change_nothing_that_is_said() {
    for (name, report) in every_report() {
        let plain = rendered(&report, Format::Human, PLAIN);
        let colour = rendered(&report, Format::Human, Style { colour: true, ..PLAIN });
        assert_eq!(without_colour(&colour), plain, "{name}");
        assert!(rendered(&report, Format::Human, Style { unicode: false, ..PLAIN }).is_ascii(), "{name}");
    }
}

#[test]
fn a_thousand_integrations_fit_one_screen_and_nothing_is_lost_to_those_who_ask() {
    let report = reports::thousand();
    assert!(rendered(&report, Format::Human, PLAIN).lines().count() <= 85);
    let everything = rendered(&report, Format::Human, Style { verbose: true, ..PLAIN });
    let everything = everything.split_whitespace().collect::<Vec<_>>().join(" ");
    for integration in &report.integrations {
        assert!(everything.contains(&integration.name), "{}", integration.name);
    }
    for group in &report.causes {
        assert!(everything.contains(&group.message), "{}", group.message);
    }
}
