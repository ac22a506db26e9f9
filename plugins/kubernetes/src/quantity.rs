//! Quantities, as Kubernetes writes them: `4`, `500m`, `8Gi`, `1e3`.
//!
//! The grammar is that of the API, `k8s.io/apimachinery/pkg/api/resource#Quantity`: a signed number
//! with or without a fraction, then a binary suffix (`Ki` to `Ei`), a decimal one (`n` to `E`) or an
//! exponent. What is finer than a billionth is rounded up, as there.

use std::ops::{Add, Sub};

/// Parts of one: the API keeps nothing finer.
const NANO: i128 = 1_000_000_000;
const BINARY: [(&str, u32); 6] = [("Ki", 1), ("Mi", 2), ("Gi", 3), ("Ti", 4), ("Pi", 5), ("Ei", 6)];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// A quantity, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity(i128);

impl Quantity {
    pub(crate) const ZERO: Quantity = Quantity(0);

    /// Reads a quantity; none where the text is none, or beyond what the API takes.
    pub(crate) fn read(text: &str) -> Option<Quantity> {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        // A second point is no digit, and no digit at all is no number.
        let digits = digits.parse::<i128>().ok()?.checked_mul(NANO)?;
        let (times, power) = match BINARY.iter().find(|(known, _)| *known == suffix) {
            Some((_, power)) => (1024i128.checked_pow(*power)?, 0),
            None => (1, exponent(suffix)?),
        };
        let power = power.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let scale = 10i128.checked_pow(power.unsigned_abs())?;
        let value = digits.checked_mul(times)?;
        let value = if power < 0 { value.checked_add(scale - 1)? / scale } else { value.checked_mul(scale)? };
        Some(Quantity(sign * value)).filter(|it| it.0.abs() <= i128::from(i64::MAX) * NANO)
    }

    /// As people write it: with a binary suffix where another quantity has one.
    pub(crate) fn shown(self, like: &str) -> String {
        let fits = |(_, power): &&(&str, u32)| self.0 != 0 && self.0 % (1024i128.pow(*power) * NANO) == 0;
        match BINARY.iter().rev().find(fits).filter(|_| like.ends_with('i')) {
            Some((suffix, power)) => format!("{}{suffix}", self.0 / (1024i128.pow(*power) * NANO)),
            None if self.0 % NANO == 0 => (self.0 / NANO).to_string(),
            None if self.0 % 1_000_000 == 0 => format!("{}m", self.0 / 1_000_000),
            None => format!("{}n", self.0),
        }
    }
}

/// The power of ten that a decimal suffix, or an exponent, stands for.
fn exponent(suffix: &str) -> Option<i32> {
    if let Some((_, power)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some(*power);
    }
    let digits = suffix.strip_prefix(['e', 'E'])?;
    digits.parse().ok().filter(|power: &i32| power.abs() <= 30)
}

impl Add for Quantity {
    type Output = Quantity;

    fn add(self, other: Quantity) -> Quantity {
        Quantity(self.0.saturating_add(other.0))
    }
}

impl Sub for Quantity {
    type Output = Quantity;

    fn sub(self, other: Quantity) -> Quantity {
        Quantity(self.0.saturating_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_the_api_reads_them() {
        let check = |text: &str, nanos: Option<i128>| assert_eq!(Quantity::read(text).map(|it| it.0), nanos, "{text}");
        for (text, number) in [
            ("0", 0),
            ("4", 4),
            ("+4", 4),
            ("-4", -4),
            ("4.", 4),
            ("1k", 1_000),
            ("1e3", 1_000),
            ("1E3", 1_000),
            ("1E", 1_000_000_000_000_000_000),
            ("8Gi", 8 << 30),
            ("1.5Gi", 3 << 29),
            ("0.5Ki", 512),
            ("12000m", 12),
            ("9223372036854775807", i128::from(i64::MAX)),
        ] {
            check(text, Some(number * NANO));
        }
        check("500m", Some(NANO / 2));
        check(".5", Some(NANO / 2));
        check("5e-1", Some(NANO / 2));
        check("100n", Some(100));
        // Rounded up.
        check("0.1n", Some(1));
        for text in
            ["", ".", "-", "m", "4 CPUs", "1..2", "1.2.3", "1ki", "1KB", "1Gib", "1e", "1e99", "1500e-3k", "9Ei", "４"]
        {
            check(text, None);
        }
        check(&"9".repeat(60), None);
    }

    #[test]
    fn quantities_are_shown_in_the_form_of_another() {
        let check = |text: &str, like: &str, expect: &str| {
            assert_eq!(Quantity::read(text).map(|it| it.shown(like)).as_deref(), Some(expect), "{text} {like}");
        };
        check("9216Mi", "8Gi", "9Gi");
        check("9217Mi", "8Gi", "9217Mi");
        check("1024", "10", "1024");
        check("4500m", "4", "4500m");
        check("1n", "4", "1n");
        check("0", "8Gi", "0");
    }
}
