use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::AhoCorasick;
use lineman_model::{Cause, Doc, Finding};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compiled::{Compiled, patterns};
use crate::pattern::Pattern;
use crate::rule::{Rule, Sample};
use crate::seen::Seen;
use crate::template::{Captures, UNSEEN};
use crate::{Match, Response};

/// Most rules of one catalog.
const MOST_RULES: usize = 2_000;

/// A plugin's table of known failures.
#[derive(Debug)]
pub struct Catalog {
    plugin: String,
    file: File,
    patterns: OnceLock<Patterns>,
    index: OnceLock<Index>,
    /// Rules in words of a later format.
    unread: Vec<Problem>,
}

/// What matching needs of the rules.
#[derive(Debug)]
struct Patterns {
    /// For the templates of every rule.
    capture: Vec<Pattern>,
    compiled: Vec<Compiled>,
}

impl Patterns {
    /// Compiles the patterns of a catalog; what is wrong with them and their rules is added to the
    /// list.
    fn new(plugin: &str, file: &File, problems: &mut Vec<Problem>) -> Patterns {
        let mut faults = Vec::new();
        let capture = patterns(&file.capture, &mut faults);
        problems.extend(faults.into_iter().map(|what| Problem { code: plugin.to_owned(), what }));
        let mut codes = BTreeSet::new();
        let mut compiled = Vec::new();
        for rule in file.rules.iter().take(MOST_RULES) {
            let mut faults = Vec::new();
            if !codes.insert(&rule.code) {
                faults.push("another rule has this code".to_owned());
            }
            compiled.push(Compiled::new(rule, &capture, &mut faults));
            problems.extend(faults.into_iter().map(|what| Problem { code: full_code(plugin, &rule.code), what }));
        }
        Patterns { capture, compiled }
    }
}

/// How long a change takes to have effect at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Propagation {
    /// In one sentence: `It takes up to 10 minutes until a new role counts.`
    pub says: String,
    /// Where the provider says so.
    pub docs: Doc,
}

fn is_cause(word: &str) -> bool {
    !matches!(Cause::from(word), Cause::Other(_))
}

/// The catalog as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    code_headers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    provisioned_as: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    capture: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    propagation: BTreeMap<String, Propagation>,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

/// The catalog as a description carries it, which may be newer than its reader.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Carried {
    code_headers: Vec<String>,
    provisioned_as: Vec<String>,
    capture: Vec<String>,
    /// What a later format has made of it is left out.
    propagation: BTreeMap<String, Value>,
    #[serde(rename = "rule")]
    rules: Vec<Value>,
}

/// Why a catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It is not in the format.
    #[error("the catalog of {plugin} cannot be read: {message}")]
    Syntax {
        /// The plugin.
        plugin: String,
        /// What is wrong, with its place where it is known.
        message: String,
    },
    /// Rules of it are not whole.
    #[error("the catalog of {plugin} has faults: {}", list(problems))]
    Rules {
        /// The plugin.
        plugin: String,
        /// Every fault.
        problems: Vec<Problem>,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// One fault of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The rule, `<plugin>/<code>`.
    pub code: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.what)
    }
}

impl Catalog {
    /// Words that everybody uses, whoever the provider is, each of these in a catalog that calls
    /// itself so: a tool that drives every provider, the `network`, the `host` that programs run
    /// on. They belong to no plugin and stand behind the plugins' catalogs.
    pub fn shared() -> [&'static Catalog; 3] {
        static SHARED: LazyLock<[Catalog; 3]> = LazyLock::new(|| {
            [
                embedded("terraform", include_str!("../terraform.toml")),
                embedded("network", include_str!("../network.toml")),
                embedded("host", include_str!("../host.toml")),
            ]
        });
        SHARED.each_ref()
    }

    /// What checks find by themselves whatever their plugin is, and whose code begins with their
    /// plugin's id. It matches nothing.
    pub fn of_every_plugin() -> &'static Catalog {
        static OF_EVERY_PLUGIN: LazyLock<Catalog> =
            LazyLock::new(|| embedded("plugin", include_str!("../plugin.toml")));
        &OF_EVERY_PLUGIN
    }

    /// What the host finds before, instead of or after a check. It matches nothing.
    pub fn of_the_host() -> &'static Catalog {
        static OF_THE_HOST: LazyLock<Catalog> = LazyLock::new(|| embedded("lineman", include_str!("../lineman.toml")));
        &OF_THE_HOST
    }

    /// Words and statuses that make a cause possible and no more, where no other catalog knows.
    pub fn general() -> &'static Catalog {
        static GENERAL: LazyLock<Catalog> = LazyLock::new(|| embedded("general", include_str!("../general.toml")));
        &GENERAL
    }

    /// Reads a catalog as its author writes it.
    ///
    /// # Errors
    /// When it is not in the format, or a rule breaks one of its laws.
    pub fn parse(plugin: &str, text: &str) -> Result<Catalog, CatalogError> {
        let file = toml::from_str(text).map_err(|error| syntax(plugin, &error))?;
        Catalog::new(plugin, file, Vec::new())
    }

    /// Reads a catalog whose laws were looked at when its plugin was tested. Until it is asked, none
    /// of its patterns is compiled: most checks pass, and ask nothing.
    ///
    /// # Errors
    /// When it is not in the format.
    ///
    /// # Panics
    /// When it is asked, and a rule breaks a law.
    pub fn tested(plugin: &str, text: &str) -> Result<Catalog, CatalogError> {
        let file = toml::from_str(text).map_err(|error| syntax(plugin, &error))?;
        let (patterns, index) = (OnceLock::new(), OnceLock::new());
        Ok(Catalog { plugin: plugin.to_owned(), file, patterns, index, unread: Vec::new() })
    }

    /// Reads a catalog as a plugin's description carries it; nothing there is an empty catalog.
    ///
    /// The plugin may be newer than its reader. A rule with a word or a cause that is not known
    /// here is left out, for it must not match more than its author meant; [`Catalog::verify`]
    /// tells of it.
    ///
    /// # Errors
    /// When it is not in the format.
    pub fn from_value(plugin: &str, value: &Value) -> Result<Catalog, CatalogError> {
        let Carried { code_headers, provisioned_as, capture, propagation, rules } = match value {
            Value::Null => Carried::default(),
            value => Carried::deserialize(value).map_err(|error| syntax(plugin, &error))?,
        };
        let known = |(cause, value): (String, Value)| {
            let cause = Some(cause).filter(|cause| is_cause(cause))?;
            Some((cause, Propagation::deserialize(value).ok()?))
        };
        let propagation: BTreeMap<String, Propagation> = propagation.into_iter().filter_map(known).collect();
        let (mut read, mut unread) = (Vec::new(), Vec::new());
        for rule in rules.into_iter().take(MOST_RULES + 1) {
            match Rule::deserialize(&rule) {
                Ok(rule) => read.push(rule),
                Err(error) => {
                    let code = rule.get("code").and_then(Value::as_str).unwrap_or("?");
                    unread.push(Problem { code: full_code(plugin, code), what: error.to_string() });
                }
            }
        }
        // A rule that goes may leave another one without what it names, so this may take turns.
        loop {
            let file = File {
                code_headers: code_headers.clone(),
                provisioned_as: provisioned_as.clone(),
                capture: capture.clone(),
                propagation: propagation.clone(),
                rules: read.clone(),
            };
            match Catalog::new(plugin, file, unread.clone()) {
                Err(CatalogError::Rules { problems, .. })
                    if read.iter().any(|rule| problems.iter().any(|it| it.code == full_code(plugin, &rule.code))) =>
                {
                    read.retain(|rule| !problems.iter().any(|it| it.code == full_code(plugin, &rule.code)));
                    unread.extend(problems);
                }
                done => return done,
            }
        }
    }

    /// The catalog as a plugin's description carries it.
    pub fn to_value(&self) -> Value {
        // Every part of a catalog is plain data, which JSON can always hold.
        serde_json::to_value(&self.file).unwrap_or_default()
    }

    fn new(plugin: &str, file: File, unread: Vec<Problem>) -> Result<Catalog, CatalogError> {
        let mut problems = Vec::new();
        let patterns = OnceLock::from(Patterns::new(plugin, &file, &mut problems));
        let codes: BTreeSet<&String> = file.rules.iter().map(|rule| &rule.code).collect();
        for rule in &file.rules {
            let what = match &rule.replaced_by {
                Some(_) if !rule.deprecated => "it is replaced by another, and not deprecated".to_owned(),
                Some(code) if !codes.contains(code) => format!("it is replaced by {code}, which there is not"),
                _ => continue,
            };
            problems.push(Problem { code: full_code(plugin, &rule.code), what });
        }
        for cause in file.propagation.keys().filter(|cause| !is_cause(cause)) {
            let what = format!("`propagation` names `{cause}`, which is no cause");
            problems.push(Problem { code: plugin.to_owned(), what });
        }
        if file.rules.len() > MOST_RULES {
            problems.push(Problem { code: plugin.to_owned(), what: format!("more than {MOST_RULES} rules") });
        }
        if problems.is_empty() {
            Ok(Catalog { plugin: plugin.to_owned(), file, patterns, index: OnceLock::new(), unread })
        } else {
            Err(CatalogError::Rules { plugin: plugin.to_owned(), problems })
        }
    }

    /// The id of the plugin whose catalog this is.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Every rule, in the author's order.
    pub fn rules(&self) -> &[Rule] {
        &self.file.rules
    }

    /// How long a change that mends a cause takes to have effect, where the provider says so.
    pub fn propagation(&self, cause: &Cause) -> Option<&Propagation> {
        self.file.propagation.get(cause.as_str())
    }

    /// The rule of a code, with or without the plugin's prefix.
    pub fn rule(&self, code: &str) -> Option<&Rule> {
        let code = code.strip_prefix(&self.plugin).and_then(|rest| rest.strip_prefix('/')).unwrap_or(code);
        self.rules().iter().find(|rule| rule.code == code)
    }

    /// The finding of a code, with or without the plugin's prefix, as it reads when nothing was
    /// seen that could fill its message.
    pub fn describe(&self, code: &str) -> Option<Finding> {
        let code = &self.rule(code)?.code;
        let at = self.rules().iter().position(|rule| rule.code == *code)?;
        Some(Match::filled(self, at, &Captures::new())?.finding())
    }

    /// What a server's answer means, likeliest first.
    pub fn match_response(&self, response: &Response<'_>) -> Vec<Match<'_>> {
        self.match_seen(&Seen::response(response, &self.file.code_headers))
    }

    /// What a program's output means, likeliest first. The text is taken for one failure:
    /// [`explain`](crate::explain) takes a longer one apart.
    pub fn match_text(&self, text: &str) -> Vec<Match<'_>> {
        self.match_seen(&Seen::text(text))
    }

    /// Holds the catalog to its own examples: each is matched by its rule first and by no other
    /// of equal weight, no near miss is matched, every pattern compiles within its limit, and no
    /// rule was left out because it was not understood.
    pub fn verify(&self) -> Vec<Problem> {
        let mut problems = self.unread.clone();
        for (rule, compiled) in self.rules().iter().zip(self.compiled()) {
            let code = full_code(&self.plugin, &rule.code);
            let mut report = |what: String| problems.push(Problem { code: code.clone(), what });
            for pattern in compiled.patterns().filter(|pattern| !pattern.is_usable()) {
                report(format!("the pattern {:?} takes too much memory", pattern.source()));
            }
            for (number, sample) in (1..).zip(&rule.example) {
                match self.match_sample(sample).as_slice() {
                    [] => report(format!("example {number} is not matched")),
                    [first, ..] if first.rule.code != rule.code => {
                        report(format!("example {number} is matched by {} first", first.code));
                    }
                    [first, second, ..] if first.rank == second.rank => {
                        report(format!("example {number} is matched by {} with equal weight", second.code));
                    }
                    [first, ..] if first.message.contains(UNSEEN) => {
                        report(format!("example {number} leaves a hole in the message: {}", first.message));
                    }
                    _ => {}
                }
            }
            for (number, sample) in (1..).zip(&rule.near_miss) {
                if self.match_sample(sample).iter().any(|found| found.rule.code == rule.code) {
                    report(format!("near miss {number} is matched"));
                }
            }
        }
        problems
    }

    /// Matches an example or a near miss.
    pub fn match_sample(&self, sample: &Sample) -> Vec<Match<'_>> {
        match sample {
            Sample::Text(text) => self.match_text(text),
            Sample::Response(sample) => self.match_response(&Response {
                status: sample.status,
                headers: sample.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
                body: &sample.body,
                operation: sample.operation.as_deref(),
            }),
        }
    }

    /// Patterns whose groups fill the templates of every rule.
    pub(crate) fn capture(&self) -> &[Pattern] {
        &self.patterns().capture
    }

    pub(crate) fn compiled(&self) -> &[Compiled] {
        &self.patterns().compiled
    }

    fn patterns(&self) -> &Patterns {
        self.patterns.get_or_init(|| {
            let mut problems = Vec::new();
            let patterns = Patterns::new(&self.plugin, &self.file, &mut problems);
            assert!(problems.is_empty(), "{}", CatalogError::Rules { plugin: self.plugin.clone(), problems });
            patterns
        })
    }

    /// Whether provisioning tools know the provider by this name.
    pub(crate) fn provisions(&self, name: &str) -> bool {
        self.file.provisioned_as.iter().any(|known| known == name)
    }

    pub(crate) fn code_headers(&self) -> &[String] {
        &self.file.code_headers
    }

    pub(crate) fn match_seen(&self, seen: &Seen) -> Vec<Match<'_>> {
        let mut found: Vec<Match<'_>> =
            self.index().candidates(seen).into_iter().filter_map(|at| Match::try_rule(self, at, seen)).collect();
        // Stable: the author's order decides between equals.
        found.sort_by_key(|found| std::cmp::Reverse((found.rank, found.confidence)));
        found
    }

    /// What a text must contain for a rule to match, with the rule's position; any of the
    /// needles of one rule will do.
    pub(crate) fn needles(&self) -> impl Iterator<Item = (usize, &str)> {
        let rules = (0..).zip(self.rules().iter().zip(self.compiled()));
        rules.flat_map(|(at, (rule, compiled))| compiled.needles(rule).into_iter().map(move |needle| (at, needle)))
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(self))
    }
}

fn embedded(name: &str, text: &str) -> Catalog {
    Catalog::parse(name, text).expect("an embedded catalog, which the tests read and verify")
}

fn syntax(plugin: &str, error: &dyn fmt::Display) -> CatalogError {
    CatalogError::Syntax { plugin: plugin.to_owned(), message: error.to_string().trim_end().to_owned() }
}

pub(crate) fn full_code(plugin: &str, code: &str) -> String {
    format!("{plugin}/{code}")
}

/// Which rules a text can match at all.
#[derive(Debug)]
struct Index {
    automaton: Option<AhoCorasick>,
    /// The rule of each needle.
    rules: Vec<usize>,
    /// Rules that ask for no text and no code, and so need a look every time.
    always: Vec<usize>,
}

impl Index {
    fn new(catalog: &Catalog) -> Index {
        let (rules, needles): (Vec<usize>, Vec<&str>) = catalog.needles().unzip();
        let own = |at: &usize| catalog.rules()[*at].conditions.is_none();
        let always = (0..catalog.rules().len()).filter(|at| !rules.contains(at) && !own(at)).collect();
        // Building fails only for more needles than fit 31 bits.
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(needles).ok();
        Index { automaton, rules, always }
    }

    fn candidates(&self, seen: &Seen) -> BTreeSet<usize> {
        let mut rules: BTreeSet<usize> = self.always.iter().copied().collect();
        if let Some(automaton) = &self.automaton {
            for text in std::iter::once(seen.flat()).chain(seen.codes().iter().map(String::as_str)) {
                let hits = automaton.find_overlapping_iter(text);
                rules.extend(hits.map(|hit| self.rules[hit.pattern().as_usize()]));
            }
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{ACME, acme};

    #[test]
    fn a_catalog_survives_the_way_through_a_description() {
        let catalog = acme();
        let again = Catalog::from_value("acme", &catalog.to_value()).unwrap();
        assert_eq!(again.rules(), catalog.rules());
        assert_eq!(again.to_value(), catalog.to_value());
        assert!(Catalog::from_value("acme", &Value::Null).unwrap().rules().is_empty());
        assert!(again.propagation(&Cause::PermissionInsufficient).is_some_and(|it| it.says.contains("10 minutes")));
        assert_eq!(again.propagation(&Cause::CredentialInvalid), None);
        assert_eq!(catalog.rule("acme/unknown-key"), catalog.rule("unknown-key"));
        assert!(catalog.rule("unknown-key").is_some());
    }

    #[test]
    fn a_rule_that_breaks_a_law_is_refused_by_name() {
        let check = |from: &str, to: &str, expect: &str| {
            assert!(ACME.contains(from), "{from}");
            let error = Catalog::parse("acme", &ACME.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expect), "{expect:?} not in {error:?}");
        };
        check(
            "\"credential.invalid\"",
            "\"credential.wrong\"",
            "acme/unknown-key: \"credential.wrong\" is not a cause",
        );
        check("code = \"unknown-key\"", "code = \"Unknown Key\"", "kebab-case");
        check("code = \"key-expired\"", "code = \"unknown-key\"", "another rule has this code");
        check("does not know the key[ {key}].", "does not know it. Sorry.", "one sentence");
        check("does not know the key[ {key}].", "does not know {nothing}.", "no pattern has the group {nothing}");
        check("does not know the key[ {key}].", "does not know [ {key}.", "not closed");
        check("https://docs.example.com/errors", "http://docs.example.com/errors", "https");
        check("provider_code = [\"UnknownKey\"]", "provider_code = []", "no condition");
        check("'the key has expired'", "'('", "unclosed group");
        check("'the key has expired'", "'a.*b'", "four letters");
        check("example = [\"acme: UnknownKey: AK1234\", ", "example = [] # ", "no example");
        check("near_miss = [\"acme: UnknownKeyring: none\"]", "near_miss = []", "no near miss");
        check("docs = [", "documents = [", "unknown field `documents`");
        check("priority = 5", "replaced_by = \"unknown-key\"", "and not deprecated");
        check("priority = 5", "deprecated = true\nreplaced_by = \"nobody\"", "replaced by nobody, which there is not");
        check("{ title = ", "{ name = \"x\", title = ", "unknown field `name`");
        check("\"5xx\"", "\"9xx\"", "not a status");
        check("code = \"unknown-key\"", "code = \"unknown-key\"\ncode = \"again\"", "duplicate key");
    }

    #[test]
    fn a_tested_catalog_is_compiled_when_it_is_asked() {
        let (parsed, tested) = (acme(), Catalog::tested("acme", ACME).unwrap());
        assert_eq!(tested.to_value(), parsed.to_value());
        assert!(tested.patterns.get().is_none());
        let codes = |catalog: &Catalog| -> Vec<String> {
            catalog.match_text("acme: UnknownKey: AK1234").into_iter().map(|found| found.code).collect()
        };
        assert_eq!(codes(&tested), codes(&parsed));
        assert!(!codes(&tested).is_empty() && tested.patterns.get().is_some());
    }

    #[test]
    fn what_only_a_check_finds_is_described_and_never_matched() {
        let own = "[[rule]]\ncode = \"denied\"\ncause = \"permission.insufficient\"\n\
                   message = \"It is denied.\"\nremedies = [\"Ask.\"]\n";
        let catalog = Catalog::parse("acme", own).unwrap();
        assert_eq!(catalog.describe("acme/denied").map(|known| known.message).as_deref(), Some("It is denied."));
        assert!(catalog.match_text("It is denied.").is_empty() && catalog.verify().is_empty());
        assert!(catalog.match_response(&Response { status: Some(403), ..Response::default() }).is_empty());
        assert_eq!(catalog.to_value()["rule"][0].as_object().map(|rule| rule.len()), Some(5));
        let check = |more: &str| {
            let error = Catalog::parse("acme", &format!("{own}{more}\n")).unwrap_err().to_string();
            assert!(error.contains("no condition"), "{error}");
        };
        check("example = [\"It is denied.\"]");
        check("near_miss = [\"It is denied.\"]");
        check("[rule.match]");
    }

    #[test]
    fn a_rule_of_a_later_format_is_left_out_and_the_others_stay() {
        let mut value = acme().to_value();
        value["later"] = true.into();
        value["rule"][0]["match"]["mood"] = "sour".into();
        value["rule"][1]["cause"] = "credential.haunted".into();
        let catalog = Catalog::from_value("acme", &value).unwrap();
        assert_eq!(catalog.rules(), &acme().rules()[2..]);
        let told = catalog.verify().iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
        assert!(told.contains("unknown field `mood`") && told.contains("\"credential.haunted\""), "{told}");
    }

    #[test]
    fn verification_finds_what_reading_cannot() {
        assert_eq!(acme().verify(), []);
        let check = |from: &str, to: &str, expect: &str| {
            assert!(ACME.contains(from), "{from}");
            let catalog = Catalog::parse("acme", &ACME.replacen(from, to, 1)).unwrap();
            let problems: Vec<String> = catalog.verify().iter().map(Problem::to_string).collect();
            assert!(problems.iter().any(|problem| problem.contains(expect)), "{expect:?} not in {problems:?}");
        };
        check("acme: UnknownKey: AK1234", "acme: all is well", "acme/unknown-key: example 1 is not matched");
        check("acme: UnknownKeyring: none", "acme: UnknownKey", "acme/unknown-key: near miss 1 is matched");
        check("priority = 5", "priority = 0", "is matched by acme/key-unwell with equal weight");
        check("priority = 5", "priority = -5", "example 1 is matched by acme/key-unwell first");
        check("(?<who>\\w+)", "(?:(?<who>zed)|\\w+)", "example 1 leaves a hole");
        check("'the key has expired'", r"'the key has expired(\w{1000}){1000}'", "too much memory");
    }
}
