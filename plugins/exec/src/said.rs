//! What a program wrote, as the Monitoring Plugins guidelines lay it out: a line, `|` and
//! performance data; more lines, `|` and more performance data.

use crate::perfdata::{self, Measure};

/// Lines that are kept; who needs more runs the program.
const MOST_LINES: usize = 50;
/// Measures that are kept.
const MOST_MEASURES: usize = 100;
/// How much of the output is read, bytes.
const LONGEST: usize = 256 * 1024;

/// What a program wrote to standard output.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    /// The lines for people, without blanks at their ends, the first one first.
    pub(crate) lines: Vec<String>,
    /// The performance data.
    pub(crate) measures: Vec<Measure>,
}

impl Said {
    /// Reads an output.
    pub(crate) fn read(output: &[u8]) -> Said {
        let output = String::from_utf8_lossy(&output[..output.len().min(LONGEST)]);
        let (mut said, mut data) = (Said::default(), String::new());
        let mut only_data = false;
        for (number, line) in output.lines().enumerate() {
            let (text, more) = match line.split_once('|') {
                _ if only_data => ("", line),
                Some((text, more)) => (text, more),
                None => (line, ""),
            };
            // The data of the first line ends with it; what follows a later `|` is data to the end.
            only_data |= number > 0 && line.contains('|');
            if !text.trim().is_empty() && said.lines.len() < MOST_LINES {
                said.lines.push(text.trim_end().to_owned());
            }
            data.push_str(more);
            data.push(' ');
        }
        said.measures = perfdata::parse(&data).take(MOST_MEASURES).collect();
        said
    }

    /// The line that sums it up.
    pub(crate) fn summary(&self) -> Option<&str> {
        self.lines.first().map(|line| line.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, lines: &[&str], labels: &[&str]) {
        let said = Said::read(output.as_bytes());
        assert_eq!(said.lines, lines, "{output}");
        assert_eq!(said.measures.iter().map(|one| one.label.as_str()).collect::<Vec<_>>(), labels, "{output}");
    }

    #[test]
    fn text_and_data_are_told_apart() {
        check("", &[], &[]);
        check("\n\n", &[], &[]);
        check("OK: fine\n", &["OK: fine"], &[]);
        check("PING OK - 0%|rta=0.1ms;1;2;0 pl=0%;20;50;0;\n", &["PING OK - 0%"], &["rta", "pl"]);
        // The example of the guidelines.
        check(
            "DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n\
             / 15272 MB (77%);\n/boot 68 MB (69%);\n/home 69357 MB (27%); | /boot=68MB;88;93;0;98\n\
             /home=69357MB;253404;253409;0;253414 \n/var/log=818MB;970;975;0;980\n",
            &[
                "DISK OK - free space: / 3326 MB (56%);",
                "/ 15272 MB (77%);",
                "/boot 68 MB (69%);",
                "/home 69357 MB (27%);",
            ],
            &["/", "/boot", "/home", "/var/log"],
        );
    }

    #[test]
    fn a_flood_is_cut() {
        let said = Said::read("line | a=1\n".repeat(100_000).as_bytes());
        assert_eq!((said.lines.len(), said.measures.len()), (2, MOST_MEASURES));
        assert_eq!(Said::read("x\n".repeat(1000).as_bytes()).lines.len(), MOST_LINES);
        assert_eq!(Said::read(b"\xff\xfe | =;;\0'=").lines.len(), 1);
    }
}
