//! What comes out, for every format and every kind of report.

mod reports;

use lineman_model::Report;
use lineman_report::{Format, Style, render};

fn rendered(report: &Report, format: Format, style: Style) -> String {
    let mut bytes = Vec::new();
    render(report, format, &style, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn look() {
    for (name, report) in [
        ("pass", reports::all_pass()),
        ("fail", reports::all_fail()),
        ("mixed", reports::mixed()),
        ("interrupted", reports::interrupted()),
        ("hostile", reports::hostile()),
        ("thousand", reports::thousand()),
    ] {
        std::fs::write(format!("/tmp/look-{name}"), rendered(&report, Format::Human, Style::default())).unwrap();
        std::fs::write(
            format!("/tmp/look-{name}-v"),
            rendered(&report, Format::Human, Style { verbose: true, ..Style::default() }),
        )
        .unwrap();
        std::fs::write(
            format!("/tmp/look-{name}-c"),
            rendered(&report, Format::Human, Style { colour: true, ..Style::default() }),
        )
        .unwrap();
        std::fs::write(
            format!("/tmp/look-{name}-a"),
            rendered(&report, Format::Human, Style { unicode: false, ..Style::default() }),
        )
        .unwrap();
    }
}
