//! `{secret:NAME}` and `{file:NAME}` in a text. Everything else is what it is, braces included.

/// A part of a text of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// As it stands.
    Text(&'t str),
    /// The value of the secret of this name.
    Secret(&'t str),
    /// The path of the file of this name.
    File(&'t str),
}

/// Takes a text apart.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(open) = text[at..].find('{') {
        let start = at + open;
        match placeholder(&text[start..]) {
            Some((piece, length)) => {
                if from < start {
                    pieces.push(Piece::Text(&text[from..start]));
                }
                pieces.push(piece);
                at = start + length;
                from = at;
            }
            None => at = start + 1,
        }
    }
    if from < text.len() {
        pieces.push(Piece::Text(&text[from..]));
    }
    pieces
}

/// The placeholder that a text begins with, and its length.
fn placeholder(text: &str) -> Option<(Piece<'_>, usize)> {
    let (inside, _) = text.strip_prefix('{')?.split_once('}')?;
    let (kind, name) = inside.split_once(':')?;
    let piece = match kind {
        "secret" => Piece::Secret(name),
        "file" => Piece::File(name),
        _ => return None,
    };
    (!name.is_empty()).then_some((piece, inside.len() + 2))
}

/// The first macro of Nagios or Icinga in a text: `$USER5$`, `$host.address$`. Nothing fills it.
pub(crate) fn foreign_macro(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        let after = &rest[start + 1..];
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let length = after.find(|c| !is_part(c)).unwrap_or(after.len());
        let begins_as_name = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if begins_as_name && after[length..].starts_with('$') {
            return Some(&rest[start..start + length + 2]);
        }
        rest = &after[length..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_placeholders_are_taken_out() {
        use Piece::{File, Secret, Text};
        let check = |text: &str, expect: &[Piece<'_>]| assert_eq!(pieces(text), expect, "{text}");
        check("", &[]);
        check("-H", &[Text("-H")]);
        check("http@{file:opts}", &[Text("http@"), File("opts")]);
        check("{secret:a}{secret:b}\n", &[Secret("a"), Secret("b"), Text("\n")]);
        check(r#"{"token":"{secret:t}"}"#, &[Text(r#"{"token":""#), Secret("t"), Text(r#""}"#)]);
        for literal in ["{}", "{", "a{2,3}", "{secret:}", "{secret:open", "{other:x}", "${HOME}", "é{é}é"] {
            check(literal, &[Text(literal)]);
        }
    }

    #[test]
    fn macros_of_other_systems_are_seen() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(foreign_macro(text), expect, "{text}");
        check("$USER5$", Some("$USER5$"));
        check("http://$HOSTADDRESS$/", Some("$HOSTADDRESS$"));
        check("$_HOSTSNMP_COMMUNITY$", Some("$_HOSTSNMP_COMMUNITY$"));
        check("a$ $host.vars.port$", Some("$host.vars.port$"));
        for other in ["^foo$", "$$", "$5", "5$ a$ b", "$HOME/x", "^a$|^b$"] {
            check(other, None);
        }
    }
}
