use lineman_model::clean_line;

/// The known word that an unknown one was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes a word this long, and the distance takes quadratic time.
    if word.len() > 100 {
        return None;
    }
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let word = plain(word);
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &plain(known)), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// What to say of an unknown word: the nearest known one, else all of them.
pub(crate) fn suggestion(word: &str, known: &[&str]) -> Option<String> {
    match nearest(word, known.iter().copied()) {
        Some(near) => Some(format!("did you mean {}?", quoted(near))),
        None if known.is_empty() => None,
        None => Some(format!("known: {}", list(known))),
    }
}

/// Words in backticks, with commas between.
pub(crate) fn list<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(|word| quoted(word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A word in backticks. It may come from a plugin, and is about to be shown.
pub(crate) fn quoted(word: &str) -> String {
    format!("`{}`", clean_line(word, 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_far_ones_are_not() {
        let check = |word: &str, expect: Option<&str>| {
            assert_eq!(nearest(word, ["region", "account_id", "role_arn"]), expect, "{word}");
        };
        check("regoin", Some("region"));
        check("account-id", Some("account_id"));
        check("RoleArn", Some("role_arn"));
        check("bucket", None);
        check(&"region".repeat(1000), None);
    }
}
