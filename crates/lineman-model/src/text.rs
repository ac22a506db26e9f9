/// Makes foreign text safe to show: escape sequences and control characters go, line ends and
/// tabs stay, and so does at most `limit` bytes.
pub fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' || c == '\u{9b}' {
            skip_escape(c, &mut chars);
            continue;
        }
        let c = match c {
            '\n' | '\t' => c,
            '\r' if chars.peek() == Some(&'\n') => continue,
            '\r' => '\n',
            c if c.is_control() || is_invisible(c) => continue,
            c => c,
        };
        if out.len() + c.len_utf8() > limit {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

/// [`clean`] on one line: line ends and tabs become spaces.
pub fn clean_line(text: &str, limit: usize) -> String {
    let cleaned = clean(text, limit);
    cleaned.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `limit` bytes of a text, cut at a character, with `…` where something was cut.
pub fn clip(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// Passes over the rest of an ANSI escape sequence (ECMA-48): CSI up to its final byte, OSC and
/// the other string sequences up to their terminator, anything else one character.
fn skip_escape(first: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let kind = if first == '\u{9b}' { Some('[') } else { chars.next() };
    match kind {
        Some('[') => {
            while let Some(&c) = chars.peek() {
                if c.is_control() {
                    return;
                }
                chars.next();
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    return;
                }
            }
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(&c) = chars.peek() {
                // A line end closes the string too: hostile text must not swallow what follows.
                if c == '\n' {
                    return;
                }
                chars.next();
                if c == '\u{7}' || c == '\u{9c}' {
                    return;
                }
                if c == '\u{1b}' {
                    chars.next();
                    return;
                }
            }
        }
        _ => {}
    }
}

/// Characters that change how other text is shown: direction marks, zero-width characters, BOM.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_loses_what_a_terminal_would_obey() {
        let check = |input: &str, expect: &str| assert_eq!(clean(input, 1000), expect, "{input:?}");
        check("\u{1b}[31mred\u{1b}[0m", "red");
        check("a\u{1b}]0;title\u{7}b", "ab");
        check("a\u{1b}]0;never closed\nb", "a\nb");
        check("one\r\ntwo\rthree", "one\ntwo\nthree");
        check("a\u{0}b\u{202e}c\u{feff}", "abc");
        check("\u{9b}1mx", "x");
    }

    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(clean("ééé", 3), "é…");
        assert_eq!(clip("ééé", 3), "é…");
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clean_line(" a\n\tb ", 100), "a b");
    }
}
