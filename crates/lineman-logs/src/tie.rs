use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};
use lineman_model::Integration;
use serde_json::Value;

/// Shorter values stand in too many texts to say whom one is about.
const SHORTEST: usize = 4;
/// Ends of the names of settings that tell one integration from another. A value that says so by
/// its own form (a number of an account, an address, a path) needs no such name.
const IDENTIFYING: &[&str] = &[
    "id",
    "ids",
    "arn",
    "account",
    "accounts",
    "project",
    "projects",
    "subscription",
    "tenant",
    "organization",
    "organisation",
    "org",
    "group",
    "owner",
    "repository",
    "repositories",
    "repo",
    "url",
    "host",
    "hosts",
    "endpoint",
    "cluster",
    "server",
    "domain",
    "user",
    "username",
    "bucket",
    "context",
];

/// Which configured integration a text is about, told by what is configured for one alone: an
/// account, a project, a host, a repository.
#[derive(Debug, Default)]
pub struct Ties {
    known: Vec<Known>,
    automaton: Option<AhoCorasick>,
    /// Whose each token is.
    owners: Vec<Vec<usize>>,
    lengths: Vec<usize>,
}

#[derive(Debug)]
struct Known {
    name: String,
    provider: String,
}

impl Ties {
    /// Ties to these integrations.
    pub fn new<'i>(integrations: impl IntoIterator<Item = &'i Integration>) -> Ties {
        let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut known = Vec::new();
        for integration in integrations {
            for token in tokens_of(integration) {
                let of = owners.entry(token).or_default();
                if of.last() != Some(&known.len()) {
                    of.push(known.len());
                }
            }
            known.push(Known { name: integration.name.clone(), provider: integration.provider.clone() });
        }
        let (tokens, owners): (Vec<String>, Vec<Vec<usize>>) = owners.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(&tokens)
            .ok()
            .filter(|_| !tokens.is_empty());
        Ties { known, automaton, owners, lengths: tokens.iter().map(String::len).collect() }
    }

    /// The names of the integrations with a provider.
    pub fn with_provider<'t>(&'t self, provider: &'t str) -> impl Iterator<Item = &'t str> {
        self.known.iter().filter(move |known| known.provider == provider).map(|known| known.name.as_str())
    }

    /// The integration that a text about a provider names; none where it names none, or several
    /// equally. One with another provider must be the only one that is named.
    pub fn of(&self, provider: &str, text: &str) -> Option<&str> {
        let mut named: BTreeMap<usize, usize> = BTreeMap::new();
        for hit in self.automaton.as_ref()?.find_overlapping_iter(text) {
            if !is_whole(text, hit.start(), hit.end()) {
                continue;
            }
            let owners = &self.owners[hit.pattern().as_usize()];
            let peers = owners.iter().filter(|&&at| self.known[at].provider == self.known[owners[0]].provider).count();
            for &at in owners {
                // What many share says little; the longest that is one's own says most.
                *named.entry(at).or_default() += self.lengths[hit.pattern().as_usize()] * 100 / peers;
            }
        }
        let best = |own: bool| {
            let fits = |at: &usize| (self.known[*at].provider == provider) == own;
            let most = named.iter().filter(|(at, _)| fits(at)).map(|(_, weight)| *weight).max()?;
            let mut first = named.iter().filter(|(at, weight)| fits(at) && **weight == most);
            let (at, _) = first.next()?;
            first.next().is_none().then(|| self.known[*at].name.as_str())
        };
        let own = named.keys().any(|at| self.known[*at].provider == provider);
        best(own)
    }
}

/// Whether a token is not a part of a longer one.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    let after = bytes.get(end);
    // A hyphen or a dot makes a longer name, and may end a sentence.
    let joins = |byte: Option<&u8>, next: Option<&u8>| matches!(byte, Some(b'-' | b'.')) && part(next);
    let git = text[end..].strip_prefix(".git").is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    !part(before)
        && !part(after)
        && (git || !joins(after, bytes.get(end + 1)))
        && !joins(before, start.checked_sub(2).and_then(|at| bytes.get(at)))
}

fn tokens_of(integration: &Integration) -> Vec<String> {
    let mut tokens = Vec::new();
    for (name, value) in &integration.settings {
        collect(name, value, &mut tokens);
    }
    for requirement in &integration.requires {
        requirement.words.iter().for_each(|(name, value)| collect(name, value, &mut tokens));
    }
    let connection = &integration.connection;
    connection.endpoint_url.iter().chain(connection.endpoints.values()).for_each(|url| add("url", url, &mut tokens));
    tokens.sort();
    tokens.dedup();
    tokens
}

fn collect(name: &str, value: &Value, tokens: &mut Vec<String>) {
    match value {
        Value::String(text) => add(name, text, tokens),
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, tokens)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| collect(name, value, tokens)),
        _ => {}
    }
}

/// Adds what identifies in a value: itself, and the parts of an address or a resource name.
fn add(name: &str, value: &str, tokens: &mut Vec<String>) {
    let value = value.trim();
    let last = name.rsplit(['_', '-']).next().unwrap_or(name).to_ascii_lowercase();
    let mut push = |token: &str| {
        let token = token.trim_matches(['/', '*', ' ']);
        if token.len() >= SHORTEST && !token.contains(char::is_whitespace) {
            tokens.push(token.to_ascii_lowercase());
        }
    };
    if let Some((_, rest)) = value.split_once("://") {
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        push(authority.split(':').next().unwrap_or_default());
        push(path.trim_end_matches('/').trim_end_matches(".git"));
    } else if let Some((host, path)) = value.split_once('@').and_then(|(_, rest)| rest.split_once(':')) {
        // git@host:owner/name.git
        push(host);
        push(path.trim_end_matches(".git"));
    } else if value.matches(':').count() >= 4 {
        // A resource name: the whole, and each part that is a number or names the thing.
        push(value);
        value.split(':').filter(|part| is_number(part)).for_each(&mut push);
        push(value.rsplit(':').next().unwrap_or_default().trim_end_matches("/*"));
    } else if IDENTIFYING.contains(&last.as_str()) || is_number(value) || value.contains(['/', '.']) {
        push(value);
    }
}

/// Whether a value is the number of an account.
fn is_number(value: &str) -> bool {
    value.len() >= 8 && value.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integration(name: &str, provider: &str, settings: Value) -> Integration {
        Integration {
            name: name.to_owned(),
            provider: provider.to_owned(),
            settings: settings.as_object().cloned().unwrap_or_default(),
            ..Integration::default()
        }
    }

    #[test]
    fn a_failure_is_tied_to_whom_it_names() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let all = [
            integration("prod", "cloud", json(r#"{"account_id":"111122223333","region":"eu-west-1"}"#)),
            integration("test", "cloud", json(r#"{"account_id":"444455556666","region":"eu-west-1"}"#)),
            integration("shop", "forge", json(r#"{"url":"https://git.example.com/team/shop.git"}"#)),
            integration("site", "forge", json(r#"{"url":"git@git.example.com:team/site.git"}"#)),
        ];
        let ties = Ties::new(&all);
        let check = |provider: &str, text: &str, expect: Option<&str>| {
            assert_eq!(ties.of(provider, text), expect, "{text}");
        };
        check("cloud", "user arn:cloud:iam::111122223333:user/ci may not", Some("prod"));
        check("cloud", "in eu-west-1 it failed", None);
        check("cloud", "account 4444555566667 is another", None);
        check("cloud", "from 111122223333 to 444455556666", None);
        check("forge", "fatal: https://git.example.com/team/site.git/ not found", Some("site"));
        check("forge", "git.example.com refused", None);
        check("forge", "team/shop-old is gone", None);
        check("network", "cannot reach https://git.example.com/team/shop", Some("shop"));
        assert_eq!(ties.with_provider("cloud").collect::<Vec<_>>(), ["prod", "test"]);
        assert_eq!(Ties::default().of("cloud", "111122223333"), None);
    }
}
