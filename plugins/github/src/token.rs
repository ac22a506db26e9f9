//! Which kind of credential a token is, as far as its own text tells.
//!
//! Prefixes are those of "About authentication to GitHub, GitHub's token formats". The checksum is
//! that of "Behind GitHub's new authentication token formats": the last six characters are the
//! CRC-32 of the thirty between prefix and checksum, in base 62 with leading zeros.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of a prefix, of the random part and of the checksum.
const PREFIX: usize = 4;
const RANDOM: usize = 30;
const CHECKSUM: usize = 6;

/// A kind of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `ghp_`: a personal access token with scopes.
    Classic,
    /// `github_pat_`: a personal access token with permissions.
    FineGrained,
    /// `gho_`: given to an OAuth app.
    OAuth,
    /// `ghu_`: given to a GitHub App for a user.
    UserToServer,
    /// `ghs_`: of an installation of a GitHub App, such as the token of a workflow.
    Installation,
    /// `ghr_`: good for nothing but new `ghu_` tokens.
    Refresh,
    /// Forty hexadecimal digits: a token from before April 2021.
    Old,
}

impl Kind {
    /// The kind of a token, where its text tells.
    pub(crate) fn of(token: &str) -> Option<Kind> {
        const PREFIXES: [(&str, Kind); 6] = [
            ("ghp_", Kind::Classic),
            ("github_pat_", Kind::FineGrained),
            ("gho_", Kind::OAuth),
            ("ghu_", Kind::UserToServer),
            ("ghs_", Kind::Installation),
            ("ghr_", Kind::Refresh),
        ];
        let known = PREFIXES.iter().find(|(prefix, _)| token.starts_with(prefix)).map(|(_, kind)| *kind);
        let old = || token.len() == 40 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        known.or_else(|| old().then_some(Kind::Old))
    }

    /// What people call it, with its article.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Classic => "a classic personal access token",
            Kind::FineGrained => "a fine-grained personal access token",
            Kind::OAuth => "a token of an OAuth app",
            Kind::UserToServer => "a user token of a GitHub App",
            Kind::Installation => "an installation token of a GitHub App",
            Kind::Refresh => "a refresh token",
            Kind::Old => "a token of the old format",
        }
    }

    /// Whether its length is one that GitHub gives out. Longer ones are not judged: GitHub
    /// announces them for apps.
    pub(crate) fn has_length(self, token: &str) -> bool {
        let shortest = match self {
            Kind::FineGrained => 82,
            Kind::Refresh => 80,
            _ => PREFIX + RANDOM + CHECKSUM,
        };
        token.len() >= shortest
    }
}

/// Whether the checksum of a token holds; none where the format has none.
pub(crate) fn checksum(token: &str) -> Option<bool> {
    let kind = Kind::of(token)?;
    let has_one = matches!(kind, Kind::Classic | Kind::OAuth | Kind::UserToServer | Kind::Installation);
    let (_, rest) = token.split_at_checked(PREFIX)?;
    if !has_one || rest.len() != RANDOM + CHECKSUM {
        return None;
    }
    let (random, sum) = rest.split_at_checked(RANDOM)?;
    Some(base62(crc32fast::hash(random.as_bytes())) == sum)
}

fn base62(mut number: u32) -> String {
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    digits.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_tell_their_kind_and_whether_they_are_whole() {
        let check = |token: &str, kind: Option<Kind>, sum: Option<bool>| {
            assert_eq!((Kind::of(token), checksum(token)), (kind, sum), "{token}");
        };
        // The example of GitHub's own article on the format.
        check("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", Some(Kind::Classic), Some(true));
        check("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", Some(Kind::OAuth), Some(true));
        check("ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkK0mLq17", Some(Kind::Classic), Some(false));
        check("ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq1", Some(Kind::Classic), None);
        check("ghp_ąQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq1", Some(Kind::Classic), Some(false));
        check("github_pat_11ABC", Some(Kind::FineGrained), None);
        check("ghr_x", Some(Kind::Refresh), None);
        check("0123456789abcdef0123456789abcdef01234567", Some(Kind::Old), None);
        check("glpat-0123456789abcdefghij", None, None);
    }
}
