/// What can be wrong with a stored token or key whoever issued it: nothing that was stored like
/// this is what the provider gave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing is there.
    Empty,
    /// Stars, `<your-token>`, `changeme`: it was masked or never filled in.
    Placeholder,
    /// White space in it or quotes around it.
    Whitespace,
}

impl Flaw {
    /// The flaw of a stored value that is one word, where it has one.
    ///
    /// ```
    /// use lineman_sdk::Flaw;
    ///
    /// assert_eq!(Flaw::of("********"), Some(Flaw::Placeholder));
    /// assert_eq!(Flaw::of("\"t0ken\""), Some(Flaw::Whitespace));
    /// assert_eq!(Flaw::of("t0ken"), None);
    /// ```
    pub fn of(text: &str) -> Option<Flaw> {
        if text.is_empty() {
            return Some(Flaw::Empty);
        }
        if is_placeholder(text) {
            return Some(Flaw::Placeholder);
        }
        let blemished = text.chars().any(char::is_whitespace) || text.starts_with(['"', '\'']);
        blemished.then_some(Flaw::Whitespace)
    }

    /// The flaw as the end of a sentence that begins with what has it, and what to do about it.
    pub fn told(self) -> (&'static str, &'static str) {
        match self {
            Flaw::Empty => ("is empty", "Store the value that the provider issued."),
            Flaw::Placeholder => (
                "is a placeholder, not a real value",
                "Store the real value again; what is stored was masked or never filled in.",
            ),
            Flaw::Whitespace => (
                "has white space or quotes around it or in it",
                "Store it again without line breaks, spaces and quotes.",
            ),
        }
    }
}

fn is_placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let masked = text.chars().count() >= 3 && text.chars().all(|c| matches!(c, '*' | '•' | 'x' | 'X' | '.'));
    masked
        || (text.starts_with('<') && text.ends_with('>'))
        || (text.starts_with("${") && text.ends_with('}'))
        || (text.starts_with("{{") && text.ends_with("}}"))
        || ["changeme", "change-me", "redacted", "placeholder", "todo", "none", "null", "undefined"]
            .contains(&lower.as_str())
        || lower.starts_with("your")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_issued_is_told_from_what_may_have_been() {
        let check = |text: &str, expect: Option<Flaw>| assert_eq!(Flaw::of(text), expect, "{text}");
        check("", Some(Flaw::Empty));
        for placeholder in
            ["***", "xxxxxxxx", "<token>", "${TOKEN}", "{{ token }}", "ChangeMe", "your-token-here", "null"]
        {
            check(placeholder, Some(Flaw::Placeholder));
        }
        for blemished in ["a b", "token\n", "'token'", "\u{a0}token"] {
            check(blemished, Some(Flaw::Whitespace));
        }
        for fine in ["xx", "x-1", "nullable", "ghp_x", "wJalrXUtnFEMI/K7MDENG"] {
            check(fine, None);
        }
    }
}
