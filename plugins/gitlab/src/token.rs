//! Which kind of token it is, as far as its text tells: "Token prefixes" of GitLab's token
//! overview. A GitLab of one's own may have another prefix, or none: what is unknown is not judged.

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `glpat-`: a user's, a project's or a group's.
    Access,
    /// Sixty-four hexadecimal digits: given to an OAuth app.
    OAuth,
    /// Something that the API does not take; what it is, with its article.
    Other(&'static str),
    /// Its text does not tell.
    Unknown,
}

/// Prefixes of tokens that no call of this plugin takes.
const OTHERS: [(&str, &str); 11] = [
    ("gldt-", "a deploy token, which is for Git and registries alone"),
    ("glcbt-", "the token of a job, which ends with the job"),
    ("glrt-", "the token of a runner"),
    ("glrtr-", "a registration token of runners"),
    ("GR1348941", "a registration token of runners"),
    ("glptt-", "a token that triggers pipelines"),
    ("glft-", "a token for feeds"),
    ("glimt-", "a token for incoming mail"),
    ("glagent-", "the token of an agent for Kubernetes"),
    ("gloas-", "the secret of an OAuth application"),
    ("glsoat-", "a token for SCIM"),
];

impl Kind {
    /// The kind of a token.
    pub(crate) fn of(token: &str) -> Kind {
        if token.starts_with("glpat-") {
            return Kind::Access;
        }
        if token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Kind::OAuth;
        }
        let other = OTHERS.iter().find(|(prefix, _)| token.starts_with(prefix));
        other.map_or(Kind::Unknown, |(_, what)| Kind::Other(what))
    }
}

/// Whether a token of a known form was cut: twenty characters follow the prefix at least.
pub(crate) fn is_cut(token: &str) -> bool {
    token.strip_prefix("glpat-").is_some_and(|rest| rest.len() < 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_tell_their_kind() {
        let check = |token: &str, kind: Kind, cut: bool| assert_eq!((Kind::of(token), is_cut(token)), (kind, cut));
        check("glpat-abcdefghij0123456789", Kind::Access, false);
        check("glpat-abcdefghij", Kind::Access, true);
        check(&"0a".repeat(32), Kind::OAuth, false);
        check("gldt-abcdefghij0123456789", Kind::Other("a deploy token, which is for Git and registries alone"), false);
        check("abcdefghij0123456789", Kind::Unknown, false);
    }
}
