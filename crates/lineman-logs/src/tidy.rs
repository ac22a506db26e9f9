use std::borrow::Cow;

/// What ends a piece of a line that is too long to be looked at whole. Where a log has it itself,
/// the line is looked at in parts, which does no harm.
pub(crate) const SEAM: u8 = 0x1e;

/// Whether a byte ends what is looked at as one line.
pub(crate) fn is_end(byte: u8) -> bool {
    byte == b'\n' || byte == SEAM
}

/// Appends whole lines so that words stand in them as they read: without escape sequences, and
/// what JSON escapes as the character that it is. Lines stay lines, one for one.
pub(crate) fn push_tidy(out: &mut Vec<u8>, lines: &[u8]) {
    let mut rest = lines;
    while let Some(at) = memchr::memchr(0x1b, rest) {
        out.extend_from_slice(&rest[..at]);
        rest = after_escape(&rest[at + 1..]);
    }
    out.extend_from_slice(rest);
}

/// What follows an escape sequence (ECMA-48); it ends with its line at the latest.
fn after_escape(rest: &[u8]) -> &[u8] {
    let ends: fn(u8) -> bool = match rest.first() {
        Some(b'[') => |byte| (0x40..=0x7e).contains(&byte),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => |byte| byte == 0x07,
        // A set of characters is chosen with one byte more.
        Some(b'(' | b')' | b'*' | b'+' | b'#') if rest.get(1).is_some_and(|byte| !is_end(*byte)) => return &rest[2..],
        Some(byte) if !is_end(*byte) => return &rest[1..],
        _ => return rest,
    };
    for (at, &byte) in rest.iter().enumerate().skip(1) {
        if is_end(byte) {
            return &rest[at..];
        }
        if ends(byte) {
            return &rest[at + 1..];
        }
        if byte == 0x1b {
            // The terminator of a string is a sequence itself.
            return if rest.get(at + 1) == Some(&b'\\') { &rest[at + 2..] } else { &rest[at..] };
        }
    }
    &[]
}

/// A text within a text as it reads by itself: what is escaped once or more is not.
pub(crate) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = rest[at..].trim_start_matches('\\');
        let mut chars = rest.chars();
        match chars.next() {
            Some('n' | 'r') => out.push('\n'),
            Some('t') => out.push(' '),
            Some('u') => {
                let code = chars.as_str().get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                match code.and_then(char::from_u32) {
                    Some(c) => {
                        out.push(c);
                        chars = chars.as_str()[4..].chars();
                    }
                    None => out.push('u'),
                }
            }
            Some(c) => out.push(c),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_as_they_read_and_lines_stay_lines() {
        let check = |input: &[u8], expect: &[u8]| {
            let mut out = Vec::new();
            push_tidy(&mut out, input);
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expect), "{input:?}");
        };
        check(b"a \x1b[31mAcc\x1b[0mess\x1b[K denied\n", b"a Access denied\n");
        check(b"\x1b]0;title\x07x\x1b]8;;https://a\x1b\\link\x1b]8;;\x1b\\\n", b"xlink\n");
        check(b"\x1b]never closed\nnext\x1b", b"\nnext");
        check(b"\x1b(Bx\x1b\ny", b"x\ny");
    }

    #[test]
    fn json_in_json_reads_as_itself() {
        let check = |input: &str, expect: &str| assert_eq!(unescaped(input), expect, "{input}");
        check("plain", "plain");
        check(r#"{\"code\":\"NoKey\",\"m\":\"a\\nb\"}"#, "{\"code\":\"NoKey\",\"m\":\"a\nb\"}");
        check(r"caf\u00e9 \u003cb\u003e \uZZ end\", "café <b> uZZ end");
        check(r"x\u12", "xu12");
    }
}
