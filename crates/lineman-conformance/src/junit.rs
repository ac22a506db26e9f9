use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::{CaseReport, Status, Verification};

/// The verification as a JUnit report: one test case per case, for CI systems that show those.
/// A warning is a passed test with a note; a crash is an error.
pub fn junit(verification: &Verification) -> io::Result<Vec<u8>> {
    let Verification { plugin, summary, cases, .. } = verification;
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let name = format!("lineman plugin verify {}", plugin.id);
    let count = |number: usize| number.to_string();
    let total = cases.iter().map(|case| case.duration_ms).sum();
    let counts = [
        ("tests", count(cases.len())),
        ("failures", count(summary.fail)),
        ("errors", count(summary.crash)),
        ("skipped", count(summary.skip)),
        ("time", seconds(total)),
    ];
    let counts = || counts.iter().map(|(name, value)| (*name, value.as_str()));
    let suites = writer.create_element("testsuites").with_attribute(("name", name.as_str())).with_attributes(counts());
    suites.write_inner_content(|writer| {
        let suite = writer.create_element("testsuite").with_attribute(("name", plugin.id.as_str()));
        suite
            .with_attributes(counts())
            .write_inner_content(|writer| cases.iter().try_for_each(|case| one(writer, &plugin.id, case)))?;
        Ok(())
    })?;
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn one(writer: &mut Writer<Vec<u8>>, plugin: &str, case: &CaseReport) -> io::Result<()> {
    let time = seconds(case.duration_ms);
    let element = writer.create_element("testcase").with_attributes([
        ("name", case.id),
        ("classname", plugin),
        ("time", time.as_str()),
    ]);
    let seen = case.seen.join("\n");
    let told = [case.protects, &seen, case.mend.unwrap_or_default()].join("\n");
    let outcome = match case.status {
        Status::Pass => return element.write_empty().map(drop),
        Status::Warn => "system-out",
        Status::Skip => "skipped",
        Status::Fail => "failure",
        Status::Crash => "error",
    };
    element.write_inner_content(|writer| {
        let element = writer.create_element(outcome);
        match case.status {
            Status::Warn => element.write_text_content(BytesText::new(&told))?,
            Status::Skip => element.with_attribute(("message", seen.as_str())).write_empty()?,
            _ => {
                let first = case.seen.first().map(String::as_str).unwrap_or_default();
                element.with_attribute(("message", first)).write_text_content(BytesText::new(&told))?
            }
        };
        Ok(())
    })?;
    Ok(())
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}
