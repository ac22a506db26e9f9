//! Catalogs of known failures.
//!
//! A provider answers a broken integration in its own words: a code in a body, a header, a line
//! of a program's error output. A *catalog* is a plugin's table of those words. Each [`Rule`]
//! says what to look for, the cause it means, how to mend it and where the provider documents
//! it, and proves itself with examples that it must match and near misses that it must not.
//! Catalogs are data: the plugin matches live answers with its own, the host reads the same
//! tables from the descriptions of the plugins to explain what people paste and what platforms
//! log. A failure is described once.
//!
//! Words that belong to no provider have catalogs here: [`Catalog::shared`] for provisioning tools,
//! the network and the host, and [`Catalog::general`] for what is read when nobody knows the words.
//!
//! This crate is the format of the rules and the matcher. It must never know a provider: what
//! holds for one provider only is a rule in that provider's catalog.
//!
//! # The format
//!
//! ```toml
//! code_headers = ["x-error-code"]             # headers that carry a provider code, besides the body
//! provisioned_as = ["acme"]                   # names in provisioning tools: acme_key, corp/acme
//! capture = ['call (?<call>[0-9]+)']          # as in a rule, for all rules
//!
//! [propagation."permission.insufficient"]     # how long a change takes that mends this cause
//! says = "A new role counts after up to 10 minutes."
//! docs = { title = "Roles", url = "https://docs.example.com/roles" }
//!
//! [[rule]]
//! code = "unknown-key"                        # becomes "<plugin>/unknown-key"
//! cause = "credential.invalid"
//! confidence = "confirmed"                    # or likely, possible
//! message = "The provider does not know the key[ {key}]."
//! detail = "Keys are deleted with the user that owns them."
//! also_possible = [{ cause = "config.endpoint-wrong", confidence = "possible" }]
//! remedies = ["Create a new key.", { text = "List the keys.", argv = ["acme", "keys"], who = "administrator" }]
//! docs = [{ title = "Errors", url = "https://docs.example.com/errors" }]
//! capture = ['(?<key>AK[0-9]{4})']            # looked for to fill the message; never a condition
//! transient = false                           # whether trying again unchanged may succeed; as the cause has it
//! priority = 0                                # added to the weight
//! deprecated = false                          # whether the code is on its way out
//! replaced_by = "key-rejected"                # and which one of this catalog takes its place
//! example = ["acme: UnknownKey: AK1234", { status = 403, body = '{"code":"UnknownKey"}' }]
//! near_miss = ["acme: UnknownKeyring: none"]
//! [rule.match]                                # all that are given must hold
//! status = [403, "5xx"]
//! provider_code = ["UnknownKey"]
//! header = { "x-request-denied" = "^key" }
//! operation = ["ListKeys"]
//! text = ['the key .{0,40} is not known']     # any of them
//! not_text = ['expired']                      # none of them
//! ```
//!
//! A rule without `[rule.match]`, examples and near misses is not matched: a check finds such a
//! failure by itself, in words of its own, and the rule describes it. Where the check says neither
//! what to do nor where it is documented, the rule's `remedies` and `docs` are told.
//!
//! In messages, details and remedies `{name}` stands for a named group of a `text`, `header` or
//! `capture` pattern; a part in square brackets is left out when a name in it was not seen. Where
//! the cause is `network.ip-not-allowed`, a group named `address` is the address that the provider
//! saw: the finding is about it.
//!
//! Patterns are those of the `regex` crate (linear time), ignore case unless they say `(?-i)`, and
//! see each line with its runs of blanks collapsed; `^` and `$` stand at line ends, and letters are
//! those of English unless they say `(?u)`. A pattern that no single line matches is tried once more
//! with the lines joined by a blank, because programs wrap. Every `text` pattern must contain four
//! letters or so that each match has: that is what makes reading a large log cheap.
//!
//! # What a condition sees
//!
//! | condition | in an answer | in pasted text |
//! |---|---|---|
//! | `status` | the status; one that is not known contradicts nothing | a status that the text states |
//! | `provider_code` | exactly a field of a JSON or XML body that names an error, or a `code_headers` header | the code as a word, where it cannot be prose |
//! | `header` | that header | that header, where a whole answer was pasted |
//! | `operation` | what the caller says it did | a word of the text |
//! | `text`, `not_text` | the body, as `name: value` lines where it is JSON or XML, and the `code_headers` | the text |
//!
//! What looks like a secret in a text is looked at by the rules and never repeated by a match.
//!
//! # Which rule comes first
//!
//! The heaviest. A provider code weighs 40, each header 30, an operation 20, a status 10 (a class
//! of them 5), a text the number of letters that the matched pattern fixes, up to 100, and
//! `priority` is added, and 30 where a provisioning tool says that the failure arose in something
//! that the catalog's provider makes. [`Catalog::verify`] holds a catalog to its examples, and to there never
//! being two rules of equal weight for one of them.

mod body;
mod catalog;
mod compiled;
mod explain;
#[cfg(test)]
mod fixture;
mod grams;
mod matching;
mod origin;
mod paste;
mod pattern;
mod rule;
mod seen;
mod shape;
mod sieve;
mod template;

pub use catalog::{Catalog, CatalogError, Problem, Propagation};
pub use explain::{EXPLANATION_SCHEMA, Explained, Explanation, Matched, Occurrence, explain, explain_or_guess};
pub use matching::{Match, Response};
pub use origin::Origin;
pub use paste::message_of;
pub use rule::{Conditions, Rule, Sample, StatusPattern};
pub use shape::without_secrets;
pub use sieve::Sieve;
