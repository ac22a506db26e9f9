//! Performance data, `'label'=value[UOM];[warn];[crit];[min];[max]`, and the ranges in it.

use std::fmt;

/// One value that a program measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measure {
    /// What was measured.
    pub(crate) label: String,
    /// The value; none where the program could not tell (`U`).
    pub(crate) value: Option<f64>,
    /// The unit, as the program writes it: `s`, `%`, `MB`, `c`.
    pub(crate) unit: String,
    /// What is a warning.
    pub(crate) warning: Option<Alarm>,
    /// What is critical.
    pub(crate) critical: Option<Alarm>,
}

/// The values that raise an alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Alarm {
    low: f64,
    high: f64,
    /// Whether the alarm is raised between the two, rather than outside of them.
    inside: bool,
}

/// Every measure that can be read.
pub(crate) fn parse(data: &str) -> impl Iterator<Item = Measure> {
    let mut rest = data;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            rest = rest.trim_start();
            let (label, after) = label(rest);
            let (values, next) = match after.strip_prefix('=') {
                Some(values) => values.split_at(values.find(char::is_whitespace).unwrap_or(values.len())),
                // No measure: on with the next word.
                None => ("", &after[after.find(char::is_whitespace).unwrap_or(after.len())..]),
            };
            rest = next;
            if let Some(found) = measure(label, values) {
                return Some(found);
            }
        }
        None
    })
}

/// A label and what follows it. Quotes around it may hold blanks; two of them stand for one.
fn label(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (label, after) = text.split_at(text.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(text.len()));
        return (label.to_owned(), after);
    };
    let (mut label, mut rest) = (String::new(), quoted);
    while let Some((before, after)) = rest.split_once('\'') {
        label.push_str(before);
        match after.strip_prefix('\'') {
            Some(more) => {
                label.push('\'');
                rest = more;
            }
            None => return (label, after),
        }
    }
    (label + rest, "")
}

fn measure(label: String, values: &str) -> Option<Measure> {
    let mut fields = values.split(';');
    let value = fields.next()?;
    let number = value.find(|c: char| !(c.is_ascii_digit() || "+-.,".contains(c))).unwrap_or(value.len());
    let (number, unit) = value.split_at(number);
    let (value, unit) = match unit {
        "U" if number.is_empty() => (None, ""),
        unit => (Some(decimal(number)?), unit),
    };
    let mut alarm = || fields.next().and_then(Alarm::parse);
    let (warning, critical) = (alarm(), alarm());
    (!label.is_empty()).then(|| Measure { label, value, unit: unit.to_owned(), warning, critical })
}

/// A number; some locales write a comma.
fn decimal(text: &str) -> Option<f64> {
    text.replace(',', ".").parse().ok().filter(|number: &f64| number.is_finite())
}

impl Alarm {
    /// Reads a range: `10`, `10:`, `~:10`, `10:20`, `@10:20`.
    fn parse(text: &str) -> Option<Alarm> {
        let inside = text.starts_with('@');
        let range = text.strip_prefix('@').unwrap_or(text);
        let (low, high) = range.split_once(':').unwrap_or(("", range));
        let low = match low {
            "" => 0.0,
            "~" => f64::NEG_INFINITY,
            low => decimal(low)?,
        };
        let high = match high {
            "" if range.contains(':') => f64::INFINITY,
            high => decimal(high)?,
        };
        (low <= high).then_some(Alarm { low, high, inside })
    }

    /// Why a value raises it, if it does: `above 4`.
    fn raised_by(self, value: f64) -> Option<String> {
        let Alarm { low, high, inside } = self;
        match (low <= value && value <= high, inside) {
            (true, true) => Some(self.to_string()),
            (false, false) if low == high => Some(self.to_string()),
            (false, false) if value < low => Some(format!("below {low}")),
            (false, false) => Some(format!("above {high}")),
            _ => None,
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Alarm { low, high, inside } = *self;
        match (inside, low.is_finite(), high.is_finite()) {
            (true, true, true) => write!(f, "from {low} to {high}"),
            (true, false, _) => write!(f, "up to {high}"),
            (true, true, false) => write!(f, "from {low}"),
            (false, true, true) if low == high => write!(f, "other than {low}"),
            (false, true, true) if low != 0.0 => write!(f, "outside {low} to {high}"),
            (false, _, true) => write!(f, "above {high}"),
            (false, _, false) => write!(f, "below {low}"),
        }
    }
}

impl Measure {
    /// The alarm that the value raises, in words: `load1 is 5.2, critical above 4`.
    pub(crate) fn complaint(&self) -> Option<String> {
        let value = self.value?;
        let raised = |word, alarm: Option<Alarm>| Some(format!("{word} {}", alarm?.raised_by(value)?));
        let why = raised("critical", self.critical).or_else(|| raised("a warning", self.warning))?;
        Some(format!("{} is {value}{}, {why}", self.label, self.unit))
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => write!(f, "{} = {value}{}", self.label, self.unit)?,
            None => write!(f, "{} could not be measured", self.label)?,
        }
        self.warning.iter().try_for_each(|alarm| write!(f, ", a warning {alarm}"))?;
        self.critical.iter().try_for_each(|alarm| write!(f, ", critical {alarm}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_read_as_they_were_meant() {
        let check = |data: &str, expect: &[&str]| {
            assert_eq!(parse(data).map(|measure| measure.to_string()).collect::<Vec<_>>(), expect, "{data}");
        };
        check("time=0.005310s;;;0.000000;10.000000 size=332B;;;0;", &["time = 0.00531s", "size = 332B"]);
        check("load1=0.580;4.000;8;0; ", &["load1 = 0.58, a warning above 4, critical above 8"]);
        check("'it''s in C:\\'=5%;80;90", &["it's in C:\\ = 5%, a warning above 80, critical above 90"]);
        check("procs=0;;1:1;0; x=1;2:3", &["procs = 0, critical other than 1", "x = 1, a warning outside 2 to 3"]);
        check("a=-1,5;10:;~:3", &["a = -1.5, a warning below 10, critical above 3"]);
        check(
            "a=1;@5:9;@~:2 b=U;1",
            &["a = 1, a warning from 5 to 9, critical up to 2", "b could not be measured, a warning above 1"],
        );
        check("\u{e9}=1;x;2:1;;;;; =3 c d= 'e=4 f=5", &["\u{e9} = 1"]);
        check("no data at all", &[]);
        check("x=1 y =2 z=3", &["x = 1", "z = 3"]);
        check("x=inf y=NaN z=3", &["z = 3"]);
    }

    #[test]
    fn a_complaint_names_the_worse_alarm() {
        let check = |data: &str, expect: Option<&str>| {
            assert_eq!(parse(data).next().unwrap().complaint().as_deref(), expect, "{data}");
        };
        check("a=5;4;6", Some("a is 5, a warning above 4"));
        check("a=7s;4;6", Some("a is 7s, critical above 6"));
        check("a=4;4;6", None);
        check("a=-1;4;6", Some("a is -1, critical below 0"));
        check("a=0;;1:1", Some("a is 0, critical other than 1"));
        check("a=15;@10:20;", Some("a is 15, a warning from 10 to 20"));
        check("a=9;@10:20;10:", Some("a is 9, critical below 10"));
        check("a=U;1;1", None);
    }
}
